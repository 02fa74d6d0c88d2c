//! A small Debian-like root file system for `--root`: enough files for every probe, made by hand, cheap to change.
//!
//! Not a booted machine: what only a live system can tell is not-applicable on it.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder that looks like the root of a Debian 12 server.
#[derive(Debug, Clone)]
pub struct Debian {
    root: PathBuf,
}

impl Debian {
    /// Writes one into `root`, called `name`.
    pub fn write(root: &Path, name: &str) -> Self {
        let debian = Self { root: root.to_owned() };
        debian.file("etc/hostname", format!("{name}\n"));
        debian.file(
            "etc/machine-id",
            format!("{:032x}\n", name.bytes().fold(7u128, |id, byte| id * 257 + u128::from(byte))),
        );
        debian.file("usr/lib/os-release", OS_RELEASE);
        std::os::unix::fs::symlink("../usr/lib/os-release", root.join("etc/os-release")).unwrap();
        debian.file("etc/debian_version", "12.12\n");
        debian.file("etc/passwd", PASSWD);
        debian.file("etc/group", GROUP);
        debian.file(
            "etc/sudoers",
            "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
        );
        debian.file("etc/sudoers.d/README", "# nothing\n");
        debian.file("etc/chrony/chrony.conf", "pool 2.debian.pool.ntp.org iburst\n");
        debian.file("etc/nftables.conf", "#!/usr/sbin/nft -f\nflush ruleset\n");
        debian.file("var/lib/dpkg/status", "");
        fs::create_dir_all(root.join("var/lib/dpkg/info")).unwrap();
        for (package, version) in PACKAGES {
            debian.install(package, version);
        }
        debian
    }

    /// One written before.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file, replacing it as an editor does: a new file renamed over the old.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        let new = path.with_file_name(format!(".{name}.dpkg-new"));
        fs::write(&new, content).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// A file's text.
    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }

    /// Installs a package, or another version of it, as dpkg's status file tells.
    pub fn install(&self, package: &str, version: &str) {
        self.install_as(package, version, "amd64");
    }

    /// The same with its architecture.
    pub fn install_as(&self, package: &str, version: &str, architecture: &str) {
        let stanza = format!(
            "Package: {package}\nStatus: install ok installed\nPriority: optional\nSection: admin\nInstalled-Size: 100\n\
             Maintainer: Somebody <somebody@example.org>\nArchitecture: {architecture}\nVersion: {version}\n\
             Description: {package}, made up\n of nothing\n\n"
        );
        self.change_status(package, &stanza);
    }

    /// Removes a package.
    pub fn purge(&self, package: &str) {
        self.change_status(package, "");
    }

    fn change_status(&self, package: &str, stanza: &str) {
        let head = format!("Package: {package}\n");
        let status = self.text("var/lib/dpkg/status");
        let mut kept: String = status.split_inclusive("\n\n").filter(|stanza| !stanza.starts_with(&head)).collect();
        kept.push_str(stanza);
        self.file("var/lib/dpkg/status", kept);
    }

    /// Gives `user` all rights through a file of its own under `sudoers.d`.
    pub fn sudoer(&self, user: &str) {
        self.file(&format!("etc/sudoers.d/{user}"), format!("{user} ALL=(ALL) NOPASSWD: ALL\n"));
    }
}

const PACKAGES: &[(&str, &str)] = &[
    ("base-files", "12.4+deb12u12"),
    ("bash", "5.2.15-2+b8"),
    ("chrony", "4.3-2+deb12u1"),
    ("coreutils", "9.1-1"),
    ("dpkg", "1.21.22"),
    ("libc6", "2.36-9+deb12u13"),
    ("nftables", "1.0.6-2+deb12u2"),
    ("openssh-server", "1:9.2p1-2+deb12u7"),
    ("openssl", "3.0.17-1~deb12u2"),
    ("sudo", "1.9.13p3-1+deb12u2"),
];

const OS_RELEASE: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n\
    VERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\nHOME_URL=\"https://www.debian.org/\"\n";

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
    sync:x:4:65534:sync:/bin:/bin/sync\nops:x:1000:1000:Operations:/home/ops:/bin/bash\n\
    guest:x:1001:1001::/home/guest:/bin/bash\n";

const GROUP: &str = "root:x:0:\ndaemon:x:1:\nadm:x:4:\nsudo:x:27:ops\nops:x:1000:\nguest:x:1001:\n";
