//! Generated nftables rulesets: several base chains and priorities, jumps, gotos, returns, sets of intervals and
//! concatenations, verdict maps, interfaces, connection states, `notrack`, redirects and destination NAT.

use super::seeded::Seeded;

const PORTS: [&str; 10] = ["22", "80", "443", "8005", "8080", "99", "20-80", "8000-8010", "1-1024", "443-9000"];
const SINGLE: [&str; 6] = ["22", "80", "443", "8005", "8080", "99"];
const V4: [&str; 6] = ["10.9.0.2", "10.9.0.3", "10.9.1.2", "10.9.0.0/24", "10.9.1.0/24", "10.9.0.2-10.9.0.3"];
const V6: [&str; 6] = ["fd09::2", "fd09::3", "fd09:1::2", "fd09::/64", "fd09:1::/64", "fd09::2-fd09::3"];
const OWN4: [&str; 4] = ["10.9.0.1", "10.9.0.10", "10.9.1.1", "10.9.0.0/28"];
const OWN6: [&str; 4] = ["fd09::1", "fd09::10", "fd09:1::1", "fd09::/124"];

/// One ruleset, as `nft -f` reads it.
pub fn ruleset(seed: u64) -> String {
    let mut maker = Maker { random: Seeded::new(seed), family: "inet", chains: 0 };
    let mut text = String::new();
    for number in 0..=usize::from(maker.random.chance(40)) {
        maker.family =
            if number == 0 && maker.random.chance(70) { "inet" } else { maker.random.pick(&["inet", "ip", "ip6"]) };
        text.push_str(&maker.table(number));
    }
    text
}

struct Maker {
    random: Seeded,
    /// Of the table at hand.
    family: &'static str,
    /// How many chains it has that can be jumped to.
    chains: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Raw,
    Mangle,
    Nat,
    Input,
}

impl Maker {
    fn table(&mut self, number: usize) -> String {
        self.chains = self.random.below(4);
        let mut text = format!("table {} t{number} {{\n", self.family);
        if self.family != "ip6" {
            let list = self.random.some(&V4[..5], 2).join(", ");
            text.push_str(&format!(
                " set v4 {{ type ipv4_addr; flags interval; auto-merge; elements = {{ {list} }}; }}\n"
            ));
            let pairs = ["10.9.0.2 . 22", "10.9.0.0/24 . 80", "10.9.1.2 . 443-8080", "10.9.0.3 . 8005"];
            let list = self.random.some(&pairs, 2).join(", ");
            text.push_str(&format!(
                " set pair4 {{ type ipv4_addr . inet_service; flags interval; elements = {{ {list} }}; }}\n"
            ));
        }
        if self.family != "ip" {
            let list = self.random.some(&V6[..5], 2).join(", ");
            text.push_str(&format!(
                " set v6 {{ type ipv6_addr; flags interval; auto-merge; elements = {{ {list} }}; }}\n"
            ));
        }
        let list = self.random.some(&PORTS[..6], 3).join(", ");
        text.push_str(&format!(" set ports {{ type inet_service; elements = {{ {list} }}; }}\n"));
        for chain in (0..self.chains).rev() {
            let arms = self.arms(&SINGLE, chain + 1, Place::Input);
            text.push_str(&format!(" map m{chain} {{ type inet_service : verdict; elements = {{ {arms} }}; }}\n"));
            text.push_str(&self.chain(&format!("c{chain}"), None, chain + 1, Place::Input));
        }
        let arms = self.arms(&SINGLE, 0, Place::Input);
        text.push_str(&format!(" map top {{ type inet_service : verdict; elements = {{ {arms} }}; }}\n"));
        for (percent, name, base, place) in [
            (25, "raw", "type filter hook prerouting priority raw", Place::Raw),
            (25, "mangle", "type filter hook prerouting priority mangle", Place::Mangle),
            (35, "nat", "type nat hook prerouting priority dstnat", Place::Nat),
        ] {
            if self.random.chance(percent) {
                let policy = "accept";
                text.push_str(&self.chain(name, Some(&format!("{base}; policy {policy};")), 9, place));
            }
        }
        for input in 0..=usize::from(self.random.chance(30)) {
            let priority = self.random.pick(&["filter", "-5", "10", "security"]);
            let policy = self.random.pick(&["accept", "drop", "drop"]);
            let base = format!("type filter hook input priority {priority}; policy {policy};");
            text.push_str(&self.chain(&format!("in{input}"), Some(&base), 0, Place::Input));
        }
        text + "}\n"
    }

