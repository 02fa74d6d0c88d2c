//! What the last cycle saw, so that a cycle in which nothing changed reads no file again and spawns no process.
//!
//! A probe's facts are taken over, from the spool where they lie, when every path it looked at still looks the same
//! (inode, size, owner, times) and every question it asked has the same answer. Questions are asked anew each cycle, for
//! their answers cost little, but for the loaded rules, which only a program can tell: it is asked when the kernel's
//! generation id has changed. Legacy iptables has no such id and answers on an IP socket alone, so it is not asked here.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use audit::digest::Digest;
use audit::facts::AnyFacts;
use audit::host::{Attribute, Checksum, Entry, Gap, GapKind, Host, Question, Stat, Whole};
use audit::probe::{Expectation, Topic};
use audit::report::ProbeFacts;

use super::surveys::Surveys;
use crate::live::{Last, Live, Look};

/// The last cycle, by probe.
#[derive(Default)]
pub(super) struct Memory {
    probes: BTreeMap<&'static str, Remembered>,
    rulesets: Rulesets,
    surveys: Surveys,
}

/// What programs said of the rules, each with the generation id it said it at.
type Rulesets = BTreeMap<Question, (Vec<u8>, Vec<u8>)>;

/// Where one probe's facts lie, and what would have to change for them to. The facts themselves would rest in memory for the
/// sake of the moment in which they are judged again.
struct Remembered {
    named: ProbeFacts,
    seen: Seen,
}

/// What a probe looked at and was told.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    looks: BTreeMap<(PathBuf, Last), Look>,
    /// What the rules asked the probe to look at besides.
    asked: Vec<String>,
    answers: BTreeMap<Question, Result<Digest, Gap>>,
    unsteady: bool,
}

impl Memory {
    /// Where the facts of `topic` lie if nothing they depend on has changed.
    pub(super) fn recall(&self, topic: &dyn Topic, rules: &[Expectation], cycle: &Cycle<'_>) -> Option<ProbeFacts> {
        let remembered = self.probes.get(topic.name())?;
        let seen = &remembered.seen;
        let same = !seen.unsteady
            && seen.asked == topic.asked(rules)
            && seen.looks.iter().all(|((path, last), look)| cycle.live.look(path, *last) == *look)
            && seen.answers.iter().all(|(question, answer)| named(&cycle.answer(*question)) == *answer);
        same.then(|| remembered.named.clone())
    }

    /// Remembers what `topic` saw.
    pub(super) fn keep(&mut self, topic: &dyn Topic, named: ProbeFacts, seen: Seen) {
        self.probes.insert(topic.name(), Remembered { named, seen });
    }

    /// Forgets every probe's facts: other rules may ask for more of what did not change.
    pub(super) fn forget_facts(&mut self) {
        self.probes.clear();
    }

    /// Begins a cycle at `now`, seconds since 1970.
    pub(super) fn begin<'a>(&mut self, live: &'a Live, now: i64) -> Cycle<'a> {
        let rulesets = self.rulesets.clone();
        let surveys = std::mem::take(&mut self.surveys);
        let (volatile, rulesets) = (live.volatile(), RefCell::new(rulesets));
        Cycle { live, now, volatile, answers: RefCell::default(), rulesets, surveys: RefCell::new(surveys) }
    }

    /// Ends it.
    pub(super) fn end(&mut self, cycle: Cycle<'_>) {
        self.rulesets = cycle.rulesets.into_inner();
        self.surveys = cycle.surveys.into_inner();
    }
}

/// One cycle: each question is asked once in it.
pub(super) struct Cycle<'a> {
    live: &'a Live,
    now: i64,
    volatile: Vec<u64>,
    answers: RefCell<BTreeMap<Question, Result<Vec<u8>, Gap>>>,
    rulesets: RefCell<Rulesets>,
    surveys: RefCell<Surveys>,
}

impl Cycle<'_> {
    /// Observes `topic`, noting what it looks at.
    pub(super) fn observe(&self, topic: &dyn Topic, rules: &[Expectation]) -> (AnyFacts, Seen) {
        let seen = Seen { asked: topic.asked(rules), ..Seen::default() };
        let noting = Noting { cycle: self, seen: RefCell::new(seen) };
        let facts = topic.collect(&noting, rules);
        (facts, noting.seen.into_inner())
    }

    fn answer(&self, question: Question) -> Result<Vec<u8>, Gap> {
        if let Some(answer) = self.answers.borrow().get(&question) {
            return answer.clone();
        }
        let of_a_generation = matches!(question, Question::NftRuleset | Question::IptablesNft | Question::Ip6tablesNft);
        let answer = if of_a_generation {
            self.ruleset(question)
        } else if matches!(question, Question::IptablesLegacy | Question::Ip6tablesLegacy) {
            Err(Gap::new(
                GapKind::Unsupported,
                "iptables-legacy-save",
                "it asks the kernel over an IP socket, which collect does not open; plumbline check does",
            ))
        } else if matches!(question, Question::UnusualFiles | Question::ChangedPackageFiles) {
            self.surveys.borrow_mut().answer(self.live, self.now, question)
        } else {
            self.live.ask(question)
        };
        self.answers.borrow_mut().insert(question, answer.clone());
        answer
    }

    fn ruleset(&self, question: Question) -> Result<Vec<u8>, Gap> {
        let before = self.answer(Question::NftGeneration).ok();
        if let Some(known) = before.as_ref().and_then(|generation| self.known_ruleset(question, generation)) {
            return Ok(known);
        }
        let answer = self.live.ask(question);
        // A ruleset that changed while it was listed belongs to no generation.
        let after = self.live.ask(Question::NftGeneration).ok();
        let mut rulesets = self.rulesets.borrow_mut();
        match before.filter(|before| Some(before) == after.as_ref()).zip(answer.as_ref().ok().cloned()) {
            Some(known) => rulesets.insert(question, known),
            None => rulesets.remove(&question),
        };
        answer
    }

    fn known_ruleset(&self, question: Question, generation: &[u8]) -> Option<Vec<u8>> {
        let known = self.rulesets.borrow();
        known.get(&question).filter(|(at, _)| at == generation).map(|(_, ruleset)| ruleset.clone())
    }
}

