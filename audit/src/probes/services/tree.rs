//! The folders systemd loads units from, in its order, read once: files, links and where they lead, `*.wants` folders and
//! drop-ins. Source: systemd.unit(5), "UNIT FILE LOAD PATH".

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::names;
use crate::host::{Entry, EntryKind, Gap, GapKind, Host, gap, read_small};

/// Where a folder's units come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::probes) enum Origin {
    /// `/etc`: the administrator's, kept over a boot.
    Persistent,
    /// `/run`: gone with the next boot.
    Runtime,
    /// Made by a generator at boot.
    Generated,
    /// Installed: packages', or `/usr/local`'s.
    Installed,
}

/// The load path, the strongest folder first. `/run/systemd/transient` is left out: what a running program made there is
/// nobody's decision. Where `/lib` is a folder of its own, systemd's own folder is in it, and comes before `/usr/lib`.
const FOLDERS: [(&str, Origin); 12] = [
    ("/etc/systemd/system.control", Origin::Persistent),
    ("/run/systemd/system.control", Origin::Runtime),
    ("/run/systemd/generator.early", Origin::Generated),
    ("/etc/systemd/system", Origin::Persistent),
    ("/etc/systemd/system.attached", Origin::Persistent),
    ("/run/systemd/system", Origin::Runtime),
    ("/run/systemd/system.attached", Origin::Runtime),
    ("/run/systemd/generator", Origin::Generated),
    ("/usr/local/lib/systemd/system", Origin::Installed),
    ("/lib/systemd/system", Origin::Installed),
    ("/usr/lib/systemd/system", Origin::Installed),
    ("/run/systemd/generator.late", Origin::Generated),
];

/// The folders of the load path as one declared read, with `$end` after each.
macro_rules! load_path {
    ($end:literal) => {
        concat!(
            "/{etc/systemd/system,etc/systemd/system.control,etc/systemd/system.attached,",
            "run/systemd/system,run/systemd/system.control,run/systemd/system.attached,",
            "run/systemd/generator,run/systemd/generator.early,run/systemd/generator.late,",
            "usr/local/lib/systemd/system,usr/lib/systemd/system,lib/systemd/system}",
            $end
        )
    };
}

/// What each probe that reads a [`Tree`] declares: the folders of the load path,
pub(in crate::probes) const READS_FOLDERS: &str = load_path!("");
/// the units in them, and `*.wants` and drop-in folders,
pub(in crate::probes) const READS_UNITS: &str = load_path!("/*");
/// and what stands in those.
pub(in crate::probes) const READS_WITHIN: &str = load_path!("/*/*");

/// Where `systemctl enable` writes its links.
pub(super) const CONFIGURED: &str = "/etc/systemd/system";
/// What a link leads to that masks its name.
pub(super) const NOTHING: &str = "/dev/null";
/// More unit files than any host has.
const MAX_UNITS: usize = 20_000;

/// One folder of the load path.
pub(in crate::probes) struct Folder {
    pub(in crate::probes) path: &'static str,
    pub(in crate::probes) origin: Origin,
    /// Unit files and links by name.
    pub(super) units: BTreeMap<String, File>,
    /// The links of its `X.wants`, `X.requires` and `X.upholds`.
    pub(super) wants: Vec<Want>,
}

/// A link in a folder `X.wants`.
pub(super) struct Want {
    /// The folder's name.
    of: String,
    /// The link's name.
    pub(super) link: String,
    /// The template it is an instance of.
    pub(super) template: Option<String>,
    /// Whether systemctl sees it: it looks into no folder that is itself a link, systemd does.
    pub(super) listed: bool,
    /// A link to `/dev/null`, which hides those of its name in weaker folders.
    masked: bool,
}

impl Want {
    /// The unit that wants it; systemctl asks for no name here, systemd does.
    fn by(&self) -> Option<&str> {
        self.of.rsplit_once('.').map(|(by, _)| by).filter(|by| names::is_valid(by))
    }
}

/// What stands under a unit's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum File {
    Regular,
    /// A link, and where it leads: absolute, made plain.
    Link(PathBuf),
    /// A folder or a device: systemd cannot load it, and looks no further.
    Other,
}