    fn chain(&mut self, name: &str, base: Option<&str>, from: usize, place: Place) -> String {
        let mut text = format!(" chain {name} {{\n");
        if let Some(base) = base {
            // What fences and neighbours send is let through, or nothing could be told from silence.
            text.push_str(&format!("  {base}\n  iifname \"eth9\" accept\n  meta l4proto ipv6-icmp accept\n"));
        }
        for _ in 0..=self.random.below(5) {
            text.push_str(&format!("  {}\n", self.rule(from, place)));
        }
        text + " }\n"
    }

    fn rule(&mut self, from: usize, place: Place) -> String {
        let v4 = match self.family {
            "ip" => true,
            "ip6" => false,
            _ => self.random.chance(55),
        };
        let transport = self.random.pick(&["tcp", "tcp", "udp", "th"]);
        let mut parts: Vec<String> = Vec::new();
        if self.random.chance(20) {
            parts.push(self.interface());
        }
        if self.random.chance(30) {
            parts.push(self.address(v4, "saddr"));
        }
        if self.random.chance(15) {
            parts.push(self.address(v4, "daddr"));
        }
        if self.random.chance(15) && matches!(place, Place::Input | Place::Mangle) {
            let states =
                ["new", "established,related", "untracked", "new,untracked", "{ new, established }", "invalid"];
            let state = self.random.pick(&states[..5]);
            parts.push(if self.random.chance(25) {
                "ct state != { new, untracked }".into()
            } else {
                format!("ct state {state}")
            });
        }
        if self.random.chance(10) && place == Place::Input {
            return parts.join(" ") + " " + &self.verdict_map(v4, from);
        }
        let names_ports = place == Place::Nat || self.random.chance(65);
        if names_ports {
            parts.push(self.port(transport, v4));
        } else if self.random.chance(20) {
            parts.push(format!("meta l4proto {}", self.random.pick(&["tcp", "udp", "{ tcp, udp }", "!= tcp"])));
        }
        if self.random.chance(20) {
            parts.push("counter".into());
        }
        parts.push(self.verdict(v4, transport, from, place));
        parts.join(" ")
    }

    fn interface(&mut self) -> String {
        let said = [
            "iifname \"eth0\"",
            "iifname != \"eth1\"",
            "iifname { \"eth0\", \"eth1\" }",
            "iifname \"eth*\"",
            "iif eth1",
        ];
        self.random.pick(&said).to_owned()
    }

    fn address(&mut self, v4: bool, field: &str) -> String {
        let (of, list): (_, &[&str]) = match (v4, field) {
            (true, "saddr") => ("ip", &V4),
            (false, "saddr") => ("ip6", &V6),
            (true, _) => ("ip", &OWN4),
            (false, _) => ("ip6", &OWN6),
        };
        let not = if self.random.chance(20) { "!= " } else { "" };
        let value = match self.random.below(4) {
            0 if field == "saddr" => if v4 { "@v4" } else { "@v6" }.to_owned(),
            1 => format!("{{ {}, {} }}", list[0], list[2]),
            _ => self.random.pick(list).to_owned(),
        };
        format!("{of} {field} {not}{value}")
    }

