//! The command line, which the plan writes and no person types.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use vss_model::{Confinement, IdRange};

use crate::ended::Look;
use crate::failure::{Failure, Stage};

#[derive(Debug, PartialEq)]
pub(crate) enum Args {
    Boot(Boot),
    /// How the units fare, and which look at them it is.
    Ended(Look, Vec<String>),
    Version,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Boot {
    pub(crate) confinement: Confinement,
    /// The users of the host that this process is to be root of; `None` for the host's own.
    pub(crate) private_users: Option<IdRange>,
    /// Whether the runner makes the network interface.
    pub(crate) awaits_network: bool,
    /// Trees that are writable inside, each a mount of its own.
    pub(crate) writable: Vec<PathBuf>,
    /// Trees that are made read-only besides `/` and `/usr`, each a mount of its own.
    pub(crate) read_only: Vec<PathBuf>,
    /// The SELinux context to find this process in.
    pub(crate) label: Option<OsString>,
    /// systemd and its arguments; not empty.
    pub(crate) command: Vec<CString>,
}

pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Args, Failure> {
    let mut args = args.peekable();
    match args.peek().and_then(|first| first.to_str()) {
        Some("--version") => return Ok(Args::Version),
        Some("--ended") => return ended(Look::First, args.skip(1)),
        Some(Look::LAST) => return ended(Look::Last, args.skip(1)),
        _ => {}
    }
    let mut confinement = None;
    let mut private_users = None;
    let mut awaits_network = false;
    let (mut writable, mut read_only) = (Vec::new(), Vec::new());
    let mut label = None;
    while let Some(option) = args.next() {
        let mut value = || {
            args.next()
                .ok_or_else(|| usage(format!("{} needs a value", option.to_string_lossy())))
        };
        match option.to_str() {
            Some("--confinement") => confinement = Some(parse_confinement(&value()?)?),
            Some("--await-network") => awaits_network = true,
            Some("--private-users") => private_users = Some(parse_users(&value()?)?),
            Some("--writable") => writable.push(parse_path("--writable", value()?)?),
            Some("--read-only") => read_only.push(parse_path("--read-only", value()?)?),
            Some("--label") => label = Some(value()?),
            Some("--") => {
                let confinement =
                    confinement.ok_or_else(|| usage("--confinement is missing".to_owned()))?;
                if confinement.needs_private_users() && private_users.is_none() {
                    return Err(usage("--private-users is missing".to_owned()));
                }
                return Ok(Args::Boot(Boot {
                    confinement,
                    private_users,
                    awaits_network,
                    writable,
                    read_only,
                    label,
                    command: parse_command(args)?,
                }));
            }
            _ => return Err(usage(format!("no option {}", option.to_string_lossy()))),
        }
    }
    Err(usage("no -- and program".to_owned()))
}

fn usage(text: String) -> Failure {
    Failure::new(Stage::Usage, text)
}

fn ended(look: Look, units: impl Iterator<Item = OsString>) -> Result<Args, Failure> {
    let units: Vec<String> = units
        .map(|unit| unit.into_string())
        .collect::<Result<_, _>>()
        .map_err(|unit| usage(format!("{} is no unit", unit.to_string_lossy())))?;
    if units.is_empty() {
        return Err(usage("--ended needs the units".to_owned()));
    }
    Ok(Args::Ended(look, units))
}

fn parse_confinement(value: &OsString) -> Result<Confinement, Failure> {
    let text = value.to_string_lossy();
    text.parse()
        .map_err(|error| usage(format!("--confinement: {error}")))
}

fn parse_users(value: &OsString) -> Result<IdRange, Failure> {
    let text = value.to_string_lossy();
    text.parse()
        .map_err(|error| usage(format!("--private-users: {error}")))
}

fn parse_path(option: &str, value: OsString) -> Result<PathBuf, Failure> {
    if value.as_bytes().first() == Some(&b'/') {
        Ok(value.into())
    } else {
        let shown = value.to_string_lossy();
        Err(usage(format!("{option} {shown}: not an absolute path")))
    }
}

fn parse_command(args: impl Iterator<Item = OsString>) -> Result<Vec<CString>, Failure> {
    // An argument can't hold a zero byte: it came through execve.
    let command: Vec<CString> = args
        .filter_map(|arg| CString::new(arg.into_vec()).ok())
        .collect();
    match command.first().map(|program| program.to_bytes()) {
        Some([b'/', ..]) => Ok(command),
        _ => Err(usage("the program after -- is no absolute path".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Args, Failure> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_plans_line_is_understood() {
        let args = parse_words(
            "--await-network --confinement reduced --private-users 100000:65536 --read-only /run/host --writable /etc --writable /var --label a:b:c:s0:c1,c2 -- /usr/lib/systemd/systemd --unit=x",
        );
        let expected = Boot {
            confinement: Confinement::Reduced,
            private_users: Some("100000:65536".parse().unwrap()),
            awaits_network: true,
            writable: vec!["/etc".into(), "/var".into()],
            read_only: vec!["/run/host".into()],
            label: Some("a:b:c:s0:c1,c2".into()),
            command: vec![
                c"/usr/lib/systemd/systemd".to_owned(),
                c"--unit=x".to_owned(),
            ],
        };
        assert_eq!(args.unwrap(), Args::Boot(expected));
    }

    #[test]
    fn what_is_incomplete_is_refused() {
        for line in [
            "",
            "--",
            "--confinement reduced",
            "--confinement",
            "--confinement strong -- /x",
            "--confinement userns -- /x",
            "--confinement userns --private-users 0:65536 -- /x",
            "--writable /etc -- /x",
            "--confinement none --writable etc -- /x",
            "--confinement none --read-only run/host -- /x",
            "--confinement none -- systemd",
            "--confinement none --",
            "--other",
            "--ended",
            "--ended-last",
        ] {
            let failure = parse_words(line).unwrap_err();
            assert_eq!(failure.stage, Stage::Usage, "{line}");
        }
    }

    #[test]
    fn ended_takes_units() {
        assert_eq!(
            parse_words("--ended a.service b.service").unwrap(),
            Args::Ended(
                Look::First,
                vec!["a.service".to_owned(), "b.service".to_owned()]
            )
        );
        assert_eq!(
            parse_words("--ended-last a.service").unwrap(),
            Args::Ended(Look::Last, vec!["a.service".to_owned()])
        );
    }
}
