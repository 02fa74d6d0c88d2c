//! Rules over what was seen of certificates.

use chrono::{DateTime, TimeDelta, Utc};

use super::expect::{Expect, Forbidden, Strong};
use super::{Certificate, Item, KeyFile};
use crate::digest::Digest;
use crate::facts::Observed;
use crate::finding::{Judgement, Status};
use crate::host::{Gap, GapKind};
use crate::probes::files::paths::{ASKED, Asking};

/// Hashes for which two texts with one sum can be made, as signatures name them.
const WEAK: [&str; 4] = ["MD2 ", "MD4 ", "MD5 ", "SHA-1 "];

pub(super) fn judge(expect: &Expect, items: &Observed<Item>, now: DateTime<Utc>) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    for asking in expect.paths.iter().flatten() {
        judgements.extend(path(expect, asking, items, now));
    }
    for asking in expect.keys.iter().flatten() {
        judgements.extend(keys(asking, items));
    }
    if let Some(roots) = &expect.roots {
        judgements.extend(closed(roots, items, "root", "trusted roots"));
    }
    if let Some(roots) = &expect.added_roots {
        judgements.extend(closed(roots, items, "added", "roots added on this host"));
    }
    judgements
}

/// The day of an instant: `2027-01-31`.
pub(super) fn day(seconds: i64) -> String {
    // Certificates may name the year 9999, and damaged ones what no calendar holds.
    DateTime::from_timestamp(seconds, 0).map_or_else(|| format!("{seconds} s"), |at| at.format("%Y-%m-%d").to_string())
}

fn was_asked(asking: &Asking, items: &Observed<Item>) -> Result<(), Gap> {
    let seen = &items.seen;
    let covered = |text: &str| Asking::try_from(text.to_owned()).is_ok_and(|other| other.matches(asking.as_str()));
    let mut asked = seen.range(ASKED.to_owned()..).map_while(|(subject, _)| subject.strip_prefix(ASKED));
    let same = seen.contains_key(&format!("{ASKED}{}", asking.as_str()));
    if same || (asking.literal().is_some() && asked.any(covered)) {
        return Ok(());
    }
    Err(items.whole_gap().cloned().unwrap_or_else(|| unasked(asking.as_str())))
}

fn unasked(what: &str) -> Gap {
    Gap::new(GapKind::Undeclared, what, "the host's own baseline does not have it looked at")
}

fn path(expect: &Expect, asking: &Asking, items: &Observed<Item>, now: DateTime<Utc>) -> Vec<Judgement> {
    let wanted = "certificates as they should be";
    if let Err(gap) = was_asked(asking, items) {
        return vec![Judgement::unseen(&gap, asking.as_str(), wanted)];
    }
    let below = asking.literal().map_or_else(|| asking.below(), |_| format!("{}:", asking.as_str()));
    let all = items.seen.range(below.clone()..).take_while(|(subject, _)| subject.starts_with(&below));
    let mut judgements = Vec::new();
    let mut count = 0;
    for (subject, item) in all {
        let (Item::Certificate(certificate), Some((file, number))) = (item, subject.rsplit_once(':')) else { continue };
        if asking.matches(file) {
            count += 1;
            judgements.extend(one(expect, subject, number == "1", certificate, now));
        }
    }
    let touches = |prefix: &&String| prefix.starts_with(&below) || below.starts_with(prefix.as_str());
    let gaps: Vec<Judgement> = items
        .gaps
        .iter()
        .filter(|(prefix, _)| touches(prefix))
        .map(|(prefix, gap)| Judgement::unseen(gap, if prefix.is_empty() { asking.as_str() } else { prefix }, wanted))
        .collect();
    let hidden = !gaps.is_empty();
    judgements.extend(gaps);
    if judgements.is_empty() {
        let (status, said) = match count {
            0 if !hidden => (Status::NotApplicable, "not there".to_owned()),
            1 => (Status::Pass, "one certificate".to_owned()),
            _ => (Status::Pass, format!("{count} certificates")),
        };
        judgements.push(Judgement::new(status, asking.as_str(), wanted, said));
    }
    judgements
}

