//! What wakes `collect`: changes to files that probes read, as the kernel tells them (inotify), and to the nftables ruleset
//! (its multicast group, see `live::nft`).
//!
//! Watched are the *folders* in which declared reads stand, because files are replaced by renaming. Folders that are not
//! there yet are watched for at the nearest one that is. Only core events are asked for, or our own reads would wake us.
//! /proc and /sys tell nothing of their changes. Anything missed is seen on the interval.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use audit::glob::Glob;
use notify::event::EventKindMask;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::Sender;

/// What woke us. What else the kernel can tell of (the nftables multicast group) is one more variant here and one more
/// sender of the same channel in [`crate::collect::run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A file a probe reads.
    File,
    /// The nftables ruleset.
    Ruleset,
}

/// A watch that lasts as long as it is kept.
pub(crate) struct Watch {
    _watcher: RecommendedWatcher,
}

/// Where to watch, and what there matters.
struct Plan {
    /// Folders, and whether all beneath them counts.
    folders: BTreeMap<PathBuf, bool>,
    relevant: Relevant,
}

struct Relevant {
    root: PathBuf,
    reads: Vec<Glob>,
    /// Where symbolic links lead that stand at a declared path.
    targets: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches what stands at `reads` beneath `root`, and at `files` themselves; each change sends a [`Wake`].
    pub(crate) fn begin(root: &Path, reads: &[&str], files: &[&Path], wakes: Sender<Wake>) -> anyhow::Result<Self> {
        let mut plan = Plan::make(root, reads)?;
        for file in files {
            plan.add_file(file);
        }
        let relevant = plan.relevant;
        let told = move |event: notify::Result<Event>| {
            let counts = match event {
                Ok(event) => event.need_rescan() || event.paths.iter().any(|path| relevant.is(path)),
                // A watch that failed may have missed something.
                Err(_) => true,
            };
            if counts {
                // A full channel already holds a wake that has not been taken.
                let _already = wakes.try_send(Wake::File);
            }
        };
        let config = notify::Config::default().with_event_kinds(EventKindMask::CORE);
        let mut watcher = RecommendedWatcher::new(told, config).context("asking the kernel to watch files")?;
        for (folder, recursive) in &plan.folders {
            let mode = if *recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            if let Err(error) = watcher.watch(folder, mode) {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "this folder cannot be watched; its changes show on the interval");
            }
        }
        Ok(Self { _watcher: watcher })
    }
}

/// Each committed change of the nftables ruleset sends a [`Wake`], for as long as anybody takes them.
pub(crate) fn ruleset(wakes: Sender<Wake>) {
    let told = crate::live::nft::tell_of_changes(move || {
        let _already = wakes.try_send(Wake::Ruleset);
        !wakes.is_closed()
    });
    if let Err(gap) = told {
        tracing::warn!(%gap, "changes of the nftables ruleset show on the interval only");
    }
}

/// Watches one folder: each file that appears, changes or goes sends a [`Wake`].
pub(crate) fn folder(path: &Path, wakes: Sender<Wake>) -> anyhow::Result<Watch> {
    let told = move |_event: notify::Result<Event>| {
        let _already = wakes.try_send(Wake::File);
    };
    let config = notify::Config::default().with_event_kinds(EventKindMask::CORE);
    let mut watcher = RecommendedWatcher::new(told, config).context("asking the kernel to watch files")?;
    watcher.watch(path, RecursiveMode::NonRecursive).with_context(|| format!("watching {}", path.display()))?;
    Ok(Watch { _watcher: watcher })
}

impl Plan {
    fn make(root: &Path, reads: &[&str]) -> anyhow::Result<Self> {
        let mut ways = BTreeSet::new();
        let relevant = Relevant { root: root.to_owned(), reads: Vec::new(), targets: BTreeSet::new() };
        let mut plan = Self { folders: BTreeMap::new(), relevant };
        let reads: Vec<String> = reads.iter().flat_map(|read| alternatives(read)).collect();
        for read in reads.iter().filter(|read| !is_told_of_nothing(read)) {
            // A folder that appears on the way to a declared path matters as much as the path.
            let mut way = String::new();
            for part in read.split('/').filter(|part| !part.is_empty()) {
                way = format!("{way}/{part}");
                if ways.insert(way.clone()) {
                    plan.relevant
                        .reads
                        .push(Glob::of_paths(&way).with_context(|| format!("the declared read {read}"))?);
                }
            }
            plan.add_read(read)?;
        }
        plan.folders.retain(|folder, _| folder.is_dir());
        Ok(plan)
    }

