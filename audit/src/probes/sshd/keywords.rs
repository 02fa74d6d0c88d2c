//! The keywords of sshd_config(5): how many times each counts, what its argument looks like, whether a `Match` block may
//! hold it. Values are brought to one form, so that `No`, `NO` and `no` are one decision.

/// How a keyword's arguments are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `yes` or `no`.
    Flag,
    /// One of these words, in any case; the second of each pair is what it means.
    Choice(&'static [(&'static str, &'static str)]),
    /// A length of time, kept in seconds.
    Time,
    /// As `Time`, or `none`.
    TimeOrNone,
    /// A whole number.
    Number,
    /// File mode bits.
    Octal,
    /// A comma-separated list of algorithms, perhaps after `+`, `-` or `^`.
    Algorithms,
    /// One argument as written.
    One,
    /// One or two arguments as written.
    Two,
    /// One name in any case, kept in capitals.
    Capitals,
    /// Every argument of the first line.
    Words,
    /// As `Words`: addresses and ports, where a port alone is that port of every address.
    Listens,
    /// Every argument of every line.
    Added,
    /// One argument of every line.
    AddedOne,
    /// A name and a command, once for each name.
    Subsystem,
    /// The rest of the line as it stands.
    Rest,
    /// One path; what is relative begins where sshd was started, and that is `/`.
    Path,
    /// `begin:rate:full`, or one number for both ends.
    Startups,
    /// Bytes, and perhaps seconds: the first of each counts.
    Rekey,
    /// Read and passed over.
    Ignored,
    /// Not known here: every argument of the first line.
    Unknown,
}

/// What is known of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keyword {
    pub(super) kind: Kind,
    /// Whether a `Match` block may hold it.
    pub(super) in_match: bool,
    /// Whether the last of several lines counts, as sshd does with a few.
    pub(super) last: bool,
}

const YES_NO: &[(&str, &str)] = &[("yes", "yes"), ("no", "no")];
const ROOT: &[(&str, &str)] = &[
    ("without-password", "prohibit-password"),
    ("prohibit-password", "prohibit-password"),
    ("forced-commands-only", "forced-commands-only"),
    ("yes", "yes"),
    ("no", "no"),
];
const FORWARD: &[(&str, &str)] =
    &[("yes", "yes"), ("all", "yes"), ("no", "no"), ("remote", "remote"), ("local", "local")];
const COMPRESSION: &[(&str, &str)] = &[("yes", "yes"), ("delayed", "yes"), ("no", "no")];
const GATEWAY: &[(&str, &str)] = &[("clientspecified", "clientspecified"), ("yes", "yes"), ("no", "no")];
const FAMILY: &[(&str, &str)] = &[("inet", "inet"), ("inet6", "inet6"), ("any", "any")];
const RHOSTS: &[(&str, &str)] = &[("yes", "yes"), ("no", "no"), ("shosts-only", "shosts-only")];
const LEVELS: &[(&str, &str)] = &[
    ("QUIET", "QUIET"),
    ("SILENT", "QUIET"),
    ("FATAL", "FATAL"),
    ("ERROR", "ERROR"),
    ("INFO", "INFO"),
    ("VERBOSE", "VERBOSE"),
    ("DEBUG", "DEBUG1"),
    ("DEBUG1", "DEBUG1"),
    ("DEBUG2", "DEBUG2"),
    ("DEBUG3", "DEBUG3"),
];
const TUNNEL: &[(&str, &str)] =
    &[("no", "no"), ("point-to-point", "point-to-point"), ("ethernet", "ethernet"), ("yes", "yes")];

/// Other names of a keyword, by sshd_config(5) of the versions that had them.
const ALIASES: &[(&str, &str)] = &[
    ("challengeresponseauthentication", "kbdinteractiveauthentication"),
    ("skeyauthentication", "kbdinteractiveauthentication"),
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
    ("hostbasedacceptedkeytypes", "hostbasedacceptedalgorithms"),
    ("dsaauthentication", "pubkeyauthentication"),
    ("hostdsakey", "hostkey"),
    ("keepalive", "tcpkeepalive"),
];

