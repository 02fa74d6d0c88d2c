//! The vpn probe against `ip` itself: routes and rules really set in a namespace, as wg-quick, OpenVPN and people by hand set
//! them, compared with `ip -j route get` towards many destinations and with `ip -j route`.

use std::path::Path;

use plumbline_tests::netns::{Namespace, ip};
use plumbline_tests::processes::{binary, run};
use serde_json::Value;

/// Destinations all over the world, of each family: what `full` means.
const WORLD: [&str; 8] =
    ["1.1.1.1", "9.255.0.1", "64.0.0.7", "126.255.1.1", "128.0.0.9", "172.200.3.4", "203.0.113.5", "223.1.2.3"];
const WORLD6: [&str; 6] = ["2001:db8::1", "2400::5", "2607::9", "2a00:1450::1", "3000::1", "3fff:1::1"];

struct Host {
    namespace: Namespace,
}

impl Host {
    /// With a cable to the world and default routes over it, and a tunnel. A kernel may know no WireGuard, so the tunnel is
    /// a `tun`, which routes alike.
    fn new() -> Self {
        let host = Self { namespace: Namespace::new("plumb-vpn") };
        for words in [
            "link add eth0 type veth peer name eth1",
            "link set eth1 up",
            "addr add 192.0.2.2/24 dev eth0",
            "addr add 2001:db8:1::2/64 dev eth0 nodad",
            "link set eth0 up",
            "route add default via 192.0.2.1",
            "-6 route add default via 2001:db8:1::1",
            "tuntap add dev wg0 mode tun",
            "addr add 10.7.0.2/32 dev wg0",
            "addr add fd07::2/128 dev wg0 nodad",
            "link set wg0 up",
        ] {
            host.ip(words);
        }
        host
    }

    fn ip(&self, words: &str) {
        ip(&format!("-n {} {words}", self.namespace.name()));
    }

    fn json(&self, words: &str) -> Value {
        let ran = run(self.namespace.command("ip").arg("-j").args(words.split_whitespace())).ok();
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// The link a packet to `destination` leaves by.
    fn leaves_by(&self, destination: &str) -> String {
        self.json(&format!("route get {destination}"))[0]["dev"].as_str().unwrap().to_owned()
    }

    fn state(&self) -> Value {
        let mut command = self.namespace.command(binary("plumbline"));
        let ran = run(command.args(["facts", "vpn", "--format", "json"])).ok();
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["vpn"]["state"].clone()
    }
}

/// What `ip route get` shows of one family: `full` where every destination leaves by wg0, else `split` or `none`.
fn expected(host: &Host, world: &[&str], family: &str) -> &'static str {
    let into = world.iter().filter(|to| host.leaves_by(to) == "wg0").count();
    let routes = |table: &str| {
        let all = host.json(&format!("{family} route show table {table}"));
        let all = all.as_array().unwrap().clone();
        all.iter().any(|route| {
            let to = route["dst"].as_str().unwrap();
            route["dev"] == "wg0"
                && !to.starts_with("fe80")
                && !to.starts_with("ff")
                && route["type"] != "local"
                && route["type"] != "multicast"
        })
    };
    match into {
        _ if into == world.len() => "full",
        0 if !routes("all") => "none",
        _ => "split",
    }
}

#[test]
fn full_and_split_tunnels_are_those_that_ip_shows() {
    // Each a way to set routes, and the words for ip.
    let wg_quick = [
        "rule add not fwmark 0xca6c table 51820",
        "rule add table main suppress_prefixlength 0",
        "route add default dev wg0 table 51820",
    ];
    let wg_quick6 = [
        "-6 rule add not fwmark 0xca6c table 51820",
        "-6 rule add table main suppress_prefixlength 0",
        "-6 route add default dev wg0 table 51820",
    ];
    let ways: [(&str, Vec<&str>); 12] = [
        ("none", vec![]),
        ("wg-quick", wg_quick.iter().chain(&wg_quick6).copied().collect()),
        ("wg-quick of IPv4 alone", wg_quick.to_vec()),
        ("one network", vec!["route add 10.0.0.0/8 dev wg0", "-6 route add fd00::/8 dev wg0"]),
        ("two halves", vec!["route add 0.0.0.0/1 dev wg0", "route add 128.0.0.0/1 dev wg0"]),
        ("one half", vec!["route add 0.0.0.0/1 dev wg0"]),
        ("halves of IPv6", vec!["-6 route add ::/1 dev wg0", "-6 route add 8000::/1 dev wg0"]),
        ("the world of IPv6", vec!["-6 route add 2000::/3 dev wg0"]),
        ("a worse default", vec!["route add default dev wg0 metric 500"]),
        (
            "the only default",
            vec!["route replace default dev wg0", "-6 route del default", "-6 route add default dev wg0"],
        ),
        ("some of the world", vec!["route add 64.0.0.0/2 dev wg0", "route add 203.0.113.0/24 dev wg0"]),
        ("another table nobody asks", vec!["route add default dev wg0 table 77"]),
    ];
    let (mut agreed, all) = (0, ways.len() * 2);
    for (name, words) in &ways {
        let host = Host::new();
        for word in words {
            host.ip(word);
        }
        let tunnel = host.state()["tunnel:wg0"]["tunnel"].clone();
        for (world, family, key) in [(&WORLD[..], "-4", "ip"), (&WORLD6[..], "-6", "ip6")] {
            assert_eq!(tunnel[key], expected(&host, world, family), "{name}, {key}: {tunnel:#}");
            agreed += 1;
        }
    }
    println!("vpn: {agreed} of {all} agreed with ip route get");
}

#[test]
fn a_rule_by_user_makes_it_unknown() {
    let host = Host::new();
    host.ip("route add default dev wg0 table 77");
    host.ip("rule add uidrange 1000-1000 table 77");
    assert_eq!(host.state()["tunnel:wg0"]["tunnel"]["ip"], "unknown");
}

#[test]
fn default_routes_are_those_of_ip() {
    let host = Host::new();
    assert_eq!(host.state()["default:ip"]["default"], serde_json::json!(["eth0"]));
    let shown = host.json("route show default");
    assert_eq!(shown[0]["dev"], "eth0");
    host.ip("-6 route del default");
    assert_eq!(host.state()["default:ip6"]["default"], serde_json::json!([]));
    assert!(Path::new(&host.namespace.path()).exists());
}
