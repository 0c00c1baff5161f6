//! The pair of what is shown about races: a walk by path strings, which believes that a thing is what
//! it was a moment ago. It follows the links that [`race`](crate::race) puts in its way.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::lchown;
use std::path::Path;
use std::process::ExitCode;

use crate::facts::Facts;
use crate::run::complain;
use crate::sys::{self, Arg, call};

/// What is done to each file.
#[derive(Debug, Clone, Copy)]
enum Act<'a> {
    Copy(&'a Path),
    Remove,
    Own,
    Label,
}

pub(crate) fn run(what: &str, place: &str, to: Option<&str>) -> ExitCode {
    if let Err(failure) = Facts::read() {
        return complain(&failure.to_string());
    }
    let act = match (what, to) {
        ("copy", Some(to)) => Act::Copy(Path::new(to)),
        ("remove", None) => Act::Remove,
        ("own", None) => Act::Own,
        ("label", None) => Act::Label,
        _ => return complain(crate::USAGE),
    };
    walk(Path::new(place), act);
    ExitCode::SUCCESS
}

/// What fails meanwhile is gone or changed, and there is more.
fn walk(path: &Path, act: Act<'_>) {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    if !is_directory {
        let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        if !is_link {
            let _ = file(path, act);
        }
        return;
    }
    if let Act::Copy(to) = act {
        let _ = fs::create_dir(to);
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name();
        match act {
            Act::Copy(to) => walk(&path.join(&name), Act::Copy(&to.join(&name))),
            other => walk(&path.join(&name), other),
        }
    }
}

fn file(path: &Path, act: Act<'_>) -> io::Result<()> {
    match act {
        Act::Copy(to) => fs::copy(path, to).map(drop),
        Act::Remove => fs::remove_file(path),
        Act::Own => lchown(path, Some(12), Some(12)),
        Act::Label => label(path),
    }
}

/// Sets an attribute that the kernel keeps for nobody.
fn label(path: &Path) -> io::Result<()> {
    let name: CString = c"trusted.breakout".into();
    let path = sys::text(path)?;
    let args = [
        Arg::Text(&path),
        Arg::Text(&name),
        Arg::Bytes(b"labelled"),
        Arg::Number(8),
        Arg::Number(0),
    ];
    call(libc::SYS_setxattr, &args)?;
    Ok(())
}
