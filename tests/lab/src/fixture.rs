//! A package made for a test, installed in the world as any other: `dpkg` knows its files.

use std::path::Path;

use crate::Lab;

/// Installs a package of that name with these files.
///
/// # Panics
/// Where it can't be built or installed.
pub fn install(lab: &Lab, package: &str, files: &[(&str, &str)]) {
    let tree = format!("/run/lab-package/{package}");
    let control = format!(
        "Package: {package}\nVersion: 1\nArchitecture: all\nMaintainer: lab <lab@localhost>\n\
         Description: made for a test\n"
    );
    write(&tree, "/DEBIAN/control", &control);
    for (path, text) in files {
        write(&tree, path, text);
    }
    let deb = format!("{tree}.deb");
    lab.run("dpkg-deb", &["--build", "--root-owner-group", &tree, &deb])
        .ok();
    lab.run("dpkg", &["--install", &deb]).ok();
}

/// Installs a package with one service, which is all that a test wants to say of it.
///
/// # Panics
/// As [`install`].
pub fn service(lab: &Lab, name: &str, unit: &str, service: &str) {
    let text = format!("[Unit]\nDescription={name}\n{unit}\n[Service]\n{service}\n");
    let path = format!("/usr/lib/systemd/system/{name}.service");
    install(lab, &format!("{name}-package"), &[(&path, &text)]);
}

fn write(tree: &str, path: &str, text: &str) {
    let file = format!("{tree}{path}");
    let parent = Path::new(&file).parent().unwrap();
    std::fs::create_dir_all(parent).unwrap();
    std::fs::write(&file, text).unwrap();
}
