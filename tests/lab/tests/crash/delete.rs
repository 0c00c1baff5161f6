//! Faults in `delete`.

use vss_lab::Lab;
use vss_lab::snapshot::Snapshot;

use crate::cases::{Case, at_each, end, fail, kill, note, on_a_small_host};
use crate::ground::{CREATE, DELETE, Ground, Verb};
use crate::trace::{Fault, processors};

const LXC: &str = "lxc:///system";
const DEFINE: &str = "net-define /usr/share/virt-sandbox/network.xml; net-start virt-sandbox";
const DESTROY: &str = "net-destroy virt-sandbox; net-undefine virt-sandbox";

#[test]
fn a50_a_delete_that_is_killed_is_finished_by_the_next() {
    at_each(Verb::Delete, kill);
}

#[test]
fn a51_a_delete_that_meets_an_error_is_finished_by_the_next() {
    at_each(Verb::Delete, fail);
}

/// The project's network is there from the first start on, and goes with the last container: also
/// where the delete is killed before or after any of what it asks libvirt for.
#[test]
fn a50_a_delete_that_is_killed_leaves_no_network() {
    let lab = Lab::enter();
    let virsh = |commands: &str| lab.run("virsh", &["-q", "-c", LXC, commands]).ok();
    // the first network of all makes directories of libvirt's own
    virsh(DEFINE);
    virsh(DESTROY);
    let everything = Snapshot::settled(&lab);
    on_a_small_host(|| {
        let ground = Ground::new(&lab, 0, processors().first().copied());
        lab.vss(&CREATE).ok();
        virsh(DEFINE);
        let calls = ground.tracer.calls(&DELETE);
        ground.same().expect("no network");
        // up to there it is the delete of any other container
        let config = calls
            .iter()
            .position(|call| call.line.contains(r#"part\":\"config"#));
        let calls = calls.into_iter().skip(config.expect("the last part"));
        let ask = calls.clone().filter(|call| call.asks()).count();
        assert!(ask > 2, "it asks libvirt for nothing");
        let cases: Vec<_> = calls
            .filter(|call| call.asks() || !call.failed())
            .map(|call| Case::new(&call, Fault::Kill))
            .collect();
        let mut wrong = Vec::new();
        for case in &cases {
            lab.vss(&CREATE).ok();
            virsh(DEFINE);
            let verdict = ground
                .faulty(case, &DELETE)
                .and_then(|_| ground.deleted_by_the_next(&DELETE));
            if let Err(text) = verdict {
                wrong.push(note(case, &text));
                // nor must it take the others with it
                let _ = lab.run("virsh", &["-q", "-c", LXC, DESTROY]);
            }
        }
        end(&cases, &wrong);
    });
    everything.assert_same(&Snapshot::settled(&lab), "something is left");
}
