//! Links the init statically.
//!
//! It is executed in the container's root before anything there is confined. A dynamic linker would
//! read `/etc/ld.so.preload` and `/etc/ld.so.cache`, which are the container's to write, and load
//! what they name into a process that still has every capability (A09).
//!
//! `target-feature=+crt-static` is for all programs of a build or none, and libvirt can't be linked
//! so. The compiler asks for shared libraries by name; linker scripts of these names, which are
//! found first, lead to the archives. `tests/program.rs` has a look at the outcome.

#![expect(clippy::expect_used, reason = "how a build script speaks and fails")]

use std::env;
use std::fs;
use std::path::PathBuf;

/// The names that the compiler asks for, and what they lead to.
const LIBRARIES: [(&str, &str); 3] = [
    ("libgcc_s.so", "INPUT(-lgcc_eh -lgcc)"),
    ("libc.so", "INPUT(-l:libc.a)"),
    ("libm.so", "INPUT(-l:libm.a)"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for (name, script) in LIBRARIES {
        fs::write(out.join(name), format!("{script}\n")).expect("a file in OUT_DIR");
    }
    println!("cargo::rustc-link-arg-bins=-L{}", out.display());
    println!("cargo::rustc-link-arg-bins=-static-pie");
}
