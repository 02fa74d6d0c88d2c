//! Machines made by hand.

use super::*;
use crate::host::{Declared, Recorded};

fn instance() -> Recorded {
    Recorded::new()
        .answer(Question::KernelRelease, "6.1.0-42-cloud-amd64")
        .file("/etc/os-release", "PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n")
        .file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        .symlink("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
        .file("/etc/default/locale", "# x\nLANG=\"C.UTF-8\"\n")
        .file("/proc/sys/kernel/osrelease", "6.1.0-42-cloud-amd64\n")
        .file("/proc/sys/kernel/random/boot_id", "5f0c\n")
        .file("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n")
        .file("/sys/class/dmi/id/product_name", "t3.small\n")
        .file(
            "/proc/cpuinfo",
            "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu hypervisor lm\n\nprocessor\t: 1\n",
        )
        .file("/proc/meminfo", "MemTotal:        1986712 kB\nMemFree: 1 kB\n")
        .file("/sys/block/nvme0n1/size", "16777216\n")
        .file("/sys/block/loop0/size", "8\n")
}

fn observed(host: &Recorded) -> Facts<String, String> {
    Platform::collect(&Declared::new(host, Platform::READS, Platform::ASKS))
}

fn status(yaml: &str, host: &Recorded) -> Status {
    let expect: Expect = serde_yaml::from_str(yaml).unwrap();
    Platform::check_expectation(&expect).unwrap();
    let lifecycles = crate::lifecycle::Lifecycles::parse("dates", crate::shipped::END_OF_LIFE.as_bytes()).unwrap();
    let facts = crate::facts::FactSet::default();
    let context = Context { now: "2026-11-22T12:00:00Z".parse().unwrap(), facts: &facts, lifecycles: &lifecycles };
    let told = Platform::judge(&expect, &observed(host), &context);
    assert_eq!(told.len(), 1, "{told:?}");
    told[0].status
}

#[test]
fn what_is_seen_of_an_instance() {
    let facts = observed(&instance());
    assert!(facts.items.gaps.is_empty() && facts.state.gaps.is_empty(), "{facts:?}");
    let rows =
        |seen: &Observed<String>| seen.seen.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    let items = rows(&facts.items);
    assert_eq!(items[0], "locale=C.UTF-8");
    assert!(items[1].starts_with("machine-id=") && items[1].len() == "machine-id=".len() + 32);
    assert!(!items[1].contains("0123456789abcdef"));
    assert_eq!(items[2..], ["os:id=debian", "os:version=12", "timezone=Etc/UTC"]);
    assert_eq!(
        rows(&facts.state),
        [
            "boot=5f0c",
            "container=none",
            "disk:nvme0n1=8",
            "machine=amazon",
            "memory=2048",
            "processor=Some CPU",
            "processors=2"
        ]
    );
}

#[test]
fn machines_and_containers_are_told_by_what_they_leave() {
    let machine = |host: &Recorded| observed(host).state.seen["machine"].clone();
    let container = |host: &Recorded| observed(host).state.seen["container"].clone();
    let bare = Recorded::new()
        .answer(Question::KernelRelease, "6.1")
        .file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu lm\n")
        .file("/proc/meminfo", "MemTotal: 1 kB\n");
    assert_eq!((machine(&bare).as_str(), container(&bare).as_str()), ("physical", "none"));
    assert_eq!(machine(&bare.clone().file("/sys/class/dmi/id/product_name", "VirtualBox\n")), "oracle");
    assert_eq!(machine(&bare.clone().file("/sys/class/dmi/id/sys_vendor", "Oracle Corporation\n")), "physical");
    assert_eq!(machine(&bare.clone().file("/proc/cpuinfo", "flags\t\t: hypervisor\n")), "vm-other");
    assert_eq!(machine(&bare.clone().file("/sys/hypervisor/type", "xen\n")), "xen");
    assert_eq!(container(&bare.clone().file("/run/systemd/container", "systemd-nspawn")), "systemd-nspawn");
    assert_eq!(container(&bare.clone().file("/.dockerenv", "")), "docker");
    assert_eq!(container(&bare.file("/run/.containerenv", "")), "podman");
}

#[test]
fn rules_are_judged_by_lists_and_least_amounts() {
    use Status::{Deviation, Pass};
    for (rule, expected) in [
        ("os: [debian, ubuntu]", Pass),
        ("os: [rhel]", Deviation),
        ("timezone: [Etc/UTC]", Pass),
        ("locale: [en_GB.UTF-8]", Deviation),
        ("machines: [amazon]", Pass),
        ("containers: [none]", Pass),
        ("machine_id: set", Pass),
        ("machine_id: none", Deviation),
        ("memory_at_least: 2048", Pass),
        ("processors_at_least: 4", Deviation),
    ] {
        assert_eq!(status(rule, &instance()), expected, "{rule}");
    }
    let image = instance().refuse(Question::KernelRelease, GapKind::NotLive).file("/etc/machine-id", "uninitialized\n");
    assert_eq!(status("machines: [kvm]", &image), Status::NotApplicable);
    assert_eq!(status("machine_id: none", &image), Pass);
}

#[test]
fn what_cannot_be_read_is_unknown() {
    for (path, rule) in [
        ("/etc/machine-id", "machine_id: set"),
        ("/etc/os-release", "os: [debian]"),
        ("/proc/meminfo", "memory_at_least: 1"),
        ("/proc/cpuinfo", "processors_at_least: 1"),
        ("/sys/class/dmi/id/sys_vendor", "machines: [amazon]"),
    ] {
        assert_eq!(status(rule, &instance().gap(path, GapKind::Denied)), Status::Unknown, "{path}");
    }
    let odd = instance().file("/etc/machine-id", "short\n");
    assert_eq!(status("machine_id: set", &odd), Status::Unknown);
    for yaml in ["{}", "os: []"] {
        assert!(Platform::check_expectation(&serde_yaml::from_str(yaml).unwrap()).is_err(), "{yaml}");
    }
}
