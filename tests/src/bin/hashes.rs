//! The floor of hashing: a bare program that walks and sums what `plumbline check` sums, and keeps nothing of it.
//!
//! `hashes walk FOLDER` takes the SHA-256 of every regular file below a folder; `hashes dpkg` the MD5 of every file in dpkg's
//! lists, and counts those that differ. The sums are those of the same crates, which use the processor's own instructions where it
//! has them: what a check costs beyond this is finding, judging and telling.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use md5::Md5;
use sha2::{Digest, Sha256};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (count, bytes) = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["walk", folder] => walk(Path::new(folder)),
        ["dpkg"] => dpkg(),
        _ => panic!("hashes walk FOLDER | hashes dpkg"),
    };
    println!("{count} files, {bytes} bytes");
}

fn walk(folder: &Path) -> (usize, u64) {
    let (mut count, mut bytes) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    let mut buffer = vec![0; 128 * 1024];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let (sum, length) = sum::<Sha256>(&path, &mut buffer).unwrap();
                count += usize::from(!sum.is_empty());
                bytes += length;
            }
        }
    }
    (count, bytes)
}

fn dpkg() -> (usize, u64) {
    let (mut count, mut bytes) = (0, 0);
    let mut buffer = vec![0; 128 * 1024];
    for entry in std::fs::read_dir("/var/lib/dpkg/info").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "md5sums") {
            continue;
        }
        for line in String::from_utf8_lossy(&std::fs::read(path).unwrap()).lines() {
            let Some((expected, name)) = line.split_once("  ") else { continue };
            let Some((sum, length)) = sum::<Md5>(&Path::new("/").join(name), &mut buffer) else { continue };
            let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
            count += usize::from(sum == expected);
            bytes += length;
        }
    }
    (count, bytes)
}

fn sum<D: Digest>(path: &Path, buffer: &mut [u8]) -> Option<(Vec<u8>, u64)> {
    let mut file = File::open(path).ok()?;
    let (mut sum, mut length) = (D::new(), 0);
    loop {
        match file.read(buffer).ok()? {
            0 => return Some((sum.finalize().to_vec(), length)),
            read => {
                sum.update(&buffer[..read]);
                length += read as u64;
            }
        }
    }
}
