//! Looks at everything the rules name, each file once, and within bounds that no baseline can lift.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::accounts::Names;
use super::expect::{Expect, Search};
use super::paths::{ASKED, SHA256};
use super::{File, Item, State, rights, survey};
use crate::digest::Digest;
use crate::facts::Facts;
use crate::host::{Checksum, EntryKind, Gap, GapKind, Host, Stat, Whole, path_text};

/// The largest file whose lines are searched, in bytes.
const MAX_SEARCHED: usize = 1024 * 1024;
/// The most that is searched in all, in bytes of content for each pattern. A byte costs at worst as much as a compiled pattern is large.
const MAX_SEARCHES: u64 = 8 * 1024 * 1024;
/// The most that is summed in all, in bytes.
const MAX_SUMS: u64 = 16 * 1024 * 1024 * 1024;
/// The most files told of: with their sums they must stay below the 4096 items a collector judges of one probe.
const MAX_FILES: usize = 1_500;

/// What is wanted of one file.
#[derive(Default, Clone)]
struct Want<'a> {
    sum: bool,
    searches: BTreeMap<&'a str, &'a Search>,
}

impl<'a> Want<'a> {
    fn add(&mut self, other: &Self) {
        self.sum |= other.sum;
        self.searches.extend(&other.searches);
    }
}

/// The files that `rules` name.
pub(super) fn observe(host: &dyn Host, rules: &[&Expect]) -> Facts<Item, State> {
    let mut facts = Facts::default();
    let files = named(host, rules, &mut facts);
    survey::observe(host, rules, &mut facts);
    if files.is_empty() {
        return facts;
    }
    let (users, groups) = (Names::users(host), Names::groups(host));
    let mut looking = Looking { host, users, groups, facts, summed: 0, searched: 0 };
    for (path, want) in files {
        looking.at(&path, &want);
    }
    looking.facts
}

/// Every file named, with what is wanted of it. Notes in `facts` what was asked and which folders could not be listed.
fn named<'a>(host: &dyn Host, rules: &[&'a Expect], facts: &mut Facts<Item, State>) -> BTreeMap<PathBuf, Want<'a>> {
    let mut asked = BTreeMap::new();
    for rule in rules {
        let searches = rule.searches().map(|search| (search.as_str(), search)).collect();
        let want = Want { sum: rule.sums(), searches };
        for asking in rule.paths.iter().flatten() {
            let known: &mut (_, Want<'_>) = asked.entry(asking.as_str()).or_insert((asking, Want::default()));
            known.1.add(&want);
        }
    }
    let mut files: BTreeMap<PathBuf, Want<'a>> = BTreeMap::new();
    let mut walked = 0;
    for (text, (asking, want)) in asked {
        facts.items.seen.insert(format!("{ASKED}{text}"), Item::Asked);
        if want.sum {
            facts.items.seen.insert(format!("{ASKED}{SHA256}{text}"), Item::Asked);
        }
        let (found, gaps) = asking.find(host, &mut walked);
        for (folder, gap) in gaps {
            hide(facts, &format!("{}/", path_text(&folder)), &gap);
        }
        for path in found {
            if files.len() >= MAX_FILES && !files.contains_key(&path) {
                let detail = format!("the baseline names more than {MAX_FILES} files");
                hide(facts, &asking.below(), &Gap::new(GapKind::TooLarge, text, detail));
                break;
            }
            files.entry(path).or_default().add(&want);
        }
    }
    files
}

/// Hides all there is to tell of what stands at or below `prefix`.
fn hide(facts: &mut Facts<Item, State>, prefix: &str, gap: &Gap) {
    facts.items.hide(prefix, gap.clone());
    facts.items.hide(format!("{SHA256}{prefix}"), gap.clone());
    facts.state.hide(prefix, gap.clone());
}

/// A sum, or why there is none.
type Sum = Result<Vec<u8>, Gap>;

/// An attribute. A file system that keeps none grants none.
fn supported(attribute: &Result<Option<Vec<u8>>, Gap>) -> Result<Option<&[u8]>, Gap> {
    match attribute {
        Ok(value) => Ok(value.as_deref()),
        Err(gap) if gap.kind == GapKind::Unsupported => Ok(None),
        Err(gap) => Err(gap.clone()),
    }
}

struct Looking<'h> {
    host: &'h dyn Host,
    users: Names,
    groups: Names,
    facts: Facts<Item, State>,
    summed: u64,
    searched: u64,
}

