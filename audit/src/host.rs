//! The only window on a machine.
//!
//! A probe sees a host through [`Host`]: whole small files, folder listings, metadata, and one synchronous
//! question whose answer is bytes. The agent implements it for the live machine; [`recorded::Recorded`] plays a
//! recorded one back. [`declared::Declared`] holds a probe to the reads it declared.
//!
//! Paths are [`Path`]s, not text: a file under `/etc/sudoers.d` may have any bytes for a name and still counts.

pub mod declared;
pub mod gap;
pub mod recorded;
mod redaction;
pub mod whole;

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use declared::Declared;
pub use gap::{Gap, GapKind};
pub use recorded::{Recorded, Recording};
pub use whole::Whole;

/// The largest file a probe may read, in bytes: dpkg's status of a full desktop is about 4 MiB.
pub const MAX_FILE: u64 = 32 * 1024 * 1024;
/// The largest file of those that people write, in bytes: configuration, lists, crontabs.
pub const MAX_TEXT: usize = 1024 * 1024;
/// The largest part of a file read at once, in bytes.
pub const MAX_PART: usize = 4 * 1024 * 1024;
/// The largest file that is summed, in bytes.
pub const MAX_SUMMED: u64 = 4 * 1024 * 1024 * 1024;
/// The most entries a folder listing may have.
pub const MAX_ENTRIES: usize = 100_000;

/// A path as text, bytes that are not UTF-8 as `\xNN`, so that two names never fall together.
pub fn path_text(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A machine, seen.
pub trait Host {
    /// The bytes of the regular file at `path` (absolute), at most [`MAX_FILE`]. Follows symbolic links, always
    /// inside the host's own root. Never blocks on a FIFO or device: those are a gap.
    fn read(&self, path: &Path) -> Result<Vec<u8>, Gap>;

    /// What the folder at `path` holds, sorted by name, at most [`MAX_ENTRIES`].
    fn list(&self, path: &Path) -> Result<Vec<Entry>, Gap>;

    /// Owner, mode and size of `path`, after following symbolic links.
    fn stat(&self, path: &Path) -> Result<Stat, Gap>;

    /// What stands at `path` itself, a symbolic link in the last place not followed.
    fn lstat(&self, path: &Path) -> Result<Stat, Gap>;

    /// Where the symbolic link at `path` points, as it is written there.
    fn link(&self, path: &Path) -> Result<PathBuf, Gap>;

    /// At most `length` bytes (and at most [`MAX_PART`]) of the regular file at `path` from `offset`; fewer at its end.
    /// For databases that are too large to be read whole.
    fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Gap>;

    /// The checksum of the regular file at `path`, at most [`MAX_SUMMED`] bytes long, without holding it in memory.
    fn checksum(&self, path: &Path, sum: Checksum) -> Result<Vec<u8>, Gap>;

    /// An extended attribute of `path`, a symbolic link in the last place not followed; `None` where it has none.
    fn attribute(&self, path: &Path, attribute: Attribute) -> Result<Option<Vec<u8>>, Gap>;

    /// What stands at `path` itself, with the rights beside its mode and, of a regular file of at most `most` bytes, its SHA-256:
    /// as by `lstat`, `attribute` and `checksum`, of one and the same file.
    fn whole(&self, path: &Path, most: Option<u64>) -> Result<Whole, Gap> {
        Whole::piece_by_piece(self, path, most)
    }

    /// The answer to a question no file answers. On a root file system that is not running, a [`GapKind::NotLive`].
    fn ask(&self, question: Question) -> Result<Vec<u8>, Gap>;
}

/// `read`, of a file that people write: at most [`MAX_TEXT`]. What a parser makes of it may be fifty times as large.
pub fn read_small(host: &dyn Host, path: &Path) -> Result<Vec<u8>, Gap> {
    let bytes = host.read(path)?;
    if bytes.len() > MAX_TEXT {
        return Err(Gap::new(GapKind::TooLarge, path_text(path), format!("larger than {} KiB", MAX_TEXT / 1024)));
    }
    Ok(bytes)
}

/// `read_small`, as text. Bytes that are not UTF-8 are kept apart by U+FFFD; use `read_small` where they must not be.
pub fn read_text(host: &dyn Host, path: &str) -> Result<String, Gap> {
    read_small(host, Path::new(path)).map(|bytes| match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name alone, any bytes.
    pub name: std::ffi::OsString,
    /// What it is, links not followed.
    pub kind: EntryKind,
}

/// What a folder entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Link,
    /// A socket, device or FIFO.
    Other,
}

/// A way to sum a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// FIPS 180-4.
    Sha256,
    /// RFC 1321: what dpkg keeps of each file. It tells accidents and careless hands, not a determined attacker.
    Md5,
}

