//! A package's header, as the database stores it: one blob of tagged values.
//!
//! The format is that of rpm's manual, "RPM V4 Package Header Structure" (`docs/manual/format_header.md`
//! in rpm's source), without the magic that a package file has in front of it; the database's blob
//! is described with `headerImport` and checked by `hdrblobInit` in `lib/header.c`. All numbers are
//! big endian:
//!
//! ```text
//! u32            number of index entries, n
//! u32            bytes of data, d
//! n x 16 bytes   tag, kind, offset into the data, count: u32 each
//! d bytes        data
//! ```
//!
//! The first entries are those that were signed, and what the installation added (the states of
//! files, say) comes behind them: where a tag stands twice, the later one holds, as in rpm.
//!
//! Nothing in a blob is believed: every offset and count is checked before it is used, and no more
//! is allocated than a small multiple of the blob's own length.

/// The most index entries that rpm itself accepts (`HEADER_TAGS_MAX`).
const MAX_ENTRIES: u32 = 0xffff;
/// The most bytes of data that rpm itself accepts (`HEADER_DATA_MAX`).
const MAX_DATA: u32 = 0x0fff_ffff;
/// Both numbers in front of the index.
const PREAMBLE: usize = 8;
/// An index entry.
const ENTRY: usize = 16;

/// The longest blob that rpm itself accepts.
pub(super) const MAX_BLOB: usize = PREAMBLE + MAX_ENTRIES as usize * ENTRY + MAX_DATA as usize;

/// What is wrong with a header. Offsets are bytes from the blob's beginning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Its length is not what it says of itself.
    #[error("it is {found} bytes long, and says of itself that it has {declared}")]
    Length {
        /// What it says.
        declared: usize,
        /// What it is.
        found: usize,
    },
    /// A number that rpm refuses.
    #[error("at byte {offset}: {found} {what}, where rpm takes {most} at most")]
    TooMany {
        /// Where the number stands.
        offset: usize,
        /// `index entries` or `bytes of data`.
        what: &'static str,
        /// The number.
        found: u32,
        /// The limit.
        most: u32,
    },
    /// A value of a kind that its tag doesn't have.
    #[error("at byte {offset}: tag {tag} has values of kind {kind}")]
    Kind {
        /// Where its index entry stands.
        offset: usize,
        /// The tag.
        tag: u32,
        /// The kind, by its number in rpm (`rpmTagType`).
        kind: u32,
    },
    /// A value that lies outside the data.
    #[error("at byte {offset}: tag {tag} has {count} values that end outside the data")]
    Outside {
        /// Where the values would begin.
        offset: usize,
        /// The tag.
        tag: u32,
        /// How many there should be.
        count: u32,
    },
    /// A tag that every package has, and this one doesn't.
    #[error("tag {tag} is missing")]
    Absent {
        /// The tag.
        tag: u32,
    },
    /// Values that belong together, one of each for a file or a relation, and differ in number.
    #[error("tag {tag} has {found} values, and {expected} are needed")]
    Uneven {
        /// The tag.
        tag: u32,
        /// How many it has.
        found: usize,
        /// How many its fellow has.
        expected: usize,
    },
    /// A file in a directory that is not listed.
    #[error("file {file} is in directory {directory} of {directories}")]
    Directory {
        /// The file, by its position.
        file: usize,
        /// The directory, by its position.
        directory: u32,
        /// How many there are.
        directories: usize,
    },
}

/// The kinds of values that are read (`rpmTagType`).
mod kind {
    pub(super) const CHAR: u32 = 1;
    pub(super) const INT8: u32 = 2;
    pub(super) const INT32: u32 = 4;
    pub(super) const STRING: u32 = 6;
    pub(super) const BINARY: u32 = 7;
    pub(super) const STRING_ARRAY: u32 = 8;
}

/// A blob whose index has been checked against its length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

/// Where the values of a tag are.
#[derive(Debug, Clone, Copy)]
struct Values<'a> {
    tag: u32,
    kind: u32,
    count: u32,
    /// From the first of them to the end of the data.
    bytes: &'a [u8],
    /// Where the index entry stands in the blob.
    entry: usize,
    /// Where the first value stands in the blob.
    start: usize,
}

