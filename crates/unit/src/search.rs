//! Finding a unit on disk: search path, templates, aliases, masks, drop-ins (systemd.unit(5)).

mod scripts;
mod side;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use vss_model::{AbsPath, UnitName};

use crate::error::Result;
use crate::files::{Files, join};
use crate::settings::Settings;
use crate::specifier::SpecifierContext;
use crate::sysv;
use crate::text;

use side::side_names;

/// Where units are searched, the strongest first. What generators made for the running host is
/// left out: it would not be there in a container.
const SEARCH_PATH: [&str; 7] = [
    "/etc/systemd/system.control",
    ADMIN,
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What the administrator and `systemctl enable` make; `systemctl set-property` and portablectl(1)
/// have directories of their own beside it.
const ADMIN: &str = "/etc/systemd/system";

/// As many links from unit to unit as are followed.
const MAX_ALIASES: usize = 16;

/// A unit as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedUnit {
    /// Its own name: that of the file that the links end at.
    pub name: UnitName,
    /// The other names that it has by links in the search path, sorted; the one that was asked
    /// for among them, where it is such a one.
    pub aliases: Vec<UnitName>,
    /// The links in `/etc/systemd/system` that give it other names, sorted: what `systemctl enable`
    /// makes of `Alias=`, and the administrator by hand.
    pub alias_links: Vec<AbsPath>,
    /// Its file. Of a masked unit, what masks it. Of one that has no file, the init script that
    /// systemd-sysv-generator(8) makes it of; the text of that in `files` is then the unit's.
    pub fragment: AbsPath,
    /// Whether it can't be started: its file is empty or a link to `/dev/null`.
    pub masked: bool,
    /// The drop-ins that apply, in order.
    pub drop_ins: Vec<AbsPath>,
    /// What the file and the drop-ins say together.
    pub settings: Settings,
    /// The bytes of the file and of each drop-in, as text, in order.
    pub files: Vec<(AbsPath, String)>,
    /// The units that links in `NAME.wants/` and `NAME.upholds/` directories add to `Wants=` and
    /// `Upholds=`, sorted.
    pub wants: Vec<UnitName>,
    /// The units that links in `NAME.requires/` directories add to `Requires=`, sorted.
    pub requires: Vec<UnitName>,
    /// What systemd ignores in the files, in their order.
    pub ignored: Vec<IgnoredLine>,
}

/// A line that systemd ignores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredLine {
    /// The file.
    pub file: AbsPath,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
    /// Whether systemd reads no further in the file, which is a drop-in then.
    pub ends_file: bool,
}

impl LoadedUnit {
    /// What its specifiers stand for, without facts about the host.
    #[must_use]
    pub fn context(&self) -> SpecifierContext {
        let mut context = SpecifierContext::new(&self.name);
        context.fragment = Some(self.fragment.clone());
        context
    }
}

/// Loads a unit of the host whose root directory is `root`; `None` where there is no such unit.
///
/// An instance is found by its template. A template can be loaded too; its specifiers `%i` and
/// `%I` are empty then.
///
/// # Errors
/// Where a file or directory can't be read, links lead in a circle, or systemd would not load the
/// unit, as its file has a line that ends the reading.
pub fn load(root: &Path, name: &UnitName) -> Result<Option<LoadedUnit>> {
    Finder::new(root)?.load(name)
}

