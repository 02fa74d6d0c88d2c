//! at's spool. A job's name is its queue, five digits of its number and eight of the minute it runs in, all hexadecimal: at(1) and atd's
//! source.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use chrono::DateTime;

use super::Job;
use super::files::{Found, inside};
use crate::digest::Digest;
use crate::host::{EntryKind, path_text};

const SPOOLS: [&str; 3] = ["/var/spool/cron/atjobs", "/var/spool/at", "/var/spool/atjobs"];

pub(super) fn collect(found: &mut Found<'_>) {
    for spool in SPOOLS {
        let spool = Path::new(spool);
        for entry in found.folder(spool, &format!("at:{}/", path_text(spool))) {
            // `.SEQ` counts, `.lockfile` locks, `=` is one that runs now, `spool` holds outputs.
            if entry.kind != EntryKind::File || entry.name.as_bytes().starts_with(b".") {
                continue;
            }
            let path = inside(spool, &entry);
            let subject = format!("at:{}", path_text(&path));
            let Some(stat) = found.stat(&path, &subject) else { continue };
            let Some(bytes) = found.read(&path, &subject) else { continue };
            let when = when(entry.name.as_bytes());
            let ignored = when.is_none().then(|| "the name of its file".to_owned());
            let job = Job {
                user: format!("uid {}", stat.uid),
                when: when.unwrap_or_default(),
                // The file is a shell script that sets the whole environment first.
                program: "sh".into(),
                digest: Some(Digest::of(&bytes)),
                ignored,
            };
            found.job(subject, job);
        }
    }
}

fn when(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok().filter(|name| name.len() == 14 && name.is_ascii())?;
    let minutes = i64::from_str_radix(name.get(6..)?, 16).ok()?;
    Some(DateTime::from_timestamp(minutes.checked_mul(60)?, 0)?.format("%Y-%m-%dT%H:%MZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minute_stands_in_the_name() {
        assert_eq!(when(b"a0000101c9f0a3").as_deref(), Some("2027-01-23T08:35Z"));
        for name in [&b"a00001"[..], b"a0000101c9f0ag", b"", "é0000101c9f0a".as_bytes()] {
            assert_eq!(when(name), None);
        }
    }
}