    fn add_read(&mut self, read: &str) -> anyhow::Result<()> {
        let parts: Vec<&str> = read.split('/').filter(|part| !part.is_empty()).collect();
        let mut here = vec![self.relevant.root.clone()];
        for (number, part) in parts.iter().enumerate() {
            if *part == "**" {
                self.folders.extend(here.into_iter().map(|folder| (folder, true)));
                return Ok(());
            }
            let mut below = Vec::new();
            for folder in here {
                self.follow(&folder);
                if part.contains(['*', '?', '[']) {
                    below.extend(matching(&folder, part)?);
                } else {
                    below.push(folder.join(part));
                }
                // What stands right in the root folder is told by the root folder; above it nothing is.
                let last_step = number + 1 == parts.len();
                let missing = !below.iter().all(|path| path.is_dir());
                if last_step || missing || part.contains('*') {
                    self.folders.entry(folder).or_insert(false);
                }
            }
            here = below;
        }
        for path in here {
            self.follow(&path);
            if path.is_dir() {
                self.folders.entry(path).or_insert(false);
            }
        }
        Ok(())
    }

    /// Where a declared path is a symbolic link, its target is watched too, inside the root.
    fn follow(&mut self, path: &Path) {
        let is_link = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
        let Some(target) = is_link.then(|| path.canonicalize().ok()).flatten() else { return };
        if target.starts_with(&self.relevant.root) && !is_told_of_nothing(&target.to_string_lossy()) {
            self.add_file(&target);
        }
    }

    fn add_file(&mut self, file: &Path) {
        if let Some(folder) = file.parent().filter(|folder| folder.is_dir()) {
            self.folders.entry(folder.to_owned()).or_insert(false);
            self.relevant.targets.insert(file.to_owned());
        }
    }
}

impl Relevant {
    fn is(&self, path: &Path) -> bool {
        if self.targets.contains(path) {
            return true;
        }
        let Ok(inside) = path.strip_prefix(&self.root) else { return true };
        let path = Path::new("/").join(inside);
        self.reads.iter().any(|read| read.matches_path(&path))
    }
}

/// A pattern with `{a,b/c}` as one pattern for each alternative: they may hold slashes, and are walked part by part.
fn alternatives(read: &str) -> Vec<String> {
    let Some((before, rest)) = read.split_once('{') else { return vec![read.to_owned()] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![read.to_owned()] };
    inside.split(',').flat_map(|one| alternatives(&format!("{before}{one}{after}"))).collect()
}

fn matching(folder: &Path, part: &str) -> anyhow::Result<Vec<PathBuf>> {
    let glob = Glob::of_paths(part)?;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.filter(|entry| glob.matches_path(Path::new(&entry.file_name()))).map(|entry| entry.path());
    Ok(paths.filter(|path| path.is_dir()).collect())
}

