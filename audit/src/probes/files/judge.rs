//! Rules over what was seen of files.

use super::expect::{Expect, Kind, Mode, NoAcl, Search};
use super::paths::{ASKED, Asking, SHA256};
use super::{File, Item, State, rights, survey};
use crate::facts::Facts;
use crate::finding::{Judgement, Status};
use crate::host::{Gap, GapKind};

pub(super) fn judge(expect: &Expect, facts: &Facts<Item, State>) -> Vec<Judgement> {
    let named = expect.paths.iter().flatten().flat_map(|asking| path(expect, asking, facts));
    named.chain(survey::judge(expect, &facts.items)).collect()
}

/// What the rule says of one path or glob.
fn path(expect: &Expect, asking: &Asking, facts: &Facts<Item, State>) -> Vec<Judgement> {
    let wanted = wanted(expect);
    if !was_asked(asking, facts) {
        let gap = facts.items.whole_gap().cloned().unwrap_or_else(|| {
            Gap::new(GapKind::Undeclared, asking.as_str(), "the host's own baseline does not have it looked at")
        });
        return vec![Judgement::unseen(&gap, asking.as_str(), wanted)];
    }
    let files: Vec<(&str, &File)> = match asking.literal() {
        Some(_) => facts.items.seen.get_key_value(asking.as_str()).and_then(file).into_iter().collect(),
        None => matches(asking, facts).filter(|(_, file)| is_meant(expect.kind, file)).collect(),
    };
    let gaps: Vec<&Gap> = hiding(asking, facts);
    if expect.present == Some(false) {
        return absent(asking, &files, &gaps);
    }
    let mut judgements: Vec<Judgement> =
        files.iter().flat_map(|(subject, file)| of_file(expect, asking, subject, file, facts)).collect();
    judgements.extend(gaps.iter().map(|gap| Judgement::unseen(gap, asking.as_str(), wanted.as_str())));
    if files.is_empty() && gaps.is_empty() {
        judgements.push(missing(expect, asking, wanted));
    } else if judgements.is_empty() {
        let said = match files.as_slice() {
            [(_, file)] => file.to_string(),
            files => format!("{} files", files.len()),
        };
        judgements.push(Judgement::new(Status::Pass, asking.as_str(), wanted, said));
    }
    judgements
}

fn missing(expect: &Expect, asking: &Asking, wanted: String) -> Judgement {
    let needed = expect.present == Some(true) || expect.contains.is_some() || expect.sha256.is_some();
    let (status, said) = match (needed, asking.literal()) {
        (true, Some(_)) => (Status::Deviation, "not there"),
        (true, None) => (Status::Deviation, "nothing matches"),
        (false, Some(_)) => (Status::NotApplicable, "not there"),
        (false, None) => (Status::NotApplicable, "nothing matches"),
    };
    Judgement::new(status, asking.as_str(), wanted, said)
}

fn absent(asking: &Asking, files: &[(&str, &File)], gaps: &[&Gap]) -> Vec<Judgement> {
    let expected = "not there";
    let there = files.iter();
    let mut judgements: Vec<Judgement> =
        there.map(|(subject, file)| Judgement::new(Status::Deviation, *subject, expected, file.to_string())).collect();
    judgements.extend(gaps.iter().map(|gap| Judgement::unseen(gap, asking.as_str(), expected)));
    if judgements.is_empty() {
        judgements.push(Judgement::new(Status::Pass, asking.as_str(), expected, expected));
    }
    judgements
}

/// What contradicts the rule, or keeps from knowing; nothing where all is as it should be.
fn of_file(expect: &Expect, asking: &Asking, subject: &str, file: &File, facts: &Facts<Item, State>) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    let mut bad = |expected: String, observed: String| {
        judgements.push(Judgement::new(Status::Deviation, subject, expected, observed));
    };
    if let Some(kind) = expect.kind.filter(|_| asking.literal().is_some() && !is_meant(expect.kind, file)) {
        bad(format!("a {}", kind.name()), file.to_string());
    }
    if let Some(owners) = expect.owner.as_ref().filter(|owners| !owners.contains(&file.owner)) {
        bad(format!("owner {}", owners.join(" or ")), file.owner.clone());
    }
    if let Some(groups) = expect.group.as_ref().filter(|groups| !groups.contains(&file.group)) {
        bad(format!("group {}", groups.join(" or ")), file.group.clone());
    }
    let mode = Mode::parse(&file.mode);
    if let Some(modes) = expect.mode.as_ref().filter(|modes| mode.is_none_or(|mode| !modes.contains(&mode))) {
        bad(format!("mode {}", modes.iter().map(Mode::to_string).collect::<Vec<_>>().join(" or ")), file.mode.clone());
    }
    if let Some(most) = expect.at_most.filter(|most| mode.is_none_or(|mode| mode.0 & !most.0 != 0)) {
        bad(format!("at most mode {most}"), file.mode.clone());
    }
    if let (Some(NoAcl::None), Some(acl)) = (expect.acl, &file.acl) {
        bad("no access control list".into(), acl.clone());
    }
    if let (Some(allowed), Some(has)) = (&expect.capabilities, &file.capabilities)
        && rights::names(has).any(|name| !allowed.iter().any(|allowed| allowed.0 == name))
    {
        let names: Vec<&str> = allowed.iter().map(|allowed| allowed.0.as_str()).collect();
        bad(format!("no capability but [{}]", names.join(", ")), has.clone());
    }
    let behind = file.link.is_some() && file.kind != crate::host::EntryKind::Link;
    if behind && (expect.acl.is_some() || expect.capabilities.is_some()) {
        let gap = Gap::new(GapKind::Unsupported, subject, "a link: name what it leads to");
        judgements.push(Judgement::unseen(&gap, subject, "no rights beside the mode"));
    }
    judgements.extend(content(expect, subject, file, facts));
    judgements
}

