//! The listening probe against `ss -tulpnH -e`: on this machine as it is, and in a namespace with sockets of every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{TcpListener, UdpSocket};
use std::process::Command;

use plumbline_tests::netns::Namespace;
use plumbline_tests::processes::{binary, run};
use serde_json::Value;

/// What stands at one protocol, port and kind of address: families and programs.
type Told = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

/// The rows of ss, read without the probe: `tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3)) ino:1 … v6only:0`.
fn by_ss(text: &str, given_out: (u16, u16)) -> Told {
    let mut told = Told::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (protocol, local) = (words[0], words[4]);
        let (address, port) = local.rsplit_once(':').unwrap();
        let address = address.split('%').next().unwrap().trim_matches(['[', ']']);
        let port: u16 = port.parse().unwrap();
        let programs: BTreeSet<String> = line.split("((").nth(1).map_or_else(BTreeSet::new, |users| {
            users.split("),").filter_map(|user| user.split('"').nth(1)).map(str::to_owned).collect()
        });
        if protocol == "udp"
            && (given_out.0..=given_out.1).contains(&port)
            && line.contains("ino:")
            && !line.contains("ino:0 ")
        {
            continue;
        }
        let place = match address {
            "0.0.0.0" | "*" | "::" => "any",
            _ if address.starts_with("127.") || address == "::1" => "loopback",
            _ if address.starts_with("169.254.") || address.starts_with("fe80:") => "link-local",
            _ if address.starts_with("ff") || address.starts_with("224.") || address.starts_with("239.") => "multicast",
            _ => "address",
        };
        // ss writes `*` for a socket of both families.
        let families: &[&str] = match address {
            "*" => &["ip", "ip6"],
            _ if address.contains(':') => &["ip6"],
            _ => &["ip"],
        };
        let entry = told.entry(format!("{protocol}:{port}/{place}")).or_default();
        entry.0.extend(families.iter().map(|family| (*family).to_owned()));
        entry.1.extend(programs);
    }
    told
}

fn by_probe(facts: &str) -> Told {
    let facts: Value = serde_json::from_str(facts).unwrap();
    let words = |value: &Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let items = facts["listening"]["items"].as_object().unwrap_or_else(|| panic!("{facts:#}"));
    items.iter().map(|(subject, item)| (subject.clone(), (words(&item["families"]), words(&item["owners"])))).collect()
}

fn given_out() -> (u16, u16) {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let numbers: Vec<u16> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    (numbers[0], numbers[1])
}

/// Compares; how many agreed. Owners are compared by name where the probe names programs, which it does where no control
/// group names a unit.
fn compare(ss: &Told, probe: &Told) -> usize {
    assert_eq!(ss.keys().collect::<Vec<_>>(), probe.keys().collect::<Vec<_>>());
    for (subject, (families, owners)) in probe {
        let (expected, programs) = &ss[subject];
        assert_eq!(families, expected, "{subject}");
        let names_unit = owners.iter().any(|owner| owner.contains('.') || owner.contains(' ') || owner == "container");
        assert!(
            names_unit || owners == programs || (programs.is_empty() && owners.len() == 1),
            "{subject}: {owners:?} {programs:?}"
        );
    }
    probe.len()
}

#[test]
fn this_machine_listens_as_ss_says() {
    // Something may begin or end to listen in between; then both are asked again.
    let mut last = None;
    for _ in 0..5 {
        let words = ["-tulpnH", "-e"];
        let before = run(Command::new("ss").args(words)).ok().stdout;
        let facts = run(Command::new(binary("plumbline")).args(["facts", "listening", "--format", "json"])).ok().stdout;
        let after = run(Command::new("ss").args(words)).ok().stdout;
        let (before, after) = (by_ss(&before, given_out()), by_ss(&after, given_out()));
        if before == after {
            last = Some((before, by_probe(&facts)));
            break;
        }
    }
    let (ss, probe) = last.expect("ss says the same twice within five attempts");
    println!("this machine: {} of {} agreed", compare(&ss, &probe), ss.len());
}

