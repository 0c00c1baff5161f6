//! The directories that libvirt is about to mount, and to mount on, before it does.
//!
//! libvirt resolves them as paths, links included, while the host's own tree is still in sight,
//! and makes what is missing. The content is what an earlier run of the container left: a link in
//! it would have libvirt mount a directory of the host's, or make one there (A07). Nothing of the
//! container runs now, so what is seen stays so.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use vss_model::{DomainSpec, Filesystem};

use crate::error::Error;

/// What libvirt's LXC driver mounts or makes in any root, whatever the domain says.
const OF_LIBVIRT: [&str; 4] = ["dev", "proc", "sys", ".oldroot"];

const NO_LINKS: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);

/// Refuses a domain with a link in the source of a mount or on the way to its target.
pub(crate) fn check(content: &Path, domain: &DomainSpec) -> Result<(), Error> {
    let top = look(CWD, content).map_err(|errno| refused(content, errno))?;
    for name in OF_LIBVIRT {
        target(&top, content, Path::new(name))?;
    }
    for filesystem in &domain.filesystems {
        let path = match filesystem {
            Filesystem::Bind { source, target, .. } => {
                look(CWD, source.as_path()).map_err(|errno| refused(source.as_path(), errno))?;
                target
            }
            Filesystem::Ram { target, .. } => target,
        };
        let relative = path.as_path().strip_prefix("/").unwrap_or(path.as_path());
        target(&top, content, relative)?;
    }
    Ok(())
}

/// Follows a target as far as there is something; the rest is libvirt's to make.
fn target(top: &OwnedFd, content: &Path, relative: &Path) -> Result<(), Error> {
    let mut way = PathBuf::new();
    for name in relative.components() {
        let Component::Normal(name) = name else {
            continue;
        };
        way.push(name);
        match look_beneath(top, &way) {
            Ok(_) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(refused(&content.join(&way), errno)),
        }
    }
    Ok(())
}

fn look(from: rustix::fd::BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(from, path, flags, Mode::empty(), NO_LINKS)
}

fn look_beneath(top: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = NO_LINKS.union(ResolveFlags::BENEATH);
    openat2(top, path, flags, Mode::empty(), resolve)
}

fn refused(path: &Path, errno: Errno) -> Error {
    match errno {
        Errno::LOOP => Error::Link(path.to_owned()),
        errno => Error::Io {
            what: format!("mount {}", path.display()),
            source: errno.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use vss_model::AbsPath;

    use super::*;

    fn bind(source: &Path, target: &str) -> Filesystem {
        Filesystem::Bind {
            source: AbsPath::new(source).unwrap(),
            target: target.parse().unwrap(),
            readonly: true,
        }
    }

    /// A content with `/etc` and `/var/lib/shared`, and a domain that mounts on both.
    fn scene(spoil: impl FnOnce(&Path)) -> Result<(), Error> {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        let content = place.join("content");
        let shared = place.join("shared");
        for made in [
            &content.join("etc"),
            &content.join("var/lib/shared"),
            &shared,
        ] {
            fs::create_dir_all(made).unwrap();
        }
        let domain = DomainSpec {
            name: "x".parse().unwrap(),
            uuid: vss_model::Uuid::nil(),
            init: "/init".parse().unwrap(),
            init_args: Vec::new(),
            init_env: Vec::new(),
            memory_kib: 0,
            filesystems: vec![
                bind(&content, "/"),
                bind(&content.join("etc"), "/etc"),
                bind(&shared, "/var/lib/shared"),
                Filesystem::Ram {
                    target: "/run".parse().unwrap(),
                    size: 1,
                },
            ],
            interfaces: Vec::new(),
            private_users: None,
            label: None,
        };
        spoil(&content);
        check(&content, &domain)
    }

    fn replace(content: &Path, path: &str) {
        let path = content.join(path);
        if path.exists() {
            fs::rename(&path, path.with_extension("aside")).unwrap();
        }
        symlink("/etc", path).unwrap();
    }

    #[test]
    fn what_is_no_link_may_be_mounted_and_mounted_on() {
        scene(|_| {}).unwrap();
        scene(|content| fs::remove_dir(content.join("var/lib/shared")).unwrap()).unwrap();
    }

    #[test]
    fn a07_no_link_is_mounted_or_mounted_on() {
        for path in ["etc", "var", "var/lib", "var/lib/shared", "run", "proc"] {
            let error = scene(|content| replace(content, path)).unwrap_err();
            let Error::Link(named) = &error else {
                panic!("{path}: {error}");
            };
            assert!(named.ends_with(path), "{path}: {error}");
        }
    }

    #[test]
    fn a07_a_content_that_is_missing_or_a_file_is_named() {
        let error = scene(|content| fs::remove_dir(content.join("etc")).unwrap()).unwrap_err();
        assert!(error.to_string().contains("/content/etc"), "{error}");
    }
}
