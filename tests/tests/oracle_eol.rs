//! The end of life against Debian's own dates (distro-info-data), against what Debian really ships, and on real roots.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use audit::lifecycle::{Channel, Lifecycles};
use audit::shipped::END_OF_LIFE;
use chrono::NaiveDate;
use plumbline_tests::processes::{binary, run};
use plumbline_tests::root;
use serde_json::Value;
use tempfile::TempDir;

fn shipped() -> Lifecycles {
    Lifecycles::parse("end-of-life.yaml", END_OF_LIFE.as_bytes()).unwrap_or_else(|complaint| panic!("{complaint}"))
}

/// The rows of a distro-info file, by column name.
fn distro_info(name: &str) -> Vec<BTreeMap<String, String>> {
    let path = format!("/usr/share/distro-info/{name}.csv");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path} (package distro-info-data): {error}"));
    let mut lines = text.lines();
    let columns: Vec<String> = lines.next().unwrap().split(',').map(str::to_owned).collect();
    let row = |line: &str| columns.iter().cloned().zip(line.split(',').map(str::to_owned)).collect();
    lines.map(row).collect()
}

/// Each date of `columns` must be ours; releases that came out after our dates were checked may be missing.
fn compare(product: &str, columns: &[(Channel, &[&str])]) -> usize {
    let lifecycles = shipped();
    let product = lifecycles.product(product).unwrap();
    let mut compared = 0;
    let mut wrong = Vec::new();
    for row in distro_info(product.name.to_lowercase().as_str()) {
        let field = |name: &str| row.get(name).filter(|value| !value.is_empty());
        let (Some(version), Some(released), Some(_)) = (field("version"), field("release"), field("eol")) else {
            continue;
        };
        if released.parse::<NaiveDate>().unwrap() > lifecycles.data.updated {
            continue;
        }
        let version = version.split(' ').next().unwrap();
        let Some(cycle) = product.cycles.iter().find(|cycle| cycle.cycle == version) else {
            wrong.push(format!("{version} is missing"));
            continue;
        };
        assert_eq!(cycle.codename.as_ref(), field("series"), "{version}");
        for (channel, names) in columns {
            let theirs = names.iter().find_map(|name| field(name)).map(|day| day.parse::<NaiveDate>().unwrap());
            let ours = cycle.ends.get(channel).copied();
            if theirs != ours {
                wrong.push(format!("{version} {channel}: {theirs:?}, not {ours:?}"));
            }
            compared += usize::from(theirs.is_some());
        }
    }
    assert!(wrong.is_empty(), "{}: {}", product.name, wrong.join("\n"));
    compared
}

#[test]
fn the_dates_of_debian_and_ubuntu_are_those_of_distro_info_data() {
    let debian = compare(
        "debian",
        &[(Channel::Regular, &["eol"]), (Channel::Lts, &["eol-lts"]), (Channel::Extended, &["eol-elts"])],
    );
    let ubuntu = compare(
        "ubuntu",
        &[
            (Channel::Regular, &["eol-server", "eol"]),
            (Channel::Extended, &["eol-esm"]),
            (Channel::Legacy, &["eol-legacy"]),
        ],
    );
    assert!(debian >= 25 && ubuntu >= 50, "only {debian} and {ubuntu} dates compared");
}

