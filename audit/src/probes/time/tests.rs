//! The probe against hosts built by hand.

use std::collections::BTreeMap;

use super::*;
use crate::facts::FactSet;
use crate::finding::Status;
use crate::host::{GapKind, Recorded};
use crate::lifecycle::Lifecycles;
use crate::probe::{Erased, Topic as _};

const SYNCHRONISED: &str = r#"{"returned":0,"status":8193,"offset":400000,"maxerror":120000}"#;
const UNSYNCHRONISED: &str = r#"{"returned":5,"status":64,"offset":0,"maxerror":16000000}"#;

fn expect(yaml: &str) -> Result<Expect, String> {
    let topic = Erased::<Time>::new();
    let value = serde_yaml::from_str(yaml).unwrap();
    topic.expectation(value).map_err(|bad| format!("{}: {}", bad.path, bad.message))?;
    Ok(serde_yaml::from_str(yaml).unwrap())
}

fn judged(yaml: &str, host: &Recorded) -> BTreeMap<String, (Status, String)> {
    let facts = Time::collect(&crate::host::Declared::new(host, Time::READS, Time::ASKS));
    let lifecycles = Lifecycles::parse("eol", crate::shipped::END_OF_LIFE.as_bytes()).unwrap();
    let set = FactSet::default();
    let context = Context {
        now: chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        facts: &set,
        lifecycles: &lifecycles,
    };
    let said = Time::judge(&expect(yaml).unwrap(), &facts, &context);
    assert!(!said.is_empty());
    said.into_iter().map(|j| (j.subject, (j.status, j.observed))).collect()
}

fn status(yaml: &str, host: &Recorded, subject: &str) -> Status {
    let said = judged(yaml, host);
    said.get(subject).unwrap_or_else(|| panic!("{subject} in {said:?}")).0
}

fn subjects(host: &Recorded) -> Vec<String> {
    Time::collect(&crate::host::Declared::new(host, Time::READS, Time::ASKS)).items.seen.into_keys().collect()
}

fn running(host: Recorded, name: &str, unit: &str) -> Recorded {
    let answer = serde_json::json!([{"name": name, "unit": unit, "uid": 101}]);
    host.answer(Question::TimeDaemons, answer.to_string())
}

fn timesync(age_usec: u64, ahead_usec: u64) -> String {
    let now = 1_800_000_000_000_000_u64;
    let then = now - age_usec;
    serde_json::json!({
        "server_name": "Time.Example.org", "server_address": "192.0.2.7",
        "poll_interval_max_usec": 2_048_000_000_u64, "now_usec": now,
        "message": {
            "leap": 0, "stratum": 2, "originate_usec": then + ahead_usec, "receive_usec": then, "transmit_usec": then,
            "destination_usec": then + ahead_usec, "ignored": false,
        },
    })
    .to_string()
}

fn timesyncd_host(kernel: &str, told: &str) -> Recorded {
    let host = Recorded::new().answer(Question::KernelClock, kernel).answer(Question::Timesync, told);
    running(host, "systemd-timesyn", "systemd-timesyncd.service")
}

#[test]
fn an_expectation_is_refused_when_it_asks_nothing_or_nonsense() {
    for (yaml, complaint) in [
        ("{}", "nothing is asked"),
        ("{synchronised: false}", "only `true`"),
        ("{by: []}", "no daemon"),
        ("{sources: []}", "no source"),
        ("{max_stratum: 16}", "1 to 15"),
        ("{min_sources: 0}", "asks nothing"),
        ("{synchronized: true}", "unknown field `synchronized`"),
        ("{max_offset: 500}", ""),
        ("{max_offset: 500 ms}", "is not a length of time"),
        ("{by: [crony]}", "unknown variant `crony`"),
    ] {
        let said = expect(yaml).err().unwrap_or_else(|| panic!("{yaml} was accepted"));
        assert!(said.contains(complaint), "{yaml}: {said}");
    }
    assert!(expect("{synchronised: true, max_offset: 500ms, by: [chrony, systemd-timesyncd], sources: ['*']}").is_ok());
}

