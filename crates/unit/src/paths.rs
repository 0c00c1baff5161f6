//! Every path that a unit names, with what it is to the unit.

use std::path::Path;

use vss_model::AbsPath;

use crate::settings::{Setting, Settings};
use crate::specifier::{SpecifierContext, expand, for_any_instance};
use crate::words;

/// A path that a unit names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedPath {
    /// The path. Where `pattern` is set, its last components have wildcards.
    pub path: AbsPath,
    /// The directive, `EnvironmentFile=`.
    pub directive: String,
    /// What it is to the unit.
    pub kind: PathKind,
    /// Whether the unit does without (`-` before it).
    pub optional: bool,
    /// Whether it is a glob(7) pattern.
    pub pattern: bool,
    /// What the path may be for any instance of the unit's template, as a pattern; `None` where it
    /// is the same for all.
    pub any_instance: Option<String>,
}

/// What a path is to the unit that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathKind {
    /// A program of an `Exec` line.
    Program,
    /// A program that is written without a directory: one of the places where systemd searches for
    /// it, in their order; the first at which it is counts.
    SearchedProgram,
    /// An argument of an `Exec` line, `--option=/path` included.
    Argument,
    /// An argument that names no directory and has the instance in it: a file in the directory that
    /// the command starts in, if there is one of that name.
    RelativeArgument,
    /// A file that is read: `EnvironmentFile=`, `LoadCredential=`, `StandardInput=file:`.
    File,
    /// A file that output goes to.
    Output,
    /// A directory that systemd makes below `/run`.
    RuntimeDirectory,
    /// A directory that systemd makes below `/var/lib`.
    StateDirectory,
    /// A directory that systemd makes below `/var/cache`.
    CacheDirectory,
    /// A directory that systemd makes below `/var/log`.
    LogsDirectory,
    /// A directory that systemd makes below `/etc`.
    ConfigurationDirectory,
    /// Where the service starts.
    WorkingDirectory,
    /// What the service sees as `/`.
    RootDirectory,
    /// An image of what the service sees as `/`, or of a part of it.
    Image,
    /// What the service may write.
    Writable,
    /// What the service may read, or run, and not write.
    ReadOnly,
    /// What the service may not see.
    Inaccessible,
    /// The source of a bind mount.
    BindSource,
    /// Where a bind mount or a tmpfs is put.
    MountPoint,
    /// The PID file.
    PidFile,
    /// A socket or FIFO that a socket unit makes.
    Socket,
    /// What has to be so for the unit to start, else it is skipped (`Condition`) or fails
    /// (`Assert`). `!` makes it the opposite.
    Condition {
        /// Whether it must not be so.
        negated: bool,
        /// Whether it is an assertion.
        assert: bool,
    },
    /// What has to be mounted.
    MountsFor,
    /// What a path unit watches.
    Watched,
}

