//! What is kept out, and what can't be.

use vss_plan::{Because, Fate, PlanError, Rules, SandboxPlan};

use crate::WEB;
use crate::world::{World, causes, fate, path, request, step};

/// A host whose units and snippets are masked inside, as far as the service doesn't need them.
fn host() -> World {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/web/", "/etc/web/web.conf"]);
    world.file("/usr/lib/systemd/system/systemd-udevd.service", "");
    world
}

fn masking(world: &World, masked: &str) -> Result<SandboxPlan, PlanError> {
    let mut request = request();
    request.mask.push(path(masked));
    world.plan(&request)
}

#[test]
fn what_no_container_does_without_is_not_kept_out() {
    let mut world = host();
    for (masked, words) in [
        (
            "/bin",
            "it is made for the container, which needs it (baseline: /bin,",
        ),
        ("/var/run", "it is made"),
        ("/var/lib/virt-sandbox", "how its service ended"),
        ("/var/lib", "/var/lib/virt-sandbox is made"),
        ("/root", "it is made"),
        ("/etc/passwd", "it is made"),
        ("/etc/machine-id", "it is made"),
        ("/etc/systemd", "path by path"),
        (
            "/etc/systemd/system",
            "other.service has to be a link to /dev/null",
        ),
        (
            "/etc/systemd/system/systemd-udevd.service",
            "pulled in by sysinit.target.wants",
        ),
        (
            "/etc/systemd/system/virt-sandbox-ended.service",
            "tells the host how the service ended",
        ),
        ("/etc/systemd/system/virt-sandbox.target", "boots into"),
        ("/etc/systemd/system/default.target", "boots into"),
        (
            "/etc/systemd/system/web.service.d/50-virt-sandbox.conf",
            "the end of the service",
        ),
        ("/etc/systemd/journald.conf.d", "50-virt-sandbox.conf"),
        ("/etc/tmpfiles.d", "/etc/tmpfiles.d/other.conf has to be"),
    ] {
        let error = masking(&world, masked).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--mask {masked} ")), "{error}");
        assert!(error.contains(words), "{words}: {error}");
    }
    let rule = "[[rule]]\nwhy = 'because'\nunits = ['w*']\nmask = ['/etc/passwd']";
    world.rules = Rules::with(&[("r.toml".to_owned(), rule.to_owned())]).unwrap();
    let error = world.plan(&request()).unwrap_err().to_string();
    let by = "in the rules file r.toml, mask = /etc/passwd ";
    assert!(error.starts_with(by), "{error}");
}

#[test]
fn what_a_container_only_has_better_can_be_kept_out() {
    let mut world = host();
    world.file("/etc/systemd/system/web.service.d/admin.conf", "");
    for masked in [
        "/etc/hosts",
        "/etc/ssl",
        "/etc/web",
        "/srv",
        "/etc/systemd/system/web.service.d",
    ] {
        let plan = masking(&world, masked).unwrap();
        assert_eq!(fate(&plan, masked), "mask", "{masked}");
    }
}

#[test]
fn a_directory_that_is_kept_out_is_there_for_what_is_named_below_it() {
    let mut world = host();
    world.file("/srv/web/page", "");
    world.file("/srv/other", "");
    let mut request = request();
    request.mask.push(path("/srv"));
    request.copy.push(path("/srv/web"));
    let plan = world.plan(&request).unwrap();
    let above = plan.root.explain(&path("/srv"));
    assert_eq!(above.fate, Fate::Generated);
    let mut chain = causes(&plan, "/srv/web").into_iter();
    let named = Because {
        path: path("/srv/web"),
        cause: chain.next().unwrap(),
    };
    assert_eq!(above.chain.first(), Some(&named));
    let told: Vec<String> = above.chain.iter().map(step).collect();
    let mask = "/srv: asked for with --mask".to_owned();
    assert!(told.contains(&mask), "{told:?}");
    assert_eq!(plan.root.explain(&path("/srv/other")).fate, Fate::Masked);
    assert_eq!(
        plan.root.explain(&path("/srv/web/page")).fate,
        Fate::Private
    );
}