#[test]
fn chronys_sources_are_found_through_include_confdir_and_sourcedir() {
    let host = Recorded::new()
        .file(
            "/etc/chrony/chrony.conf",
            "# pool no.example.org\n! server no\nconfdir /etc/chrony/conf.d /etc/chrony/more.d\n\
             POOL 2.Debian.pool.ntp.org.   iburst  maxsources 2\nsourcedir /run/chrony-dhcp\n\
             include /etc/chrony/*.inc\nrefclock PHC /dev/ptp0 poll 3\nlocal stratum 10\n",
        )
        .file("/etc/chrony/conf.d/a.conf", "server a.example.org\npeer b.example.org # key 1\n")
        .file("/etc/chrony/more.d/a.conf", "server hidden-by-name.example.org\n")
        .file("/etc/chrony/more.d/README", "server readme.example.org\n")
        .file("/etc/chrony/x.inc", "server c.example.org key 3")
        .file("/etc/chrony/.hidden.inc", "server hidden.example.org")
        .file("/run/chrony-dhcp/eth0.sources", "server 10.0.0.1 iburst\nrefclock SHM 0\n");
    assert_eq!(
        subjects(&host),
        [
            "chrony:local:clock",
            "chrony:peer:b.example.org",
            "chrony:pool:2.debian.pool.ntp.org",
            "chrony:refclock:PHC:/dev/ptp0",
            "chrony:server:10.0.0.1",
            "chrony:server:a.example.org",
            "chrony:server:c.example.org",
        ]
    );
    let facts = Time::collect(&host);
    let Some(Item::Source(pool)) = facts.items.seen.get("chrony:pool:2.debian.pool.ntp.org") else { panic!("no pool") };
    assert_eq!(pool.options.first().unwrap(), "iburst maxsources 2");
    assert!(facts.items.gaps.is_empty());
}

#[test]
fn a_loop_of_includes_ends_and_what_it_names_was_seen() {
    let line = "include /etc/chrony/chrony.conf\n".repeat(8_000);
    let host = Recorded::new().file("/etc/chrony/chrony.conf", format!("{line}server a.example.org\n"));
    assert_eq!(subjects(&host), ["chrony:server:a.example.org"]);
}

#[test]
fn too_deep_and_too_many_includes_are_a_gap() {
    let deep = (0..20).fold(Recorded::new(), |host, n| {
        let name = if n == 0 { "/etc/chrony/chrony.conf".to_owned() } else { format!("/etc/chrony/{n}") };
        host.file(&name, format!("include /etc/chrony/{}\n", n + 1))
    });
    let many = Recorded::new().file("/etc/chrony/chrony.conf", "include /etc/chrony/f*\n");
    let many = (0..300).fold(many, |host, n| host.file(&format!("/etc/chrony/f{n}"), ""));
    for (name, host) in [("deep", deep), ("many", many)] {
        assert!(Time::collect(&host).items.gap_for("chrony:server:x").is_some(), "{name}");
        assert_eq!(status("{sources: ['*']}", &host, "sources"), Status::Unknown, "{name}");
    }
}

#[test]
fn what_cannot_be_read_of_a_daemons_files_leaves_its_sources_unknown() {
    let base = || Recorded::new().file("/etc/systemd/system/multi-user.target.wants/chrony.service", "[Unit]");
    let denied = base().gap("/etc/chrony/chrony.conf", GapKind::Denied);
    let outside = base().file("/etc/chrony/chrony.conf", "server a.example.org\ninclude /srv/ntp/sources.conf\n");
    let fifo = base()
        .file("/etc/chrony/chrony.conf", "server a.example.org\nsourcedir /etc/chrony/sources.d")
        .gap("/etc/chrony/sources.d/x.sources", GapKind::Failed);
    let long = base().file("/etc/chrony/chrony.conf", format!("server a.example.org\nserver {}", "x".repeat(3_000)));
    let huge = base().file("/etc/chrony/chrony.conf", "# padding\n".repeat(40_000));
    for (name, host) in [("denied", denied), ("outside", outside), ("fifo", fifo), ("long", long), ("huge", huge)] {
        assert_eq!(status("{sources: ['*.example.org']}", &host, "sources"), Status::Unknown, "{name}");
        assert_eq!(status("{min_sources: 2}", &host, "sources"), Status::Unknown, "{name}");
    }
}

#[test]
fn timesyncd_follows_the_precedence_of_its_drop_ins() {
    let host = Recorded::new()
        .file(
            "/etc/systemd/timesyncd.conf",
            "[Other]\nNTP=wrong\n[Time]\n#NTP=comment\nNTP=one.example.org two.example.org\n",
        )
        .file("/usr/lib/systemd/timesyncd.conf", "[Time]\nNTP=not-read.example.org\n")
        .file("/usr/lib/systemd/timesyncd.conf.d/10-vendor.conf", "[Time]\nNTP=vendor.example.org\n")
        .file(
            "/etc/systemd/timesyncd.conf.d/10-vendor.conf",
            "[Time]\nNTP=\nNTP=three.example.org\nFallbackNTP=f.example.org\n",
        );
    assert_eq!(
        subjects(&host),
        ["systemd-timesyncd:fallback:f.example.org", "systemd-timesyncd:server:three.example.org"]
    );
    let said = judged("{sources: ['three.*']}", &host);
    assert_eq!(said.len(), 1, "a fallback does not count beside a server: {said:?}");
    assert_eq!(said["systemd-timesyncd:server:three.example.org"].0, Status::Pass);
}

