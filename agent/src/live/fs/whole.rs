//! A file opened once, and all asked of it by that: the tree it stands in may be rearranged meanwhile.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use audit::host::{EntryKind, Gap, Whole};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sha2::Sha256;

use super::{Anchor, Told, gap, stat_of, sum_of, xattr};

const ACCESS_LIST: &str = "system.posix_acl_access";
const CAPABILITY: &str = "security.capability";

impl Anchor {
    /// See [`audit::host::Host::whole`].
    pub(in crate::live) fn whole(&self, path: &Path, most: Option<u64>, told: &Told) -> Result<Whole, Gap> {
        let named = self.reach(path, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW)?;
        let mut whole = Whole::of(stat_of(&rustix::fs::fstat(&named).map_err(|error| gap(path, error))?));
        if whole.stat.kind == EntryKind::Link {
            return Ok(whole);
        }
        // By this path the same file is meant, whatever bears its name by now.
        let by_descriptor = format!("/proc/self/fd/{}", named.as_raw_fd());
        let opened = Whole::sums(&whole.stat, most).then(|| reopen(&by_descriptor));
        let ask = |name: &str| {
            match &opened {
                Some(Ok(file)) => xattr(|bytes| rustix::fs::fgetxattr(file, name, bytes)),
                // fgetxattr(2) refuses a descriptor that only names a file.
                Some(Err(_)) | None => xattr(|bytes| rustix::fs::getxattr(&by_descriptor, name, bytes)),
            }
            .map_err(|error| gap(path, error))
        };
        whole.access_list = ask(ACCESS_LIST);
        if whole.stat.kind == EntryKind::File {
            whole.capability = ask(CAPABILITY);
        }
        whole.sha256 = opened.map(|file| {
            let file = file.map_err(|error| gap(path, error))?;
            sum_of::<Sha256>(File::from(file), whole.stat.size, path, told)
        });
        Ok(whole)
    }
}

fn reopen(by_descriptor: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(by_descriptor, flags, Mode::empty())
}
