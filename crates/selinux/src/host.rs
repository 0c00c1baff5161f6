//! The SELinux of this machine.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use selinux::{KernelSupport, SELinuxMode};
use vss_model::SecurityContext;
use vss_model::confinement::decision;

use crate::procfs::Procfs;
use crate::types::TypesError;
use crate::{ContainerTypes, Error, Labeller, Mode};

/// Where the kernel's SELinux is asked for decisions.
const ACCESS: &str = "/sys/fs/selinux/access";
/// The longest answer: selinuxfs gives at most a page.
const LONGEST: u64 = 4096;

/// The SELinux of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostLabeller;

impl Labeller for HostLabeller {
    fn mode(&self) -> Mode {
        if selinux::kernel_support() == KernelSupport::Unsupported {
            return Mode::Disabled;
        }
        match selinux::current_mode() {
            SELinuxMode::NotRunning => Mode::Disabled,
            SELinuxMode::Enforcing => Mode::Enforcing,
            // what is not known to be enforced is not claimed
            _ => Mode::Permissive,
        }
    }

    fn types(&self) -> Result<ContainerTypes, Error> {
        if self.has_module() {
            return ContainerTypes::of_module().map_err(|source| Error::Types {
                path: "virt_sandbox".into(),
                source,
            });
        }
        let defaults =
            |path| ContainerTypes::without_policy().map_err(|source| Error::Types { path, source });
        let Ok(path) = selinux::path::lxc_contexts() else {
            return defaults("lxc_contexts".into());
        };
        let fail = |source| Error::Types {
            path: path.to_owned(),
            source,
        };
        match std::fs::read_to_string(path) {
            Ok(text) => ContainerTypes::parse(&text).map_err(fail),
            Err(e) if e.kind() == io::ErrorKind::NotFound => defaults(path.to_owned()),
            Err(e) => Err(fail(TypesError::Read(e))),
        }
    }

    fn live(&self) -> Result<Vec<SecurityContext>, Error> {
        if !self.mode().is_enabled() {
            return Ok(vec![]);
        }
        let proc = Procfs::open()?;
        let pids = proc.pids().map_err(|source| Error::Label {
            action: "list the processes".to_owned(),
            source,
        })?;
        let mut labels = BTreeSet::new();
        for pid in pids {
            labels.extend(proc.label(pid)?);
        }
        // a context without a level has no categories to keep clear of
        Ok(labels.iter().filter_map(|text| text.parse().ok()).collect())
    }

    fn set(&self, fd: BorrowedFd<'_>, context: &SecurityContext) -> Result<(), Error> {
        let path = Procfs::link_to(fd)?;
        let text = c_text(context)?;
        selinux::SecurityContext::from_c_str(&text, true)
            .set_for_path(&path, true, true)
            .map_err(|e| Error::Label {
                action: format!("set the label {context}"),
                source: reason(e),
            })?;
        match self.get(fd)? {
            Some(found) if found == *context => Ok(()),
            found => Err(Error::NotKept {
                wanted: Box::new(context.clone()),
                found: found.map_or_else(|| "none".to_owned(), |c| c.to_string()),
            }),
        }
    }

    fn get(&self, fd: BorrowedFd<'_>) -> Result<Option<SecurityContext>, Error> {
        let path = Procfs::link_to(fd)?;
        match selinux::SecurityContext::of_path(&path, true, true) {
            Ok(Some(found)) => parse(&String::from_utf8_lossy(found.as_bytes())).map(Some),
            Ok(None) => Ok(None),
            Err(e) => match reason(e) {
                // a file system that keeps no labels
                e if e.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => Ok(None),
                source => Err(Error::Label {
                    action: "read the label".to_owned(),
                    source,
                }),
            },
        }
    }

    fn of_process(&self, pid: u32) -> Result<Option<SecurityContext>, Error> {
        if !self.mode().is_enabled() {
            return Ok(None);
        }
        let label = Procfs::open()?.label(pid)?;
        label.map(|text| parse(&text)).transpose()
    }

    fn check(&self, context: &SecurityContext) -> Result<(), Error> {
        let text = c_text(context)?;
        match selinux::SecurityContext::from_c_str(&text, true).check() {
            // None: SELinux is off
            Some(true) | None => Ok(()),
            Some(false) => Err(Error::UnknownToPolicy {
                context: Box::new(context.clone()),
            }),
        }
    }

    fn is_permissive(&self, context: &SecurityContext) -> Result<bool, Error> {
        let fail = |source| Error::Label {
            action: format!("ask what the policy makes of {context}"),
            source,
        };
        let answer = ask(&decision::question(context)).map_err(fail)?;
        decision::is_permissive(&answer).ok_or_else(|| {
            fail(io::Error::other(format!(
                "the kernel answers {:?}",
                answer.trim_end()
            )))
        })
    }
}

/// Asks for a decision of the policy. selinuxfs answers who asked, by the same open file.
fn ask(question: &str) -> io::Result<String> {
    let mut file = File::options().read(true).write(true).open(ACCESS)?;
    file.write_all(question.as_bytes())?;
    let mut answer = String::new();
    file.take(LONGEST).read_to_string(&mut answer)?;
    Ok(answer)
}

fn parse(text: &str) -> Result<SecurityContext, Error> {
    let text = text.trim_end_matches('\0');
    text.parse().map_err(|source| Error::Malformed {
        found: text.to_owned(),
        source,
    })
}

fn c_text(context: &SecurityContext) -> Result<CString, Error> {
    CString::new(context.to_string()).map_err(|e| Error::Label {
        action: format!("use the label {context}"),
        source: e.into(),
    })
}

/// The system's answer in an error of the `selinux` crate.
fn reason(error: selinux::errors::Error) -> io::Error {
    use selinux::errors::Error as E;
    match error {
        E::IO { source, .. }
        | E::IO1Name { source, .. }
        | E::IO1Path { source, .. }
        | E::IO1Process { source, .. } => source,
        other => io::Error::other(other),
    }
}
