//! The platform probe against systemd-detect-virt, lsblk, getconf and the shell. Needs root, to put firmware and container
//! managers of its own making in place of this machine's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use plumbline_tests::agent::plumbline;
use plumbline_tests::processes::run;
use serde_json::Value;
use tempfile::TempDir;

fn said(program: &str, arguments: &[&str]) -> String {
    run(Command::new(program).args(arguments).env("LANG", "C.UTF-8")).stdout.trim().to_owned()
}

fn facts(root: Option<&Path>) -> Value {
    let mut facts = plumbline(&["facts", "platform", "--format", "json"]);
    if let Some(root) = root {
        facts.arg("--root").arg(root);
    }
    run(&mut facts).ok().json()["platform"].clone()
}

/// What systemd-detect-virt and the probe say where `folder` stands in place of `place`.
fn both(folder: &Path, place: &str, which: &str, state: &str) -> (String, String) {
    let program = plumbline(&[]).get_program().to_string_lossy().into_owned();
    let script = format!(
        "mount --bind {} {place}; systemd-detect-virt --{which}; exec {program} facts platform --format json",
        folder.display()
    );
    let ran = run(Command::new("unshare").args(["--mount", "--", "sh", "-c", &script])).ok();
    let (theirs, json) = ran.stdout.split_once('\n').unwrap();
    let facts: Value = serde_json::from_str(json).unwrap();
    let ours = facts["platform"]["state"][state].as_str().unwrap_or_else(|| panic!("{ran}"));
    (theirs.to_owned(), ours.to_owned())
}

#[test]
fn machines_are_called_as_systemd_calls_them_by_their_firmware() {
    let folder = TempDir::with_prefix("plumbline-dmi-").unwrap();
    let dmi = folder.path().join("dmi/id");
    fs::create_dir_all(&dmi).unwrap();
    let put = |vendor: &str, product: &str| {
        fs::write(dmi.join("sys_vendor"), format!("{vendor}\n")).unwrap();
        fs::write(dmi.join("product_name"), format!("{product}\n")).unwrap();
        both(folder.path(), "/sys/class", "vm", "machine")
    };
    // What the processor alone tells systemd.
    let (processor, ours) = put("Somebody", "Server 1");
    assert!(["vm-other", "physical"].contains(&ours.as_str()), "{ours}");
    assert_eq!(processor == "none", ours == "physical", "{processor} {ours}");
    let firmware = [
        ("Amazon EC2", "t3.small"),
        ("innotek GmbH", "VirtualBox"),
        ("Somebody", "VirtualBox"),
        ("Xen", "HVM domU"),
        ("Parallels Software", "Parallels Virtual Platform"),
        ("Google", "Google Compute Engine"),
        ("Somebody", "KVM"),
        ("OpenStack Foundation", "OpenStack Nova"),
        ("KubeVirt", "None"),
        ("QEMU", "Standard PC"),
        ("VMware, Inc.", "VMware7,1"),
        ("Apple Inc.", "Apple Virtualization Generic Platform"),
        ("Bochs", "Bochs"),
        ("Somebody", "BHYVE"),
    ];
    let (mut agreed, mut by_processor) = (0, 0);
    for (vendor, product) in firmware {
        let (theirs, ours) = put(vendor, product);
        match theirs == ours {
            true => agreed += 1,
            // systemd asks the processor before most firmware; files cannot.
            false if theirs == processor => by_processor += 1,
            false => panic!("{vendor} {product}: systemd {theirs}, plumbline {ours}"),
        }
    }
    println!(
        "systemd-detect-virt --vm: {agreed} of {} agreed, {by_processor} decided by the processor",
        firmware.len()
    );
    assert!(agreed >= 8);
}

#[test]
fn containers_are_called_as_systemd_calls_them() {
    let names = ["docker", "podman", "lxc", "lxc-libvirt", "systemd-nspawn", "rkt", "wsl", "pouch", "my-own"];
    for name in names {
        let folder = TempDir::with_prefix("plumbline-run-").unwrap();
        fs::create_dir(folder.path().join("systemd")).unwrap();
        fs::write(folder.path().join("systemd/container"), name).unwrap();
        let (theirs, ours) = both(folder.path(), "/run", "container", "container");
        assert_eq!(theirs, ours, "{name}");
    }
    let theirs = said("systemd-detect-virt", &["--container"]);
    assert_eq!(facts(None)["state"]["container"], theirs.as_str(), "this machine itself");
    println!("systemd-detect-virt --container: {0} of {0} agreed", names.len() + 1);
}

