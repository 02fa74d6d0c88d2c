//! rpm's database, whole, torn and hostile. The formats as rpm writes them are compared in the oracle test.

use super::*;
use crate::host::Recorded;
use header::tests::package;

/// An ndb database of these headers.
fn ndb(blobs: &[Vec<u8>]) -> Vec<u8> {
    let words = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let mut slots = [b"RpmP".to_vec(), words(&[0, 7, 1, 9, 0, 0, 0])].concat();
    let mut bodies = Vec::new();
    for (at, blob) in blobs.iter().enumerate() {
        let number = u32::try_from(at + 1).unwrap();
        let length = u32::try_from(blob.len()).unwrap();
        let room = (16 + blob.len() + 12).next_multiple_of(16);
        let start = (4096 + bodies.len()) / 16;
        slots.extend([b"Slot".to_vec(), words(&[number, start as u32, (room / 16) as u32])].concat());
        let mut body = [b"BlbS".to_vec(), words(&[number, 1, length]), blob.clone()].concat();
        body.resize(room - 12, 0);
        body.extend([words(&[0, length]), b"BlbE".to_vec()].concat());
        bodies.extend(body);
    }
    while slots.len() < 4096 {
        slots.extend([b"Slot".to_vec(), words(&[0, 0, 0])].concat());
    }
    [slots, bodies].concat()
}

fn of(path: &str, bytes: &[u8]) -> Facts<Package, Origin> {
    let mut facts = Facts::default();
    read(&Recorded::new().file(path, bytes), &mut facts).unwrap();
    facts
}

const NDB: &str = "/usr/lib/sysimage/rpm/Packages.db";

#[test]
fn each_header_is_a_package_and_several_versions_of_one_are_one_item() {
    let blobs = [("bash", "5.1", "2"), ("kernel", "5.10", "3"), ("kernel", "5.9", "1"), ("kernel", "5.9", "10")];
    let facts = of(NDB, &ndb(&blobs.map(|(name, version, release)| package(name, version, release))));
    assert_eq!(facts.items.gaps, Default::default());
    let kernel = &facts.items.seen["kernel:x86_64"];
    assert_eq!(
        (kernel.version.as_str(), kernel.others.as_slice()),
        ("5.10-3", ["5.9-1".into(), "5.9-10".into()].as_slice())
    );
    let bash = &facts.items.seen["bash:x86_64"];
    assert_eq!((bash.version.as_str(), bash.source(), bash.manager), ("5.1-2", "of-bash", Manager::Rpm));
    assert_eq!(facts.state.seen["vendor:Example"].packages, ["bash:x86_64", "kernel:x86_64"]);
}

#[test]
fn a_database_cut_off_anywhere_is_a_gap_and_never_fewer_packages() {
    let whole = ndb(&[package("bash", "5.1", "2"), package("zlib", "1", "2")]);
    for end in (0..whole.len()).step_by(7) {
        assert!(of(NDB, &whole[..end]).items.whole_gap().is_some(), "{end}");
    }
}

#[test]
fn garbage_in_any_format_is_a_gap() {
    for (path, _) in DATABASES {
        for bytes in [&b""[..], b"x", &[0; 8192], &[0xff; 70_000], b"SQLite format 3\0"] {
            assert!(of(path, bytes).items.whole_gap().is_some(), "{path} {}", bytes.len());
        }
    }
}

#[test]
fn a_header_that_cannot_be_read_hides_its_package_alone() {
    let bad = header::tests::blob(&[(1000, "bad")], None);
    let facts = of(NDB, &ndb(&[package("good", "1", "1"), bad]));
    assert!(facts.items.seen.contains_key("good:x86_64"));
    assert!(facts.items.gap_for("bad:x86_64").is_some() && facts.items.whole_gap().is_none());
}
