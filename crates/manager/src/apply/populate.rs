//! Fills a container's tree: what is copied, then what is made.

use std::fmt::Write as _;
use std::thread::available_parallelism;

use rustix::process::{Resource, getrlimit};
use sha2::{Digest, Sha256};
use vss_model::manifest::PlacedFile;
use vss_model::{AbsPath, SandboxName, Uuid};
use vss_plan::SandboxPlan;
use vss_tree::{Attributes, CopyOptions, Kind, Progress, Root};

use super::layout::{self, Layout, Make};
use crate::control::{Control, Notice};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::hostkey;

/// The most bytes of an SSH public key file.
const MAX_KEY: u64 = 64 * 1024;

/// What was put into the tree.
#[derive(Debug, Default)]
pub(super) struct Populated {
    /// Bytes copied.
    pub(super) bytes: u64,
    /// Regular files and links, ordered by path.
    pub(super) placed: Vec<PlacedFile>,
}

pub(super) fn populate(
    host: &Host,
    plan: &SandboxPlan,
    root: &Root,
    control: &Control<'_>,
) -> Result<Populated> {
    let layout = layout::layout(plan);
    let mut populated = copy(host, &layout, root, control)?;
    let source = host.tree()?;
    let mut maker = Maker {
        source,
        root,
        name: &plan.config.name,
        placed: &mut populated.placed,
    };
    for (path, make) in &layout.nodes {
        control.check()?;
        maker.make(path, make)?;
    }
    for path in &layout.mount_points {
        maker.mount_point(path)?;
    }
    populated.placed.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(populated)
}

fn copy(host: &Host, layout: &Layout, root: &Root, control: &Control<'_>) -> Result<Populated> {
    let bridge = Bridge(control);
    control.observer.copying(layout.bytes);
    let options = CopyOptions {
        except: &layout.except,
        digests: &layout::wants_digest,
        progress: &bridge,
        cancelled: control.cancelled,
        threads: vss_tree::copy_threads(
            available_parallelism().map_or(1, usize::from),
            getrlimit(Resource::Nofile).current,
        ),
    };
    let report = vss_tree::copy(host.tree()?, root, &layout.items, &options);
    control.observer.copied_all();
    let report = report?;
    for (path, reason) in report.skipped {
        control.notice(&Notice::Skipped {
            path,
            why: reason.to_string(),
        });
    }
    Ok(Populated {
        bytes: report.bytes,
        placed: report.files,
    })
}

/// What the copy tells of its progress, passed on.
struct Bridge<'a>(&'a Control<'a>);

impl Progress for Bridge<'_> {
    fn advanced(&self, _files: u64, bytes: u64) {
        self.0.observer.copied(bytes);
    }
}

struct Maker<'a> {
    source: &'a Root,
    root: &'a Root,
    name: &'a SandboxName,
    placed: &'a mut Vec<PlacedFile>,
}

impl Maker<'_> {
    fn make(&mut self, path: &AbsPath, make: &Make) -> Result<()> {
        match make {
            Make::File {
                bytes,
                mode,
                uid,
                gid,
            } => self.file(path, bytes, attributes(*mode, *uid, *gid)),
            Make::Directory { mode, uid, gid } => {
                self.directory(path, attributes(*mode, *uid, *gid))
            }
            Make::Link(target) => self.link(path, target),
            Make::MachineId => {
                let id = format!("{}\n", Uuid::new_v4().simple());
                self.file(path, id.as_bytes(), attributes(0o444, 0, 0))
            }
            Make::HostKey(public) => self.host_key(path, public),
        }
    }

    fn file(&mut self, path: &AbsPath, bytes: &[u8], attributes: Attributes) -> Result<()> {
        self.parents(path)?;
        self.root.make_file(path.as_path(), bytes, attributes)?;
        self.note(path, Kind::File, attributes, bytes);
        Ok(())
    }

    fn link(&mut self, path: &AbsPath, target: &str) -> Result<()> {
        self.parents(path)?;
        self.root.make_link(path.as_path(), target.as_ref(), 0, 0)?;
        self.note(path, Kind::Link, attributes(0o777, 0, 0), target.as_bytes());
        Ok(())
    }

    /// One that the copy has brought stays as it is, with what is in it.
    fn directory(&mut self, path: &AbsPath, attributes: Attributes) -> Result<()> {
        self.parents(path)?;
        match self.root.metadata(path.as_path())? {
            Some(found) if found.is_directory() => Ok(()),
            _ => Ok(self.root.make_dir(path.as_path(), attributes)?),
        }
    }

    /// What is mounted there comes from the host: a directory for a directory, a file for a file.
    fn mount_point(&mut self, path: &AbsPath) -> Result<()> {
        if self.root.metadata(path.as_path())?.is_some() {
            return Ok(());
        }
        self.parents(path)?;
        let on_host = self.source.metadata(path.as_path())?;
        if on_host.is_some_and(|found| found.kind == Kind::File) {
            let empty = attributes(0o644, 0, 0);
            Ok(self.root.make_file(path.as_path(), b"", empty)?)
        } else {
            let plain = attributes(0o755, 0, 0);
            Ok(self.root.make_dir(path.as_path(), plain)?)
        }
    }

    fn parents(&self, path: &AbsPath) -> Result<()> {
        Ok(self.root.make_parents(path.as_path(), Some(self.source))?)
    }

    fn host_key(&mut self, path: &AbsPath, public: &AbsPath) -> Result<()> {
        let like = match self.source.metadata(public.as_path())? {
            Some(found) if found.kind == Kind::File => {
                self.source.read(public.as_path(), MAX_KEY)?
            }
            // a host that has lost the public half: the name tells what sshd_config(5) expects
            _ => path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(hostkey::kind_of_name)
                .map(|kind| kind.as_bytes().to_vec())
                .unwrap_or_default(),
        };
        let comment = format!("root@{}", self.name);
        let key = hostkey::like(&like, &comment).map_err(|source| Error::HostKey {
            path: path.clone(),
            source,
        })?;
        self.file(path, &key.private, attributes(0o600, 0, 0))?;
        self.file(public, &key.public, attributes(0o644, 0, 0))
    }

    fn note(&mut self, path: &AbsPath, kind: Kind, attributes: Attributes, bytes: &[u8]) {
        let file_type = match kind {
            Kind::Link => 0o120_000,
            _ => 0o100_000,
        };
        self.placed.push(PlacedFile {
            path: path.clone(),
            mode: file_type | attributes.mode,
            uid: attributes.uid,
            gid: attributes.gid,
            digest: layout::wants_digest(path).then(|| hex(&Sha256::digest(bytes))),
            package: None,
        });
    }
}

fn attributes(mode: u32, uid: u32, gid: u32) -> Attributes {
    Attributes { mode, uid, gid }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // writing to a String can't fail
        let _ = write!(out, "{byte:02x}");
        out
    })
}
