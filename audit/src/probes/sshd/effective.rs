//! What sshd does: what is set, what applies where nothing is, and what a connection gets.
//!
//! Defaults are those of sshd_config(5), as `sshd -T` prints them. They have stood still since OpenSSH 7.4 but for the
//! lists of algorithms, most of which are known here for 9.0 to 9.8 alone, and a few that makers of distributions change
//! (`KexAlgorithms`, `IPQoS`, `PidFile`, `XAuthLocation`, everything of GSSAPI key exchange), which are not known.

use std::collections::BTreeMap;

use super::criteria::{self, Connection, Criterion};
use super::keywords::{self, Kind};
use super::lines::{self, Setting, Settings};
use super::{Item, SshdFacts};

/// An OpenSSH version: `9.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// Out of a package's version: `1:9.2p1-2+deb12u7`, `8.7p1-38.el9`, `9.3_p2-r0`.
    pub fn of_package(version: &str) -> Option<Self> {
        let version = version.split_once(':').map_or(version, |(_, version)| version);
        let (major, rest) = version.split_once('.')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        Some(Self(major.parse().ok()?, rest.get(..digits)?.parse().ok()?))
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Somebody set it.
    Set(Vec<String>),
    /// The version's default.
    Default(Vec<String>),
    /// Not known, and why.
    Unknown(String),
}

const DEFAULTS: &[(&str, &str)] = &[
    ("addressfamily", "any"),
    ("allowagentforwarding", "yes"),
    ("allowstreamlocalforwarding", "yes"),
    ("allowtcpforwarding", "yes"),
    ("authenticationmethods", "any"),
    ("authorizedkeyscommand", "none"),
    ("authorizedkeyscommanduser", "none"),
    ("authorizedkeysfile", ".ssh/authorized_keys .ssh/authorized_keys2"),
    ("authorizedprincipalscommand", "none"),
    ("authorizedprincipalscommanduser", "none"),
    ("authorizedprincipalsfile", "none"),
    ("banner", "none"),
    ("chrootdirectory", "none"),
    ("clientalivecountmax", "3"),
    ("clientaliveinterval", "0"),
    ("compression", "yes"),
    ("disableforwarding", "no"),
    ("exposeauthinfo", "no"),
    ("fingerprinthash", "SHA256"),
    ("forcecommand", "none"),
    ("gatewayports", "no"),
    ("gssapiauthentication", "no"),
    ("hostbasedauthentication", "no"),
    ("hostbasedusesnamefrompacketonly", "no"),
    ("hostkeyagent", "none"),
    ("ignorerhosts", "yes"),
    ("ignoreuserknownhosts", "no"),
    ("kbdinteractiveauthentication", "yes"),
    ("kerberosauthentication", "no"),
    ("logingracetime", "120"),
    ("loglevel", "INFO"),
    ("maxauthtries", "6"),
    ("maxsessions", "10"),
    ("maxstartups", "10:30:100"),
    ("passwordauthentication", "yes"),
    ("permitemptypasswords", "no"),
    ("permitlisten", "any"),
    ("permitopen", "any"),
    ("permitrootlogin", "prohibit-password"),
    ("permittty", "yes"),
    ("permittunnel", "no"),
    ("permituserenvironment", "no"),
    ("permituserrc", "yes"),
    ("port", "22"),
    ("printlastlog", "yes"),
    ("printmotd", "yes"),
    ("pubkeyauthentication", "yes"),
    ("pubkeyauthoptions", "none"),
    ("rekeylimit", "0 0"),
    ("revokedkeys", "none"),
    ("streamlocalbindmask", "0177"),
    ("streamlocalbindunlink", "no"),
    ("strictmodes", "yes"),
    ("syslogfacility", "AUTH"),
    ("tcpkeepalive", "yes"),
    ("trustedusercakeys", "none"),
    ("usedns", "no"),
    ("usepam", "no"),
    ("versionaddendum", "none"),
    ("x11displayoffset", "10"),
    ("x11forwarding", "no"),
    ("x11uselocalhost", "yes"),
];

