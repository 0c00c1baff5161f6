//! The tables in data: baseline, base set, deny list, what runs inside, and `rules.d`.
//!
//! What is true of every service is in the algorithm; what is true of a distribution, or of one
//! service, is in a table, with a comment that says why. The shipped tables are part of the
//! program ([`Rules::builtin`]); `rules.d` adds to them ([`Rules::with`]).

use std::collections::HashMap;

use serde::Deserialize;
use vss_model::{AbsPath, Cause, PackageName, UnitName};

use crate::glob;

/// All tables.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(crate) baseline: Vec<BaselineEntry>,
    /// The paths of the baseline, and whether they are made.
    baseline_paths: HashMap<AbsPath, bool>,
    pub(crate) base_set: BaseSet,
    pub(crate) deny: Vec<DenyEntry>,
    pub(crate) inside: Inside,
    pub(crate) rules: Vec<Rule>,
}

/// An entry of the baseline.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BaselineEntry {
    pub(crate) paths: Vec<AbsPath>,
    pub(crate) why: String,
    /// Whether no container works without it, so that nobody may keep it out.
    #[serde(default)]
    pub(crate) needed: bool,
    #[serde(flatten)]
    pub(crate) what: BaselineKind,
}

/// What the baseline makes of a path.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "as", rename_all = "kebab-case")]
pub(crate) enum BaselineKind {
    /// The file or link, or the directory without its content, as on the host where it has it.
    Copy,
    /// The directory with its content as on the host where it has it.
    Tree,
    /// The host's, read-only.
    Share,
    /// A directory.
    Directory {
        #[serde(default = "mode_755")]
        mode: String,
    },
    /// A file with a text of the table.
    File { text: String },
    /// A link.
    Link { target: String },
    /// Made by the program: the text depends on host or request.
    Computed { what: Computed },
}

fn mode_755() -> String {
    "0755".to_owned()
}

/// What the program makes for a baseline entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Computed {
    Passwd,
    Group,
    Shadow,
    Gshadow,
    Hosts,
    Hostname,
    MachineId,
    Resolver,
    /// The links that stand in `/` on the host.
    RootLinks,
    /// The files of `/etc/skel`, in `/root`.
    RootHome,
}

/// Packages that every host has, which a container gets by the baseline alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BaseSet {
    /// Names and patterns.
    pub(crate) packages: Vec<String>,
    /// Paths of packages that are for the host's upkeep, and of no use inside.
    pub(crate) upkeep: Vec<String>,
    /// Configuration that counts where a link leads to it.
    pub(crate) choices: Vec<String>,
}

/// An entry of the deny list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct DenyEntry {
    pub(crate) pattern: String,
    pub(crate) why: String,
    #[serde(default)]
    pub(crate) fate: DenyFate,
    /// Whether it is the service's own where its configuration names it.
    #[serde(default)]
    pub(crate) unless_named: bool,
}

impl DenyEntry {
    pub(crate) fn cause(&self) -> Cause {
        Cause::Denied {
            pattern: self.pattern.clone(),
            why: self.why.clone(),
        }
    }
}

/// What becomes of a denied path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DenyFate {
    /// It is left out.
    #[default]
    Mask,
    /// A fresh SSH host key is made in its place.
    SshHostKey,
}

/// What runs inside, besides the service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Inside {
    /// Units that a container needs.
    pub(crate) units: Vec<String>,
    /// Units that are masked although no `.wants` directory shows them.
    pub(crate) mask: Vec<String>,
    /// tmpfiles.d and sysusers.d files of other packages that a container needs.
    pub(crate) snippets: Vec<String>,
    /// Directories below which nothing but directories is copied, and what they are.
    pub(crate) volatile: Vec<Volatile>,
}

/// A directory of logs or caches.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Volatile {
    pub(crate) path: AbsPath,
    pub(crate) what: String,
}

/// A rule of `rules.d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The file that it stands in.
    pub(crate) file: String,
    pub(crate) body: RuleBody,
}

