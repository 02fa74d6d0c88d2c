//! The ruleset as items and state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::digest::Digest;
use crate::facts::Facts;
use crate::host::{Gap, GapKind, Host, Question, gap::optional, read_small};

use super::expect::Hook;
use super::flow::Flow;
use super::judge::default_subject;
use super::ruleset::{Chain, Rule, Ruleset, is_timed};
use super::save::{self, Saved};
use super::space::{Family, Region};
use super::walk;
use super::{Item, Opening, State, boot, describe, local, short, text};

type Seen = Facts<Item, State>;

/// What nft is asked for, as gaps name it.
const RULESET: &str = "nft -j list ruleset";
/// The generation id of a network namespace in which no transaction was ever committed: the kernel counts from 1
/// (nf_tables_init_net) and adds one at each.
const NEVER_LOADED: &[u8] = b"1";
/// Elements of a dynamic set that are shown.
const MOST_ELEMENTS: usize = 1_000;
/// What only the loaded ruleset tells.
const LOADED: [&str; 5] = ["table:", "chain:", "rule:", "set:", "map:"];

pub(super) fn observe(host: &dyn Host) -> Seen {
    let mut facts = Seen::default();
    match optional(read_small(host, Path::new("/etc/nftables.conf"))) {
        Ok(None) => {}
        Ok(Some(bytes)) => {
            facts.items.seen.insert("file:/etc/nftables.conf".into(), Item::File { sha256: Digest::of(&bytes) });
        }
        Err(gap) => facts.items.hide("file:/etc/nftables.conf", gap),
    }
    boot::observe(host, &mut facts.items);
    match loaded(host) {
        Ok(mut ruleset) => {
            for (family, question) in [("ip", Question::IptablesNft), ("ip6", Question::Ip6tablesNft)] {
                // What cannot be explained stays opaque, which each such rule says.
                if ruleset.is_opaque(family)
                    && let Ok(bytes) = host.ask(question)
                    && let Ok(saved) = Saved::parse(&bytes, family)
                {
                    ruleset.explain(&saved, family);
                }
            }
            for (family, path, question) in [
                ("ip", "/proc/net/ip_tables_names", Question::IptablesLegacy),
                ("ip6", "/proc/net/ip6_tables_names", Question::Ip6tablesLegacy),
            ] {
                if let Err(gap) = legacy(host, family, path, question, &mut ruleset) {
                    facts.items.hide(format!("legacy:{path}"), gap);
                }
            }
            addresses(host, &mut ruleset);
            items(&ruleset, &mut facts);
            state(&ruleset, &mut facts);
        }
        Err(gap) => {
            for prefix in LOADED {
                facts.items.hide(prefix, gap.clone());
            }
            facts.state.hide("", gap);
        }
    }
    facts
}

fn loaded(host: &dyn Host) -> Result<Ruleset, Gap> {
    let bytes = match host.ask(Question::NftRuleset) {
        Ok(bytes) => bytes,
        // Without nft the rules cannot be read, but the kernel can still say that there never were any.
        Err(gap) if gap.kind == GapKind::Unsupported => {
            return match host.ask(Question::NftGeneration) {
                Ok(generation) if generation == NEVER_LOADED => Ok(Ruleset::default()),
                Ok(_) | Err(_) => Err(gap),
            };
        }
        Err(gap) => return Err(gap),
    };
    Ruleset::parse(&bytes).map_err(|cause| Gap::malformed(RULESET, cause))
}

/// The kernel names a legacy table at `path` once something has used it; what it holds only a program tells.
fn legacy(host: &dyn Host, family: &str, path: &str, question: Question, ruleset: &mut Ruleset) -> Result<(), Gap> {
    let Some(names) = optional(read_small(host, Path::new(path)))? else { return Ok(()) };
    let names = String::from_utf8_lossy(&names);
    let names: BTreeSet<&str> = names.split_whitespace().collect();
    if names.is_empty() {
        return Ok(());
    }
    let list: Vec<&str> = names.iter().copied().collect();
    let unread = |why: String| {
        let detail = format!("legacy iptables is in use as well and is not read (tables {}): {why}", list.join(", "));
        Gap::new(GapKind::Unsupported, path, detail)
    };
    let bytes = host.ask(question).map_err(|gap| unread(gap.to_string()))?;
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if String::from_utf8_lossy(first).contains("nft") {
        return Err(unread("the program answered for nftables".to_owned()));
    }
    let saved = Saved::parse(&bytes, family).map_err(unread)?;
    if let Some(missing) = names.iter().find(|name| !saved.tables.contains_key(**name)) {
        return Err(unread(format!("the program did not show table {missing}")));
    }
    drop(bytes);
    ruleset.add(save::objects(saved, family).map_err(unread)?);
    Ok(())
}

/// This host's own addresses, looked up only where a rule sends packets to an address.
fn addresses(host: &dyn Host, ruleset: &mut Ruleset) {
    let names_one = |rule: &Rule| {
        let mut bodies = rule.statements.iter().filter_map(text::single);
        bodies.any(|(kind, body)| kind == "dnat" && body.get("addr").is_some())
    };
    if ruleset.chains.values().any(|chain| chain.rules.iter().any(names_one)) {
        ruleset.addresses = local::addresses(host);
    }
}

