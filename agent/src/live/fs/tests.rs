//! The folder descriptor against trees made to escape, block or exhaust it.

use super::*;
use std::os::unix::fs::symlink;

fn tree() -> (tempfile::TempDir, Anchor) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("root/etc")).unwrap();
    std::fs::write(folder.path().join("secret"), "outside").unwrap();
    let anchor = Anchor::open(&folder.path().join("root")).unwrap();
    (folder, anchor)
}

#[test]
fn a_symbolic_link_never_leads_outside_the_root() {
    let (folder, anchor) = tree();
    let etc = folder.path().join("root/etc");
    symlink("../../secret", etc.join("climbs")).unwrap();
    symlink(folder.path().join("secret"), etc.join("absolute")).unwrap();
    symlink("..", etc.join("up")).unwrap();
    std::fs::write(etc.join("inside"), "in").unwrap();
    symlink("/etc/inside", etc.join("within")).unwrap();
    for path in ["/etc/climbs", "/etc/absolute", "/../secret", "/etc/up/../secret"] {
        let seen = anchor.read(Path::new(path));
        assert_eq!(seen.unwrap_err().kind, GapKind::Missing, "{path}");
    }
    assert_eq!(anchor.read(Path::new("/etc/within")).unwrap(), b"in", "absolute links mean the root they stand in");
}

