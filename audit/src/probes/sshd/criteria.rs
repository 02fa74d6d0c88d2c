//! The criteria of a `Match` line, and whether they hold for a connection: patterns, host names, networks, ports.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// One criterion: `user ava,otto`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criterion {
    /// In lower case: `user`, `group`, `host`, `address`, `localaddress`, `localport`, `rdomain`, `all`, or one this version does
    /// not know.
    pub of: String,
    /// The patterns as written; empty for `all`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wanted: String,
}

/// A connection to judge for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The user who logs in.
    pub user: Option<String>,
    /// The user's groups; without them a `Match group` is unknown.
    pub groups: Option<Vec<String>>,
    /// The client's host name.
    pub host: Option<String>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The address connected to.
    pub local_address: Option<IpAddr>,
    /// The port connected to.
    pub local_port: Option<u16>,
}

/// The criteria after `Match`, as written there.
pub(super) fn parse(rest: &str) -> Result<Vec<Criterion>, String> {
    let words = delimited(rest).ok_or("a quote is not closed")?;
    let mut words = words.into_iter().take_while(|word| !word.starts_with('#'));
    let mut criteria = Vec::new();
    while let Some(of) = words.next() {
        let of = of.to_ascii_lowercase();
        if of == "all" {
            if !criteria.is_empty() || words.next().is_some() {
                return Err("`all` cannot be combined with other criteria".into());
            }
            return Ok(vec![Criterion { of, wanted: String::new() }]);
        }
        if of == "invalid-user" {
            criteria.push(Criterion { of, wanted: String::new() });
            continue;
        }
        let wanted = words.next().filter(|wanted| !wanted.is_empty()).ok_or(format!("`Match {of}` names nothing"))?;
        let holds = match of.as_str() {
            "user" | "group" | "host" | "rdomain" | "version" | "sessiontype" | "command" => true,
            "address" | "localaddress" => wanted.split(',').all(is_address_pattern),
            "localport" => wanted.parse::<u16>().is_ok_and(|port| port > 0),
            _ => false,
        };
        if !holds {
            return Err(format!("`Match {of} {wanted}` is not understood"));
        }
        criteria.push(Criterion { of, wanted });
    }
    if criteria.is_empty() {
        return Err("`Match` has no criteria".into());
    }
    Ok(criteria)
}

/// Words as strdelim of misc.c makes them: blanks and one `=` part them, double quotes hold them together.
fn delimited(rest: &str) -> Option<Vec<String>> {
    let blank = [' ', '\t', '\r', '\n'];
    let mut words = Vec::new();
    let mut rest = rest.trim_start_matches(blank);
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find([' ', '\t', '\r', '\n', '=', '"']).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        let after = after.trim_start_matches(blank);
        let skipped = after.strip_prefix('=').unwrap_or(after).trim_start_matches(blank);
        rest = if skipped.len() < rest.len() { skipped } else { "" };
    }
    Some(words)
}

/// Whether all `criteria` hold for `connection`; `None` where the connection does not say.
pub(super) fn hold(criteria: &[Criterion], connection: &Connection) -> Option<bool> {
    let mut unknown = false;
    for criterion in criteria {
        match holds(criterion, connection) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => unknown = true,
        }
    }
    (!unknown).then_some(true)
}

fn holds(criterion: &Criterion, connection: &Connection) -> Option<bool> {
    let wanted = criterion.wanted.as_str();
    match criterion.of.as_str() {
        "all" => Some(true),
        "user" => Some(in_list(connection.user.as_deref()?, wanted, false) == Listed::Yes),
        "group" => Some(in_groups(connection.groups.as_deref()?, wanted)),
        // match_hostname compares in lower case.
        "host" => Some(in_list(&connection.host.as_deref()?.to_ascii_lowercase(), wanted, true) == Listed::Yes),
        "address" => Some(in_networks(connection.address?, wanted)),
        "localaddress" => Some(in_networks(connection.local_address?, wanted)),
        "localport" => Some(wanted.parse() == Ok(connection.local_port?)),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Yes,
    Not,
    Excluded,
}

/// match_pattern_list of match.c: one that matches a negated pattern is excluded, whatever else matches.
fn in_list(text: &str, list: &str, lower: bool) -> Listed {
    let mut listed = Listed::Not;
    for pattern in list.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        let pattern = if lower { pattern.to_ascii_lowercase() } else { pattern.to_owned() };
        if matches(text.as_bytes(), pattern.as_bytes()) {
            if negated {
                return Listed::Excluded;
            }
            listed = Listed::Yes;
        }
    }
    listed
}

/// ga_match_pattern_list of groupaccess.c: a group that is excluded counts against the user at once.
fn in_groups(groups: &[String], list: &str) -> bool {
    let mut found = false;
    for group in groups {
        match in_list(group, list, false) {
            Listed::Excluded => return false,
            Listed::Yes => found = true,
            Listed::Not => {}
        }
    }
    found
}

/// `*` any number of characters, `?` one; in time proportional to both lengths multiplied.
pub(super) fn matches(text: &[u8], pattern: &[u8]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(b'?') => {
                t += 1;
                p += 1;
            }
            Some(byte) if Some(byte) == text.get(t) => {
                t += 1;
                p += 1;
            }
            Some(_) | None => {
                let Some((after, from)) = star else { return false };
                star = Some((after, from + 1));
                p = after;
                t = from + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address = parsed(address)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    // sshd refuses an address with bits set beyond its mask.
    (bits <= most && masked(address, bits) == masked(address, most)).then_some((address, bits))
}

/// An address as getaddrinfo(3) reads it: a part that begins with 0 is octal.
fn parsed(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let part = |part: &str| u8::from_str_radix(part, if part.starts_with('0') { 8 } else { 10 }).ok();
    let parts: Option<Vec<u8>> = text.split('.').map(part).collect();
    <[u8; 4]>::try_from(parts?).ok().map(IpAddr::from)
}

fn masked(address: IpAddr, bits: u8) -> u128 {
    let (value, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let drop = width - u32::from(bits).min(width);
    value.checked_shr(drop).and_then(|kept| kept.checked_shl(drop)).unwrap_or(0)
}

/// addr_match_list of addrmatch.c: a network, or a pattern of the address as written.
fn in_networks(address: IpAddr, list: &str) -> bool {
    let text = address.to_string();
    let mut found = false;
    for pattern in list.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        let matched = match network(pattern) {
            Some((network, bits)) => {
                network.is_ipv4() == address.is_ipv4() && masked(address, bits) == masked(network, bits)
            }
            None => matches(text.as_bytes(), pattern.as_bytes()),
        };
        if matched && negated {
            return false;
        }
        found |= matched;
    }
    found
}

/// What sshd refuses is only a network whose mask does not fit its address; all else is a pattern, if a useless one.
fn is_address_pattern(pattern: &str) -> bool {
    let pattern = pattern.strip_prefix('!').unwrap_or(pattern);
    let Some((address, bits)) = pattern.split_once('/') else { return !pattern.is_empty() };
    let readable = parsed(address).is_some() && bits.parse::<u8>().is_ok_and(|bits| bits <= 128);
    !readable || network(pattern).is_some()
}
