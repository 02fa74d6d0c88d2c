//! Whether a unit starts by itself, decided from files as `systemctl is-enabled` decides it: systemctl(1), the table under
//! `is-enabled`, and the links that systemd.unit(5) describes. Its versions from 252 on agree; 247 called more links bad.
//!
//! A link out of the load path is taken for what it leads to in the end: links on the way there are not looked at.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::install::Install;
use super::tree::{self, File, Origin, Tree};
use super::{links, names};
use crate::host::{EntryKind, Gap, GapKind, Stat, read_small};

/// How a unit file is installed, in systemctl's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enablement {
    /// Links of its `[Install]` section stand under /etc or in an installed folder.
    Enabled,
    /// They stand under /run: until the next boot.
    EnabledRuntime,
    /// The file itself is elsewhere and linked in.
    Linked,
    /// The same until the next boot.
    LinkedRuntime,
    /// Another name of a unit.
    Alias,
    /// Nothing can start it.
    Masked,
    /// The same until the next boot.
    MaskedRuntime,
    /// It has no `[Install]` section: others start it.
    Static,
    /// It could be enabled and is not.
    Disabled,
    /// Not itself, but it names others, or another name or instance of it is there.
    Indirect,
    /// Made at boot by a generator.
    Generated,
    /// A link that leads nowhere, or a file systemd cannot read.
    Bad,
}

impl Enablement {
    /// As systemctl writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::EnabledRuntime => "enabled-runtime",
            Self::Linked => "linked",
            Self::LinkedRuntime => "linked-runtime",
            Self::Alias => "alias",
            Self::Masked => "masked",
            Self::MaskedRuntime => "masked-runtime",
            Self::Static => "static",
            Self::Disabled => "disabled",
            Self::Indirect => "indirect",
            Self::Generated => "generated",
            Self::Bad => "bad",
        }
    }
}

/// What was found out about one unit's file.
pub(in crate::probes) struct Decided {
    /// `None` where no file of its name, nor of its template, is there: something wants what is not installed.
    pub(in crate::probes) enablement: Option<Enablement>,
    /// The file it is loaded from, and its folder's number; `None` where it is masked or bad.
    pub(in crate::probes) file: Option<(PathBuf, usize)>,
    /// The name it goes by in the end: another one for an alias.
    pub(in crate::probes) name: String,
}

/// systemd's own `UNIT_FILE_FOLLOW_SYMLINK_MAX`.
const MAX_LINKS: usize = 64;

/// A unit as it is found under one of its names.
struct Found {
    name: String,
    /// Where in the load path, and in which folder.
    path: PathBuf,
    folder: usize,
    what: What,
    install: Install,
}

/// What stands there.
enum What {
    Masked,
    Regular,
    /// A file elsewhere, linked in.
    Linked(PathBuf),
    /// A link to this path in the load path: another unit's name.
    Alias(PathBuf),
}

/// Why a unit cannot be found out about.
enum Stop {
    /// Nothing of the name is there.
    Missing,
    /// systemctl gives up on it.
    Bad,
    Gap(Gap),
}

impl From<Gap> for Stop {
    fn from(gap: Gap) -> Self {
        Self::Gap(gap)
    }
}

/// Decides the unit called `name`.
pub(in crate::probes) fn decide(tree: &Tree<'_>, name: &str) -> Result<Decided, Gap> {
    let found = match follow(tree, name) {
        Ok(found) => found,
        Err(Stop::Gap(gap)) => return Err(gap),
        Err(stop) => {
            let enablement = matches!(stop, Stop::Bad).then_some(Enablement::Bad);
            return Ok(Decided { enablement, file: None, name: name.to_owned() });
        }
    };
    let runtime = tree.folders.get(found.folder).is_some_and(links::is_runtime);
    let target = match &found.what {
        What::Masked => {
            let enablement = Some(if runtime { Enablement::MaskedRuntime } else { Enablement::Masked });
            return Ok(Decided { enablement, file: None, name: name.to_owned() });
        }
        What::Regular => None,
        What::Linked(target) | What::Alias(target) => Some(target),
    };
    let generated = tree.folders.get(found.folder).is_some_and(|folder| folder.origin == Origin::Generated);
    let base = tree::last(target.unwrap_or(&found.path));
    let enablement = match () {
        () if name != base && !names::is_instance(&found.name) => Enablement::Alias,
        () if generated && target.is_none() => Enablement::Generated,
        () => links::enablement(tree, &found.name, &found.install, target.is_none().then_some(found.folder)),
    };
    Ok(Decided { enablement: Some(enablement), file: Some((found.path, found.folder)), name: found.name })
}

