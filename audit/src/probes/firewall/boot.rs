//! What will filter after the next boot: the programs that load rules then, whether they are enabled, and whether what they
//! load drops new connections that no rule accepts.
//!
//! Files alone tell, so a root file system at rest is judged as well: the links of enabled units (systemd.unit(5)), nft(8)'s
//! scripts, iptables-save(8)'s rules, ufw's and firewalld's settings. A script that includes others, or defines what it says
//! elsewhere, is a gap where it does not deny by itself. Units of one's own that load rules are not known.

use std::collections::BTreeSet;
use std::path::Path;

use crate::digest::Digest;
use crate::facts::{Facts, Observed};
use crate::finding::{Judgement, Status};
use crate::host::{Gap, GapKind, Host, gap::optional, read_text};

use super::{Item, State};

/// The targets whose folders of wants enable the units of firewalls, as their `[Install]` sections name them.
const WANTS: [&str; 4] =
    ["sysinit.target.wants", "basic.target.wants", "multi-user.target.wants", "network-pre.target.wants"];
/// What loads rules, and the units that run it.
const LOADERS: [(&str, &[&str]); 4] = [
    ("nftables", &["nftables.service"]),
    ("ufw", &["ufw.service"]),
    ("firewalld", &["firewalld.service"]),
    ("iptables", &["netfilter-persistent.service", "iptables.service", "ip6tables.service"]),
];
/// Rules iptables-save wrote, by family: Debian's place and Red Hat's.
const SAVED: [(&str, &str); 4] = [
    ("ip", "/etc/iptables/rules.v4"),
    ("ip", "/etc/sysconfig/iptables"),
    ("ip6", "/etc/iptables/rules.v6"),
    ("ip6", "/etc/sysconfig/ip6tables"),
];

/// Notes each loader that is there.
pub(super) fn observe(host: &dyn Host, items: &mut Observed<Item>) {
    for (_, path) in SAVED {
        match optional(host.read(Path::new(path))) {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                items.seen.insert(format!("file:{path}"), Item::File { sha256: Digest::of(&bytes) });
            }
            Err(gap) => items.hide(format!("file:{path}"), gap),
        }
    }
    for (name, units) in LOADERS {
        match loader(host, name, units) {
            Ok(Some(item)) => {
                items.seen.insert(format!("boot:{name}"), item);
            }
            Ok(None) => {}
            Err(gap) => items.hide(format!("boot:{name}"), gap),
        }
    }
}

fn loader(host: &dyn Host, name: &str, units: &[&str]) -> Result<Option<Item>, Gap> {
    let mut enabled = BTreeSet::new();
    let mut masked = Vec::new();
    for unit in units {
        if let Ok(target) = host.link(Path::new(&format!("/etc/systemd/system/{unit}")))
            && target == Path::new("/dev/null")
        {
            masked.push(*unit);
        }
    }
    let units = units.iter().filter(|unit| !masked.contains(unit));
    for (target, unit) in WANTS.iter().flat_map(|target| units.clone().map(move |unit| (target, unit))) {
        if optional(host.lstat(Path::new(&format!("/etc/systemd/system/{target}/{unit}"))))?.is_some() {
            enabled.insert((*unit).to_owned());
        }
    }
    let text = |path: &str| optional(read_text(host, path));
    let denies: Option<BTreeSet<String>> = match name {
        "nftables" => text("/etc/nftables.conf")?.map(|text| nftables(&text)).transpose()?,
        "ufw" => {
            let (conf, defaults) = (text("/etc/ufw/ufw.conf")?, text("/etc/default/ufw")?);
            conf.map(|conf| ufw(&conf, &defaults.unwrap_or_default()))
        }
        "firewalld" => match text("/etc/firewalld/firewalld.conf")? {
            None => None,
            Some(conf) => {
                let zone = setting(&conf, "DefaultZone").unwrap_or_else(|| "public".to_owned());
                let own = format!("/etc/firewalld/zones/{zone}.xml");
                Some(firewalld(&zone, &text(&own)?.unwrap_or_default()))
            }
        },
        _ => {
            let mut families = None;
            for (family, path) in SAVED {
                let Some(text) = text(path)? else { continue };
                let denied = families.get_or_insert_with(BTreeSet::new);
                if text.lines().any(|line| line.starts_with(":INPUT DROP")) {
                    denied.insert(family.to_owned());
                }
            }
            families
        }
    };
    if denies.is_none() && enabled.is_empty() {
        return Ok(None);
    }
    let denies = denies.unwrap_or_default().into_iter().collect();
    Ok(Some(Item::Boot { enabled: enabled.into_iter().collect(), denies }))
}

