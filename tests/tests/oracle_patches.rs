//! Pending updates against apt itself: what `apt-get -s` would do on roots whose packages are older than the lists, with priorities,
//! pins and holds, with lists as they are and compressed, and on a Debian root with its own lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use plumbline_tests::dice::Dice;
use plumbline_tests::processes::{binary, run};
use plumbline_tests::{root, rounds};
use tempfile::TempDir;

/// A root with a dpkg database, and repositories in folders beside it.
struct Root {
    folder: TempDir,
    sources: String,
}

impl Root {
    fn new() -> Self {
        let folder = TempDir::with_prefix("plumbline-apt-").unwrap();
        let root = folder.path().join("root");
        for inner in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg/updates",
            "var/log/apt",
        ] {
            fs::create_dir_all(root.join(inner)).unwrap();
        }
        Self { folder, sources: String::new() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path().join(path), text).unwrap();
    }

    /// A repository of one component whose release file has these fields.
    fn repository(&mut self, name: &str, fields: &str, stanzas: &str) {
        let folder = self.folder.path().join(name);
        let binary = folder.join(format!("dists/{name}/main/binary-amd64"));
        fs::create_dir_all(&binary).unwrap();
        fs::write(binary.join("Packages"), stanzas).unwrap();
        // Only what was compressed is kept so.
        run(Command::new("xz").arg("-k").arg(binary.join("Packages"))).ok();
        let dist = folder.join(format!("dists/{name}"));
        let sums = run(Command::new("apt-ftparchive").arg("release").arg(&dist)).ok().stdout;
        let sums = sums.split_once("MD5Sum:").map_or("", |(_, sums)| sums);
        assert!(sums.contains("Packages.xz"), "{sums}");
        let head = format!(
            "Codename: {name}\nComponents: main\nArchitectures: amd64\n{fields}Date: Thu, 01 Jan 2026 00:00:00 UTC\n"
        );
        fs::write(dist.join("Release"), format!("{head}MD5Sum:{sums}")).unwrap();
        let _ = writeln!(self.sources, "deb [trusted=yes] copy:{} {name} main", folder.display());
        self.write("etc/apt/sources.list", &self.sources);
    }

    fn apt(&self, words: &[&str]) -> String {
        // Nothing of this machine's own configuration; the root's is read.
        let root = self.path();
        let config = self.folder.path().join("apt.conf");
        let text = format!(
            "Dir \"{root}/\";\nDir::State::status \"{root}/var/lib/dpkg/status\";\nDir::Bin::dpkg \"/bin/true\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\nAPT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\nDebug::NoLocking \"1\";\n",
            root = root.display()
        );
        fs::write(&config, text).unwrap();
        let mut apt = Command::new("apt-get");
        apt.env("APT_CONFIG", &config);
        run(apt.args(words)).ok().stdout
    }
}

/// What `apt-get -s` would upgrade: name, installed version, new version.
fn upgrades(said: &str) -> BTreeSet<(String, String, String)> {
    let upgrade = |line: &str| {
        let mut words = line.strip_prefix("Inst ")?.split_whitespace();
        let name = words.next()?.split(':').next()?.to_owned();
        let old = words.next()?.strip_prefix('[')?.trim_end_matches(']').to_owned();
        Some((name, old, words.next()?.trim_start_matches('(').to_owned()))
    };
    said.lines().filter_map(upgrade).collect()
}

/// An update of ours: installed version, candidate, whether for security, whether held.
type Update = (String, String, bool, bool);

fn ours(root: &Path) -> (BTreeMap<String, Update>, serde_json::Value) {
    let mut facts = Command::new(binary("plumbline"));
    facts.args(["facts", "patches", "--format", "json", "--root"]).arg(root);
    let facts = run(&mut facts).ok().json();
    let state = facts["patches"]["state"].clone();
    let mut updates = BTreeMap::new();
    for (subject, fact) in state.as_object().unwrap_or_else(|| panic!("{facts:#}")) {
        let Some(name) = subject.strip_prefix("update/") else { continue };
        let text = |key: &str| fact[key].as_str().unwrap().to_owned();
        let update = (text("installed"), text("candidate"), fact["security"] == true, fact["held"] == true);
        updates.insert(name.split(':').next().unwrap().to_owned(), update);
    }
    (updates, facts)
}

