//! ntpd and ntpsec, asked by a mode 6 query on loopback.

use audit::host::{Gap, GapKind};

/// Not asked yet.
pub(super) fn ask() -> Result<Vec<u8>, Gap> {
    Err(Gap::new(GapKind::Unsupported, "ntp", "this build cannot ask yet"))
}
