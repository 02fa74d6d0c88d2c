//! Accounts and groups, as bytes: `/etc/passwd` (passwd(5)), `/etc/group` (group(5)), and where else the system would
//! look (nsswitch.conf(5)).
//!
//! A line that is not understood is a gap. The C library drops such lines, but not all versions drop the same ones.

use std::path::Path;

use crate::host::{Gap, GapKind, Host, gap, read_small};

/// The most lines of one file that are understood; a directory with more users is no file. Each takes near two kilobytes until
/// it is judged.
const MAX_LINES: usize = 20_000;
/// The most lines that are told apart of those that are not understood.
const MAX_SPOILT: usize = 1_000;
/// The longest list of members of one group, in bytes; glibc reads a group of any length, if slowly.
const MAX_MEMBERS: usize = 512 * 1024;

/// One line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probes) struct Account {
    pub(in crate::probes) name: Vec<u8>,
    /// The second field: never part of facts, it may be a password's hash.
    pub(in crate::probes) password: Vec<u8>,
    pub(in crate::probes) uid: u32,
    pub(in crate::probes) gid: u32,
    pub(in crate::probes) home: Vec<u8>,
    pub(in crate::probes) shell: Vec<u8>,
}

/// One line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probes) struct Group {
    pub(in crate::probes) name: Vec<u8>,
    pub(in crate::probes) gid: u32,
    pub(in crate::probes) members: Vec<Vec<u8>>,
}

/// The most that lines may weigh together, in bytes: what they say is held three times until it is judged, and each of a list's
/// members by itself.
const MAX_WEIGHT: usize = 16 * 1024 * 1024;
const MEMBER: usize = 48;

/// What was read, and what of it could not be understood.
pub(in crate::probes) struct Table<T> {
    pub(in crate::probes) lines: Vec<T>,
    pub(in crate::probes) gaps: Vec<Gap>,
    /// `+` and `-` lines, which stand for a directory's entries.
    pub(in crate::probes) compat: Option<Gap>,
}

/// The accounts of `host`.
pub(in crate::probes) fn accounts(host: &dyn Host) -> Table<Account> {
    table(host, "/etc/passwd", 7, |fields| {
        let [name, password, uid, gid, rest @ ..] = fields else { return None };
        let field = |at: usize| rest.get(at).copied().unwrap_or_default().to_vec();
        let (name, password) = (named(name)?, password.to_vec());
        Some(Account { name, password, uid: number(uid)?, gid: number(gid)?, home: field(1), shell: field(2) })
    })
}

/// The groups of `host`.
pub(in crate::probes) fn groups(host: &dyn Host) -> Table<Group> {
    table(host, "/etc/group", 5, |fields| {
        let [name, _password, gid, rest @ ..] = fields else { return None };
        let members = match rest {
            [] => &[],
            [members] => *members,
            [..] => return None,
        };
        if members.len() > MAX_MEMBERS {
            return None;
        }
        let split = members.split(|byte| *byte == b',').filter(|name| !name.is_empty());
        Some(Group { name: named(name)?, gid: number(gid)?, members: split.map(<[u8]>::to_vec).collect() })
    })
}

/// The lines of a file with fields between colons, at most `most`, those that are not understood as gaps.
pub(in crate::probes) fn table<T>(
    host: &dyn Host,
    path: &str,
    most: usize,
    line: impl Fn(&[&[u8]]) -> Option<T>,
) -> Table<T> {
    let mut table = Table { lines: Vec::new(), gaps: Vec::new(), compat: None };
    let bytes = match host.read(Path::new(path)) {
        Ok(bytes) => bytes,
        Err(gap) => {
            table.gaps.push(gap);
            return table;
        }
    };
    let (mut spoilt, mut weight) = (0_usize, 0_usize);
    for (number, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if table.lines.len() >= MAX_LINES || spoilt > MAX_SPOILT {
            let why = format!("more than {MAX_LINES} lines, or {MAX_SPOILT} that are not understood");
            table.gaps.push(Gap::new(GapKind::TooLarge, path, why));
            return table;
        }
        let text = text.trim_ascii_start();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        if text.starts_with(b"+") || text.starts_with(b"-") {
            let why = format!("line {}: stands for a directory's entries, which cannot be seen", number + 1);
            table.compat.get_or_insert(Gap::new(GapKind::Unsupported, path, why));
            continue;
        }
        weight += 3 * text.len() + MEMBER * text.iter().filter(|byte| **byte == b',').count();
        if weight > MAX_WEIGHT {
            let why = format!("lines from {} on say more than is held", number + 1);
            table.gaps.push(Gap::new(GapKind::TooLarge, path, why));
            return table;
        }
        let fields: Vec<&[u8]> = text.splitn(most, |byte| *byte == b':').collect();
        match line(&fields).filter(|_| !text.contains(&0)) {
            Some(entry) => table.lines.push(entry),
            None => {
                spoilt += 1;
                table.gaps.push(Gap::malformed(path, format!("line {} is not understood", number + 1)));
            }
        }
    }
    table
}

fn named(bytes: &[u8]) -> Option<Vec<u8>> {
    (!bytes.is_empty()).then(|| bytes.to_vec())
}

fn number(bytes: &[u8]) -> Option<u32> {
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(bytes).ok()?.parse().ok()).flatten()
}

/// The databases this probe reads as files that nsswitch.conf(5) also, or instead, takes from elsewhere. `systemd` is
/// not elsewhere: it makes up root, nobody and accounts of running services, none of which administer, unless there are
/// user records in `/etc/userdb`.
pub(in crate::probes) fn elsewhere(host: &dyn Host) -> Vec<(&'static str, Gap)> {
    const PATH: &str = "/etc/nsswitch.conf";
    let mut found = Vec::new();
    let bytes = match gap::optional(read_small(host, Path::new(PATH))) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(gap) => return ["passwd", "group", "sudoers"].map(|database| (database, gap.clone())).to_vec(),
    };
    let mut systemd = false;
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let text = String::from_utf8_lossy(line);
        let Some((database, sources)) = text.split_once(':') else { continue };
        let Some(database) = ["passwd", "group", "sudoers"].into_iter().find(|known| database.trim() == *known) else {
            continue;
        };
        for source in sources.split_whitespace().filter(|word| !word.starts_with('[') && !word.ends_with(']')) {
            match source {
                "files" | "compat" => {}
                "systemd" => systemd = true,
                other => {
                    let why = format!("{database} is also looked up in `{other}`, whose users cannot be seen");
                    found.push((database, Gap::new(GapKind::Unsupported, PATH, why)));
                }
            }
        }
    }
    if systemd
        && let Ok(records) = host.list(Path::new("/etc/userdb"))
        && !records.is_empty()
    {
        let why = "holds user records, which are not read";
        found.push(("passwd", Gap::new(GapKind::Unsupported, "/etc/userdb", why)));
    }
    found
}
