//! Units in a temporary root directory: what is found, and what is in force.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;
use vss_model::UnitName;
use vss_unit::{Error, LoadedUnit, PathKind, load, names, paths_named};

/// A merged host with these files below the system unit directories.
fn host(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("usr/lib/systemd/system")).unwrap();
    symlink("usr/lib", root.path().join("lib")).unwrap();
    for (path, text) in files {
        put(root.path(), path, text);
    }
    root
}

/// `text` beginning with `-> ` makes a link.
fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match text.strip_prefix("-> ") {
        Some(target) => symlink(target, path).unwrap(),
        None => fs::write(path, text).unwrap(),
    }
}

fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

fn get(root: &TempDir, name: &str) -> LoadedUnit {
    load(root.path(), &unit(name)).unwrap().unwrap()
}

fn shown<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

const LIB: &str = "usr/lib/systemd/system";
const ETC: &str = "etc/systemd/system";

#[test]
fn the_strongest_file_wins_and_drop_ins_are_sorted_by_name() {
    let root = host(&[
        (
            &format!("{LIB}/a-b.service"),
            "[Service]\nExecStart=/bin/lib\n",
        ),
        (
            &format!("{ETC}/a-b.service"),
            "[Service]\nExecStart=/bin/etc\n",
        ),
        (
            &format!("{LIB}/service.d/10-all.conf"),
            "[Service]\nNice=1\n",
        ),
        (
            &format!("{LIB}/a-.service.d/20-prefix.conf"),
            "[Service]\nNice=2\n",
        ),
        (
            &format!("{LIB}/a-b.service.d/30-own.conf"),
            "[Service]\nNice=3\n",
        ),
        (
            &format!("{ETC}/a-b.service.d/05-early.conf"),
            "[Service]\nNice=4\n",
        ),
        (
            &format!("{ETC}/a-b.service.d/not-a-drop-in.txt"),
            "[Service]\nNice=5\n",
        ),
        (
            &format!("{LIB}/a-b.service.d/50-weak.conf"),
            "[Service]\nNice=6\n",
        ),
        (&format!("{ETC}/a-b.service.d/50-weak.conf"), "-> /dev/null"),
        (
            &format!("{LIB}/a-b.service.d/25-same.conf"),
            "[Service]\nUser=lib\n",
        ),
        (
            "run/systemd/system/a-b.service.d/25-same.conf",
            "[Service]\nUser=run\n",
        ),
    ]);
    let unit = get(&root, "a-b");
    assert_eq!(unit.fragment.to_string(), "/etc/systemd/system/a-b.service");
    assert_eq!(
        shown(&unit.drop_ins),
        [
            "/etc/systemd/system/a-b.service.d/05-early.conf",
            "/usr/lib/systemd/system/service.d/10-all.conf",
            "/usr/lib/systemd/system/a-.service.d/20-prefix.conf",
            "/run/systemd/system/a-b.service.d/25-same.conf",
            "/usr/lib/systemd/system/a-b.service.d/30-own.conf",
        ]
    );
    assert_eq!(unit.settings.last("Service", "Nice"), Some("3"));
    assert_eq!(unit.settings.last("Service", "User"), Some("run"));
    assert_eq!(unit.files.len(), 6);
}

#[test]
fn aliases_lead_to_the_unit_and_bring_their_drop_ins() {
    let root = host(&[
        (
            &format!("{LIB}/ssh.service"),
            "[Service]\nExecStart=/usr/sbin/sshd\n[Install]\nAlias=sshd.service\n",
        ),
        (
            &format!("{ETC}/sshd.service"),
            "-> /lib/systemd/system/ssh.service",
        ),
        (
            &format!("{ETC}/sshd.service.d/x.conf"),
            "[Service]\nUser=x\n",
        ),
        (&format!("{LIB}/other.service"), "[Service]\n"),
    ]);
    for name in ["ssh", "sshd"] {
        let unit = get(&root, name);
        assert_eq!(unit.name.as_str(), "ssh.service");
        assert_eq!(shown(&unit.aliases), ["sshd.service"]);
        assert_eq!(
            shown(&unit.alias_links),
            ["/etc/systemd/system/sshd.service"]
        );
        assert_eq!(
            unit.fragment.to_string(),
            "/usr/lib/systemd/system/ssh.service"
        );
        assert_eq!(unit.settings.last("Service", "User"), Some("x"));
    }
    assert_eq!(
        shown(&names(root.path()).unwrap()),
        ["other.service", "ssh.service", "sshd.service"]
    );
}

