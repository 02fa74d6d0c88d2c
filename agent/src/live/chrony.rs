//! chronyd, asked over its Unix socket with its own packets.

use audit::host::{Gap, GapKind};

/// Not asked yet.
pub(super) fn ask_tracking() -> Result<Vec<u8>, Gap> {
    Err(Gap::new(GapKind::Unsupported, "chrony", "this build cannot ask yet"))
}

/// Not asked yet.
pub(super) fn ask_sources() -> Result<Vec<u8>, Gap> {
    Err(Gap::new(GapKind::Unsupported, "chrony", "this build cannot ask yet"))
}