/// Keywords that stand everywhere, in `Match` blocks too.
const EVERYWHERE: &[(&str, Kind)] = &[
    ("acceptenv", Kind::Added),
    ("allowagentforwarding", Kind::Flag),
    ("allowgroups", Kind::Added),
    ("allowstreamlocalforwarding", Kind::Choice(FORWARD)),
    ("allowtcpforwarding", Kind::Choice(FORWARD)),
    ("allowusers", Kind::Added),
    ("authenticationmethods", Kind::Words),
    ("authorizedkeyscommand", Kind::Rest),
    ("authorizedkeyscommanduser", Kind::One),
    ("authorizedkeysfile", Kind::Words),
    ("authorizedprincipalscommand", Kind::Rest),
    ("authorizedprincipalscommanduser", Kind::One),
    ("authorizedprincipalsfile", Kind::One),
    ("banner", Kind::Path),
    ("casignaturealgorithms", Kind::Algorithms),
    ("channeltimeout", Kind::Words),
    ("chrootdirectory", Kind::One),
    ("clientalivecountmax", Kind::Number),
    ("clientaliveinterval", Kind::Time),
    ("denygroups", Kind::Added),
    ("denyusers", Kind::Added),
    ("disableforwarding", Kind::Flag),
    ("exposeauthinfo", Kind::Flag),
    ("forcecommand", Kind::Rest),
    ("gatewayports", Kind::Choice(GATEWAY)),
    ("gssapiauthentication", Kind::Flag),
    ("hostbasedacceptedalgorithms", Kind::Algorithms),
    ("hostbasedauthentication", Kind::Flag),
    ("hostbasedusesnamefrompacketonly", Kind::Flag),
    ("ignorerhosts", Kind::Choice(RHOSTS)),
    ("kbdinteractiveauthentication", Kind::Flag),
    ("kerberosauthentication", Kind::Flag),
    ("loglevel", Kind::Choice(LEVELS)),
    ("logverbose", Kind::Words),
    ("maxauthtries", Kind::Number),
    ("maxsessions", Kind::Number),
    ("passwordauthentication", Kind::Flag),
    ("permitemptypasswords", Kind::Flag),
    ("permitlisten", Kind::Listens),
    ("permitopen", Kind::Words),
    ("permitrootlogin", Kind::Choice(ROOT)),
    ("permittty", Kind::Flag),
    ("permittunnel", Kind::Choice(TUNNEL)),
    ("permituserrc", Kind::Flag),
    ("pubkeyacceptedalgorithms", Kind::Algorithms),
    ("pubkeyauthentication", Kind::Flag),
    ("pubkeyauthoptions", Kind::Words),
    ("rdomain", Kind::One),
    ("refuseconnection", Kind::Flag),
    ("rekeylimit", Kind::Rekey),
    ("requiredrsasize", Kind::Number),
    ("revokedkeys", Kind::Path),
    ("setenv", Kind::Words),
    ("streamlocalbindunlink", Kind::Flag),
    // Within Match since OpenSSH 9.5.
    ("subsystem", Kind::Subsystem),
    ("trustedusercakeys", Kind::Path),
    ("unusedconnectiontimeout", Kind::TimeOrNone),
    ("x11displayoffset", Kind::Number),
    ("x11forwarding", Kind::Flag),
    ("x11uselocalhost", Kind::Flag),
    ("rhostsrsaauthentication", Kind::Ignored),
    ("rsaauthentication", Kind::Ignored),
    ("authorizedkeysfile2", Kind::Ignored),
];

