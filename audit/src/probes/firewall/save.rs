//! What iptables-save(8) prints, as the statements nft's JSON would have: one model, one walk, whichever program loaded
//! the rules. It is how the parameters of xtables extensions are known for iptables-nft, and all that is known of legacy
//! iptables. An option this file does not know stays a condition nobody understands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::save_rule;

/// The most rules and chains of one answer. A rule costs kilobytes as statements, and more than these nobody keeps without sets.
const MAX_LINES: usize = 10_000;
/// The longest line, in bytes; what the programs print is far shorter.
const MAX_LINE: usize = 16 * 1024;

/// The tables of one family.
#[derive(Debug, Default)]
pub(super) struct Saved {
    pub(super) tables: BTreeMap<String, Table>,
}

/// One table.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Chains in the order printed; those of the kernel have a policy.
    pub(super) chains: Vec<(String, Option<String>)>,
    /// Rules by chain.
    pub(super) rules: BTreeMap<String, Vec<Rule>>,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) statements: Vec<Value>,
    pub(super) comment: Option<String>,
}

impl Saved {
    /// Reads what iptables-save printed for `family` (`ip`, `ip6`). The error says which line was not understood.
    pub(super) fn parse(bytes: &[u8], family: &str) -> Result<Self, String> {
        let mut saved = Self::default();
        let mut table: Option<&mut Table> = None;
        let mut count = 0;
        // The chains of a table stand before its rules.
        let mut chains: BTreeSet<String> = BTreeSet::new();
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let wrong = || format!("line {} was not understood", number + 1);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            if line.len() > MAX_LINE {
                return Err(wrong());
            }
            count += 1;
            if count > MAX_LINES {
                return Err(format!("more than {MAX_LINES} lines of chains and rules"));
            }
            // A comment may be in any encoding.
            let line = String::from_utf8_lossy(line);
            let line = line.trim();
            match line.as_bytes().first() {
                None | Some(b'#') => {}
                Some(b'*') => {
                    table = Some(saved.tables.entry(line.get(1..).unwrap_or_default().to_owned()).or_default());
                    chains.clear();
                }
                Some(b':') => {
                    let mut words = line.get(1..).unwrap_or_default().split_whitespace();
                    let (Some(chain), Some(policy)) = (words.next(), words.next()) else { return Err(wrong()) };
                    let policy = (policy != "-").then(|| policy.to_lowercase());
                    chains.insert(chain.to_owned());
                    table.as_mut().ok_or_else(wrong)?.chains.push((chain.to_owned(), policy));
                }
                Some(_) if line == "COMMIT" => drop(table.take().ok_or_else(wrong)?),
                Some(_) => {
                    // Counters stand before the rule where they were asked for.
                    let line = line.strip_prefix('[').and_then(|rest| Some(rest.split_once("] ")?.1)).unwrap_or(line);
                    match (words(line).as_slice(), &mut table) {
                        ([append, chain, words @ ..], Some(table)) if append == "-A" || append == "--append" => {
                            let rule = save_rule::rule(family, words, &chains);
                            table.rules.entry(chain.clone()).or_default().push(rule);
                        }
                        _ => return Err(wrong()),
                    }
                }
            }
        }
        if table.is_some() { Err("it broke off before COMMIT".to_owned()) } else { Ok(saved) }
    }
}

/// The words of a line as a shell would part them, as far as iptables-save quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quoted => word.get_or_insert_default().extend(letters.next()),
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// Where the kernel calls the built-in chains of legacy iptables' tables: type, hook and priority
/// (`linux/netfilter_ipv4.h`, nf_ip_hook_priorities).
pub(super) fn built_in(table: &str, chain: &str) -> Option<(&'static str, &'static str, i64)> {
    let hook = match chain {
        "PREROUTING" => "prerouting",
        "INPUT" => "input",
        "FORWARD" => "forward",
        "OUTPUT" => "output",
        "POSTROUTING" => "postrouting",
        _ => return None,
    };
    Some(match (table, hook) {
        ("raw", _) => ("filter", hook, -300),
        ("mangle", _) => ("filter", hook, -150),
        ("nat", "prerouting" | "output") => ("nat", hook, -100),
        ("nat", _) => ("nat", hook, 100),
        ("filter", _) => ("filter", hook, 0),
        ("security", _) => ("filter", hook, 50),
        _ => return None,
    })
}

