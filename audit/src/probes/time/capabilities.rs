//! Capability sets of systemd's units, as `AmbientCapabilities=` and `CapabilityBoundingSet=` make them: systemd.exec(5).
//!
//! Each assignment is added to the one before; `~` takes its names away. What follows the initial set, or names nothing,
//! replaces it: `~CAP_KILL` alone is all but that one. Names that systemd does not know either name nothing.

use crate::probes::files::rights;

/// What systemd takes for yes and for no; what is neither changes nothing.
pub(super) fn is_yes(value: &str, before: bool) -> bool {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => true,
        "0" | "no" | "n" | "false" | "f" | "off" => false,
        _ => before,
    }
}

/// One bit for each capability, by its number in capabilities(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capabilities(u64);

impl Capabilities {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ALL: Self = Self(u64::MAX);

    /// After one more assignment; `initial` is what stands where there is none.
    pub(super) fn with(self, value: &str, initial: Self) -> Self {
        let (inverted, names) = value.strip_prefix('~').map_or((false, value), |names| (true, names));
        let named = names.split_whitespace().filter_map(bit).fold(0, |all, bit| all | bit);
        match (named == 0 || self == initial, inverted) {
            (true, true) => Self(!named),
            (true, false) => Self(named),
            (false, true) => Self(self.0 & !named),
            (false, false) => Self(self.0 | named),
        }
    }

    pub(super) fn set_time(self) -> bool {
        bit("CAP_SYS_TIME").is_some_and(|bit| self.0 & bit != 0)
    }
}

/// A word's bit: a name or a number, in quotes or without.
fn bit(word: &str) -> Option<u64> {
    let word = word.trim_matches(['"', '\'']).to_ascii_lowercase();
    let number = match word.strip_prefix("cap_") {
        Some(name) => rights::NAMES.iter().position(|known| *known == name)?,
        None => word.parse().ok()?,
    };
    1_u64.checked_shl(u32::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambient(values: &[&str]) -> bool {
        values.iter().fold(Capabilities::NONE, |set, value| set.with(value, Capabilities::NONE)).set_time()
    }

    fn bound(values: &[&str]) -> bool {
        values.iter().fold(Capabilities::ALL, |set, value| set.with(value, Capabilities::ALL)).set_time()
    }

    #[test]
    fn assignments_add_and_take_away_as_systemd_does() {
        assert!(ambient(&["cap_sys_time"]) && ambient(&["CAP_KILL", "'CAP_SYS_TIME'"]) && ambient(&["25"]));
        assert!(ambient(&["~CAP_KILL"]), "all but one, where nothing was set");
        assert!(
            !ambient(&["CAP_CHOWN", "~CAP_KILL"]) && !ambient(&["~CAP_SYS_TIME"]) && !ambient(&["CAP_SYS_TIME", ""])
        );
        assert!(!ambient(&["CAP_NOT_KNOWN"]) && ambient(&["~"]) && !ambient(&["64", "-1"]));
        assert!(
            bound(&[]) && bound(&["CAP_SYS_TIME"]) && bound(&["~CAP_KILL"]) && bound(&["CAP_KILL", "CAP_SYS_TIME"])
        );
        assert!(!bound(&["CAP_KILL"]) && !bound(&["~CAP_SYS_TIME CAP_KILL"]) && !bound(&[""]));
    }

    #[test]
    fn only_what_systemd_takes_for_yes_is_one() {
        assert!(is_yes("On", false) && !is_yes("off", true) && is_yes("perhaps", true) && !is_yes("", false));
    }
}