/// Those that only stand outside of `Match` blocks.
const GLOBAL: &[(&str, Kind)] = &[
    ("addressfamily", Kind::Choice(FAMILY)),
    ("ciphers", Kind::Algorithms),
    ("compression", Kind::Choice(COMPRESSION)),
    ("gssapicleanupcredentials", Kind::Flag),
    ("gssapikeyexchange", Kind::Flag),
    ("gssapistorecredentialsonrekey", Kind::Flag),
    ("gssapistrictacceptorcheck", Kind::Flag),
    ("hostcertificate", Kind::AddedOne),
    ("hostkey", Kind::AddedOne),
    ("hostkeyagent", Kind::One),
    ("hostkeyalgorithms", Kind::Algorithms),
    ("ignoreuserknownhosts", Kind::Flag),
    ("kerberosorlocalpasswd", Kind::Flag),
    ("kerberosticketcleanup", Kind::Flag),
    ("kexalgorithms", Kind::Algorithms),
    ("listenaddress", Kind::AddedOne),
    ("logingracetime", Kind::Time),
    ("macs", Kind::Algorithms),
    ("modulifile", Kind::Path),
    ("permituserenvironment", Kind::One),
    ("persourcemaxstartups", Kind::One),
    ("persourcenetblocksize", Kind::One),
    ("persourcepenalties", Kind::Words),
    ("pidfile", Kind::Path),
    ("port", Kind::AddedOne),
    ("printlastlog", Kind::Flag),
    ("printmotd", Kind::Flag),
    ("securitykeyprovider", Kind::One),
    ("strictmodes", Kind::Flag),
    ("syslogfacility", Kind::Capitals),
    ("tcpkeepalive", Kind::Flag),
    ("usedns", Kind::Flag),
    ("usepam", Kind::Flag),
    ("versionaddendum", Kind::Rest),
    ("xauthlocation", Kind::Path),
    ("checkmail", Kind::Ignored),
    ("keyregenerationinterval", Kind::Ignored),
    ("protocol", Kind::Ignored),
    ("rhostsauthentication", Kind::Ignored),
    ("serverkeybits", Kind::Ignored),
    ("uselogin", Kind::Ignored),
    ("useprivilegeseparation", Kind::Ignored),
];

/// Those of which the last line counts (servconf.c sets them without looking whether they are set).
const LAST_EVERYWHERE: &[(&str, Kind)] = &[("ipqos", Kind::Two), ("streamlocalbindmask", Kind::Octal)];
const LAST_GLOBAL: &[(&str, Kind)] = &[("fingerprinthash", Kind::Capitals), ("maxstartups", Kind::Startups)];

/// The keyword's one name, in lower case.
pub(super) fn canonical(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, known)| (*known).to_owned())
}

/// What is known of the keyword called `name` (canonical).
pub(super) fn find(name: &str) -> Keyword {
    let tables =
        [(EVERYWHERE, true, false), (GLOBAL, false, false), (LAST_EVERYWHERE, true, true), (LAST_GLOBAL, false, true)];
    for (table, in_match, last) in tables {
        if let Some((_, kind)) = table.iter().find(|(known, _)| *known == name) {
            return Keyword { kind: *kind, in_match, last };
        }
    }
    Keyword { kind: Kind::Unknown, in_match: true, last: false }
}

/// The values a line gives, or what sshd would refuse. `rest` is what stands after the keyword, as written.
pub(super) fn values(kind: Kind, args: &[String], rest: &str) -> Result<Vec<String>, String> {
    let [first, more @ ..] = args else { return Err("has no value".into()) };
    let one = |value: Option<String>| match more {
        [] => value.map(|value| vec![value]).ok_or_else(|| format!("has a value sshd does not know: `{first}`")),
        [extra, ..] => Err(format!("has a word too many: `{extra}`")),
    };
    match kind {
        Kind::Flag => one(choose(YES_NO, first)),
        Kind::Choice(choices) => one(choose(choices, first)),
        Kind::Time => one(seconds(first).map(|seconds| seconds.to_string())),
        Kind::TimeOrNone if first == "none" => one(Some("none".into())),
        Kind::TimeOrNone => one(seconds(first).map(|seconds| seconds.to_string())),
        Kind::Number => one(first.parse::<i32>().ok().map(|number| number.to_string())),
        Kind::Octal => one(octal(first)),
        Kind::Algorithms | Kind::One | Kind::AddedOne if more.is_empty() => one(Some(first.clone())),
        // `ListenAddress ADDRESS rdomain DOMAIN`.
        Kind::AddedOne if more.first().is_some_and(|word| word == "rdomain") => Ok(vec![args.join(" ")]),
        Kind::Algorithms | Kind::One | Kind::AddedOne => one(None),
        Kind::Two if more.len() <= 1 => Ok(vec![format!("{first} {}", more.first().unwrap_or(first))]),
        Kind::Two => one(None),
        Kind::Capitals => one(Some(first.to_ascii_uppercase())),
        Kind::Words | Kind::Added | Kind::Unknown => Ok(args.to_vec()),
        Kind::Listens => {
            let any = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit()) || word == "*";
            Ok(args.iter().map(|word| if any(word) { format!("*:{word}") } else { word.clone() }).collect())
        }
        Kind::Subsystem if more.is_empty() => Err("has no command".into()),
        Kind::Subsystem => Ok(vec![args.join(" ")]),
        Kind::Rest => Ok(vec![rest.to_owned()]),
        Kind::Path if first.eq_ignore_ascii_case("none") => one(Some("none".into())),
        Kind::Path if first.starts_with(['/', '~']) => one(Some(first.clone())),
        Kind::Path => one(Some(format!("/{first}"))),
        Kind::Startups => one(startups(first)),
        Kind::Rekey => rekey(first, more),
        Kind::Ignored => Ok(Vec::new()),
    }
}

