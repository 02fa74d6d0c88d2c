//! What a rule can ask of scheduled jobs.

use serde::Deserialize;

use crate::change::Pattern;

/// What a rule can ask; at least one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The only jobs there may be.
    pub only: Option<Vec<Pattern>>,
    /// Jobs that must be there and run.
    pub present: Option<Vec<Pattern>>,
    /// Jobs that may not be there.
    pub absent: Option<Vec<Pattern>>,
    /// The only users that may have jobs.
    pub users: Option<Vec<Pattern>>,
    /// That nobody but root can write what runs as root.
    pub files: Option<Files>,
}

/// What may be asked of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Files {
    /// Only root can write them.
    Safe,
}

pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    for (key, list) in [("present", &expect.present), ("absent", &expect.absent), ("users", &expect.users)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            return Err((key.to_owned(), "an empty list asks nothing sensible: leave it out".to_owned()));
        }
    }
    let Expect { only, present, absent, users, files } = expect;
    if only.is_none() && present.is_none() && absent.is_none() && users.is_none() && files.is_none() {
        return Err((String::new(), "ask at least one of `only`, `present`, `absent`, `users`, `files`".into()));
    }
    Ok(())
}
