//! The files of packages as rpm's database lists them, with what their content was when they were installed.
//!
//! Source: rpmtag.h, rpmfiles.h, rpm's `lib/verify.c` for what is verified: regular files, unless they are ghosts, another package
//! has replaced them, they were not installed, or the package says that their content is not to be verified.

use super::header::Index;
use super::{Format, database, with_blobs};
use crate::host::{Checksum, Gap, Host};

const FILE_STATES: u32 = 1029;
const FILE_MODES: u32 = 1030;
const FILE_DIGESTS: u32 = 1035;
const FILE_FLAGS: u32 = 1037;
const FILE_VERIFY_FLAGS: u32 = 1045;
const DIRECTORY_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIRECTORY_NAMES: u32 = 1118;
const DIGEST_ALGORITHM: u32 = 5011;

const IS_CONFIGURATION: u32 = 1;
const MISSING_IS_FINE: u32 = 1 << 3;
const IS_GHOST: u32 = 1 << 6;
const VERIFY_DIGEST: u32 = 1;

/// One regular file of a package.
pub(crate) struct Verifiable<'a> {
    /// The package's name.
    pub(crate) package: &'a str,
    /// Where it stands.
    pub(crate) path: Vec<u8>,
    /// What its content sums to.
    pub(crate) sum: Sum,
    /// Marked `%config`.
    pub(crate) configuration: bool,
    /// Marked `missingok`.
    pub(crate) may_be_missing: bool,
}

/// What is known of a file's content.
pub(crate) enum Sum {
    /// The sum, and of which kind.
    Of(Checksum, Vec<u8>),
    /// The package says nothing, or that it is not to be verified.
    None,
    /// A sum of another kind, by OpenPGP's number.
    Unknown(u32),
}