#[test]
fn instances_come_from_templates_and_have_drop_ins_of_both() {
    let root = host(&[
        (
            &format!("{LIB}/pg@.service"),
            "[Service]\nExecStart=/bin/pg %i\nPIDFile=/run/%i.pid\n[Unit]\nAssertPathExists=/etc/pg/%I/pg.conf\n",
        ),
        (
            &format!("{LIB}/pg@.service.d/a.conf"),
            "[Service]\nUser=a\n",
        ),
        (
            &format!("{ETC}/pg@15-main.service.d/b.conf"),
            "[Service]\nUser=b\n",
        ),
        (&format!("{LIB}/own@x.service"), "[Service]\nUser=own\n"),
        (&format!("{LIB}/own@.service"), "[Service]\nUser=template\n"),
        (&format!("{LIB}/old@.service"), "-> pg@.service"),
    ]);
    let unit = get(&root, "pg@15-main");
    assert_eq!(unit.name.as_str(), "pg@15-main.service");
    assert_eq!(unit.settings.last("Service", "User"), Some("b"));
    let named = paths_named(&unit.settings, &unit.context());
    let paths: Vec<_> = named.iter().map(|p| p.path.to_string()).collect();
    assert_eq!(
        paths,
        ["/bin/pg", "/run/15-main.pid", "/etc/pg/15/main/pg.conf"]
    );
    assert_eq!(
        named[2].kind,
        PathKind::Condition {
            negated: false,
            assert: true
        }
    );
    let any: Vec<_> = named.iter().map(|p| p.any_instance.as_deref()).collect();
    assert_eq!(
        any,
        [None, Some("/run/*.pid"), Some("/etc/pg/*/*/pg.conf")],
        "what is an instance's own"
    );
    assert_eq!(
        get(&root, "pg@other").settings.last("Service", "User"),
        Some("a")
    );
    assert_eq!(
        get(&root, "own@x").settings.last("Service", "User"),
        Some("own")
    );
    assert_eq!(get(&root, "old@7").name.as_str(), "pg@7.service");
    assert!(get(&root, "pg@").name.is_template());
}

#[test]
fn masked_units_are_found_and_have_no_settings() {
    let root = host(&[
        (&format!("{LIB}/a.service"), "[Service]\nExecStart=/bin/a\n"),
        (&format!("{ETC}/a.service"), "-> /dev/null"),
        (&format!("{LIB}/b.service"), "[Service]\nExecStart=/bin/b\n"),
        (&format!("{ETC}/b.service"), ""),
    ]);
    for name in ["a", "b"] {
        let unit = get(&root, name);
        assert!(unit.masked && unit.settings.entries().is_empty(), "{name}");
        assert_eq!(
            unit.fragment.to_string(),
            format!("/etc/systemd/system/{name}.service")
        );
    }
}

#[test]
fn what_is_not_there_is_none_and_circles_are_errors() {
    let root = host(&[
        (&format!("{ETC}/a.service"), "-> b.service"),
        (&format!("{ETC}/b.service"), "-> a.service"),
        (
            &format!("{ETC}/dangling.service"),
            "-> /opt/nothing.service",
        ),
        (&format!("{LIB}/only.service.d/x.conf"), "[Service]\n"),
    ]);
    assert_eq!(load(root.path(), &unit("none")).unwrap(), None);
    assert_eq!(load(root.path(), &unit("dangling")).unwrap(), None);
    assert_eq!(load(root.path(), &unit("only")).unwrap(), None);
    assert!(matches!(
        load(root.path(), &unit("a")),
        Err(Error::TooManyLinks { .. })
    ));
}