#[test]
fn without_any_server_the_built_in_list_is_what_counts() {
    let host = Recorded::new().file("/etc/systemd/timesyncd.conf", "[Time]\n#NTP=\n");
    assert_eq!(subjects(&host), ["systemd-timesyncd:fallback:built-in"]);
    assert_eq!(status("{sources: ['*.example.org']}", &host, "systemd-timesyncd:fallback:built-in"), Status::Deviation);
}

#[test]
fn the_ntpds_are_told_apart_by_their_files() {
    let host = Recorded::new()
        .file(
            "/etc/ntpsec/ntp.conf",
            "pool 0.debian.pool.ntp.org iburst # x\nserver -4 a.example.org\nserver 127.127.1.0\nserver 127.127.28.0\n\
             includefile /etc/ntpsec/more.conf\nrefclock shm unit 0\n",
        )
        .file("/etc/ntpsec/more.conf", "peer p.example.org\n")
        .file("/etc/ntpsec/ntp.d/x.conf", "server d.example.org\n")
        .file("/etc/ntp.conf", "server old.example.org\nbroadcastclient\n")
        .file("/etc/openntpd/ntpd.conf", "servers pool.example.org\nserver \"s.example.org\" weight 5\nsensor *\n");
    assert_eq!(
        subjects(&host),
        [
            "ntp:broadcast:any",
            "ntp:server:old.example.org",
            "ntpsec:local:127.127.1.0",
            "ntpsec:peer:p.example.org",
            "ntpsec:pool:0.debian.pool.ntp.org",
            "ntpsec:refclock:127.127.28.0",
            "ntpsec:refclock:SHM",
            "ntpsec:server:a.example.org",
            "ntpsec:server:d.example.org",
            "openntpd:pool:pool.example.org",
            "openntpd:refclock:*",
            "openntpd:server:s.example.org",
        ]
    );
}

#[test]
fn a_link_left_by_a_removed_package_enables_nothing_and_a_mask_beats_a_want() {
    let wants = "/etc/systemd/system/multi-user.target.wants";
    let host = Recorded::new()
        .file(&format!("{wants}/chrony.service"), "[Unit]")
        .file("/etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service", "");
    assert_eq!(subjects(&host), ["daemon:chrony"]);
    assert_eq!(status("{by: [chrony]}", &host, "daemon:chrony"), Status::Pass, "at rest, being enabled is what counts");
    assert_eq!(status("{by: [ntpsec]}", &host, "daemon:chrony"), Status::Deviation);
}

#[test]
fn a_root_at_rest_is_judged_by_its_files_and_the_rest_does_not_apply() {
    let host = Recorded::new().file("/etc/chrony/chrony.conf", "server a.example.org\n");
    for (yaml, subject) in
        [("{synchronised: true}", "clock"), ("{max_offset: 1s}", "offset"), ("{max_stratum: 3}", "stratum")]
    {
        assert_eq!(status(yaml, &host, subject), Status::NotApplicable, "{yaml}");
    }
    assert_eq!(status("{sources: ['*.example.org']}", &host, "chrony:server:a.example.org"), Status::Pass);
    assert_eq!(status("{sources: ['*.example.com']}", &host, "chrony:server:a.example.org"), Status::Deviation);
    assert_eq!(status("{min_sources: 1}", &host, "sources"), Status::Pass);
    assert_eq!(status("{min_sources: 2}", &host, "sources"), Status::Deviation);
    assert_eq!(status("{by: [chrony]}", &host, "daemon"), Status::Deviation);
    assert_eq!(status("{sources: ['*']}", &Recorded::new(), "sources"), Status::Deviation, "no source at all");
}

