//! How many files and sockets this process may have open at once: as many as its connections and its store need, or, where the
//! machine allows fewer, fewer connections. A user's shell allows 1,024 (getrlimit(2)): that many idle connections would
//! leave the store no file to open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Room for the store, its readers, the log and the clients of alerts.
const OWN: u64 = 256;

/// Asks for room for `connections`, and says how many there is room for.
pub(super) fn room_for(connections: usize) -> usize {
    let wanted = connections as u64 + OWN;
    let limit = getrlimit(Resource::Nofile);
    let (asked, granted) = decide(wanted, limit.current, limit.maximum);
    let raised = asked.is_none_or(|current| {
        setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum }).is_ok()
    });
    let granted = if raised { granted } else { limit.current.unwrap_or(wanted).min(wanted) };
    if granted < wanted {
        tracing::warn!(open_files = granted, "this machine allows few open files: fewer connections are taken at once");
    }
    usize::try_from(granted.saturating_sub(OWN)).unwrap_or(connections).max(1)
}

/// The soft limit to set, if any, and what there is then. `None` as a limit means there is none.
fn decide(wanted: u64, current: Option<u64>, maximum: Option<u64>) -> (Option<u64>, u64) {
    match current {
        Some(current) if current < wanted => {
            let possible = maximum.map_or(wanted, |maximum| maximum.min(wanted));
            (Some(possible), possible)
        }
        Some(_) | None => (None, wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be_and_no_further_than_needed() {
        assert_eq!(decide(4352, Some(1024), Some(524_288)), (Some(4352), 4352));
        assert_eq!(decide(4352, Some(1024), Some(2048)), (Some(2048), 2048), "the hard limit holds");
        assert_eq!(decide(4352, Some(1024), None), (Some(4352), 4352));
        assert_eq!(decide(4352, Some(20_000), Some(20_000)), (None, 4352), "nothing to do");
        assert_eq!(decide(4352, None, None), (None, 4352));
    }

    #[test]
    fn there_is_room_for_at_least_one_connection() {
        assert!(room_for(1) >= 1);
    }
}
