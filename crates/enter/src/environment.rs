//! What a command finds in its environment: an allow list, nothing of the caller's own (A43).

use std::ffi::CString;

use crate::account::Account;
use crate::command::Command;

/// Where programs are looked for inside, unless `--env PATH=` says otherwise: what systemd gives
/// its services.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of a command, in order of names.
#[derive(Debug, Clone)]
pub(crate) struct Environment(Vec<(String, String)>);

impl Environment {
    pub(crate) fn new(command: &Command, account: &Account) -> Self {
        let mut all = Self(Vec::new());
        all.set("PATH", PATH);
        all.set("HOME", &account.home);
        all.set("USER", &account.name);
        all.set("LOGNAME", &account.name);
        all.set("SHELL", &account.shell);
        all.set("LANG", plain(command.lang.as_deref()).unwrap_or("C.UTF-8"));
        all.set("container", "lxc-libvirt");
        if command.tty {
            all.set("TERM", plain(command.term.as_deref()).unwrap_or("vt220"));
        }
        for (name, value) in &command.env {
            all.set(name, value);
        }
        all
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(other, _)| other != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self) -> &str {
        self.0
            .iter()
            .find(|(name, _)| name == "PATH")
            .map_or("", |(_, value)| value.as_str())
    }

    /// As execve(2) wants it. Values with a NUL were refused before ([`Command::check`]); those of
    /// the container's files have none.
    pub(crate) fn to_strings(&self) -> Vec<CString> {
        self.0
            .iter()
            .filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok())
            .collect()
    }
}

/// A caller's value, if it is a plain word as names of terminals and locales are.
fn plain(value: Option<&str>) -> Option<&str> {
    value.filter(|text| {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '@');
        !text.is_empty() && text.len() <= 64 && text.chars().all(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vss_model::Confinement;

    #[test]
    fn a43_only_what_is_listed_goes_in() {
        let account = crate::account::find(None, b"", b"").unwrap();
        let mut command = Command::new(vec!["x".to_owned()], Confinement::Reduced);
        command.term = Some("xterm-256color".to_owned());
        command.lang = Some("de_DE.UTF-8@euro; x".to_owned());
        let names = |command: &Command| -> Vec<String> {
            let all = Environment::new(command, &account).to_strings();
            all.iter().map(|s| s.to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(
            names(&command),
            [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root",
                "USER=root",
                "LOGNAME=root",
                "SHELL=/bin/sh",
                "LANG=C.UTF-8",
                "container=lxc-libvirt",
            ]
        );
        command.tty = true;
        command.env = vec![
            ("HOME".to_owned(), "/x".to_owned()),
            ("A".to_owned(), "b=c".to_owned()),
        ];
        let all = names(&command);
        assert!(all.contains(&"TERM=xterm-256color".to_owned()));
        assert!(all.contains(&"HOME=/x".to_owned()) && !all.contains(&"HOME=/root".to_owned()));
        assert!(all.contains(&"A=b=c".to_owned()));
    }
}
