//! Lengths of time as people write them in YAML: `500ms`, `1s`, `5m`, `2h`, `30d`. A bare number is refused: it has no unit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A length of time in whole milliseconds, at most a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Length(u64);

/// Units with their milliseconds, longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const LONGEST: u64 = 36_525 * 86_400_000;

impl Length {
    /// Of `ms` milliseconds.
    pub const fn of_milliseconds(ms: u64) -> Self {
        Self(ms)
    }

    /// In milliseconds.
    pub const fn milliseconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a length of time: write `500ms`, `1s`, `5m`, `2h` or `30d`");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let ms = number.checked_mul(*scale).filter(|ms| *ms <= LONGEST);
        ms.map(Self).ok_or_else(|| format!("`{text}` is longer than a hundred years"))
    }
}

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Length> for String {
    fn from(length: Length) -> Self {
        length.to_string()
    }
}

/// In the largest unit that divides it.
impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, scale)| self.0 != 0 && self.0.is_multiple_of(*scale));
        let (unit, scale) = whole.copied().unwrap_or(("ms", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_read_with_its_unit_and_written_in_the_largest_that_fits() {
        for (text, ms, written) in [
            ("500ms", 500, "500ms"),
            ("1s", 1_000, "1s"),
            ("1500ms", 1_500, "1500ms"),
            ("60s", 60_000, "1m"),
            ("48h", 172_800_000, "2d"),
            ("0ms", 0, "0ms"),
        ] {
            let length: Length = text.parse().unwrap();
            assert_eq!((length.milliseconds(), length.to_string().as_str()), (ms, written), "{text}");
        }
    }

    #[test]
    fn what_has_no_unit_or_too_much_of_it_is_refused() {
        for text in ["", "1", "s", "1 s", "-1s", "1.5s", "1S", "99999999999999999999d", "18446744073709551615d", "1µs"]
        {
            assert!(text.parse::<Length>().is_err(), "{text}");
        }
    }
}
