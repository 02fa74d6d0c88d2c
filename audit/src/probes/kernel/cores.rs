//! What becomes of core dumps, as configured: limits.conf(5) and coredump.conf(5).

use super::{Setting, folders, short, text};
use crate::facts::Observed;
use crate::host::Host;

/// The keys of coredump.conf that are kept.
const KEYS: [&str; 3] = ["Storage", "ProcessSizeMax", "ExternalSizeMax"];
const DROP_INS: [&str; 4] = [
    "/etc/systemd/coredump.conf.d",
    "/run/systemd/coredump.conf.d",
    "/usr/local/lib/systemd/coredump.conf.d",
    "/usr/lib/systemd/coredump.conf.d",
];

pub(super) fn configured(host: &dyn Host, items: &mut Observed<Setting>) {
    // pam_limits reads limits.conf and then limits.d: the last line for a domain counts.
    let mut files = Vec::new();
    if let Some(first) = text(host, "/etc/security/limits.conf", "core:limit:", items) {
        files.push(("/etc/security/limits.conf".to_owned(), first));
    }
    match folders::merged(host, &["/etc/security/limits.d"], ".conf") {
        Ok(more) => files.extend(more),
        Err(gap) => items.hide("core:limit:", gap),
    }
    for (file, text) in &files {
        for (domain, kind, value) in text.lines().filter_map(limit) {
            let kinds: &[&str] = if kind == "-" { &["hard", "soft"] } else { std::slice::from_ref(&kind) };
            for kind in kinds {
                let setting = Setting::new(short(value), file);
                items.seen.insert(format!("core:limit:{}:{kind}", short(domain)), setting);
            }
        }
    }
    // Of the main file the strongest folder's, then every drop-in.
    let mut files = Vec::new();
    for path in DROP_INS.iter().filter_map(|folder| folder.strip_suffix(".d")) {
        if let Some(main) = text(host, path, "core:", items) {
            files.push((path.to_owned(), main));
            break;
        }
    }
    match folders::merged(host, &DROP_INS, ".conf") {
        Ok(more) => files.extend(more),
        Err(gap) => items.hide("core:", gap),
    }
    for (file, text) in &files {
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            let key = key.trim();
            if KEYS.contains(&key) {
                let setting = Setting::new(short(value.trim()), file);
                items.seen.insert(format!("core:{key}"), setting);
            }
        }
    }
}

/// A line about cores: domain, `hard`, `soft` or `-`, and the limit.
fn limit(line: &str) -> Option<(&str, &str, &str)> {
    let line = line.split('#').next()?;
    let mut words = line.split_ascii_whitespace();
    let (domain, kind, item, value) = (words.next()?, words.next()?, words.next()?, words.next()?);
    (item == "core" && ["hard", "soft", "-"].contains(&kind)).then_some((domain, kind, value))
}
