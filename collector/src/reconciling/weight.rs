//! What facts cost to judge, told from their bytes before anything is made of them.
//!
//! Small parts are dear: an empty list is two bytes on the wire and dozens in memory, and a finding about an item is a
//! kilobyte. So it is not only bytes that are limited.

use std::ops::Add;

/// What there is in some JSON, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// Bytes.
    pub bytes: u64,
    /// Objects and lists.
    pub containers: u64,
    /// Values that another follows.
    pub values: u64,
}

/// The most of one report that is judged: 2 MiB, some 12,000 packages, or an address list of 130,000.
pub const MOST: Weight = Weight { bytes: 2 * 1024 * 1024, containers: 12 * 1024, values: 128 * 1024 };

impl Weight {
    /// Of a document; of what is no JSON, something.
    pub fn of(json: &[u8]) -> Self {
        let mut weight = Self { bytes: json.len() as u64, ..Self::default() };
        let (mut in_text, mut escaped) = (false, false);
        for byte in json {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                b'{' | b'[' if !in_text => weight.containers += 1,
                b',' if !in_text => weight.values += 1,
                _ => {}
            }
        }
        weight
    }

    /// Whether it is no more than `most` in any respect.
    pub fn is_within(self, most: Self) -> bool {
        self.bytes <= most.bytes && self.containers <= most.containers && self.values <= most.values
    }
}

impl Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            containers: self.containers.saturating_add(other.containers),
            values: self.values.saturating_add(other.values),
        }
    }
}

impl std::fmt::Display for Weight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} KiB, {} objects and lists and {} values", self.bytes / 1024, self.containers, self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_texts_weighs_only_its_bytes() {
        let json = br#"{"a":["{[,","\",{","\\"],"b":{}}"#;
        assert_eq!(Weight::of(json), Weight { bytes: json.len() as u64, containers: 3, values: 3 });
        assert_eq!(Weight::of(b"\"never ended, {"), Weight { bytes: 15, containers: 0, values: 0 });
    }

    /// Whatever it is that costs most for each byte, a body as large as any is too heavy before it is decoded.
    #[test]
    fn a_full_body_of_costly_values_is_too_heavy() {
        for costly in ["{},", "[],", "0,", r#"{"":0},"#, "[0],"] {
            let mut body = costly.repeat(audit::api::MAX_FACTS / costly.len());
            assert!(!Weight::of(body.as_bytes()).is_within(MOST), "{costly}");
            // Nor as much of it as bytes alone would let through.
            body.truncate(usize::try_from(MOST.bytes).unwrap());
            assert!(!Weight::of(body.as_bytes()).is_within(MOST), "{costly}");
        }
    }
}
