//! One package's header, as rpm keeps it in its database.
//!
//! Source: rpm's manual, "Package format", and rpmtag.h for the numbers. Two counts, an index of sixteen bytes an entry
//! (tag, type, offset, count), then the data; all numbers have the most significant byte first. Of the hundred tags seven are read.

use super::parts::be32;

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

const INT32: u32 = 4;
const STRING: u32 = 6;
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
        let cut = (None, "a header that is cut off");
        let (Some(entries), Some(length)) = (be32(blob, 0), be32(blob, 4)) else { return Err(cut) };
        let (entries, length) = (entries as usize, length as usize);
        if entries == 0 || entries > MAX_ENTRIES || length > MAX_DATA {
            return Err((None, "a header with impossible counts"));
        }
        let start = 8 + entries * 16;
        let index = blob.get(8..start).ok_or(cut)?;
        let data = blob.get(start..).and_then(|data| data.get(..length)).ok_or(cut)?;
        let mut header = Self::default();
        let (mut name, mut version, mut release) = (None, None, None);
        for entry in index.chunks_exact(16) {
            let number = |at| be32(entry, at).unwrap_or(0);
            let (tag, kind, at) = (number(0), number(4), number(8) as usize);
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