fn named(answer: &Result<Vec<u8>, Gap>) -> Result<Digest, Gap> {
    answer.as_ref().map(|bytes| Digest::of(bytes)).map_err(Gap::clone)
}

/// The live host, with a note of everything looked at.
struct Noting<'a> {
    cycle: &'a Cycle<'a>,
    seen: RefCell<Seen>,
}

impl Noting<'_> {
    /// Noted before the look itself: what changes in between is then seen to differ by the next cycle.
    fn note(&self, path: &Path, last: Last) {
        let look = self.cycle.live.look(path, last);
        let mut seen = self.seen.borrow_mut();
        seen.unsteady |= !look.is_steady(self.cycle.now, &self.cycle.volatile);
        // The first look counts: a later one may already show a change that the first read did not.
        seen.looks.entry((path.to_owned(), last)).or_insert(look);
    }
}

impl Host for Noting<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Gap> {
        self.note(path, Last::Followed);
        self.cycle.live.read(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, Gap> {
        self.note(path, Last::Followed);
        self.cycle.live.list(path)
    }

    fn stat(&self, path: &Path) -> Result<Stat, Gap> {
        self.note(path, Last::Followed);
        self.cycle.live.stat(path)
    }

    fn lstat(&self, path: &Path) -> Result<Stat, Gap> {
        self.note(path, Last::Itself);
        self.cycle.live.lstat(path)
    }

    fn link(&self, path: &Path) -> Result<PathBuf, Gap> {
        self.note(path, Last::Itself);
        self.cycle.live.link(path)
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Gap> {
        self.note(path, Last::Followed);
        self.cycle.live.read_part(path, offset, length)
    }

    fn checksum(&self, path: &Path, sum: Checksum) -> Result<Vec<u8>, Gap> {
        self.note(path, Last::Followed);
        self.cycle.live.checksum(path, sum)
    }

    fn attribute(&self, path: &Path, attribute: Attribute) -> Result<Option<Vec<u8>>, Gap> {
        self.note(path, Last::Itself);
        self.cycle.live.attribute(path, attribute)
    }

    fn whole(&self, path: &Path, most: Option<u64>) -> Result<Whole, Gap> {
        self.note(path, Last::Itself);
        self.cycle.live.whole(path, most)
    }

    fn ask(&self, question: Question) -> Result<Vec<u8>, Gap> {
        let answer = self.cycle.answer(question);
        self.seen.borrow_mut().answers.insert(question, named(&answer));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit::probes;

    fn cycle(memory: &mut Memory, live: &Live, now: i64) -> bool {
        let topic = probes::find("packages").unwrap();
        let cycle = memory.begin(live, now);
        let recalled = memory.recall(topic, &[], &cycle).is_some();
        if !recalled {
            let (_, seen) = cycle.observe(topic, &[]);
            let nothing = Digest::of(b"");
            memory.keep(topic, ProbeFacts { schema: 1, items: nothing, state: nothing }, seen);
        }
        memory.end(cycle);
        recalled
    }

    #[test]
    fn facts_are_taken_over_until_a_file_the_probe_read_changes() {
        let folder = tempfile::tempdir().unwrap();
        let status = folder.path().join("var/lib/dpkg/status");
        std::fs::create_dir_all(status.parent().unwrap()).unwrap();
        std::fs::write(&status, "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n").unwrap();
        let live = Live::open(Some(folder.path())).unwrap();
        let later = chrono::Utc::now().timestamp() + 3600;
        let mut memory = Memory::default();
        assert!(!cycle(&mut memory, &live, later));
        assert!(cycle(&mut memory, &live, later), "nothing changed");
        std::fs::write(&status, "Package: a\nStatus: install ok installed\nVersion: 2\nArchitecture: all\n").unwrap();
        assert!(!cycle(&mut memory, &live, later), "the same size, but another time stamp");
        assert!(cycle(&mut memory, &live, later));
        std::fs::rename(&status, status.with_extension("old")).unwrap();
        assert!(!cycle(&mut memory, &live, later), "gone");
    }

    #[test]
    fn a_file_that_changed_just_now_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let status = folder.path().join("var/lib/dpkg/status");
        std::fs::create_dir_all(status.parent().unwrap()).unwrap();
        std::fs::write(&status, "").unwrap();
        let live = Live::open(Some(folder.path())).unwrap();
        let now = chrono::Utc::now().timestamp();
        let mut memory = Memory::default();
        assert!(!cycle(&mut memory, &live, now));
        assert!(!cycle(&mut memory, &live, now), "a second change in the same tick would not show");
    }

    #[test]
    fn files_under_proc_are_never_taken_over() {
        let live = Live::open(None).unwrap();
        let look = live.look(Path::new("/proc/self/status"), Last::Followed);
        assert!(!look.is_steady(i64::MAX, &live.volatile()));
        assert!(live.look(Path::new("/etc"), Last::Followed).is_steady(i64::MAX, &live.volatile()));
    }
}
