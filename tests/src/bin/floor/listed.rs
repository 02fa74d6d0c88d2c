//! The floor of a whole check: every path that one looked at, read and parsed as what its name says it is, and nothing kept.
//!
//! The list has a line a path: `file`, `folder`, `link` or `stat`, a blank, the path.

use std::fs::File;
use std::io::{BufReader, Read as _};

use lz4_flex::block::decompress_into_with_dict;

use super::lines;

/// How far back a block of LZ4 may refer.
const HISTORY: usize = 64 * 1024;
/// The largest block of LZ4.
const BLOCK: usize = 4 * 1024 * 1024;
/// How much is decoded before what was used is let go.
const SLACK: usize = 1024 * 1024;

/// Reads all that `list` names; how many things were found in it.
pub fn read(list: &str) -> usize {
    list.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(kind, path)| match kind {
            "file" if path.ends_with("_Packages.lz4") => packages(path),
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

/// Who holds sockets. The sockets themselves are left out: in /proc/net they cost more than netlink takes for them.
pub fn sockets() -> usize {
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let held =
        entries.flatten().filter_map(|entry| std::fs::read_dir(entry.path().join("fd")).ok()).flatten().flatten();
    let sockets = held.filter(|fd| {
        std::fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str().to_string_lossy().starts_with("socket:"))
    });
    sockets.count()
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

/// The stanzas of a frame of LZ4, block by block in a window that slides.
fn packages(path: &str) -> usize {
    let Ok(file) = File::open(path) else { return 0 };
    let mut file = BufReader::with_capacity(128 * 1024, file);
    let mut window = vec![0; HISTORY + BLOCK + SLACK];
    let (mut filled, mut done, mut count) = (0, 0, 0);
    let (mut head, mut number, mut block) = ([0; 7], [0; 4], Vec::new());
    file.read_exact(&mut head).unwrap();
    while file.read_exact(&mut number).is_ok() {
        let size = u32::from_le_bytes(number);
        let (stored, length) = (size >> 31 == 1, (size & 0x7fff_ffff) as usize);
        if length == 0 {
            break;
        }
        block.clear();
        file.by_ref().take(length as u64).read_to_end(&mut block).unwrap();
        if filled + BLOCK > window.len() {
            let from = done.min(filled - HISTORY);
            window.copy_within(from..filled, 0);
            (filled, done) = (filled - from, done - from);
        }
        let (history, room) = window.split_at_mut(filled);
        filled += if stored {
            room[..length].copy_from_slice(&block);
            length
        } else {
            decompress_into_with_dict(&block, room, &history[filled.saturating_sub(HISTORY)..]).unwrap()
        };
        while let Some(end) = memchr::memmem::find(&window[done..filled], b"\n\n") {
            count += stanza(&window[done..done + end]);
            done += end + 2;
        }
    }
    assert!(count > 0, "no package in a list of them");
    count
}
