//! The keys that log in as an administrator: `authorized_keys` of every account with user id 0, in an administrative group
//! or named by a sudo rule. sshd(8), AUTHORIZED_KEYS FILE FORMAT.
//!
//! A key is told by its SHA-256 fingerprint, as `ssh-keygen -l` prints it. Comments are left out: they name people.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::accounts::Account;
use super::text::name;
use super::{Item, State, groups};
use crate::digest::Digest;
use crate::facts::Facts;
use crate::host::{Gap, GapKind, Host, gap, path_text, read_small};

/// Where sshd looks unless told otherwise (sshd_config(5), AuthorizedKeysFile).
pub(super) const FILES: [&str; 2] = [".ssh/authorized_keys", ".ssh/authorized_keys2"];
/// The most keys of all administrators together.
const MAX_KEYS: usize = 2_000;

/// Adds the keys of the administrators that are already among the items.
pub(super) fn collect(host: &dyn Host, accounts: &[Account], facts: &mut Facts<Item, State>) {
    let administrators = administrators(facts);
    let mut count = 0;
    for account in accounts.iter().filter(|account| administrators.contains(&name(&account.name))) {
        let user = name(&account.name);
        let home = Path::new(std::ffi::OsStr::from_bytes(&account.home));
        let below = home.parent().is_some_and(|folder| folder == Path::new("/home")) || home == Path::new("/root");
        if !below {
            // System accounts have no home of their own, or none that logs in.
            if account.uid == 0 || account.uid >= 1000 {
                let why = format!("home of {user}, where its keys would be, is not looked at");
                // In the state, as it hides no item that was ever seen: the judgement asks for it.
                facts.state.hide(format!("keys:{user}"), Gap::new(GapKind::Unsupported, path_text(home), why));
            }
            continue;
        }
        for file in FILES {
            let path = home.join(file);
            let bytes = match gap::optional(read_small(host, &path)) {
                Ok(None) => continue,
                Ok(Some(bytes)) => bytes,
                Err(gap) => {
                    facts.items.hide(format!("key:{user}:"), gap);
                    continue;
                }
            };
            modes(host, &[home.to_owned(), home.join(".ssh"), path.clone()], account.uid, facts);
            for line in bytes.split(|byte| *byte == b'\n') {
                let line = line.trim_ascii();
                if line.is_empty() || line.starts_with(b"#") {
                    continue;
                }
                count += 1;
                let Some((fingerprint, item)) = key(&path_text(Path::new(std::ffi::OsStr::from_bytes(line))), &path)
                else {
                    // sshd passes over such a line, too.
                    continue;
                };
                if count > MAX_KEYS {
                    let why = format!("more than {MAX_KEYS} keys of administrators");
                    facts.items.hide("key:", Gap::new(GapKind::TooLarge, path_text(&path), why));
                    return;
                }
                let mut subject = format!("key:{user}:{fingerprint}");
                while facts.items.seen.contains_key(&subject) {
                    subject.push('+');
                }
                facts.items.seen.insert(subject, item);
            }
        }
    }
}

/// Names of those who are, or may become, root.
fn administrators(facts: &Facts<Item, State>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (subject, item) in &facts.items.seen {
        match item {
            Item::Uid0 { .. } => found.extend(subject.strip_prefix("uid0:").map(str::to_owned)),
            Item::SameUid { .. } => found.extend(subject.strip_prefix("same-uid:").map(str::to_owned)),
            Item::Member { .. } => {
                let mut parts = subject.splitn(3, ':');
                let (prefix, group, member) = (parts.next(), parts.next().unwrap_or_default(), parts.next());
                if prefix == Some("sudo-group") || groups::administers(group) {
                    found.extend(member.map(str::to_owned));
                }
            }
            Item::Sudo { who, .. } | Item::Doas { who, .. } => {
                found.insert(who.clone());
            }
            Item::Default { .. }
            | Item::DoasOrder { .. }
            | Item::PolkitAdmins { .. }
            | Item::PolkitUnread { .. }
            | Item::Key { .. } => {}
        }
    }
    found
}