fn items(ruleset: &Ruleset, facts: &mut Seen) {
    for (id, flags) in &ruleset.tables {
        facts.items.seen.insert(format!("table:{id}"), Item::Table { flags: flags.clone() });
    }
    for (id, chain) in &ruleset.chains {
        facts.items.seen.insert(format!("chain:{id}"), chain_item(chain));
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for rule in &chain.rules {
            rule_item(id, rule, &mut times, facts);
        }
    }
    for (id, set) in &ruleset.sets {
        let (passing, lasting): (Vec<_>, Vec<_>) =
            set.elements.iter().cloned().partition(|element| set.dynamic || is_timed(element));
        let kind = if set.map { "map" } else { "set" };
        let item = Item::Set { of: set.kind.clone(), flags: set.flags.clone(), elements: text::elements(&lasting) };
        facts.items.seen.insert(format!("{kind}:{id}"), item);
        if set.dynamic || !passing.is_empty() {
            let mut first = text::elements(&passing);
            first.truncate(MOST_ELEMENTS);
            facts.state.seen.insert(format!("elements:{id}"), State::Elements { count: passing.len(), first });
        }
    }
    for (subject, text) in &ruleset.others {
        facts.items.seen.insert(short(subject), Item::Other { text: text.clone() });
    }
    for odd in &ruleset.misread {
        facts.items.seen.insert(format!("other:{}", short(odd)), Item::Other { text: odd.clone() });
    }
}

fn rule_item(chain: &str, rule: &Rule, times: &mut BTreeMap<String, usize>, facts: &mut Seen) {
    let text = rule.text();
    let mut subject = format!("rule:{chain}:{}", short(&text));
    let time = times.entry(text.clone()).or_insert(0);
    *time += 1;
    if rule.is_opaque() {
        let cause = "the parameters of xtables extensions, which nft's JSON does not tell";
        facts.items.hide(subject.clone(), Gap::new(GapKind::Unsupported, RULESET, cause));
    }
    if *time > 1 {
        subject.push_str(&format!(" #{time}"));
    }
    facts.items.seen.insert(subject, Item::Rule { text, comment: rule.comment.clone() });
}

fn chain_item(chain: &Chain) -> Item {
    let base = chain.base.as_ref();
    let mut order: Vec<&str> = chain.rules.iter().filter_map(verdict_word).collect();
    order.dedup();
    Item::Chain {
        kind: base.map(|base| base.kind.clone()),
        hook: base.map(|base| base.hook.clone()),
        priority: base.map(|base| base.priority.clone()),
        policy: base.map(|base| base.policy.clone()),
        devices: base.map(|base| base.devices.clone()).unwrap_or_default(),
        order: order.join(" "),
    }
}

/// What a rule does in the end; rules that only count or log do not take part in the order.
fn verdict_word(rule: &Rule) -> Option<&'static str> {
    rule.statements.iter().rev().filter_map(text::single).find_map(|(kind, _)| {
        Some(match kind {
            "accept" => "accept",
            "drop" | "reject" => "drop",
            "jump" | "goto" | "vmap" | "return" | "queue" => "branch",
            "xt" => "xt",
            _ => return None,
        })
    })
}

fn state(ruleset: &Ruleset, facts: &mut Seen) {
    if let Some(odd) = ruleset.misread.first() {
        let gap = Gap::malformed(RULESET, format!("a part was not understood: {}", short(odd)));
        facts.state.hide("default:", gap.clone());
        facts.state.hide("opening:", gap);
        return;
    }
    let mut reached: BTreeMap<Family, BTreeSet<Flow>> = BTreeMap::new();
    for hook in [Hook::Input, Hook::Forward, Hook::Output] {
        for family in Family::BOTH {
            let outcome = walk::hook(ruleset, hook.name(), family);
            let state = State::Default {
                denied_by: outcome.denied_by,
                perhaps_denied_by: outcome.perhaps_denied_by,
                chains: outcome.chains,
                open_by: outcome.open_by,
            };
            facts.state.seen.insert(default_subject(hook, family), state);
            if hook == Hook::Input {
                reached.insert(family, outcome.accepted);
            }
        }
    }
    for opening in openings(&reached) {
        let subject = format!("opening:{}", short(&opening.say()));
        // Two openings that differ only in what is not understood are both kept.
        let mut free = subject.clone();
        let mut number = 2;
        while facts.state.seen.contains_key(&free) {
            free = format!("{subject} #{number}");
            number += 1;
        }
        facts.state.seen.insert(free, State::Opening(opening));
    }
}

/// The flows as openings; what holds for every source of both families alike is said once.
fn openings(reached: &BTreeMap<Family, BTreeSet<Flow>>) -> BTreeSet<Opening> {
    let mut openings = BTreeSet::new();
    for (family, flows) in reached {
        for flow in flows {
            openings.insert(opening(*family, flow));
        }
    }
    let twins: Vec<Opening> = openings
        .iter()
        .filter(|one| one.family == "ip" && one.from == ["any"] && one.at == ["any"])
        .filter(|one| openings.contains(&Opening { family: "ip6".into(), ..(*one).clone() }))
        .cloned()
        .collect();
    for twin in twins {
        openings.remove(&twin);
        openings.remove(&Opening { family: "ip6".into(), ..twin.clone() });
        openings.insert(Opening { family: "any".into(), ..twin });
    }
    openings
}

fn opening(family: Family, flow: &Flow) -> Opening {
    let Region { source, destination, protocol, port, interface } = &flow.outside();
    Opening {
        family: family.name().to_owned(),
        protocol: describe::protocols(protocol),
        port: describe::ports(port),
        from: describe::sources(source, family),
        at: describe::sources(destination, family),
        to: flow.dialled.as_ref().map(|dialled| dialled.to.clone()),
        interface: interface.words(),
        given: flow.given.iter().cloned().collect(),
        unclear: flow.unclear.iter().cloned().collect(),
        by: flow.by.iter().cloned().collect(),
    }
}
