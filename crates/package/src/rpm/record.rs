//! What is wanted of a header: the package's name, its files, and what it asks for and gives.

use vss_model::RelationKind;

use super::dependency::{self, Capability, Dependency};
use super::header::{Header, HeaderError};
use super::version::EQUAL;

/// Tags (`rpmTag` in `include/rpm/rpmtag.h`).
mod tag {
    pub(super) const NAME: u32 = 1000;
    pub(super) const VERSION: u32 = 1001;
    pub(super) const RELEASE: u32 = 1002;
    pub(super) const EPOCH: u32 = 1003;
    pub(super) const ARCH: u32 = 1022;
    pub(super) const FILESTATES: u32 = 1029;
    pub(super) const FILEFLAGS: u32 = 1037;
    pub(super) const SOURCERPM: u32 = 1044;
    pub(super) const PROVIDENAME: u32 = 1047;
    pub(super) const PROVIDEFLAGS: u32 = 1112;
    pub(super) const PROVIDEVERSION: u32 = 1113;
    pub(super) const DIRINDEXES: u32 = 1116;
    pub(super) const BASENAMES: u32 = 1117;
    pub(super) const DIRNAMES: u32 = 1118;
}

/// The relations of a package: the tags of names, flags and versions, and how strong each is.
const RELATIONS: [([u32; 3], RelationKind); 5] = [
    ([1049, 1048, 1050], RelationKind::Depends),
    ([5046, 5048, 5047], RelationKind::Recommends),
    // Suggests, Supplements, Enhances
    ([5049, 5051, 5050], RelationKind::Suggests),
    ([5052, 5054, 5053], RelationKind::Suggests),
    ([5055, 5057, 5056], RelationKind::Suggests),
];

/// A requirement that is one on rpm itself, `rpmlib(CompressedFileNames)`.
const RPMLIB: u32 = 1 << 24;
/// A requirement that need not be met, as it was written before there was `Recommends`.
const MISSING_OK: u32 = 1 << 19;

/// Bits of a file's flags (`rpmfileAttrs`).
const CONFIG: u32 = 1 << 0;
const GHOST: u32 = 1 << 6;
/// The state of a file that is there as the package has it; others were replaced by another
/// package's, left out at the installation, or are of an architecture that lost (`rpmfileState`).
const NORMAL: u8 = 0;

/// A package, as a header describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// `[EPOCH:]VERSION-RELEASE`.
    pub version: String,
    /// Its architecture, `noarch` for all; empty for a public key, which rpm keeps as a package.
    pub architecture: String,
    /// The name of the package that it was built from.
    pub source: String,
    /// What it gives, its own name included.
    pub provides: Vec<Capability>,
    /// What it asks for.
    pub relations: Vec<(RelationKind, Dependency)>,
    /// What could not be read and was left out: relations that are none.
    pub left_out: Vec<String>,
}

/// A file of a package, which borrows its name from the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File<'a> {
    /// Its directory, with a slash at the end.
    pub directory: &'a [u8],
    /// Its name.
    pub name: &'a [u8],
    /// Whether it is configuration (`%config`).
    pub config: bool,
    /// Whether it is the package's without being in it (`%ghost`).
    pub ghost: bool,
}

impl Record {
    /// Reads a header as the database has it, and the files that are installed.
    ///
    /// # Errors
    /// Where the bytes are no header, or lack what every package has. No input does worse.
    pub fn read(blob: &[u8]) -> Result<(Self, Vec<File<'_>>), HeaderError> {
        let header = Header::new(blob)?;
        let needed = |tag| {
            let text = header.text(tag)?.filter(|text| !text.is_empty());
            text.map(lossy).ok_or(HeaderError::Absent { tag })
        };
        let name = needed(tag::NAME)?;
        let mut version = format!("{}-{}", needed(tag::VERSION)?, needed(tag::RELEASE)?);
        if let Some(epoch) = header.numbers(tag::EPOCH)?.and_then(|e| e.first().copied()) {
            version = format!("{epoch}:{version}");
        }
        let source = header.text(tag::SOURCERPM)?.map(lossy);
        let mut record = Self {
            source: source
                .as_deref()
                .and_then(source_name)
                .unwrap_or(&name)
                .to_owned(),
            architecture: header.text(tag::ARCH)?.map(lossy).unwrap_or_default(),
            provides: provides(&header, &name, &version)?,
            relations: Vec::new(),
            left_out: Vec::new(),
            name,
            version,
        };
        for (tags, kind) in RELATIONS {
            for one in capabilities(&header, tags)? {
                record.add_relation(kind, one);
            }
        }
        Ok((record, files(&header)?))
    }