/// What contradicts the rule about one certificate.
fn one(
    expect: &Expect,
    subject: &str,
    is_first: bool,
    certificate: &Certificate,
    now: DateTime<Utc>,
) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    let mut bad = |expected: String, observed: String| {
        let observed = format!("{}: {observed}", certificate.name);
        judgements.push(Judgement::new(Status::Deviation, subject, expected, observed));
    };
    if let Some(length) = expect.valid_for {
        let longer = TimeDelta::try_milliseconds(i64::try_from(length.milliseconds()).unwrap_or(i64::MAX));
        let until = longer.and_then(|longer| now.checked_add_signed(longer)).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let expected =
            || if length.milliseconds() == 0 { "valid".into() } else { format!("valid for another {length}") };
        if certificate.from > now.timestamp() {
            bad(expected(), format!("valid only from {}", day(certificate.from)));
        }
        // RFC 5280 counts the last instant in.
        if certificate.until < now.timestamp() {
            bad(expected(), format!("expired on {}", day(certificate.until)));
        } else if certificate.until < until.timestamp() {
            bad(expected(), format!("expires on {}", day(certificate.until)));
        }
    }
    let (kind, size) = certificate.key.rsplit_once(' ').unwrap_or((&certificate.key, ""));
    let bits = |size: &str| {
        size.bytes().filter(u8::is_ascii_digit).fold(0u32, |n, digit| n.saturating_mul(10) + u32::from(digit - b'0'))
    };
    match kind {
        "RSA" | "RSA-PSS" => {
            if let Some(least) = expect.rsa_bits.filter(|least| bits(size) < *least) {
                bad(format!("an RSA key of {least} bits or more"), certificate.key.clone());
            }
        }
        "EC" => {
            if let Some(least) = expect.ec_bits {
                match curve_bits(size) {
                    Some(bits) if bits >= least => {}
                    Some(_) => bad(format!("a curve of {least} bits or more"), certificate.key.clone()),
                    None => bad(format!("a curve that is known, of {least} bits or more"), certificate.key.clone()),
                }
            }
        }
        "DSA" if expect.rsa_bits.is_some() => bad("RSA, an elliptic curve or Ed25519".into(), certificate.key.clone()),
        _ => {}
    }
    let is_root = certificate.issuer.is_none();
    let is_weak = WEAK.iter().any(|weak| certificate.signature.starts_with(weak));
    if expect.signature == Some(Strong::Strong) && is_weak && !(is_root && certificate.ca) {
        bad("signed with SHA-256 or better".into(), certificate.signature.clone());
    }
    if expect.self_signed == Some(Forbidden::Forbidden) && is_root && !certificate.ca {
        bad("issued by an authority".into(), "its own issuer".into());
    }
    if is_first && let Some(names) = &expect.names {
        for name in names.iter().filter(|name| !certificate.names.iter().any(|own| own.eq_ignore_ascii_case(name))) {
            bad(format!("for {name}"), format!("for {}", certificate.names.join(", ")));
        }
    }
    judgements
}

/// How large a curve's field is, by its name.
fn curve_bits(name: &str) -> Option<u32> {
    [("P-192", 192), ("P-224", 224), ("P-256", 256), ("P-384", 384), ("P-521", 521), ("secp256k1", 256)]
        .into_iter()
        .chain([("brainpoolP256r1", 256), ("brainpoolP384r1", 384)])
        .find(|(known, _)| *known == name)
        .map(|(_, bits)| bits)
}

fn keys(asking: &Asking, items: &Observed<Item>) -> Vec<Judgement> {
    let wanted = "written by its owner alone, read by owner and group alone";
    if let Err(gap) = was_asked(asking, items) {
        return vec![Judgement::unseen(&gap, asking.as_str(), wanted)];
    }
    let all =
        items.seen.range("key:".to_owned()..).map_while(|(subject, item)| Some((subject.strip_prefix("key:")?, item)));
    let mut judgements = Vec::new();
    let mut count = 0;
    for (file, item) in all.filter(|(file, _)| asking.matches(file)) {
        let Item::Key(KeyFile { mode, owner, group }) = item else { continue };
        count += 1;
        let bits = u32::from_str_radix(mode, 8).unwrap_or(0o7777);
        if bits & 0o037 != 0 {
            judgements.push(Judgement::new(Status::Deviation, file, wanted, format!("{mode} {owner}:{group}")));
        }
    }
    let below = asking.literal().map_or_else(|| asking.below(), |_| asking.as_str().to_owned());
    for (prefix, gap) in &items.gaps {
        let of = prefix.strip_prefix("key:");
        if prefix.is_empty() || of.is_some_and(|of| of.starts_with(&below) || below.starts_with(of)) {
            judgements.push(Judgement::unseen(gap, asking.as_str(), wanted));
        }
    }
    if judgements.is_empty() {
        let status = if count == 0 { Status::NotApplicable } else { Status::Pass };
        let said = if count == 0 { "not there".to_owned() } else { format!("{count} of {count}") };
        judgements.push(Judgement::new(status, asking.as_str(), wanted, said));
    }
    judgements
}

/// These and no others, of all items that begin with `kind:`.
fn closed(allowed: &[Digest], items: &Observed<Item>, kind: &str, what: &str) -> Vec<Judgement> {
    let expected = format!("no {what} but those listed");
    if !items.seen.contains_key(&format!("{ASKED}{kind}")) {
        let gap = items.whole_gap().cloned().unwrap_or_else(|| unasked(what));
        return vec![Judgement::unseen(&gap, what, expected)];
    }
    let prefix = format!("{kind}:");
    let mut judgements = Vec::new();
    let mut count = 0;
    for (subject, item) in items.seen.range(prefix.clone()..).take_while(|(subject, _)| subject.starts_with(&prefix)) {
        let Item::Certificate(certificate) = item else { continue };
        count += 1;
        if !allowed.iter().any(|digest| digest.to_string() == certificate.sha256) {
            let observed = format!("{}, until {}", certificate.name, day(certificate.until));
            judgements.push(Judgement::new(Status::Deviation, subject.as_str(), expected.as_str(), observed));
        }
    }
    let hiding = items.gaps.iter().filter(|(hidden, _)| hidden.is_empty() || hidden.starts_with(&prefix));
    judgements.extend(hiding.map(|(_, gap)| Judgement::unseen(gap, what, expected.as_str())));
    if judgements.is_empty() {
        judgements.push(Judgement::new(Status::Pass, what, expected, format!("{count}, each of them listed")));
    }
    judgements
}
