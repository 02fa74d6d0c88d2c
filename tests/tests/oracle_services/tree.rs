//! A root file system that holds nothing but units.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use plumbline_tests::processes::run;
use tempfile::TempDir;

pub struct Tree(TempDir);

impl Tree {
    pub fn new() -> Self {
        let tree = Self(TempDir::with_prefix("plumbline-units-").unwrap());
        tree.file("usr/lib/systemd/systemd", "");
        for folder in ["usr/lib/systemd/system", "usr/local/lib", "etc/systemd/system", "run", "opt", "dev"] {
            fs::create_dir_all(tree.path(folder)).unwrap();
        }
        run(Command::new("mknod").arg(tree.path("dev/null")).args(["c", "1", "3"])).ok();
        symlink("usr/lib", tree.path("lib")).unwrap();
        tree
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub fn link(&self, path: &str, target: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    /// Everything in it, for a failure to be looked at.
    pub fn listing(&self) -> String {
        let mut find = Command::new("find");
        find.current_dir(self.root()).args(["etc", "run", "usr", "opt", "-type", "l", "-printf", "%p -> %l\n", "-o"]);
        find.args(["-type", "f", "-printf", "%p: %s bytes\n", "-exec", "grep", "=", "{}", ";"]);
        run(&mut find).stdout
    }
}
