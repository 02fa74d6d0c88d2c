//! Generated rules for iptables-restore, of one family: raw, mangle, nat and filter, with chains, and the extensions that
//! people use.

use super::seeded::Seeded;

const SINGLE: [&str; 6] = ["22", "80", "443", "8005", "8080", "99"];

/// All four tables of one family, as iptables-restore reads them.
pub fn tables(seed: u64, v6: bool) -> String {
    let mut maker = Maker { random: Seeded::new(seed * 2 + u64::from(v6)), v6, chains: 0 };
    let mut text = String::new();
    for (table, chain) in [("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("nat", "PREROUTING"), ("filter", "INPUT")]
    {
        maker.chains = if table == "filter" { maker.random.below(4) } else { 0 };
        let policy = if table == "filter" { maker.random.pick(&["ACCEPT", "DROP", "DROP"]) } else { "ACCEPT" };
        text.push_str(&format!("*{table}\n:{chain} {policy} [0:0]\n"));
        for own in 0..maker.chains {
            text.push_str(&format!(":c{own} - [0:0]\n"));
        }
        text.push_str(&format!("-A {chain} -i eth9 -j ACCEPT\n"));
        if v6 {
            text.push_str(&format!("-A {chain} -p ipv6-icmp -j ACCEPT\n"));
        }
        let wanted = if table == "filter" { 2 + maker.random.below(5) } else { maker.random.below(3) };
        for _ in 0..wanted {
            text.push_str(&format!("-A {chain} {}\n", maker.rule(table, 0)));
        }
        for own in 0..maker.chains {
            for _ in 0..=maker.random.below(3) {
                text.push_str(&format!("-A c{own} {}\n", maker.rule(table, own + 1)));
            }
        }
        text.push_str("COMMIT\n");
    }
    text
}

struct Maker {
    random: Seeded,
    v6: bool,
    chains: usize,
}

impl Maker {
    fn rule(&mut self, table: &str, from: usize) -> String {
        let mut parts: Vec<String> = Vec::new();
        let protocol = self.random.pick(&["tcp", "tcp", "udp"]);
        if self.random.chance(35) {
            let list: [&str; 5] = if self.v6 {
                ["fd09::2", "fd09::3", "fd09:1::2", "fd09::/64", "fd09:1::/64"]
            } else {
                ["10.9.0.2", "10.9.0.3", "10.9.1.2", "10.9.0.0/24", "10.9.1.0/24"]
            };
            parts.push(format!("{}-s {}", self.not(), self.random.pick(&list)));
        }
        if self.random.chance(15) {
            let list: [&str; 3] =
                if self.v6 { ["fd09::1", "fd09::10", "fd09:1::1"] } else { ["10.9.0.1", "10.9.0.10", "10.9.1.1"] };
            parts.push(format!("{}-d {}", self.not(), self.random.pick(&list)));
        }
        if self.random.chance(20) {
            parts.push(format!("{}-i {}", self.not(), self.random.pick(&["eth0", "eth1", "eth+"])));
        }
        if table == "nat" || self.random.chance(75) {
            parts.push(format!("-p {protocol}"));
            match self.random.below(10) {
                0..6 => parts.push(format!(
                    "-m {protocol} {}--dport {}",
                    self.not(),
                    self.random.pick(&["22", "80", "443", "8005", "8080", "99", "20:80", "8000:8010", "443:9000"])
                )),
                6..9 => {
                    let list = self.random.some(&["22", "80", "443:8005", "8080", "99"], 3).join(",");
                    parts.push(format!("-m multiport {}--dports {list}", self.not()));
                }
                _ => {}
            }
        }
        if self.random.chance(20) && (table == "filter" || table == "mangle") {
            let state = self.random.pick(&["NEW", "ESTABLISHED,RELATED", "NEW,UNTRACKED", "UNTRACKED", "DNAT"]);
            parts.push(format!("-m conntrack {}--ctstate {state}", self.not()));
        }
        if self.random.chance(10) && table != "raw" {
            parts.push("-m addrtype --dst-type LOCAL".into());
        }
        if self.random.chance(10) {
            let range = if self.v6 { "fd09::2-fd09::3" } else { "10.9.0.2-10.9.0.3" };
            parts.push(format!("-m iprange {}--src-range {range}", self.not()));
        }
        if self.random.chance(10) {
            parts.push("-m comment --comment \"said \\\"so\\\"\"".into());
        }
        parts.push(self.target(table, protocol, from));
        parts.join(" ")
    }

    fn not(&mut self) -> &'static str {
        if self.random.chance(15) { "! " } else { "" }
    }

    fn target(&mut self, table: &str, protocol: &str, from: usize) -> String {
        let can_jump = from < self.chains;
        let to = format!("c{}", from + self.random.below(self.chains.saturating_sub(from).max(1)));
        match (table, self.random.below(100)) {
            ("raw", 0..60) => "-j CT --notrack".into(),
            ("raw" | "mangle", 60..80) => "-j DROP".into(),
            ("nat", 0..50) => format!("-j REDIRECT --to-ports {}", self.random.pick(&SINGLE)),
            ("nat", 50..85) => {
                let to = self.random.pick(&SINGLE);
                let here = self.random.chance(80);
                format!(
                    "-j DNAT --to-destination {}",
                    match (self.v6, here) {
                        (false, true) => format!("10.9.0.10:{to}"),
                        (false, false) => format!("10.9.1.77:{to}"),
                        (true, true) => format!("[fd09::10]:{to}"),
                        (true, false) => format!("[fd09:1::77]:{to}"),
                    }
                )
            }
            (_, 0..40) => "-j ACCEPT".into(),
            ("filter", 40..55) => "-j DROP".into(),
            ("filter", 55..60) => "-j REJECT".into(),
            ("filter", 60..65) if protocol == "none" => "-j REJECT --reject-with tcp-reset".into(),
            ("filter", 65..72) => "-j RETURN".into(),
            ("filter", 72..90) if can_jump => format!("-j {to}"),
            ("filter", 90..97) if can_jump => format!("-g {to}"),
            _ => String::new(),
        }
    }
}
