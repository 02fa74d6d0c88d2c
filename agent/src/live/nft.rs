//! The loaded nftables ruleset, and the generation id the kernel counts up at each change.

use audit::host::{Gap, GapKind};

/// Not asked yet.
pub(super) fn ask_generation() -> Result<Vec<u8>, Gap> {
    Err(Gap::new(GapKind::Unsupported, "nft", "this build cannot ask yet"))
}

/// Not asked yet.
pub(super) fn ask_ruleset() -> Result<Vec<u8>, Gap> {
    Err(Gap::new(GapKind::Unsupported, "nft", "this build cannot ask yet"))
}
