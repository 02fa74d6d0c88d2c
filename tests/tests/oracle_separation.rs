//! Separation on hosts recorded from the system's own tools: packages of servers' names installed by dpkg, units enabled by
//! systemctl, and what is judged of each host held against roles worked out by hand. Needs root, as dpkg does.
//!
//! The packages are empty but for a unit: what the probe goes by is the database that dpkg writes and the links that systemctl
//! makes, and both are asked again (`dpkg-query`, `systemctl is-enabled`) before a host is judged.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use plumbline_tests::agent::plumbline;
use plumbline_tests::processes::{Ran, run};
use serde_json::Value;
use tempfile::TempDir;

/// A host under a folder, with dpkg's database and systemd's units.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { folder: TempDir::with_prefix("plumbline-separation-").unwrap() };
        for folder in ["root/var/lib/dpkg/info", "root/var/lib/dpkg/updates", "root/var/lib/dpkg/triggers", "packages"]
        {
            fs::create_dir_all(host.folder.path().join(folder)).unwrap();
        }
        fs::write(host.root().join("var/lib/dpkg/status"), "").unwrap();
        host.install("base-files", None);
        fs::create_dir_all(host.root().join("usr/lib/systemd/system")).unwrap();
        fs::write(host.root().join("usr/lib/systemd/systemd"), "").unwrap();
        host
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn dpkg(&self, words: &[&str]) -> Ran {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", self.root().display())).args(["--force-all", "--log=/dev/null"]).args(words);
        run(&mut dpkg).ok()
    }

    /// Installs a package of that name which brings the unit, if one is named.
    fn install(&self, package: &str, unit: Option<&str>) {
        let tree = self.folder.path().join("packages").join(package);
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        let control = format!(
            "Package: {package}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: Somebody <somebody@example.org>\nDescription: made up\n"
        );
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        if let Some(unit) = unit {
            let file = tree.join("usr/lib/systemd/system").join(unit);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n").unwrap();
        }
        let archive = self.folder.path().join(format!("packages/{package}.deb"));
        run(Command::new("dpkg-deb").args(["--build", "--root-owner-group"]).arg(&tree).arg(&archive)).ok();
        self.dpkg(&["--install", &archive.to_string_lossy()]);
    }

    fn systemctl(&self, words: &[&str]) -> Ran {
        run(Command::new("systemctl").arg(format!("--root={}", self.root().display())).args(words))
    }

    /// Writes a unit that no package brought, and enables it.
    fn run_by_hand(&self, unit: &str) {
        let file = self.root().join("etc/systemd/system").join(unit);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "[Service]\nExecStart=/opt/x\n[Install]\nWantedBy=multi-user.target\n").unwrap();
        self.systemctl(&["enable", unit]).ok();
    }

    fn installed(&self) -> BTreeSet<String> {
        let mut query = Command::new("dpkg-query");
        query.arg(format!("--admindir={}", self.root().join("var/lib/dpkg").display()));
        let said = run(query.args(["-W", "-f", "${db:Status-Status} ${Package}\\n"])).ok().stdout;
        said.lines().filter_map(|line| line.strip_prefix("installed ")).map(str::to_owned).collect()
    }

    /// The one finding of a `separation` rule: its status, and what was observed.
    fn judged(&self, expectation: &str) -> (String, String) {
        let baseline = self.folder.path().join("own.yaml");
        let text = format!(
            "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {{id: s, title: t, severity: high, why: w, fix: f, separation: {expectation}}}\n"
        );
        fs::write(&baseline, text).unwrap();
        let mut check = plumbline(&["check", "--format", "json", "--baseline"]);
        let ran = run(check.arg(&baseline).arg("--root").arg(self.root()));
        let findings: Vec<Value> = ran.json()["findings"].as_array().unwrap_or_else(|| panic!("{ran}")).clone();
        assert_eq!(findings.len(), 1, "{ran}");
        let word = |key: &str| findings[0][key].as_str().unwrap().to_owned();
        (word("status"), word("observed"))
    }
}

