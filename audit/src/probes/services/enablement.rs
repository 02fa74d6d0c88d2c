//! Whether a unit starts by itself, decided from files as `systemctl is-enabled` decides it: systemctl(1), the table under
//! `is-enabled`, and the links that systemd.unit(5) describes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::install::Install;
use super::names;
use super::tree::{self, CONFIGURED, File, Folder, Origin, Tree};
use crate::host::{EntryKind, Gap, GapKind};

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
    pub(in crate::probes) enablement: Enablement,
    /// The file it is loaded from, and its folder's number; `None` where it is masked or bad.
    pub(in crate::probes) file: Option<(PathBuf, usize)>,
    /// The name it goes by in the end: another one for an alias.
    pub(in crate::probes) name: String,
}

/// systemd's own `UNIT_FILE_FOLLOW_SYMLINK_MAX`.
const MAX_LINKS: usize = 64;

/// Where following a unit's name ends.
enum End {
    Masked(usize),
    Bad,
    /// The file's name, its path as linked in the load path, its folder, and whether that is a link out of the load path.
    File {
        name: String,
        path: PathBuf,
        folder: usize,
        target: Option<PathBuf>,
    },
}

/// Decides the unit called `name`.
pub(in crate::probes) fn decide(tree: &Tree<'_>, name: &str) -> Result<Decided, Gap> {
    let found = follow(tree, name)?;
    let (own, path, folder, target) = match found {
        End::Masked(folder) => {
            let runtime = tree.folders.get(folder).is_some_and(is_runtime);
            let enablement = if runtime { Enablement::MaskedRuntime } else { Enablement::Masked };
            return Ok(Decided { enablement, file: None, name: name.to_owned() });
        }
        End::Bad => return Ok(Decided { enablement: Enablement::Bad, file: None, name: name.to_owned() }),
        End::File { name, path, folder, target } => (name, path, folder, target),
    };
    let base = tree::last(target.as_deref().unwrap_or(&path));
    let mut decided = Decided { enablement: Enablement::Alias, file: Some((path.clone(), folder)), name: own.clone() };
    if name != base && !names::is_instance(&own) {
        return Ok(decided);
    }
    if tree.folders.get(folder).is_some_and(|folder| folder.origin == Origin::Generated) {
        decided.enablement = Enablement::Generated;
        return Ok(decided);
    }
    let install = install(tree, &own, &path)?;
    decided.enablement = links(tree, &own, &install, folder, target.is_some(), true).unwrap_or_else(|| {
        let otherwise = links(tree, &own, &install, folder, target.is_some(), false);
        match otherwise {
            Some(_) => Enablement::Indirect,
            None if install.has_rules() => Enablement::Disabled,
            None if install.also => Enablement::Indirect,
            None => Enablement::Static,
        }
    });
    Ok(decided)
}

