//! The kernel on hosts made by hand.

use super::*;
use crate::finding::Status;
use crate::host::{Declared, GapKind, Recorded};

/// A running Debian: what a server's files say and its kernel answers.
fn debian() -> Recorded {
    Recorded::new()
        .answer(Question::KernelRelease, "6.1.0-42-amd64\n")
        .file("/usr/lib/systemd/systemd", "ELF")
        .file("/proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz-6.1.0-42-amd64 root=UUID=1b2c ro quiet audit=1\n")
        .file("/proc/modules", "nf_tables 303104 120 nft_ct, Live 0x0\next4 983040 1 - Live 0x0\nusb_storage 81920 0 - Live 0x0\n")
        .file("/proc/sys/kernel/kptr_restrict", "1\n")
        .file("/proc/sys/kernel/tainted", "0\n")
        .file("/proc/sys/kernel/core_pattern", "core\n")
        .file("/proc/sys/fs/suid_dumpable", "0\n")
        .file("/proc/sys/net/ipv4/ip_forward", "1\n")
        .file("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n")
        .file("/proc/sys/net/ipv4/conf/all/rp_filter", "1\n")
        .file("/proc/sys/net/ipv4/conf/eth0.1/rp_filter", "0\n")
        .file("/proc/sys/net/ipv6/conf/all/stable_secret", "2001:db8::1\n")
        .file("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
        .file("/sys/kernel/security/lsm", "lockdown,yama\n")
        .file("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", [6, 0, 0, 0, 1])
        .file(
            "/proc/1/mountinfo",
            "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard\n\
             28 27 0:23 / /dev/shm rw,nosuid,nodev shared:2 - tmpfs tmpfs rw\n\
             29 27 0:24 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        )
        .file(
            "/etc/fstab",
            "# <file system>\nUUID=1b2c / ext4 errors=remount-ro 0 1\n//nas/x /mnt/x cifs username=u,password=hunter2 0 0\nUUID=9 none swap sw 0 0\n",
        )
        .file("/etc/security/limits.conf", "#* soft core 0\n* hard core 0 # none\n")
        .file("/etc/sysctl.conf", "net.ipv4.ip_forward=7\n")
        .file("/usr/lib/sysctl.d/50-default.conf", "kernel.kptr_restrict = 0\n-net.ipv4.conf.*.rp_filter = 2\n")
        .file("/usr/lib/sysctl.d/10-net.conf", "net.ipv4.ip_forward = 5\n")
        .symlink("/etc/sysctl.d/10-net.conf", "/dev/null")
        .file("/etc/sysctl.d/60-own.conf", "# own\nnet/ipv4/ip_forward = 0\nnet.ipv6.conf.all.stable_secret=1\n-kernel.a.b\n")
        .file("/etc/modprobe.d/cis.conf", "install cramfs /bin/false\nblacklist cramfs\nblacklist usb-storage\ninstall cramfs /bin/echo\n")
        .file("/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"\"\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX audit=1\"\n")
}

fn observed(host: &Recorded, rules: &[&Expect]) -> Facts<Setting, String> {
    Kernel::collect_for(&Declared::new(host, Kernel::READS, Kernel::ASKS), rules)
}

fn expect(yaml: &str) -> Expect {
    let expect: Expect = serde_yaml::from_str(yaml).unwrap();
    Kernel::check_expectation(&expect).unwrap();
    expect
}

fn judged(yaml: &str, host: &Recorded) -> Vec<(Status, String, String)> {
    let expect = expect(yaml);
    let told = judge::judge(&expect, &observed(host, &[&expect]));
    told.into_iter().map(|one| (one.status, one.subject, one.observed)).collect()
}

fn status(yaml: &str, host: &Recorded) -> Status {
    let told = judged(yaml, host);
    assert_eq!(told.len(), 1, "{told:?}");
    told[0].0
}

#[test]
fn what_is_seen_of_a_debian_server() {
    let facts = observed(&debian(), &[]);
    assert!(facts.items.gaps.is_empty() && facts.state.gaps.is_empty(), "{facts:?}");
    let items: Vec<String> =
        facts.items.seen.iter().map(|(subject, item)| format!("{subject} = {}", item.value)).collect();
    assert_eq!(
        items,
        [
            "boot:audit = 1",
            "boot:quiet = set",
            "core:limit:*:hard = 0",
            "fstab:/ = UUID=1b2c ext4 errors=remount-ro",
            "fstab:/mnt/x = //nas/x cifs username=u,password=(not shown)",
            "fstab:swap:UUID=9 = UUID=9 swap sw",
            "module:cramfs = blacklist; install /bin/false",
            "module:usb_storage = blacklist",
            "parameter:audit = 1",
            "parameter:quiet = set",
            "parameter:ro = set",
            "parameter:root = UUID=1b2c",
            "sysctl:kernel.a.b = -",
            "sysctl:kernel.kptr_restrict = 0",
            "sysctl:net.ipv4.conf.*.rp_filter = 2",
            "sysctl:net.ipv4.ip_forward = 0",
            "sysctl:net.ipv6.conf.all.stable_secret = (not shown)",
        ]
    );
    for (subject, value) in [
        ("release", "6.1.0-42-amd64"),
        ("modules", "ext4 nf_tables usb_storage"),
        ("lockdown", "integrity"),
        ("secure-boot", "enabled"),
        ("taint", "0"),
        ("mount:/", "ext4 rw,relatime"),
        ("sysctl:net.ipv4.ip_forward", "1"),
    ] {
        assert_eq!(facts.state.seen[subject], value, "{subject}");
    }
    assert!(!facts.state.seen.contains_key("mount:/sys/fs/cgroup"));
}

#[test]
fn a_sysctl_that_is_configured_otherwise_deviates_either_way() {
    let told = judged("sysctls: {net.ipv4.ip_forward: 0, kernel.kptr_restrict: [1, 2]}", &debian());
    assert_eq!(told[0].0, Status::Deviation);
    assert_eq!(told[0].2, "1 now, but 0 (/usr/lib/sysctl.d/50-default.conf) from the next boot on");
    assert_eq!(told[1].2, "1, and configured as 0 (/etc/sysctl.d/60-own.conf)");
    assert_eq!(status("sysctls: {net.ipv4.tcp_rmem: 4096 131072 6291456}", &debian()), Status::Pass);
    assert_eq!(status("sysctls: {net.ipv4.none: 1}", &debian()), Status::NotApplicable);
}

#[test]
fn a_glob_asks_of_every_interface() {
    let told = judged("sysctls: {\"net.ipv4.conf.*.rp_filter\": [1, 2]}", &debian());
    let subjects: Vec<_> = told.iter().map(|one| (one.0, one.1.as_str())).collect();
    let expected = [
        (Status::Pass, "sysctl:net.ipv4.conf.all.rp_filter"),
        (Status::Deviation, "sysctl:net.ipv4.conf.eth0/1.rp_filter"),
    ];
    assert_eq!(subjects, expected);
}

#[test]
fn what_the_host_was_not_asked_for_is_unknown() {
    let facts = observed(&debian(), &[]);
    for yaml in ["sysctls: {net.ipv4.tcp_rmem: 1}", "sysctls: {\"net.ipv4.conf.*.rp_filter\": 1}"] {
        let told = judge::judge(&expect(yaml), &facts);
        assert!(told.iter().any(|one| one.status == Status::Unknown), "{told:?}");
    }
}

#[test]
fn without_systemd_the_old_file_counts_last() {
    let host = Recorded::new()
        .file("/etc/sysctl.conf", "kernel.sysrq = 1\n")
        .file("/etc/sysctl.d/99-z.conf", "kernel.sysrq = 0\n");
    assert_eq!(observed(&host, &[]).items.seen["sysctl:kernel.sysrq"].value, "1");
}

#[test]
fn a_root_at_rest_is_judged_by_what_is_configured() {
    let rest = debian().refuse(Question::KernelRelease, GapKind::NotLive);
    assert_eq!(status("sysctls: {net.ipv4.ip_forward: 0}", &rest), Status::Pass);
    assert_eq!(status("sysctls: {kernel.sysrq: 0}", &rest), Status::NotApplicable);
    assert_eq!(status("parameters: {audit: 1}", &rest), Status::Pass);
    assert_eq!(status("mounts: {/: [errors=remount-ro]}", &rest), Status::Pass);
    assert_eq!(status("loaded: [ext4]", &rest), Status::NotApplicable);
    assert_eq!(status("disabled: [cramfs]", &rest), Status::Pass);
}

#[test]
fn modules_are_judged_as_they_are_loaded_and_kept_away() {
    assert_eq!(status("loaded: [nf-tables]", &debian()), Status::Pass);
    assert_eq!(status("disabled: [cramfs]", &debian()), Status::Pass);
    assert_eq!(status("disabled: [usb-storage]", &debian()), Status::Deviation);
    assert_eq!(status("disabled: [squashfs]", &debian()), Status::Deviation);
    assert_eq!(status("only_modules: [ext4, nf_*, usb-storage]", &debian()), Status::Pass);
    assert_eq!(status("only_modules: [ext4, nf_*]", &debian()), Status::Deviation);
    let blind = debian().gap("/proc/modules", GapKind::Denied);
    for rule in ["loaded: [ext4]", "disabled: [cramfs]", "only_modules: [ext4]"] {
        assert_eq!(status(rule, &blind), Status::Unknown, "{rule}");
    }
}

#[test]
fn the_rest_is_judged_by_what_the_kernel_says() {
    for (rule, expected) in [
        ("parameters: {audit: 1}", Status::Pass),
        ("parameters: {audit: 0}", Status::Deviation),
        ("forbidden_parameters: [mitigations=off]", Status::Pass),
        ("forbidden_parameters: [audit=0]", Status::Pass),
        ("forbidden_parameters: [quiet]", Status::Deviation),
        ("mounts: {/dev/shm: [nosuid, nodev]}", Status::Pass),
        ("mounts: {/dev/shm: [noexec]}", Status::Deviation),
        ("mounts: {/tmp: []}", Status::Deviation),
        ("lockdown: [integrity, confidentiality]", Status::Pass),
        ("lockdown: [none]", Status::Deviation),
        ("secure_boot: true", Status::Pass),
        ("untainted: true", Status::Pass),
    ] {
        assert_eq!(status(rule, &debian()), expected, "{rule}");
    }
}

#[test]
fn core_dumps_are_followed_to_where_they_end() {
    let all = |host: &Recorded| judged("core_dumps: forbidden", host).iter().map(|one| one.0).collect::<Vec<_>>();
    assert_eq!(all(&debian()), [Status::Pass, Status::Pass]);
    let piped = debian().file("/proc/sys/kernel/core_pattern", "|/usr/lib/systemd/systemd-coredump %P\n");
    assert_eq!(all(&piped), [Status::Deviation, Status::Pass]);
    let none = piped.file("/etc/systemd/coredump.conf.d/a.conf", "[Coredump]\nStorage=none\n");
    assert_eq!(all(&none), [Status::Pass, Status::Pass]);
    let open = debian().file("/etc/security/limits.conf", "").file("/proc/sys/fs/suid_dumpable", "2\n");
    assert_eq!(all(&open), [Status::Deviation, Status::Deviation]);
}

#[test]
fn what_cannot_be_read_is_unknown() {
    for (path, rule) in [
        ("/proc/1/mountinfo", "mounts: {/: []}"),
        ("/proc/sys/net/ipv4/ip_forward", "sysctls: {net.ipv4.ip_forward: 1}"),
        ("/sys/kernel/security/lockdown", "lockdown: [integrity]"),
        ("/proc/cmdline", "forbidden_parameters: [nokaslr]"),
        ("/etc/modprobe.d", "disabled: [cramfs]"),
        ("/etc/sysctl.d", "sysctls: {kernel.kptr_restrict: 1}"),
    ] {
        assert_eq!(status(rule, &debian().gap(path, GapKind::Denied)), Status::Unknown, "{path}");
    }
}

#[test]
fn an_expectation_that_asks_nothing_or_for_secrets_is_refused() {
    for yaml in [
        "{}",
        "untainted: false",
        "lockdown: []",
        "sysctls: {x: 1}",
        "sysctls: {../../etc/shadow: 1}",
        "sysctls: {net.ipv6.conf.all.stable_secret: 1}",
        "sysctls: {kernel.sysrq: []}",
        "mounts: {tmp: []}",
    ] {
        assert!(Kernel::check_expectation(&serde_yaml::from_str(yaml).unwrap()).is_err(), "{yaml}");
    }
    assert!(serde_yaml::from_str::<Expect>("sysctl: {}").is_err());
}

#[test]
fn a_module_without_end_is_none() {
    let host = debian().file("/proc/modules", "a".repeat(5_000));
    assert_eq!(status("only_modules: ['*']", &host), Status::Unknown);
}