/// Whom each package makes of a host, by Debian's own descriptions of them.
const FRONT: [&str; 7] = ["nginx-light", "apache2", "haproxy", "php8.2-fpm", "squid", "varnish", "tomcat10"];
const BACK: [&str; 9] = [
    "postgresql-15",
    "mariadb-server",
    "redis-server",
    "memcached",
    "rabbitmq-server",
    "slapd",
    "nfs-kernel-server",
    "samba",
    "mysql-server-8.0",
];
/// Clients, libraries, and what is only named alike.
const NEITHER: [&str; 9] = [
    "nginx-common",
    "apache2-utils",
    "php8.2-cli",
    "postgresql-client-15",
    "postgresql-common",
    "mariadb-client",
    "redis-tools",
    "samba-common",
    "squid-langpack",
];

fn expected(status: &str, host: &Host, judged: &(String, String), present: &[&str]) {
    assert_eq!(judged.0, status, "{present:?}: {}", judged.1);
    let installed = host.installed();
    assert!(present.iter().all(|package| installed.contains(*package)), "dpkg-query says {installed:?}");
}

#[test]
fn each_pair_of_packages_is_judged_by_its_roles_and_back_again() {
    let mut agreed = 0;
    // Every product at least once, beside one of the other role and beside one of its own.
    for number in 0..FRONT.len().max(BACK.len()) {
        let (front, back) = (FRONT[number % FRONT.len()], BACK[number % BACK.len()]);
        let other = FRONT[(number + 1) % FRONT.len()];
        let host = Host::new();
        host.install(NEITHER[number], None);
        expected("pass", &host, &host.judged("{apart: true}"), &[NEITHER[number]]);
        host.install(front, None);
        host.install(other, None);
        expected("pass", &host, &host.judged("{apart: true}"), &[front, other]);
        host.install(back, None);
        let judged = host.judged("{apart: true}");
        expected("deviation", &host, &judged, &[front, back]);
        assert!(judged.1.contains(front) && judged.1.contains(back), "{}", judged.1);
        assert!(!judged.1.contains(NEITHER[number]), "{}", judged.1);
        expected("deviation", &host, &host.judged("{roles: [back-end]}"), &[front]);
        host.dpkg(&["--purge", front, other]);
        assert!(!host.installed().contains(front));
        expected("pass", &host, &host.judged("{apart: true}"), &[back]);
        expected("pass", &host, &host.judged("{roles: [back-end]}"), &[back]);
        agreed += 6;
    }
    println!("separation by dpkg: {agreed} of {agreed} agreed");
}

#[test]
fn a_unit_counts_while_systemctl_says_it_starts_with_the_host() {
    let host = Host::new();
    let status = |host: &Host| host.judged("{apart: true}").0;
    host.install("postgresql-15", Some("postgresql.service"));
    host.run_by_hand("nginx.service");
    let mut agreed = 0;
    let mut step = |words: &[&str], enabled: &str, judged: &str| {
        host.systemctl(words).ok();
        assert_eq!(host.systemctl(&["is-enabled", "nginx.service"]).stdout.trim(), enabled);
        assert_eq!(status(&host), judged, "{words:?}");
        agreed += 1;
    };
    step(&["enable", "nginx.service"], "enabled", "deviation");
    step(&["disable", "nginx.service"], "disabled", "pass");
    step(&["enable", "nginx.service"], "enabled", "deviation");
    // Removed but not purged: its settings stay, its server does not.
    host.dpkg(&["--remove", "postgresql-15"]);
    step(&["enable", "nginx.service"], "enabled", "pass");
    println!("separation by systemctl: {agreed} of {agreed} agreed");
}

#[test]
fn without_dpkgs_database_nothing_is_called_apart() {
    let host = Host::new();
    host.install("nginx-light", None);
    assert_eq!(host.judged("{apart: true}").0, "pass");
    damage(&host.root().join("var/lib/dpkg/status"));
    assert_eq!(host.judged("{apart: true}").0, "unknown");
}

/// Leaves half a stanza, as a full disk would.
fn damage(status: &Path) {
    let text = fs::read(status).unwrap();
    fs::write(status, [&text[..], b"Package: x\nStatus: install ok inst\0"].concat()).unwrap();
}
