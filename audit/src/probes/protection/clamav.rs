//! The header of a ClamAV database: 512 bytes, `ClamAV-VDB:TIME:VERSION:SIGNATURES:LEVEL:MD5:SIGNATURE:BUILDER:SECONDS`, padded with blanks. Its
//! time writes hours and minutes with a hyphen (`22 Nov 2026 08-34 +0000`). Source: ClamAV's manual, "Database info", and sigtool(1).

use std::path::Path;

use chrono::DateTime;

use super::State;
use crate::facts::Observed;
use crate::host::{Gap, Host, gap};

const HEADER: usize = 512;

pub(super) fn collect(host: &dyn Host, state: &mut Observed<State>) {
    for name in ["daily", "main", "bytecode"] {
        // freshclam keeps one of the two forms; where both are left the newer counts.
        for end in ["cvd", "cld"] {
            let path = format!("/var/lib/clamav/{name}.{end}");
            let subject = format!("definitions:clamav/{name}");
            match gap::optional(host.read_part(Path::new(&path), 0, HEADER)) {
                Ok(None) => {}
                Ok(Some(header)) => match read(&header) {
                    Some((version, built)) => {
                        let older = match state.seen.get(&subject) {
                            Some(State::Definitions { version: known, .. }) => *known >= version,
                            Some(State::Kernel { .. }) | None => false,
                        };
                        if !older {
                            state.seen.insert(subject, State::Definitions { version, built });
                        }
                    }
                    None => state.hide(subject, Gap::malformed(path, "no header of a ClamAV database")),
                },
                Err(gap) => state.hide(subject, gap),
            }
        }
    }
}

/// Version and time of building.
pub(super) fn read(header: &[u8]) -> Option<(u64, i64)> {
    let header = String::from_utf8_lossy(header.get(..header.len().min(HEADER))?);
    let mut fields = header.trim_end_matches(['\0', ' ', '\n']).split(':');
    if fields.next()? != "ClamAV-VDB" {
        return None;
    }
    let (time, version) = (fields.next()?, fields.next()?.parse().ok()?);
    let seconds = fields.nth(5).and_then(|seconds| seconds.trim().parse().ok());
    let written = || DateTime::parse_from_str(time, "%d %b %Y %H-%M %z").ok().map(|time| time.timestamp());
    Some((version, seconds.or_else(written)?))
}