/// The whole load path.
pub(in crate::probes) struct Tree<'a> {
    pub(in crate::probes) host: &'a dyn Host,
    pub(in crate::probes) folders: Vec<Folder>,
    /// Drop-ins by what they belong to (`ssh.service`, `service`), by their file names: the strongest folder's.
    pub(in crate::probes) drop_ins: BTreeMap<String, BTreeMap<String, PathBuf>>,
    /// What of it could not be seen.
    pub(in crate::probes) gap: Option<Gap>,
    /// Whether `/lib` leads to `/usr/lib`.
    merged: bool,
}

impl<'a> Tree<'a> {
    /// Reads the folders of `host`.
    pub(in crate::probes) fn read(host: &'a dyn Host) -> Self {
        // On a merged /usr both names are one folder.
        let merged = host.link(Path::new("/lib")).is_ok_and(|target| target.ends_with("usr/lib"));
        let mut tree = Self { host, folders: Vec::new(), drop_ins: BTreeMap::new(), gap: None, merged };
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
                EntryKind::Directory | EntryKind::Other if names::is_valid(name) => {
                    folder.units.insert(name.to_owned(), File::Other);
                }
                // A folder of wants or of drop-ins may itself be a link.
                EntryKind::Directory | EntryKind::Link => self.below(&mut folder, name, &place, entry.kind),
                EntryKind::File | EntryKind::Other => {}
            }
        }
        Some(folder)
    }

    fn below(&mut self, folder: &mut Folder, name: &str, place: &Path, kind: EntryKind) {
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
        if ![".wants", ".requires", ".upholds"].iter().any(|end| name.ends_with(end)) {
            return;
        }
        for entry in self.list(place).unwrap_or_default() {
            let Ok(link) = std::str::from_utf8(entry.name.as_bytes()) else { continue };
            if entry.kind != EntryKind::Link || !names::is_valid(link) {
                continue;
            }
            if let Some(target) = self.target(&place.join(link)) {
                let masked = target == Path::new(NOTHING);
                let listed = kind == EntryKind::Directory;
                let (of, link, template) = (name.to_owned(), link.to_owned(), names::template(link));
                folder.wants.push(Want { of, link, template, listed, masked });
            }
        }
    }

    fn target(&mut self, link: &Path) -> Option<PathBuf> {
        match self.host.link(link) {
            Ok(target) => Some(self.real(plain(&link.parent().unwrap_or(link).join(target)))),
            Err(gap) => {
                if !gap.is_missing() {
                    self.gap.get_or_insert(gap);
                }
                None
            }
        }
    }

    /// `path` by the names of the load path: links on the way are followed where they are the usual ones.
    fn real(&self, path: PathBuf) -> PathBuf {
        if let Ok(rest) = path.strip_prefix("/lib")
            && self.merged
        {
            return Path::new("/usr/lib").join(rest);
        }
        match path.strip_prefix("/var/run") {
            Ok(rest) => Path::new("/run").join(rest),
            Err(_) => path,
        }
    }

    /// Every name there is a file or a link of, and every instance that is wanted or has drop-ins.
    pub(in crate::probes) fn names(&self) -> Vec<String> {
        let mut names: BTreeSet<&String> = self.drop_ins.keys().filter(|of| names::is_instance(of)).collect();
        for folder in &self.folders {
            names.extend(folder.units.iter().filter(|(_, file)| **file != File::Other).map(|(name, _)| name));
            let wanted = folder.wants.iter().filter(|want| want.by().is_some() && names::is_instance(&want.link));
            names.extend(wanted.map(|want| &want.link));
        }
        names.into_iter().cloned().collect()
    }

    /// The units whose folders link to `name`.
    pub(in crate::probes) fn wanted_by(&self, name: &str) -> BTreeSet<String> {
        let (mut by, mut masked) = (BTreeSet::new(), BTreeSet::new());
        for want in self.folders.iter().flat_map(|folder| &folder.wants).filter(|want| want.link == name) {
            if want.masked {
                masked.insert(&want.of);
            } else if let Some(unit) = want.by().filter(|_| !masked.contains(&want.of)) {
                by.insert(unit.to_owned());
            }
        }
        by
    }

    /// The strongest of what is called `name`, with the number of its folder.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &File)> {
        self.folders.iter().enumerate().find_map(|(number, folder)| Some((number, folder.units.get(name)?)))
    }

    /// What stands at `path`, with the number of its folder.
    pub(super) fn at(&self, path: &Path) -> Option<(usize, &File)> {
        let name = path.file_name()?.to_str()?;
        let number = self.folders.iter().position(|folder| path.parent() == Some(Path::new(folder.path)))?;
        Some((number, self.folders.get(number)?.units.get(name)?))
    }

    /// The drop-ins of a unit and of its template, as `systemctl enable` reads them for `[Install]`: by their names, of equal
    /// names the unit's own.
    pub(super) fn drop_ins_of(&self, name: &str) -> impl Iterator<Item = &PathBuf> {
        let template = names::template(name);
        let mut files = BTreeMap::new();
        for of in [Some(name), template.as_deref()].into_iter().flatten() {
            for (file, path) in self.drop_ins.get(of).into_iter().flatten() {
                files.entry(file).or_insert(path);
            }
        }
        files.into_values()
    }

    /// The drop-ins a unit is loaded with, by their names: of equal names the stronger folder's, and within
    /// one folder the unit's own, its template's, those of its prefixes (`a-b-.service.d`, `a-.service.d`), its type's
    /// (`service.d`).
    pub(in crate::probes) fn drop_ins_loaded(&self, name: &str) -> impl Iterator<Item = &PathBuf> {
        let template = names::template(name);
        let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
        let prefix = stem.split('@').next().unwrap_or(stem);
        let prefixes = prefix.rmatch_indices('-').filter_map(|(at, _)| prefix.get(..=at));
        let prefixes: Vec<String> =
            prefixes.filter(|start| *start != prefix).map(|start| format!("{start}.{kind}")).collect();
        let folder = |path: &Path| FOLDERS.iter().position(|(folder, _)| path.starts_with(folder));
        let mut files: BTreeMap<&String, &PathBuf> = BTreeMap::new();
        let own = [Some(name), template.as_deref()].into_iter().flatten();
        for of in own.chain(prefixes.iter().map(String::as_str)).chain([kind]) {
            for (file, path) in self.drop_ins.get(of).into_iter().flatten() {
                let known = files.entry(file).or_insert(path);
                if folder(path) < folder(known) {
                    *known = path;
                }
            }
        }
        files.into_values()
    }

    /// What the drop-in at `path` says; `None` where it is a link to what is not there.
    pub(in crate::probes) fn drop_in(&self, path: &Path) -> Result<Option<Vec<u8>>, Gap> {
        match read_small(self.host, path) {
            Ok(text) => Ok(Some(text)),
            // What ends in /dev/null hides weaker drop-ins of its name.
            Err(_) if self.leads_to_nothing(path) => Ok(Some(Vec::new())),
            Err(gap) if gap.is_missing() => Ok(None),
            Err(gap) => Err(gap),
        }
    }

    /// Whether `path` is a link to `/dev/null`, or to another that leads there.
    fn leads_to_nothing(&self, path: &Path) -> bool {
        /// More than anybody chains; the kernel follows 40.
        const MAX_LINKS: usize = 8;
        let mut at = path.to_owned();
        for _ in 0..MAX_LINKS {
            let Ok(target) = self.host.link(&at) else { return false };
            at = self.real(plain(&at.parent().unwrap_or(&at).join(target)));
            if at == Path::new(NOTHING) {
                return true;
            }
        }
        false
    }

    /// Whether `path` stands below a folder of the load path.
    pub(super) fn holds(&self, path: &Path) -> bool {
        FOLDERS.iter().any(|(folder, _)| path.starts_with(folder) && path != Path::new(folder))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_of_the_load_path_is_declared() {
        for (read, end) in [(READS_FOLDERS, ""), (READS_UNITS, "/a.service"), (READS_WITHIN, "/a.target.wants/b")] {
            let glob = crate::glob::Glob::of_paths(read).unwrap();
            for (folder, _) in FOLDERS {
                assert!(glob.matches(&format!("{folder}{end}")), "{read} does not declare {folder}{end}");
            }
        }
    }
}
