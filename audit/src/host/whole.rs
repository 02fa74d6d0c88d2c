//! One file looked at whole: what stands there, the rights beside its mode, and the sum of what it holds.
//!
//! A tree of a hundred thousand files is looked at so, and a host that can answer for all of it at once opens each file once.

use std::path::Path;

use super::{Attribute, Checksum, EntryKind, Gap, Host, Stat};

/// What was seen of one file, a symbolic link in the last place not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// What stands there.
    pub stat: Stat,
    /// [`Attribute::AccessList`]; of a link there is none.
    pub access_list: Result<Option<Vec<u8>>, Gap>,
    /// [`Attribute::Capability`], which only a regular file has.
    pub capability: Result<Option<Vec<u8>>, Gap>,
    /// [`Checksum::Sha256`] of a regular file, where it was asked for and the file is no longer than was asked.
    pub sha256: Option<Result<Vec<u8>, Gap>>,
}

impl Whole {
    /// Of `stat`, and nothing else looked at.
    pub fn of(stat: Stat) -> Self {
        Self { stat, access_list: Ok(None), capability: Ok(None), sha256: None }
    }

    /// Whether the sum is wanted of a file so long, where files up to `most` bytes are to be summed.
    pub fn sums(stat: &Stat, most: Option<u64>) -> bool {
        stat.kind == EntryKind::File && most.is_some_and(|most| stat.size <= most)
    }

    /// Asks `host` for one thing after the other.
    pub(super) fn piece_by_piece<H: Host + ?Sized>(host: &H, path: &Path, most: Option<u64>) -> Result<Self, Gap> {
        let mut whole = Self::of(host.lstat(path)?);
        match whole.stat.kind {
            EntryKind::Link => return Ok(whole),
            EntryKind::File => whole.capability = host.attribute(path, Attribute::Capability),
            EntryKind::Directory | EntryKind::Other => {}
        }
        whole.access_list = host.attribute(path, Attribute::AccessList);
        whole.sha256 = Self::sums(&whole.stat, most).then(|| host.checksum(path, Checksum::Sha256));
        Ok(whole)
    }
}