fn follow(tree: &Tree<'_>, name: &str) -> Result<End, Gap> {
    let mut name = name.to_owned();
    for _ in 0..MAX_LINKS {
        let found = tree.find(&name).map(|found| (name.clone(), found));
        let found = found.or_else(|| {
            let template = names::template(&name)?;
            tree.find(&template).map(|found| (template, found))
        });
        let Some((stands, (number, file))) = found else { return Ok(End::Bad) };
        let Some(folder) = tree.folders.get(number) else { return Ok(End::Bad) };
        let path = Path::new(folder.path).join(&stands);
        match file {
            File::Regular => {
                if tree.host.stat(&path)?.size == 0 {
                    return Ok(End::Masked(number));
                }
                return Ok(End::File { name, path, folder: number, target: None });
            }
            File::Link(target) => {
                // A link to /dev/null masks, and so does one to an empty file.
                let there = match tree.host.stat(&path) {
                    Ok(stat) => Some(stat),
                    // Nothing there, or a loop of links.
                    Err(gap) if matches!(gap.kind, GapKind::Missing | GapKind::Failed) => None,
                    Err(gap) => return Err(gap),
                };
                let nothing = |kind, size| kind == EntryKind::Other || (kind == EntryKind::File && size == 0);
                if target == Path::new("/dev/null") || there.is_some_and(|stat| nothing(stat.kind, stat.size)) {
                    return Ok(End::Masked(number));
                }
                let leads = tree::last(target);
                if names::kind(&leads) != names::kind(&stands) || !names::is_valid(&leads) {
                    return Ok(End::Bad);
                }
                if !tree.holds(target) {
                    return Ok(match there {
                        Some(_) => End::File { name, path, folder: number, target: Some(target.clone()) },
                        None => End::Bad,
                    });
                }
                let filled = names::is_template(&leads).then(|| names::instance_like(&name, &leads)).flatten();
                let next = filled.unwrap_or(leads);
                if next == name {
                    // A link to the file of the same name in a weaker folder.
                    return Ok(match there {
                        Some(_) => End::File { name, path, folder: number, target: Some(target.clone()) },
                        None => End::Bad,
                    });
                }
                name = next;
            }
        }
    }
    Ok(End::Bad)
}

/// The `[Install]` section of the file and of its drop-ins.
fn install(tree: &Tree<'_>, name: &str, path: &Path) -> Result<Install, Gap> {
    let mut install = Install::default();
    install.take(&String::from_utf8_lossy(&tree.host.read(path)?));
    let own = [Some(name.to_owned()), names::template(name)];
    for of in own.iter().flatten() {
        for file in tree.drop_ins.get(of).into_iter().flat_map(|files| files.values()) {
            install.take(&String::from_utf8_lossy(&tree.host.read(file)?));
        }
    }
    Ok(install)
}

/// Whether links enable the unit called `name`, whose file stands in the folder number `at`. With `known`, only links by the
/// names its `[Install]` section knows count.
fn links(tree: &Tree<'_>, name: &str, install: &Install, at: usize, linked: bool, known: bool) -> Option<Enablement> {
    let known_name = |link: &str| {
        link == name
            || install.aliases.iter().any(|alias| alias == link)
            || install.default_instance.as_deref().is_some_and(|instance| {
                names::is_template(name) && names::instance_of(name, instance).as_deref() == Some(link)
            })
    };
    let counts = |link: &str, leads: &str| (link == name || leads == name) && (!known || known_name(link));
    let (mut runtime, mut at_all) = (false, false);
    let mut same_name = linked.then_some(at);
    for (number, folder) in tree.folders.iter().enumerate() {
        let wanted = folder.wants.iter().any(|(_, link, leads)| counts(link, leads));
        let aliased = folder.units.iter().any(|(link, file)| match file {
            File::Regular => false,
            // A link of the same name is no enabling: it links the file in.
            File::Link(target) => link != name && counts(link, &tree::last(target)),
        });
        let itself = matches!(folder.units.get(name), Some(File::Link(target)) if tree::last(target) == name);
        if wanted || aliased {
            if folder.path == CONFIGURED {
                return Some(Enablement::Enabled);
            }
            if is_runtime(folder) { runtime = true } else { at_all = true }
        } else if itself && number <= at && same_name.is_none() {
            same_name = Some(number);
        }
    }
    if runtime {
        return Some(Enablement::EnabledRuntime);
    }
    if at_all && names::is_instance(name) {
        return Some(Enablement::Static);
    }
    let folder = tree.folders.get(same_name?)?;
    match folder.origin {
        Origin::Persistent => Some(Enablement::Linked),
        Origin::Runtime | Origin::Generated | Origin::Transient => Some(Enablement::LinkedRuntime),
        Origin::Installed => None,
    }
}

fn is_runtime(folder: &Folder) -> bool {
    match folder.origin {
        Origin::Runtime | Origin::Generated | Origin::Transient => true,
        Origin::Persistent | Origin::Installed => false,
    }
}
