//! How the kernel was booted and will be: its command line, modules, lockdown, secure boot and taint.
//!
//! Sources: kernel-parameters(7) of the kernel's own documentation, kernel_lockdown(7), the UEFI specification on `SecureBoot`.

use std::collections::BTreeMap;
use std::path::Path;

use super::{HIDDEN, Setting, folders, short, text, too_many};
use crate::facts::Observed;
use crate::host::{Gap, GapKind, Host, read_small, read_text};

const COMMAND_LINE: &str = "/proc/cmdline";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const GRUB: &str = "/etc/default/grub";
/// The most modules a kernel may have loaded, and parameters a command line: it is 4 KiB long at most.
const MOST: usize = 2000;
/// Set by the boot loader for each kernel, not by a person.
const OF_LOADER: [&str; 2] = ["BOOT_IMAGE", "initrd"];

pub(super) fn command_line(host: &dyn Host, items: &mut Observed<Setting>) {
    match read_text(host, COMMAND_LINE) {
        Ok(line) => keep("parameter:", &line, COMMAND_LINE, items),
        Err(gap) => items.hide("parameter:", gap),
    }
}

pub(super) fn configured(host: &dyn Host, items: &mut Observed<Setting>) {
    if let Some(line) = text(host, "/etc/kernel/cmdline", "boot:", items) {
        keep("boot:", &line, "/etc/kernel/cmdline", items);
    }
    let mut sources = Vec::new();
    if let Some(grub) = text(host, GRUB, "boot:", items) {
        sources.push((GRUB.to_owned(), grub));
    }
    match folders::merged(host, &["/etc/default/grub.d"], ".cfg") {
        Ok(more) => sources.extend(more),
        Err(gap) => items.hide("boot:", gap),
    }
    let mut variables: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (file, text) in &sources {
        for line in text.lines() {
            if let Some((name, value)) = shell_assignment(line, &variables) {
                variables.insert(name, (value, file.clone()));
            }
        }
    }
    for name in ["GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"] {
        if let Some((line, file)) = variables.get(name) {
            keep("boot:", line, file, items);
        }
    }
}

fn keep(prefix: &str, line: &str, file: &str, items: &mut Observed<Setting>) {
    for (name, value) in parameters(line).into_iter().take(MOST) {
        let subject = format!("{prefix}{}", short(&name));
        let entry = items.seen.entry(subject).or_insert_with(|| Setting::new("", file));
        if !entry.value.is_empty() {
            entry.value.push(' ');
        }
        entry.value.push_str(&value);
        entry.value = short(&entry.value);
    }
}

/// The parameters of a command line, in order; a value in double quotes may hold blanks.
fn parameters(line: &str) -> Vec<(String, String)> {
    let mut words: Vec<String> = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_ascii_whitespace() && !quoted => words.push(String::new()),
            c => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    let words = words.iter().filter(|word| !word.is_empty()).take_while(|word| *word != "--");
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), shown(name, value)),
        None => (word.clone(), "set".to_owned()),
    };
    words.map(pair).filter(|(name, _)| !OF_LOADER.contains(&name.as_str())).collect()
}

/// The value, unless it may be a secret: by the parameter's name, or because an address holds a password.
fn shown(name: &str, value: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let telling = ["pass", "secret", "token", "credential", "psk"].iter().any(|word| lower.contains(word));
    let is_key = lower.ends_with("key") || lower.starts_with("systemd.setenv") || lower.contains("set_credential");
    let with_password = value.contains("://") && value.contains('@');
    if telling || is_key || with_password { HIDDEN.to_owned() } else { value.to_owned() }
}