#[test]
fn a_link_out_of_the_search_path_is_no_alias_whatever_is_called_so() {
    let httpd = "[Service]\nExecStart=/usr/sbin/httpd\n";
    let root = host(&[
        (&format!("{LIB}/httpd.service"), httpd),
        (
            "opt/app/httpd.service",
            "[Service]\nExecStart=/opt/app/httpd\n",
        ),
        (&format!("{ETC}/web.service"), "-> /opt/app/httpd.service"),
        (
            "etc/alternatives/by-hand.service",
            "-> /usr/lib/systemd/system/httpd.service",
        ),
        (
            &format!("{ETC}/chosen.service"),
            "-> ../../alternatives/by-hand.service",
        ),
    ]);
    let web = get(&root, "web");
    assert_eq!(web.name.as_str(), "web.service");
    assert_eq!(web.fragment.to_string(), "/opt/app/httpd.service");
    assert!(get(&root, "httpd").aliases.is_empty());
    let chosen = get(&root, "chosen");
    assert_eq!(chosen.name.as_str(), "chosen.service");
    assert_eq!(
        chosen.fragment.to_string(),
        "/usr/lib/systemd/system/httpd.service"
    );
}

#[test]
fn a_link_that_can_be_no_alias_is_passed_over() {
    let bar = "[Service]\nExecStart=/bin/bar %i\n";
    let root = host(&[
        (&format!("{LIB}/bar@.service"), bar),
        (&format!("{LIB}/foo.service"), "[Service]\nUser=weaker\n"),
        (
            &format!("{ETC}/foo.service"),
            "-> /usr/lib/systemd/system/bar@.service",
        ),
        (
            &format!("{ETC}/none.service"),
            "-> /usr/lib/systemd/system/bar@.service",
        ),
        (
            &format!("{ETC}/bar.service"),
            "-> /usr/lib/systemd/system/bar@x.service",
        ),
        (
            &format!("{ETC}/a@1.service"),
            "-> /usr/lib/systemd/system/bar@2.service",
        ),
        (
            &format!("{ETC}/b@1.service"),
            "-> /usr/lib/systemd/system/bar@.service",
        ),
        (
            &format!("{ETC}/bar.socket"),
            "-> /usr/lib/systemd/system/bar@.service",
        ),
    ]);
    let foo = get(&root, "foo");
    assert_eq!(foo.settings.last("Service", "User"), Some("weaker"));
    for name in ["none", "bar", "a@1", "bar.socket"] {
        assert_eq!(load(root.path(), &unit(name)).unwrap(), None, "{name}");
    }
    assert_eq!(get(&root, "b@1").name.as_str(), "bar@1.service");
    assert_eq!(
        shown(&names(root.path()).unwrap()),
        ["b@1.service", "bar@.service", "foo.service"]
    );
}

#[test]
fn links_beside_a_unit_are_what_it_needs_unless_they_mask() {
    let to_lib = "-> /usr/lib/systemd/system/x.service";
    let wants = |file: &str| format!("{LIB}/a-b.service.wants/{file}");
    let root = host(&[
        (
            &format!("{LIB}/a-b.service"),
            "[Service]\nExecStart=/bin/a\n",
        ),
        (&format!("{LIB}/empty.service"), ""),
        (&wants("kept.service"), to_lib),
        (&wants("masked.service"), to_lib),
        (
            &format!("{ETC}/a-b.service.wants/masked.service"),
            "-> /dev/null",
        ),
        (&wants("emptied.service"), "-> ../empty.service"),
        (&wants("file.service"), "[Service]\n"),
        (&wants("README"), to_lib),
        (&format!("{LIB}/a-.service.wants/prefix.service"), to_lib),
        (&format!("{ETC}/a-b.service.upholds/upheld.service"), to_lib),
        (&format!("{ETC}/a-b.service.requires/kept.service"), to_lib),
    ]);
    let unit = get(&root, "a-b");
    assert_eq!(
        shown(&unit.wants),
        ["kept.service", "prefix.service", "upheld.service"]
    );
    assert_eq!(shown(&unit.requires), ["kept.service"]);
}

