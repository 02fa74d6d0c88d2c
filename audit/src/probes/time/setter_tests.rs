//! Who may set the clock, against hosts built by hand.

use std::collections::BTreeMap;

use super::setters::judge;
use super::{Item, State, Time};
use crate::facts::{FactSet, Facts};
use crate::finding::Status;
use crate::host::{Attribute, Recorded};
use crate::lifecycle::Lifecycles;
use crate::probe::{Context, Erased, Topic as _};

/// What a rule that lets `set_by` finds, passes left out.
fn wrong(host: &Recorded, set_by: &str) -> Vec<(String, Status)> {
    let topic = Erased::<Time>::new();
    let rule = topic.expectation(serde_yaml::from_str(&format!("set_by: {set_by}")).unwrap()).unwrap();
    let facts = topic.collect(host, std::slice::from_ref(&rule));
    let lifecycles = Lifecycles::shipped().unwrap();
    let none = FactSet::default();
    let context = Context { now: chrono::DateTime::UNIX_EPOCH, facts: &none, lifecycles: &lifecycles };
    let told = topic.judge(&rule, &facts, &context).unwrap();
    assert!(!told.is_empty());
    told.into_iter().filter(|one| one.status != Status::Pass).map(|one| (one.subject, one.status)).collect()
}

fn setters(host: &Recorded) -> Vec<String> {
    let all = wrong(host, "[]");
    assert!(all.iter().all(|(_, status)| *status == Status::Deviation), "{all:?}");
    all.into_iter().map(|(subject, _)| subject.strip_prefix("setter:").unwrap().to_owned()).collect()
}

fn unit(text: &str) -> Recorded {
    Recorded::new()
        .file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .file("/usr/lib/systemd/system/x.service", format!("[Service]\n{text}"))
}

#[test]
fn units_hold_the_capability_where_they_are_not_roots() {
    for yes in [
        "User=a\nAmbientCapabilities=CAP_KILL cap_sys_time\n",
        "DynamicUser=yes\nAmbientCapabilities=CAP_SYS_TIME\n",
        "User=a\nAmbientCapabilities=~\n",
        "User=a\nAmbientCapabilities=~CAP_KILL\nProtectClock=no\n",
        "User=a\nAmbientCapabilities=CAP_SYS_TIME\nCapabilityBoundingSet=CAP_KILL\nCapabilityBoundingSet=CAP_SYS_TIME\n",
    ] {
        assert_eq!(setters(&unit(yes)), ["unit:x.service"], "{yes}");
    }
    for no in [
        "AmbientCapabilities=CAP_SYS_TIME\n",
        "User=root\nAmbientCapabilities=CAP_SYS_TIME\n",
        "User=a\nCapabilityBoundingSet=CAP_SYS_TIME\n",
        "User=a\nAmbientCapabilities=CAP_SYS_TIME\nCapabilityBoundingSet=~CAP_SYS_TIME\n",
        "User=a\nAmbientCapabilities=CAP_SYS_TIME\nProtectClock=yes\n",
        "User=a\nAmbientCapabilities=CAP_SYS_TIME\nAmbientCapabilities=\n",
        "User=a\nAmbientCapabilities=CAP_SYS_TIME\nAmbientCapabilities=~CAP_SYS_TIME\n",
    ] {
        assert_eq!(setters(&unit(no)), [""; 0], "{no}");
    }
    let more = unit("User=a\n")
        .file("/etc/systemd/system/x.service.d/a.conf", "[Service]\nAmbientCapabilities=CAP_SYS_TIME\n");
    assert_eq!(setters(&more), ["unit:x.service"]);
    assert_eq!(wrong(&more, "['unit:x.*']"), []);
    // What stands for all services counts too; of equal names the stronger folder's file does.
    let all = more.clone().file("/usr/lib/systemd/system/service.d/b.conf", "[Service]\nProtectClock=yes\n");
    assert_eq!(setters(&all), [""; 0]);
    let hidden = all.file("/etc/systemd/system/x.service.d/b.conf", "");
    assert_eq!(setters(&hidden), ["unit:x.service"]);
    let folders = unit("User=a\n")
        .file("/usr/lib/systemd/system/x.service.d/a.conf", "[Service]\nAmbientCapabilities=CAP_SYS_TIME\n")
        .file("/etc/systemd/system/service.d/a.conf", "");
    assert_eq!(setters(&folders), [""; 0]);
}

