//! Input for a terminal that one sits at.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use nix::fcntl::{OFlag, open};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::setsid;

use crate::facts::Facts;
use crate::outcome::{Outcome, Step, refused};
use crate::sys;

/// Types into its own terminal, as it would into one that an administrator lent.
pub(crate) fn tiocsti(_: &Facts) -> Outcome {
    let host = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY).needed("a terminal")?;
    grantpt(&host).needed("a terminal")?;
    unlockpt(&host).needed("a terminal")?;
    let name = ptsname_r(&host).needed("a terminal")?;
    // Its end would hang up this session, and this process with it.
    std::mem::forget(host);
    let _ = setsid();
    let guest = open(
        name.as_str(),
        OFlag::O_RDWR | OFlag::O_NOCTTY,
        Mode::empty(),
    )
    .map(File::from)
    .needed("its other end")?;
    sys::ioctl(guest.as_fd(), libc::TIOCSCTTY, &[]).needed("to sit at it")?;
    let mut settings = tcgetattr(&guest).needed("its settings")?;
    settings.local_flags.remove(LocalFlags::ICANON);
    tcsetattr(&guest, SetArg::TCSANOW, &settings).needed("its settings")?;
    sys::ioctl(guest.as_fd(), libc::TIOCSTI, b"x").step("TIOCSTI")?;
    let mut typed = [0];
    (&guest).read_exact(&mut typed).step("read")?;
    if &typed == b"x" {
        Ok("typed".to_owned())
    } else {
        refused("read", format!("{typed:?}"))
    }
}