/// What a rule says; every key but `why` and one of the two conditions may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RuleBody {
    pub(crate) why: String,
    /// Holds for plans in which one of these units runs; patterns.
    #[serde(default)]
    pub(crate) units: Vec<String>,
    /// Holds for plans in whose closure one of these packages is; patterns.
    #[serde(default)]
    pub(crate) packages: Vec<String>,
    #[serde(default)]
    pub(crate) copy: Vec<AbsPath>,
    #[serde(default)]
    pub(crate) share: Vec<AbsPath>,
    #[serde(default)]
    pub(crate) mask: Vec<AbsPath>,
    #[serde(default)]
    pub(crate) add_units: Vec<UnitName>,
    #[serde(default)]
    pub(crate) add_packages: Vec<PackageName>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    #[serde(default)]
    rule: Vec<RuleBody>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineFile {
    entry: Vec<BaselineEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DenyFile {
    deny: Vec<DenyEntry>,
}

/// Why the tables can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Not the format; the cause names line and key.
    #[error("the rules file {file} is malformed")]
    Format {
        /// The file.
        file: String,
        /// What the parser says.
        #[source]
        source: toml::de::Error,
    },
    /// A rule that nothing triggers, or that says nothing.
    #[error("the rules file {file}, rule {number}: {reason}")]
    Rule {
        /// The file.
        file: String,
        /// Which rule of the file, from 1.
        number: usize,
        /// Which key is wrong, and how.
        reason: String,
    },
}

fn parse<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, RulesError> {
    toml::from_str(text).map_err(|source| RulesError::Format {
        file: file.to_owned(),
        source,
    })
}

impl Rules {
    /// The tables that are part of the program.
    ///
    /// # Errors
    /// Where a table is malformed, which its test rules out.
    pub fn builtin() -> Result<Self, RulesError> {
        let baseline: BaselineFile = parse("baseline.toml", include_str!("../data/baseline.toml"))?;
        let deny: DenyFile = parse("deny.toml", include_str!("../data/deny.toml"))?;
        let is_made =
            |e: &BaselineEntry| !matches!(e.what, BaselineKind::Copy | BaselineKind::Tree);
        let paths = baseline
            .entry
            .iter()
            .flat_map(|e| e.paths.iter().map(move |p| (p.clone(), is_made(e))));
        Ok(Self {
            baseline_paths: paths.collect(),
            baseline: baseline.entry,
            base_set: parse("base-set.toml", include_str!("../data/base-set.toml"))?,
            deny: deny.deny,
            inside: parse("inside.toml", include_str!("../data/inside.toml"))?,
            rules: Vec::new(),
        })
    }

    /// The shipped tables and the files of `rules.d`, each with its name and text, in the order in
    /// which they apply.
    ///
    /// # Errors
    /// Where a file is malformed or a rule in it says nothing; file and key are named.
    pub fn with(files: &[(String, String)]) -> Result<Self, RulesError> {
        let mut rules = Self::builtin()?;
        for (file, text) in files {
            let parsed: RuleFile = parse(file, text)?;
            for (n, body) in parsed.rule.into_iter().enumerate() {
                if let Some(reason) = body.fault() {
                    return Err(RulesError::Rule {
                        file: file.clone(),
                        number: n + 1,
                        reason,
                    });
                }
                let file = file.clone();
                rules.rules.push(Rule { file, body });
            }
        }
        Ok(rules)
    }

    /// Whether the baseline says what becomes of exactly this path.
    pub(crate) fn in_baseline(&self, path: &AbsPath) -> bool {
        self.baseline_paths.contains_key(path)
    }

    /// Whether the baseline has exactly this path made, and not taken from the host.
    pub(crate) fn is_made(&self, path: &AbsPath) -> bool {
        self.baseline_paths.get(path).copied().unwrap_or(false)
    }

    /// The entry of the deny list that holds for a path.
    pub(crate) fn denied(&self, path: &AbsPath) -> Option<&DenyEntry> {
        let text = path.as_path().to_string_lossy();
        self.deny.iter().find(|d| glob::matches(&d.pattern, &text))
    }

    /// Whether a path has to be told of in [`TreeFacts::watched`](crate::facts::TreeFacts): the
    /// deny list holds for it.
    #[must_use]
    pub fn watches(&self, path: &AbsPath) -> bool {
        self.denied(path).is_some()
    }

    pub(crate) fn is_base(&self, package: &PackageName) -> bool {
        let name = package.as_str().split(':').next().unwrap_or_default();
        self.base_set
            .packages
            .iter()
            .any(|p| glob::matches(p, name))
    }