#[test]
fn hardware_is_as_the_systems_tools_say() {
    let seen = facts(None);
    assert_eq!(seen["state"]["processors"], said("getconf", &["_NPROCESSORS_ONLN"]).as_str());
    let listed = said("lsblk", &["-bdn", "-o", "NAME,SIZE,TYPE"]);
    let rows = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let disks: BTreeMap<String, u64> = rows
        .filter(|row| row.len() == 3 && row[2] == "disk" && row[1] != "0" && !row[0].starts_with("zram"))
        .filter(|row| !row[0].starts_with("nbd") && !row[0].starts_with("ram"))
        .map(|row| (format!("disk:{}", row[0]), row[1].parse().unwrap()))
        .collect();
    assert!(!disks.is_empty(), "{listed}");
    for (disk, bytes) in &disks {
        let gib = (bytes + (1 << 29)) >> 30;
        assert_eq!(seen["state"][disk], gib.to_string().as_str(), "{disk}");
    }
    println!("getconf and lsblk: {0} of {0} agreed", disks.len() + 1);
}

#[test]
fn the_system_is_as_a_shell_reads_it() {
    let texts = [
        "ID=debian\nVERSION_ID=\"12\"\n",
        "NAME='Some Linux'\nID='some'\nVERSION_ID=9.4\n",
        "# ID=no\nID=alpine\nVERSION_ID=3.22.1\n",
        "ID=a\nID=b\nVERSION_ID=\"1 2\"\n",
        "NAME=x\nVERSION_ID=7\n",
    ];
    for text in texts {
        let root = TempDir::with_prefix("plumbline-release-").unwrap();
        let file = root.path().join("etc/os-release");
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(&file, text).unwrap();
        let expected = said("sh", &["-c", &format!(". {}; echo ${{ID:-linux}}/$VERSION_ID", file.display())]);
        let items = facts(Some(root.path()))["items"].clone();
        let found = format!("{}/{}", items["os:id"].as_str().unwrap(), items["os:version"].as_str().unwrap());
        assert_eq!(found, expected, "{text}");
    }
    println!("the shell: {0} of {0} agreed", texts.len());
}

#[test]
fn the_ids_and_the_memory_of_this_machine_are_as_its_own_tools_say() {
    let seen = facts(None);
    let boot = said("sysctl", &["-n", "kernel.random.boot_id"]);
    assert_eq!(seen["state"]["boot"], boot.as_str());
    // The machine id itself stays on the host (machine-id(5)): what is told is made of it.
    let told = "if [ -s /etc/machine-id ]; then printf 'plumbline\\0%s' \"$(cat /etc/machine-id)\" | sha256sum | cut -c1-32; else echo none; fi";
    assert_eq!(seen["items"]["machine-id"], said("sh", &["-c", told]).as_str());
    let free = said("free", &["-k"]);
    let kib: u64 = free
        .lines()
        .find_map(|line| line.strip_prefix("Mem:"))
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let mib = (kib / 1024 + 128) / 256 * 256;
    assert_eq!(seen["state"]["memory"], mib.to_string().as_str(), "{free}");
    let model = said("lscpu", &[]);
    let model = model.lines().find_map(|line| line.strip_prefix("Model name:")).unwrap_or_default().trim();
    assert_eq!(seen["state"]["processor"].as_str().unwrap_or_default(), model);
    println!("sysctl, sha256sum, free and lscpu: 4 of 4 agreed");
}

#[test]
fn a_machine_id_is_none_until_it_is_set() {
    let root = TempDir::with_prefix("plumbline-machine-").unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let file = root.path().join("etc/machine-id");
    let told = || facts(Some(root.path()))["items"]["machine-id"].clone();
    assert_eq!(told(), "none");
    fs::write(&file, "uninitialized\n").unwrap();
    assert_eq!(told(), "none");
    // systemd's own tool makes one, and another for the next image.
    let mut made = std::collections::BTreeSet::new();
    for _ in 0..2 {
        fs::remove_file(&file).unwrap();
        run(Command::new("systemd-machine-id-setup").arg("--root").arg(root.path())).ok();
        let id = fs::read_to_string(&file).unwrap();
        let (told, id) = (told().as_str().unwrap().to_owned(), id.trim().to_owned());
        assert!(told.len() == 32 && told != id, "{told} {id}");
        made.insert(id);
        made.insert(told);
    }
    println!("systemd-machine-id-setup: {} ids of 2 machines", made.len());
}
