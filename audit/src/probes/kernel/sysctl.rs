//! Sysctls: what is configured (sysctl.d(5), sysctl.conf(5)) and what is in force (`/proc/sys`).

use std::collections::BTreeMap;
use std::path::Path;

use super::{Expect, HIDDEN, Setting, folders, short, text, too_many};
use crate::facts::Observed;
use crate::glob::Glob;
use crate::host::{Gap, GapKind, Host, read_small};
use crate::probes::services::SYSTEMD;

const FOLDERS: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];
const LEGACY: &str = "/etc/sysctl.conf";
/// The most keys that may be configured, or asked for.
const MOST: usize = 2000;

/// In place of the value of a key that was looked for and is not there.
pub(super) const ABSENT: &str = "(absent)";
/// In place of the value of a glob whose keys were all looked at.
const EXPANDED: &str = "(each looked at)";

/// Whether this host looked at `key`, which may be a glob.
pub(super) fn was_looked_at(key: &str, state: &Observed<String>) -> bool {
    TABLE.contains(&key) || state.seen.contains_key(&format!("sysctl:{key}"))
}

/// The keys that are always looked at: what hardening guides ask for, and what changes what other facts mean.
const TABLE: [&str; 62] = [
    "dev.tty.ldisc_autoload",
    "fs.protected_fifos",
    "fs.protected_hardlinks",
    "fs.protected_regular",
    "fs.protected_symlinks",
    "fs.suid_dumpable",
    "kernel.core_pattern",
    "kernel.core_uses_pid",
    "kernel.dmesg_restrict",
    "kernel.io_uring_disabled",
    "kernel.kexec_load_disabled",
    "kernel.kptr_restrict",
    "kernel.modules_disabled",
    "kernel.panic_on_oops",
    "kernel.perf_event_paranoid",
    "kernel.printk",
    "kernel.randomize_va_space",
    "kernel.sysrq",
    "kernel.unprivileged_bpf_disabled",
    "kernel.unprivileged_userns_clone",
    "kernel.yama.ptrace_scope",
    "net.core.bpf_jit_harden",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.all.accept_source_route",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.forwarding",
    "net.ipv4.conf.all.log_martians",
    "net.ipv4.conf.all.proxy_arp",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.secure_redirects",
    "net.ipv4.conf.all.send_redirects",
    "net.ipv4.conf.default.accept_redirects",
    "net.ipv4.conf.default.accept_source_route",
    "net.ipv4.conf.default.log_martians",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.conf.default.secure_redirects",
    "net.ipv4.conf.default.send_redirects",
    "net.ipv4.icmp_echo_ignore_all",
    "net.ipv4.icmp_echo_ignore_broadcasts",
    "net.ipv4.icmp_ignore_bogus_error_responses",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_rfc1337",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_timestamps",
    "net.ipv6.conf.all.accept_ra",
    "net.ipv6.conf.all.accept_redirects",
    "net.ipv6.conf.all.accept_source_route",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.default.accept_ra",
    "net.ipv6.conf.default.accept_redirects",
    "net.ipv6.conf.default.accept_source_route",
    "user.max_user_namespaces",
    "vm.mmap_min_addr",
    "vm.mmap_rnd_bits",
    "vm.overcommit_memory",
    "vm.swappiness",
    "vm.unprivileged_userfaultfd",
];

/// The key as `sysctl -a` writes it: parts by dots. A key whose first separator is a slash is written as a path.
pub(super) fn canonical(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(at) if key.get(at..).is_some_and(|rest| rest.starts_with('/')) => swap(key),
        _ => key.to_owned(),
    }
}

/// Where the canonical `key` stands.
pub(super) fn path(key: &str) -> String {
    format!("/proc/sys/{}", swap(&canonical(key)))
}

/// `.` for `/`, and the reverse: an interface called `eth0.1` is `eth0/1` in a key.
fn swap(key: &str) -> String {
    key.chars()
        .map(|c| {
            if c == '.' {
                '/'
            } else if c == '/' {
                '.'
            } else {
                c
            }
        })
        .collect()
}

/// Keys whose values are secrets: seeds and keys of the network's.
pub(super) fn is_secret(key: &str) -> bool {
    key.ends_with(".stable_secret") || key.contains("tcp_fastopen_key")
}

/// Whether the glob `pattern` means `key`: a `*` is a run of anything but a dot, as in a path.
pub(super) fn means(pattern: &str, key: &str) -> bool {
    Glob::of_paths(&swap(pattern)).is_ok_and(|glob| glob.matches(&swap(key)))
}

pub(super) fn is_glob(key: &str) -> bool {
    key.contains(['*', '?', '['])
}

