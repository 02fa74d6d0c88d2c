//! Snaps and flatpaks: what is installed beside the packages of the distribution.
//!
//! Sources: snapd's documentation ("Snap layout": `/snap/NAME/current` links to the revision in use) and Flatpak's, "Under the
//! hood" (`app/ID/ARCH/BRANCH/active` links to the commit in use). Neither has versions that could be ordered: the revision
//! and the commit are what is installed. Flatpaks that users installed for themselves are not looked at.

use std::path::{Path, PathBuf};

use super::{Manager, Origin, Package, Selection, State};
use crate::facts::Facts;
use crate::host::{Entry, EntryKind, Gap, GapKind, Host};

const SNAPS: [&str; 2] = ["/snap", "/var/lib/snapd/snap"];
const FLATPAKS: [&str; 2] = ["/var/lib/flatpak/app", "/var/lib/flatpak/runtime"];
const MAX_INSTALLED: usize = 2_000;
const MAX_NAME: usize = 255;
const COMMIT: usize = 12;

/// Adds the snaps and flatpaks of the whole system.
pub(super) fn read(host: &dyn Host, facts: &mut Facts<Package, Origin>) {
    let mut found = Found { host, facts };
    if let Some(home) = SNAPS.iter().find(|home| host.stat(Path::new(home)).is_ok()) {
        found.snaps(home);
    }
    for home in FLATPAKS {
        found.flatpaks(home);
    }
}

struct Found<'a> {
    host: &'a dyn Host,
    facts: &'a mut Facts<Package, Origin>,
}

impl Found<'_> {
    fn snaps(&mut self, home: &str) {
        for (name, path) in self.folders(Path::new(home), "snap/") {
            // `bin` holds the commands of all snaps.
            if name == "bin" {
                continue;
            }
            let current = path.join("current");
            match self.host.link(&current) {
                Ok(revision) => match revision.file_name().and_then(|name| text(name)) {
                    Some(revision) => self.add(format!("snap/{name}"), Manager::Snap, &name, "", revision.to_owned()),
                    None => self.hide("snap/", Gap::malformed(current.to_string_lossy(), "names no revision")),
                },
                // Installed and disabled, or being removed.
                Err(gap) if gap.is_missing() => {}
                Err(gap) => self.hide("snap/", gap),
            }
        }
    }

    fn flatpaks(&mut self, home: &str) {
        for (id, path) in self.folders(Path::new(home), "flatpak/") {
            for (architecture, path) in self.folders(&path, "flatpak/") {
                for (branch, path) in self.folders(&path, "flatpak/") {
                    let active = path.join("active");
                    match self.host.link(&active) {
                        Ok(commit) => {
                            let commit = commit.file_name().and_then(|name| text(name)).unwrap_or("unknown");
                            let commit = commit.get(..COMMIT).unwrap_or(commit).to_owned();
                            let subject = format!("flatpak/{id}/{branch}");
                            self.add(subject, Manager::Flatpak, &id, &architecture, commit);
                        }
                        Err(gap) if gap.is_missing() => {}
                        Err(gap) => self.hide("flatpak/", gap),
                    }
                }
            }
        }
    }

    /// The folders in `path` whose names can be told.
    fn folders(&mut self, path: &Path, prefix: &str) -> Vec<(String, PathBuf)> {
        let entries = match self.host.list(path) {
            Ok(entries) => entries,
            Err(gap) if gap.is_missing() => return Vec::new(),
            Err(gap) => {
                self.hide(prefix, gap);
                return Vec::new();
            }
        };
        let mut folders = Vec::new();
        for Entry { name, .. } in entries.iter().filter(|entry| entry.kind == EntryKind::Directory) {
            match text(name) {
                Some(text) if folders.len() < MAX_INSTALLED => folders.push((text.to_owned(), path.join(name))),
                Some(_) => {
                    let detail = format!("holds more than {MAX_INSTALLED} folders");
                    self.hide(prefix, Gap::new(GapKind::TooLarge, path.to_string_lossy(), detail));
                    break;
                }
                None => self.hide(prefix, Gap::malformed(path.to_string_lossy(), "holds a name that cannot be one")),
            }
        }
        folders
    }

    fn add(&mut self, subject: String, manager: Manager, name: &str, architecture: &str, version: String) {
        let package = Package {
            name: name.to_owned(),
            version,
            architecture: architecture.to_owned(),
            state: State::Installed,
            selection: Selection::Install,
            reinstall: false,
            source: None,
            manager,
            others: Vec::new(),
        };
        self.facts.items.seen.insert(format!("{subject}:{architecture}"), package);
    }

    fn hide(&mut self, prefix: &str, gap: Gap) {
        self.facts.items.hide(prefix, gap);
    }
}

fn text(name: &std::ffi::OsStr) -> Option<&str> {
    let text = name.to_str()?;
    let fits = !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    #[test]
    fn snaps_and_flatpaks_in_use_are_packages_beside_the_others() {
        let host = Recorded::new()
            .symlink("/snap/core22/current", "1122")
            .folder("/snap/core22/1122")
            .folder("/snap/bin")
            .folder("/snap/disabled/7")
            .symlink("/var/lib/flatpak/app/org.example.App/x86_64/stable/active", "0123456789abcdef0123")
            .symlink("/var/lib/flatpak/runtime/org.example.Platform/x86_64/45/active", "ffff");
        let mut facts = Facts::default();
        read(&host, &mut facts);
        assert_eq!(facts.items.gaps, Default::default());
        let said: Vec<_> =
            facts.items.seen.iter().map(|(subject, package)| (subject.as_str(), package.version.as_str())).collect();
        let expected = [
            ("flatpak/org.example.App/stable:x86_64", "0123456789ab"),
            ("flatpak/org.example.Platform/45:x86_64", "ffff"),
            ("snap/core22:", "1122"),
        ];
        assert_eq!(said, expected);
    }
}