#[test]
fn a_daemon_without_tracking_is_judged_by_the_kernel() {
    let host = |kernel: &str| running(Recorded::new().answer(Question::KernelClock, kernel), "ntpd", "ntpsec.service");
    let good = host(SYNCHRONISED).refuse(Question::NtpSystem, GapKind::Unsupported);
    let said = judged("{synchronised: true, max_offset: 500ms, by: [ntpsec], max_stratum: 5}", &good);
    assert_eq!(said["clock"], (Status::Pass, "the kernel says synchronised; ntpsec runs".into()));
    assert_eq!(said["offset"].0, Status::Pass);
    assert_eq!(said["stratum"].0, Status::Unknown);
    assert_eq!(said["daemon:ntpsec"].0, Status::Pass);
    let bad = host(UNSYNCHRONISED).refuse(Question::NtpSystem, GapKind::Unsupported);
    assert_eq!(status("{synchronised: true}", &bad, "clock"), Status::Deviation);
    assert_ne!(status("{max_offset: 1s}", &bad, "offset"), Status::Pass);
}

#[test]
fn a_synchronised_kernel_without_a_daemon_is_a_deviation() {
    let host = Recorded::new().answer(Question::KernelClock, SYNCHRONISED).answer(Question::TimeDaemons, "[]");
    let said = judged("{synchronised: true, max_offset: 1s, max_stratum: 3, by: [chrony]}", &host);
    for subject in ["clock", "offset", "stratum", "daemon"] {
        assert_eq!(said[subject].0, Status::Deviation, "{subject}: {said:?}");
    }
}

#[test]
fn a_process_of_an_ordinary_user_is_no_daemon() {
    let told = r#"[{"name":"chronyd","unit":null,"uid":1000}]"#;
    let host = Recorded::new().answer(Question::KernelClock, SYNCHRONISED).answer(Question::TimeDaemons, told);
    assert_eq!(status("{synchronised: true}", &host, "clock"), Status::Deviation);
}

