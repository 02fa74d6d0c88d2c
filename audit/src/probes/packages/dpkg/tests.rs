//! dpkg's database, whole, torn and hostile.

use super::*;
use crate::host::Recorded;

const TWO: &str = "\
Package: openssl
Status: install ok installed
Priority: optional
Architecture: amd64
Version: 3.0.17-1~deb12u2
Description: toolkit
 Status: not this one
 .
 Version: nor this

Package: libssl3
Status: hold ok installed
Source: openssl (3.0)
Architecture: i386
Version: 3.0.17-1~deb12u2

";

fn of(status: &str) -> Observed<Package> {
    read(&Recorded::new().file(STATUS, status)).unwrap()
}

fn subjects(observed: &Observed<Package>) -> Vec<&str> {
    observed.seen.keys().map(String::as_str).collect()
}

fn stanza(name: &str, status: &str) -> String {
    format!("Package: {name}\nStatus: {status}\nArchitecture: all\nVersion: 1\n\n")
}

#[test]
fn each_stanza_is_a_package_and_continuation_lines_are_not_fields() {
    let observed = of(TWO);
    assert_eq!(observed.gaps, Default::default());
    assert_eq!(subjects(&observed), ["libssl3:i386", "openssl:amd64"]);
    let library = &observed.seen["libssl3:i386"];
    assert_eq!((library.selection, library.source()), (Selection::Hold, "openssl"));
    let openssl = &observed.seen["openssl:amd64"];
    assert_eq!((openssl.version.as_str(), openssl.source.as_deref()), ("3.0.17-1~deb12u2", None));
}

#[test]
fn every_state_but_not_installed_is_an_item() {
    let mut text = stanza("none", "purge ok not-installed").replace("Version: 1\n", "");
    for state in State::ALL {
        text.push_str(&stanza(state.name(), &format!("deinstall reinstreq {}", state.name())));
    }
    let observed = of(&text);
    assert_eq!(observed.gaps, Default::default());
    assert_eq!(observed.seen.len(), State::ALL.len());
    for package in observed.seen.values() {
        assert_eq!(package.state.name(), package.name);
        assert!(package.reinstall && package.selection == Selection::Deinstall);
    }
}

#[test]
fn a_malformed_stanza_hides_its_package_and_says_where() {
    for (stanza, why) in [
        ("Package: bad\nStatus: install ok installed\nArchitecture: all\n", "no `Version`"),
        ("Package: bad\nArchitecture: all\nVersion: 1\n", "no `Status`"),
        ("Package: bad\nStatus: install ok\nArchitecture: all\nVersion: 1\n", "an unknown `Status`"),
        ("Package: bad\nStatus: install fine installed\nArchitecture: all\nVersion: 1\n", "an unknown `Status`"),
        ("Package: bad\nStatus: install ok installed\nArchitecture: all\nVersion: 1 2\n", "blanks"),
        ("Package: bad\nStatus: install ok installed\nArchitecture: a/b\nVersion: 1\n", "`Architecture`"),
        ("Package: bad\nStatus: install ok installed\nVersion: 1\nVersion: 2\n", "twice"),
        ("Package: bad\nStatus: install ok installed\nVersion: 1\n 2\n", "one line"),
        ("Package: bad\nStatus: install ok installed\nVersion: 1\nwhat is this\n", "without a field's name"),
    ] {
        let observed = of(&format!("{TWO}{stanza}\n"));
        assert_eq!(observed.seen.len(), 2, "{stanza}");
        let gap = observed.gaps.get("bad:").unwrap_or_else(|| panic!("{stanza}: {:?}", observed.gaps));
        assert_eq!(gap.what, "/var/lib/dpkg/status:17");
        assert!(gap.detail.contains(why), "{gap}");
    }
}

#[test]
fn a_stanza_without_a_usable_name_hides_whatever_was_not_seen() {
    for name in ["", "Package: \n", "Package: ../etc\n", "Package: a\u{202e}b\n"] {
        let observed = of(&format!("{TWO}{name}Status: install ok installed\nVersion: 1\n\n"));
        assert_eq!(observed.seen.len(), 2);
        assert!(observed.whole_gap().is_some(), "{name:?}");
    }
}

