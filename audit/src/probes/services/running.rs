//! What systemd says runs or failed, folded so far that a quiet host answers the same twice.

use serde::{Deserialize, Serialize};

use crate::facts::Observed;
use crate::host::{Gap, Host, Question};

/// How a unit is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Running {
    /// Its processes run, its socket listens, its timer waits.
    Active,
    /// It ran to its end and counts as active (`RemainAfterExit=`).
    Exited,
    /// It ended badly, or could not start.
    Failed,
    /// It ended badly and systemd starts it again and again.
    Restarting,
}

impl Running {
    /// As in facts and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Exited => "exited",
            Self::Failed => "failed",
            Self::Restarting => "restarting",
        }
    }
}

/// Units that come and go with people's sessions: who is logged in is no service of the host.
const SESSIONS: [&str; 2] = ["user@", "user-runtime-dir@"];

/// The state of units.
pub(super) fn read(host: &dyn Host) -> Observed<Running> {
    match answer(host) {
        Ok(seen) => seen,
        Err(gap) => Observed::hidden(gap),
    }
}

fn answer(host: &dyn Host) -> Result<Observed<Running>, Gap> {
    let answer = host.ask(Question::Units)?;
    let rows: Vec<(String, String, String)> =
        serde_json::from_slice(&answer).map_err(|error| Gap::malformed("Units", error.to_string()))?;
    let counted = rows.into_iter().filter(|(name, ..)| !SESSIONS.iter().any(|session| name.starts_with(session)));
    Ok(counted.filter_map(|(name, active, sub)| Some((name, fold(&active, &sub)?))).collect())
}

fn fold(active: &str, sub: &str) -> Option<Running> {
    match (active, sub) {
        (_, "auto-restart" | "auto-restart-queued") => Some(Running::Restarting),
        ("failed", _) => Some(Running::Failed),
        ("active" | "reloading" | "refreshing", "exited") => Some(Running::Exited),
        ("active" | "reloading" | "refreshing", _) => Some(Running::Active),
        _ => None,
    }
}
