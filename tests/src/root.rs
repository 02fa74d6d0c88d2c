//! Debian roots, made by `tests/roots` once and unpacked once beside the cache. Needs root.
//!
//! A root is only ever read: hosts boot on an overlay above it, `--root` reads it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

use crate::processes::run;

/// The unpacked root of a Debian release such as `bookworm`: never to be written to.
#[track_caller]
pub fn debian(suite: &str) -> PathBuf {
    assert!(rustix::process::geteuid().is_root(), "unpacking a Debian root needs root: run this by `tests/run`");
    let roots = Path::new(env!("CARGO_MANIFEST_DIR")).join("roots");
    // Not `run`: making a root takes minutes, and what it says is worth seeing.
    let made = Command::new(roots).arg(suite).output().unwrap();
    assert!(made.status.success(), "tests/roots {suite}: {}", String::from_utf8_lossy(&made.stderr));
    let archive = PathBuf::from(String::from_utf8(made.stdout).unwrap().trim());
    unpack(&archive)
}

fn unpack(archive: &Path) -> PathBuf {
    let name = archive.file_name().unwrap().to_str().unwrap();
    let target = archive.with_file_name(name.trim_end_matches(".tar.zst"));
    // Two test programs may both want it first.
    let lock = File::create(archive.with_extension("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    if !target.exists() {
        let work = target.with_extension("new");
        if work.exists() {
            fs::remove_dir_all(&work).unwrap();
        }
        fs::create_dir_all(&work).unwrap();
        let mut tar = Command::new("tar");
        tar.args(["--zstd", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"])
            .arg(archive)
            .arg("-C")
            .arg(&work);
        run(&mut tar).ok();
        fs::rename(&work, &target).unwrap();
    }
    target
}
