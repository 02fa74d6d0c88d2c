//! Whether the files of packages still hold what they were brought with, and which of them need not be summed again.
//!
//! What is remembered of a file that was as it should be is one number: a keyed hash of its place, size, times and the sum that it
//! had. Who cannot know the key cannot make another file that has the same; root can do that and anything else.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use audit::host::{Checksum, Gap};
use audit::probes::files::packaged;

use super::Live;
use super::fs::Last;

/// The most files remembered, at eight bytes each. The others are summed each time.
const MAX_KNOWN: usize = 1_000_000;

/// The files that were as their packages brought them.
#[derive(Default)]
pub(crate) struct Verified {
    key: RandomState,
    /// Sorted.
    known: Vec<u64>,
}

/// The answer to `Question::ChangedPackageFiles` at `now`, seconds since 1970. Where `verified` is given, what it knows is not
/// summed again, and it knows this answer afterwards.
pub(super) fn ask(live: &Live, verified: Option<(&mut Verified, i64)>) -> Result<Vec<u8>, Gap> {
    let found = match verified {
        None => packaged::verify(live, &|path, sum, expected| {
            Ok(live.sum_of_regular(path, sum)? == Some(expected.to_vec()))
        })?,
        Some((verified, now)) => {
            let volatile = live.volatile();
            let kept = RefCell::new(Vec::new());
            let holds = |path: &Path, sum: Checksum, expected: &[u8]| {
                let look = live.look(path, Last::Followed);
                let number = verified.key.hash_one((&look, sum, expected));
                let is_kept = look.is_steady(now, &volatile) && kept.borrow().len() < MAX_KNOWN;
                let holds = is_kept && verified.known.binary_search(&number).is_ok()
                    || live.sum_of_regular(path, sum)?.as_deref() == Some(expected);
                if holds && is_kept {
                    kept.borrow_mut().push(number);
                }
                Ok(holds)
            };
            let found = packaged::verify(live, &holds)?;
            let mut kept = kept.into_inner();
            kept.sort_unstable();
            kept.dedup();
            kept.shrink_to_fit();
            verified.known = kept;
            found
        }
    };
    serde_json::to_vec(&found).map_err(|error| Gap::malformed("packages", error.to_string()))
}
