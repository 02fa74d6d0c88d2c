//! The firewall probe against the kernel and nft themselves: rulesets really loaded in network namespaces of the test's
//! own, compared with an independent reading of `nft list ruleset`, and packets really sent.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use plumbline_tests::netns::{Namespace, ip};
use plumbline_tests::processes::{PATIENCE, binary, run};
use serde_json::Value;

mod oracle_firewall {
    pub mod rulesets;
}

use oracle_firewall::rulesets::RULESETS;

struct Host {
    namespace: Namespace,
}

impl Host {
    fn new() -> Self {
        Self { namespace: Namespace::new("plumb-fw") }
    }

    /// Replaces the whole ruleset.
    #[track_caller]
    fn load(&self, rules: &str) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.nft");
        std::fs::write(&file, format!("flush ruleset\n{rules}\n")).unwrap();
        run(self.namespace.command("nft").arg("-f").arg(&file)).ok();
    }

    #[track_caller]
    fn nft(&self, words: &str) -> String {
        run(self.namespace.command("nft").args(words.split_whitespace())).ok().stdout
    }

    /// What the probe says, as JSON text.
    #[track_caller]
    fn facts_text(&self) -> String {
        let mut command = self.namespace.command(binary("plumbline"));
        run(command.args(["facts", "firewall", "--format", "json"])).ok().stdout
    }

    #[track_caller]
    fn facts(&self) -> Value {
        serde_json::from_str::<Value>(&self.facts_text()).unwrap()["firewall"].clone()
    }

    /// The items of one kind, by subject.
    #[track_caller]
    fn items(&self, kind: &str) -> BTreeMap<String, Value> {
        let facts = self.facts();
        let items = facts["items"].as_object().unwrap();
        let of_kind = items.iter().filter_map(|(subject, item)| {
            Some((subject.strip_prefix(kind)?.strip_prefix(':')?.to_owned(), item.clone()))
        });
        of_kind.collect()
    }

    /// The findings of a baseline of one rule: subject, status, what was observed.
    #[track_caller]
    fn findings(&self, expectation: &str) -> Vec<(String, String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.yaml");
        let text = format!(
            "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {{id: one, title: t, severity: high, why: w, fix: f, firewall: \
             {{{expectation}}}}}\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = self.namespace.command(binary("plumbline"));
        let ran = run(command.args(["check", "--format", "json", "--baseline"]).arg(&file));
        let answer: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
        let word = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        let findings = answer["findings"].as_array().unwrap();
        findings.iter().map(|one| (word(one, "subject"), word(one, "status"), word(one, "observed"))).collect()
    }

    #[track_caller]
    fn statuses(&self, expectation: &str) -> Vec<String> {
        self.findings(expectation).into_iter().map(|(_, status, _)| status).collect()
    }
}

/// Chains of `nft list ruleset` as printed for people: base line or none, and rules without counters and comments.
fn printed(text: &str) -> BTreeMap<String, (Option<String>, Vec<String>)> {
    let (mut chains, mut table, mut chain) = (BTreeMap::new(), String::new(), None::<String>);
    for line in text.lines() {
        let line = line.trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["table", family, name, "{"] => table = format!("{family}/{name}"),
            ["chain", name, "{"] => {
                let id = format!("{table}/{name}");
                chains.insert(id.clone(), (None, Vec::new()));
                chain = Some(id);
            }
            ["}"] => chain = None,
            ["type", ..] if chain.is_some() => {
                chains.get_mut(chain.as_ref().unwrap()).unwrap().0 = Some(line.to_owned());
            }
            [] => {}
            _ => {
                if let Some(id) = &chain {
                    chains.get_mut(id).unwrap().1.push(plain(line));
                }
            }
        }
    }
    chains
}

/// A rule as words in alphabetical order, so that neither the order of a set nor quotes matter.
fn plain(rule: &str) -> String {
    let spaced = rule.replace([',', '"', '{', '}', ':'], " ");
    let mut words: Vec<&str> = Vec::new();
    let mut all = spaced.split_whitespace();
    while let Some(word) = all.next() {
        match word {
            "counter" => {
                all.by_ref().take(4).for_each(drop);
            }
            // Printed with eight digits, as a number in JSON.
            "0x00000001" => words.push("1"),
            _ => words.push(word),
        }
    }
    words.sort_unstable();
    words.join(" ")
}