#[test]
fn what_systemd_can_not_read_ends_a_drop_in_and_fails_a_unit() {
    let broken = "[Service]\nUser=a\n[Serv\nUser=b\n[Service]\nUser=c\n";
    let root = host(&[
        (&format!("{LIB}/a.service"), "[Service]\nExecStart=/bin/a\n"),
        (&format!("{ETC}/a.service.d/x.conf"), broken),
        (&format!("{ETC}/a.service.d/y.conf"), "[Service]\nGroup=y\n"),
        (&format!("{LIB}/b.service"), broken),
    ]);
    let a = get(&root, "a");
    assert_eq!(a.settings.last("Service", "User"), Some("a"));
    assert_eq!(a.settings.last("Service", "Group"), Some("y"));
    let [ignored] = &a.ignored[..] else {
        panic!("{:?}", a.ignored);
    };
    assert_eq!(
        ignored.file.to_string(),
        "/etc/systemd/system/a.service.d/x.conf"
    );
    assert!(ignored.line == 3 && ignored.ends_file);
    let error = load(root.path(), &unit("b")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "systemd can't load /usr/lib/systemd/system/b.service: line 3 is a section header without its end"
    );
}

#[test]
fn a_link_out_of_the_search_path_is_the_file_that_it_leads_to() {
    let root = host(&[
        ("opt/app/app.service", "[Service]\nExecStart=/opt/app/run\n"),
        (&format!("{ETC}/app.service"), "-> /opt/app/app.service"),
    ]);
    let unit = get(&root, "app");
    assert_eq!(unit.fragment.to_string(), "/opt/app/app.service");
    assert_eq!(unit.settings.values("Service", "ExecStart").count(), 1);
}

const EVERYTHING: &str = r#"
[Unit]
ConditionPathExists=!/etc/a/disabled
ConditionPathExistsGlob=|/etc/a/*.conf
ConditionKernelCommandLine=/not/a/path
RequiresMountsFor=/srv/a /srv/b
[Service]
Type=forking
ExecStartPre=-/usr/bin/test -f /etc/a/key
ExecStart=@/usr/sbin/a a --config=/etc/a/a.conf -k start $ARGS ${OTHER}/x relative
ExecStop=/bin/sh -c '[ -e /run/a.pid ] && kill "$(cat /run/a.pid)"; exec /usr/bin/true'
EnvironmentFile=-/etc/default/a
EnvironmentFile=/etc/a/%H.env
WorkingDirectory=-/var/lib/a
RootDirectory=/srv/root
StateDirectory=a a/sub:a-link
LogsDirectory=a
RuntimeDirectory=a
CacheDirectory=c
ConfigurationDirectory=conf
ReadWritePaths=-/var/spool/a +/var/x
InaccessiblePaths=/home
BindReadOnlyPaths=-/etc/src:/etc/dst:rbind /one
TemporaryFileSystem=/scratch:ro
LoadCredential=cert:/etc/ssl/cert.pem
LoadCredential=in-store
LoadCredentialEncrypted=id:secret
ImportCredential=a.*:b.
StandardOutput=append:/var/log/a.out
StandardError=journal
PIDFile=/run/old.pid
PIDFile=a.pid
StateDirectory=../../etc
User=%p
SupplementaryGroups=x y
TimeoutSec=5min
TimeoutStopSec=0
"#;

#[test]
fn every_form_of_path_is_found() {
    let root = host(&[(&format!("{LIB}/a.service"), EVERYTHING)]);
    let unit = get(&root, "a");
    let found: Vec<String> = paths_named(&unit.settings, &unit.context())
        .iter()
        .map(|p| {
            let marks = [(p.optional, "-"), (p.pattern, "*")];
            let marks: String = marks.iter().filter(|m| m.0).map(|m| m.1).collect();
            format!("{} {:?} {marks}{}", p.directive, p.kind, p.path)
        })
        .collect();
    assert_eq!(
        found,
        [
            "ConditionPathExists= Condition { negated: true, assert: false } /etc/a/disabled",
            "ConditionPathExistsGlob= Condition { negated: false, assert: false } -*/etc/a/*.conf",
            "RequiresMountsFor= MountsFor /srv/a",
            "RequiresMountsFor= MountsFor /srv/b",
            "ExecStartPre= Program -/usr/bin/test",
            "ExecStartPre= Argument -/etc/a/key",
            "ExecStart= Program /usr/sbin/a",
            "ExecStart= Argument /etc/a/a.conf",
            "ExecStop= Program /bin/sh",
            "ExecStop= Argument /run/a.pid",
            "ExecStop= Argument /usr/bin/true",
            "EnvironmentFile= File -/etc/default/a",
            "WorkingDirectory= WorkingDirectory -/var/lib/a",
            "RootDirectory= RootDirectory /srv/root",
            "StateDirectory= StateDirectory /var/lib/a",
            "StateDirectory= StateDirectory /var/lib/a/sub",
            "StateDirectory= StateDirectory /var/lib/a-link",
            "LogsDirectory= LogsDirectory /var/log/a",
            "RuntimeDirectory= RuntimeDirectory /run/a",
            "CacheDirectory= CacheDirectory /var/cache/c",
            "ConfigurationDirectory= ConfigurationDirectory /etc/conf",
            "ReadWritePaths= Writable -/var/spool/a",
            "ReadWritePaths= Writable /var/x",
            "InaccessiblePaths= Inaccessible /home",
            "BindReadOnlyPaths= BindSource -/etc/src",
            "BindReadOnlyPaths= MountPoint /etc/dst",
            "BindReadOnlyPaths= BindSource /one",
            "TemporaryFileSystem= MountPoint /scratch",
            "LoadCredential= File /etc/ssl/cert.pem",
            "LoadCredential= File -/etc/credstore/in-store",
            "LoadCredentialEncrypted= File -/etc/credstore/secret",
            "LoadCredentialEncrypted= File -/etc/credstore.encrypted/secret",
            "ImportCredential= File -*/etc/credstore/a.*",
            "ImportCredential= File -*/etc/credstore.encrypted/a.*",
            "StandardOutput= Output /var/log/a.out",
            "PIDFile= PidFile /run/a.pid",
        ]
    );
    let with_host = unit.context().with_host("web", "0");
    let more = paths_named(&unit.settings, &with_host);
    assert!(more.iter().any(|p| p.path.to_string() == "/etc/a/web.env"));
}

