//! What `status` says where the host tells two things.

use vss_model::SandboxState;

use super::world::{World, name};
use crate::inventory;

#[test]
fn a_container_that_runs_and_of_which_nothing_is_known_is_told() {
    let world = World::new();
    world.create("web1").unwrap();
    let host = world.host();
    let web = name("web1");
    let uuid = host.store().load(&web).unwrap().uuid;
    let _run = host.store().run_lock(&web).unwrap().unwrap();
    let problem = || {
        let status = inventory::status(&host, &web).unwrap();
        assert_eq!(status.entry.state, SandboxState::Starting);
        status.entry.problem
    };
    // its runner has just begun
    assert_eq!(problem(), None);
    host.store().make_runtime(&web).unwrap();
    world.hypervisor.add(vss_libvirt::DomainInfo {
        name: "web1".to_owned(),
        uuid,
        active: true,
        label: None,
    });
    assert_eq!(problem(), None);
    world.remove("run/libvirt-sandbox/web1");
    let told = problem().unwrap();
    assert!(told.contains("/run/libvirt-sandbox/web1 is gone"), "{told}");
}