fn stanza(name: &str, version: &str) -> String {
    format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Somebody <somebody@example.org>\nFilename: pool/{name}_{version}.deb\nSize: 1\nSHA256: {}\nDescription: of no use\n\n",
        "0".repeat(64)
    )
}

const VERSIONS: [&str; 8] =
    ["1.0-1", "1.0-1+deb12u1", "1.0-2~bpo1", "1:0.5-1", "1.1~rc1-1", "1.1-1", "2.0-1", "2.0-1+b1"];

/// A made-up root: hundreds of packages, three repositories and pins, all by the dice.
fn made_up(seed: u64) -> Root {
    let mut dice = Dice::new(seed);
    let mut root = Root::new();
    let (mut status, mut main, mut security, mut backports) =
        (String::new(), String::new(), String::new(), String::new());
    for at in 0..300 {
        let name = format!("p{at}");
        let want = if dice.roll(12) == 0 { "hold" } else { "install" };
        let state = if dice.roll(20) == 0 { "config-files" } else { "installed" };
        let want = if state == "config-files" { "deinstall" } else { want };
        let installed = dice.pick(&VERSIONS);
        if dice.roll(8) > 0 {
            let _ = write!(
                status,
                "Package: {name}\nStatus: {want} ok {state}\nMaintainer: Somebody <somebody@example.org>\nArchitecture: amd64\nVersion: {installed}\nDescription: of no use\n\n"
            );
        }
        for (list, odds) in [(&mut main, 2), (&mut security, 4), (&mut backports, 3)] {
            if dice.roll(odds) == 0 {
                list.push_str(&stanza(&name, dice.pick(&VERSIONS)));
            }
        }
    }
    root.write("var/lib/dpkg/status", &status);
    root.repository("stable", "Origin: Example\nLabel: Example\nSuite: stable\n", &main);
    root.repository("stable-security", "Origin: Example\nLabel: Example-Security\nSuite: stable-security\n", &security);
    let fields =
        "Origin: Example\nLabel: Backports\nSuite: stable-backports\nNotAutomatic: yes\nButAutomaticUpgrades: yes\n";
    root.repository("backports", fields, &backports);
    let mut pins = String::new();
    for (packages, pin) in [
        ("*", "release n=backports"),
        ("*", "release a=stable,l=Example"),
        ("p1 p2 p3*", "version 1.1*"),
        ("p4*", "release l=Example-Security"),
        ("p5?", "release o=Example, n=backports"),
    ] {
        if dice.roll(2) == 0 {
            let priority = dice.pick(&["-1", "1", "99", "100", "500", "501", "990", "1001"]);
            let _ = write!(pins, "Explanation: why not\nPackage: {packages}\nPin: {pin}\nPin-Priority: {priority}\n\n");
        }
    }
    root.write("etc/apt/preferences.d/some.pref", &pins);
    if dice.roll(3) == 0 {
        root.write("etc/apt/apt.conf.d/10release", "APT::Default-Release \"stable\";\n");
    }
    if dice.roll(2) == 0 {
        // As Debian's container images keep them.
        root.write(
            "etc/apt/apt.conf.d/20gzip",
            "Acquire { GzipIndexes \"true\"; CompressionTypes::Order { \"gz\"; }; };\n",
        );
    }
    root.apt(&["update"]);
    root
}