/// Lists that are empty where nobody wrote one.
const EMPTY: [&str; 9] = [
    "acceptenv",
    "allowgroups",
    "allowusers",
    "denygroups",
    "denyusers",
    "hostcertificate",
    "logverbose",
    "setenv",
    "subsystem",
];

const KEYS: &str = "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,\
    sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,\
    ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
    rsa-sha2-512,rsa-sha2-256";

/// Lists of OpenSSH 9.0 to 9.8, in its order.
const ALGORITHMS: [(&str, &str); 6] = [
    (
        "ciphers",
        "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com",
    ),
    (
        "macs",
        "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,\
         hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,\
         hmac-sha2-256,hmac-sha2-512,hmac-sha1",
    ),
    (
        "casignaturealgorithms",
        "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,\
         sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256",
    ),
    ("hostbasedacceptedalgorithms", KEYS),
    ("hostkeyalgorithms", KEYS),
    ("pubkeyacceptedalgorithms", KEYS),
];

/// The value of `keyword` (canonical) where nobody set it.
pub(super) fn default(keyword: &str, version: Option<Version>) -> Result<Vec<String>, String> {
    let Some(version) = version else {
        return Err(format!("`{keyword}` is not set, and the version whose default applies is not known"));
    };
    let of = format!("OpenSSH {}.{}", version.0, version.1);
    if version < Version(7, 4) {
        return Err(format!("`{keyword}` is not set, and the defaults of {of} are not known here"));
    }
    if EMPTY.contains(&keyword) {
        return Ok(Vec::new());
    }
    if let Some((_, value)) = DEFAULTS.iter().find(|(known, _)| *known == keyword) {
        return Ok(value.split(' ').map(str::to_owned).collect());
    }
    // What the server offers of ciphers and codes is the same set from 7.4 to 10.2; 10.0 only changed its order.
    let newest = if ["ciphers", "macs"].contains(&keyword) { Version(10, 2) } else { Version(9, 8) };
    let oldest = if ["ciphers", "macs"].contains(&keyword) { Version(7, 4) } else { Version(9, 0) };
    let known = (oldest..=newest).contains(&version);
    if known && let Some((_, list)) = ALGORITHMS.iter().find(|(known, _)| *known == keyword) {
        return Ok(vec![(*list).to_owned()]);
    }
    Err(format!("`{keyword}` is not set, and its default in {of} is not known here"))
}

/// What `keyword` comes to, where it is set to `set`: lists of algorithms are put together with their default.
pub(super) fn resolve(keyword: &str, set: Option<&[String]>, version: Option<Version>) -> Value {
    let or_default = || match default(keyword, version) {
        Ok(values) => Value::Default(values),
        Err(why) => Value::Unknown(why),
    };
    let Some(set) = set else { return or_default() };
    if let (Kind::Rekey, [bytes]) = (keywords::find(keyword).kind, set) {
        return Value::Set(vec![bytes.clone(), "0".into()]);
    }
    let [list] = set else { return Value::Set(set.to_vec()) };
    if keywords::find(keyword).kind != Kind::Algorithms || !list.starts_with(['+', '-', '^']) {
        return Value::Set(set.to_vec());
    }
    match or_default() {
        Value::Unknown(why) => Value::Unknown(format!("`{keyword} {list}` changes the default list; {why}")),
        Value::Set(default) | Value::Default(default) => match assemble(list, &default.concat()) {
            Some(whole) => Value::Set(vec![whole]),
            None => Value::Unknown(format!("`{keyword} {list}` has a pattern; what it adds depends on the build")),
        },
    }
}