impl<'a> Header<'a> {
    /// Takes a blob apart into index and data.
    pub(super) fn new(blob: &'a [u8]) -> Result<Self, HeaderError> {
        let short = |declared| HeaderError::Length {
            declared,
            found: blob.len(),
        };
        let (Some(entries), Some(length)) = (number(blob, 0), number(blob, 4)) else {
            return Err(short(PREAMBLE));
        };
        for (offset, what, found, most) in [
            (0, "index entries", entries, MAX_ENTRIES),
            (4, "bytes of data", length, MAX_DATA),
        ] {
            if found > most {
                return Err(HeaderError::TooMany {
                    offset,
                    what,
                    found,
                    most,
                });
            }
        }
        let start = PREAMBLE + entries as usize * ENTRY;
        let declared = start + length as usize;
        if blob.len() != declared {
            return Err(short(declared));
        }
        let (front, data) = blob.split_at(start);
        Ok(Self {
            index: &front[PREAMBLE..],
            data,
        })
    }

    /// The values of a tag; `None` where the header has none.
    fn values(&self, tag: u32) -> Result<Option<Values<'a>>, HeaderError> {
        let entries = self.index.chunks_exact(ENTRY);
        let Some(position) = entries.clone().rposition(|e| number(e, 0) == Some(tag)) else {
            return Ok(None);
        };
        let entry = &self.index[position * ENTRY..];
        let field = |at| number(entry, at).unwrap_or_default();
        let (kind, offset, count) = (field(4), field(8) as usize, field(12));
        let start = PREAMBLE + self.index.len() + offset;
        let bytes = self.data.get(offset..).ok_or(HeaderError::Outside {
            offset: start,
            tag,
            count,
        })?;
        Ok(Some(Values {
            tag,
            kind,
            count,
            bytes,
            entry: PREAMBLE + position * ENTRY,
            start,
        }))
    }

    /// The text of a tag.
    pub(super) fn text(&self, tag: u32) -> Result<Option<&'a [u8]>, HeaderError> {
        let texts = self.texts(tag)?;
        Ok(texts.and_then(|texts| texts.first().copied()))
    }

    /// The texts of a tag.
    pub(super) fn texts(&self, tag: u32) -> Result<Option<Vec<&'a [u8]>>, HeaderError> {
        let Some(values) = self.values(tag)? else {
            return Ok(None);
        };
        if !matches!(values.kind, kind::STRING | kind::STRING_ARRAY) {
            return Err(values.of_kind());
        }
        // Each has its NUL byte at least.
        if values.count as usize > values.bytes.len() {
            return Err(values.outside());
        }
        let mut rest = values.bytes;
        let mut out = Vec::with_capacity(values.count as usize);
        for _ in 0..values.count {
            let end = rest.iter().position(|&c| c == 0);
            let end = end.ok_or_else(|| values.outside())?;
            out.push(&rest[..end]);
            rest = &rest[end + 1..];
        }
        Ok(Some(out))
    }

    /// The 32-bit numbers of a tag.
    pub(super) fn numbers(&self, tag: u32) -> Result<Option<Vec<u32>>, HeaderError> {
        let Some(values) = self.values(tag)? else {
            return Ok(None);
        };
        if values.kind != kind::INT32 {
            return Err(values.of_kind());
        }
        let bytes = values.take(4)?;
        Ok(Some(
            bytes
                .chunks_exact(4)
                .filter_map(|bytes| number(bytes, 0))
                .collect(),
        ))
    }

    /// The bytes of a tag.
    pub(super) fn bytes(&self, tag: u32) -> Result<Option<&'a [u8]>, HeaderError> {
        let Some(values) = self.values(tag)? else {
            return Ok(None);
        };
        if !matches!(values.kind, kind::CHAR | kind::INT8 | kind::BINARY) {
            return Err(values.of_kind());
        }
        values.take(1).map(Some)
    }
}

impl<'a> Values<'a> {
    /// The bytes of all values, each of them so many bytes long.
    fn take(&self, width: usize) -> Result<&'a [u8], HeaderError> {
        let length = (self.count as usize).checked_mul(width);
        length
            .and_then(|length| self.bytes.get(..length))
            .ok_or_else(|| self.outside())
    }

    fn outside(&self) -> HeaderError {
        HeaderError::Outside {
            offset: self.start,
            tag: self.tag,
            count: self.count,
        }
    }

    fn of_kind(&self) -> HeaderError {
        HeaderError::Kind {
            offset: self.entry,
            tag: self.tag,
            kind: self.kind,
        }
    }
}

