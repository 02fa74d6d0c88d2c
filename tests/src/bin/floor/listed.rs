//! The floor of a whole check: every path that one looked at, read and parsed as what its name says it is, and nothing kept.
//!
//! The list has a line a path: `file`, `folder`, `link` or `stat`, a blank, the path.

use std::path::Path;

use lz4_flex::block::decompress_into_with_dict;

use super::{lines, text};

/// How far back a block of LZ4 may refer.
const HISTORY: usize = 64 * 1024;
/// The largest block of LZ4.
const BLOCK: usize = 4 * 1024 * 1024;

/// Reads all that `list` names; how many things were found in it.
pub fn read(list: &str) -> usize {
    list.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(kind, path)| match kind {
            "file" if path.ends_with("_Packages.lz4") => packages(&std::fs::read(path).unwrap_or_default()),
            "file" if path.ends_with("_Packages") => stanzas(&std::fs::read(path).unwrap_or_default()),
            // Counted with the packages.
            "file" if path == "/var/lib/dpkg/status" => 0,
            "file" => lines(path),
            "folder" => std::fs::read_dir(path).map_or(0, |entries| entries.flatten().count()),
            "link" => std::fs::read_link(path).map_or(0, |_| 1),
            _ => std::fs::metadata(path).map_or(0, |_| 1),
        })
        .sum()
}

/// The sockets of this machine and who holds them.
pub fn sockets() -> usize {
    let tables = ["tcp", "tcp6", "udp", "udp6"].map(|name| lines(format!("/proc/net/{name}")));
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let held =
        entries.flatten().filter_map(|entry| std::fs::read_dir(entry.path().join("fd")).ok()).flatten().flatten();
    let sockets = held.filter(|fd| {
        std::fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str().to_string_lossy().starts_with("socket:"))
    });
    tables.iter().sum::<usize>() + sockets.count() + text("/proc/net/route").lines().count()
}

/// Name, version and architecture of each stanza.
fn stanzas(bytes: &[u8]) -> usize {
    let mut count = 0;
    let mut rest = bytes;
    while let Some(end) = memchr::memmem::find(rest, b"\n\n") {
        count += stanza(&rest[..end]);
        rest = &rest[end + 2..];
    }
    count
}

fn stanza(bytes: &[u8]) -> usize {
    let mut found = 0;
    let mut rest = bytes;
    loop {
        found += ["Package: ", "Version: ", "Architecture: "]
            .iter()
            .filter(|name| rest.starts_with(name.as_bytes()))
            .count();
        match memchr::memchr(b'\n', rest) {
            Some(end) if found < 3 => rest = &rest[end + 1..],
            Some(_) | None => return usize::from(found == 3),
        }
    }
}

/// The stanzas of a frame of LZ4, a window of it at a time.
fn packages(frame: &[u8]) -> usize {
    let mut window = vec![0; 3 * BLOCK];
    let (mut filled, mut done, mut count) = (0, 0, 0);
    let mut at = 7;
    while let Some(head) = frame.get(at..at + 4) {
        let size = u32::from_le_bytes(head.try_into().unwrap());
        let (stored, length) = (size >> 31 == 1, (size & 0x7fff_ffff) as usize);
        let Some(block) = frame.get(at + 4..at + 4 + length).filter(|_| length > 0) else { break };
        at += 4 + length;
        if filled + BLOCK > window.len() {
            let from = done.min(filled - HISTORY);
            window.copy_within(from..filled, 0);
            (filled, done) = (filled - from, done - from);
        }
        let (history, room) = window.split_at_mut(filled);
        filled += if stored {
            room[..length].copy_from_slice(block);
            length
        } else {
            decompress_into_with_dict(block, room, &history[filled.saturating_sub(HISTORY)..]).unwrap()
        };
        while let Some(end) = memchr::memmem::find(&window[done..filled], b"\n\n") {
            count += stanza(&window[done..done + end]);
            done += end + 2;
        }
    }
    assert!(count > 0 && Path::new("/").exists(), "no package in a list of them");
    count
}