const GENERATOR: &str = "usr/lib/systemd/system-generators/systemd-sysv-generator";

fn script(root: &TempDir, name: &str, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let path = format!("etc/init.d/{name}");
    put(root.path(), &path, text);
    fs::set_permissions(root.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_init_script_is_a_unit_where_there_is_no_other() {
    let root = host(&[
        (GENERATOR, ""),
        (
            &format!("{LIB}/native.service"),
            "[Service]\nExecStart=/bin/native\n",
        ),
        (
            &format!("{ETC}/old.service.d/more.conf"),
            "[Service]\nNice=1\n",
        ),
    ]);
    script(
        &root,
        "old",
        "#! /bin/sh\n### BEGIN INIT INFO\n# Provides: old elder\n### END INIT INFO\n",
        0o755,
    );
    script(&root, "native", "# Provides: native\n", 0o755);
    script(&root, "half.dpkg-new", "# Provides: half\n", 0o755);
    script(&root, "README", "Provides: readme\n", 0o644);
    put(
        root.path(),
        &format!("{ETC}/gone.service"),
        "-> /usr/lib/systemd/system/x.service",
    );
    let old = get(&root, "old.service");
    assert_eq!(old.fragment.to_string(), "/etc/init.d/old");
    assert_eq!(
        old.settings.last("Service", "ExecStart"),
        Some("/etc/init.d/old start")
    );
    assert_eq!(old.settings.last("Service", "Nice"), Some("1"));
    let elder = get(&root, "elder.service");
    assert_eq!(
        (elder.name.as_str(), shown(&elder.aliases)),
        ("old.service", vec!["elder.service".to_owned()])
    );
    assert_eq!(
        get(&root, "native.service").fragment.to_string(),
        "/usr/lib/systemd/system/native.service"
    );
    for absent in [
        "README.service",
        "old.socket",
        "old@x.service",
        "readme.service",
    ] {
        assert_eq!(load(root.path(), &unit(absent)).unwrap(), None, "{absent}");
    }
    assert_eq!(
        shown(&names(root.path()).unwrap()),
        ["native.service", "old.service"]
    );
    fs::remove_file(root.path().join(GENERATOR)).unwrap();
    assert_eq!(load(root.path(), &unit("old.service")).unwrap(), None);
}

/// As Fedora and Debian ship it.
const OPENVPN_SERVER: &str = "[Unit]
Description=OpenVPN service for %I
After=network-online.target
[Service]
Type=notify
PrivateTmp=true
WorkingDirectory=/etc/openvpn/server
ExecStart=/usr/sbin/openvpn --status %t/openvpn-server/status-%i.log --status-version 2 --suppress-timestamps --config %i.conf
CapabilityBoundingSet=CAP_IPC_LOCK CAP_NET_ADMIN
LimitNPROC=10
ProtectHome=true
RestartSec=5s
[Install]
WantedBy=multi-user.target
";

#[test]
fn an_instances_file_in_the_directory_that_a_command_starts_in_is_its_own() {
    let root = host(&[
        (&format!("{LIB}/openvpn-server@.service"), OPENVPN_SERVER),
        (
            &format!("{LIB}/told@.service"),
            "[Service]\nWorkingDirectory=/var/lib/x\nExecStart=/bin/x --cd /etc/x/%i --file=%i.key \
             a%%i.conf --no-%i %i.a ../%i.b\n",
        ),
        (
            &format!("{LIB}/nowhere@.service"),
            "[Service]\nWorkingDirectory=~\nExecStart=/bin/x %i.conf\n",
        ),
    ]);
    let relative = |name: &str| -> Vec<(String, Option<String>)> {
        let unit = get(&root, name);
        let named = paths_named(&unit.settings, &unit.context());
        let relative = named
            .iter()
            .filter(|p| p.kind == PathKind::RelativeArgument);
        relative
            .map(|p| (p.path.to_string(), p.any_instance.clone()))
            .collect()
    };
    let pair = |path: &str, any: &str| (path.to_owned(), Some(any.to_owned()));
    assert_eq!(
        relative("openvpn-server@one"),
        [pair(
            "/etc/openvpn/server/one.conf",
            "/etc/openvpn/server/*.conf"
        )]
    );
    assert_eq!(
        relative("told@one"),
        [
            pair("/etc/x/one/one.key", "/etc/x/*/*.key"),
            pair("/etc/x/one/one.a", "/etc/x/*/*.a")
        ]
    );
    assert_eq!(relative("nowhere@one"), []);
}

#[test]
fn what_systemctl_and_portablectl_write_is_searched_too() {
    let root = host(&[
        (&format!("{LIB}/a.service"), "[Service]\nUser=shipped\n"),
        (
            &format!("{ETC}/a.service.d/50-CPUQuota.conf"),
            "[Service]\nUser=admin\n",
        ),
        (
            &format!("{ETC}.control/a.service.d/50-CPUQuota.conf"),
            "[Service]\nUser=control\n",
        ),
        (
            &format!("{ETC}.attached/portable.service"),
            "[Service]\nUser=portable\n",
        ),
        (
            &format!("{ETC}/other.service"),
            "-> /usr/lib/systemd/system/a.service",
        ),
    ]);
    let unit = get(&root, "a");
    assert_eq!(unit.settings.last("Service", "User"), Some("control"));
    assert_eq!(
        shown(&unit.alias_links),
        ["/etc/systemd/system/other.service"]
    );
    let attached = get(&root, "portable");
    assert_eq!(
        attached.fragment.to_string(),
        "/etc/systemd/system.attached/portable.service"
    );
}

#[test]
fn a_program_without_a_directory_is_searched_for() {
    let root = host(&[
        (
            &format!("{LIB}/a.service"),
            "[Service]\nExecStart=-nginx -g x\n",
        ),
        (
            &format!("{LIB}/b.service"),
            "[Service]\nExecSearchPath=/opt/b/bin:/srv/b\nExecStart=b\n",
        ),
    ]);
    let searched = |name: &str| {
        let unit = get(&root, name);
        let named = paths_named(&unit.settings, &unit.context());
        assert!(named.iter().all(|n| n.kind == PathKind::SearchedProgram));
        shown(&named.iter().map(|n| n.path.clone()).collect::<Vec<_>>())
    };
    assert_eq!(
        searched("a"),
        [
            "/usr/local/sbin/nginx",
            "/usr/local/bin/nginx",
            "/usr/sbin/nginx",
            "/usr/bin/nginx"
        ]
    );
    assert_eq!(searched("b"), ["/opt/b/bin/b", "/srv/b/b"]);
}
