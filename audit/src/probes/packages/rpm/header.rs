//! One package's header, as rpm keeps it in its database.
//!
//! Source: rpm's manual, "Package format", and rpmtag.h for the numbers. Two counts, an index of sixteen bytes an entry
//! (tag, type, offset, count), then the data; all numbers have the most significant byte first. Of the hundred tags seven say what is
//! installed; the files have some more (`files`).

use super::parts::{be16, be32};

/// The most entries and bytes rpm itself admits.
const MAX_ENTRIES: usize = 0xffff;
const MAX_DATA: usize = 256 * 1024 * 1024;
/// The longest value kept, in bytes.
const MAX_VALUE: usize = 300;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const ARCH: u32 = 1022;
const SOURCE: u32 = 1044;

const CHAR: u32 = 1;
const INT8: u32 = 2;
const INT16: u32 = 3;
const INT32: u32 = 4;
const STRING: u32 = 6;
const TEXTS: u32 = 8;
/// Strings in several languages, of which the first is the untranslated one.
const STRINGS: u32 = 9;

/// What is kept of a header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) name: &'a str,
    pub(super) epoch: Option<u32>,
    pub(super) version: &'a str,
    pub(super) release: &'a str,
    /// Keys have none.
    pub(super) architecture: Option<&'a str>,
    pub(super) vendor: Option<&'a str>,
    /// The file name of the source package.
    pub(super) source: Option<&'a str>,
}

impl<'a> Header<'a> {
    /// The header in `blob`; why not, and the name of the package where that could be read.
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, (Option<&'a str>, &'static str)> {
        let Index { entries, data } = Index::parse(blob).map_err(|why| (None, why))?;
        let mut header = Self::default();
        let (mut name, mut version, mut release) = (None, None, None);
        for Entry { tag, kind, at, .. } in entries.chunks_exact(16).map(Entry::of) {
            match tag {
                NAME => name = text(data, kind, at),
                VERSION => version = text(data, kind, at),
                RELEASE => release = text(data, kind, at),
                EPOCH if kind == INT32 => header.epoch = be32(data, at),
                VENDOR => header.vendor = text(data, kind, at),
                ARCH => header.architecture = text(data, kind, at),
                SOURCE => header.source = text(data, kind, at),
                _ => {}
            }
        }
        let Some(name) = name else { return Err((None, "a header without a name")) };
        let (Some(version), Some(release)) = (version, release) else {
            return Err((Some(name), "no version or no release"));
        };
        Ok(Self { name, version, release, ..header })
    }

    /// `[epoch:]version-release`.
    pub(super) fn full_version(&self) -> String {
        match self.epoch {
            Some(epoch) if epoch > 0 => format!("{epoch}:{}-{}", self.version, self.release),
            Some(_) | None => format!("{}-{}", self.version, self.release),
        }
    }

    /// The name of the source package: its file is called `name-version-release.src.rpm`.
    pub(super) fn source_name(&self) -> Option<&'a str> {
        let (rest, _) = self.source?.rsplit_once('-')?;
        rest.rsplit_once('-').map(|(name, _)| name)
    }
}

/// A header as it stands, for what is wanted of some of its tags.
pub(super) struct Index<'a> {
    entries: &'a [u8],
    data: &'a [u8],
}

/// One tag of it.
#[derive(Clone, Copy)]
struct Entry {
    tag: u32,
    kind: u32,
    at: usize,
    count: usize,
}

impl Entry {
    fn of(bytes: &[u8]) -> Self {
        let number = |at| be32(bytes, at).unwrap_or(0);
        Self { tag: number(0), kind: number(4), at: number(8) as usize, count: number(12) as usize }
    }
}

impl<'a> Index<'a> {
    /// The header in `blob`, or why there is none.
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, &'static str> {
        let cut = "a header that is cut off";
        let (Some(entries), Some(length)) = (be32(blob, 0), be32(blob, 4)) else { return Err(cut) };
        let (entries, length) = (entries as usize, length as usize);
        if entries == 0 || entries > MAX_ENTRIES || length > MAX_DATA {
            return Err("a header with impossible counts");
        }
        let start = 8 + entries * 16;
        let data = blob.get(start..).and_then(|data| data.get(..length)).ok_or(cut)?;
        Ok(Self { entries: blob.get(8..start).ok_or(cut)?, data })
    }

    /// The name of the package.
    pub(super) fn name(&self) -> Option<&'a str> {
        let Values { kind, at, .. } = self.find(NAME)?;
        text(self.data, kind, at)
    }

    /// Where the values of a tag stand.
    pub(super) fn find(&self, tag: u32) -> Option<Values<'a>> {
        let entry = self.entries.chunks_exact(16).map(Entry::of).find(|entry| entry.tag == tag)?;
        Some(Values { data: self.data, kind: entry.kind, at: entry.at, count: entry.count })
    }
}