/// kex_assemble_names of kex.c: `+` appends, `^` puts first, `-` takes away by pattern.
fn assemble(change: &str, default: &str) -> Option<String> {
    let (sign, names) = change.split_at_checked(1)?;
    let defaults = default.split(',');
    let mut whole: Vec<&str> = Vec::new();
    match sign {
        "-" => {
            let taken = |name: &&str| !names.split(',').any(|p| criteria::matches(name.as_bytes(), p.as_bytes()));
            whole.extend(defaults.filter(taken));
        }
        _ if names.contains(['*', '?', '!']) => return None,
        "+" => {
            whole.extend(defaults);
            whole.extend(names.split(','));
        }
        _ => {
            whole.extend(names.split(','));
            whole.extend(defaults);
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    whole.retain(|name| seen.insert(*name));
    Some(whole.join(","))
}

/// A block as an item holds it.
pub(super) type Seen<'a> = (&'a str, &'a [Criterion], &'a BTreeMap<String, Vec<String>>);

/// The blocks in their order: subject, criteria, settings.
pub(super) fn blocks(facts: &SshdFacts) -> Vec<Seen<'_>> {
    let order = facts.items.seen.values().find_map(|item| match item {
        Item::Order { blocks } => Some(blocks.as_slice()),
        Item::Setting { .. } | Item::Match { .. } | Item::Options { .. } => None,
    });
    let mut found = Vec::new();
    for subject in order.unwrap_or_default() {
        if let Some(Item::Match { criteria, settings }) = facts.items.seen.get(subject) {
            found.push((subject.as_str(), criteria.as_slice(), settings));
        }
    }
    found
}

/// What is set globally, by keyword.
pub(super) fn global(facts: &SshdFacts) -> BTreeMap<&str, &[String]> {
    let mut found: BTreeMap<&str, &[String]> = BTreeMap::new();
    for (subject, item) in &facts.items.seen {
        if let (Some(keyword), Item::Setting { values, .. }) = (subject.strip_prefix("set:"), item) {
            found.insert(keyword, values);
        }
    }
    found
}

/// What every keyword comes to for `connection`, or globally for none: what `sshd -T` prints. Values of a `Match` block
/// that holds stand in for the global ones. Where it is not known whether a block holds, what it sets is unknown.
pub fn effective(
    facts: &SshdFacts,
    version: Option<Version>,
    connection: Option<&Connection>,
) -> BTreeMap<String, Value> {
    let mut set: BTreeMap<String, Vec<String>> =
        global(facts).into_iter().map(|(keyword, values)| (keyword.to_owned(), values.to_vec())).collect();
    let mut unknown: BTreeMap<String, String> = BTreeMap::new();
    if let Some(connection) = connection {
        let mut matched = Settings::new();
        for (subject, criteria, settings) in blocks(facts) {
            let holds = criteria::hold(criteria, connection);
            for (keyword, values) in settings {
                match holds {
                    Some(true) => {
                        let setting = Setting { values: values.clone(), file: String::new() };
                        lines::add(&mut matched, keyword.clone(), setting);
                    }
                    Some(false) => {}
                    None if matched.contains_key(keyword) && !accumulates(keyword) => {}
                    None => {
                        let why = format!("whether `{subject}` holds for this connection is not known");
                        unknown.entry(keyword.clone()).or_insert(why);
                    }
                }
            }
        }
        for (keyword, Setting { mut values, .. }) in matched {
            let old = set.remove(&keyword).unwrap_or_default();
            if keywords::find(&keyword).kind == Kind::Rekey {
                values.extend(old.into_iter().skip(values.len()));
            }
            set.insert(keyword, values);
        }
    }
    let names = DEFAULTS.iter().chain(&ALGORITHMS).map(|(name, _)| *name).chain(EMPTY);
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    for keyword in names {
        found.insert(keyword.to_owned(), resolve(keyword, set.get(keyword).map(Vec::as_slice), version));
    }
    for (keyword, values) in &set {
        found.insert(keyword.clone(), resolve(keyword, Some(values), version));
    }
    found.extend(unknown.into_iter().map(|(keyword, why)| (keyword, Value::Unknown(why))));
    found
}

fn accumulates(keyword: &str) -> bool {
    let known = keywords::find(keyword);
    known.last || matches!(known.kind, Kind::Added | Kind::AddedOne | Kind::Subsystem)
}
