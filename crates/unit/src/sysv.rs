//! Services that come with an init script and no unit: the unit that systemd-sysv-generator(8)
//! makes of the script at boot.
//!
//! The host's own generated units are not looked at: there are none where systemd isn't running,
//! and a container's systemd makes its own, by the same generator out of the same script. What is
//! told here is what that one will be.

use std::fmt::Write;

/// Where scripts are.
pub(crate) const SCRIPTS: &str = "/etc/init.d";
/// What makes units of them. A systemd without it knows no scripts.
pub(crate) const GENERATOR: &str = "/usr/lib/systemd/system-generators/systemd-sysv-generator";

/// Whether a file of the directory is no script but what an editor or a package left there
/// (`hidden_or_backup_file()` of systemd).
pub(crate) fn is_left_over(name: &str) -> bool {
    const SUFFIXES: [&str; 18] = [
        "rpmnew",
        "rpmsave",
        "rpmorig",
        "dpkg-old",
        "dpkg-new",
        "dpkg-tmp",
        "dpkg-dist",
        "dpkg-bak",
        "dpkg-backup",
        "dpkg-remove",
        "ucf-new",
        "ucf-old",
        "ucf-dist",
        "swp",
        "bak",
        "old",
        "new",
        "pacnew",
    ];
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    name.starts_with('.') || name.ends_with('~') || suffix.is_some_and(|s| SUFFIXES.contains(&s))
}

/// What the comments of a script say (the LSB's "Comment Conventions for Init Scripts").
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// What it provides besides its own name.
    pub(crate) provides: Vec<String>,
    /// What has to be there before it, facilities included.
    after: Vec<String>,
    before: Vec<String>,
    short: Option<String>,
    long: Option<String>,
    pid_file: Option<String>,
    reloads: bool,
}

/// Where in a script a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside of the header.
    Plain,
    /// In the header.
    Lsb,
    /// In the header, in a description of several lines.
    Description,
    /// In the middle of a help text of several lines.
    Usage,
}

impl Header {
    pub(crate) fn of(script: &[u8]) -> Self {
        let mut header = Self::default();
        let mut place = Place::Plain;
        for line in String::from_utf8_lossy(script).lines() {
            let line = line.trim();
            place = match line.strip_prefix('#') {
                Some(_) if line == "### BEGIN INIT INFO" && place == Place::Plain => Place::Lsb,
                Some(_) if line == "### END INIT INFO" => Place::Plain,
                Some(comment) => header.comment(comment.trim_start(), place),
                None => header.code(line, place),
            };
        }
        header
    }

    /// A line that is no comment: it may be the help text, which tells whether it can reload.
    fn code(&mut self, line: &str, place: Place) -> Place {
        let line = line.to_ascii_lowercase();
        if place != Place::Usage && !line.contains("usage") {
            return place;
        }
        let verbs = [
            "{reload|",
            "{reload}",
            "{reload\"",
            "|reload|",
            "|reload}",
            "|reload\"",
        ];
        let reloads = verbs.iter().any(|v| line.contains(v));
        self.reloads |= reloads;
        match line.ends_with('\\') && !reloads {
            true => Place::Usage,
            false => Place::Plain,
        }
    }

    fn comment(&mut self, comment: &str, place: Place) -> Place {
        if !matches!(place, Place::Lsb | Place::Description) {
            if let Some(file) = value(comment, "pidfile") {
                self.pid_file = Some(file.to_owned());
            }
            return place;
        }
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        if let Some(text) = value(comment, "Provides") {
            self.provides.extend(words(text));
        } else if let Some(text) = ["Required-Start", "Should-Start", "X-Start-After"]
            .iter()
            .find_map(|key| value(comment, key))
        {
            self.after.extend(words(text));
        } else if let Some(text) = value(comment, "X-Start-Before") {
            self.before.extend(words(text));
        } else if let Some(text) = value(comment, "Description") {
            self.long = Some(text.to_owned()).filter(|t| !t.is_empty());
            return Place::Description;
        } else if let Some(text) = value(comment, "Short-Description") {
            self.short = Some(text.to_owned()).filter(|t| !t.is_empty());
        } else {
            return place;
        }
        Place::Lsb
    }