    fn port(&mut self, transport: &str, v4: bool) -> String {
        if transport == "tcp" && v4 && self.random.chance(12) {
            return "ip saddr . tcp dport @pair4".into();
        }
        let before = if transport == "th" { "meta l4proto { tcp, udp } " } else { "" };
        let not = if self.random.chance(15) { "!= " } else { "" };
        let value = match self.random.below(4) {
            0 => "@ports".to_owned(),
            1 => format!("{{ {} }}", self.random.some(&SINGLE, 3).join(", ")),
            _ => self.random.pick(&PORTS).to_owned(),
        };
        format!("{before}{transport} dport {not}{value}")
    }

    fn verdict(&mut self, v4: bool, transport: &str, from: usize, place: Place) -> String {
        let to = format!("c{}", from + self.random.below(self.chains.saturating_sub(from).max(1)));
        let can_jump = from < self.chains && place == Place::Input;
        match (place, self.random.below(100)) {
            (Place::Raw, 0..50) => "notrack".into(),
            (Place::Raw, 50..60) => "notrack accept".into(),
            (Place::Raw | Place::Mangle, 60..80) => "drop".into(),
            (Place::Nat, 0..45) => format!("redirect to :{}", self.random.pick(&SINGLE)),
            (Place::Nat, 45..60) if transport == "tcp" => {
                format!("redirect to :tcp dport map {{ 22 : {}, 99 : 80, 8080 : 443 }}", self.random.pick(&SINGLE))
            }
            (Place::Nat, 60..80) => {
                let family = if self.family == "inet" { if v4 { "ip " } else { "ip6 " } } else { "" };
                let port = self.random.pick(&SINGLE);
                let to = match (v4, self.random.chance(80)) {
                    (true, true) => format!("10.9.0.10:{port}"),
                    (true, false) => format!("10.9.1.77:{port}"),
                    (false, true) => format!("[fd09::10]:{port}"),
                    (false, false) => format!("[fd09:1::77]:{port}"),
                };
                format!("dnat {family}to {to}")
            }
            (_, 0..35) => "accept".into(),
            (Place::Input, 35..55) => "drop".into(),
            (Place::Input, 55..62) => "reject".into(),
            (_, 62..70) => "return".into(),
            (_, 70..88) if can_jump => format!("jump {to}"),
            (_, 88..95) if can_jump => format!("goto {to}"),
            _ => "counter".into(),
        }
    }

    /// Arms of a verdict map over single ports.
    fn arms(&mut self, keys: &[&str], from: usize, place: Place) -> String {
        let count = 1 + self.random.below(3);
        let keys = self.random.some(keys, count);
        let arms = keys.into_iter().map(|key| {
            let mut verdict = self.verdict(true, "", from, place);
            if verdict == "reject" || verdict == "counter" {
                verdict = "continue".into();
            }
            format!("{key} : {verdict}")
        });
        arms.collect::<Vec<_>>().join(", ")
    }

    fn verdict_map(&mut self, v4: bool, from: usize) -> String {
        match self.random.below(6) {
            0 => {
                let map = if from == 0 {
                    "top".to_owned()
                } else if from <= self.chains {
                    format!("m{}", from - 1)
                } else {
                    "top".to_owned()
                };
                format!("{} dport vmap @{map}", self.random.pick(&["tcp", "udp"]))
            }
            1 => format!("tcp dport vmap {{ {}, 500-9000 : accept }}", self.arms(&SINGLE[..3], from, Place::Input)),
            2 => format!("iifname vmap {{ {} }}", self.arms(&["\"eth0\"", "\"eth1\""], from, Place::Input)),
            3 if v4 => format!(
                "ip saddr vmap {{ {} }}",
                self.arms(&["10.9.0.2", "10.9.0.3", "10.9.1.0/24"], from, Place::Input)
            ),
            3 => format!(
                "ip6 saddr vmap {{ {} }}",
                self.arms(&["fd09::2", "fd09::3", "fd09:1::/64"], from, Place::Input)
            ),
            4 => format!("ct state vmap {{ {} }}", self.arms(&["new", "established", "untracked"], from, Place::Input)),
            _ => format!("meta l4proto vmap {{ {} }}", self.arms(&["tcp", "udp"], from, Place::Input)),
        }
    }
}
