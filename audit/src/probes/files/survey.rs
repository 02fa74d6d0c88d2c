//! What two surveys of the whole disk found, as items, and the rules over them: these and no others.
//!
//! The agent walks and sums (`Question::UnusualFiles`, `Question::ChangedPackageFiles`); what it answers is decided here.

use serde::{Deserialize, Serialize};

use super::accounts::Names;
use super::expect::Expect;
use super::paths::{ASKED, Asking};
use super::{Changed, File, Files, Item, State, rights};
use crate::facts::{Facts, Observed};
use crate::finding::{Judgement, Status};
use crate::host::{EntryKind, Gap, GapKind, Host, Question};
use crate::probe::Probe as _;

/// The most files told of one kind, the first by path. More are no list anybody goes through: what is beyond is a gap.
pub const MAX_TOLD: usize = 300;
/// The most places that could not be looked at which are told apart; where there are more, one gap stands for all.
pub const MAX_UNSEEN: usize = 20;

/// The answer to [`Question::UnusualFiles`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unusual {
    /// Set-user-ID and set-group-ID files, and files with capabilities; sorted by path, at most one more than [`MAX_TOLD`].
    pub privileged: Vec<Row>,
    /// Files and folders that everybody may write, but folders with the sticky bit; likewise.
    pub writable: Vec<Row>,
    /// What could not be looked at, sorted, at most one more than [`MAX_UNSEEN`].
    pub unseen: Vec<Gap>,
}

/// One file of a walk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    /// Its path as a subject.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// `security.capability`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<Vec<u8>>,
}

/// The answer to [`Question::ChangedPackageFiles`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packaged {
    /// Path and what is to be told; sorted, at most one more than [`MAX_TOLD`].
    pub files: Vec<(String, Changed)>,
    /// What could not be summed, sorted, at most one more than [`MAX_UNSEEN`].
    pub unseen: Vec<Gap>,
}

/// At most one more than `most` things, the least of all that were put in: that one more shows that there are others. What is
/// kept does not depend on the order in which they came.
#[derive(Debug)]
pub struct Least<T> {
    most: usize,
    kept: std::collections::BTreeSet<T>,
}

impl<T: Ord> Least<T> {
    /// Nothing yet.
    pub fn of(most: usize) -> Self {
        Self { most, kept: std::collections::BTreeSet::new() }
    }

    /// Puts one in.
    pub fn put(&mut self, one: T) {
        self.kept.insert(one);
        if self.kept.len() > self.most.saturating_add(1) {
            self.kept.pop_last();
        }
    }

    /// All that was kept, sorted.
    pub fn into_sorted(self) -> Vec<T> {
        self.kept.into_iter().collect()
    }
}

/// Makes the surveys that `rules` ask for.
pub(super) fn observe(host: &dyn Host, rules: &[&Expect], facts: &mut Facts<Item, State>) {
    let items = &mut facts.items;
    if rules.iter().any(|rule| rule.privileged.is_some() || rule.world_writable.is_some()) {
        for kind in ["privileged", "world-writable"] {
            items.seen.insert(format!("{ASKED}{kind}"), Item::Asked);
        }
        match answer::<Unusual>(host, Question::UnusualFiles) {
            Ok(found) => {
                let (users, groups) = (Names::users(host), Names::groups(host));
                tell(items, "privileged:", &found.privileged, &users, &groups);
                tell(items, "world-writable:", &found.writable, &users, &groups);
                hide(items, "privileged:", &found.unseen);
                hide(items, "world-writable:", &found.unseen);
            }
            Err(gap) => {
                items.hide("privileged:", gap.clone());
                items.hide("world-writable:", gap);
            }
        }
    }
    if rules.iter().any(|rule| rule.changed.is_some() || rule.changed_configuration.is_some()) {
        items.seen.insert(format!("{ASKED}changed"), Item::Asked);
        match answer::<Packaged>(host, Question::ChangedPackageFiles) {
            Ok(found) => {
                cut(items, "changed:", found.files.len());
                hide(items, "changed:", &found.unseen);
                let told = found.files.into_iter().take(MAX_TOLD);
                items.seen.extend(told.map(|(path, changed)| (format!("changed:{path}"), Item::Changed(changed))));
            }
            Err(gap) => items.hide("changed:", gap),
        }
    }
}

fn answer<T: for<'de> Deserialize<'de>>(host: &dyn Host, question: Question) -> Result<T, Gap> {
    let bytes = host.ask(question)?;
    serde_json::from_slice(&bytes).map_err(|error| Gap::malformed(format!("{question:?}"), error.to_string()))
}