/// Families for which an input chain drops by policy, or by a last rule without a condition, as far as the file itself says.
fn nftables(text: &str) -> Result<BTreeSet<String>, Gap> {
    let plain: Vec<&str> = text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect();
    let plain = plain.join("\n");
    let mut families = BTreeSet::new();
    let starts = plain.match_indices("table ").map(|(at, word)| at + word.len());
    for table in starts.filter_map(|at| plain.get(at..)) {
        let table = table.split("table ").next().unwrap_or_default();
        let family = table.split_whitespace().next().unwrap_or_default();
        if table.split("hook input").skip(1).any(denies) {
            families.extend(match family {
                "inet" => vec!["ip".to_owned(), "ip6".to_owned()],
                "ip" | "ip6" => vec![family.to_owned()],
                "arp" | "bridge" | "netdev" => Vec::new(),
                // A table without a family is of IPv4 (nft(8)).
                _ => vec!["ip".to_owned()],
            });
        }
    }
    if families.len() < 2 && plain.split_whitespace().any(|word| word == "include") {
        let detail = "includes other files, which are not followed";
        return Err(Gap::new(GapKind::Unsupported, "/etc/nftables.conf", detail));
    }
    Ok(families)
}

/// Whether a chain, from behind its hook, drops what it does not accept. Braces in rules close again before the chain does.
fn denies(chain: &str) -> bool {
    let mut depth = 0_i32;
    let end = chain.char_indices().find(|(_, letter)| {
        depth += i32::from(*letter == '{') - i32::from(*letter == '}');
        depth < 0
    });
    let chain = end.and_then(|(at, _)| chain.get(..at)).unwrap_or(chain);
    let mut statements = chain.split(['\n', ';']).map(|statement| {
        let words: Vec<&str> = statement.split_whitespace().collect();
        words.join(" ")
    });
    if statements.clone().any(|statement| statement == "policy drop") {
        return true;
    }
    let last = statements.rfind(|statement| !statement.is_empty() && statement != "}").unwrap_or_default();
    let last = last.strip_prefix("counter ").unwrap_or(&last);
    last == "drop" || last == "reject" || last.starts_with("reject with ")
}

/// ufw(8): on only where ufw.conf says so; IPv6 only where the defaults do.
fn ufw(conf: &str, defaults: &str) -> BTreeSet<String> {
    let on = setting(conf, "ENABLED").is_some_and(|value| value.eq_ignore_ascii_case("yes"));
    let policy = setting(defaults, "DEFAULT_INPUT_POLICY").unwrap_or_default();
    let denies = on && (policy.eq_ignore_ascii_case("drop") || policy.eq_ignore_ascii_case("reject"));
    let ipv6 = setting(defaults, "IPV6").is_none_or(|value| value.eq_ignore_ascii_case("yes"));
    let families = [("ip", denies), ("ip6", denies && ipv6)];
    families.into_iter().filter(|(_, denies)| *denies).map(|(name, _)| name.to_owned()).collect()
}

/// firewalld.zones(5): every zone rejects what it does not name, but `trusted` and those whose target is ACCEPT.
fn firewalld(zone: &str, own: &str) -> BTreeSet<String> {
    if zone == "trusted" || own.contains("target=\"ACCEPT\"") {
        return BTreeSet::new();
    }
    BTreeSet::from(["ip".to_owned(), "ip6".to_owned()])
}