fn choose(choices: &[(&str, &str)], word: &str) -> Option<String> {
    choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, means)| (*means).to_owned())
}

/// A time as sshd_config(5) writes it, `TIME FORMATS`: `90`, `1m30s`, `2h`.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let (scale, skip) = match after.bytes().next() {
            None => (1, 0),
            Some(b's' | b'S') => (1, 1),
            Some(b'm' | b'M') => (60, 1),
            Some(b'h' | b'H') => (3600, 1),
            Some(b'd' | b'D') => (86_400, 1),
            Some(b'w' | b'W') => (604_800, 1),
            Some(_) => return None,
        };
        total = number.checked_mul(scale)?.checked_add(total).filter(|total| i32::try_from(*total).is_ok())?;
        rest = after.get(skip..)?;
    }
    (!text.is_empty()).then_some(total)
}

/// sshd reads it with strtol(3), and asks nothing of what follows the digits.
fn octal(text: &str) -> Option<String> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.bytes().position(|byte| !matches!(byte, b'0'..=b'7')).unwrap_or(text.len());
    let mode = u32::from_str_radix(text.get(..end)?, 8).ok().filter(|mode| *mode <= 0o777)?;
    Some(format!("0{mode:o}"))
}

fn startups(text: &str) -> Option<String> {
    let numbers: Option<Vec<i32>> = text.split(':').map(|part| part.parse().ok()).collect();
    match numbers?.as_slice() {
        [full] => Some(full.to_string()),
        [begin, rate, full] if begin <= full && (1..=100).contains(rate) => Some(text.to_owned()),
        [..] => None,
    }
}

/// Bytes, and seconds where they are given: the two are set apart.
fn rekey(bytes: &str, more: &[String]) -> Result<Vec<String>, String> {
    let wrong = || format!("has a value sshd does not know: `{bytes}`");
    let amount = if bytes.eq_ignore_ascii_case("default") { 0 } else { scaled(bytes).ok_or_else(wrong)? };
    let mut values = vec![amount.to_string()];
    match more {
        [] => {}
        [none] if none == "none" => {}
        [time] => {
            let time = seconds(time).ok_or_else(|| format!("has a time sshd does not know: `{time}`"))?;
            values.push(time.to_string());
        }
        [_, extra, ..] => return Err(format!("has a word too many: `{extra}`")),
    }
    Ok(values)
}

fn scaled(text: &str) -> Option<u64> {
    let (number, scale) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (text.get(..at)?, 1 << 10),
        (at, 'm' | 'M') => (text.get(..at)?, 1 << 20),
        (at, 'g' | 'G') => (text.get(..at)?, 1 << 30),
        _ => (text, 1),
    };
    number.parse::<u64>().ok()?.checked_mul(scale).filter(|amount| *amount == 0 || *amount >= 16)
}
