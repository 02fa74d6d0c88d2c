//! What listens: the sockets of this network namespace that wait for others, by sock_diag(7), which asks for no right.
//! And who holds them: control groups by their id, which every socket bears, and processes by their open files, which
//! only those with power over a process may look at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use audit::host::{Gap, GapKind};

use super::netlink::{Dumper, Protocol};

/// SOCK_DIAG_BY_FAMILY.
const BY_FAMILY: u16 = 20;
/// AF_INET and AF_INET6.
const FAMILIES: [u8; 2] = [2, 10];
/// IPPROTO_TCP in TCP_LISTEN, IPPROTO_UDP in TCP_CLOSE: not connected to anybody.
const PROTOCOLS: [(u8, u32); 2] = [(6, 1 << 10), (17, 1 << 7)];
/// Control groups beyond which nobody looks.
const MOST_GROUPS: usize = 20_000;
const MOST_OWNERS: usize = 100_000;

/// See [`audit::host::Question::Sockets`].
pub(super) fn ask() -> Result<Vec<u8>, Gap> {
    let dumper = Dumper::open(Protocol::SockDiag, "sockets")?;
    let mut told = Vec::new();
    for (protocol, states) in PROTOCOLS {
        for family in FAMILIES {
            // struct inet_diag_req_v2: family, protocol, extensions, padding, states, and an empty inet_diag_sockid.
            let mut body = vec![family, protocol, 0, 0];
            body.extend(states.to_ne_bytes());
            body.extend([0; 48]);
            match dumper.dump(BY_FAMILY, &body, &mut told) {
                // A kernel without IPv6 has none of its sockets: an empty dump says so.
                Err(gap) if gap.kind == GapKind::Unsupported && family == 10 => told.extend(done()),
                answer => answer?,
            }
        }
    }
    Ok(told)
}

/// An NLMSG_DONE of our own.
fn done() -> [u8; 20] {
    let mut message = [0; 20];
    if let Some(length) = message.first_chunk_mut::<4>() {
        *length = 20_u32.to_ne_bytes();
    }
    if let Some(kind) = message.get_mut(4..6) {
        kind.copy_from_slice(&3_u16.to_ne_bytes());
    }
    message
}

/// See [`audit::host::Question::ControlGroups`].
pub(super) fn ask_groups() -> Result<Vec<u8>, Gap> {
    const WHAT: &str = "control groups";
    let root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let Some(root) = root.into_iter().find(|root| root.join("cgroup.controllers").exists()) else {
        return Err(Gap::new(GapKind::Unsupported, WHAT, "there is no unified hierarchy of control groups"));
    };
    let mut groups: BTreeMap<u64, String> = BTreeMap::new();
    let mut left: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        // A group may end between the listing and the look: then it holds nothing.
        let Ok(stat) = fs::symlink_metadata(&folder) else { continue };
        let name = folder.strip_prefix(root).unwrap_or(&folder);
        groups.insert(stat.ino(), format!("/{}", name.display()));
        if groups.len() > MOST_GROUPS {
            return Err(Gap::new(GapKind::TooLarge, WHAT, format!("more than {MOST_GROUPS}")));
        }
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let inside = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        left.extend(inside.map(|entry| entry.path()));
    }
    serde_json::to_vec(&groups).map_err(|error| Gap::new(GapKind::Failed, WHAT, error.to_string()))
}

/// See [`audit::host::Question::SocketOwners`].
pub(super) fn ask_owners() -> Result<Vec<u8>, Gap> {
    const WHAT: &str = "owners of sockets";
    let failed = |error: std::io::Error| Gap::new(GapKind::Failed, WHAT, error.kind().to_string());
    let mut owners: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").map_err(failed)?.flatten() {
        if !entry.file_name().as_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let process = entry.path();
        // What may not be looked at, or has ended, owns nothing as far as can be told.
        let Ok(files) = fs::read_dir(process.join("fd")) else { continue };
        let targets = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        let sockets: Vec<u64> = targets.filter_map(|target| socket(&target)).collect();
        if sockets.is_empty() {
            continue;
        }
        let Ok(name) = fs::read(process.join("comm")) else { continue };
        let name = String::from_utf8_lossy(name.trim_ascii_end()).into_owned();
        for number in sockets {
            owners.entry(number).or_default().insert(name.clone());
        }
        if owners.len() > MOST_OWNERS {
            return Err(Gap::new(GapKind::TooLarge, WHAT, format!("more than {MOST_OWNERS} sockets")));
        }
    }
    serde_json::to_vec(&owners).map_err(|error| Gap::new(GapKind::Failed, WHAT, error.to_string()))
}

/// `socket:[12345]`
fn socket(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_our_own_is_told_with_its_owner() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_be_bytes();
        let told = ask().unwrap();
        assert!(told.windows(2).any(|bytes| bytes == port));
        let link = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&listener))).unwrap();
        let number = socket(&link).unwrap().to_string();
        let owners: BTreeMap<String, Vec<String>> = serde_json::from_slice(&ask_owners().unwrap()).unwrap();
        assert_eq!(owners[&number].len(), 1);
    }
}
