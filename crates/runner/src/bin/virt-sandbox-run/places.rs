//! Files of a container and of its runtime directory, by handles.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, unlinkat};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use vss_libvirt::Hypervisor as _;
use vss_model::handshake;
use vss_runner::outcome::Report;

use crate::error::{Error, at};
use crate::sandbox::Sandbox;

/// The most bytes of a report that are read.
const REPORT_LIMIT: u64 = 4096;

/// No link is followed and no mount crossed: the directory is the container's to do with as it
/// likes.
const INSIDE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

impl Sandbox {
    fn reports(&self) -> Result<OwnedFd, Errno> {
        let content = rustix::fs::open(
            self.config.content.as_path(),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let inside = handshake::REPORTS.trim_start_matches('/');
        openat2(content, inside, flags, Mode::empty(), INSIDE)
    }

    /// What the container says of how its service ended, in this run.
    pub(crate) fn report(&self) -> Option<Report> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat2(
            self.reports().ok()?,
            handshake::REPORT,
            flags,
            Mode::empty(),
            INSIDE,
        )
        .ok()?;
        let mode = fstat(&file).ok()?.st_mode;
        if FileType::from_raw_mode(mode) != FileType::RegularFile {
            return None;
        }
        let mut bytes = Vec::new();
        File::from(file)
            .take(REPORT_LIMIT)
            .read_to_end(&mut bytes)
            .ok()?;
        Report::parse(&bytes)
    }

    /// Takes away what an earlier run left. What can't be taken away is no report either.
    pub(crate) fn forget_report(&self) {
        if let Ok(directory) = self.reports() {
            let _ = unlinkat(directory, handshake::REPORT, AtFlags::empty());
        }
    }

    /// Opens the host's end of the console, raw: an echo would type into the container what it
    /// prints.
    pub(crate) fn open_console(&self) -> Result<Option<OwnedFd>, Error> {
        let Some(path) = self.libvirt()?.console(self.config.uuid)? else {
            return Ok(None);
        };
        let flags =
            OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let terminal = openat2(CWD, &path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
            .map_err(at("open the console", &path))?;
        let mut settings = tcgetattr(&terminal).map_err(at("use the console", &path))?;
        settings.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &settings)
            .map_err(at("use the console", &path))?;
        Ok(Some(terminal))
    }
}