/// Why sshd, being strict, would not use the file: who else can write it or what it stands in.
fn modes(host: &dyn Host, paths: &[PathBuf], owner: u32, facts: &mut Facts<Item, State>) {
    for path in paths {
        let subject = format!("keys:{}", path_text(path));
        match host.stat(path) {
            Ok(stat) => {
                let refused = if stat.uid != 0 && stat.uid != owner {
                    Some("belongs to another".to_owned())
                } else if stat.mode & 0o022 != 0 {
                    Some("others can write it".to_owned())
                } else {
                    None
                };
                let mode = format!("{:04o}", stat.mode);
                facts.state.seen.insert(subject, State::File { uid: stat.uid, gid: stat.gid, mode, refused });
            }
            Err(gap) => facts.state.hide(subject, gap),
        }
    }
}

/// A line's key: its fingerprint, and what else is kept.
fn key(line: &str, path: &Path) -> Option<(String, Item)> {
    let file = path_text(path);
    if let Some((of, fingerprint)) = blob(line) {
        return Some((fingerprint, Item::Key { of, options: Vec::new(), file }));
    }
    let (options, rest) = options(line)?;
    let (of, fingerprint) = blob(rest)?;
    Some((fingerprint, Item::Key { of, options, file }))
}

/// The type and fingerprint of `TYPE BASE64 COMMENT`. The blob itself begins with its type (RFC 4253, 6.6).
fn blob(text: &str) -> Option<(String, String)> {
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let (of, encoded) = (words.next()?, words.next()?);
    let blob = STANDARD.decode(encoded).ok()?;
    let length = u32::from_be_bytes(blob.first_chunk::<4>().copied()?);
    let named = blob.get(4..)?.get(..usize::try_from(length).ok()?)?;
    (named == of.as_bytes())
        .then(|| (of.to_owned(), format!("SHA256:{}", STANDARD_NO_PAD.encode(Digest::of(&blob).as_bytes()))))
}

