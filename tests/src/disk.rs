//! A small disk that can be filled to its last byte: a tmpfs in a mount namespace of its own, gone with the value. Needs
//! root.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::processes::Running;

/// A file system of its own.
pub struct Disk {
    cell: Running,
    place: TempDir,
}

impl Disk {
    /// One of `size`, as tmpfs(5) takes it: `4m`.
    #[track_caller]
    pub fn new(size: &str) -> Self {
        assert!(rustix::process::geteuid().is_root(), "mounting a disk needs root: run this by `tests/run`");
        let place = TempDir::with_prefix("plumbline-disk-").unwrap();
        let set_up = "mount -t tmpfs -o mode=0755,size=\"$2\" none \"$1\" && echo ready && exec sleep infinity";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", set_up, "disk"]).arg(place.path()).arg(size);
        let cell = Running::start("disk", &mut command);
        cell.wait_for("ready");
        Self { cell, place }
    }

    /// Where it stands for processes outside its namespace: through proc(5).
    pub fn path(&self) -> PathBuf {
        Path::new("/proc").join(self.cell.pid().to_string()).join("root").join(self.inside().strip_prefix("/").unwrap())
    }

    /// Where it stands for processes inside its namespace.
    pub fn inside(&self) -> &Path {
        self.place.path()
    }

    /// What runs a command inside: `nsenter …`.
    pub fn enter(&self) -> Vec<String> {
        vec!["nsenter".into(), format!("--mount=/proc/{}/ns/mnt", self.cell.pid())]
    }

    /// Fills it until nothing more goes in.
    #[track_caller]
    pub fn fill(&self) {
        let mut ballast = OpenOptions::new().create(true).append(true).open(self.path().join("ballast")).unwrap();
        let chunk = [0x5a; 4096];
        let error = loop {
            if let Err(error) = ballast.write_all(&chunk) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }

    /// Takes back out what filled it.
    #[track_caller]
    pub fn empty(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }
}
