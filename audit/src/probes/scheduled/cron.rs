//! Crontabs and the folders of scripts. Sources: crontab(5), cron(8) of Debian and of cronie, run-parts(8).

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::files::{self, Found, digest, inside, name_ignored, program, text};
use super::{Item, Job, field};
use crate::digest::Digest;
use crate::host::{EntryKind, Gap, Stat, path_text};

/// Folders of users' crontabs; in the second Debian keeps folders besides.
const SPOOLS: [&str; 3] = ["/var/spool/cron/crontabs", "/var/spool/cron", "/etc/crontabs"];
/// Folders of scripts, and when they run.
const SCRIPTS: [(&str, &str); 9] = [
    ("/etc/cron.hourly", "hourly"),
    ("/etc/cron.daily", "daily"),
    ("/etc/cron.weekly", "weekly"),
    ("/etc/cron.monthly", "monthly"),
    ("/etc/periodic/15min", "every 15 minutes"),
    ("/etc/periodic/hourly", "hourly"),
    ("/etc/periodic/daily", "daily"),
    ("/etc/periodic/weekly", "weekly"),
    ("/etc/periodic/monthly", "monthly"),
];

pub(super) fn collect(found: &mut Found<'_>) {
    let cronie = files::is_cronie(found.host);
    let users = users(found);
    let crontab = Path::new("/etc/crontab");
    take(found, crontab, None, &users, cronie, system_ignored);
    found.check_safe(crontab);
    let folder = Path::new("/etc/cron.d");
    found.check_safe(folder);
    for entry in found.folder(folder, "cron:/etc/cron.d/") {
        // cron's own place keeper, and what is no file.
        if entry.kind == EntryKind::Directory || entry.name == ".placeholder" {
            continue;
        }
        let path = inside(folder, &entry);
        let named = name_ignored(&entry, cronie);
        take(found, &path, None, &users, cronie, |stat| named.clone().or_else(|| system_ignored(stat)));
        found.check_safe(&path);
    }
    for spool in SPOOLS {
        collect_spool(found, Path::new(spool), &users, cronie);
    }
    for (folder, when) in SCRIPTS {
        collect_scripts(found, Path::new(folder), when, cronie);
    }
}

fn collect_spool(found: &mut Found<'_>, spool: &Path, users: &[(String, u32)], cronie: bool) {
    for entry in found.folder(spool, &format!("cron:{}/", path_text(spool))) {
        let name = entry.name.as_bytes();
        // Debian's crontab(1) makes `tmp.XXXXXX` beside what it replaces; both pass over hidden files.
        if entry.kind == EntryKind::Directory || name.starts_with(b".") || name.starts_with(b"tmp.") {
            continue;
        }
        let user = text(name);
        let owner = users.iter().find(|(name, _)| *name == user).map(|(_, uid)| *uid);
        take(found, &inside(spool, &entry), Some(&user), users, cronie, |stat| match owner {
            None => Some("no such user".to_owned()),
            Some(uid) if stat.uid != uid && stat.uid != 0 => Some("its owner".to_owned()),
            Some(_) if !cronie && stat.mode != 0o600 => Some("its mode".to_owned()),
            Some(_) if cronie && stat.mode & 0o022 != 0 => Some("its mode".to_owned()),
            Some(_) => None,
        });
    }
}

fn users(found: &mut Found<'_>) -> Vec<(String, u32)> {
    let passwd = found.read(Path::new("/etc/passwd"), "cron:/var/spool/").unwrap_or_default();
    let line = |line: &[u8]| {
        let line = text(line);
        let mut parts = line.split(':');
        let name = parts.next()?.to_owned();
        Some((name, parts.nth(1)?.parse().ok()?))
    };
    passwd.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// Why cron passes a system's crontab over.
fn system_ignored(stat: &Stat) -> Option<String> {
    match () {
        () if stat.kind != EntryKind::File => Some("it is no regular file".to_owned()),
        () if stat.uid != 0 => Some("its owner".to_owned()),
        () if stat.mode & 0o022 != 0 => Some("its mode".to_owned()),
        () => None,
    }
}

/// A crontab in the reading.
struct Crontab<'a> {
    prefix: &'a str,
    /// Its owner, where its lines name none.
    user: Option<&'a str>,
    /// The host's users, with their ids.
    users: &'a [(String, u32)],
    ignored: Option<String>,
}

