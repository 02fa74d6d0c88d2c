//! What becomes of a rule's packets: nft's verdicts, and what is known of xtables extensions by their name.

use serde_json::Value;

use super::text;

/// What becomes of a rule's packets.
pub(super) enum Verdict<'v> {
    Accept,
    Drop,
    Continue,
    Return,
    Jump(&'v str),
    Goto(&'v str),
    /// Not understood: it may accept.
    Unclear,
}

/// The verdict a statement is, if it is one.
pub(super) fn verdict(value: &Value) -> Option<Verdict<'_>> {
    let (kind, body) = text::single(value)?;
    let target = || body.get("target").and_then(Value::as_str);
    Some(match kind {
        "accept" => Verdict::Accept,
        "drop" | "reject" => Verdict::Drop,
        "continue" => Verdict::Continue,
        "return" => Verdict::Return,
        "jump" => Verdict::Jump(target()?),
        "goto" => Verdict::Goto(target()?),
        _ => return None,
    })
}

/// What an xtables extension means for the rule that bears it.
pub(super) enum Extension {
    Neutral,
    Condition,
    /// Only narrows, and is understood.
    Given,
    Drop,
    /// Another port or address, nobody knows which.
    Translation,
    Unclear,
}

/// What is known of an xtables extension by its name alone; nft's JSON tells no more.
pub(super) fn extension(body: &Value) -> Extension {
    let word = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    match (word("type"), word("name")) {
        ("match", "comment") | ("watcher", _) => Extension::Neutral,
        // With its options at hand (iptables-save), a rate or a header that anybody may send is no riddle.
        (
            "match",
            "limit" | "hashlimit" | "connlimit" | "connbytes" | "quota" | "length" | "ttl" | "hl" | "tos" | "dscp"
            | "ecn" | "rt" | "frag" | "fragment" | "hbh" | "dst" | "ipv6header" | "tcp" | "tcpmss" | "udp" | "sctp"
            | "ah" | "esp" | "icmp" | "icmp6" | "rpfilter" | "time" | "statistic" | "physdev" | "mac" | "cpu",
        ) if body.get("args").is_some() => Extension::Given,
        ("match", _) => Extension::Condition,
        (
            "target",
            "LOG" | "NFLOG" | "TCPMSS" | "MARK" | "CONNMARK" | "CT" | "CLASSIFY" | "DSCP" | "TRACE" | "AUDIT"
            | "SECMARK" | "CONNSECMARK" | "CHECKSUM" | "IDLETIMER" | "LED" | "HL" | "TTL" | "SET" | "RATEEST",
        ) => Extension::Neutral,
        ("target", "REJECT") => Extension::Drop,
        ("target", "REDIRECT" | "DNAT" | "NETMAP") => Extension::Translation,
        _ => Extension::Unclear,
    }
}