#[test]
fn rules_of_sudo_and_doas_that_set_the_clock_count() {
    let with = |rule: &str| unit("").file("/etc/sudoers", format!("otto ALL={rule}\n"));
    for yes in [
        "/bin/date",
        "/bin/date -s *",
        "/bin/date 010203042026",
        "/sbin/hwclock -w",
        "/usr/bin/timedatectl set-time *",
        "/usr/bin/chronyc makestep",
        "NOPASSWD: /usr/sbin/ntpdate",
    ] {
        assert_eq!(setters(&with(yes)), ["sudo:otto"], "{yes}");
    }
    for no in [
        "/bin/date +%s",
        "/sbin/hwclock -r",
        "/usr/bin/timedatectl status",
        "/usr/bin/chronyc tracking",
        "/bin/x",
        "(ava) /bin/date",
        "!/bin/date",
        "ALL",
    ] {
        assert_eq!(setters(&with(no)), [""; 0], "{no}");
    }
    assert_eq!(setters(&unit("").file("/etc/doas.conf", "permit :ops cmd date\n")), ["sudo:%ops"]);
    assert_eq!(wrong(&with("ALL bad"), "[]"), [("setter:sudo".into(), Status::Unknown)]);
}

#[test]
fn polkit_lets_those_set_it_whom_no_administrator_must_vouch_for() {
    let rules = "/etc/polkit-1/rules.d/a.rules";
    let rule = |body: &str| unit("").file(rules, format!("polkit.addRule(function(action, subject) {{ {body} }});"));
    let networkd = rule(
        "if ((action.id == 'org.freedesktop.timedate1.set-timezone') && subject.user == 'systemd-network') return polkit.Result.YES;",
    );
    assert_eq!(setters(&networkd), [""; 0]);
    let ops = rule(
        "if (action.id.indexOf('org.freedesktop.timedate1.') == 0 && subject.isInGroup('ops')) return polkit.Result.YES;",
    );
    assert_eq!(setters(&ops), ["polkit:group ops"]);
    assert_eq!(setters(&rule("if (subject.active) return polkit.Result.AUTH_SELF;")), ["polkit:active"]);
    assert_eq!(setters(&rule("return polkit.Result.AUTH_ADMIN;")), [""; 0]);
    assert_eq!(wrong(&rule("return f();"), "[]"), [(format!("setter:polkit:{rules}"), Status::Unknown)]);
    let local = unit("").file(
        "/etc/polkit-1/localauthority/50-local.d/t.pkla",
        "[t]\nIdentity=unix-user:otto;unix-group:ops\nAction=org.freedesktop.timedate1.*\nResultAny=no\nResultActive=yes\n",
    );
    assert_eq!(setters(&local), ["polkit:group ops", "polkit:user otto"]);
    let policy = "<action id=\"org.freedesktop.timedate1.set-time\"><defaults><allow_any>auth_admin</allow_any><allow_active>yes</allow_active>";
    assert_eq!(
        setters(&unit("").file("/usr/share/polkit-1/actions/org.freedesktop.timedate1.policy", policy)),
        ["polkit:active"]
    );
}

#[test]
fn programs_sockets_and_keys_count() {
    let host = unit("").file("/usr/bin/settime", "").file("/usr/bin/ping", "");
    let capability = |low: u32| [0x0200_0001_u32, low, 0, 0, 0].map(u32::to_le_bytes).concat();
    let host = host.with_attribute("/usr/bin/settime", Attribute::Capability, &capability(1 << 25));
    let host = host.with_attribute("/usr/bin/ping", Attribute::Capability, &capability(1 << 13));
    assert_eq!(setters(&host), ["file:/usr/bin/settime"]);
    let chrony = unit("").file("/run/chrony/chronyd.sock", "");
    assert_eq!(setters(&chrony), [""; 0]);
    let open = chrony
        .with_stat("/run/chrony/chronyd.sock", |stat| stat.mode = 0o777)
        .with_stat("/run/chrony", |stat| stat.mode = 0o755);
    assert_eq!(setters(&open), ["chrony:socket"]);
    let ntp = |text: &str| setters(&unit("").file("/etc/ntp.conf", text));
    assert_eq!(ntp("restrict default nomodify\nrestrict 127.0.0.1\ncontrolkey 1\n"), [""; 0]);
    assert_eq!(ntp("restrict default nomodify\nrestrict 10.0.0.1\ncontrolkey 1\n"), ["ntp:10.0.0.1"]);
    assert_eq!(ntp("restrict default\n"), [""; 0]);
    assert_eq!(ntp("requestkey 1\n"), ["ntp:default"]);
}

#[test]
fn where_nobody_asked_nothing_is_read_and_the_answer_is_unknown() {
    let topic = Erased::<Time>::new();
    let facts = topic.collect(&unit("User=a\nAmbientCapabilities=CAP_SYS_TIME\n"), &[]);
    let facts = facts.downcast_ref::<Facts<Item, State>>().unwrap();
    let setters: BTreeMap<_, _> =
        facts.items.seen.iter().filter(|(subject, _)| subject.starts_with("setter")).collect();
    assert!(setters.is_empty(), "{setters:?}");
    let mut said = Vec::new();
    judge(&[], facts, &mut said);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].status, Status::Unknown);
}