/// The jobs of one crontab. `user` is its owner where the lines do not name one.
fn take(
    found: &mut Found<'_>,
    path: &Path,
    user: Option<&str>,
    users: &[(String, u32)],
    cronie: bool,
    ignored: impl FnOnce(&Stat) -> Option<String>,
) {
    let prefix = format!("cron:{}", path_text(path));
    let Some(stat) = found.stat(path, &prefix) else { return };
    if stat.kind != EntryKind::File {
        return;
    }
    let mut ignored = ignored(&stat);
    let Some(bytes) = found.read(path, &prefix) else { return };
    if !cronie && ignored.is_none() && bytes.last().is_some_and(|last| *last != b'\n') {
        ignored = Some("no newline at its end".to_owned());
    }
    let (mut names, mut settings) = (Vec::new(), String::new());
    let file = Crontab { prefix: &prefix, user, users, ignored };
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = text(line);
        // Only leading blanks are cron's to skip; a carriage return would be part of the command.
        let line = line.trim_start_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = assigned(line, cronie) {
            names.push(name.to_owned());
            settings.push_str(line);
            settings.push('\n');
            continue;
        }
        let Some((subject, job)) = entry(line, &file, cronie) else {
            // Which line, but not what it says: it may be a command.
            let gap = Gap::malformed(path_text(path), format!("line {} is no job and no setting", number + 1));
            found.hide(&prefix, gap);
            continue;
        };
        found.job(subject, job);
    }
    if !names.is_empty() {
        names.sort_unstable();
        names.dedup();
        let digest = Digest::of(settings.as_bytes());
        found.items.seen.insert(format!("environment:{}", path_text(path)), Item::Environment { names, digest });
    }
}

/// The name a line assigns: `NAME = value`, the name perhaps in quotes. Debian's cron takes a value of nothing for a mistake.
fn assigned(line: &str, cronie: bool) -> Option<&str> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim_end();
    let is_quoted = name.len() > 1 && name.starts_with(['"', '\'']) && name.ends_with(['"', '\'']);
    let is_name = is_quoted || !name.contains([' ', '\t', '"', '\'']);
    (is_name && (cronie || !value.trim().is_empty())).then(|| name.trim_matches(['"', '\'']))
}

fn entry(line: &str, file: &Crontab<'_>, cronie: bool) -> Option<(String, Job)> {
    // cronie: a leading `-` keeps the job out of the log.
    let line = line.strip_prefix('-').filter(|_| cronie).unwrap_or(line);
    let (when, rest) = field::take(line)?;
    let (user, command) = match file.user {
        Some(user) => (user, rest),
        None => rest.split_once([' ', '\t']).map(|(user, command)| (user, command.trim_start()))?,
    };
    // cron would look the user up anywhere; here only /etc/passwd is seen, so of others it is not known whether the job runs.
    if command.is_empty() || !(file.user.is_some() || file.users.iter().any(|(name, _)| name == user)) {
        return None;
    }
    let whole = Digest::of(format!("{user}\n{when}\n{command}").as_bytes()).to_string();
    let short: String = whole.chars().take(8).collect();
    let job = Job {
        user: user.to_owned(),
        when,
        program: program(command),
        digest: Some(digest(command)),
        ignored: file.ignored.clone(),
    };
    Some((format!("{}#{short}", file.prefix), job))
}

fn collect_scripts(found: &mut Found<'_>, folder: &Path, when: &str, cronie: bool) {
    let prefix = format!("script:{}/", path_text(folder));
    let entries = found.folder(folder, &prefix);
    if !entries.is_empty() {
        found.check_safe(folder);
    }
    for entry in entries {
        if entry.kind == EntryKind::Directory || entry.name == ".placeholder" {
            continue;
        }
        let path = inside(folder, &entry);
        let file = path_text(&path);
        let subject = format!("script:{file}");
        let Some(stat) = found.stat(&path, &subject) else { continue };
        if stat.kind != EntryKind::File {
            continue;
        }
        let mut ignored = name_ignored(&entry, cronie);
        if ignored.is_none() && stat.mode & 0o111 == 0 {
            ignored = Some("it is not executable".to_owned());
        }
        let Some(bytes) = found.read(&path, &subject) else { continue };
        let digest = Some(Digest::of(&bytes));
        found.job(subject, Job { user: "root".into(), when: when.into(), program: file, digest, ignored });
        found.check_safe(&path);
    }
}