/// What could not be looked at: each place apart while they are few.
fn hide(items: &mut Observed<Item>, prefix: &str, unseen: &[Gap]) {
    match unseen {
        [first, ..] if unseen.len() > MAX_UNSEEN => {
            let detail = format!("{}, and so are more than {MAX_UNSEEN} places", first.detail);
            items.hide(prefix, Gap::new(first.kind, &first.what, detail));
        }
        _ => unseen.iter().for_each(|gap| items.hide(format!("{prefix}{}", gap.what), gap.clone())),
    }
}

fn cut(items: &mut Observed<Item>, prefix: &str, found: usize) {
    if found > MAX_TOLD {
        let detail = format!("more than {MAX_TOLD} of them");
        items.hide(prefix, Gap::new(GapKind::TooLarge, prefix.trim_end_matches(':'), detail));
    }
}

fn tell(items: &mut Observed<Item>, prefix: &str, rows: &[Row], users: &Names, groups: &Names) {
    cut(items, prefix, rows.len());
    for row in rows.iter().take(MAX_TOLD) {
        let subject = format!("{prefix}{}", row.path);
        let capabilities = match row.capability.as_deref().map(rights::capabilities).transpose() {
            Ok(capabilities) => capabilities,
            Err(why) => {
                items.hide(subject, Gap::malformed(&row.path, why));
                continue;
            }
        };
        let file = File {
            kind: row.kind,
            mode: format!("{:04o}", row.mode),
            owner: users.of(row.uid),
            group: groups.of(row.gid),
            link: None,
            acl: None,
            capabilities,
        };
        items.seen.insert(subject, Item::File(file));
    }
}

/// Judges what the rule asks of the surveys.
pub(super) fn judge(expect: &Expect, items: &Observed<Item>) -> Vec<Judgement> {
    let all = |_: &Item| true;
    let is_configuration = |item: &Item| matches!(item, Item::Changed(changed) if changed.configuration);
    let is_program = |item: &Item| !is_configuration(item);
    let mut judgements = Vec::new();
    if let Some(allowed) = &expect.privileged {
        judgements.extend(closed(allowed, items, "privileged", "files with more rights than their caller", all));
    }
    if let Some(allowed) = &expect.world_writable {
        judgements.extend(closed(allowed, items, "world-writable", "files everybody may write", all));
    }
    if let Some(allowed) = &expect.changed {
        judgements.extend(closed(allowed, items, "changed", "changed files of packages", is_program));
    }
    if let Some(allowed) = &expect.changed_configuration {
        judgements.extend(closed(allowed, items, "changed", "changed configuration of packages", is_configuration));
    }
    judgements
}

fn closed(
    allowed: &[Asking],
    items: &Observed<Item>,
    kind: &str,
    what: &str,
    counts: impl Fn(&Item) -> bool,
) -> Vec<Judgement> {
    let expected = format!("no {what} but those listed");
    if !items.seen.contains_key(&format!("{ASKED}{kind}")) {
        let unasked =
            || Gap::new(GapKind::Undeclared, what, "the host's own baseline does not have the disk looked through");
        let gap = items.whole_gap().cloned().unwrap_or_else(unasked);
        return vec![Judgement::unseen(&gap, what, expected)];
    }
    let prefix = format!("{kind}:");
    let found = items.seen.range(prefix.clone()..).take_while(|(subject, _)| subject.starts_with(&prefix));
    let found: Vec<_> = found.filter(|(_, item)| counts(item)).collect();
    let mut judgements: Vec<Judgement> = found
        .iter()
        .filter_map(|(subject, item)| Some((subject.strip_prefix(&prefix)?, item)))
        .filter(|(path, _)| !allowed.iter().any(|asking| asking.matches(path)))
        .map(|(path, item)| {
            let said = Files::say(item);
            Judgement::new(Status::Deviation, path, expected.as_str(), said)
        })
        .collect();
    let hiding = items.gaps.iter().filter(|(hidden, _)| hidden.is_empty() || hidden.starts_with(&prefix));
    judgements.extend(hiding.map(|(_, gap)| Judgement::unseen(gap, what, expected.as_str())));
    if judgements.is_empty() {
        let said = format!("{}, each of them listed", found.len());
        judgements.push(Judgement::new(Status::Pass, what, expected, said));
    }
    judgements
}

#[cfg(test)]
mod tests;