    fn add_relation(&mut self, kind: RelationKind, one: Capability) {
        if one.flags & RPMLIB != 0 {
            return;
        }
        let kind = if one.flags & MISSING_OK != 0 {
            kind.max(RelationKind::Recommends)
        } else {
            kind
        };
        if !one.name.starts_with('(') {
            self.relations.push((kind, Dependency::One(one)));
            return;
        }
        match dependency::parse_rich(&one.name) {
            Ok(rich) => self.relations.push((kind, rich)),
            Err(reason) => self.left_out.push(format!(
                "a relation was left out that can't be read, {:?}: {}",
                one.name.chars().take(200).collect::<String>(),
                reason.0
            )),
        }
    }
}

/// What a package gives; packages of old don't say that they provide themselves.
fn provides(
    header: &Header<'_>,
    name: &str,
    version: &str,
) -> Result<Vec<Capability>, HeaderError> {
    let mut out = capabilities(
        header,
        [tag::PROVIDENAME, tag::PROVIDEFLAGS, tag::PROVIDEVERSION],
    )?;
    if !out.iter().any(|one| one.name == name) {
        out.push(Capability {
            name: name.to_owned(),
            flags: EQUAL,
            version: version.to_owned(),
        });
    }
    Ok(out)
}

/// Names with their flags and versions. Flags and versions may be missing altogether.
fn capabilities(header: &Header<'_>, tags: [u32; 3]) -> Result<Vec<Capability>, HeaderError> {
    let Some(names) = header.texts(tags[0])? else {
        return Ok(Vec::new());
    };
    let flags = header.numbers(tags[1])?;
    let versions = header.texts(tags[2])?;
    for (tag, found) in [
        (tags[1], flags.as_ref().map(Vec::len)),
        (tags[2], versions.as_ref().map(Vec::len)),
    ] {
        even(tag, found, names.len())?;
    }
    let out = names.iter().enumerate().map(|(n, name)| Capability {
        name: lossy(name),
        flags: flags.as_ref().map_or(0, |flags| flags[n]),
        version: versions.as_ref().map(|v| lossy(v[n])).unwrap_or_default(),
    });
    Ok(out.collect())
}

/// The files that are there.
fn files<'a>(header: &Header<'a>) -> Result<Vec<File<'a>>, HeaderError> {
    let Some(names) = header.texts(tag::BASENAMES)? else {
        return Ok(Vec::new());
    };
    let directories = header.texts(tag::DIRNAMES)?.unwrap_or_default();
    let indexes = header.numbers(tag::DIRINDEXES)?;
    let indexes = indexes.ok_or(HeaderError::Absent {
        tag: tag::DIRINDEXES,
    })?;
    let flags = header.numbers(tag::FILEFLAGS)?;
    let states = header.bytes(tag::FILESTATES)?;
    for (tag, found) in [
        (tag::DIRINDEXES, Some(indexes.len())),
        (tag::FILEFLAGS, flags.as_ref().map(Vec::len)),
        (tag::FILESTATES, states.map(<[u8]>::len)),
    ] {
        even(tag, found, names.len())?;
    }
    let mut out = Vec::with_capacity(names.len());
    for (file, name) in names.into_iter().enumerate() {
        let index = indexes[file];
        let directory = directories
            .get(index as usize)
            .ok_or(HeaderError::Directory {
                file,
                directory: index,
                directories: directories.len(),
            })?;
        if states.is_some_and(|states| states[file] != NORMAL) {
            continue;
        }
        let flags = flags.as_ref().map_or(0, |flags| flags[file]);
        out.push(File {
            directory,
            name,
            config: flags & CONFIG != 0,
            ghost: flags & GHOST != 0,
        });
    }
    Ok(out)
}

fn even(tag: u32, found: Option<usize>, expected: usize) -> Result<(), HeaderError> {
    match found {
        Some(found) if found != expected => Err(HeaderError::Uneven {
            tag,
            found,
            expected,
        }),
        _ => Ok(()),
    }
}

