//! Why something could not be observed. A gap is a value that travels to the report; it is never a pass.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest that is said of what was looked at, in bytes: a path is at most 4096 (PATH_MAX).
const MAX_WHAT: usize = 4096;
/// The longest cause, in bytes.
const MAX_DETAIL: usize = 500;

/// Something that could not be observed, and why.
///
/// `detail` must be the same for the same cause (no process ids, no times): it is part of what is hashed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// The class of cause, for programs.
    pub kind: GapKind,
    /// What was looked at: a path, a question, a program.
    pub what: String,
    /// The cause as a sentence fragment, for people.
    pub detail: String,
}

/// The classes of cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// There is no such file or folder. Often this is itself an answer, and the probe treats it as one.
    Missing,
    /// Permission was refused.
    Denied,
    /// Larger than the cap for its kind.
    TooLarge,
    /// Read, but not understood.
    Malformed,
    /// No answer within the time allowed.
    TimedOut,
    /// This system has no such thing to ask (no D-Bus, no nft program).
    Unsupported,
    /// Only a running system can tell, and this is a root file system at rest.
    NotLive,
    /// Not among the reads the probe declared.
    Undeclared,
    /// The recording being played back does not hold it.
    Unrecorded,
    /// Any other failure; `detail` says which.
    Failed,
}

impl Gap {
    /// A gap of `kind` about `what`.
    pub fn new(kind: GapKind, what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind, what: shortened(what.into(), MAX_WHAT), detail: shortened(detail.into(), MAX_DETAIL) }
    }

    /// Read, but not understood.
    pub fn malformed(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(GapKind::Malformed, what, detail)
    }

    /// Whether the thing simply is not there.
    pub fn is_missing(&self) -> bool {
        self.kind == GapKind::Missing
    }

    /// Whether only a live system could have answered: then the rule does not apply, rather than being unknown.
    pub fn is_not_live(&self) -> bool {
        self.kind == GapKind::NotLive
    }
}

/// `text`, or its beginning and an ellipsis: what quotes a hostile file may be as long as that file's lines.
fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.detail)
    }
}

/// `Err(Missing)` becomes `Ok(None)`: for files whose absence is an answer.
pub fn optional<T>(seen: Result<T, Gap>) -> Result<Option<T>, Gap> {
    match seen {
        Ok(value) => Ok(Some(value)),
        Err(gap) if gap.is_missing() => Ok(None),
        Err(gap) => Err(gap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_quotes_a_line_without_end_is_short() {
        let gap = Gap::malformed("é".repeat(5_000), "é".repeat(1_000_000));
        assert_eq!((gap.what.len(), gap.detail.len()), (4096 + 3, 500 + 3));
        assert!(gap.detail.ends_with("é…"));
    }
}