/// A root of `os-release` and, where given, this machine's own distro-info file of `product`.
fn made(os_release: &str, product: Option<&str>) -> TempDir {
    let root = TempDir::with_prefix("plumbline-eol-root-").unwrap();
    for folder in ["etc", "var/lib/dpkg", "usr/share/distro-info"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    fs::write(root.path().join("etc/os-release"), os_release).unwrap();
    fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
    if let Some(product) = product {
        let name = format!("usr/share/distro-info/{product}.csv");
        fs::copy(Path::new("/").join(&name), root.path().join(&name)).unwrap();
    }
    root
}

/// The data holds every release distro-info-data holds, so what the file alone says is asked of a system without data.
#[test]
fn the_hosts_distro_info_agrees_with_the_data_for_every_release_of_debian_and_ubuntu() {
    let mut asked = 0;
    for product in ["debian", "ubuntu"] {
        for row in distro_info(product) {
            let field = |name: &str| row.get(name).filter(|value| !value.is_empty());
            let (Some(version), Some(_)) = (field("version"), field("eol")) else { continue };
            let version = version.split(' ').next().unwrap();
            let root = made(&format!("ID={product}\nVERSION_ID=\"{version}\"\n"), Some(product));
            for finding in findings(root.path(), "{products: os, channel: legacy}") {
                let observed = finding["observed"].as_str().unwrap();
                assert!(!observed.contains("distro-info-data says"), "{product} {version}: {observed}");
            }
            asked += 1;
        }
    }
    assert!(asked >= 55, "only {asked} releases");
}

/// `debian-distro-info` and `ubuntu-distro-info` say which releases are supported today; so must the findings.
#[test]
fn what_distro_info_calls_supported_passes_and_nothing_else_does() {
    for (program, product, cases) in [
        ("debian-distro-info", "debian", &[("--supported", "regular"), ("--lts", "lts"), ("--elts", "extended")][..]),
        ("ubuntu-distro-info", "ubuntu", &[("--supported", "regular"), ("--supported-esm", "extended")][..]),
    ] {
        for (flag, channel) in cases {
            let mut command = Command::new(program);
            command.arg(flag);
            let supported = run(&mut command).stdout;
            let supported: Vec<&str> = supported.lines().collect();
            for row in distro_info(product) {
                let field = |name: &str| row.get(name).filter(|value| !value.is_empty());
                let (Some(version), Some(_)) = (field("version"), field("eol")) else { continue };
                let version = version.split(' ').next().unwrap();
                let root = made(&format!("ID={product}\nVERSION_ID=\"{version}\"\n"), None);
                let finding = findings(root.path(), &format!("{{products: os, channel: {channel}}}")).remove(0);
                let series = row["series"].as_str();
                // `--lts` and `--elts` leave out what an earlier channel still covers.
                let said = supported.contains(&series) || (*flag != "--supported" && covered(product, series));
                assert_eq!(finding["status"] == "pass", said, "{program} {flag} {series}: {finding:#}");
            }
        }
    }
}

/// Whether the program counts `series` among those with any support for everybody.
fn covered(product: &str, series: &str) -> bool {
    let flags = if product == "debian" { &["--supported", "--lts"][..] } else { &["--supported"][..] };
    flags.iter().any(|flag| {
        let mut command = Command::new(format!("{product}-distro-info"));
        command.arg(flag);
        run(&mut command).stdout.lines().any(|line| line == series)
    })
}

/// The findings of one `eol` expectation on a root.
fn findings(root: &Path, expectation: &str) -> Vec<Value> {
    let folder = TempDir::with_prefix("plumbline-eol-").unwrap();
    let baseline = folder.path().join("b.yaml");
    let text = format!(
        "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {{id: eol, title: t, severity: high, why: w, fix: f, eol: {expectation}}}\n"
    );
    fs::write(&baseline, text).unwrap();
    let mut check = Command::new(binary("plumbline"));
    check.args(["check", "--format", "json", "--baseline"]).arg(&baseline).arg("--root").arg(root);
    let ran = run(&mut check);
    let findings = ran.json()["findings"].as_array().unwrap_or_else(|| panic!("{ran}")).clone();
    assert!(!findings.is_empty(), "{ran}");
    findings
}

fn told(finding: &Value) -> String {
    format!("{} {}", finding["status"].as_str().unwrap(), finding["subject"].as_str().unwrap())
}

#[test]
fn debian_11_has_ended_and_debian_12_only_its_regular_support() {
    let (bookworm, bullseye) = (root::debian("bookworm"), root::debian("bullseye"));
    for (root, expectation, expected) in [
        (&bullseye, "{products: os, channel: lts}", "deviation debian:11"),
        (&bullseye, "{products: os, channel: extended}", "pass debian:11"),
        (&bookworm, "{products: os, channel: regular}", "deviation debian:12"),
        (&bookworm, "{products: os, channel: lts}", "pass debian:12"),
    ] {
        let findings = findings(root, expectation);
        assert_eq!(findings.iter().map(told).collect::<Vec<_>>(), [expected], "{expectation}");
        let observed = findings[0]["observed"].as_str().unwrap();
        assert!(observed.contains(&format!("dates of {}", shipped().data.updated)), "{observed}");
    }
}

#[test]
fn a_healthy_debian_12_is_quiet_and_its_makers_can_still_be_asked() {
    let bookworm = root::debian("bookworm");
    let quiet = findings(&bookworm, "{products: all}");
    assert!(quiet.iter().all(|finding| finding["status"] == "pass"), "{quiet:#?}");
    let by_maker = findings(&bookworm, "{products: [perl], software: maker}");
    assert_eq!(by_maker.iter().map(told).collect::<Vec<_>>(), ["deviation perl:5.36"]);
}

#[test]
fn what_a_debian_root_ships_is_what_the_data_says_it_ships() {
    for suite in ["bookworm", "bullseye"] {
        let judged = findings(&root::debian(suite), "{products: software, channel: legacy}");
        for finding in &judged {
            let observed = finding["observed"].as_str().unwrap();
            assert!(observed.contains(", maintained by Debian "), "{suite}: {observed}");
        }
    }
}