#[test]
fn a_package_that_stands_twice_is_neither() {
    let observed = of(&format!("{TWO}{}", stanza("x", "install ok installed").repeat(2)));
    assert_eq!(subjects(&observed), ["libssl3:i386", "openssl:amd64"]);
    assert!(observed.gaps["x:"].detail.contains("twice"));
}

#[test]
fn a_torn_status_hides_what_was_not_seen_wherever_it_is_cut() {
    for end in 1..TWO.len() - 1 {
        let observed = of(&TWO[..end]);
        // Between two stanzas nothing shows; that is documented.
        if TWO[..end].ends_with("\n\n") {
            continue;
        }
        assert!(observed.whole_gap().is_some(), "cut at {end}: {:?}", observed);
    }
    assert!(of(TWO).gaps.is_empty());
}

#[test]
fn an_empty_status_is_a_gap_not_an_empty_host() {
    for text in ["", "\n", " \n\n"] {
        let gap = of(text).whole_gap().cloned().unwrap();
        assert_eq!(gap.kind, GapKind::Malformed);
    }
}

#[test]
fn a_status_that_may_not_be_read_is_that_gap() {
    let observed = read(&Recorded::new().gap(STATUS, GapKind::Denied)).unwrap();
    assert_eq!(observed.whole_gap().unwrap().kind, GapKind::Denied);
}

#[test]
fn what_dpkg_wrote_since_counts_in_order() {
    let host = Recorded::new()
        .file(STATUS, format!("{}{}", stanza("a", "install ok installed"), stanza("b", "install ok installed")))
        .file("/var/lib/dpkg/updates/0001", stanza("b", "install ok unpacked"))
        .file("/var/lib/dpkg/updates/0002", stanza("a", "purge ok not-installed"))
        .file("/var/lib/dpkg/updates/0003", stanza("b", "install ok half-configured"))
        .file("/var/lib/dpkg/updates/tmp.i", "rubbish");
    let observed = read(&host).unwrap();
    assert_eq!(subjects(&observed), ["b:all"]);
    assert_eq!(observed.seen["b:all"].state, State::HalfConfigured);
    assert!(observed.gaps.is_empty());

    let torn = read(&host.file("/var/lib/dpkg/updates/0004", "Package: b\nSta")).unwrap();
    assert!(torn.seen.is_empty() && torn.gap_for("b:all").is_some(), "{torn:?}");
}

#[test]
fn distroless_control_files_are_packages_and_their_checksums_are_not() {
    let host = Recorded::new()
        .file("/var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12.4\nArchitecture: amd64")
        .file("/var/lib/dpkg/status.d/base.md5sums", "d41d8cd98f00b204e9800998ecf8427e  etc/x\n");
    let observed = read(&host).unwrap();
    assert_eq!(subjects(&observed), ["base-files:amd64"]);
    assert_eq!(observed.seen["base-files:amd64"].state, State::Installed);
    assert!(observed.gaps.is_empty(), "{observed:?}");

    let observed = read(&host.clone().file("/var/lib/dpkg/status.d/empty", "")).unwrap();
    assert_eq!(observed.whole_gap().unwrap().what, "/var/lib/dpkg/status.d/empty");
    let observed = read(&host.gap("/var/lib/dpkg/status.d/denied", GapKind::Denied)).unwrap();
    assert_eq!(observed.whole_gap().unwrap().kind, GapKind::Denied);
    let observed = read(&Recorded::new().folder(STATUS_D)).unwrap();
    assert_eq!(observed.whole_gap().unwrap().kind, GapKind::Malformed);
}

#[test]
fn a_flood_of_malformed_stanzas_is_bounded() {
    let text: String = (0..5_000).map(|number| format!("Package: p{number}\n\n")).collect();
    let observed = of(&text);
    assert!(observed.gaps.len() <= MAX_GAPS + 1 && observed.whole_gap().is_some());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_see_an_empty_host(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let observed = read(&Recorded::new().file(STATUS, &bytes)).unwrap();
        proptest::prop_assert!(!observed.gaps.is_empty() || !observed.seen.is_empty());
    }

    #[test]
    fn one_byte_changed_is_never_a_silent_drop(at in 0..TWO.len(), byte: u8) {
        let mut bytes = TWO.as_bytes().to_vec();
        bytes[at] = byte;
        let observed = read(&Recorded::new().file(STATUS, &bytes)).unwrap();
        proptest::prop_assert!(observed.seen.len() >= 2 || !observed.gaps.is_empty());
    }
}
