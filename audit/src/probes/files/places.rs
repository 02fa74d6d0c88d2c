//! Where a walk over the whole disk begins: the root, and what else is mounted from a local disk or from memory.
//!
//! Source: proc_pid_mountinfo(5). A file system that is mounted twice is walked where it comes first; one of which only a part is
//! mounted (a bind mount) is walked only if nothing shows it whole. Network file systems are somebody else's to audit, squashfs
//! images cannot be written, and an overlay's layers stand on a disk that is walked.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::host::MAX_ENTRIES;

/// What stands there is the kernel's, or gone with the next boot.
pub const PASSED_OVER: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];

const LOCAL: [&str; 14] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "bcachefs", "reiserfs", "nilfs2", "ntfs3", "tmpfs",
    "ramfs",
];

/// The mount points to walk from besides the root, in the order of `mountinfo`, each once.
pub fn besides_the_root(mountinfo: &[u8]) -> Vec<PathBuf> {
    let mounts: Vec<Mount> =
        mountinfo.split(|byte| *byte == b'\n').take(MAX_ENTRIES).filter_map(Mount::parse).collect();
    let mut walked: BTreeSet<&[u8]> =
        mounts.iter().filter(|mount| mount.point == b"/").map(|mount| mount.device).collect();
    let mut places = Vec::new();
    // Whole file systems before parts of them.
    for whole in [true, false] {
        for mount in mounts.iter().filter(|mount| (mount.root == b"/") == whole && mount.is_walked()) {
            if walked.insert(mount.device) {
                places.push(PathBuf::from(std::ffi::OsString::from_vec(mount.point.clone())));
            }
        }
    }
    places
}

struct Mount<'a> {
    device: &'a [u8],
    root: Vec<u8>,
    point: Vec<u8>,
    system: &'a [u8],
}

impl<'a> Mount<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ').skip(2);
        let (device, root, point) = (fields.next()?, unescape(fields.next()?), unescape(fields.next()?));
        // A field of its own ends the optional ones; names have their blanks escaped.
        let system = fields.skip_while(|field| *field != b"-").nth(1)?;
        Some(Self { device, root, point, system })
    }

    fn is_walked(&self) -> bool {
        let inside = |folder: &&str| {
            let rest = self.point.strip_prefix(folder.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        LOCAL.iter().any(|local| local.as_bytes() == self.system)
            && self.point != b"/"
            && !PASSED_OVER.iter().any(inside)
    }
}

/// Blanks and the like stand as three octal digits after a backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_local_file_system_is_walked_once_and_others_are_not() {
        let mountinfo = b"\
22 27 0:21 / /proc rw - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw
30 27 254:1 /srv /srv\\040data rw shared:1 master:2 - xfs /dev/vdb rw
31 27 254:1 / /mnt rw - xfs /dev/vdb rw
32 27 254:0 /run/netns /run/netns rw - ext4 /dev/vda rw
33 27 254:0 /opt /bound rw - ext4 /dev/vda rw
34 27 0:40 / /home rw - nfs4 server:/home rw
35 27 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
36 27 0:41 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
37 27 0:42 / /tmp rw - tmpfs tmpfs rw
38 27 254:2 /@data /data\\134x rw - btrfs /dev/vdc rw
rubbish
39 27 254:3 / /cut rw -";
        let places: Vec<String> =
            besides_the_root(mountinfo).iter().map(|place| place.to_string_lossy().into_owned()).collect();
        assert_eq!(places, ["/mnt", "/tmp", "/data\\x"]);
    }
}