/// The number that stands at an offset.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let (first, _) = bytes.get(at..)?.split_first_chunk::<4>()?;
    Some(u32::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A blob with these entries (tag, kind, offset, count) and this data.
    fn blob(entries: &[[u32; 4]], data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for n in [entries.len(), data.len()] {
            out.extend(u32::try_from(n).unwrap().to_be_bytes());
        }
        for n in entries.iter().flatten() {
            out.extend(n.to_be_bytes());
        }
        out.extend(data);
        out
    }

    #[test]
    fn values_are_found_by_their_tags() {
        let blob = blob(
            &[
                [1000, 6, 0, 1],
                [1117, 8, 5, 3],
                [1037, 4, 10, 2],
                [1029, 1, 18, 2],
            ],
            b"name\0a\0\0b\0\0\0\0\x10\0\0\0\x01\0\x02",
        );
        let header = Header::new(&blob).unwrap();
        assert_eq!(header.text(1000).unwrap(), Some(&b"name"[..]));
        assert_eq!(
            header.texts(1117).unwrap().unwrap(),
            [&b"a"[..], &b""[..], &b"b"[..]]
        );
        assert_eq!(header.numbers(1037).unwrap().unwrap(), [16, 1]);
        assert_eq!(header.bytes(1029).unwrap(), Some(&b"\0\x02"[..]));
        assert_eq!(header.text(1001).unwrap(), None);
    }

    #[test]
    fn what_the_installation_added_holds() {
        let blob = blob(&[[1029, 1, 0, 1], [1029, 1, 1, 1]], b"\0\x02");
        let header = Header::new(&blob).unwrap();
        assert_eq!(header.bytes(1029).unwrap(), Some(&b"\x02"[..]));
    }

    #[test]
    fn a35_a_length_that_is_not_the_blobs_is_refused() {
        for (bytes, declared) in [
            (&b""[..], 8),
            (&b"\0\0\0\0\0\0\0"[..], 8),
            (&b"\0\0\0\0\0\0\0\x01"[..], 9),
            (&b"\0\0\0\0\0\0\0\0\0"[..], 8),
            (&b"\0\0\0\x01\0\0\0\0"[..], 24),
        ] {
            assert_eq!(
                Header::new(bytes).unwrap_err(),
                HeaderError::Length {
                    declared,
                    found: bytes.len()
                }
            );
        }
    }

    #[test]
    fn a35_numbers_beyond_rpms_own_limits_are_refused() {
        for (bytes, at) in [
            (b"\0\x01\0\0\0\0\0\0", 0),
            (b"\xff\xff\xff\xff\0\0\0\0", 0),
            (b"\0\0\0\0\x10\0\0\0", 4),
        ] {
            match Header::new(bytes).unwrap_err() {
                HeaderError::TooMany { offset, .. } => assert_eq!(offset, at),
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a35_values_outside_the_data_are_refused_with_their_place() {
        let data = b"abc\0";
        for (kind, offset, count) in [
            (6, 5, 1),
            (6, u32::MAX, 1),
            (8, 0, 2),
            (8, 0, u32::MAX),
            (8, 4, 1),
        ] {
            let blob = blob(&[[7, kind, offset, count]], data);
            let error = Header::new(&blob).unwrap().texts(7).unwrap_err();
            assert!(
                matches!(error, HeaderError::Outside { offset: at, tag: 7, .. } if at == 24 + offset as usize),
                "{error}"
            );
        }
        for (offset, count) in [(0, 2), (1, 1), (0, 0x4000_0001), (4, u32::MAX)] {
            let blob = blob(&[[7, 4, offset, count]], data);
            assert!(
                Header::new(&blob).unwrap().numbers(7).is_err(),
                "{offset} {count}"
            );
        }
        let blob = blob(&[[7, 7, 3, 2]], data);
        assert!(Header::new(&blob).unwrap().bytes(7).is_err());
    }

    #[test]
    fn a35_values_of_another_kind_are_refused() {
        let blob = blob(&[[7, 4, 0, 1], [8, 6, 0, 1]], b"abc\0");
        let header = Header::new(&blob).unwrap();
        let wrong = |offset, tag, kind| HeaderError::Kind { offset, tag, kind };
        assert_eq!(header.texts(7).unwrap_err(), wrong(8, 7, 4));
        assert_eq!(header.bytes(7).unwrap_err(), wrong(8, 7, 4));
        assert_eq!(header.numbers(8).unwrap_err(), wrong(24, 8, 6));
    }
}