#[test]
fn sockets_of_every_kind_in_a_namespace_are_those_ss_shows() {
    let namespace = Namespace::new("plumb-ls");
    let name = namespace.name();
    for words in [
        "link add dummy0 type veth peer name dummy1",
        "addr add 192.0.2.1/24 dev dummy0",
        "addr add 2001:db8::1/64 dev dummy0 nodad",
        "addr add 169.254.7.7/16 dev dummy0",
        "link set dummy1 up",
        "link set dummy0 up",
    ] {
        plumbline_tests::netns::ip(&format!("-n {name} {words}"));
    }
    let tcp = [
        "0.0.0.0:22",
        "[::]:80",
        "127.0.0.1:5432",
        "[::1]:5432",
        "192.0.2.1:53",
        "[2001:db8::1]:53",
        "169.254.7.7:8080",
        "127.0.0.53:53",
        "0.0.0.0:40000",
        "[::]:443",
        "0.0.0.0:1",
    ];
    let udp = ["0.0.0.0:68", "[::]:546", "127.0.0.1:323", "224.0.0.251:5353", "192.0.2.1:123", "0.0.0.0:65000"];
    // Clients: given out, or connected, and so waiting for nobody.
    let (listeners, sockets, clients) = namespace.inside(|| {
        let listeners: Vec<TcpListener> = tcp.iter().map(|at| TcpListener::bind(at).unwrap()).collect();
        let sockets: Vec<UdpSocket> = udp.iter().map(|at| UdpSocket::bind(at).unwrap()).collect();
        let clients = [UdpSocket::bind("0.0.0.0:0").unwrap(), UdpSocket::bind("192.0.2.1:1000").unwrap()];
        clients[1].connect("192.0.2.7:53").unwrap();
        (listeners, sockets, clients)
    });
    let ss = run(namespace.command("ss").args(["-tulpnH", "-e"])).ok().stdout;
    let facts =
        run(namespace.command(binary("plumbline")).args(["facts", "listening", "--format", "json"])).ok().stdout;
    let (ss, probe) = (by_ss(&ss, given_out()), by_probe(&facts));
    let agreed = compare(&ss, &probe);
    println!("in a namespace: {agreed} of {} agreed", ss.len());
    assert!(agreed >= 15, "{ss:?}");
    let again =
        run(namespace.command(binary("plumbline")).args(["facts", "listening", "--format", "json"])).ok().stdout;
    assert_eq!(facts, again, "the same sockets, the same bytes");
    drop((listeners, sockets, clients));
}

/// What the firewall probe lets through and what listens, judged together.
#[test]
fn a_listener_is_reachable_where_the_firewall_opens_its_port() {
    let namespace = Namespace::new("plumb-ls");
    let _listener = namespace.listen("0.0.0.0:8080".parse().unwrap());
    let _other = namespace.listen("0.0.0.0:9090".parse().unwrap());
    let rules = "table ip t {
        chain pre { type nat hook prerouting priority dstnat; policy accept; tcp dport 80 redirect to :8080; }
        chain in { type filter hook input priority 0; policy drop; ip saddr 10.0.0.0/8 tcp dport 8080 accept; }
    }";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.nft");
    std::fs::write(&file, rules).unwrap();
    run(namespace.command("nft").arg("-f").arg(&file)).ok();
    let baseline = folder.path().join("b.yaml");
    let findings = |port: u16, from: &str| -> Vec<String> {
        let text = format!(
            "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {{id: one, title: t, severity: high, why: w, fix: f, listening: \
             {{reachable: [{{protocol: tcp, port: {port}, from: {from}}}]}}}}\n"
        );
        std::fs::write(&baseline, text).unwrap();
        let ran = run(namespace
            .command(binary("plumbline"))
            .args(["check", "--format", "json", "--baseline"])
            .arg(&baseline));
        let answer: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
        answer["findings"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(findings(8080, "10.0.0.0/8"), ["pass"]);
    assert_eq!(findings(8080, "10.0.0.0/9"), ["deviation"]);
    assert_eq!(findings(9090, "192.0.2.1"), ["pass"]);
}
