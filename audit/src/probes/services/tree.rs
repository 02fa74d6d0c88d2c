//! The folders systemd loads units from, in its order, read once: files, links and where they lead, `*.wants` folders and
//! drop-ins. Source: systemd.unit(5), "UNIT FILE LOAD PATH".

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::names;
use crate::host::{Entry, EntryKind, Gap, GapKind, Host, gap};

/// Where a folder's units come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::probes) enum Origin {
    /// `/etc`: the administrator's, kept over a boot.
    Persistent,
    /// `/run`: gone with the next boot.
    Runtime,
    /// Made by a generator at boot.
    Generated,
    /// Made by a program that runs.
    Transient,
    /// Installed: packages', or `/usr/local`'s.
    Installed,
}

/// The load path, the strongest folder first.
const FOLDERS: [(&str, Origin); 13] = [
    ("/etc/systemd/system.control", Origin::Persistent),
    ("/run/systemd/system.control", Origin::Runtime),
    ("/run/systemd/transient", Origin::Transient),
    ("/run/systemd/generator.early", Origin::Generated),
    ("/etc/systemd/system", Origin::Persistent),
    ("/etc/systemd/system.attached", Origin::Persistent),
    ("/run/systemd/system", Origin::Runtime),
    ("/run/systemd/system.attached", Origin::Runtime),
    ("/run/systemd/generator", Origin::Generated),
    ("/usr/local/lib/systemd/system", Origin::Installed),
    ("/usr/lib/systemd/system", Origin::Installed),
    ("/lib/systemd/system", Origin::Installed),
    ("/run/systemd/generator.late", Origin::Generated),
];
/// Where `systemctl enable` writes its links.
pub(super) const CONFIGURED: &str = "/etc/systemd/system";
/// More unit files than any host has.
const MAX_UNITS: usize = 20_000;

/// One folder of the load path.
pub(in crate::probes) struct Folder {
    pub(in crate::probes) path: &'static str,
    pub(in crate::probes) origin: Origin,
    /// Unit files and links by name.
    pub(super) units: BTreeMap<String, File>,
    /// The links of its `X.wants`, `X.requires` and `X.upholds`: X, the link's name, the name it leads to.
    pub(super) wants: Vec<(String, String, String)>,
}

/// What stands under a unit's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum File {
    Regular,
    /// A link, and where it leads: absolute, made plain.
    Link(PathBuf),
}

/// The whole load path.
pub(in crate::probes) struct Tree<'a> {
    pub(in crate::probes) host: &'a dyn Host,
    pub(in crate::probes) folders: Vec<Folder>,
    /// Drop-ins by what they belong to (`ssh.service`, `service`), by their file names: the strongest folder's.
    pub(in crate::probes) drop_ins: BTreeMap<String, BTreeMap<String, PathBuf>>,
    /// What of it could not be seen.
    pub(in crate::probes) gap: Option<Gap>,
}

impl<'a> Tree<'a> {
    /// Reads the folders of `host`.
    pub(in crate::probes) fn read(host: &'a dyn Host) -> Self {
        let mut tree = Self { host, folders: Vec::new(), drop_ins: BTreeMap::new(), gap: None };
        // On a merged /usr both names are one folder.
        let merged = host.link(Path::new("/lib")).is_ok_and(|target| target.ends_with("usr/lib"));
        for (path, origin) in FOLDERS {
            if !(merged && path == "/lib/systemd/system")
                && let Some(folder) = tree.folder(path, origin)
            {
                tree.folders.push(folder);
            }
        }
        if tree.folders.iter().map(|folder| folder.units.len()).sum::<usize>() > MAX_UNITS {
            let detail = format!("more than {MAX_UNITS} unit files");
            tree.gap = Some(Gap::new(GapKind::TooLarge, CONFIGURED, detail));
            tree.folders.clear();
        }
        tree
    }

    fn list(&mut self, path: &Path) -> Option<Vec<Entry>> {
        match gap::optional(self.host.list(path)) {
            Ok(entries) => entries,
            Err(gap) => {
                self.gap.get_or_insert(gap);
                None
            }
        }
    }

