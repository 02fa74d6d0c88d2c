//! The running kernel's release: uname(2).

use audit::host::{Gap, GapKind};

pub(super) fn ask() -> Result<Vec<u8>, Gap> {
    let release = sysinfo::System::kernel_version();
    release.map(String::into_bytes).map_err(|_| Gap::new(GapKind::Failed, "uname", "it gave no release"))
}