#[test]
fn chains_policies_and_rules_are_those_nft_prints() {
    let host = Host::new();
    let mut compared = 0;
    for (name, rules) in RULESETS {
        host.load(rules);
        let printed = printed(&host.nft("list ruleset"));
        let chains = host.items("chain");
        assert_eq!(chains.keys().collect::<Vec<_>>(), printed.keys().collect::<Vec<_>>(), "{name}");
        let items = host.items("rule");
        for (id, (base, expected)) in printed {
            let chain = &chains[&id]["chain"];
            match base {
                None => assert!(chain.get("hook").is_none(), "{name}: {id}"),
                Some(line) => {
                    let says = |of: &str| chain[of].as_str().unwrap().to_owned();
                    assert!(line.contains(&format!("type {} hook {} ", says("type"), says("hook"))), "{name}: {line}");
                    assert!(line.ends_with(&format!("policy {};", says("policy"))), "{name}: {line}");
                }
            }
            let prefix = format!("{id}:");
            let mut found: Vec<String> = items
                .iter()
                .filter(|(subject, _)| subject.starts_with(&prefix))
                .map(|(_, item)| plain(item["rule"]["text"].as_str().unwrap()))
                .collect();
            let mut expected = expected;
            found.sort();
            expected.sort();
            compared += expected.len();
            assert_eq!(found, expected, "{name}: {id}");
        }
    }
    assert!(compared >= 35, "{compared} rules compared");
}

#[test]
fn the_same_file_loaded_again_gives_the_same_bytes() {
    let host = Host::new();
    for (name, rules) in RULESETS {
        host.load(rules);
        let first = host.facts_text();
        host.load(rules);
        assert_eq!(first, host.facts_text(), "{name}");
    }
}

#[test]
fn counting_packets_changes_nothing() {
    let host = Host::new();
    host.load(
        "table inet f { chain input { type filter hook input priority 0; policy drop;
            counter
            iif lo counter accept
         }\n }",
    );
    let before = host.facts_text();
    let listener = host.namespace.listen("127.0.0.1:0".parse().unwrap());
    let address = listener.local_addr().unwrap();
    host.namespace.inside(|| TcpStream::connect_timeout(&address, PATIENCE).unwrap());
    assert!(!host.nft("list ruleset").contains("packets 0"), "the counters moved");
    assert_eq!(before, host.facts_text());
}

#[test]
fn one_changed_rule_is_one_vanished_and_one_appeared() {
    let host = Host::new();
    let (_, ordinary) = RULESETS[1];
    host.load(ordinary);
    let before = host.facts()["items"].as_object().unwrap().clone();
    host.load(&ordinary.replace("tcp dport 22", "tcp dport 2222"));
    let after = host.facts()["items"].as_object().unwrap().clone();
    let gone: Vec<_> = before.iter().filter(|(subject, item)| after.get(*subject) != Some(item)).collect();
    let new: Vec<_> = after.iter().filter(|(subject, item)| before.get(*subject) != Some(item)).collect();
    assert_eq!((gone.len(), new.len()), (1, 1), "{gone:?} {new:?}");
    assert!(new[0].0.ends_with("tcp dport 2222 accept"), "{new:?}");
}

#[test]
fn an_ordinary_ruleset_is_clean_and_an_empty_one_is_not() {
    let host = Host::new();
    let deny = "deny_by_default: [input, forward]";
    let ssh = "openings: [{protocol: tcp, port: 22, from: 10.0.0.0/8, reason: r, owner: o, until: 2099-01-01}]";
    for findings in [host.findings(deny), host.findings(ssh)] {
        assert!(!findings.is_empty());
        assert!(findings.iter().all(|(_, status, _)| status == "deviation"), "{findings:?}");
    }
    host.load(RULESETS[1].1);
    assert_eq!(host.statuses(deny), ["pass"; 4]);
    assert_eq!(host.statuses(ssh), ["pass"]);
    assert_eq!(host.statuses("openings: []"), ["deviation"]);
    host.load(&RULESETS[1].1.replace("table inet filter", "table ip filter").replace("{ icmp, ipv6-icmp }", "icmp"));
    assert_eq!(host.statuses(deny), ["pass", "deviation", "pass", "deviation"]);
}