/// The values of one tag.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    data: &'a [u8],
    kind: u32,
    at: usize,
    count: usize,
}

impl<'a> Values<'a> {
    /// The number at `place`, of whichever width; `None` beyond the last.
    pub(super) fn number(&self, place: usize) -> Option<u32> {
        if place >= self.count {
            return None;
        }
        match self.kind {
            CHAR | INT8 => self.data.get(self.at.checked_add(place)?).copied().map(u32::from),
            INT16 => be16(self.data, self.at.checked_add(place.checked_mul(2)?)?).map(u32::from),
            INT32 => be32(self.data, self.at.checked_add(place.checked_mul(4)?)?),
            _ => None,
        }
    }

    /// The texts; `None` where they are none, or fewer than the header says.
    pub(super) fn texts(&self) -> Option<Vec<&'a [u8]>> {
        if self.kind != TEXTS || self.count > self.data.len() {
            return None;
        }
        let texts = self.data.get(self.at..)?.split(|byte| *byte == 0);
        let texts: Vec<&[u8]> = texts.take(self.count).collect();
        (texts.len() == self.count).then_some(texts)
    }
}

/// A printable text that ends in NUL.
fn text(data: &[u8], kind: u32, at: usize) -> Option<&str> {
    if kind != STRING && kind != STRINGS {
        return None;
    }
    let bytes = data.get(at..)?;
    let bytes = bytes.get(..bytes.len().min(MAX_VALUE + 1))?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
pub(in crate::probes::packages) mod tests {
    use super::*;

    /// A header with these texts, by tag, and an epoch.
    pub(in crate::probes::packages) fn blob(texts: &[(u32, &str)], epoch: Option<u32>) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        let mut entry = |tag: u32, kind: u32, at: usize| {
            for number in [tag, kind, u32::try_from(at).unwrap(), 1] {
                index.extend_from_slice(&number.to_be_bytes());
            }
        };
        for (tag, text) in texts {
            entry(*tag, STRING, data.len());
            data.extend_from_slice(text.as_bytes());
            data.push(0);
        }
        if let Some(epoch) = epoch {
            entry(EPOCH, INT32, data.len());
            data.extend_from_slice(&epoch.to_be_bytes());
        }
        let counts = [u32::try_from(index.len() / 16).unwrap(), u32::try_from(data.len()).unwrap()];
        let mut blob: Vec<u8> = counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        blob.extend(index);
        blob.extend(data);
        blob
    }

    pub(in crate::probes::packages) fn package(name: &str, version: &str, release: &str) -> Vec<u8> {
        let source = format!("of-{name}-{version}-{release}.src.rpm");
        let texts = [
            (NAME, name),
            (VERSION, version),
            (RELEASE, release),
            (ARCH, "x86_64"),
            (SOURCE, &source),
            (VENDOR, "Example"),
        ];
        blob(&texts, None)
    }

    #[test]
    fn what_is_wanted_is_read_and_the_rest_passed_over() {
        let texts = [(999, "x"), (NAME, "bash"), (VERSION, "5.1"), (RELEASE, "2.el9"), (ARCH, "x86_64")];
        let blob = blob(&texts, Some(3));
        let header = Header::parse(&blob).unwrap();
        assert_eq!((header.name, header.full_version().as_str()), ("bash", "3:5.1-2.el9"));
        let package = package("a", "1", "2");
        assert_eq!(Header::parse(&package).unwrap().source_name(), Some("of-a"));
    }

    #[test]
    fn every_truncation_is_refused() {
        let whole = package("bash", "5.1", "2");
        for end in 0..whole.len() {
            assert!(Header::parse(&whole[..end]).is_err(), "{end}");
        }
        assert_eq!(Header::parse(&blob(&[(NAME, "a")], None)), Err((Some("a"), "no version or no release")));
    }
}