pub(super) fn configured(host: &dyn Host, items: &mut Observed<Setting>) {
    let mut files = match folders::merged(host, &FOLDERS, ".conf") {
        Ok(files) => files,
        Err(gap) => return items.hide("sysctl:", gap),
    };
    let has_systemd = SYSTEMD.iter().any(|path| host.stat(Path::new(path)).is_ok());
    if !has_systemd && let Some(legacy) = text(host, LEGACY, "sysctl:", items) {
        files.push((LEGACY.to_owned(), legacy));
    }
    let mut seen: BTreeMap<String, Setting> = BTreeMap::new();
    let mut globs = 0;
    for (file, text) in &files {
        for (key, value) in text.lines().filter_map(assignment) {
            let mut setting = Setting::new(if is_secret(&key) { HIDDEN.to_owned() } else { value }, file);
            let subject = format!("sysctl:{key}");
            if is_glob(&key) {
                // One that says what was said before keeps its place; another takes the last.
                let before = seen.get(&subject).filter(|before| before.value == setting.value);
                globs += 1;
                setting.order = before.map_or(Some(globs), |before| before.order);
            }
            seen.insert(subject, setting);
        }
        if seen.len() > MOST {
            return items.hide("sysctl:", too_many("configured sysctls", MOST));
        }
    }
    items.seen.extend(seen);
}

/// A line's canonical key and value; `-` for one that is only kept from globs.
fn assignment(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', ';']) {
        return None;
    }
    match line.split_once('=') {
        Some((key, value)) => {
            let key = key.trim().trim_start_matches('-').trim();
            (!key.is_empty()).then(|| (canonical(&short(key)), blanks(value)))
        }
        None => line.strip_prefix('-').map(|key| (canonical(&short(key.trim())), "-".to_owned())),
    }
}

/// One blank between words, none around.
fn blanks(value: &str) -> String {
    let mut words = value.split_whitespace();
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        text.push(' ');
        text.push_str(word);
    }
    short(&text)
}

/// What is configured for `key`: its own assignment, or the last glob that means it.
pub(super) fn configured_for<'a>(items: &'a Observed<Setting>, key: &str) -> Option<&'a Setting> {
    if let Some(own) = items.seen.get(&format!("sysctl:{key}")) {
        return (own.value != "-").then_some(own);
    }
    let globs = items.seen.range("sysctl:".to_owned()..).take_while(|(subject, _)| subject.starts_with("sysctl:"));
    globs
        .filter_map(|(subject, setting)| Some((subject.strip_prefix("sysctl:")?, setting)))
        .filter(|(glob, setting)| is_glob(glob) && setting.value != "-" && means(glob, key))
        .max_by_key(|(_, setting)| setting.order)
        .map(|(_, setting)| setting)
}

pub(super) fn effective(host: &dyn Host, rules: &[&Expect], state: &mut Observed<String>) {
    for key in TABLE {
        read(host, key, state, false);
    }
    let asked = rules.iter().flat_map(|rule| rule.sysctls.keys());
    for key in asked {
        let key = canonical(key);
        if is_glob(&key) {
            expand(host, &key, state)
        } else {
            read(host, &key, state, true)
        }
        if state.seen.len() > MOST {
            return state.hide("sysctl:", too_many("sysctls asked for", MOST));
        }
    }
}

/// With `told`, a key that is not there is said to be absent, so that it is not taken for one that nobody looked at.
fn read(host: &dyn Host, key: &str, state: &mut Observed<String>, told: bool) {
    let subject = format!("sysctl:{key}");
    if state.seen.contains_key(&subject) {
        return;
    }
    if is_secret(key) {
        return state.hide(subject, Gap::new(GapKind::Unsupported, key, "a secret, which is never read"));
    }
    match read_small(host, Path::new(&path(key))) {
        Ok(bytes) => {
            state.seen.insert(subject, blanks(&String::from_utf8_lossy(&bytes)));
        }
        Err(gap) if gap.is_missing() => {
            if told {
                state.seen.insert(subject, ABSENT.to_owned());
            }
        }
        Err(gap) => state.hide(subject, gap),
    }
}

/// Every key that `pattern` means, one part after the other.
fn expand(host: &dyn Host, pattern: &str, state: &mut Observed<String>) {
    let mut found: Vec<String> = vec![String::new()];
    for part in pattern.split('.') {
        let mut next = Vec::new();
        for stem in &found {
            let joined = |name: &str| if stem.is_empty() { name.to_owned() } else { format!("{stem}.{name}") };
            if !is_glob(part) {
                next.push(joined(part));
                continue;
            }
            match host.list(Path::new(&path(stem))) {
                Ok(entries) => {
                    let names = entries.iter().filter_map(|entry| Some(swap(entry.name.to_str()?)));
                    next.extend(names.filter(|name| means(part, name)).map(|name| joined(&name)).take(MOST));
                }
                Err(gap) if gap.is_missing() => {}
                Err(gap) => state.hide(format!("sysctl:{stem}."), gap),
            }
        }
        next.truncate(MOST);
        found = next;
    }
    for key in found {
        read(host, &key, state, false);
    }
    state.seen.insert(format!("sysctl:{pattern}"), EXPANDED.to_owned());
}
