//! The running kernel: uname(2).

use audit::host::{Gap, GapKind};

/// Its release.
pub(super) fn ask() -> Result<Vec<u8>, Gap> {
    let release = sysinfo::System::kernel_version();
    release.map(String::into_bytes).map_err(|_| Gap::new(GapKind::Failed, "uname", "it gave no release"))
}

/// Its version: which build of the release it is.
pub(super) fn ask_version() -> Result<Vec<u8>, Gap> {
    let path = "/proc/sys/kernel/version";
    std::fs::read(path).map_err(|error| Gap::new(GapKind::Failed, path, format!("not readable: {:?}", error.kind())))
}