    fn folder(&mut self, path: &'static str, origin: Origin) -> Option<Folder> {
        let mut folder = Folder { path, origin, units: BTreeMap::new(), wants: Vec::new() };
        for entry in self.list(Path::new(path))? {
            // systemd passes over names that are no unit's, and so may we.
            let Ok(name) = std::str::from_utf8(entry.name.as_bytes()) else { continue };
            let place = Path::new(path).join(name);
            match entry.kind {
                EntryKind::File if names::is_valid(name) => {
                    folder.units.insert(name.to_owned(), File::Regular);
                }
                EntryKind::Link if names::is_valid(name) => {
                    if let Some(target) = self.target(&place) {
                        folder.units.insert(name.to_owned(), File::Link(target));
                    }
                }
                // A folder of wants or of drop-ins may itself be a link.
                EntryKind::Directory | EntryKind::Link => self.below(&mut folder, name, &place),
                EntryKind::File | EntryKind::Other => {}
            }
        }
        Some(folder)
    }

    fn below(&mut self, folder: &mut Folder, name: &str, place: &Path) {
        if let Some(of) = name.strip_suffix(".d") {
            for entry in self.list(place).unwrap_or_default() {
                let Ok(file) = std::str::from_utf8(entry.name.as_bytes()) else { continue };
                if file.ends_with(".conf") && entry.kind != EntryKind::Directory {
                    let known = self.drop_ins.entry(of.to_owned()).or_default();
                    known.entry(file.to_owned()).or_insert_with(|| place.join(file));
                }
            }
            return;
        }
        let by = [".wants", ".requires", ".upholds"].iter().find_map(|end| name.strip_suffix(end));
        let Some(by) = by.filter(|by| names::is_valid(by)) else { return };
        for entry in self.list(place).unwrap_or_default() {
            let Ok(link) = std::str::from_utf8(entry.name.as_bytes()) else { continue };
            if entry.kind != EntryKind::Link || !names::is_valid(link) {
                continue;
            }
            if let Some(target) = self.target(&place.join(link)) {
                folder.wants.push((by.to_owned(), link.to_owned(), last(&target)));
            }
        }
    }

    fn target(&mut self, link: &Path) -> Option<PathBuf> {
        match self.host.link(link) {
            Ok(target) => Some(plain(&link.parent().unwrap_or(link).join(target))),
            Err(gap) => {
                if !gap.is_missing() {
                    self.gap.get_or_insert(gap);
                }
                None
            }
        }
    }

    /// Every name there is a file or a link of, outside transient folders, and every instance that is wanted.
    pub(in crate::probes) fn names(&self) -> Vec<String> {
        let steady = || self.folders.iter().filter(|folder| folder.origin != Origin::Transient);
        let files = steady().flat_map(|folder| folder.units.keys());
        let wanted = steady().flat_map(|folder| folder.wants.iter().map(|(_, link, _)| link));
        let mut names: Vec<String> = files.chain(wanted.filter(|link| names::is_instance(link))).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The units whose folders link to `name`.
    pub(in crate::probes) fn wanted_by(&self, name: &str) -> BTreeSet<String> {
        let steady = self.folders.iter().filter(|folder| folder.origin != Origin::Transient);
        let wants = steady.flat_map(|folder| &folder.wants).filter(|(_, link, _)| link == name);
        wants.map(|(by, ..)| by.clone()).collect()
    }

    /// The strongest file called `name`, with the number of its folder.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &File)> {
        self.folders.iter().enumerate().find_map(|(number, folder)| Some((number, folder.units.get(name)?)))
    }

    /// Whether `path` stands right in a folder of the load path.
    pub(super) fn holds(&self, path: &Path) -> bool {
        let parent = path.parent();
        FOLDERS.iter().any(|(folder, _)| parent == Some(Path::new(folder)))
    }
}

/// The last part of a path, as text.
pub(super) fn last(path: &Path) -> String {
    path.file_name().map(|name| crate::host::path_text(Path::new(name))).unwrap_or_default()
}

/// `path` without `.` and `..`, as far as names tell.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::RootDir | Component::Normal(_) | Component::Prefix(_) => plain.push(part),
        }
    }
    plain
}