/// Calls `take` for each file that is verified; `None` where there is no such database.
pub(crate) fn each(host: &dyn Host, take: &mut dyn FnMut(Verifiable<'_>)) -> Option<Result<(), Gap>> {
    let (path, format): (_, Format) = database(host)?;
    let mut spoilt = false;
    let read = with_blobs(host, path, format, &mut |blob| spoilt |= package(blob, take).is_none());
    let spoilt = if spoilt { Err(Gap::malformed(path, "the files of some package cannot be read")) } else { Ok(()) };
    Some(read.and(spoilt))
}

/// Each file of one header; `None` where it is malformed.
fn package(blob: &[u8], take: &mut dyn FnMut(Verifiable<'_>)) -> Option<()> {
    let index = Index::parse(blob).ok()?;
    let package = index.name()?;
    // A package without files has none of these.
    let Some(names) = index.find(BASE_NAMES) else { return Some(()) };
    let (names, folders, folder_of) =
        (names.texts()?, index.find(DIRECTORY_NAMES)?.texts()?, index.find(DIRECTORY_INDEXES)?);
    let modes = index.find(FILE_MODES)?;
    let digests = index.find(FILE_DIGESTS).map_or(Some(Vec::new()), |digests| digests.texts())?;
    let optional = |tag| {
        let values = index.find(tag);
        move |at| values.and_then(|values| values.number(at))
    };
    let (flags, states, verified) = (optional(FILE_FLAGS), optional(FILE_STATES), optional(FILE_VERIFY_FLAGS));
    let algorithm = optional(DIGEST_ALGORITHM)(0).unwrap_or(1);
    for (at, name) in names.into_iter().enumerate() {
        let folder = folders.get(folder_of.number(at)? as usize)?;
        let flags = flags(at).unwrap_or(0);
        let is_regular = modes.number(at)? & 0o170_000 == 0o100_000;
        // 0 installed, 1 replaced by another package's, 2 not installed, 3 on a network share, 4 of the other word size.
        let state = states(at).unwrap_or(0);
        if !is_regular || flags & IS_GHOST != 0 || state > 1 {
            continue;
        }
        let is_verified = state == 0 && verified(at).unwrap_or(u32::MAX) & VERIFY_DIGEST != 0;
        let digest = digests.get(at).copied().filter(|digest| is_verified && !digest.is_empty());
        let sum = match digest.map(|digest| (algorithm, bytes_of_hex(digest))) {
            None => Sum::None,
            Some((1, Some(bytes))) => Sum::Of(Checksum::Md5, bytes),
            Some((8, Some(bytes))) => Sum::Of(Checksum::Sha256, bytes),
            Some((other, Some(_))) => Sum::Unknown(other),
            Some((_, None)) => return None,
        };
        take(Verifiable {
            package,
            path: [folder, name].concat(),
            sum,
            configuration: flags & IS_CONFIGURATION != 0,
            may_be_missing: flags & MISSING_IS_FINE != 0,
        });
    }
    Some(())
}

/// The bytes that hexadecimal digits stand for.
pub(crate) fn bytes_of_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these tags: type, count and data.
    fn header(tags: &[(u32, u32, usize, Vec<u8>)]) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for (tag, kind, count, value) in tags {
            let numbers = [*tag, *kind, u32::try_from(data.len()).unwrap(), u32::try_from(*count).unwrap()];
            index.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
            data.extend(value);
        }
        let counts = [u32::try_from(tags.len()).unwrap(), u32::try_from(data.len()).unwrap()];
        [counts.iter().flat_map(|count| count.to_be_bytes()).collect(), index, data].concat()
    }

    fn words(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    fn tags() -> Vec<(u32, u32, usize, Vec<u8>)> {
        let sum = "ab".repeat(32);
        vec![
            (1000, 6, 1, b"tool\0".to_vec()),
            (FILE_STATES, 1, 4, vec![0, 0, 1, 2]),
            (
                FILE_MODES,
                3,
                4,
                [0o100755u16, 0o100644, 0o100644, 0o100644].iter().flat_map(|m| m.to_be_bytes()).collect(),
            ),
            (FILE_DIGESTS, 8, 4, format!("{sum}\0{sum}\0{sum}\0{sum}\0").into_bytes()),
            (FILE_FLAGS, 4, 4, words(&[0, IS_CONFIGURATION | MISSING_IS_FINE, 0, 0])),
            (DIRECTORY_INDEXES, 4, 4, words(&[0, 1, 0, 0])),
            (BASE_NAMES, 8, 4, b"a\0a.conf\0b\0c\0".to_vec()),
            (DIRECTORY_NAMES, 8, 2, b"/usr/bin/\0/etc/\0".to_vec()),
            (DIGEST_ALGORITHM, 4, 1, words(&[8])),
        ]
    }

    fn read(tags: &[(u32, u32, usize, Vec<u8>)]) -> Option<Vec<String>> {
        let mut all = Vec::new();
        package(&header(tags), &mut |file| {
            let sum = match &file.sum {
                Sum::Of(Checksum::Sha256, bytes) => format!("sha256 of {} bytes", bytes.len()),
                Sum::Of(Checksum::Md5, _) => "md5".into(),
                Sum::None => "no sum".into(),
                Sum::Unknown(other) => format!("kind {other}"),
            };
            let marks = [(file.configuration, " configuration"), (file.may_be_missing, " optional")];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            all.push(format!("{} {} {sum}{marks}", file.package, String::from_utf8_lossy(&file.path)));
        })?;
        Some(all)
    }

    #[test]
    fn files_are_told_with_their_sums_and_marks() {
        let expected = [
            "tool /usr/bin/a sha256 of 32 bytes",
            "tool /etc/a.conf sha256 of 32 bytes configuration optional",
            "tool /usr/bin/b no sum",
        ];
        assert_eq!(read(&tags()).unwrap(), expected);
        let mut other = tags();
        other[8].3 = words(&[10]);
        assert_eq!(read(&other).unwrap()[0], "tool /usr/bin/a kind 10");
        assert_eq!(read(&tags()[..1]).unwrap().len(), 0, "a package without files");
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        for (at, value) in [(5, words(&[0, 9, 0, 0])), (3, b"zz\0zz\0zz\0zz\0".to_vec())] {
            let mut bad = tags();
            bad[at].3 = value;
            assert!(read(&bad).is_none(), "{at}");
        }
        for count in [5, 4000] {
            let mut bad = tags();
            bad[6].2 = count;
            assert!(read(&bad).is_none(), "{count} names and four modes");
        }
        let whole = header(&tags());
        for end in 0..whole.len() {
            assert!(package(&whole[..end], &mut |_| {}).is_none(), "{end}");
        }
    }
}
