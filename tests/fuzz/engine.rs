//! Asks a target case after case: every kept one, a gallery of what is always bad, its seeds cut off anywhere, and then
//! mutations until its share of the time is over. A case that says something new becomes a seed itself.
//!
//! Of each case is asked: no panic, an end in time, bounded memory; of those that are new: the same bytes again. What fails is
//! made smaller and written beside what was built; put it into the corpus, and mend the parser.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use plumbline_tests::dice::Dice;
use plumbline_tests::{fuzz_seconds, long};
use rustix::time::{ClockId, clock_gettime};

use crate::memory::peak;
use crate::mutate;

/// The most memory a case may take beside its input.
pub const MOST_MEMORY: usize = 64 * 1024 * 1024;
/// The longest a case may compute, in a build without optimisation.
const MOST_TIME: Duration = Duration::from_secs(10);
/// The longest a case may take on the clock before the whole program is ended: it hangs.
const HANGS: Duration = Duration::from_secs(120);
/// The size of the gallery's pieces. A file may be 32 MiB, which takes a build without optimisation its time: see [`gallery`].
const GALLERY: usize = 256 * 1024;
/// The most cases kept beside the seeds.
const MOST_KEPT: usize = 1_000;
/// How many mutations there are at least, however slow the machine.
const LEAST: usize = 100;

/// What a case made a target say.
pub struct Said {
    /// All of it; the same for the same input.
    pub bytes: Vec<u8>,
    /// What kind of answer it is: another kind makes the case worth keeping.
    pub kind: u64,
    /// What was not fulfilled, where the target asks more.
    pub wrong: Option<String>,
}