/// `NAME="value"` with `$NAME` taken from what was assigned before; anything else a shell could do is passed over.
fn shell_assignment(line: &str, known: &BTreeMap<String, (String, String)>) -> Option<(String, String)> {
    let line = line.trim().trim_start_matches("export ").trim_start();
    let (name, raw) = line.split_once('=')?;
    if !name.starts_with("GRUB_CMDLINE") || !name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
        return None;
    }
    let (value, expands) = match raw.chars().next() {
        Some('"') => (raw.get(1..)?.split('"').next()?, true),
        Some('\'') => (raw.get(1..)?.split('\'').next()?, false),
        _ => (raw.split_ascii_whitespace().next().unwrap_or_default(), true),
    };
    let mut value = value.to_owned();
    if expands {
        // The longer name first: it begins with the shorter.
        for of in ["GRUB_CMDLINE_LINUX_DEFAULT", "GRUB_CMDLINE_LINUX"] {
            let before = known.get(of).map(|(value, _)| value.as_str()).unwrap_or_default();
            value = value.replace(&format!("${{{of}}}"), before).replace(&format!("${of}"), before);
        }
    }
    Some((name.to_owned(), value))
}

/// MODULE_NAME_LEN of the kernel, on 32 bits.
const LONGEST_NAME: usize = 60;

pub(super) fn modules(host: &dyn Host, state: &mut Observed<String>) {
    match read_text(host, "/proc/modules") {
        Ok(text) => {
            let mut names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
            if names.len() > MOST {
                return state.hide("modules", too_many("/proc/modules", MOST));
            }
            if names.iter().any(|name| name.len() > LONGEST_NAME) {
                return state.hide("modules", Gap::malformed("/proc/modules", "holds a name no module can have"));
            }
            names.sort_unstable();
            state.seen.insert("modules".into(), names.join(" "));
        }
        // A kernel that can load none has no such file; its /proc has others.
        Err(gap) if gap.is_missing() && host.read(Path::new(COMMAND_LINE)).is_ok() => {
            state.seen.insert("modules".into(), String::new());
        }
        Err(gap) => state.hide("modules", gap),
    }
}

pub(super) fn security(host: &dyn Host, state: &mut Observed<String>) {
    match read_text(host, LOCKDOWN) {
        Ok(text) => match text.split_once('[').and_then(|(_, rest)| rest.split_once(']')) {
            Some((mode, _)) => {
                state.seen.insert("lockdown".into(), short(mode));
            }
            None => state.hide("lockdown", Gap::malformed(LOCKDOWN, "no mode in brackets")),
        },
        // securityfs is there, and the kernel keeps no lockdown in it; or securityfs itself is not mounted.
        Err(gap) if gap.is_missing() => match host.list(Path::new("/sys/kernel/security")) {
            Ok(entries) if !entries.is_empty() => {
                state.seen.insert("lockdown".into(), "absent".into());
            }
            _ => state.hide("lockdown", Gap::new(GapKind::Unsupported, LOCKDOWN, "securityfs is not mounted")),
        },
        Err(gap) => state.hide("lockdown", gap),
    }
    match read_small(host, Path::new(SECURE_BOOT)) {
        // Four bytes of attributes, and the value.
        Ok(bytes) => match bytes.get(4) {
            Some(value) => {
                state.seen.insert("secure-boot".into(), if *value == 1 { "enabled" } else { "disabled" }.into());
            }
            None => state.hide("secure-boot", Gap::malformed(SECURE_BOOT, "shorter than five bytes")),
        },
        Err(gap) if gap.is_missing() => match host.stat(Path::new("/sys/firmware/efi")) {
            Err(none) if none.is_missing() => {
                state.seen.insert("secure-boot".into(), "absent".into());
            }
            Ok(_) | Err(_) => state.hide("secure-boot", gap),
        },
        Err(gap) => state.hide("secure-boot", gap),
    }
    match read_text(host, "/proc/sys/kernel/tainted") {
        Ok(text) => {
            state.seen.insert("taint".into(), short(text.trim()));
        }
        Err(gap) => state.hide("taint", gap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_as_the_kernel_splits_it() {
        let line =
            "BOOT_IMAGE=/vmlinuz root=UUID=ab ro dyndbg=\"file a +p\" rd.luks.key=x ks=http://u:p@h/k quiet -- init";
        let found: Vec<String> = parameters(line).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            found,
            ["root=UUID=ab", "ro=set", "dyndbg=file a +p", "rd.luks.key=(not shown)", "ks=(not shown)", "quiet=set"]
        );
    }
}
