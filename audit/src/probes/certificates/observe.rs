//! Reads every file that rules name, and the trust store where they ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::expect::Expect;
use super::{Item, KeyFile, decode, pem};
use crate::facts::Observed;
use crate::host::{EntryKind, Gap, GapKind, Host, path_text};
use crate::probes::files::accounts::Names;
use crate::probes::files::paths::{ASKED, Asking};

/// Where the store stands that programs read: Debian and Alpine, Red Hat.
pub(super) const STORES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
/// Where an administrator adds roots.
pub(super) const ADDED: [&str; 2] = ["/usr/local/share/ca-certificates/**", "/etc/pki/ca-trust/source/anchors/**"];
/// The largest file of certificates, in bytes.
const MAX_FILE: usize = 4 * 1024 * 1024 - 1;
/// The most certificates told of in all: a collector judges 4096 items of one probe.
const MAX_ITEMS: usize = 3000;
/// The most files read.
const MAX_FILES: usize = 2000;

/// All that `rules` ask for.
pub(super) fn observe(host: &dyn Host, rules: &[&Expect]) -> Observed<Item> {
    let mut looking = Looking { host, items: Observed::new(), walked: 0, files: 0 };
    let named: BTreeMap<&str, &Asking> = by_text(rules.iter().flat_map(|rule| rule.paths.iter().flatten()));
    let keys: BTreeMap<&str, &Asking> = by_text(rules.iter().flat_map(|rule| rule.keys.iter().flatten()));
    let mut seen = BTreeSet::new();
    for asking in named.values() {
        looking.named(asking, "", &mut seen);
    }
    if !keys.is_empty() {
        looking.keys(keys.values().copied());
    }
    if rules.iter().any(|rule| rule.roots.is_some()) {
        looking.store();
    }
    if rules.iter().any(|rule| rule.added_roots.is_some()) {
        looking.items.seen.insert(format!("{ASKED}added"), Item::Asked);
        let mut seen = BTreeSet::new();
        for asking in ADDED.iter().filter_map(|text| Asking::try_from((*text).to_owned()).ok()) {
            looking.files_of(&asking, "added:", &mut seen);
        }
    }
    looking.items
}

fn by_text<'a>(all: impl Iterator<Item = &'a Asking>) -> BTreeMap<&'a str, &'a Asking> {
    all.map(|asking| (asking.as_str(), asking)).collect()
}

struct Looking<'h> {
    host: &'h dyn Host,
    items: Observed<Item>,
    walked: usize,
    files: usize,
}

impl Looking<'_> {
    fn named(&mut self, asking: &Asking, prefix: &str, seen: &mut BTreeSet<String>) {
        self.items.seen.insert(format!("{ASKED}{}", asking.as_str()), Item::Asked);
        self.files_of(asking, prefix, seen);
    }

    fn files_of(&mut self, asking: &Asking, prefix: &str, seen: &mut BTreeSet<String>) {
        let (found, gaps) = asking.find(self.host, &mut self.walked);
        for (folder, gap) in gaps {
            self.items.hide(format!("{prefix}{}/", path_text(&folder)), gap);
        }
        for path in found {
            if !seen.insert(path_text(&path)) {
                continue;
            }
            if self.files >= MAX_FILES || self.items.seen.len() >= MAX_ITEMS {
                let gap = Gap::new(GapKind::TooLarge, asking.as_str(), "more certificates than are told of");
                self.items.hide(format!("{prefix}{}", asking.below()), gap);
                return;
            }
            // Of what a glob matches, folders are no files that could not be read.
            let is_folder = || self.host.stat(&path).is_ok_and(|stat| stat.kind == EntryKind::Directory);
            if asking.literal().is_none() && is_folder() {
                continue;
            }
            self.files += 1;
            self.file(&path, prefix);
        }
    }

    fn file(&mut self, path: &Path, prefix: &str) {
        let own = format!("{prefix}{}", path_text(path));
        match self.certificates(path) {
            Ok(all) => {
                for (number, one) in all.into_iter().enumerate() {
                    let subject = format!("{own}:{}", number + 1);
                    match one {
                        Ok(certificate) => drop(self.items.seen.insert(subject, Item::Certificate(certificate))),
                        Err(why) => self.items.hide(subject, Gap::malformed(path_text(path), why)),
                    }
                }
            }
            // What was asked is told; that nothing of it was seen says that it is not there.
            Err(gap) if gap.is_missing() => {}
            Err(gap) => self.items.hide(own, gap),
        }
    }

    fn certificates(&self, path: &Path) -> Result<Vec<Result<super::Certificate, String>>, Gap> {
        let bytes = self.host.read_part(path, 0, MAX_FILE + 1)?;
        if bytes.len() > MAX_FILE {
            return Err(Gap::new(GapKind::TooLarge, path_text(path), "larger than 4 MiB"));
        }
        let all = pem::certificates(&bytes).map_err(|why| Gap::malformed(path_text(path), why))?;
        let decoded =
            |der: Result<Vec<u8>, &'static str>| der.map_err(str::to_owned).and_then(|der| decode::certificate(&der));
        Ok(all.into_iter().map(decoded).collect())
    }

    fn keys<'a>(&mut self, all: impl Iterator<Item = &'a Asking>) {
        let (users, groups) = (Names::users(self.host), Names::groups(self.host));
        for asking in all {
            self.items.seen.insert(format!("{ASKED}{}", asking.as_str()), Item::Asked);
            let (found, gaps) = asking.find(self.host, &mut self.walked);
            for (folder, gap) in gaps {
                self.items.hide(format!("key:{}/", path_text(&folder)), gap);
            }
            for path in found {
                let own = format!("key:{}", path_text(&path));
                if self.items.seen.len() >= MAX_ITEMS {
                    let gap = Gap::new(GapKind::TooLarge, asking.as_str(), "more keys than are told of");
                    self.items.hide(format!("key:{}", asking.below()), gap);
                    return;
                }
                match self.host.stat(&path) {
                    Ok(stat) if stat.kind == EntryKind::Directory => {}
                    Ok(stat) => {
                        let mode = format!("{:04o}", stat.mode);
                        let (owner, group) = (users.of(stat.uid), groups.of(stat.gid));
                        self.items.seen.insert(own, Item::Key(KeyFile { mode, owner, group }));
                    }
                    Err(gap) if gap.is_missing() => {}
                    Err(gap) => self.items.hide(own, gap),
                }
            }
        }
    }

    /// The first store there is.
    fn store(&mut self) {
        self.items.seen.insert(format!("{ASKED}root"), Item::Asked);
        for store in STORES {
            match self.certificates(Path::new(store)) {
                Ok(all) => {
                    for one in all {
                        match one {
                            Ok(root) => {
                                self.items.seen.insert(format!("root:{}", root.sha256), Item::Certificate(root));
                            }
                            Err(why) => self.items.hide("root:", Gap::malformed(store, why)),
                        }
                    }
                    return;
                }
                Err(gap) if gap.is_missing() => {}
                Err(gap) => return self.items.hide("root:", gap),
            }
        }
        self.items
            .hide("root:", Gap::new(GapKind::Unsupported, STORES.join(", "), "no trust store that is known here"));
    }
}
