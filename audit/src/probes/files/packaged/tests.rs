//! Lists of dpkg and headers of rpm over hosts built by hand.

use super::*;
use crate::host::{Recorded, gap::optional};
use crate::probes::packages::rpm;

/// MD5 of `brought`, as md5sum prints it.
const BROUGHT: &str = "c6e6f6c3a0e8b5e7c8a6f5a3e0c9b1d2";

/// What `host` holds, where the content of a file is its own sum in hexadecimal digits.
fn verified(host: &Recorded) -> Result<Packaged, Gap> {
    verify(host, &|path, _, expected| {
        let content = host.read(path)?;
        Ok(rpm::files::bytes_of_hex(&content).as_deref() == Some(expected))
    })
}

fn told(host: &Recorded) -> Vec<(String, String)> {
    let found = verified(host).unwrap();
    assert!(found.unseen.is_empty(), "{:?}", found.unseen);
    let say = |changed: &Changed| {
        let missing = if changed.missing { "missing " } else { "" };
        let configuration = if changed.configuration { " configuration" } else { "" };
        format!("{missing}{}{configuration}", changed.package)
    };
    found.files.iter().map(|(path, changed)| (path.clone(), say(changed))).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(path, said)| ((*path).to_owned(), (*said).to_owned())).collect()
}

/// A package `tool` with three files and two conffiles; `/usr/bin/b` is changed, `/usr/bin/gone` is missing.
fn host() -> Recorded {
    let other = "0".repeat(32);
    let status = format!(
        "Package: tool\nStatus: install ok installed\nConffiles:\n /etc/tool.conf {BROUGHT}\n /etc/old.conf {other} obsolete\n \
         /etc/with blank {BROUGHT}\nVersion: 1\n\nPackage: left\nStatus: deinstall ok config-files\nConffiles:\n /etc/left {BROUGHT}\n"
    );
    Recorded::new()
        .file("/var/lib/dpkg/status", status)
        .file(
            "/var/lib/dpkg/info/tool:amd64.md5sums",
            format!("{BROUGHT}  usr/bin/a\n{BROUGHT}  usr/bin/b\n{BROUGHT}  usr/bin/gone\n{BROUGHT}  etc/tool.conf\nrubbish\n"),
        )
        .file("/var/lib/dpkg/info/tool:amd64.list", "/usr/bin/a\n/usr/bin/b\n/usr/bin/gone\n/etc/tool.conf\n")
        .file("/usr/bin/a", BROUGHT)
        .file("/usr/bin/b", &other)
        .file("/etc/tool.conf", &other)
        .file("/etc/with blank", BROUGHT)
}

#[test]
fn what_differs_is_told_and_configuration_apart() {
    let expected =
        pairs(&[("/etc/tool.conf", "tool configuration"), ("/usr/bin/b", "tool"), ("/usr/bin/gone", "missing tool")]);
    assert_eq!(told(&host()), expected);
}

#[test]
fn a_file_that_was_diverted_is_looked_for_where_it_was_put() {
    let host = host().file("/usr/bin/b.distrib", BROUGHT);
    let local = host.clone().file("/var/lib/dpkg/diversions", "/usr/bin/b\n/usr/bin/b.distrib\n:\n");
    assert!(!told(&local).iter().any(|(path, _)| path.starts_with("/usr/bin/b")));
    let own = host.file("/var/lib/dpkg/diversions", "/usr/bin/b\n/usr/bin/b.distrib\ntool\n");
    assert!(told(&own).iter().any(|(path, _)| path == "/usr/bin/b"), "what a package diverts is not its own file");
}

#[test]
fn a_file_that_another_package_took_over_or_dpkg_was_told_not_to_unpack_is_no_change() {
    let taken = host().file("/var/lib/dpkg/info/tool:amd64.list", "/usr/bin/a\n/usr/bin/gone\n");
    assert_eq!(told(&taken).len(), 2);
    let excluded = host()
        .file("/etc/dpkg/dpkg.cfg", "# path-exclude=/usr/bin/*\n")
        .file("/etc/dpkg/dpkg.cfg.d/docker", "path-exclude=/usr/*\npath-include /usr/bin/a*\n")
        .file("/etc/dpkg/dpkg.cfg.d/docker.dpkg-old", "path-include=/usr/bin/gone\n");
    let expected = pairs(&[("/etc/tool.conf", "tool configuration"), ("/usr/bin/b", "tool")]);
    assert_eq!(told(&excluded), expected, "what is there must still be as it was brought");
}

#[test]
fn what_cannot_be_read_is_told_and_without_a_database_there_is_a_gap() {
    let denied = host().gap("/usr/bin/a", GapKind::Denied);
    let found = verified(&denied).unwrap();
    assert_eq!(found.unseen.len(), 1, "{:?}", found.unseen);
    assert_eq!(verified(&Recorded::new()).unwrap_err().kind, GapKind::Unsupported);
    let list = host().gap("/var/lib/dpkg/info/tool:amd64.md5sums", GapKind::Denied);
    assert_eq!(verified(&list).unwrap().unseen.len(), 1);
    assert!(optional(denied.read(Path::new("/none"))).unwrap().is_none());
}

#[test]
fn more_than_can_be_told_is_cut_at_the_same_place_whatever_the_order() {
    let many: String = (0..MAX_TOLD + 50).rev().map(|at| format!("{BROUGHT}  usr/share/{at:04}\n")).collect();
    let all: String = (0..MAX_TOLD + 50).map(|at| format!("/usr/share/{at:04}\n")).collect();
    let host = Recorded::new()
        .file("/var/lib/dpkg/status", "")
        .file("/var/lib/dpkg/info/many.md5sums", many)
        .file("/var/lib/dpkg/info/many.list", all);
    let found = verified(&host).unwrap();
    assert_eq!(found.files.len(), MAX_TOLD + 1);
    assert_eq!(found.files.last().unwrap().0, format!("/usr/share/{MAX_TOLD:04}"));
}