    /// The unit of a script of this name, without what its links in `/etc/rc?.d` add: a container
    /// has none, as it starts what it is told to.
    pub(crate) fn unit(&self, name: &str, script: &str) -> String {
        let mut unit = format!("[Unit]\nSourcePath={script}\n");
        let mut line = |text: std::fmt::Arguments<'_>| {
            // a string takes it all
            let _ = unit.write_fmt(text);
            unit.push('\n');
        };
        if let Some(text) = self.short.as_ref().or(self.long.as_ref()) {
            line(format_args!("Description=LSB: {}", escaped(text)));
        }
        for before in self.before.iter().filter_map(|f| translated(f, name)) {
            line(format_args!("Before={before}"));
        }
        let after: Vec<String> = self
            .after
            .iter()
            .filter_map(|f| translated(f, name))
            .collect();
        for unit in &after {
            line(format_args!("After={unit}"));
        }
        if after.iter().any(|unit| unit == ONLINE) {
            line(format_args!("Wants={ONLINE}"));
        }
        line(format_args!(
            "[Service]\nType=forking\nRestart=no\nTimeoutSec=5min\nIgnoreSIGPIPE=no\n\
             KillMode=process\nGuessMainPID=no"
        ));
        match &self.pid_file {
            Some(file) => line(format_args!(
                "RemainAfterExit=no\nPIDFile={}",
                escaped(file)
            )),
            None => line(format_args!("RemainAfterExit=yes")),
        }
        let script = escaped(script);
        line(format_args!(
            "SuccessExitStatus=5 6\nExecStart={script} start\nExecStop={script} stop"
        ));
        if self.reloads {
            line(format_args!("ExecReload={script} reload"));
        }
        unit
    }
}

const ONLINE: &str = "network-online.target";

/// The value of a key of a header, which is spelled as one likes.
fn value<'t>(comment: &'t str, key: &str) -> Option<&'t str> {
    let (found, text) = comment.split_once(':')?;
    found.eq_ignore_ascii_case(key).then(|| text.trim())
}

/// The unit that a facility is; `None` for what is always there, and for the script itself.
fn translated(facility: &str, own: &str) -> Option<String> {
    let unit = match facility {
        "$network" => ONLINE,
        "$named" => "nss-lookup.target",
        "$portmap" => "rpcbind.target",
        "$remote_fs" => "remote-fs.target",
        "$time" => "time-sync.target",
        "$local_fs" | "$syslog" => return None,
        other => {
            if let Some(target) = other.strip_prefix('$') {
                return Some(format!("{target}.target"));
            }
            let name = unit_stem(other);
            return (name != own).then(|| format!("{name}.service"));
        }
    };
    Some(unit.to_owned())
}

/// The name of a script's unit, less `.service`.
pub(crate) fn unit_stem(script: &str) -> &str {
    script.strip_suffix(".sh").unwrap_or(script)
}

fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCRIPT: &str = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides:          x other\n\
        # Required-Start:    $local_fs $network y\n# Should-Start: $named z.sh x $odd\n\
        # X-Start-Before: late\n# Short-Description: 100% x\n# Description: long\n#   and longer\n\
        ### END INIT INFO\n# pidfile: /run/x.pid\ncase $1 in *)\n\
        echo \"Usage: x {start|stop|\\\n  restart|reload}\" ;; esac\n";

    #[test]
    fn a_script_s_comments_are_its_unit() {
        let header = Header::of(SCRIPT.as_bytes());
        assert_eq!(header.provides, ["x", "other"]);
        assert_eq!(
            header.unit("x", "/etc/init.d/x"),
            "[Unit]\nSourcePath=/etc/init.d/x\nDescription=LSB: 100%% x\nBefore=late.service\n\
             After=network-online.target\nAfter=y.service\nAfter=nss-lookup.target\n\
             After=z.service\nAfter=odd.target\nWants=network-online.target\n\
             [Service]\nType=forking\nRestart=no\nTimeoutSec=5min\nIgnoreSIGPIPE=no\n\
             KillMode=process\nGuessMainPID=no\nRemainAfterExit=no\nPIDFile=/run/x.pid\n\
             SuccessExitStatus=5 6\nExecStart=/etc/init.d/x start\nExecStop=/etc/init.d/x stop\n\
             ExecReload=/etc/init.d/x reload\n"
        );
    }

    #[test]
    fn a_script_without_comments_is_started_and_stopped() {
        let unit = Header::of(b"exec x\n").unit("x", "/etc/init.d/x");
        assert!(unit.contains("RemainAfterExit=yes\n"), "{unit}");
        assert!(
            !unit.contains("reload") && !unit.contains("After="),
            "{unit}"
        );
    }

    proptest! {
        #[test]
        fn a14_any_script_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let unit = Header::of(&bytes).unit("x", "/etc/init.d/x");
            let parsed = crate::text::parse(unit.as_bytes());
            prop_assert!(parsed.assignments().any(|a| a.key == "ExecStart"));
        }
    }
}
