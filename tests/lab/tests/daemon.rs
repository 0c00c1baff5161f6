//! libvirt's daemon goes and comes back, with containers running.

use std::time::Duration;

use vss_lab::Lab;

#[test]
fn a47_a_restart_of_libvirtd_is_nothing_to_a_container() {
    let lab = Lab::enter();
    let sandbox = lab.create("goeson", &["-u", "apache2.service"]);
    let other = lab.create("other", &["-u", "apache2.service", "-N", "none"]);
    sandbox.start();
    let before = sandbox.first_process();
    lab.run("pkill", &["-TERM", "-x", "libvirtd"]).ok();
    for _ in 0..600 {
        if lab.run("pgrep", &["-x", "libvirtd"]).code() != Some(0) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(sandbox.first_process(), before);
    sandbox.execute(&["true"]).ok();
    // Without libvirt a start says what is missing; the container that runs is not touched.
    let text = lab.vss(&["start", "other"]).failed(1);
    assert!(
        text.contains("libvirt is not running") && text.contains("\nhint: run `"),
        "{text}"
    );
    let create = [
        "create",
        "-u",
        "apache2.service",
        "--confinement",
        "reduced",
        "third",
    ];
    let text = lab.vss(&create).failed(1);
    assert!(
        text.contains("libvirt") && text.contains("\nhint: "),
        "{text}"
    );
    lab.vss(&["status", "third"]).failed(1);
    lab.run("libvirtd", &["-d"]).ok();
    for _ in 0..600 {
        if lab
            .run("virsh", &["-q", "-c", "lxc:///system", "uri"])
            .code()
            == Some(0)
        {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(sandbox.first_process(), before);
    other.start();
    sandbox.stop();
}
