//! `/usr/share/distro-info/*.csv` of distro-info-data: what Debian and Ubuntu say on the host of their own ends.
//!
//! Comma-separated, the columns named in the first line, never quoted. Of it all only the host's own release is kept.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;

use crate::host::{Gap, GapKind, Host, read_small};
use crate::lifecycle::Channel;

/// The largest file, in bytes; real ones have some 4,000.
const MAX_BYTES: usize = 256 * 1024;

/// The columns of each channel, the first that is filled in wins.
const COLUMNS: [(Channel, &[&str]); 4] = [
    (Channel::Regular, &["eol-server", "eol"]),
    (Channel::Lts, &["eol-lts"]),
    (Channel::Extended, &["eol-elts", "eol-esm"]),
    (Channel::Legacy, &["eol-legacy"]),
];

/// The ends of `version` of the system `id`; none where there is no such file or it does not know the version.
pub(super) fn ends(host: &dyn Host, id: &str, version: &str) -> Result<BTreeMap<Channel, String>, Gap> {
    if !["debian", "ubuntu"].contains(&id) {
        return Ok(BTreeMap::new());
    }
    let path = format!("/usr/share/distro-info/{id}.csv");
    match read_small(host, Path::new(&path)) {
        Ok(bytes) => parse(&path, &bytes, version),
        Err(gap) if gap.is_missing() => Ok(BTreeMap::new()),
        Err(gap) => Err(gap),
    }
}

fn parse(path: &str, bytes: &[u8], version: &str) -> Result<BTreeMap<Channel, String>, Gap> {
    if bytes.len() > MAX_BYTES {
        let detail = format!("{} bytes, more than the {MAX_BYTES} of any distro-info", bytes.len());
        return Err(Gap::new(GapKind::TooLarge, path, detail));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Gap::malformed(path, format!("not UTF-8 after byte {}", error.valid_up_to())))?;
    let mut lines = text.lines().enumerate();
    let columns: Vec<&str> = lines.next().map(|(_, line)| line.split(',').collect()).unwrap_or_default();
    for (number, line) in lines {
        let row: BTreeMap<&str, &str> = columns.iter().copied().zip(line.split(',')).collect();
        // Ubuntu's are `24.04 LTS`.
        if row.get("version").and_then(|own| own.split(' ').next()) != Some(version) {
            continue;
        }
        let mut ends = BTreeMap::new();
        for (channel, names) in COLUMNS {
            let Some(day) = names.iter().find_map(|name| row.get(name).filter(|day| !day.is_empty())) else { continue };
            if day.parse::<NaiveDate>().is_err() {
                let place = format!("{path}:{}", number + 1);
                return Err(Gap::malformed(place, format!("the end of {channel} support is not a date")));
            }
            ends.insert(channel, (*day).to_owned());
        }
        return Ok(ends);
    }
    Ok(BTreeMap::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UBUNTU: &str = "version,codename,series,created,release,eol,eol-server,eol-esm,eol-legacy\n\
        14.04 LTS,Trusty Tahr,trusty,2013-10-17,2014-04-17,2019-04-25,2019-04-26,2024-04-25,2026-04-28\n\
        25.10,Questing Quokka,questing,2025-04-17,2025-10-09,2026-07-09\n";

    fn said(text: &str, version: &str) -> Vec<String> {
        let ends = parse("/d.csv", text.as_bytes(), version).unwrap();
        ends.iter().map(|(channel, day)| format!("{channel} {day}")).collect()
    }

    #[test]
    fn only_the_hosts_own_release_is_kept() {
        assert_eq!(said(UBUNTU, "14.04"), ["regular 2019-04-26", "extended 2024-04-25", "legacy 2026-04-28"]);
        assert_eq!(said(UBUNTU, "25.10"), ["regular 2026-07-09"]);
        assert_eq!(said(UBUNTU, "99.04"), Vec::<String>::new());
        assert_eq!(said("", "25.10"), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_read_is_a_gap_that_says_where() {
        let bad = UBUNTU.replace("2026-07-09", "soon");
        let gap = parse("/d.csv", bad.as_bytes(), "25.10").unwrap_err();
        assert_eq!(gap.what, "/d.csv:3");
        assert!(parse("/d.csv", b"version\n\xff", "1").is_err());
        assert_eq!(parse("/d.csv", &vec![b'#'; MAX_BYTES + 1], "1").unwrap_err().kind, GapKind::TooLarge);
    }
}