/// `NAME=value` or `NAME="value"`.
fn setting(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let value = lines.find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// Whether the firewall comes back: some loader is enabled and denies, for both families.
pub(super) fn judge(facts: &Facts<Item, State>) -> Vec<Judgement> {
    const EXPECTED: &str = "a firewall that denies by default is loaded at boot";
    let mut denied: BTreeSet<&str> = BTreeSet::new();
    let mut said = Vec::new();
    for (subject, item) in &facts.items.seen {
        let Item::Boot { enabled, denies } = item else { continue };
        let name = subject.strip_prefix("boot:").unwrap_or(subject);
        let on = if enabled.is_empty() { "not enabled" } else { "enabled" };
        let what = if denies.is_empty() {
            "does not deny by default".to_owned()
        } else {
            format!("denies {}", denies.join(", "))
        };
        said.push(format!("{name}: {on}, {what}"));
        if !enabled.is_empty() {
            denied.extend(denies.iter().map(String::as_str));
        }
    }
    if denied.len() == 2 {
        return vec![Judgement::new(Status::Pass, "boot", EXPECTED, said.join("; "))];
    }
    if let Some((_, gap)) = facts.items.gaps.iter().find(|(prefix, _)| prefix.starts_with("boot:")) {
        return vec![Judgement::unseen(gap, "boot", EXPECTED)];
    }
    let observed = if said.is_empty() { "nothing loads rules at boot".to_owned() } else { said.join("; ") };
    vec![Judgement::new(Status::Deviation, "boot", EXPECTED, observed)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    fn status(host: &Recorded) -> Status {
        let mut facts = Facts::default();
        observe(host, &mut facts.items);
        judge(&facts).into_iter().next().unwrap().status
    }

    fn enabled(host: Recorded, target: &str, unit: &str) -> Recorded {
        host.symlink(&format!("/etc/systemd/system/{target}/{unit}"), &format!("/usr/lib/systemd/system/{unit}"))
    }

    #[test]
    fn a_firewall_comes_back_where_its_unit_is_enabled_and_its_rules_deny() {
        let rules = "table inet filter {\n chain input {\n type filter hook input priority 0; policy drop;\n }\n}\n";
        let nft = || Recorded::new().file("/etc/nftables.conf", rules);
        assert_eq!(status(&nft()), Status::Deviation, "not enabled");
        assert_eq!(status(&enabled(nft(), "sysinit.target.wants", "nftables.service")), Status::Pass);
        for bad in [
            rules.replace("drop", "accept"),
            rules.replace("inet", "ip"),
            rules.replace("policy drop", "# policy drop"),
        ] {
            let host = Recorded::new().file("/etc/nftables.conf", bad);
            assert_eq!(status(&enabled(host, "sysinit.target.wants", "nftables.service")), Status::Deviation);
        }
        assert_eq!(status(&Recorded::new()), Status::Deviation);
        let masked = enabled(nft(), "sysinit.target.wants", "nftables.service");
        assert_eq!(status(&masked.symlink("/etc/systemd/system/nftables.service", "/dev/null")), Status::Deviation);
    }

    #[test]
    fn a_script_of_nft_denies_by_policy_or_by_its_last_rule() {
        let of = |input: &str| {
            nftables(&format!(
                "flush ruleset\ntable inet filter {{\n chain input {{\n type filter hook input priority 0;{input}\n }}\n chain output {{ type filter hook output priority 0; policy drop; }}\n}}\n"
            ))
        };
        for (input, denies) in [
            (" policy drop;", true),
            ("\n tcp dport { 22, 80 } accept\n counter drop", true),
            (" policy accept;\n tcp dport 22 accept; reject with icmpx admin-prohibited", true),
            (" policy accept;\n tcp dport 22 accept", false),
            (" policy accept;\n tcp dport 22 drop", false),
            (" drop\n accept", false),
        ] {
            assert_eq!(of(input).unwrap().len() == 2, denies, "{input}");
        }
        assert!(nftables("include \"/etc/nftables.d/*.nft\"\n").is_err(), "what is included is not known");
        let two = "table ip a { chain i { type filter hook input priority 0; policy drop; } }\ntable ip6 b { chain i { type filter hook input priority 0; policy drop; } }\n";
        assert_eq!(nftables(two).unwrap().len(), 2);
    }

    #[test]
    fn ufw_firewalld_and_saved_rules_are_known() {
        let ufw = |on: &str, ipv6: &str| {
            let host = Recorded::new()
                .file("/etc/ufw/ufw.conf", format!("# c\nENABLED={on}\n"))
                .file("/etc/default/ufw", format!("IPV6={ipv6}\nDEFAULT_INPUT_POLICY=\"DROP\"\n"));
            status(&enabled(host, "multi-user.target.wants", "ufw.service"))
        };
        assert_eq!(
            (ufw("yes", "yes"), ufw("no", "yes"), ufw("yes", "no")),
            (Status::Pass, Status::Deviation, Status::Deviation)
        );
        let zone = |zone: &str| {
            let host = Recorded::new().file("/etc/firewalld/firewalld.conf", format!("DefaultZone={zone}\n"));
            status(&enabled(host, "multi-user.target.wants", "firewalld.service"))
        };
        assert_eq!((zone("public"), zone("trusted")), (Status::Pass, Status::Deviation));
        let saved = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n";
        let both = Recorded::new().file("/etc/iptables/rules.v4", saved).file("/etc/iptables/rules.v6", saved);
        assert_eq!(status(&enabled(both, "multi-user.target.wants", "netfilter-persistent.service")), Status::Pass);
        let one = Recorded::new().file("/etc/iptables/rules.v4", saved);
        assert_eq!(status(&enabled(one, "multi-user.target.wants", "netfilter-persistent.service")), Status::Deviation);
    }
}