impl Looking<'_> {
    fn at(&mut self, path: &Path, want: &Want<'_>) {
        let subject = path_text(path);
        let most = want.sum.then(|| MAX_SUMS.saturating_sub(self.summed));
        match self.file(path, most) {
            Ok((file, stat, summed)) => {
                if file.kind == EntryKind::File {
                    if want.sum {
                        self.sum(path, &subject, &stat, summed);
                    }
                    self.search(path, &subject, &stat, want);
                }
                self.facts.items.seen.insert(subject, Item::File(file));
            }
            // That it is not there is an answer: what was asked is told, and this is not among what was seen.
            Err(gap) if gap.is_missing() => {}
            Err(gap) => hide(&mut self.facts, &subject, &gap),
        }
    }

    /// With what it comes down to behind links, and its sum where that was taken already.
    fn file(&self, path: &Path, most: Option<u64>) -> Result<(File, Stat, Option<Sum>), Gap> {
        let whole = self.host.whole(path, most)?;
        let itself = whole.stat;
        let mut file = File {
            kind: itself.kind,
            mode: String::new(),
            owner: String::new(),
            group: String::new(),
            link: None,
            acl: None,
            capabilities: None,
        };
        let mut stat = itself;
        if itself.kind == EntryKind::Link {
            file.link = Some(path_text(&self.host.link(path)?));
            match self.host.stat(path) {
                Ok(target) => stat = target,
                Err(gap) if gap.is_missing() => {}
                Err(gap) => return Err(gap),
            }
        } else {
            self.rights(path, &whole, &mut file)?;
        }
        file.kind = stat.kind;
        file.mode = format!("{:04o}", stat.mode);
        file.owner = self.users.of(stat.uid);
        file.group = self.groups.of(stat.gid);
        Ok((file, stat, whole.sha256))
    }

    /// What stands beside the mode. A file system that keeps no such attributes grants none.
    fn rights(&self, path: &Path, whole: &Whole, file: &mut File) -> Result<(), Gap> {
        let malformed = |why: &str| Gap::malformed(path_text(path), why);
        if let Some(list) = supported(&whole.access_list)? {
            file.acl = rights::acl(list, &self.users, &self.groups).map_err(malformed)?;
        }
        if let Some(set) = supported(&whole.capability)? {
            file.capabilities = Some(rights::capabilities(set).map_err(malformed)?);
        }
        Ok(())
    }

    fn sum(&mut self, path: &Path, subject: &str, stat: &Stat, summed: Option<Sum>) {
        let own = format!("{SHA256}{subject}");
        self.summed = self.summed.saturating_add(stat.size);
        if self.summed > MAX_SUMS {
            let detail = format!("the baseline has more than {} GiB summed", MAX_SUMS >> 30);
            self.facts.items.hide(own, Gap::new(GapKind::TooLarge, subject, detail));
            return;
        }
        // What a link leads to was not summed with it.
        let sum = summed.unwrap_or_else(|| self.host.checksum(path, Checksum::Sha256));
        match sum.map(|sum| <[u8; 32]>::try_from(sum.as_slice()).map(Digest::from_bytes)) {
            Ok(Ok(digest)) => drop(self.facts.items.seen.insert(own, Item::Sha256(digest.to_string()))),
            Ok(Err(_)) => self.facts.items.hide(own, Gap::malformed(subject, "a sum that is no SHA-256")),
            Err(gap) => self.facts.items.hide(own, gap),
        }
    }

    fn search(&mut self, path: &Path, subject: &str, stat: &Stat, want: &Want<'_>) {
        if want.searches.is_empty() {
            return;
        }
        match self.lines(path, stat, &want.searches) {
            Ok(lines) => drop(self.facts.state.seen.insert(subject.to_owned(), State::Lines(lines))),
            Err(gap) => self.facts.state.hide(subject, gap),
        }
    }

    fn lines(
        &mut self,
        path: &Path,
        stat: &Stat,
        searches: &BTreeMap<&str, &Search>,
    ) -> Result<BTreeMap<String, bool>, Gap> {
        let too_large = |detail: &str| Gap::new(GapKind::TooLarge, path_text(path), detail);
        // Files under /run may state no size: what was read counts too.
        if stat.size > MAX_SEARCHED as u64 {
            return Err(too_large("larger than 1 MiB, and is not searched"));
        }
        let content = self.host.read_part(path, 0, MAX_SEARCHED + 1)?;
        if content.len() > MAX_SEARCHED {
            return Err(too_large("larger than 1 MiB, and is not searched"));
        }
        self.searched = self.searched.saturating_add(content.len() as u64 * searches.len() as u64);
        if self.searched > MAX_SEARCHES {
            return Err(too_large("the baseline has more searched than 8 MiB, each pattern counted"));
        }
        Ok(searches.iter().map(|(text, search)| ((*text).to_owned(), search.some_line(&content))).collect())
    }
}