#[test]
fn extensions_of_iptables_nft_are_read_and_their_change_is_drift() {
    let host = Host::new();
    let mut words = vec![
        "-P INPUT DROP",
        "-A INPUT -i lo -j ACCEPT",
        "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        "-A INPUT -p tcp -s 10.0.0.0/8 -m multiport --dports 22,80 -j ACCEPT",
        "-A INPUT -j REJECT",
    ];
    let load = |words: &[&str]| {
        for words in words {
            run(host.namespace.command("iptables-nft").args(words.split_whitespace())).ok();
        }
    };
    load(&words);
    let rules = host.items("rule");
    assert_eq!(rules.len(), 4, "{rules:?}");
    assert!(rules.contains_key("ip/filter/INPUT:ct state established,related accept"), "{rules:?}");
    let ports = "ip/filter/INPUT:ip saddr 10.0.0.0/8 meta l4proto tcp th dport { 22, 80 } accept";
    assert!(rules.contains_key(ports), "{rules:?}");
    let allowed = "openings: [{protocol: tcp, port: [22, 80], from: 10.0.0.0/8, reason: r, owner: o, until: 2099-01-01}, \
         {protocol: any, from: '::/0', reason: r, owner: o, until: 2099-01-01}]";
    assert_eq!(host.statuses(allowed), ["pass"]);
    words = vec!["-R INPUT 3 -p tcp -s 10.0.0.0/8 -m multiport --dports 22,81 -j ACCEPT"];
    load(&words);
    assert!(!host.items("rule").contains_key(ports));
    assert_eq!(host.statuses(allowed), ["deviation"]);
    load(&["-I INPUT 3 -m u32 --u32 0=1 -j ACCEPT"]);
    let findings = host.findings(allowed);
    let unknown = findings.iter().find(|(_, status, _)| status == "unknown").unwrap();
    assert!(unknown.2.contains("xt match u32"), "{findings:?}");
}

#[test]
fn legacy_iptables_is_read_by_check_and_counts_with_nft() {
    let host = Host::new();
    host.load(RULESETS[1].1);
    for words in [
        "-P INPUT DROP",
        "-A INPUT -p tcp --dport 443 -j ACCEPT",
        "-A INPUT -p tcp -m mac --mac-source 02:00:00:00:00:01 -j ACCEPT",
    ] {
        run(host.namespace.command("iptables-legacy").args(words.split_whitespace())).ok();
    }
    let chains = host.items("chain");
    assert_eq!(chains["legacy-ip/filter/INPUT"]["chain"]["policy"], "drop", "{chains:?}");
    // Both must accept: ssh by nft alone reaches nobody but that one card.
    let openings = openings(&host.facts());
    let ssh: Vec<_> = openings.iter().filter(|one| one["port"] == serde_json::json!(["22"])).collect();
    assert!(ssh.iter().all(|one| one.get("given").is_some()), "{openings:#?}");
    assert!(!ssh.is_empty(), "{openings:#?}");
}

/// Two namespaces joined by a cable: what the probe calls open connects, what it calls closed is refused.
#[test]
fn packets_go_where_the_probe_says_and_nowhere_else() {
    let (host, peer) = (Host::new(), Namespace::new("plumb-peer"));
    let (one, two) = (host.namespace.name(), peer.name());
    ip(&format!("link add name eth0 netns {one} type veth peer name eth0 netns {two}"));
    for (name, addresses) in [(one, ["10.9.0.1/24", "fd09::1/64"]), (two, ["10.9.0.2/24", "fd09::2/64"])] {
        for address in addresses {
            let late = if address.contains(':') { " nodad" } else { "" };
            ip(&format!("-n {name} addr add {address} dev eth0{late}"));
        }
        ip(&format!("-n {name} link set eth0 up"));
    }
    ip(&format!("-n {two} addr add 10.9.0.3/24 dev eth0"));
    let ports = [22_u16, 80, 443, 8005];
    let _listeners: Vec<_> = ports
        .iter()
        .flat_map(|port| ["10.9.0.1", "fd09::1"].map(|at| SocketAddr::new(at.parse::<IpAddr>().unwrap(), *port)))
        .map(|address| host.namespace.listen(address))
        .collect();
    // Reset rather than dropped, so that a closed port answers at once; ICMP errors would be rate-limited.
    let rest = "ct state established accept
                meta l4proto { icmp, ipv6-icmp } accept
                meta l4proto tcp reject with tcp reset
                drop";
    let base = "type filter hook input priority 0; policy accept;";
    let rulesets = [
        ("nothing loaded", String::new()),
        ("one port", format!("table inet f {{ chain input {{ {base}\n tcp dport 22 accept\n {rest}\n }}\n }}")),
        (
            "one source",
            format!(
                "table inet f {{ chain input {{ {base}\n ip saddr 10.9.0.2 tcp dport {{ 22, 8000-8010 }} accept\n {rest}\n }}\n }}"
            ),
        ),
        (
            "jumps and maps",
            format!(
                "table inet f {{
                    map m {{ type inet_service : verdict; elements = {{ 22 : goto inner, 80 : accept, 443 : drop }}; }}
                    chain inner {{ ip6 saddr fd09::/64 accept\n {rest}\n }}
                    chain input {{ {base}\n tcp dport 443 reject with tcp reset\n tcp dport vmap @m\n {rest}\n }}
                }}"
            ),
        ),
        (
            "two base chains",
            format!(
                "table inet f {{ chain input {{ {base}\n tcp dport {{ 22, 80 }} accept\n {rest}\n }}\n }}
                 table ip g {{ chain input {{ type filter hook input priority 5; policy accept;
                    tcp dport 80 reject with tcp reset\n }}\n }}"
            ),
        ),
        (
            "not that interface",
            format!("table inet f {{ chain input {{ {base}\n iifname != \"eth0\" accept\n {rest}\n }}\n }}"),
        ),
    ];
    let mut seen = [0, 0];
    for (name, rules) in rulesets {
        host.load(&rules);
        let openings = openings(&host.facts());
        for (from, to) in [("10.9.0.2", "10.9.0.1"), ("10.9.0.3", "10.9.0.1"), ("fd09::2", "fd09::1")] {
            for port in ports {
                let (from, to) = (from.parse().unwrap(), SocketAddr::new(to.parse().unwrap(), port));
                let said = openings.iter().any(|opening| opens(opening, from, port));
                let did = peer.inside(|| connects(from, to));
                assert_eq!(said, did, "{name}: {from} to {to}: {openings:#?}");
                seen[usize::from(did)] += 1;
            }
        }
    }
    assert!(seen[0] >= 30 && seen[1] >= 20, "closed and open were both met: {seen:?}");
}