#[test]
fn a_fifo_a_device_and_a_folder_are_gaps_and_do_not_block() {
    let (folder, anchor) = tree();
    let fifo = folder.path().join("root/etc/fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    assert_eq!(anchor.read(Path::new("/etc/fifo")).unwrap_err().kind, GapKind::Failed);
    assert_eq!(anchor.read(Path::new("/etc")).unwrap_err().kind, GapKind::Failed);
    let machine = Anchor::open(Path::new("/")).unwrap();
    assert_eq!(machine.read(Path::new("/dev/zero")).unwrap_err().kind, GapKind::Failed);
    assert_eq!(anchor.stat(Path::new("/etc/fifo"), Last::Followed).unwrap().kind, EntryKind::Other);
}

#[test]
fn a_huge_sparse_file_is_refused_and_one_without_a_size_is_read() {
    let (folder, anchor) = tree();
    let file = File::create(folder.path().join("root/etc/huge")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(anchor.read(Path::new("/etc/huge")).unwrap_err().kind, GapKind::TooLarge);
    let machine = Anchor::open(Path::new("/")).unwrap();
    assert!(!machine.read(Path::new("/proc/self/status")).unwrap().is_empty());
}

#[test]
fn names_that_are_not_utf_8_are_listed_and_read_as_they_are() {
    let (folder, anchor) = tree();
    let odd = OsStr::from_bytes(b"a\xffb");
    std::fs::write(folder.path().join("root/etc").join(odd), "odd").unwrap();
    let entries = anchor.list(Path::new("/etc")).unwrap();
    assert_eq!(entries, [Entry { name: odd.to_owned(), kind: EntryKind::File }]);
    assert_eq!(anchor.read(&Path::new("/etc").join(odd)).unwrap(), b"odd");
    let missing = anchor.read(&Path::new("/etc").join(OsStr::from_bytes(b"\xfe"))).unwrap_err();
    assert_eq!(missing.what, "/etc/\\xfe");
}

#[test]
fn what_is_not_there_is_missing_and_what_is_there_has_its_owner_and_mode() {
    let (folder, anchor) = tree();
    std::fs::write(folder.path().join("root/etc/passwd"), "x").unwrap();
    for path in ["/nowhere", "/etc/passwd/below"] {
        assert!(anchor.read(Path::new(path)).unwrap_err().is_missing(), "{path}");
        assert!(anchor.list(Path::new(path)).unwrap_err().is_missing(), "{path}");
        assert!(anchor.stat(Path::new(path), Last::Followed).unwrap_err().is_missing(), "{path}");
    }
    let stat = anchor.stat(Path::new("/etc/passwd"), Last::Followed).unwrap();
    assert_eq!((stat.kind, stat.size, stat.mode & 0o600), (EntryKind::File, 1, 0o600));
    assert_eq!(anchor.stat(Path::new("/"), Last::Followed).unwrap().kind, EntryKind::Directory);
}

#[test]
fn a_link_is_told_from_what_it_points_to() {
    let (folder, anchor) = tree();
    let etc = folder.path().join("root/etc");
    std::fs::write(etc.join("file"), "0123456789").unwrap();
    symlink("../etc/file", etc.join("link")).unwrap();
    let link = Path::new("/etc/link");
    assert_eq!(anchor.stat(link, Last::Followed).unwrap().kind, EntryKind::File);
    assert_eq!(anchor.stat(link, Last::Itself).unwrap().kind, EntryKind::Link);
    assert_eq!(anchor.link(link).unwrap(), Path::new("../etc/file"));
    assert_eq!(anchor.link(Path::new("/etc/file")).unwrap_err().kind, GapKind::Failed);
    assert!(anchor.link(Path::new("/etc/none")).unwrap_err().is_missing());
    assert_eq!(anchor.attribute(link, Attribute::AccessList).unwrap(), None);
}

#[test]
fn a_file_is_read_in_parts_and_summed() {
    let (folder, anchor) = tree();
    std::fs::write(folder.path().join("root/etc/file"), "0123456789").unwrap();
    let path = Path::new("/etc/file");
    assert_eq!(anchor.read_part(path, 3, 4).unwrap(), b"3456");
    assert_eq!(anchor.read_part(path, 8, 100).unwrap(), b"89");
    assert_eq!(anchor.read_part(path, u64::MAX, 1).unwrap_err().kind, GapKind::Failed);
    assert!(anchor.read_part(path, 10, 1).unwrap().is_empty());
    let hex = |sum| {
        anchor
            .checksum(path, sum, &Told::default())
            .unwrap()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(hex(Checksum::Md5), "781e5e245d69b566979b86e28d23f2c7");
    assert_eq!(hex(Checksum::Sha256), "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882");
    assert_eq!(anchor.checksum(Path::new("/etc"), Checksum::Md5, &Told::default()).unwrap_err().kind, GapKind::Failed);
    let huge = File::create(folder.path().join("root/etc/huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    assert_eq!(
        anchor.checksum(Path::new("/etc/huge"), Checksum::Sha256, &Told::default()).unwrap_err().kind,
        GapKind::TooLarge
    );
}

#[test]
fn a_file_looked_at_whole_is_what_one_question_after_the_other_tells() {
    let (folder, anchor) = tree();
    let etc = folder.path().join("root/etc");
    std::fs::write(etc.join("empty"), "").unwrap();
    std::fs::write(etc.join("long"), vec![7; 3 * BUFFER + 1]).unwrap();
    symlink("long", etc.join("link")).unwrap();
    let fifo = etc.join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    // system.posix_acl_access: user::rw-, user:7:r--, group::r--, mask::r--, other::---.
    let entries = [(1_u16, 6_u16, u32::MAX), (2, 4, 7), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        list.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    // Not every file system of a test machine keeps access lists.
    let kept =
        rustix::fs::setxattr(etc.join("long"), "system.posix_acl_access", &list, rustix::fs::XattrFlags::empty());
    for name in ["", "/empty", "/long", "/link", "/fifo", "/none"] {
        let path = format!("/etc{name}");
        let path = Path::new(&path);
        let seen = anchor.whole(path, Some(u64::MAX), &Told::default());
        let stat = match anchor.stat(path, Last::Itself) {
            Ok(stat) => stat,
            Err(gap) => {
                assert_eq!(seen.unwrap_err(), gap);
                continue;
            }
        };
        let seen = seen.unwrap();
        assert_eq!(seen.stat, stat, "{name}");
        assert_eq!(seen.access_list, anchor.attribute(path, Attribute::AccessList), "{name}");
        assert_eq!(seen.access_list.unwrap().is_some(), name == "/long" && kept.is_ok(), "{name}");
        assert_eq!(seen.capability, anchor.attribute(path, Attribute::Capability), "{name}");
        let sum = matches!(name, "/empty" | "/long")
            .then(|| anchor.checksum(path, Checksum::Sha256, &Told::default()).unwrap());
        assert_eq!(seen.sha256.transpose().unwrap(), sum, "{name}");
    }
    let least = |most| anchor.whole(Path::new("/etc/long"), most, &Told::default()).unwrap().sha256;
    assert_eq!((least(None), least(Some(3 * BUFFER as u64))), (None, None));
}
