//! A line on standard error while a look takes long: how many files were walked over, how much was summed.
//!
//! Only on a terminal, only after half a second, at most ten times a second; gone before anything else is printed.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use super::printer;
use crate::live::Live;
use crate::live::progress::{Step, Told};

/// How long nothing is said.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often something new is.
const PACE: Duration = Duration::from_millis(100);

/// What `look` finds on `host`, with the line shown while it does.
pub(super) fn during<T>(host: Live, look: impl FnOnce(&Live) -> T) -> (Live, T) {
    let dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
    if dumb || !std::io::stderr().is_terminal() {
        let found = look(&host);
        return (host, found);
    }
    let line = Line { due: Cell::new(Instant::now() + PATIENCE), done: Cell::default(), shown: Cell::new(false) };
    let host = host.telling(Told::by(move |step| line.step(step, Instant::now(), &printer::note)));
    let found = look(&host);
    // The line goes with who draws it.
    (host.telling(Told::default()), found)
}

/// Names walked and bytes summed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Done {
    walked: u64,
    summed: u64,
}

struct Line {
    due: Cell<Instant>,
    done: Cell<Done>,
    shown: Cell<bool>,
}

impl Line {
    fn step(&self, step: Step, now: Instant, draw: &dyn Fn(&str)) {
        let Done { walked, summed } = self.done.get();
        let done = match step {
            Step::Walked(more) => Done { walked: walked.saturating_add(more), summed },
            Step::Summed(more) => Done { walked, summed: summed.saturating_add(more) },
        };
        self.done.set(done);
        if now >= self.due.get() {
            self.due.set(now + PACE);
            self.shown.set(true);
            draw(&format!("\r\x1b[K{done}"));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.shown.get() {
            printer::note("\r\x1b[K");
        }
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "looking: {} names walked over, {} MiB summed", self.walked, self.summed >> 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn nothing_is_said_for_half_a_second_and_then_no_more_often_than_can_be_read() {
        let began = Instant::now();
        let line = Line { due: Cell::new(began + PATIENCE), done: Cell::default(), shown: Cell::new(false) };
        let drawn = RefCell::new(Vec::new());
        let draw = |text: &str| drawn.borrow_mut().push(text.to_owned());
        for at in [0, 499, 500, 501, 599, 601] {
            line.step(Step::Walked(10), began + Duration::from_millis(at), &draw);
            line.step(Step::Summed(1 << 20), began + Duration::from_millis(at), &draw);
        }
        assert_eq!(
            *drawn.borrow(),
            [
                "\r\u{1b}[Klooking: 30 names walked over, 2 MiB summed",
                "\r\u{1b}[Klooking: 60 names walked over, 5 MiB summed"
            ]
        );
    }
}
