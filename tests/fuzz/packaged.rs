//! What packages say of their own files: dpkg's sums, lists, diversions and conffiles; the file tags of rpm's headers.
//!
//! The files themselves are as the case has them: one is there and holds its sum, one is there and holds another, the rest are
//! missing, decided by the path's length so that the same case says the same.

use std::path::Path;

use audit::host::{Gap, GapKind, Recorded};
use audit::probes::files::packaged;

use crate::databases::{at_most, pieces, rpm_sqlite};
use crate::documents::Answer;

/// Status, sums, list, diversions and dpkg's configuration.
pub fn dpkg_sums(case: &[u8]) -> Answer {
    // The recorded host holds them a second time, and here that is counted too.
    let [status, sums, list, diversions, settings] = pieces(at_most(case, 24 * 1024 * 1024));
    let host = Recorded::new()
        .file("/var/lib/dpkg/status", status)
        .file("/var/lib/dpkg/info/base.md5sums", sums)
        .file("/var/lib/dpkg/info/base.list", list)
        .file("/var/lib/dpkg/diversions", diversions)
        .file("/etc/dpkg/dpkg.cfg.d/own", settings);
    verified(&host)
}

/// A database of rpm's.
pub fn rpm_sums(case: &[u8]) -> Answer {
    verified(&rpm_sqlite(case))
}

fn verified(host: &Recorded) -> Answer {
    let holds = |path: &Path, _, _: &[u8]| match path.as_os_str().len() % 3 {
        0 => Ok(true),
        1 => Ok(false),
        _ => Err(Gap::new(GapKind::Missing, "a file", "no such file or folder")),
    };
    match packaged::verify(host, &holds) {
        Err(gap) => Answer::refused(gap),
        Ok(found) => {
            let kind = format!("{} differ, {} unseen", found.files.len().min(4), found.unseen.len().min(4));
            Answer::new(format!("{found:?}"), kind)
        }
    }
}