#[test]
fn what_is_pending_is_what_apt_would_upgrade() {
    let (mut pending, mut held, mut secure, mut going_back) = (0, 0, 0, 0);
    for seed in 0..rounds(30) {
        let root = made_up(seed as u64);
        let (ours, facts) = ours(&root.path());
        let gaps = facts["patches"].get("gaps");
        assert!(gaps.is_none_or(|gaps| !gaps.to_string().contains("lists")), "{gaps:?}");
        // Downgrades are asked for by priorities of 1000 and more; apt then wants to be told twice.
        let apt = upgrades(&root.apt(&["-s", "--allow-downgrades", "dist-upgrade"]));
        let free: BTreeSet<(String, String, String)> = ours
            .iter()
            .filter(|(_, update)| !update.3)
            .map(|(name, update)| (name.clone(), update.0.clone(), update.1.clone()))
            .collect();
        let missing: Vec<_> = apt.difference(&free).collect();
        let invented: Vec<_> = free.difference(&apt).collect();
        let pins = fs::read_to_string(root.path().join("etc/apt/preferences.d/some.pref")).unwrap();
        assert!(
            missing.is_empty() && invented.is_empty(),
            "seed {seed}: apt has {missing:#?}\nwe have {invented:#?}\n{pins}"
        );
        // The same without holds, where apt is told to pass over them.
        let all = upgrades(&root.apt(&["-s", "--allow-downgrades", "--ignore-hold", "dist-upgrade"]));
        let whole: BTreeSet<_> =
            ours.iter().map(|(name, update)| (name.clone(), update.0.clone(), update.1.clone())).collect();
        assert_eq!(all, whole, "seed {seed}, with what is held");
        pending += whole.len();
        held += whole.len() - free.len();
        secure += ours.values().filter(|update| update.2).count();
        going_back += whole.iter().filter(|(_, old, new)| old > new).count();
    }
    println!(
        "updates pending: {pending} of {pending} agreed with apt-get -s on {} roots, {held} of them held, {secure} for security",
        rounds(30)
    );
    assert!(pending > 1000 && held > 20 && secure > 100 && going_back > 0, "{pending} {held} {secure} {going_back}");
}

/// The packages of a Debian root as it was made, and the lists and sources this machine has of the same release.
#[test]
fn a_debian_root_lacks_what_apt_says_it_lacks() {
    let debian = root::debian("bookworm");
    let root = Root::new();
    let status = fs::read_to_string(debian.join("var/lib/dpkg/status")).unwrap();
    // Made from the newest packages, it would lack nothing: a few are made to be older.
    let older = ["apt", "base-files", "bash", "libc6", "libssl3", "tzdata"];
    let mut text = String::new();
    for stanza in status.split_inclusive("\n\n") {
        let is_older = older.iter().any(|name| stanza.starts_with(&format!("Package: {name}\n")));
        let stanza = if is_older { stanza.replace("\nVersion: ", "\nVersion: 0~") } else { stanza.to_owned() };
        // Nothing installed asks for the versions that were there before.
        let asks = ["Depends:", "Pre-Depends:", "Breaks:", "Conflicts:"];
        let kept = stanza.split_inclusive('\n').filter(|line| !asks.iter().any(|field| line.starts_with(field)));
        text.extend(kept);
    }
    root.write("var/lib/dpkg/status", &text);
    for folder in ["etc/apt/sources.list.d", "var/lib/apt/lists"] {
        for entry in fs::read_dir(Path::new("/").join(folder)).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() && entry.file_name() != "lock" {
                fs::copy(entry.path(), root.path().join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    if let Ok(text) = fs::read_to_string("/etc/apt/sources.list") {
        root.write("etc/apt/sources.list", &text);
    }
    // What was taken from a stanza makes it another build of the same version to apt; those are not meant.
    let mut apt = upgrades(&root.apt(&["-s", "dist-upgrade"]));
    apt.retain(|(_, old, new)| old != new);
    let (ours, facts) = ours(&root.path());
    let whole: BTreeSet<_> = ours.into_iter().map(|(name, update)| (name, update.0, update.1)).collect();
    assert_eq!(apt, whole, "{facts:#}");
    println!("Debian bookworm with its own lists: {0} of {0} updates agreed with apt-get -s", whole.len());
    assert!(whole.len() >= 5, "{whole:#?}");
}

#[test]
fn this_machine_lacks_what_apt_says_it_lacks() {
    let apt = upgrades(&run(Command::new("apt-get").args(["-s", "--ignore-hold", "dist-upgrade"])).ok().stdout);
    let (ours, facts) = ours(Path::new("/"));
    let whole: BTreeSet<_> = ours.into_iter().map(|(name, update)| (name, update.0, update.1)).collect();
    // apt leaves an update whose dependencies it cannot have; it takes nothing that is not pending.
    let invented: Vec<_> = apt.difference(&whole).collect();
    assert!(invented.is_empty(), "apt would also upgrade {invented:#?}");
    let kept: Vec<_> = whole.difference(&apt).collect();
    println!("this machine: {} of {} updates agreed with apt-get -s; apt keeps back {kept:?}", apt.len(), whole.len());
    assert!(kept.len() * 5 <= whole.len(), "{kept:#?}");
    assert_eq!(facts["patches"]["state"]["lists"]["kind"], "lists", "{facts:#}");
}
