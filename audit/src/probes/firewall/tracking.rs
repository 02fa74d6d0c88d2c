//! What connection tracking says of the first packet of a connection, at each place where a rule may ask
//! (nf_conntrack, `nft_ct.c`): before priority -200 of prerouting nothing is tracked yet and every packet counts as
//! invalid; a packet that `notrack` touched is untracked from then on; every other is new. Later packets are not
//! followed: whoever may not open a connection has none to continue.

use std::collections::BTreeSet;

use serde_json::Value;

use super::matching::unwrap_element;

/// How far tracking has come with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Before connection tracking has looked.
    Early,
    /// Tracked, as the first packet of a connection; whether destination NAT has touched it.
    New {
        /// `ct status dnat`, where that is known.
        translated: Option<bool>,
    },
    /// Taken out of tracking by `notrack`.
    Untracked,
}

/// Whether a packet fulfils a question for states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Every new connection's first packet.
    Always,
    /// Only odd packets, which open nothing that is well formed.
    Oddly,
    /// None.
    Never,
}

/// Whether `ct state` among `values` holds; `None` where one of them is not known.
pub(super) fn state(stage: Stage, values: &[Value]) -> Option<Answer> {
    let names = names(values, &["new", "established", "related", "invalid", "untracked", "*"])?;
    let has = |name: &str| names.contains(name) || names.contains("*");
    Some(match stage {
        Stage::Early if has("invalid") => Answer::Always,
        Stage::Untracked if has("untracked") => Answer::Always,
        Stage::New { .. } if has("new") => Answer::Always,
        Stage::New { .. } if has("invalid") => Answer::Oddly,
        Stage::Early | Stage::Untracked | Stage::New { .. } => Answer::Never,
    })
}

/// Whether `ct status` among `values` holds.
pub(super) fn status(stage: Stage, values: &[Value]) -> Option<Answer> {
    let known = ["expected", "seen-reply", "assured", "confirmed", "snat", "dnat", "dying"];
    let names = names(values, &known)?;
    Some(match stage {
        Stage::New { translated: None } if names.contains("dnat") => return None,
        Stage::New { translated: Some(true) } if names.contains("dnat") => Answer::Always,
        Stage::New { .. } if names.contains("expected") => Answer::Oddly,
        Stage::Early | Stage::Untracked | Stage::New { .. } => Answer::Never,
    })
}

fn names<'v>(values: &'v [Value], known: &[&str]) -> Option<BTreeSet<&'v str>> {
    let names = values.iter().map(|value| unwrap_element(value).as_str().filter(|name| known.contains(name)));
    let names: BTreeSet<&str> = names.collect::<Option<_>>()?;
    (!names.is_empty()).then_some(names)
}
