//! Hosts whose databases of packages, and lists of updates, hold the case.

use audit::host::{Question, Recorded};

/// As much of a case as a living host ever answers.
pub fn at_most(case: &[u8], most: usize) -> &[u8] {
    &case[..case.len().min(most)]
}

/// The pieces of a case between lines of `=====`: for what reads several files that belong together.
pub fn pieces<const N: usize>(case: &[u8]) -> [&[u8]; N] {
    const BETWEEN: &[u8] = b"\n=====\n";
    let mut rest = Some(case);
    [(); N].map(|()| {
        let Some(whole) = rest else { return &[][..] };
        match whole.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
            Some(at) => {
                rest = Some(&whole[at + BETWEEN.len()..]);
                &whole[..at]
            }
            None => {
                rest = None;
                whole
            }
        }
    })
}

/// `[[x]; N]` of text where a host wants text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn dpkg_status(case: &[u8]) -> Recorded {
    Recorded::new().file("/var/lib/dpkg/status", case)
}

pub fn dpkg_folders(case: &[u8]) -> Recorded {
    Recorded::new()
        .file(
            "/var/lib/dpkg/status",
            "Package: base\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n",
        )
        .file("/var/lib/dpkg/updates/0001", case)
        .file("/var/lib/dpkg/status.d/base", case)
}

pub fn rpm_sqlite(case: &[u8]) -> Recorded {
    Recorded::new().file("/usr/lib/sysimage/rpm/rpmdb.sqlite", case)
}

/// A good database, and the case as its write-ahead log.
pub fn rpm_sqlite_log(case: &[u8]) -> Recorded {
    Recorded::new()
        .file("/var/lib/rpm/rpmdb.sqlite", include_bytes!("corpus/rpm_sqlite/small"))
        .file("/var/lib/rpm/rpmdb.sqlite-wal", case)
}

pub fn rpm_ndb(case: &[u8]) -> Recorded {
    Recorded::new().file("/usr/lib/sysimage/rpm/Packages.db", case)
}

pub fn rpm_berkeley(case: &[u8]) -> Recorded {
    Recorded::new().file("/var/lib/rpm/Packages", case)
}

pub fn apk(case: &[u8]) -> Recorded {
    Recorded::new().file("/lib/apk/db/installed", case)
}

pub fn pacman(case: &[u8]) -> Recorded {
    let [first, second] = pieces(case);
    Recorded::new()
        .file("/var/lib/pacman/local/bash-5.2-1/desc", first)
        .file("/var/lib/pacman/local/zlib-1.3-2/desc", second)
        .file("/etc/pacman.conf", case)
}

/// The case gives the names, which are all there is to read.
pub fn snap_and_flatpak(case: &[u8]) -> Recorded {
    let mut host = Recorded::new();
    for line in text(case).lines().take(200) {
        let mut words = line.splitn(3, ' ');
        let (kind, name, target) = (words.next(), words.next(), words.next().unwrap_or_default());
        let Some(name) = name.filter(|name| !name.is_empty() && !name.contains('/')) else { continue };
        host = match kind {
            Some("snap") => host.symlink(&format!("/snap/{name}/current"), target),
            Some("app") => host.symlink(&format!("/var/lib/flatpak/app/{name}/x86_64/stable/active"), target),
            _ => host.symlink(&format!("/var/lib/flatpak/runtime/{name}/x86_64/24.08/active"), target),
        };
    }
    host
}

/// Everything that can hold a package back, beside an rpm, an apk and a pacman database that are there.
pub fn holds(case: &[u8]) -> Recorded {
    let [list, toml, zypp, pacman, world] = pieces(case);
    Recorded::new()
        .file("/usr/lib/sysimage/rpm/Packages.db", include_bytes!("corpus/rpm_ndb/small"))
        .file("/lib/apk/db/installed", "P:musl\nV:1.2.5-r0\nA:x86_64\n\n")
        .file("/var/lib/pacman/local/bash-5.2-1/desc", "%NAME%\nbash\n\n%VERSION%\n5.2-1\n\n%ARCH%\nx86_64\n")
        .file("/etc/dnf/plugins/versionlock.list", list)
        .file("/etc/dnf/versionlock.toml", toml)
        .file("/etc/zypp/locks", zypp)
        .file("/etc/pacman.conf", pacman)
        .file("/etc/apk/world", world)
}

const SOURCES: &str = "deb http://deb.example.org bookworm main\n";
const LIST: &str = "/var/lib/apt/lists/deb.example.org_dists_bookworm_";
const INSTALLED: &str = "Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.1-1\n\n\
                         Package: zlib1g\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 1:1.2-1\n\n";

fn apt() -> Recorded {
    Recorded::new()
        .file("/var/lib/dpkg/status", INSTALLED)
        .file("/etc/apt/sources.list", SOURCES)
        .answer(Question::KernelRelease, "6.1.0-28-amd64\n")
        .answer(Question::KernelVersion, "#1 SMP Debian 6.1.119-1 (2024-11-22)\n")
}

pub fn apt_lists(case: &[u8]) -> Recorded {
    let [release, packages] = pieces(case);
    apt().file(&format!("{LIST}InRelease"), release).file(&format!("{LIST}main_binary-amd64_Packages"), packages)
}

pub fn apt_compressed(case: &[u8]) -> Recorded {
    apt()
        .file(&format!("{LIST}InRelease"), "Origin: Debian\nLabel: Debian-Security\nCodename: bookworm-security\n")
        .file(&format!("{LIST}main_binary-amd64_Packages.lz4"), case)
}

pub fn apt_settings(case: &[u8]) -> Recorded {
    let [config, list, sources, preferences] = pieces(case);
    apt()
        .file(&format!("{LIST}InRelease"), "Origin: Debian\nLabel: Debian\nCodename: bookworm\n")
        .file(
            &format!("{LIST}main_binary-amd64_Packages"),
            "Package: openssl\nVersion: 3.0.2-1\nArchitecture: amd64\n\nPackage: zlib1g\nVersion: 1:1.3-1\nArchitecture: amd64\n\n",
        )
        .file("/etc/apt/apt.conf.d/50unattended-upgrades", config)
        .file("/etc/apt/sources.list", list)
        .file("/etc/apt/sources.list.d/debian.sources", sources)
        .file("/etc/apt/preferences.d/pins", preferences)
}

pub fn update_logs(case: &[u8]) -> Recorded {
    let [apt_log, dpkg_log, required, automatic] = pieces(case);
    apt()
        .file("/var/log/apt/history.log", apt_log)
        .file("/var/log/dpkg.log", dpkg_log)
        .file("/run/reboot-required", "")
        .file("/run/reboot-required.pkgs", required)
        .file("/etc/dnf/automatic.conf", automatic)
}
