//! What is mounted where (proc_pid_mountinfo(5)) and what is to be (fstab(5)).

use std::path::Path;

use super::{Expect, HIDDEN, Setting, short, text, too_many};
use crate::facts::Observed;
use crate::host::Host;

const MOUNTINFO: &str = "/proc/1/mountinfo";
/// The most mounts that are kept.
const MOST: usize = 500;
/// What containers, sessions, snaps and the kernel's own folders bring.
const PASSED_OVER: [&str; 13] = [
    "/proc/",
    "/sys/",
    "/dev/",
    "/run/user/",
    "/run/credentials/",
    "/run/netns",
    "/run/docker/",
    "/run/containerd/",
    "/run/systemd/",
    "/var/lib/docker/",
    "/var/lib/containers/",
    "/var/lib/kubelet/",
    "/snap/",
];
/// Of those, what rules ask for.
const KEPT: [&str; 1] = ["/dev/shm"];

pub(super) fn mounted(host: &dyn Host, rules: &[&Expect], state: &mut Observed<String>) {
    let bytes = match host.read(Path::new(MOUNTINFO)) {
        Ok(bytes) => bytes,
        Err(gap) => return state.hide("mount:", gap),
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut kept = 0;
    for (point, value) in text.lines().filter_map(mount) {
        let asked = || rules.iter().any(|rule| rule.mounts.contains_key(&point));
        let passed_over = PASSED_OVER.iter().any(|prefix| point.starts_with(prefix));
        if passed_over && !KEPT.contains(&point.as_str()) && !asked() {
            continue;
        }
        kept += 1;
        if kept > MOST {
            return state.hide("mount:", too_many(MOUNTINFO, MOST));
        }
        // A later mount covers an earlier one.
        state.seen.insert(format!("mount:{}", short(&point)), value);
    }
}

/// A line's mount point, and its type and options: those of the mount, and `ro` where the file system itself is.
fn mount(line: &str) -> Option<(String, String)> {
    let (mount, system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(4);
    let (point, options) = (unescape(fields.next()?), fields.next()?);
    let mut fields = system.split(' ');
    let (kind, super_options) = (fields.next()?, fields.nth(1).unwrap_or_default());
    let is_ro = |options: &str| options.split(',').any(|option| option == "ro");
    let options = match is_ro(super_options) && !is_ro(options) {
        true => options.replacen("rw", "ro", 1),
        false => options.to_owned(),
    };
    Some((point, short(&format!("{kind} {options}"))))
}

/// Blanks and the like stand as three octal digits after a backslash.
fn unescape(field: &str) -> String {
    if !field.contains('\\') {
        return field.to_owned();
    }
    let mut parts = field.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(part.bytes().skip(3));
            }
            None => {
                bytes.push(b'\\');
                bytes.extend(part.bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn configured(host: &dyn Host, items: &mut Observed<Setting>) {
    let Some(text) = text(host, "/etc/fstab", "fstab:", items) else { return };
    let mut kept = 0;
    for line in text.lines() {
        let line = line.trim_start();
        let mut fields = line.split_ascii_whitespace();
        let (Some(source), Some(point), Some(kind)) = (fields.next(), fields.next(), fields.next()) else { continue };
        if line.starts_with('#') {
            continue;
        }
        kept += 1;
        if kept > MOST {
            return items.hide("fstab:", too_many("/etc/fstab", MOST));
        }
        let source = if source.contains('@') && source.contains(':') { HIDDEN.to_owned() } else { unescape(source) };
        let options: Vec<String> = fields.next().unwrap_or("defaults").split(',').map(shown).collect();
        let subject = match kind {
            "swap" => format!("fstab:swap:{}", short(&source)),
            _ => format!("fstab:{}", short(&unescape(point))),
        };
        let value = short(&format!("{source} {kind} {}", options.join(",")));
        items.seen.insert(subject, Setting::new(value, "/etc/fstab"));
    }
}

fn shown(option: &str) -> String {
    match option.split_once('=') {
        Some((name, _)) if name.contains("pass") || name.contains("secret") || name == "key" => {
            format!("{name}={HIDDEN}")
        }
        _ => option.to_owned(),
    }
}

/// The options in a value as it is kept: its last word.
pub(super) fn options(value: &str) -> impl Iterator<Item = &str> {
    value.rsplit(' ').next().unwrap_or_default().split(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_is_read() {
        let line = r"36 35 98:0 / /mnt/a\040b rw,noatime shared:1 master:2 - ext3 /dev/root ro,errors=continue";
        assert_eq!(mount(line), Some(("/mnt/a b".into(), "ext3 ro,noatime".into())));
        assert_eq!(unescape(r"a\134b\9"), r"a\b\9");
        assert_eq!(mount("rubbish"), None);
    }
}