/// The name in `httpd-2.4.58-1.fc40.src.rpm`.
fn source_name(file: &str) -> Option<&str> {
    let stem = file.strip_suffix(".rpm")?;
    let stem = stem
        .strip_suffix(".src")
        .or_else(|| stem.strip_suffix(".nosrc"))?;
    let (name, _release) = stem.rsplit_once('-')?;
    let (name, _version) = name.rsplit_once('-')?;
    Some(name).filter(|name| !name.is_empty())
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Value<'a> {
        Texts(&'a [&'a str]),
        Numbers(&'a [u32]),
        Bytes(&'a [u8]),
    }

    /// A header with these values besides a name, a version and a release.
    fn header(values: &[(u32, Value<'_>)]) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        let base = [(1000, ["p"]), (1001, ["1"]), (1002, ["2"])];
        let base = base.iter().map(|(tag, text)| (*tag, Value::Texts(text)));
        let mut add = |tag: u32, value: &Value<'_>| {
            let offset = data.len();
            let (kind, count) = match value {
                Value::Texts(texts) => {
                    texts
                        .iter()
                        .for_each(|t| data.extend([t.as_bytes(), b"\0"].concat()));
                    (8_u32, texts.len())
                }
                Value::Numbers(numbers) => {
                    numbers.iter().for_each(|n| data.extend(n.to_be_bytes()));
                    (4, numbers.len())
                }
                Value::Bytes(bytes) => {
                    data.extend(*bytes);
                    (1, bytes.len())
                }
            };
            for number in [
                tag,
                kind,
                offset.try_into().unwrap(),
                count.try_into().unwrap(),
            ] {
                index.extend(number.to_be_bytes());
            }
        };
        base.for_each(|(tag, value)| add(tag, &value));
        values.iter().for_each(|(tag, value)| add(*tag, value));
        let sizes = [index.len() / 16, data.len()].map(|n| u32::try_from(n).unwrap().to_be_bytes());
        [sizes.concat(), index, data].concat()
    }

    fn files(states: &[u8], indexes: &[u32]) -> Vec<u8> {
        header(&[
            (tag::BASENAMES, Value::Texts(&["a", "b", "c"])),
            (tag::DIRNAMES, Value::Texts(&["/etc/", "/var/"])),
            (tag::DIRINDEXES, Value::Numbers(indexes)),
            (tag::FILEFLAGS, Value::Numbers(&[CONFIG, 0, GHOST])),
            (tag::FILESTATES, Value::Bytes(states)),
        ])
    }

    #[test]
    fn files_that_are_another_packages_or_left_out_are_not_its_own() {
        let shown = |blob: &[u8]| -> Vec<String> {
            let (_, files) = Record::read(blob).unwrap();
            let path = |f: &File<'_>| lossy(&[f.directory, f.name].concat());
            files.iter().map(path).collect()
        };
        let indexes = [0, 0, 1];
        assert_eq!(
            shown(&files(&[0, 0, 0], &indexes)),
            ["/etc/a", "/etc/b", "/var/c"]
        );
        for state in 1..=4 {
            assert_eq!(
                shown(&files(&[0, state, 0], &indexes)),
                ["/etc/a", "/var/c"]
            );
        }
    }

    #[test]
    fn a35_files_without_their_fellows_are_refused() {
        assert_eq!(
            Record::read(&files(&[0, 0], &[0, 0, 1])).unwrap_err(),
            HeaderError::Uneven {
                tag: tag::FILESTATES,
                found: 2,
                expected: 3
            }
        );
        assert_eq!(
            Record::read(&files(&[0, 0, 0], &[0, 2, 1])).unwrap_err(),
            HeaderError::Directory {
                file: 1,
                directory: 2,
                directories: 2
            }
        );
        // also of a file that is not there
        assert!(Record::read(&files(&[0, 2, 0], &[0, 2, 1])).is_err());
    }

    #[test]
    fn requirements_of_old_that_need_not_be_met_are_recommendations() {
        let blob = header(&[
            (1049, Value::Texts(&["a", "b", "rpmlib(X)", "(c or", "(d)"])),
            (
                1048,
                Value::Numbers(&[0, MISSING_OK, RPMLIB, 0, MISSING_OK]),
            ),
            (1050, Value::Texts(&["", "", "", "", ""])),
        ]);
        let (record, _) = Record::read(&blob).unwrap();
        let shown: Vec<(RelationKind, &str)> = record
            .relations
            .iter()
            .map(|(kind, dependency)| match dependency {
                Dependency::One(one) => (*kind, one.name.as_str()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            shown,
            [
                (RelationKind::Depends, "a"),
                (RelationKind::Recommends, "b"),
                (RelationKind::Recommends, "d")
            ]
        );
        assert_eq!(record.left_out.len(), 1);
        assert!(
            record.left_out[0].contains("\"(c or\""),
            "{:?}",
            record.left_out
        );
        // such a package provides itself
        assert_eq!(record.provides.len(), 1);
        assert_eq!(record.version, "1-2");
    }

    #[test]
    fn sources_lose_version_and_release() {
        for (file, name) in [
            ("httpd-2.4.58-1.fc40.src.rpm", Some("httpd")),
            ("mod_http2-2.0.26-1.fc40.nosrc.rpm", Some("mod_http2")),
            ("gcc-c++-x-1-2.src.rpm", Some("gcc-c++-x")),
            ("(none)", None),
            ("a.src.rpm", None),
            ("-1-2.src.rpm", None),
        ] {
            assert_eq!(source_name(file), name, "{file}");
        }
    }
}
