//! Swaps directories and files for links while somebody walks over them.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::facts::Facts;
use crate::run::complain;

/// How many of each kind: a walk that takes its time meets some in each state.
const COUNT: usize = 8;

/// What stands at `honest` and at `link` changes places, again and again.
struct Swap {
    honest: PathBuf,
    link: PathBuf,
}

impl Swap {
    fn exchange(&self) -> nix::Result<()> {
        let flags = RenameFlags::RENAME_EXCHANGE;
        renameat2(AT_FDCWD, &self.honest, AT_FDCWD, &self.link, flags)
    }
}

/// Directories with files of the same names as the victim's, and single files; all from the working
/// directory on, so that a deletion that begins by moving the tree doesn't end it.
fn prepare(victim: &Path) -> io::Result<Vec<Swap>> {
    let mut swaps = Vec::new();
    let place = Path::new("");
    for number in 0..COUNT {
        let honest = place.join(format!("directory-{number}/honest"));
        let link = place.join(format!("directory-{number}/link"));
        fs::create_dir_all(honest.join("inner"))?;
        fs::write(honest.join("file"), "honest\n")?;
        fs::write(honest.join("inner/file"), "honest\n")?;
        symlink(victim, &link)?;
        swaps.push(Swap { honest, link });
        let honest = place.join(format!("honest-{number}"));
        let link = place.join(format!("link-{number}"));
        fs::write(&honest, "honest\n")?;
        symlink(victim.join("file"), &link)?;
        swaps.push(Swap { honest, link });
    }
    Ok(swaps)
}

/// Goes on until it is killed, or until what it swaps is gone.
pub(crate) fn run(place: &str, victim: &str) -> ExitCode {
    if let Err(failure) = Facts::read() {
        return complain(&failure.to_string());
    }
    let swaps = std::env::set_current_dir(place).and_then(|()| prepare(Path::new(victim)));
    let swaps = match swaps {
        Ok(swaps) => swaps,
        Err(error) => return complain(&format!("{place}: {error}")),
    };
    let _ = writeln!(io::stdout(), "racing");
    while swaps.iter().filter(|swap| swap.exchange().is_ok()).count() > 0 {}
    ExitCode::SUCCESS
}
