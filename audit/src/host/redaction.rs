//! What leaves a recording before it is given away, and how, so that probes judge it as they judge the host.
//!
//! | where | what | becomes |
//! | --- | --- | --- |
//! | everywhere | private keys in PEM, and what stands before `@` in a URL | nothing; `redacted` |
//! | `/etc/shadow`, `/etc/passwd` | salts and hashes of passwords, and what else is no known mark | `x`s, the algorithm kept |
//! | WireGuard | `PrivateKey`, `PresharedKey`, and the commands of `PreUp` and its kin | `redacted` |
//! | OpenVPN | inline blocks but certificates, passwords of proxies | nothing; `redacted` |
//! | IPsec | secrets, passwords and PINs | `redacted` |
//! | Docker, Podman | environments, labels, annotations, commands and their arguments, proxies | empty |
//! | units, crontabs, `at`'s jobs, quadlets, init scripts, logging, apt and dnf, fstab | values of environments, and of what is called a password, secret, token, credential or key of an API | `redacted` |
//! | `/etc/machine-id`, the boot id | the id | one that is the same for every host |
//!
//! What a digest is taken of (jobs of cron and at, units and their drop-ins) has another digest where something of it was replaced.
//! Left as they are: names of host, accounts and packages, addresses, public keys, the kernel's command line, and whatever
//! files a baseline names beside these. A recording of a host whose secrets stand elsewhere holds them.

use std::borrow::Cow;

use serde_json::Value;

const REDACTED: &str = "redacted";
/// Parts of names whose values are secret.
const SECRET: [&str; 11] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "api_key", "api-key", "pwd", "psk"];
/// Marks in a password's field that are no password.
const MARKS: [&str; 9] = ["", "x", "*", "!", "!!", "!*", "*LK*", "*NP*", "!x"];

/// The bytes at `path` as they may be given away.
pub(super) fn redacted(path: &str, bytes: &[u8]) -> Vec<u8> {
    if matches!(path, "/etc/machine-id" | "/proc/sys/kernel/random/boot_id") {
        return identity(bytes);
    }
    // A database is read by its offsets, and holds nothing of this.
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let under = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    let text = without_keys(text);
    let text = if under(&["/etc/shadow", "/etc/passwd"]) {
        lines(&text, &|line| Some(account(line)))
    } else if under(&["/var/lib/docker", "/var/lib/containers", "/etc/docker"]) {
        json(&text)
    } else if under(&["/etc/wireguard"]) {
        lines(&text, &|line| {
            keyed(line, '=', &["privatekey", "presharedkey", "preup", "postup", "predown", "postdown"])
        })
    } else if under(&["/etc/openvpn"]) {
        inline(&text)
    } else if under(&["/etc/ipsec", "/etc/swanctl"]) {
        lines(&text, &|line| keyed(line, '=', &["secret", "password", "pin", "passphrase"]))
    } else if under(&[
        "/etc/systemd",
        "/run/systemd",
        "/usr/lib/systemd",
        "/usr/local/lib/systemd",
        "/lib/systemd",
        "/etc/containers",
        "/usr/share/containers",
        "/var/lib/lxc",
        "/etc/cron",
        "/etc/anacrontab",
        "/etc/periodic",
        "/var/spool",
        "/etc/init.d",
        "/etc/rsyslog",
        "/etc/syslog-ng",
        "/etc/apt",
        "/etc/dnf",
        "/etc/fstab",
    ]) {
        lines(&text, &|line| Some(settings(line)))
    } else {
        text.into_owned()
    };
    without_users(&text).into_bytes()
}

/// An id of the same shape.
fn identity(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let plain = text.chars().all(|c| c.is_ascii_hexdigit() || c == '-' || c.is_whitespace());
    let masked = |c: char| if c.is_ascii_hexdigit() { '1' } else { c };
    if plain { text.chars().map(masked).collect::<String>().into_bytes() } else { bytes.to_vec() }
}

/// Each line by itself, its end kept; one that `change` leaves alone is as it was.
fn lines(text: &str, change: &dyn Fn(&str) -> Option<String>) -> String {
    let mut changed = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (body, end) = line.strip_suffix('\n').map_or((line, ""), |body| (body, "\n"));
        changed.push_str(change(body).as_deref().unwrap_or(body));
        changed.push_str(end);
    }
    changed
}

/// Without what stands between the lines that frame a private key.
fn without_keys(text: &str) -> Cow<'_, str> {
    if !text.contains("PRIVATE KEY") {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let frame = line.contains("PRIVATE KEY");
        inside &= !frame;
        if !inside {
            kept.push_str(line);
        }
        inside |= frame && line.contains("BEGIN");
    }
    Cow::Owned(kept)
}

/// `https://user:word@host` without its user. `@` in a path is none.
fn without_users(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        kept.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/\"'<>,".contains(c)).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                kept.push_str(REDACTED);
                kept.push('@');
                kept.push_str(host);
            }
            None => kept.push_str(authority),
        }
        rest = tail;
    }
    kept + rest
}