/// The strongest file or link of exactly this name in the search path of the host whose root
/// directory is `root`, whatever is in it.
///
/// # Errors
/// Where a directory can't be read.
pub fn find_file(root: &Path, name: &UnitName) -> Result<Option<AbsPath>> {
    let finder = Finder::new(root)?;
    for directory in &finder.directories {
        let path = join(directory, name.as_str())?;
        if finder.files.exists(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The drop-ins that apply to a unit of this name, whether or not there is one.
///
/// # Errors
/// Where a file or directory can't be read.
pub fn drop_ins(root: &Path, name: &UnitName) -> Result<Vec<AbsPath>> {
    Finder::new(root)?.drop_ins(name, &[])
}

/// The names of all units and templates on disk, aliases and init scripts included, sorted.
///
/// # Errors
/// Where a directory can't be read.
pub fn names(root: &Path) -> Result<Vec<UnitName>> {
    let finder = Finder::new(root)?;
    let mut out = BTreeSet::new();
    for directory in &finder.directories {
        for file in finder.files.list(directory)? {
            // a link that leads nowhere is left behind by a package that is gone
            if let Some(unit) = unit_of(&file)
                && finder.entry(directory, &unit)?.is_some()
                && finder.files.leads_somewhere(&join(directory, &file)?)?
            {
                out.insert(unit);
            }
        }
    }
    for script in finder.scripts()? {
        out.extend(unit_of(&format!("{}.service", sysv::unit_stem(&script))));
    }
    Ok(out.into_iter().collect())
}

/// The unit that a file of the search path is; `None` for `x.service.d`, `x.wants`, `README`.
fn unit_of(file: &str) -> Option<UnitName> {
    file.parse()
        .ok()
        .filter(|unit: &UnitName| unit.as_str() == file)
}

struct Finder {
    files: Files,
    directories: Vec<AbsPath>,
    /// The same, links resolved.
    resolved: Vec<AbsPath>,
}

/// What a file or link of the search path is.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    /// A unit file; by a link out of the search path (`systemctl link`), or what masks it.
    File,
    /// Another name of this unit or template.
    Alias(UnitName),
}

/// Where the search for a name ended.
struct Found {
    name: UnitName,
    fragment: AbsPath,
    masked: bool,
    /// What the unit of an init script says.
    generated: Option<String>,
}

impl Finder {
    fn new(root: &Path) -> Result<Self> {
        let files = Files::new(root);
        let (mut directories, mut resolved) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for directory in SEARCH_PATH {
            let Ok(directory) = directory.parse::<AbsPath>() else {
                continue;
            };
            // On a merged host /lib is /usr/lib, and counts once.
            let end = files.resolve(&directory)?;
            if seen.insert(end.clone()) {
                directories.push(directory);
                resolved.push(end);
            }
        }
        Ok(Self {
            files,
            directories,
            resolved,
        })
    }

    fn load(&self, asked: &UnitName) -> Result<Option<LoadedUnit>> {
        let found = match self.find(asked)? {
            Some(found) => found,
            None => match self.find_script(asked)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let (aliases, alias_links) = self.aliases(asked, &found.name)?;
        let mut unit = LoadedUnit {
            drop_ins: self.drop_ins(&found.name, &aliases)?,
            wants: self.wanted(&found.name, &aliases)?,
            requires: self.linked(&found.name, &aliases, "requires")?,
            name: found.name,
            aliases,
            alias_links,
            fragment: found.fragment,
            masked: found.masked,
            settings: Settings::default(),
            files: Vec::new(),
            ignored: Vec::new(),
        };
        if unit.masked {
            unit.drop_ins.clear();
            return Ok(Some(unit));
        }
        let all: Vec<AbsPath> = std::iter::once(&unit.fragment)
            .chain(&unit.drop_ins)
            .cloned()
            .collect();
        let mut generated = found.generated;
        for path in all {
            let bytes = match generated.take() {
                Some(text) => text.into_bytes(),
                None => match self.files.read(&path)? {
                    Some(bytes) => bytes,
                    None => continue,
                },
            };
            let parsed = text::parse(&bytes);
            if let Some((line, reason)) = parsed.unreadable().filter(|_| path == unit.fragment) {
                return Err(crate::Error::Unreadable { path, line, reason });
            }
            unit.settings.apply(&path, &parsed);
            let end = parsed.unreadable().map(|(line, _)| line);
            let ignored = parsed.ignored().into_iter();
            unit.ignored
                .extend(ignored.map(|(line, reason)| IgnoredLine {
                    file: path.clone(),
                    line,
                    reason,
                    ends_file: end == Some(line),
                }));
            unit.files
                .push((path, String::from_utf8_lossy(&bytes).into_owned()));
        }
        Ok(Some(unit))
    }

    /// Follows a name to its file: the name itself in each directory, then its template.
    fn find(&self, asked: &UnitName) -> Result<Option<Found>> {
        let mut name = asked.clone();
        for _ in 0..MAX_ALIASES {
            let Some((path, entry)) = self.first(&name)? else {
                return Ok(None);
            };
            match entry {
                Entry::Alias(target) => match instance_of(&target, &name) {
                    Some(next) => name = next,
                    None => return Ok(None),
                },
                Entry::File => return self.found(name, path),
            }
        }
        Err(crate::Error::TooManyLinks {
            path: join(&AbsPath::root(), asked.as_str())?,
        })
    }

    fn found(&self, name: UnitName, path: AbsPath) -> Result<Option<Found>> {
        let found = |fragment, masked| Found {
            name,
            fragment,
            masked,
            generated: None,
        };
        let end = self.files.resolve(&path)?;
        if end.as_path() == Path::new("/dev/null") {
            return Ok(Some(found(path, true)));
        }
        let Some(bytes) = self.files.read(&path)? else {
            return Ok(None);
        };
        let fragment = match self.files.link(&path)? {
            Some(_) => end,
            None => path,
        };
        Ok(Some(found(fragment, bytes.is_empty())))
    }

    /// The strongest file or link of this name that counts, or else of its template.
    fn first(&self, name: &UnitName) -> Result<Option<(AbsPath, Entry)>> {
        for candidate in std::iter::once(name.clone()).chain(name.template()) {
            for directory in &self.directories {
                if let Some(entry) = self.entry(directory, &candidate)? {
                    return Ok(Some((join(directory, candidate.as_str())?, entry)));
                }
            }
        }
        Ok(None)
    }

    /// What a directory of the search path has under a name; `None` for nothing, and for a link
    /// that systemd ignores. A link is another name where it leads into the search path, and the
    /// file itself where it doesn't (`unit_file_build_name_map()` of systemd).
    fn entry(&self, directory: &AbsPath, name: &UnitName) -> Result<Option<Entry>> {
        let path = join(directory, name.as_str())?;
        let Some(target) = self.files.link(&path)? else {
            return Ok(self.files.exists(&path)?.then_some(Entry::File));
        };
        let here = join(&self.files.resolve(directory)?, name.as_str())?;
        let target = here.resolve_link(&target).ok();
        let (Some(parent), Some(file)) = (
            target.as_ref().and_then(AbsPath::parent),
            target.as_ref().and_then(|t| t.file_name()),
        ) else {
            return Ok(Some(Entry::File));
        };
        let parent = self.files.resolve(&parent)?;
        if !self.resolved.iter().any(|d| parent.starts_with(d)) {
            return Ok(Some(Entry::File));
        }
        let target = file.to_str().and_then(unit_of);
        Ok(target
            .filter(|target| target != name && may_be_alias(name, target))
            .map(Entry::Alias))
    }

    /// All other names that lead to `name`, and those of their links that are the host's own.
    fn aliases(&self, asked: &UnitName, name: &UnitName) -> Result<(Vec<UnitName>, Vec<AbsPath>)> {
        let mut out = BTreeSet::new();
        let mut links = Vec::new();
        for directory in &self.directories {
            for file in self.files.list(directory)? {
                let Some(link) = unit_of(&file) else { continue };
                let path = join(directory, &file)?;
                let entry = self.entry(directory, &link)?;
                if link.suffix() != name.suffix() || !matches!(entry, Some(Entry::Alias(_))) {
                    continue;
                }
                // A template's link gives each of its instances a second name.
                let instance = name.instance().unwrap_or_default();
                let link = if instance.is_empty() {
                    link
                } else {
                    link.instantiate(instance).unwrap_or(link)
                };
                if link != *name && self.find(&link)?.is_some_and(|f| f.name == *name) {
                    out.insert(link);
                    if directory.as_path() == Path::new(ADMIN) {
                        links.push(path);
                    }
                }
            }
        }
        if asked != name {
            out.insert(asked.clone());
        }
        Ok((out.into_iter().collect(), links))
    }

    /// The directories of a kind for a unit, the strongest first: of each name of it, of its
    /// template, and of each prefix that ends with a dash.
    fn side_directories(
        &self,
        name: &UnitName,
        aliases: &[UnitName],
        kind: &str,
    ) -> Result<Vec<AbsPath>> {
        let mut out = Vec::new();
        for name in std::iter::once(name).chain(aliases) {
            for directory in &self.directories {
                for side in side_names(name) {
                    out.push(join(directory, format!("{side}.{kind}"))?);
                }
            }
        }
        Ok(out)
    }

    fn drop_ins(&self, name: &UnitName, aliases: &[UnitName]) -> Result<Vec<AbsPath>> {
        let mut directories = self.side_directories(name, aliases, "d")?;
        for directory in &self.directories {
            directories.push(join(directory, format!("{}.d", name.suffix()))?);
        }
        // Sorted by file name; of two of the same name, that of the stronger directory counts.
        let mut by_name: BTreeMap<String, AbsPath> = BTreeMap::new();
        for directory in directories {
            for file in self.files.list(&directory)? {
                if file.ends_with(".conf") && !file.starts_with('.') {
                    let path = join(&directory, &file)?;
                    by_name.entry(file).or_insert(path);
                }
            }
        }
        let mut out = Vec::new();
        for path in by_name.into_values() {
            // A link to /dev/null takes a weaker one of the same name away.
            if self
                .files
                .read(&path)?
                .is_some_and(|bytes| !bytes.is_empty())
            {
                out.push(path);
            }
        }
        Ok(out)
    }

    /// What is upheld is wanted, and more.
    fn wanted(&self, name: &UnitName, aliases: &[UnitName]) -> Result<Vec<UnitName>> {
        let mut out = self.linked(name, aliases, "wants")?;
        out.extend(self.linked(name, aliases, "upholds")?);
        out.sort();
        out.dedup();
        Ok(out)
    }

    /// The units that links in the directories of a kind name, by the links' own names: the
    /// strongest of each name counts, and what masks a unit takes it away (`process_deps()` of
    /// systemd).
    fn linked(&self, name: &UnitName, aliases: &[UnitName], kind: &str) -> Result<Vec<UnitName>> {
        let mut by_unit: BTreeMap<UnitName, AbsPath> = BTreeMap::new();
        for directory in self.side_directories(name, aliases, kind)? {
            for file in self.files.list(&directory)? {
                let path = join(&directory, &file)?;
                if let Some(unit) = unit_of(&file) {
                    by_unit.entry(unit).or_insert(path);
                }
            }
        }
        let mut out = Vec::new();
        for (unit, path) in by_unit {
            if self.files.link(&path)?.is_some() && !self.files.is_null_or_empty(&path)? {
                out.push(unit);
            }
        }
        Ok(out)
    }
}

/// Whether a link of one name may make it another name of a unit: both are of one type, and of one
/// kind, but for an instance that is one of another template
/// (`unit_validate_alias_symlink_and_warn()` of systemd).
fn may_be_alias(name: &UnitName, target: &UnitName) -> bool {
    let types = ["service", "socket", "target", "device", "timer", "path"];
    let alike = match (name.instance(), target.instance()) {
        (Some(of_name), Some(of_target)) => of_name == of_target,
        (Some(_), None) => target.is_template(),
        (None, Some(_)) => false,
        (None, None) => name.is_template() == target.is_template(),
    };
    alike && name.suffix() == target.suffix() && types.contains(&name.suffix())
}

/// What a name stands for that is another one of `target`: of a template, the instance.
fn instance_of(target: &UnitName, name: &UnitName) -> Option<UnitName> {
    match name.instance() {
        Some(instance) if target.is_template() => target.instantiate(instance).ok(),
        _ => Some(target.clone()),
    }
}
