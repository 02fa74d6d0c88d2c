//! Whether others than root can write the files of commands that rules name: the file itself, or a folder above it.
//!
//! Looked at only where a rule asks what amounts to root, and only where commands usually stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Grant, Item, State, amounts, doas};
use crate::facts::Facts;
use crate::host::{EntryKind, Gap, GapKind, Host};

/// Where commands usually stand; each folder, and what is right in it.
pub(super) const READS: [&str; 5] = [
    "/{bin,sbin,opt,srv,usr,etc}",
    "/{bin,sbin,opt,srv}/*",
    "/usr/{bin,sbin,lib,libexec,local}",
    "/usr/{bin,sbin,libexec,local,local/bin,local/sbin,local/lib}/*",
    "/{opt,srv,usr/lib,usr/libexec,usr/local/lib}/*/{*,bin/*,sbin/*,plugins/*}",
];
/// The most files looked at.
const MAX_FILES: usize = 5_000;

/// Looks at the commands that rules, already among the items, name.
pub(super) fn collect(host: &dyn Host, facts: &mut Facts<Item, State>) {
    let mut files: BTreeSet<&str> = BTreeSet::new();
    for item in facts.items.seen.values() {
        if let Item::Doas { rules, .. } = item {
            let commands = doas::permits(rules).into_iter().filter_map(|rule| rule.command.as_deref());
            files.extend(commands.filter(|command| command.starts_with('/') && amounts::why(command, false).is_none()));
        }
        let Item::Sudo { grants, .. } = item else { continue };
        files.extend(grants.iter().filter(|grant| asks(grant)).flat_map(|grant| amounts::files(&grant.command)));
    }
    let too_many = files.len() > MAX_FILES;
    let mut folders = BTreeMap::new();
    let mut found = Vec::new();
    for file in files.into_iter().take(MAX_FILES) {
        if let Some(state) = look(host, file, &mut folders).transpose() {
            found.push((format!("command:{file}"), state));
        }
    }
    for (subject, state) in found {
        match state {
            Ok(state) => {
                facts.state.seen.insert(subject, state);
            }
            Err(gap) => facts.state.hide(subject, gap),
        }
    }
    if too_many {
        let why = format!("rules name more than {MAX_FILES} commands");
        facts.state.hide("command:", Gap::new(GapKind::TooLarge, "/etc/sudoers", why));
    }
}

/// Whether the owner of the file decides anything: not where the command amounts to root as it is, or must have a digest.
fn asks(grant: &Grant) -> bool {
    let open = ["/home/", "/tmp/", "/var/tmp/", "/dev/shm/"];
    !grant.denied
        && grant.digests.is_empty()
        && amounts::why(&grant.command, false).is_none()
        && !amounts::files(&grant.command).any(|file| open.iter().any(|folder| file.starts_with(folder)))
}

type Folders = BTreeMap<String, Option<String>>;

/// What stands at `file`, and who else can write it; `None` where nothing stands there and nobody could put it there.
fn look(host: &dyn Host, file: &str, folders: &mut Folders) -> Result<Option<State>, Gap> {
    let mut refused = None;
    for (at, _) in file.match_indices('/').skip(1) {
        let Some(folder) = file.get(..at) else { break };
        if !folders.contains_key(folder) {
            let writer = match host.stat(Path::new(folder)) {
                Ok(stat) => writer(stat.uid, stat.gid, stat.mode).map(|who| format!("{who} can write {folder}")),
                Err(gap) if gap.is_missing() => None,
                Err(gap) => return Err(gap),
            };
            folders.insert(folder.to_owned(), writer);
        }
        refused = refused.or_else(|| folders.get(folder).cloned().flatten());
    }
    let stat = match host.stat(Path::new(file)) {
        Ok(stat) => stat,
        Err(gap) if gap.is_missing() => return Ok(refused.map(|why| state(0, 0, 0, Some(why)))),
        Err(gap) => return Err(gap),
    };
    if stat.kind == EntryKind::File {
        refused = refused.or_else(|| writer(stat.uid, stat.gid, stat.mode).map(|who| format!("{who} can write it")));
    }
    Ok(Some(state(stat.uid, stat.gid, stat.mode, refused)))
}

fn state(uid: u32, gid: u32, mode: u32, refused: Option<String>) -> State {
    State::File { uid, gid, mode: format!("{mode:04o}"), refused }
}

/// Who besides root can write what has this owner, group and mode. A sticky folder lets nobody replace another's file.
fn writer(uid: u32, gid: u32, mode: u32) -> Option<String> {
    if uid != 0 {
        Some(format!("uid {uid}"))
    } else if mode & 0o002 != 0 && mode & 0o1000 == 0 {
        Some("everybody".into())
    } else if mode & 0o020 != 0 && gid != 0 && mode & 0o1000 == 0 {
        Some(format!("gid {gid}"))
    } else {
        None
    }
}
