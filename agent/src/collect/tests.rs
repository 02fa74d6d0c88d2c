//! Whole cycles over a small root file system.

use super::*;
use audit::report::HostId;

struct Bench {
    folder: tempfile::TempDir,
    state: State,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(&folder.path().join("state"));
        state.create().unwrap();
        let key = key::make(&state).unwrap();
        crate::spool::Head::default().save(&state).unwrap();
        let identity = Identity {
            host: HostId::try_from("a".repeat(32)).unwrap(),
            collector: "http://127.0.0.1:1".into(),
            ca: None,
            key: key::public_text(&key.verifying_key()),
            receipt_key: key::public_text(&key.verifying_key()),
            enrolled: Utc::now(),
        };
        identity.save(&state).unwrap();
        std::fs::create_dir_all(folder.path().join("root/var/lib/dpkg")).unwrap();
        let bench = Self { folder, state };
        bench.install("1.0");
        bench
    }

    fn install(&self, version: &str) {
        let text = format!("Package: a\nStatus: install ok installed\nVersion: {version}\nArchitecture: all\n");
        std::fs::write(self.folder.path().join("root/var/lib/dpkg/status"), text).unwrap();
    }

    fn open(&self, config: Config) -> Collector {
        let host = Live::open(Some(&self.folder.path().join("root"))).unwrap();
        Collector::open(&self.state, config, host).unwrap()
    }
}

#[test]
fn a_report_names_facts_that_are_spooled_and_follows_the_one_before() {
    let bench = Bench::new();
    let mut collector = bench.open(Config::default());
    assert!(matches!(collector.cycle(Occasion::Due).unwrap(), Outcome::Spooled { sequence: 1, changed: true, .. }));
    drop(collector);
    let mut collector = bench.open(Config::default());
    assert!(matches!(collector.cycle(Occasion::Due).unwrap(), Outcome::Spooled { sequence: 2, changed: false, .. }));
    let bytes = std::fs::read(bench.state.report(2)).unwrap();
    let report: Report = seal::open(&bytes).unwrap().unverified().unwrap();
    assert!(collector.spool.has(report.manifest));
    assert!(bytes.len() < 600, "an unchanged report is small: {}", bytes.len());
}

#[test]
fn a_wake_without_a_change_writes_nothing_and_one_with_a_change_a_report() {
    let bench = Bench::new();
    let mut collector = bench.open(Config::default());
    collector.cycle(Occasion::Due).unwrap();
    assert_eq!(collector.cycle(Occasion::Woken).unwrap(), Outcome::Unchanged);
    let baseline = bench.folder.path().join("b.yaml");
    std::fs::write(&baseline, audit::shipped::WORKSTATION).unwrap();
    collector.config.baseline = Some(baseline.clone());
    assert!(matches!(collector.cycle(Occasion::Woken).unwrap(), Outcome::Spooled { sequence: 2, changed: true, .. }));
    std::fs::write(&baseline, "baseline: 3").unwrap();
    assert!(collector.cycle(Occasion::Woken).is_err(), "a baseline that became bad is said");
}

#[test]
fn what_a_changed_baseline_asks_besides_is_looked_at() {
    let bench = Bench::new();
    let path = bench.folder.path().join("b.yaml");
    let rule = |asks: &str| {
        let text = format!(
            "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {{id: r, title: t, severity: low, why: w, fix: f, files: {asks}}}\n"
        );
        std::fs::write(&path, text).unwrap();
    };
    let mut collector = bench.open(Config { baseline: Some(path.clone()), ..Config::default() });
    let unknown = |collector: &mut Collector| match collector.cycle(Occasion::Due).unwrap() {
        Outcome::Spooled { summary, .. } => summary.unknown,
        other @ (Outcome::Unchanged | Outcome::Full) => panic!("{other:?}"),
    };
    rule("{paths: [/none], present: false}");
    assert_eq!(unknown(&mut collector), 0);
    rule("{paths: [/none], present: false, privileged: []}");
    assert_eq!(unknown(&mut collector), 0, "the same path, but now the disk is surveyed too");
}

#[test]
fn a_spool_full_of_transitions_takes_no_unchanged_report_but_takes_the_next_transition() {
    let bench = Bench::new();
    let mut collector = bench.open(Config { spool_limit: 0, ..Config::default() });
    assert!(matches!(collector.cycle(Occasion::Due).unwrap(), Outcome::Spooled { sequence: 1, .. }));
    assert_eq!(collector.cycle(Occasion::Due).unwrap(), Outcome::Full);
    let baseline = bench.folder.path().join("b.yaml");
    std::fs::write(&baseline, audit::shipped::WORKSTATION).unwrap();
    collector.config.baseline = Some(baseline);
    assert!(matches!(collector.cycle(Occasion::Due).unwrap(), Outcome::Spooled { sequence: 2, .. }));
}

#[test]
fn a_key_that_is_not_the_enrolled_one_signs_nothing() {
    let bench = Bench::new();
    key::make(&bench.state).unwrap();
    let host = Live::open(Some(bench.folder.path())).unwrap();
    let error = Collector::open(&bench.state, Config::default(), host).err().unwrap();
    assert!(error.to_string().contains("not the one this host enrolled with"), "{error}");
}