fn is_told_of_nothing(path: &str) -> bool {
    let mut parts = Path::new(path).components().filter(|part| *part != Component::RootDir);
    matches!(parts.next().and_then(|part| part.as_os_str().to_str()), Some("proc" | "sys" | "dev"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::mpsc::{Receiver, channel};

    type Change<'a> = (&'a str, Box<dyn Fn() + 'a>);

    const READS: [&str; 6] =
        ["/etc/passwd", "/etc/sudoers.d", "/etc/sudoers.d/*", "/proc/x", "/usr/lib/*/conf", "/var/a/b/c"];

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["etc/sudoers.d", "usr/lib/one", "var"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("etc/passwd"), "").unwrap();
        folder
    }

    fn begin(folder: &Path) -> (Watch, Receiver<Wake>) {
        let (wakes, woken) = channel(1);
        (Watch::begin(folder, &READS, &[], wakes).unwrap(), woken)
    }

    async fn is_woken(woken: &mut Receiver<Wake>) -> bool {
        // The wait is long because a busy machine is slow, not because a wake is: it ends at the first.
        tokio::time::timeout(Duration::from_secs(30), woken.recv()).await.is_ok()
    }

    #[test]
    fn the_folders_of_declared_reads_are_watched_and_the_nearest_one_where_they_are_missing() {
        let folder = tree();
        let plan = Plan::make(folder.path(), &READS).unwrap();
        let watched: Vec<_> = plan.folders.keys().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(watched, ["etc", "etc/sudoers.d", "usr/lib", "usr/lib/one", "var"].map(Path::new));
        for (path, relevant) in [
            ("etc/passwd", true),
            ("etc/passwd-", false),
            ("etc/sudoers.d/x", true),
            ("usr/lib/two", true),
            ("usr/lib/one/conf", true),
            ("var/a", true),
            ("var/log", false),
        ] {
            assert_eq!(plan.relevant.is(&folder.path().join(path)), relevant, "{path}");
        }
    }

    #[test]
    fn what_every_probe_reads_can_be_watched() {
        let reads: Vec<&str> = audit::probes::ALL.iter().flat_map(|topic| topic.reads()).copied().collect();
        let plan = Plan::make(Path::new("/"), &reads).unwrap();
        assert!(plan.folders.contains_key(Path::new("/etc")), "{:?}", plan.folders);
        let said = alternatives("/{etc,usr/lib}/x/{a,b}");
        assert_eq!(said, ["/etc/x/a", "/etc/x/b", "/usr/lib/x/a", "/usr/lib/x/b"]);
    }

    #[tokio::test]
    async fn a_file_written_replaced_made_or_removed_wakes_us() {
        let folder = tree();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("etc/new"), "x").unwrap();
        std::fs::write(at("etc/sudoers.d/old"), "x").unwrap();
        let changes: [Change<'_>; 6] = [
            ("written", Box::new(|| std::fs::write(at("etc/passwd"), "y").unwrap())),
            ("replaced", Box::new(|| std::fs::rename(at("etc/new"), at("etc/passwd")).unwrap())),
            ("made", Box::new(|| std::fs::write(at("etc/sudoers.d/new"), "").unwrap())),
            ("removed", Box::new(|| std::fs::remove_file(at("etc/sudoers.d/old")).unwrap())),
            ("a folder on the way", Box::new(|| std::fs::create_dir(at("var/a")).unwrap())),
            (
                "a changed mode",
                Box::new(|| {
                    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                    std::fs::set_permissions(at("etc/passwd"), mode).unwrap();
                }),
            ),
        ];
        for (what, change) in changes {
            let (_watch, mut woken) = begin(folder.path());
            change();
            assert!(is_woken(&mut woken).await, "{what}");
        }
    }

    #[tokio::test]
    async fn reading_and_what_nobody_declared_wake_nobody() {
        let folder = tree();
        let (_watch, mut woken) = begin(folder.path());
        std::fs::read(folder.path().join("etc/passwd")).unwrap();
        std::fs::read_dir(folder.path().join("etc/sudoers.d")).unwrap().count();
        std::fs::write(folder.path().join("etc/other"), "").unwrap();
        // Then something that counts: had the others counted, two wakes were there.
        std::fs::write(folder.path().join("etc/passwd"), "z").unwrap();
        assert!(is_woken(&mut woken).await);
    }

    #[tokio::test]
    async fn the_target_of_a_link_at_a_declared_path_is_watched() {
        let folder = tree();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("opt")).unwrap();
        std::fs::write(root.join("opt/passwd"), "").unwrap();
        std::fs::remove_file(root.join("etc/passwd")).unwrap();
        std::os::unix::fs::symlink("../opt/passwd", root.join("etc/passwd")).unwrap();
        let (_watch, mut woken) = begin(&root);
        std::fs::write(root.join("opt/passwd"), "x").unwrap();
        assert!(is_woken(&mut woken).await);
    }
}