fn openings(facts: &Value) -> Vec<Value> {
    let state = facts["state"].as_object().unwrap();
    state.values().filter_map(|one| one.get("opening").cloned()).collect()
}

/// Whether an opening lets `from` reach TCP `port` through eth0, read without the probe's own arithmetic.
fn opens(opening: &Value, from: IpAddr, port: u16) -> bool {
    let words = |name: &str| -> Vec<String> {
        opening[name].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let family = opening["family"].as_str().unwrap();
    let number = |text: &str| match text.parse().unwrap() {
        IpAddr::V4(at) => u128::from(u32::from(at)),
        IpAddr::V6(at) => u128::from(at),
    };
    let within = |text: &str, at: u128| match (text.split_once('-'), text.split_once('/')) {
        (Some((low, high)), _) => number(low) <= at && at <= number(high),
        (None, Some((of, length))) => {
            let width = if of.contains(':') { 128 } else { 32 };
            (number(of) ^ at) >> (width - length.parse::<u32>().unwrap()) == 0
        }
        (None, None) => number(text) == at,
    };
    let ranged = |text: &str, value: u16| {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        low.parse().is_ok_and(|low: u16| low <= value) && high.parse().is_ok_and(|high: u16| value <= high)
    };
    (family == "any" || (family == "ip6") == from.is_ipv6())
        && words("protocol").iter().any(|word| word == "any" || word == "tcp" || ranged(word, 6))
        && words("port").iter().any(|word| word == "any" || ranged(word, port))
        && words("from").iter().any(|word| word == "any" || within(word, number(&from.to_string())))
        && words("interface")
            .iter()
            .any(|word| word == "any" || word == "eth0" || (word != "not eth0" && word.starts_with("not ")))
}

/// Whether a connection bound to `from` is established.
fn connects(from: IpAddr, to: SocketAddr) -> bool {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
    let family = if from.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    rustix::net::sockopt::set_socket_timeout(
        &socket,
        rustix::net::sockopt::Timeout::Send,
        Some(Duration::from_secs(20)),
    )
    .unwrap();
    bind(&socket, &SocketAddr::new(from, 0)).unwrap();
    connect(&socket, &to).is_ok()
}

#[test]
fn without_the_right_to_ask_the_answer_is_unknown() {
    let host = Host::new();
    host.load(RULESETS[1].1);
    let mut command: Command = host.namespace.command("setpriv");
    command.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin"]).arg(binary("plumbline"));
    let ran = run(command.args(["facts", "firewall", "--format", "json"])).ok();
    assert!(ran.stdout.contains("\"denied\""), "{}", ran.stdout);
}
