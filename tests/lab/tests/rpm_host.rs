//! A host whose packages rpm manages: Debian's Apache under Fedora's names and paths, installed by
//! rpm into the world (`tests/rpm`), and dpkg's database out of sight.

#![allow(clippy::expect_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::Path;

use vss_lab::{Lab, client};

const STATUS: &str = "/var/lib/dpkg/status";
const HTTPD: [&str; 3] = ["-C", "-u", "httpd.service"];
const PAGE: &str = "a page of the host's\n";

/// Dpkg's database, put back at the end.
struct Hidden(Vec<u8>);

impl Hidden {
    fn new() -> Self {
        let status = fs::read(STATUS).expect("the status file");
        fs::write(STATUS, "").expect("an empty status file");
        Self(status)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        fs::write(STATUS, &self.0).expect("the status file again");
    }
}

/// Makes the world a host of rpm's, the first time it is called.
fn become_fedora(lab: &Lab) -> Hidden {
    if !Path::new("/usr/sbin/httpd").exists() {
        let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/../rpm");
        let packages = "/run/rpm-packages";
        lab.run(&format!("{scripts}/build"), &[packages]).ok();
        lab.run(&format!("{scripts}/install"), &["/", packages])
            .ok();
        fs::write("/var/www/html/index.html", PAGE).expect("a page");
    }
    Hidden::new()
}

fn plan_of(lab: &Lab, unit: &str) -> String {
    let options = ["plan", "--confinement", "reduced", "-C", "-u", unit, "web2"];
    lab.vss(&options).ok()
}

#[test]
fn httpd_is_planned_made_run_asked_and_taken_away() {
    let lab = Lab::enter();
    let _hidden = become_fedora(&lab);
    let plan = plan_of(&lab, "httpd.service");
    for line in [
        "httpd-core",
        "mod_ssl",
        "mod_http2",
        "/etc/httpd",
        "/var/www",
    ] {
        assert!(plan.contains(line), "{line} is not in\n{plan}");
    }
    let web = lab.create("web1", &HTTPD);
    web.start();
    let status = lab.vss(&["status", "--format", "json", "web1"]).json();
    let address = status["address"].as_str().and_then(|a| a.parse().ok());
    let (head, body) = client::page(address.expect("an address"), "/").expect("a page");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, PAGE);
    // as its own user, from the modules' own package, with a log of its own
    let users = web.execute(&["ps", "-o", "user=", "-C", "httpd"]).ended(0);
    assert!(users.stdout().contains("apache"), "{}", users.stdout());
    web.execute(&["test", "-s", "/var/log/httpd/access_log"])
        .ended(0);
    web.execute(&["test", "-e", "/etc/httpd/modules/mod_ssl.so"])
        .ended(0);
    let why = lab
        .vss(&["explain", "web1", "/etc/httpd/conf/httpd.conf"])
        .ok();
    assert!(why.contains("httpd"), "{why}");
    lab.vss(&["stop", "web1"]).ok();
    lab.vss(&["delete", "--yes", "web1"]).ok();
}

#[test]
fn a_debian_with_an_rpm_database_stays_a_debian() {
    let lab = Lab::enter();
    drop(become_fedora(&lab));
    let plan = plan_of(&lab, "apache2.service");
    assert!(plan.contains("apache2-bin"), "{plan}");
    // dpkg knows no httpd: the unit is there, and no package's.
    let plan = plan_of(&lab, "httpd.service");
    assert!(!plan.contains("httpd-core"), "{plan}");
}