/// The options before a key: parted by commas, up to the first blank that no quotes hold.
fn options(line: &str) -> Option<(Vec<String>, &str)> {
    let (mut options, mut option) = (Vec::new(), String::new());
    let (mut quoted, mut escaped) = (false, false);
    for (at, sign) in line.char_indices() {
        match sign {
            ' ' | '\t' if !quoted => {
                options.push(option);
                return Some((options, line.get(at..)?));
            }
            ',' if !quoted => options.push(std::mem::take(&mut option)),
            _ => {
                if sign == '"' && !escaped {
                    quoted = !quoted;
                }
                if option.len() < 300 {
                    option.push(sign);
                }
            }
        }
        escaped = sign == '\\' && !escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Admins, Expect};
    use crate::facts::{FactSet, Facts};
    use crate::finding::Status;
    use crate::host::{GapKind, Recorded};
    use crate::lifecycle::Lifecycles;
    use crate::probe::{Context, Probe as _};
    use crate::probes::sshd::Sshd;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g";

    fn host(keys: &str) -> Recorded {
        Recorded::new()
            .file(
                "/etc/passwd",
                "root:x:0:0::/root:/bin/sh\nava:x:1000:1000::/home/ava:/bin/sh\notto:x:1001:1001::/home/otto:/bin/sh\n",
            )
            .file("/etc/group", "root:x:0:\nsudo:x:27:ava\n")
            .file("/etc/sudoers", "%sudo ALL=(ALL) ALL\n")
            .file("/root/.ssh/authorized_keys", keys)
            .file("/home/otto/.ssh/authorized_keys", KEY)
    }

    fn keys(host: &Recorded) -> Vec<(String, String)> {
        let facts: Facts<_, _> = Admins::collect(host);
        let keys = facts.items.seen.iter().filter(|(subject, _)| subject.starts_with("key:"));
        keys.map(|(subject, item)| (subject.clone(), Admins::say(item))).collect()
    }

    fn judged(host: &Recorded, expect: &str) -> Vec<(String, Status)> {
        let expect: Expect = serde_yaml::from_str(expect).unwrap();
        let lifecycles = Lifecycles::shipped().unwrap();
        let mut all = FactSet::default();
        all.insert("sshd", Arc::new(Sshd::collect(host)));
        let context = Context { now: chrono::DateTime::UNIX_EPOCH, facts: &all, lifecycles: &lifecycles };
        let told = Admins::judge(&expect, &Admins::collect(host), &context);
        told.into_iter().map(|judgement| (judgement.subject, judgement.status)).collect()
    }

    #[test]
    fn only_administrators_keys_are_items_and_comments_are_not() {
        let found = keys(&host(&format!("# a comment\n\n{KEY} otto@desk\n")));
        assert_eq!(found.len(), 1, "{found:?}");
        let (subject, said) = &found[0];
        assert!(subject.starts_with("key:root:SHA256:") && !subject.ends_with('='), "{subject}");
        assert_eq!(said, "ssh-ed25519");
        // A member of an administrative group.
        let more = host("").file("/home/ava/.ssh/authorized_keys2", format!("no-pty {KEY}"));
        assert!(keys(&more)[0].0.starts_with("key:ava:"));
    }

    #[test]
    fn options_are_kept_and_lines_that_are_no_keys_are_passed_over() {
        let lines = format!(
            "command=\"rsync --server, \\\"x\\\" y\",from=\"10.0.0.0/8\" {KEY}\nssh-rsa {}\nnonsense\n",
            &KEY[12..]
        );
        let found = keys(&host(&lines));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].1, "ssh-ed25519 with command=\"rsync --server, \\\"x\\\" y\",from=\"10.0.0.0/8\"");
    }

    #[test]
    fn keys_are_these_and_no_others() {
        let host = host(KEY);
        let fingerprint = keys(&host)[0].0.strip_prefix("key:root:").unwrap().to_owned();
        assert_eq!(judged(&host, &format!("keys: {{root: ['{fingerprint}']}}")), [("keys".into(), Status::Pass)]);
        assert_eq!(judged(&host, "keys: {}")[0].1, Status::Deviation);
        assert_eq!(judged(&host, &format!("keys: {{ava: ['{fingerprint}']}}"))[0].1, Status::Deviation);
    }

    #[test]
    fn where_sshd_looks_elsewhere_or_a_file_is_hidden_no_others_is_unknown() {
        for config in [
            "AuthorizedKeysFile /etc/keys/%u\n",
            "Match User ava\nAuthorizedKeysCommand /bin/keys\n",
            "PermitRootLogin maybe\n",
        ] {
            let told = judged(&host("").file("/etc/ssh/sshd_config", config), "keys: {}");
            assert!(
                told.iter().all(|(_, status)| *status == Status::Unknown) && !told.is_empty(),
                "{config}: {told:?}"
            );
        }
        let told =
            judged(&host("").file("/etc/ssh/sshd_config", "AuthorizedKeysFile .ssh/authorized_keys\n"), "keys: {}");
        assert_eq!(told, [("keys".into(), Status::Pass)]);
        let hidden = host("").gap("/home/ava/.ssh/authorized_keys", GapKind::Denied);
        assert!(judged(&hidden, "keys: {}").iter().any(|(_, status)| *status == Status::Unknown));
    }

    #[test]
    fn files_that_others_can_write_are_named() {
        assert_eq!(judged(&host(KEY), "key_files: safe"), [("keys".into(), Status::Pass)]);
        let open = host(KEY).with_stat("/root/.ssh", |stat| stat.mode = 0o777);
        assert_eq!(judged(&open, "key_files: safe"), [("keys:/root/.ssh".into(), Status::Deviation)]);
        assert_eq!(
            judged(&Recorded::new().file("/etc/passwd", "").file("/etc/group", ""), "key_files: safe")[0].1,
            Status::NotApplicable
        );
    }
}