/// A line of shadow(5) or passwd(5): its second field, masked.
fn account(line: &str) -> String {
    let mut fields = line.splitn(3, ':');
    let (Some(name), Some(field), rest) = (fields.next(), fields.next(), fields.next()) else { return line.to_owned() };
    let masked = masked(field);
    match rest {
        Some(rest) => format!("{name}:{masked}:{rest}"),
        None => format!("{name}:{masked}"),
    }
}

/// A password's field of the same kind: crypt(5)'s prefix and parameters stay, of salt and hash their length alone.
fn masked(field: &str) -> String {
    let body = field.trim_start_matches('!');
    if MARKS.contains(&field) || MARKS.contains(&body) {
        return field.to_owned();
    }
    let locks = field.get(..field.len() - body.len()).unwrap_or_default();
    let mask = |text: &str| text.chars().map(|c| if c == '$' { c } else { 'x' }).collect::<String>();
    let parts: Vec<&str> = body.split('$').collect();
    let masked = match parts.as_slice() {
        // `$id$…$salt$hash`: bcrypt has salt and hash in one.
        ["", id, cost, both] if id.starts_with('2') => format!("${id}${cost}${}", mask(both)),
        ["", id, middle @ .., salt, hash] => {
            let middle: String = middle.iter().map(|part| format!("${part}")).collect();
            format!("${id}{middle}${}${}", mask(salt), mask(hash))
        }
        ["", id, hash] => format!("${id}${}", mask(hash)),
        _ => match body.strip_prefix('_') {
            Some(rest) => format!("_{}", mask(rest)),
            None => mask(body),
        },
    };
    format!("{locks}{masked}")
}

/// `Key = value` with one of these keys: its value replaced. Keys are lower case, and begin the line's key.
fn keyed(line: &str, between: char, keys: &[&str]) -> Option<String> {
    let (key, _) = line.split_once(between)?;
    // A block in one line: `ike { secret = x }`.
    let word =
        key.trim().rsplit(|c: char| c.is_whitespace() || c == '{').next().unwrap_or_default().to_ascii_lowercase();
    let closes: String = line.chars().filter(|c| *c == '}').collect();
    keys.iter()
        .any(|known| word.starts_with(known))
        .then(|| format!("{key}{between} {REDACTED} {closes}").trim_end().to_owned())
}

/// OpenVPN's inline blocks but certificates, and words that follow a password's option.
fn inline(text: &str) -> String {
    const KEPT: [&str; 4] = ["<ca>", "<cert>", "<extra-certs>", "<connection>"];
    let mut kept = String::with_capacity(text.len());
    let mut within: Option<String> = None;
    for line in text.split_inclusive('\n') {
        let word = line.trim();
        if within.as_ref().is_some_and(|end| word == end) {
            within = None;
        }
        if within.is_some() {
            continue;
        }
        let opens = word.starts_with('<') && word.ends_with('>') && !word.starts_with("</");
        if opens && !KEPT.contains(&word) {
            within = Some(word.replacen('<', "</", 1));
        }
        kept.push_str(line);
    }
    lines(&kept, &|line| Some(settings(line)))
}

/// Values of an environment, and of whatever is called a secret, within a line of words.
fn settings(line: &str) -> String {
    let trimmed = line.trim_start();
    for key in ["Environment=", "SetCredential=", "SetCredentialEncrypted=", "lxc.environment"] {
        if trimmed.starts_with(key) {
            let (key, _) = line.split_once('=').unwrap_or((line, ""));
            return format!("{key}={REDACTED}");
        }
    }
    // Words with the blanks between them.
    let mut kept = String::with_capacity(line.len());
    let mut next_is_secret = false;
    for piece in line.split_inclusive([' ', '\t', ',', ';', '(', ')']) {
        let word = piece.trim_end_matches([' ', '\t', ',', ';', '(', ')']);
        let end = piece.get(word.len()..).unwrap_or_default();
        if next_is_secret && !word.is_empty() {
            next_is_secret = false;
            kept.push_str(REDACTED);
            kept.push_str(end);
            continue;
        }
        match word.split_once(['=', ':']) {
            Some((name, value)) if is_secret(name) && !value.is_empty() => {
                let between = word.get(name.len()..name.len() + 1).unwrap_or("=");
                // What opened a quote also closes it.
                let quote = value.chars().next().filter(|c| "\"'".contains(*c)).map(String::from).unwrap_or_default();
                kept.push_str(&format!("{name}{between}{quote}{REDACTED}{quote}"));
            }
            // An option within a key's value: `PodmanArgs=--password x`.
            Some((name, value)) => {
                next_is_secret = value.starts_with('-') && !value.contains('=') && is_secret(value);
                kept.push_str(word.get(..=name.len()).unwrap_or(word));
                kept.push_str(&if next_is_secret { value.to_owned() } else { settings(value) });
            }
            None => {
                next_is_secret = word.starts_with('-') && is_secret(word);
                kept.push_str(word);
            }
        }
        kept.push_str(end);
    }
    kept
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|word| name.contains(word))
}