/// The paths that settings name, in their order, repeats left out. Paths with specifiers whose
/// value isn't known, with variables or with `..` are left out: what they name is not known.
#[must_use]
pub fn paths_named(settings: &Settings, context: &SpecifierContext) -> Vec<NamedPath> {
    let mut collector = Collector {
        context,
        settings,
        out: Vec::new(),
    };
    for setting in settings.entries() {
        // Of a key that takes one value, only the last is in force.
        let replaced = takes_one(&setting.key)
            && settings.of(&setting.section, &setting.key).last() != Some(setting);
        if !replaced {
            collector.take(setting);
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    collector.out.retain(|path| seen.insert(path.clone()));
    collector.out
}

fn takes_one(key: &str) -> bool {
    matches!(
        key,
        "WorkingDirectory"
            | "RootDirectory"
            | "RootImage"
            | "StandardInput"
            | "StandardOutput"
            | "StandardError"
            | "TTYPath"
            | "PIDFile"
            | "Where"
            | "What"
    )
}

/// Where systemd searches for programs.
const EXEC_SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/// How the value of a directive holds paths.
enum Form {
    /// Commands.
    Exec,
    /// One path, with `-` before it where it is optional.
    One(PathKind),
    /// The PID file: one path, below `/run` where it is relative.
    PidFile,
    /// Words, each a path with `-`, `+` or both before it.
    Words(PathKind),
    /// Words, each below a base directory, with links behind colons.
    Below(&'static str, PathKind),
    /// Words `source:target:options`.
    Bind,
    /// Words `path:options`.
    MountPoints,
    /// Words `path:rest`.
    Images,
    /// `file:/path` and its kin.
    Standard(PathKind),
    /// `id:/path`, or `id:name` or `id` of a file in one of these directories.
    Credential(&'static [&'static str]),
    /// A path, or what is none.
    Listen,
    /// `|`, `!`, path.
    Condition,
}

fn form(section: &str, key: &str) -> Option<Form> {
    let in_exec = matches!(section, "Service" | "Socket" | "Mount" | "Swap");
    Some(match (section, key) {
        ("Unit", "RequiresMountsFor" | "WantsMountsFor") => Form::Words(PathKind::MountsFor),
        ("Unit", key) => condition_key(key)?,
        ("Service", "PIDFile") => Form::PidFile,
        ("Socket", "Symlinks") => Form::Words(PathKind::Socket),
        ("Socket", key) if key.starts_with("Listen") => Form::Listen,
        ("Path", "DirectoryNotEmpty") => Form::One(PathKind::Watched),
        ("Path", key) if key.starts_with("Path") => Form::One(PathKind::Watched),
        ("Mount" | "Automount", "Where") => Form::One(PathKind::MountPoint),
        ("Mount" | "Swap", "What") => Form::One(PathKind::File),
        _ if in_exec => exec_key(key)?,
        _ => return None,
    })
}

/// The forms of systemd.exec(5) and of the `Exec` lines.
fn exec_key(key: &str) -> Option<Form> {
    Some(match key {
        "ExecPaths" | "NoExecPaths" => Form::Words(PathKind::ReadOnly),
        "ExecSearchPath" => return None,
        _ if key.starts_with("Exec") => Form::Exec,
        "EnvironmentFile" => Form::One(PathKind::File),
        "WorkingDirectory" => Form::One(PathKind::WorkingDirectory),
        "RootDirectory" => Form::One(PathKind::RootDirectory),
        "RootImage" => Form::One(PathKind::Image),
        "MountImages" | "ExtensionImages" | "ExtensionDirectories" => Form::Images,
        "RuntimeDirectory" => Form::Below("/run", PathKind::RuntimeDirectory),
        "StateDirectory" => Form::Below("/var/lib", PathKind::StateDirectory),
        "CacheDirectory" => Form::Below("/var/cache", PathKind::CacheDirectory),
        "LogsDirectory" => Form::Below("/var/log", PathKind::LogsDirectory),
        "ConfigurationDirectory" => Form::Below("/etc", PathKind::ConfigurationDirectory),
        "ReadWritePaths" | "ReadWriteDirectories" => Form::Words(PathKind::Writable),
        "ReadOnlyPaths" | "ReadOnlyDirectories" => Form::Words(PathKind::ReadOnly),
        "InaccessiblePaths" | "InaccessibleDirectories" => Form::Words(PathKind::Inaccessible),
        "BindPaths" | "BindReadOnlyPaths" => Form::Bind,
        "TemporaryFileSystem" => Form::MountPoints,
        "LoadCredential" => Form::Credential(&["/etc/credstore"]),
        "LoadCredentialEncrypted" | "ImportCredential" => {
            Form::Credential(&["/etc/credstore", "/etc/credstore.encrypted"])
        }
        "StandardInput" => Form::Standard(PathKind::File),
        "StandardOutput" | "StandardError" => Form::Standard(PathKind::Output),
        "TTYPath" => Form::One(PathKind::File),
        _ => return None,
    })
}

fn condition_key(key: &str) -> Option<Form> {
    let test = key
        .strip_prefix("Condition")
        .or(key.strip_prefix("Assert"))?;
    matches!(
        test,
        "PathExists"
            | "PathExistsGlob"
            | "PathIsDirectory"
            | "PathIsSymbolicLink"
            | "PathIsMountPoint"
            | "PathIsReadWrite"
            | "PathIsEncrypted"
            | "DirectoryNotEmpty"
            | "FileNotEmpty"
            | "FileIsExecutable"
            | "NeedsUpdate"
    )
    .then_some(Form::Condition)
}

struct Collector<'a> {
    context: &'a SpecifierContext,
    settings: &'a Settings,
    out: Vec<NamedPath>,
}

impl Collector<'_> {
    fn take(&mut self, setting: &Setting) {
        let Some(form) = form(&setting.section, &setting.key) else {
            return;
        };
        let (key, value) = (setting.key.as_str(), setting.value.as_str());
        match form {
            Form::Exec => self.exec(setting),
            Form::One(kind) => self.plain(key, value, kind),
            Form::PidFile if value.starts_with(['/', '%']) => {
                self.plain(key, value, PathKind::PidFile);
            }
            Form::PidFile => self.below(key, "/run", value, PathKind::PidFile),
            Form::Words(kind) => {
                for word in words::split(value) {
                    self.plain(key, &word, kind);
                }
            }
            Form::Below(base, kind) => {
                for word in words::split(value) {
                    self.below(key, base, &word, kind);
                }
            }
            Form::Bind => self.binds(key, value),
            Form::MountPoints => self.before_colon(key, value, PathKind::MountPoint),
            Form::Images => self.before_colon(key, value, PathKind::Image),
            Form::Standard(kind) => {
                for prefix in ["file:", "append:", "truncate:"] {
                    if let Some(path) = value.strip_prefix(prefix) {
                        self.plain(key, path, kind);
                    }
                }
            }
            Form::Credential(stores) => self.credential(key, value, stores),
            Form::Listen => self.plain(key, value, PathKind::Socket),
            Form::Condition => self.condition(key, value),
        }
    }

    /// Expands a path and files it; what is none is passed over.
    fn push(&mut self, key: &str, written: &str, kind: PathKind, optional: bool) {
        let Ok(path) = expand(written, self.context) else {
            return;
        };
        if !path.starts_with('/') || path.contains('$') {
            return;
        }
        let pattern = path.contains(['*', '?', '[']);
        if let Ok(path) = AbsPath::new(Path::new(&path)) {
            self.out.push(NamedPath {
                path,
                directive: format!("{key}="),
                kind,
                optional,
                pattern,
                any_instance: for_any_instance(written, self.context),
            });
        }
    }

    /// A path with its prefixes: `-` for optional, `+` for "below RootDirectory=".
    fn plain(&mut self, key: &str, value: &str, kind: PathKind) {
        let path = value.trim_start_matches(['-', '+']);
        let optional = value[..value.len() - path.len()].contains('-');
        // `WorkingDirectory=~` is a home directory, which the user database knows.
        self.push(key, path, kind, optional);
    }

    fn exec(&mut self, setting: &Setting) {
        let key = setting.key.as_str();
        for command in words::commands(&setting.value) {
            let optional = command.ignore_failure;
            self.program(setting, &command.program, optional);
            let directory = self.starts_in(&setting.section, &command.arguments);
            for argument in &command.arguments {
                for path in paths_in_argument(argument) {
                    self.push(key, path, PathKind::Argument, optional);
                }
                if let Some(directory) = &directory
                    && let Some(name) = self.relative(argument)
                {
                    let path = format!("{directory}/{name}");
                    self.push(key, &path, PathKind::RelativeArgument, true);
                }
            }
        }
    }

    fn program(&mut self, setting: &Setting, program: &str, optional: bool) {
        if program.contains('/') || program.starts_with('%') {
            self.push(&setting.key, program, PathKind::Program, optional);
            return;
        }
        let told = self.settings.last(&setting.section, "ExecSearchPath");
        for directory in told.unwrap_or(EXEC_SEARCH_PATH).split(':') {
            let place = format!("{directory}/{program}");
            self.push(&setting.key, &place, PathKind::SearchedProgram, optional);
        }
    }

    /// The directory that a command's relative arguments are in, as it is written: where it is told
    /// to go, else where it starts.
    fn starts_in(&self, section: &str, arguments: &[String]) -> Option<String> {
        let told = arguments.iter().position(|argument| argument == "--cd");
        let directory = match told.and_then(|at| arguments.get(at + 1)) {
            Some(directory) => directory,
            None => self.settings.last(section, "WorkingDirectory")?,
        };
        let directory = directory.trim_start_matches('-').trim_end_matches('/');
        directory
            .starts_with(['/', '%'])
            .then(|| directory.to_owned())
    }

    /// What may be the name of an instance's own file in an argument: the argument itself, or what
    /// stands behind the `=` of an option.
    fn relative<'w>(&self, argument: &'w str) -> Option<&'w str> {
        let name = match argument.strip_prefix('-') {
            Some(option) => option.split_once('=')?.1,
            None => argument,
        };
        let is_word = !name.starts_with('-') && !name.contains(char::is_whitespace);
        let any = for_any_instance(name, self.context)?;
        (is_word && !any.starts_with('/')).then_some(name)
    }

    /// `a b:link`: a directory below the base, and links to it below the base too.
    fn below(&mut self, key: &str, base: &str, word: &str, kind: PathKind) {
        for part in word
            .split(':')
            .filter(|part| !part.is_empty() && *part != "ro")
        {
            self.push(key, &format!("{base}/{part}"), kind, false);
        }
    }

    /// A credential is a file of its own, or has a name in the stores; the second half of
    /// `ImportCredential=` is what it is called inside.
    fn credential(&mut self, key: &str, value: &str, stores: &[&str]) {
        let name = match value.split_once(':') {
            Some((name, _)) if key == "ImportCredential" => name,
            Some((_, path)) if path.starts_with(['/', '%']) => {
                return self.plain(key, path, PathKind::File);
            }
            Some((_, name)) => name,
            None => value,
        };
        for store in stores.iter().filter(|_| !name.is_empty()) {
            self.push(key, &format!("{store}/{name}"), PathKind::File, true);
        }
    }

    fn binds(&mut self, key: &str, value: &str) {
        for word in words::split(value) {
            let mut parts = word.splitn(3, ':');
            let source = parts.next().unwrap_or_default();
            self.plain(key, source, PathKind::BindSource);
            if let Some(target) = parts.next() {
                self.plain(key, target, PathKind::MountPoint);
            }
        }
    }

    fn before_colon(&mut self, key: &str, value: &str, kind: PathKind) {
        for word in words::split(value) {
            let path = word.split(':').next().unwrap_or_default();
            self.plain(key, path, kind);
        }
    }

    fn condition(&mut self, key: &str, value: &str) {
        // `|` makes it one of several of which one has to hold.
        let (path, optional) = match value.strip_prefix('|') {
            Some(rest) => (rest.trim_start(), true),
            None => (value, false),
        };
        let (path, negated) = match path.strip_prefix('!') {
            Some(rest) => (rest.trim_start(), true),
            None => (path, false),
        };
        let kind = PathKind::Condition {
            negated,
            assert: key.starts_with("Assert"),
        };
        self.push(key, path, kind, optional);
    }
}

/// The paths in an argument: the argument itself, what stands behind the `=` of an option, and in
/// the text of a shell script each word that begins like a path.
fn paths_in_argument(argument: &str) -> Vec<&str> {
    if argument.contains(char::is_whitespace) {
        return argument
            .split(|c: char| c.is_whitespace() || "'\"`;&|<>(){}=".contains(c))
            .filter(|word| word.starts_with('/'))
            .collect();
    }
    if argument.starts_with('/') {
        return vec![argument];
    }
    let behind = argument.split_once('=').map(|(_, value)| value);
    behind
        .filter(|value| value.starts_with('/'))
        .into_iter()
        .collect()
}