/// One parser, with its seeds under `corpus/`.
pub trait Target: Sync {
    /// The name of its folder.
    fn name(&self) -> &'static str;
    /// Makes of `bytes` what is asked, outside of what is measured.
    fn prepare(&self, bytes: &[u8]) -> Box<dyn Fn() -> Said + '_>;
    /// Whether what stands in `cut`, a seed cut off, was told apart from the seed.
    fn torn(&self, _seed: &[u8], _cut: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// What was measured of a target.
#[derive(Default)]
struct Tally {
    cases: usize,
    slowest: Duration,
    memory: usize,
    longest: usize,
}

/// Asks `target`, one of `targets` that share the time.
#[track_caller]
pub fn fuzz(target: &dyn Target, targets: usize) {
    hook();
    let name = target.name();
    let seeds = corpus(name);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = Duration::from_secs(fuzz_seconds()) * u32::try_from(threads).unwrap() / u32::try_from(targets).unwrap();
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut known = HashSet::new();
    for seed in &seeds {
        known.insert(ask(target, seed, true, &mut tally));
    }
    for case in mutate::gallery(&seeds, gallery()) {
        ask(target, &case, false, &mut tally);
    }
    for seed in &seeds {
        let step = if long() { 1 } else { seed.len() / 64 + 1 };
        for end in (0..seed.len()).step_by(step) {
            if let Err(why) = target.torn(seed, &seed[..end]) {
                fail(target, &seed[..end], &why);
            }
        }
    }
    let mut pool = seeds.clone();
    let mut dice = Dice::new(seed_of(name));
    let mut mutations = 0;
    while begun.elapsed() < share || mutations < LEAST {
        mutations += 1;
        let case = mutate::case(&pool, &mut dice);
        let kind = ask(target, &case, mutations % 64 == 0, &mut tally);
        if known.insert(kind) && pool.len() < seeds.len() + MOST_KEPT {
            ask(target, &case, true, &mut tally);
            pool.push(case);
        }
    }
    println!(
        "{name}: {} cases of {} seeds, {} answers told apart; at most {:?} and {} KiB, answers up to {} KiB",
        tally.cases,
        seeds.len(),
        known.len(),
        tally.slowest,
        tally.memory / 1024,
        tally.longest / 1024
    );
}

/// How large the gallery's pieces are, in bytes: `PLUMBLINE_FUZZ_GALLERY`, else a quarter of a megabyte, or 32 in the long tier.
fn gallery() -> usize {
    let given = std::env::var("PLUMBLINE_FUZZ_GALLERY").ok();
    given.map_or(if long() { 128 * GALLERY } else { GALLERY }, |text| text.parse().expect("a whole number"))
}

/// The kept cases, by name; none is a mistake.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no seed", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Another sequence for each target; `PLUMBLINE_FUZZ_SEED` gives all of them another.
fn seed_of(name: &str) -> u64 {
    let own = std::env::var("PLUMBLINE_FUZZ_SEED").ok().map_or(1, |text| text.parse().expect("a whole number"));
    let mut hasher = DefaultHasher::new();
    (name, own).hash(&mut hasher);
    hasher.finish()
}

/// Asks once, or twice; the kind of answer.
#[track_caller]
fn ask(target: &dyn Target, case: &[u8], twice: bool, tally: &mut Tally) -> u64 {
    let first = hold(target, case, tally);
    let said = first.unwrap_or_else(|why| fail(target, case, &why));
    if twice {
        let again = hold(target, case, tally).unwrap_or_else(|why| fail(target, case, &why));
        if again.bytes != said.bytes {
            fail(target, case, "the same input gave another answer");
        }
    }
    said.kind
}

fn hold(target: &dyn Target, case: &[u8], tally: &mut Tally) -> Result<Said, String> {
    let _watched = Watched::new(target.name(), case);
    let question = target.prepare(case);
    let (before, begun) = (cpu(), Instant::now());
    let (answer, memory) = peak(|| quietly(&question));
    // A tick of another process's work is not ours: the thread's own clock counts.
    let took = cpu().saturating_sub(before).min(begun.elapsed());
    let said = answer.map_err(|panic| format!("it panics: {panic}"))?;
    tally.cases += 1;
    for (most, name) in [(took > tally.slowest, "slowest"), (memory > tally.memory, "hungriest")] {
        if most {
            std::fs::write(folder().join(format!("{}.{name}", target.name())), case).unwrap();
        }
    }
    tally.slowest = tally.slowest.max(took);
    tally.memory = tally.memory.max(memory);
    tally.longest = tally.longest.max(said.bytes.len());
    match said.wrong {
        Some(why) => Err(why),
        None if took > MOST_TIME => Err(format!("it took {took:?}")),
        None if memory > MOST_MEMORY => Err(format!("it held {} MiB at once", memory >> 20)),
        None => Ok(said),
    }
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// Makes the case smaller as long as something still fails, writes it down, and ends the test.
#[track_caller]
fn fail(target: &dyn Target, case: &[u8], why: &str) -> ! {
    let begun = Instant::now();
    let mut small = case.to_vec();
    let mut piece = small.len() / 2;
    let mut tally = Tally::default();
    let fails = |bytes: &[u8], tally: &mut Tally| hold(target, bytes, tally).is_err();
    if fails(case, &mut tally) {
        while piece > 0 && begun.elapsed() < Duration::from_secs(20) {
            let mut at = 0;
            while at < small.len() && begun.elapsed() < Duration::from_secs(20) {
                let rest = [&small[..at], &small[(at + piece).min(small.len())..]].concat();
                if fails(&rest, &mut tally) {
                    small = rest;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
    }
    let file = folder().join(format!("{}-{:016x}", target.name(), digest(&small)));
    std::fs::write(&file, &small).unwrap();
    panic!("{}: {why}; the case, {} bytes: {}", target.name(), small.len(), file.display());
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Where failing cases are written: beside what was built.
fn folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.ancestors().nth(3).unwrap().join("fuzz");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A panic of a case is caught, and where it was.
fn hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match QUIET.get() {
            true => PANIC.set(panic.to_string()),
            false => usual(panic),
        }));
        std::thread::spawn(watch);
    });
}

fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    QUIET.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    done.map_err(|_| PANIC.take())
}

/// Cases being asked, and since when.
static ASKED: Mutex<BTreeSet<(Instant, &'static str)>> = Mutex::new(BTreeSet::new());

/// One case while it is asked. It is on disk, for one that ends the whole program.
struct Watched((Instant, &'static str));

impl Watched {
    fn new(name: &'static str, case: &[u8]) -> Self {
        std::fs::write(folder().join(format!("{name}.current")), case).unwrap();
        let own = (Instant::now(), name);
        ASKED.lock().unwrap().insert(own);
        Self(own)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        ASKED.lock().unwrap().remove(&self.0);
    }
}

/// Ends the program where a case never ends.
fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let asked = ASKED.lock().unwrap();
        if let Some((_, name)) = asked.iter().find(|(since, _)| since.elapsed() > HANGS) {
            let case = folder().join(format!("{name}.current"));
            let text = format!("{name} hangs; the case: {}\n", case.display());
            // Not by a macro: what a test prints is held back, and would be lost.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            std::process::abort();
        }
    }
}
