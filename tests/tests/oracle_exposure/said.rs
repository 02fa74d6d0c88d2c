//! What the probe's openings say of a packet, read without the probe's own arithmetic.

use std::net::IpAddr;

use plumbline_tests::netns::Namespace;
use plumbline_tests::processes::{binary, run};
use serde_json::Value;

use super::wire::Try;

/// The openings the probe finds in a namespace.
pub fn openings(host: &Namespace) -> Vec<Value> {
    let mut command = host.command(binary("plumbline"));
    let ran = run(command.args(["facts", "firewall", "--format", "json"])).ok();
    let facts = serde_json::from_str::<Value>(&ran.stdout).unwrap()["firewall"].clone();
    assert!(facts["state"].get("gaps").is_none(), "{facts:#}");
    let state = facts["state"].as_object().unwrap_or_else(|| panic!("{facts:#}"));
    state.values().filter_map(|one| one.get("opening").cloned()).collect()
}

/// What they say of a try.
#[derive(Debug)]
pub enum Said {
    Open,
    Closed,
    Perhaps,
}

pub fn said(openings: &[Value], one: &Try) -> Said {
    let mut said = Said::Closed;
    for opening in openings.iter().filter(|opening| opens(opening, one)) {
        let holds = ["given", "unclear"].iter().all(|part| opening.get(part).is_none());
        if holds {
            return Said::Open;
        }
        said = Said::Perhaps;
    }
    said
}

/// Whether an opening names a try, read without the probe's own arithmetic.
fn opens(opening: &Value, one: &Try) -> bool {
    let words = |name: &str| -> Vec<String> {
        let Some(list) = opening.get(name) else { return vec!["any".into()] };
        list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let family = opening["family"].as_str().unwrap();
    let protocol: u16 = if one.tcp { 6 } else { 17 };
    let name = if one.tcp { "tcp" } else { "udp" };
    let any = |list: &[String], holds: &dyn Fn(&str) -> bool| list.iter().any(|word| word == "any" || holds(word));
    let interfaces = words("interface");
    let (except, only): (Vec<String>, Vec<String>) = interfaces.into_iter().partition(|word| word.starts_with("not "));
    let covers = |pattern: &str| {
        pattern == one.interface || pattern.strip_suffix('*').is_some_and(|start| one.interface.starts_with(start))
    };
    (family == "any" || (family == "ip6") == one.from.is_ipv6())
        && any(&words("protocol"), &|word| word == name || ranged(word, protocol))
        && any(&words("port"), &|word| ranged(word, one.to.port()))
        && any(&words("from"), &|word| within(word, one.from))
        && any(&words("at"), &|word| within(word, one.to.ip()))
        && (only.is_empty() || any(&only, &covers))
        && !except.iter().any(|word| covers(word.strip_prefix("not ").unwrap()))
}

fn number(at: IpAddr) -> u128 {
    match at {
        IpAddr::V4(at) => u128::from(u32::from(at)),
        IpAddr::V6(at) => u128::from(at),
    }
}

fn within(text: &str, at: IpAddr) -> bool {
    let parse = |text: &str| number(text.parse().unwrap());
    match (text.split_once('-'), text.split_once('/')) {
        (Some((low, high)), _) => parse(low) <= number(at) && number(at) <= parse(high),
        (None, Some((of, length))) => {
            let width = if of.contains(':') { 128 } else { 32 };
            let host: u32 = width - length.parse::<u32>().unwrap();
            (parse(of) ^ number(at)).checked_shr(host).unwrap_or(0) == 0
        }
        (None, None) => parse(text) == number(at),
    }
}

fn ranged(text: &str, value: u16) -> bool {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    low.parse().is_ok_and(|low: u16| low <= value) && high.parse().is_ok_and(|high: u16| value <= high)
}
