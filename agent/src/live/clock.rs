//! The kernel's clock, read by `adjtimex(2)` with no modes set, which needs no privilege and changes nothing.

use audit::host::{Gap, GapKind};
use serde_json::json;

use super::sys;

/// The kernel's own fields as a JSON object; see [`audit::host::Question::KernelClock`].
pub(super) fn ask() -> Result<Vec<u8>, Gap> {
    let (returned, timex) = sys::adjtimex().map_err(|error| {
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        let kind = if denied { GapKind::Denied } else { GapKind::Failed };
        Gap::new(kind, "adjtimex", format!("the kernel refused: {error}"))
    })?;
    let fields = json!({
        "returned": returned,
        "status": timex.status,
        "offset": timex.offset,
        "maxerror": timex.maxerror,
        "esterror": timex.esterror,
        "freq": timex.freq,
        "tai": timex.tai,
    });
    Ok(fields.to_string().into_bytes())
}