    /// Whether a path is for the host's upkeep, unless the service is that upkeep
    /// ([`is_upkeep`](crate::packages::PackageClosure::is_upkeep)).
    pub(crate) fn is_upkeep(&self, path: &AbsPath) -> bool {
        let text = path.as_path().to_string_lossy();
        self.base_set.upkeep.iter().any(|p| glob::matches(p, &text))
    }

    /// The directories that are for upkeep as a whole, those with wildcards in their names left out.
    pub(crate) fn upkeep_directories(&self) -> impl Iterator<Item = AbsPath> {
        let directories = self.base_set.upkeep.iter();
        directories
            .filter_map(|pattern| pattern.strip_suffix("/**"))
            .filter(|directory| !directory.contains(['*', '?']))
            .filter_map(|directory| directory.parse().ok())
    }

    /// The directories in which what is called in a certain way is for upkeep, and the rest is not.
    pub(crate) fn partly_upkeep(&self) -> impl Iterator<Item = AbsPath> {
        let wild = self.base_set.upkeep.iter().filter_map(|pattern| {
            let at = pattern.strip_suffix("/**")?.find(['*', '?'])?;
            pattern[..at].rsplit_once('/')
        });
        wild.filter_map(|(directory, _)| directory.parse().ok())
    }

    /// Whether a file is in force only where a link leads to it.
    pub(crate) fn is_choice(&self, path: &AbsPath) -> bool {
        let text = path.as_path().to_string_lossy();
        let choices = &self.base_set.choices;
        choices.iter().any(|p| glob::matches(p, &text))
    }

    /// What a log or cache directory is, if the path is one or lies in one.
    pub(crate) fn volatile(&self, path: &AbsPath) -> Option<&Volatile> {
        self.inside
            .volatile
            .iter()
            .find(|v| path.starts_with(&v.path) && *path != v.path)
    }
}

impl RuleBody {
    fn fault(&self) -> Option<String> {
        if self.why.trim().is_empty() {
            return Some("why: say why the rule is needed".to_owned());
        }
        if self.units.is_empty() && self.packages.is_empty() {
            return Some("units, packages: name at least one that the rule is for".to_owned());
        }
        let says = self.copy.len() + self.share.len() + self.mask.len();
        if says + self.add_units.len() + self.add_packages.len() == 0 {
            return Some(
                "copy, share, mask, add-units, add-packages: the rule says nothing".to_owned(),
            );
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    fn with(text: &str) -> Result<Rules, RulesError> {
        Rules::with(&[("x.toml".to_owned(), text.to_owned())])
    }

    #[test]
    fn the_shipped_tables_are_well_formed() {
        let rules = Rules::builtin().unwrap();
        for entry in &rules.baseline {
            assert!(!entry.why.is_empty(), "{:?} says no why", entry.paths);
        }
        for secret in ["/etc/shadow", "/etc/credstore/passwd.hashed-password.root"] {
            assert!(rules.watches(&secret.parse().unwrap()), "{secret}");
        }
        assert!(rules.is_base(&PackageName::from("libc6:i386")));
        assert!(!rules.is_base(&PackageName::from("apache2")));
    }

    #[test]
    fn a_rule_is_read() {
        let rules =
            with("[[rule]]\nwhy = 'x'\nunits = ['a@*.service']\ncopy = ['/etc/x']").unwrap();
        assert_eq!(rules.rules[0].body.copy[0].to_string(), "/etc/x");
        assert_eq!(rules.rules[0].file, "x.toml");
    }

    #[test]
    fn a_wrong_rule_is_refused_with_file_and_key() {
        for (text, key) in [
            ("[[rule]]\nunits = ['a']\ncopy = ['/etc/x']", "why"),
            ("[[rule]]\nwhy = 'x'\ncopy = ['/etc/x']", "units"),
            ("[[rule]]\nwhy = 'x'\nunits = ['a']", "copy"),
            (
                "[[rule]]\nwhy = 'x'\nunits = ['a']\ncopy = ['etc/x']",
                "copy",
            ),
            (
                "[[rule]]\nwhy = 'x'\nunits = ['a']\ncoppy = ['/etc/x']",
                "coppy",
            ),
            ("rule = 3", "rule"),
        ] {
            let error = with(text).unwrap_err();
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            assert!(error.to_string().contains("x.toml"), "{error}");
            assert!(
                format!("{error} {cause}").contains(key),
                "{key}: {error} {cause}"
            );
        }
    }
}