#[test]
fn what_cannot_be_asked_is_unknown_and_never_a_pass() {
    let hidden =
        Recorded::new().refuse(Question::KernelClock, GapKind::Denied).refuse(Question::TimeDaemons, GapKind::Denied);
    let chrony = running(Recorded::new().answer(Question::KernelClock, UNSYNCHRONISED), "chronyd", "chrony.service")
        .refuse(Question::ChronyTracking, GapKind::Denied);
    let no_kernel =
        running(Recorded::new().refuse(Question::KernelClock, GapKind::Denied), "chronyd", "chrony.service")
            .refuse(Question::ChronyTracking, GapKind::Denied);
    for (name, host) in [("hidden", hidden), ("chrony", chrony), ("no kernel", no_kernel)] {
        for (yaml, subject) in
            [("{synchronised: true}", "clock"), ("{max_offset: 1s}", "offset"), ("{max_stratum: 3}", "stratum")]
        {
            assert_eq!(status(yaml, &host, subject), Status::Unknown, "{name}: {yaml}");
        }
    }
    for garbage in ["", "{}", "[]", "null", "\u{0}", r#"{"returned":1e99}"#] {
        let host = Recorded::new()
            .answer(Question::KernelClock, garbage)
            .answer(Question::TimeDaemons, r#"[{"name":"chronyd","unit":"chrony.service","uid":0}]"#)
            .answer(Question::ChronyTracking, garbage);
        assert_eq!(status("{synchronised: true}", &host, "clock"), Status::Unknown, "{garbage}");
    }
}

#[test]
fn timesyncd_is_synchronised_while_its_server_was_heard_lately() {
    let yaml = "{synchronised: true, max_offset: 500ms, max_stratum: 3, sources: ['time.example.org'], by: [systemd-timesyncd]}";
    let good = timesyncd_host(UNSYNCHRONISED, &timesync(60_000_000, 20_000));
    for (subject, (status, observed)) in judged(yaml, &good) {
        assert_eq!(status, Status::Pass, "{subject}: {observed}");
    }
    assert_eq!(judged(yaml, &good)["offset"].1, "20ms ahead by systemd-timesyncd");
    let silent = timesyncd_host(SYNCHRONISED, &timesync(9_000_000_000, 0));
    assert_eq!(status("{synchronised: true}", &silent, "clock"), Status::Deviation);
    let off = timesyncd_host(SYNCHRONISED, &timesync(1_000_000, 5_000_000));
    assert_eq!(judged(yaml, &off)["clock"].0, Status::Deviation);
    assert_eq!(judged(yaml, &off)["offset"].0, Status::Deviation);
}

#[test]
fn a_used_source_that_no_file_names_is_judged_too() {
    let host = timesyncd_host(SYNCHRONISED, &timesync(1, 0))
        .file("/etc/systemd/timesyncd.conf", "[Time]\nNTP=allowed.example.org\n");
    let said = judged("{sources: ['allowed.*']}", &host);
    assert_eq!(said["systemd-timesyncd:server:allowed.example.org"].0, Status::Pass);
    assert_eq!(said["source:192.0.2.7"].0, Status::Deviation);
}

#[test]
fn two_daemons_at_once_are_a_deviation() {
    let told =
        r#"[{"name":"chronyd","unit":"chrony.service","uid":0},{"name":"ntpd","unit":"ntpsec.service","uid":0}]"#;
    let host = Recorded::new().answer(Question::KernelClock, SYNCHRONISED).answer(Question::TimeDaemons, told);
    assert_eq!(status("{by: [chrony, ntpsec]}", &host, "daemon"), Status::Deviation);
    assert_eq!(status("{by: [chrony]}", &host, "daemon:ntpsec"), Status::Deviation);
}

#[test]
fn noise_below_a_millisecond_does_not_change_the_state() {
    let state = |age, ahead| Time::collect(&timesyncd_host(SYNCHRONISED, &timesync(age, ahead))).state;
    assert_eq!(state(1_000_000, 100), state(64_000_000, 400));
    assert_ne!(state(1_000_000, 100), state(1_000_000, 2_000));
}

/// A host whose chronyd says this, its kernel claiming to be synchronised all the while.
fn chrony_host(leap: u16, offset: [u8; 4], state: u16, reachability: u16) -> Recorded {
    use super::chrony_reply::tests::{reply, source_data, tracking_data};
    use base64::Engine as _;
    let source = base64::engine::general_purpose::STANDARD.encode(reply(3, 0, &source_data(state, reachability)));
    let host = Recorded::new()
        .answer(Question::KernelClock, SYNCHRONISED)
        .answer(Question::ChronyTracking, reply(5, 0, &tracking_data(leap, offset)))
        .answer(Question::ChronySources, serde_json::json!([{"source": source, "name": null}]).to_string());
    running(host, "chronyd", "chrony.service")
}

#[test]
fn chronyds_own_word_beats_the_kernels() {
    let two_seconds = super::chrony_reply::tests::encoded(3, 1 << 23);
    let clock = |host: &Recorded| judged("{synchronised: true}", host)["clock"].clone();
    let good = clock(&chrony_host(0, [0; 4], 0, 0o377));
    assert_eq!(good.0, Status::Pass);
    assert!(good.1.contains("follows 10.77.0.1") && good.1.contains("the kernel says synchronised"), "{}", good.1);
    for (name, host, why) in [
        ("unsynchronised", chrony_host(3, [0; 4], 0, 0o377), "is not synchronised"),
        ("unreachable", chrony_host(0, [0; 4], 0, 0), "reaches none of its sources"),
        ("unselected", chrony_host(0, [0; 4], 1, 0o377), "follows no source"),
        ("two seconds off", chrony_host(0, two_seconds, 0, 0o377), "is 2000ms behind"),
    ] {
        let (status, observed) = clock(&host);
        assert_eq!(status, Status::Deviation, "{name}: {observed}");
        assert!(observed.contains(why), "{name}: {observed}");
    }
    let off = judged("{synchronised: true, max_offset: 500ms}", &chrony_host(0, two_seconds, 0, 0o377));
    assert_eq!((off["clock"].0, off["offset"].0), (Status::Deviation, Status::Deviation));
}

#[test]
fn each_sign_of_trouble_in_the_kernels_clock_counts_alone() {
    for (returned, status, synchronised) in
        [(0, 0x2001, true), (1, 0x2011, true), (5, 0x2001, false), (0, 0x2041, false), (0, 0x3001, false)]
    {
        let answer = serde_json::json!({"returned": returned, "status": status, "offset": 0, "maxerror": 1});
        let host = running(Recorded::new().answer(Question::KernelClock, answer.to_string()), "ntpd", "ntpsec.service");
        let host = host.refuse(Question::NtpSystem, GapKind::Unsupported);
        let wanted = if synchronised { Status::Pass } else { Status::Deviation };
        assert_eq!(self::status("{synchronised: true}", &host, "clock"), wanted, "{returned} {status:#x}");
    }
}

#[test]
fn a_gap_of_one_ntpd_does_not_hide_the_other() {
    let host =
        Recorded::new().gap("/etc/ntpsec/ntp.conf", GapKind::Denied).file("/etc/ntp.conf", "server a.example.org");
    assert_eq!(status("{sources: ['*']}", &host, "sources"), Status::Unknown, "either may be the one");
    let host = host.file("/etc/systemd/system/multi-user.target.wants/ntp.service", "[Unit]");
    let said = judged("{sources: ['*']}", &host);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said["ntp:server:a.example.org"].0, Status::Pass);
}
