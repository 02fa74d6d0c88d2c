//! Sources in ntp.conf(5) of NTPsec and of the NTP project, and in ntpd.conf(5) of OpenNTPD.

use std::path::Path;

use super::config::{Found, rest};
use super::{Daemon, Role};
use crate::host::Gap;

/// Main files, and the file Debian's wrapper starts the daemon with instead when DHCP named servers.
const FILES: [(Daemon, &str); 4] = [
    (Daemon::Ntpsec, "/etc/ntpsec/ntp.conf"),
    (Daemon::Ntpsec, "/run/ntpsec/ntp.conf.dhcp"),
    (Daemon::Ntp, "/etc/ntp.conf"),
    (Daemon::Ntp, "/run/ntp.conf.dhcp"),
];
/// Folders NTPsec reads after the main file.
const FOLDERS: [&str; 2] = ["/etc/ntpsec/ntp.d", "/etc/ntp.d"];
/// ntpd's own bound on nested `includefile`.
const MAX_DEPTH: usize = 4;

/// Finds the configured sources of all three.
pub(super) fn collect(found: &mut Found<'_>) {
    for (daemon, file) in FILES {
        read(found, daemon, Path::new(file), 0);
    }
    for folder in FOLDERS {
        for (path, _) in found.folder(Daemon::Ntpsec, Path::new(folder), ".conf") {
            read(found, Daemon::Ntpsec, &path, 1);
        }
    }
    for file in ["/etc/openntpd/ntpd.conf", "/etc/ntpd.conf"] {
        read_openntpd(found, Path::new(file));
    }
}

fn read(found: &mut Found<'_>, daemon: Daemon, file: &Path, depth: usize) {
    if depth > MAX_DEPTH {
        let gap = Gap::malformed("ntp.conf", format!("includes nest deeper than {MAX_DEPTH}: a loop?"));
        return found.hide_sources(daemon, gap);
    }
    for line in found.lines(daemon, file).unwrap_or_default() {
        let mut words = words(&line).filter(|word| !matches!(*word, "-4" | "-6"));
        let role = match words.next().map(str::to_ascii_lowercase).as_deref() {
            Some("server") => Role::Server,
            Some("pool") => Role::Pool,
            Some("peer") => Role::Peer,
            Some("broadcastclient" | "multicastclient" | "manycastclient") => {
                let name = words.next().unwrap_or("any").to_owned();
                found.source(daemon, Role::Broadcast, &name, rest(words), file);
                continue;
            }
            Some("refclock") => {
                let driver = words.next().unwrap_or("unnamed").to_ascii_uppercase();
                found.source(daemon, Role::Refclock, &driver, rest(words), file);
                continue;
            }
            Some("includefile") => {
                if let Some(path) = words.next().map(|word| word.trim_matches('"')) {
                    // A relative path is taken from the daemon's working folder, which no file tells.
                    let paths = found.expand(daemon, path);
                    paths.iter().for_each(|path| read(found, daemon, path, depth + 1));
                }
                continue;
            }
            Some(_) | None => continue,
        };
        let Some(name) = words.next() else { continue };
        // 127.127.t.u is a driver, not an address; type 1 is the host's own clock.
        let role = match name {
            _ if name.starts_with("127.127.1.") => Role::Local,
            _ if name.starts_with("127.127.") => Role::Refclock,
            _ => role,
        };
        found.source(daemon, role, name, rest(words), file);
    }
}

fn read_openntpd(found: &mut Found<'_>, file: &Path) {
    for line in found.lines(Daemon::Openntpd, file).unwrap_or_default() {
        let mut words = words(&line);
        let role = match words.next() {
            Some("server") => Role::Server,
            Some("servers") => Role::Pool,
            Some("sensor") => Role::Refclock,
            Some(_) | None => continue,
        };
        if let Some(name) = words.next() {
            found.source(Daemon::Openntpd, role, name.trim_matches('"'), rest(words), file);
        }
    }
}

/// The words of a line up to its comment.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split('#').next().unwrap_or_default().split_ascii_whitespace()
}
