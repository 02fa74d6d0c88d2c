//! ntpd and ntpsec tell their state by mode 6 packets over UDP and by nothing else. `collect` opens no IP socket, not
//! even to loopback, so that what reads the host can be held off the network whole; the kernel's clock, which both
//! daemons mark, is the evidence instead.

use audit::host::{Gap, GapKind};

/// Always a gap.
pub(super) fn ask() -> Result<Vec<u8>, Gap> {
    let detail = "ntpd tells only over an IP socket, and none is opened to observe: the kernel decides";
    Err(Gap::new(GapKind::Unsupported, "NtpSystem", detail))
}