/// Follows `name` to the unit it means in the end.
fn follow(tree: &Tree<'_>, name: &str) -> Result<Found, Stop> {
    let mut found = search(tree, name)?;
    for _ in 0..MAX_LINKS {
        let target = match &found.what {
            What::Masked | What::Regular => return Ok(found),
            What::Linked(_) => return linked(tree, found),
            What::Alias(target) => target.clone(),
        };
        let leads = tree::last(&target);
        let filled = names::is_template(&leads).then(|| names::instance_like(&found.name, &leads)).flatten();
        let next = filled.unwrap_or(leads);
        if next == found.name {
            // An instance by a link to its own template: that very file counts, whatever stands in stronger folders.
            let (folder, file) = tree.at(&target).ok_or(Stop::Bad)?;
            found.what = load(tree, &found.name, &target, file, &mut found.install)?;
            (found.path, found.folder) = (target, folder);
            continue;
        }
        found = search(tree, &next).map_err(|stop| match stop {
            Stop::Missing | Stop::Bad => Stop::Bad,
            Stop::Gap(gap) => Stop::Gap(gap),
        })?;
    }
    Err(Stop::Bad)
}

/// The strongest file or link of the name, else of its template, with its drop-ins.
fn search(tree: &Tree<'_>, name: &str) -> Result<Found, Stop> {
    let template = names::template(name);
    if (template.is_some() || names::is_template(name)) && !names::may_template(name) {
        return Err(Stop::Bad);
    }
    let candidates = [Some(name), template.as_deref()].into_iter().flatten();
    let (stands, (folder, file)) =
        candidates.filter_map(|name| Some((name, tree.find(name)?))).next().ok_or(Stop::Missing)?;
    let path = tree.folders.get(folder).map(|folder| Path::new(folder.path).join(stands)).ok_or(Stop::Missing)?;
    let mut install = Install::default();
    let what = load(tree, name, &path, file, &mut install)?;
    if !matches!(what, What::Masked) {
        for path in tree.drop_ins_of(name) {
            let sound = tree.drop_in(path)?.is_some_and(|text| install.take(name, &text));
            if !sound {
                return Err(Stop::Bad);
            }
        }
    }
    Ok(Found { name: name.to_owned(), path, folder, what, install })
}

/// What stands at `path` under the name `name`; a file's `[Install]` section is added to `install`.
fn load(tree: &Tree<'_>, name: &str, path: &Path, file: &File, install: &mut Install) -> Result<What, Stop> {
    match file {
        File::Other => Err(Stop::Bad),
        File::Regular if tree.host.stat(path)?.size == 0 => Ok(What::Masked),
        File::Regular => match install.take(name, &read_small(tree.host, path)?) {
            true => Ok(What::Regular),
            false => Err(Stop::Bad),
        },
        File::Link(target) => {
            let inside = tree.holds(target);
            if inside && !names::is_alias(&tree::last(path), &tree::last(target)) {
                return Err(Stop::Bad);
            }
            // A link to an empty file masks as one to /dev/null does.
            let masks = target == Path::new(tree::NOTHING)
                || there(tree, path)?.is_some_and(|stat| stat.kind == EntryKind::Other || is_empty(&stat));
            Ok(match inside {
                _ if masks => What::Masked,
                true => What::Alias(target.clone()),
                false => What::Linked(target.clone()),
            })
        }
    }
}

fn is_empty(stat: &Stat) -> bool {
    stat.kind == EntryKind::File && stat.size == 0
}

/// Where a link leads; `None` for nowhere. A loop is an error to systemd too.
fn there(tree: &Tree<'_>, link: &Path) -> Result<Option<Stat>, Stop> {
    match tree.host.stat(link) {
        Ok(stat) => Ok(Some(stat)),
        Err(gap) if gap.kind == GapKind::Missing => Ok(None),
        Err(gap) if gap.kind == GapKind::Failed => Err(Stop::Bad),
        Err(gap) => Err(gap.into()),
    }
}

/// The file that a link out of the load path leads to.
fn linked(tree: &Tree<'_>, mut found: Found) -> Result<Found, Stop> {
    let is_file = there(tree, &found.path)?.is_some_and(|stat| stat.kind == EntryKind::File);
    if !is_file || !found.install.take(&found.name, &read_small(tree.host, &found.path)?) {
        return Err(Stop::Bad);
    }
    Ok(found)
}