/// A table of legacy iptables as the objects nft would list: `legacy-ip/filter`. The error names a table not known.
pub(super) fn objects(saved: Saved, family: &str) -> Result<Vec<Value>, String> {
    let of = format!("legacy-{family}");
    let mut objects = Vec::new();
    for (name, table) in saved.tables {
        objects.push(json!({"table": {"family": of, "name": name}}));
        for (chain, policy) in &table.chains {
            let mut body = json!({"family": of, "table": name, "name": chain});
            if let Some(policy) = policy {
                let (kind, hook, priority) =
                    built_in(&name, chain).ok_or_else(|| format!("a table this program does not know: {name}"))?;
                body = json!({"family": of, "table": name, "name": chain, "type": kind, "hook": hook,
                              "prio": priority, "policy": policy});
            }
            objects.push(json!({ "chain": body }));
        }
        for (chain, rules) in table.rules {
            for Rule { statements, comment } in rules {
                let mut body = json!({"family": of, "table": name, "chain": chain});
                if let Some(members) = body.as_object_mut() {
                    members.insert("expr".to_owned(), Value::Array(statements));
                    members.extend(comment.map(|comment| ("comment".to_owned(), Value::from(comment))));
                }
                objects.push(json!({ "rule": body }));
            }
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::super::text;
    use super::*;

    fn rules(family: &str, rules: &str) -> Vec<String> {
        let text = format!("# Generated\n*filter\n:INPUT DROP [0:0]\n:mine - [0:0]\n{rules}\nCOMMIT\n");
        let saved = Saved::parse(text.as_bytes(), family).unwrap();
        let rules = &saved.tables["filter"].rules["INPUT"];
        let say = |rule: &Rule| rule.statements.iter().filter_map(text::statement).collect::<Vec<_>>().join(" ");
        rules.iter().map(say).collect()
    }

    #[test]
    fn rules_read_as_nft_would_say_them() {
        let cases = [
            ("-s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT", "ip saddr 10.0.0.0/8 tcp dport 22 accept"),
            ("! -i lo -p udp -m udp ! --dport 5:9 -j DROP", "iifname != lo udp dport != 5-9 drop"),
            (
                "-p tcp -m multiport --dports 22,80:90 -m conntrack --ctstate NEW,ESTABLISHED -j RETURN",
                "meta l4proto tcp th dport { 22, 80-90 } ct state established,new return",
            ),
            ("-i eth+ -m comment --comment \"a \\\"b\\\" c\" -j mine", "iifname eth* jump mine"),
            ("-m addrtype --dst-type LOCAL -g mine", "fib daddr type local goto mine"),
            (
                "-m iprange --src-range 10.0.0.1-10.0.0.9 -j REJECT --reject-with tcp-reset",
                "ip saddr 10.0.0.1-10.0.0.9 reject with tcp-reset",
            ),
            ("-p tcp -j REDIRECT --to-ports 80", "meta l4proto tcp redirect to :80"),
            ("-j DNAT --to-destination 10.0.0.5:80", "dnat to 10.0.0.5:80"),
            ("-j CT --notrack", "notrack"),
            (
                "-m limit --limit 3/min -j LOG --log-prefix \"x y\"",
                "xt match limit \"--limit 3/min\" xt target LOG \"--log-prefix x y\"",
            ),
            ("-m conntrack --ctstate DNAT -j ACCEPT", "ct status dnat accept"),
            ("-s 10.0.0.0/255.0.255.0 -j ACCEPT", "xt match source 10.0.0.0/255.0.255.0 accept"),
            ("-m future --why not -j ACCEPT", "xt match future \"--why not\" accept"),
        ];
        for (rule, said) in cases {
            assert_eq!(rules("ip", &format!("-A INPUT {rule}")), [said], "{rule}");
        }
        assert_eq!(rules("ip6", "-A INPUT -s fd00::/8 -j ACCEPT"), ["ip6 saddr fd00::/8 accept"]);
        assert_eq!(rules("ip6", "-A INPUT -j DNAT --to-destination [fd00::1]:80"), ["dnat to fd00::1:80"]);
    }

    #[test]
    fn what_is_no_such_output_says_so() {
        let many = format!("*filter\n:INPUT ACCEPT [0:0]\n{}COMMIT\n", "-A INPUT -j DROP\n".repeat(MAX_LINES));
        assert_eq!(Saved::parse(many.as_bytes(), "ip").unwrap_err(), "more than 10000 lines of chains and rules");
        let latin = b"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment caf\xe9 -j DROP\nCOMMIT\n";
        assert!(Saved::parse(latin, "ip").is_ok());
        for bad in ["-A INPUT -j ACCEPT\n", "*filter\n:INPUT\nCOMMIT\n", "*filter\nhello\nCOMMIT\n", "*filter\n"] {
            assert!(Saved::parse(bad.as_bytes(), "ip").is_err(), "{bad}");
        }
        assert!(Saved::parse(b"", "ip").unwrap().tables.is_empty());
    }
}