fn content(expect: &Expect, subject: &str, file: &File, facts: &Facts<Item, State>) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    if file.kind != crate::host::EntryKind::File {
        if expect.sums() || expect.searches().next().is_some() {
            let said = format!("{}, which has no content", file);
            judgements.push(Judgement::new(Status::Deviation, subject, "a file with content", said));
        }
        return judgements;
    }
    if let Some(sums) = &expect.sha256 {
        let own = format!("{SHA256}{subject}");
        let expected = || format!("SHA-256 {}", sums.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "));
        match facts.items.seen.get(&own) {
            Some(Item::Sha256(sum)) if sums.iter().any(|wanted| wanted.to_string() == *sum) => {}
            Some(Item::Sha256(sum)) => {
                judgements.push(Judgement::new(Status::Deviation, subject, expected(), sum.as_str()));
            }
            Some(Item::Asked | Item::File(_) | Item::Changed(_)) | None => {
                let gap = facts.items.gap_for(&own).cloned();
                let gap = gap.unwrap_or_else(|| undeclared(subject, "the host's own baseline does not have it summed"));
                judgements.push(Judgement::unseen(&gap, subject, expected()));
            }
        }
    }
    let found = facts.state.seen.get(subject).map(|State::Lines(lines)| lines);
    let mut line = |search: &Search, wanted: bool| {
        let text = search.as_str();
        let expected =
            if wanted { format!("a line that matches {text}") } else { format!("no line that matches {text}") };
        match found.and_then(|found| found.get(text)) {
            Some(found) if *found == wanted => {}
            Some(found) => {
                let observed = if *found { "there is one" } else { "there is none" };
                judgements.push(Judgement::new(Status::Deviation, subject, expected, observed));
            }
            None => {
                let gap = facts.state.gap_for(subject).cloned();
                let gap =
                    gap.unwrap_or_else(|| undeclared(subject, "the host's own baseline does not search it for this"));
                judgements.push(Judgement::unseen(&gap, subject, expected));
            }
        }
    };
    expect.contains.iter().flatten().for_each(|search| line(search, true));
    expect.lacks.iter().flatten().for_each(|search| line(search, false));
    judgements
}

fn undeclared(subject: &str, why: &str) -> Gap {
    Gap::new(GapKind::Undeclared, subject, why)
}

/// Whether the host looked there: for this very path or glob, or for a glob that holds the path.
fn was_asked(asking: &Asking, facts: &Facts<Item, State>) -> bool {
    let seen = &facts.items.seen;
    let covered = |text: &str| Asking::try_from(text.to_owned()).is_ok_and(|other| other.matches(asking.as_str()));
    seen.contains_key(&format!("{ASKED}{}", asking.as_str()))
        || asking.literal().is_some()
            && seen.range(ASKED.to_owned()..).map_while(|(subject, _)| subject.strip_prefix(ASKED)).any(covered)
}

fn file<'a>((subject, item): (&'a String, &'a Item)) -> Option<(&'a str, &'a File)> {
    match item {
        Item::File(file) => Some((subject, file)),
        Item::Asked | Item::Sha256(_) | Item::Changed(_) => None,
    }
}

fn matches<'a>(asking: &'a Asking, facts: &'a Facts<Item, State>) -> impl Iterator<Item = (&'a str, &'a File)> {
    let below = asking.below();
    let all = facts.items.seen.range(below.clone()..);
    all.take_while(move |(subject, _)| subject.starts_with(&below))
        .filter_map(file)
        .filter(|(subject, _)| asking.matches(subject))
}

/// The gaps that may hide something of what is meant.
fn hiding<'a>(asking: &Asking, facts: &'a Facts<Item, State>) -> Vec<&'a Gap> {
    if asking.literal().is_some() {
        return facts.items.gap_for(asking.as_str()).into_iter().collect();
    }
    let below = asking.below();
    let touches = |prefix: &str| prefix.starts_with(&below) || below.starts_with(prefix);
    facts.items.gaps.iter().filter(|(prefix, _)| touches(prefix)).map(|(_, gap)| gap).collect()
}

fn is_meant(kind: Option<Kind>, file: &File) -> bool {
    match kind {
        None => file.kind != crate::host::EntryKind::Directory,
        Some(Kind::Link) => file.link.is_some(),
        Some(kind) => file.link.is_none() && Kind::of(file.kind) == kind,
    }
}

/// All that the rule asks, in a line.
fn wanted(expect: &Expect) -> String {
    let mut said: Vec<String> = Vec::new();
    match expect.present {
        Some(false) => said.push("not there".into()),
        Some(true) => said.push("there".into()),
        None => {}
    }
    let list = |of: &[String]| of.join(" or ");
    said.extend(expect.kind.map(|kind| format!("a {}", kind.name())));
    said.extend(expect.owner.as_deref().map(|owners| format!("owner {}", list(owners))));
    said.extend(expect.group.as_deref().map(|groups| format!("group {}", list(groups))));
    let modes = expect.mode.as_ref().map(|modes| modes.iter().map(Mode::to_string).collect::<Vec<_>>());
    said.extend(modes.map(|modes| format!("mode {}", list(&modes))));
    said.extend(expect.at_most.map(|most| format!("at most mode {most}")));
    said.extend(expect.acl.map(|_| "no access control list".to_owned()));
    said.extend(expect.capabilities.as_ref().map(|_| "no other capabilities".to_owned()));
    said.extend(expect.sha256.as_ref().map(|_| "of the known content".to_owned()));
    said.extend(expect.searches().next().map(|_| "with lines as they should be".to_owned()));
    said.extend(expect.tracked.map(|_| "tracked".to_owned()));
    said.join(", ")
}