/// An extended attribute that carries rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// `security.capability`, capabilities(7): `struct vfs_cap_data`.
    Capability,
    /// `system.posix_acl_access`, acl(5).
    AccessList,
}

/// Owner, mode and size of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// What it is, links followed.
    pub kind: EntryKind,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// When its content last changed, in seconds since 1970 (negative before).
    #[serde(default)]
    pub modified: i64,
    /// The file system it stands on: tells one from another, and means nothing else.
    #[serde(default)]
    pub device: u64,
}

/// What no file answers. One variant is one exchange with the running system; the answer's bytes are as near to
/// what the system said as can be, so that they can be recorded and parsed in this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// `adjtimex(2)` with no modes set: a JSON object of the fields `returned` (the TIME_* value), `status`, `offset`, `maxerror`,
    /// `esterror`, `freq`, `tai` as the kernel gave them.
    KernelClock,
    /// chronyd's tracking reply packet (RPY_TRACKING), over its Unix socket.
    ChronyTracking,
    /// chronyd's sources, over its Unix socket: a JSON array of `{"source": base64, "name": base64 or null}`, the packets
    /// RPY_SOURCE_DATA and, for what is not a reference clock, RPY_NTP_SOURCE_NAME.
    ChronySources,
    /// systemd-timesyncd over D-Bus: a JSON object of `server_name`, `server_address` (text or null), `poll_interval_max_usec`,
    /// `now_usec` (the real-time clock when asked) and `message`, the fields of `NTPMessage` that are judged.
    Timesync,
    /// ntpd or ntpsec: the reply to a mode 6 readvar of the system variables. Needs an IP socket, which `collect` does not
    /// open: always a gap so far.
    NtpSystem,
    /// Running time daemons: a sorted JSON array of `{"name", "unit", "uid"}`, the `comm` name of the process, its systemd
    /// unit by its control group (or null) and its owner. A process that merely calls itself so is told by the latter two.
    TimeDaemons,
    /// The nftables generation id the kernel counts up at each change: decimal digits. Needs no privilege to change nothing.
    NftGeneration,
    /// `nft -j list ruleset`, its standard output.
    NftRuleset,
    /// systemd's `ListUnits` over D-Bus: a sorted JSON array of `[name, active, sub]`, the unit's name and its states in systemd's words.
    /// Services, sockets, timers and paths; of other kinds only what failed.
    Units,
    /// `iptables-nft-save`, its standard output: the parameters of extensions, which nft's JSON leaves out.
    IptablesNft,
    /// The same of `ip6tables-nft-save`.
    Ip6tablesNft,
    /// `iptables-legacy-save`, its standard output. Needs a raw IP socket, which `collect` does not open: there a gap.
    IptablesLegacy,
    /// The same of `ip6tables-legacy-save`.
    Ip6tablesLegacy,
    /// A walk over the local file systems, none entered from another: `audit::probes::files::survey::Unusual` as JSON, the files that
    /// run with more rights than their caller and those everybody may write. Answered of a root at rest too. Costly.
    UnusualFiles,
    /// The files of packages whose content is not what the package database says: `audit::probes::files::survey::Packaged` as JSON.
    /// Likewise.
    ChangedPackageFiles,
    /// The release of the running kernel, as uname(2) gives it.
    KernelRelease,
    /// Its version, which tells one build of a release from another, as uname(2) gives it.
    KernelVersion,
    /// Sockets that wait for others, sock_diag(7): the kernel's messages of four dumps, each ending in NLMSG_DONE: TCP over IPv4
    /// and IPv6 in LISTEN, UDP over both that is connected to nobody.
    Sockets,
    /// Control groups of the unified hierarchy: a JSON object of paths by id, `{"1": "/", "77": "/system.slice/ssh.service"}`.
    ControlGroups,
    /// The programs that have sockets open, as far as the asker may look into processes: a JSON object of `comm` names by inode,
    /// `{"4711": ["sshd"]}`.
    SocketOwners,
    /// Links, routing rules and routes, rtnetlink(7): the kernel's messages of three dumps, each ending in NLMSG_DONE.
    Routes,
}
