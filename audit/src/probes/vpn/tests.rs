//! The probe against recorded configurations. What the kernel routes is compared with `ip` itself in the oracle test.

use super::*;
use crate::facts::FactSet;
use crate::finding::Status;
use crate::host::{GapKind, Recorded};
use crate::lifecycle::Lifecycles;

const SECRET: &str = "aB3xSecretSecretSecretSecretSecretSecret0000=";

fn statuses(host: &Recorded, expectation: &str) -> Vec<(String, Status)> {
    let expect: Expect = serde_yaml::from_str(expectation).unwrap();
    judge::check(&expect).unwrap();
    let (facts, lifecycles) = (FactSet::default(), Lifecycles::shipped().unwrap());
    let context = Context { now: chrono::DateTime::UNIX_EPOCH, facts: &facts, lifecycles: &lifecycles };
    Vpn::judge(&expect, &Vpn::collect(host), &context).into_iter().map(|one| (one.subject, one.status)).collect()
}

fn wireguard(allowed: &str) -> Recorded {
    let text = format!(
        "[Interface]\nPrivateKey = {SECRET}\nAddress = 10.7.0.2/32\n\n[Peer]\nPublicKey = {SECRET}\nPresharedKey={SECRET}\n\
         allowedips = {allowed} # all\nEndpoint = 192.0.2.1:51820\n"
    );
    Recorded::new().file("/etc/wireguard/wg0.conf", text)
}

#[test]
fn allowed_addresses_tell_full_from_split() {
    let split = "split: forbidden";
    let wg = |status| vec![("wireguard:wg0".to_owned(), status)];
    assert_eq!(statuses(&wireguard("0.0.0.0/0, ::/0"), split), wg(Status::Pass));
    assert_eq!(statuses(&wireguard("0.0.0.0/1, 128.0.0.0/1\nAllowedIPs=::/0"), split), wg(Status::Pass));
    assert_eq!(statuses(&wireguard("0.0.0.0/0"), split), wg(Status::Deviation));
    assert_eq!(statuses(&wireguard("10.0.0.0/8, fd00::/8"), split), wg(Status::Deviation));
    assert_eq!(statuses(&wireguard("10.0.0.0/8\n[Interface]\nTable = off"), split), wg(Status::Unknown));
    let excepted = "{split: forbidden, split_except: ['wg*']}";
    assert_eq!(statuses(&wireguard("10.0.0.0/8"), excepted), [("tunnels".to_owned(), Status::NotApplicable)]);
    assert_eq!(statuses(&wireguard("10.0.0.0/8"), "tunnels: [wg0]"), [("tunnels".to_owned(), Status::Pass)]);
    assert_eq!(statuses(&wireguard("10.0.0.0/8"), "tunnels: []"), wg(Status::Deviation));
    assert_eq!(statuses(&Recorded::new(), split), [("tunnels".to_owned(), Status::NotApplicable)]);
}

#[test]
fn openvpn_and_ipsec_are_read_too() {
    let host = Recorded::new()
        .file("/etc/openvpn/client/all.conf", "client\nredirect-gateway def1 ipv6\n<key>\nroute 10.9.9.9\n</key>\n")
        .file("/etc/openvpn/client/some.conf", "client\nroute 10.0.0.0 255.0.0.0\nroute-ipv6 fd00::/8\nroute-nopull\n")
        .file("/etc/openvpn/server/hub.conf", "server 10.8.0.0 255.255.255.0\n")
        .file(
            "/etc/ipsec.conf",
            "config setup\n\nconn %default\n  ike=x\nconn office\n  rightsubnet=10.1.0.0/16,10.2.0.0/16\n",
        )
        .file(
            "/etc/swanctl/conf.d/a.conf",
            "connections {\n a {\n  children {\n   net {\n    remote_ts = 0.0.0.0/0,::/0\n   }\n  }\n }\n}\n\
                                              secrets {\n ike {\n  secret = hush\n }\n}\n",
        );
    let seen = Vpn::collect(&host).items.seen;
    let said: Vec<String> = seen
        .iter()
        .map(|(subject, item)| format!("{subject} {} {:?} {}", Vpn::say(item), item.full, item.server))
        .collect();
    assert_eq!(
        said,
        [
            r#"ipsec:net 0.0.0.0/0, ::/0 ["ip", "ip6"] false"#,
            r#"ipsec:office 10.1.0.0/16, 10.2.0.0/16 [] false"#,
            r#"openvpn:client/all 0.0.0.0/0, ::/0; redirect-gateway def1 ipv6 ["ip", "ip6"] false"#,
            r#"openvpn:client/some 10.0.0.0/8, fd00::/8; route-nopull [] false"#,
            r#"openvpn:server/hub  [] true"#,
        ]
    );
}

#[test]
fn no_key_enters_the_facts() {
    let facts = Vpn::collect(&wireguard("0.0.0.0/0"));
    let said = serde_json::to_string(&facts.items).unwrap() + &serde_json::to_string(&facts.state).unwrap();
    assert!(!said.contains("Secret") && said.contains("0.0.0.0/0"), "{said}");
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let hidden = wireguard("0.0.0.0/0, ::/0").gap("/etc/wireguard/wg0.conf", GapKind::Denied);
    assert_eq!(statuses(&hidden, "split: forbidden")[0].1, Status::Unknown);
    for bad in [&b"\x10\0\0\0\x03\0"[..], &[20, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], b""] {
        let host = Recorded::new().answer(Question::Routes, bad);
        assert_eq!(statuses(&host, "split: forbidden")[0].1, Status::Unknown, "{bad:?}");
    }
}
