//! systemd's timers: those of the system, and those of users whose manager runs without them being logged in (lingering, see
//! loginctl(1)). Source: systemd.timer(5).

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Job;
use super::files::{Found, text};
use crate::host::{Gap, read_small};
use crate::probes::services::install::settings;
use crate::probes::services::tree::Tree;
use crate::probes::services::{Enablement, SYSTEMD, Unit, enablement, names};

/// What says when.
const WHEN: [&str; 8] = [
    "OnActiveSec",
    "OnBootSec",
    "OnStartupSec",
    "OnUnitActiveSec",
    "OnUnitInactiveSec",
    "OnCalendar",
    "OnClockChange",
    "OnTimezoneChange",
];

pub(super) fn collect(found: &mut Found<'_>) {
    if SYSTEMD.iter().any(|path| found.host.stat(Path::new(path)).is_ok()) {
        collect_system(found);
    }
    collect_users(found);
}

fn collect_system(found: &mut Found<'_>) {
    let tree = Tree::read(found.host);
    if let Some(gap) = &tree.gap {
        found.hide("timer:", gap.clone());
    }
    for name in tree.names().into_iter().filter(|name| name.ends_with(".timer") && !names::is_template(name)) {
        let subject = format!("timer:{name}");
        match timer(&tree, &name) {
            Ok(Some(job)) => found.job(subject, job),
            Ok(None) => {}
            Err(gap) => found.hide(&subject, gap),
        }
    }
}

/// A timer that has a file of its own; an alias is told under its real name.
fn timer(tree: &Tree<'_>, name: &str) -> Result<Option<Job>, Gap> {
    let decided = enablement::decide(tree, name)?;
    let (Some((path, _)), Some(enablement)) = (decided.file, decided.enablement) else { return Ok(None) };
    if enablement == Enablement::Alias {
        return Ok(None);
    }
    let by = tree.wanted_by(name);
    let starts = Unit { enablement: Some(enablement), by, ..Unit::default() }.starts();
    let drop_ins = tree.drop_ins_loaded(name).filter_map(|file| tree.drop_in(file).transpose());
    let mut job = read(name, "root", std::iter::once(read_small(tree.host, &path)).chain(drop_ins))?;
    if !starts {
        job.ignored = Some(enablement.name().to_owned());
    }
    Ok(Some(job))
}

/// A timer by its file and drop-ins, in order. An empty setting takes back what stood before it.
fn read(name: &str, user: &str, files: impl Iterator<Item = Result<Vec<u8>, Gap>>) -> Result<Job, Gap> {
    let (mut when, mut runs) = (Vec::new(), format!("{}.service", name.trim_end_matches(".timer")));
    for file in files {
        let file = text(&file?);
        for (section, key, value) in settings(&file) {
            if section != "Timer" {
                continue;
            }
            match (key, value.as_str()) {
                ("Unit", unit) if !unit.is_empty() => runs = unit.to_owned(),
                (key, "") if WHEN.contains(&key) => when.clear(),
                (key, value) if WHEN.contains(&key) => when.push(format!("{key}={value}")),
                _ => {}
            }
        }
    }
    Ok(Job { user: user.to_owned(), when: when.join(" "), program: runs, digest: None, ignored: None })
}

fn collect_users(found: &mut Found<'_>) {
    for entry in found.folder(Path::new("/var/lib/systemd/linger"), "timer:") {
        let user = text(entry.name.as_bytes());
        let home = if user == "root" { PathBuf::from("/root") } else { Path::new("/home").join(&entry.name) };
        let folder = home.join(".config/systemd/user/timers.target.wants");
        let prefix = format!("timer:{user}/");
        for entry in found.folder(&folder, &prefix) {
            let name = text(entry.name.as_bytes());
            if !names::is_valid(&name) || !name.ends_with(".timer") {
                continue;
            }
            let subject = format!("{prefix}{name}");
            let Some(bytes) = found.read(&folder.join(&entry.name), &subject) else { continue };
            if let Ok(job) = read(&name, &user, std::iter::once(Ok(bytes))) {
                found.job(subject, job);
            }
        }
    }
}
