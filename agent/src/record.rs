//! A recording of this host: every look the probes take, gaps included, to be judged elsewhere or attached to a bug report.

use audit::evaluate::observe;
use audit::host::{Recorded, Recording};
use audit::probe::Expectation;

use crate::live::Live;

/// Lets every probe look at `host`, at what `rules` name too, and keeps what each saw.
pub(crate) fn record(host: &Live, rules: &[Expectation]) -> Recorded {
    let recording = Recording::new(host);
    let _facts = observe(&recording, &[], rules);
    recording.finish()
}