/// A container's own documents without what was told to it; what is no JSON is left out whole.
fn json(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(mut value) => {
            empty(&mut value);
            value.to_string()
        }
        // quadlets and configuration of lines stand there too.
        Err(_) => lines(text, &|line| Some(settings(line))),
    }
}

fn empty(value: &mut Value) {
    const TOLD: [&str; 13] = [
        "env",
        "labels",
        "annotations",
        "args",
        "cmd",
        "entrypoint",
        "path",
        "command",
        "healthcheck",
        "proxies",
        "history",
        "metadata",
        "storage-opts",
    ];
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                let key = key.to_ascii_lowercase();
                if TOLD.contains(&key.as_str()) || key.contains("proxy") || is_secret(&key) {
                    *inner = match inner {
                        Value::Array(_) => Value::Array(Vec::new()),
                        Value::Object(_) => Value::Object(serde_json::Map::new()),
                        Value::String(_) => Value::String(REDACTED.into()),
                        Value::Null | Value::Bool(_) | Value::Number(_) => continue,
                    };
                } else {
                    empty(inner);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(empty),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, text: &str) -> String {
        String::from_utf8(redacted(path, text.as_bytes())).unwrap()
    }

    #[test]
    fn of_a_password_its_kind_stays() {
        for (field, masked) in [
            ("$y$j9T$saltsalt$hashhash", "$y$j9T$xxxxxxxx$xxxxxxxx"),
            ("$6$rounds=5000$salt$hash./", "$6$rounds=5000$xxxx$xxxxxx"),
            ("$2b$12$abcdefg", "$2b$12$xxxxxxx"),
            ("!$1$salt$hash", "!$1$xxxx$xxxx"),
            ("!!", "!!"),
            ("*", "*"),
            ("x", "x"),
            ("", ""),
            ("ab12345678901", "xxxxxxxxxxxxx"),
            ("_abcdefghijklmnopqrs", "_xxxxxxxxxxxxxxxxxxx"),
            ("hunter2", "xxxxxxx"),
        ] {
            let line = format!("ava:{field}:19000:0:99999:7:::\n");
            assert_eq!(text("/etc/shadow", &line), format!("ava:{masked}:19000:0:99999:7:::\n"));
        }
    }

    #[test]
    fn keys_and_words_that_open_something_are_gone_and_the_rest_stays() {
        for (path, before, after) in [
            (
                "/etc/any.pem",
                "a\n-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\nb\n",
                "a\n-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\nb\n",
            ),
            (
                "/etc/apt/sources.list",
                "deb https://u:hunter2@deb.example.org/x y main\n",
                "deb https://redacted@deb.example.org/x y main\n",
            ),
            (
                "/etc/wireguard/wg0.conf",
                "[Peer]\nPresharedKey = hunter2\nAllowedIPs = ::/0\n",
                "[Peer]\nPresharedKey = redacted\nAllowedIPs = ::/0\n",
            ),
            (
                "/etc/openvpn/client/a.conf",
                "client\n<key>\nhunter2\n</key>\n<ca>\nx\n</ca>\n",
                "client\n<key>\n</key>\n<ca>\nx\n</ca>\n",
            ),
            (
                "/etc/swanctl/conf.d/a.conf",
                "secrets { ike { secret = hunter2 } }\n",
                "secrets { ike { secret = redacted }}\n",
            ),
            (
                "/etc/crontab",
                "1 2 * * * root DB_PASSWORD=hunter2 dump --token hunter2 --host=x\n",
                "1 2 * * * root DB_PASSWORD=redacted dump --token redacted --host=x\n",
            ),
            (
                "/etc/systemd/system/a.service.d/b.conf",
                "[Service]\nEnvironment=\"A=hunter2\"\nExecStart=/x\n",
                "[Service]\nEnvironment=redacted\nExecStart=/x\n",
            ),
            (
                "/etc/rsyslog.conf",
                "action(type=\"ommysql\" pwd=\"hunter2\" server=\"x\")\n",
                "action(type=\"ommysql\" pwd=\"redacted\" server=\"x\")\n",
            ),
            (
                "/etc/docker/daemon.json",
                "{\"hosts\":[\"a\"],\"http-proxy\":\"hunter2\"}",
                "{\"hosts\":[\"a\"],\"http-proxy\":\"redacted\"}",
            ),
            ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n", "11111111111111111111111111111111\n"),
        ] {
            assert_eq!(text(path, before), after, "{path}");
        }
        for path in ["/etc/ssh/sshd_config", "/etc/login.defs", "/etc/pam.d/x", "/etc/sudoers"] {
            let plain = "PasswordAuthentication no\nDefaults passwd_tries=3\nava ALL=NOPASSWD: ALL\nPASS_MAX_DAYS 9\n";
            assert_eq!(text(path, plain), plain);
        }
    }
}
