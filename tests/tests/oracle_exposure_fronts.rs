//! What the firewall probe calls reachable is what connects, where ufw and firewalld made the rules: each configured by its
//! own commands in network and mount namespaces of its own, and real packets of both families sent. Needs root.

use std::process::Command;

use plumbline_tests::processes::{Ran, run};

mod oracle_exposure {
    pub mod said;
    pub mod wire;
}

use oracle_exposure::said::{Said, openings, said};
use oracle_exposure::wire::Wire;

/// What gets one front end going, in a mount namespace of its own; `$1` is what to configure, and stays until its input ends.
const UFW: &str = r#"
set -eu
mount -t tmpfs none /run && mkdir /run/lock
mkdir /run/ufw && cp -a /etc/ufw/. /run/ufw && mount --bind /run/ufw /etc/ufw
cp -a /etc/default /run/default && mount --bind /run/default /etc/default
ufw --force reset >/dev/null
eval "$1"
ufw prepend allow in on eth9 # the fence
ufw --force enable
"#;

const FIREWALLD: &str = r#"
set -eu
mount -t tmpfs none /run && mkdir -p /run/dbus /run/firewalld && mount -t tmpfs none /var/log
mkdir /run/etc && mount --bind /run/etc /etc/firewalld && mkdir /etc/firewalld/zones /etc/firewalld/ipsets
printf 'DefaultZone=public\nFirewallBackend=nftables\nCleanupOnExit=no\nLogDenied=off\nIPv6_rpfilter=no\n' >/etc/firewalld/firewalld.conf
f() { firewall-offline-cmd "$@"; }
f --zone=trusted --add-interface=eth9 # the fence
eval "$1"
dbus-daemon --system --nofork --nopidfile & bus=$!
firewalld --nofork --nopid >/run/said 2>&1 & daemon=$!
until firewall-cmd --state >/dev/null 2>&1; do kill -0 $daemon || { cat /run/said; exit 1; }; sleep 0.05; done
# The rules stay behind it.
kill $daemon; wait $daemon || true
kill $bus; wait $bus || true
grep -E 'ERROR' /run/said && exit 1 || true
"#;

#[test]
fn what_ufw_lets_through_is_what_the_probe_says() {
    compare(
        "ufw",
        UFW,
        &[
            "ufw default deny incoming",
            "ufw default reject incoming; ufw allow 22/tcp; ufw allow 443",
            "ufw allow from 10.9.0.2 to any port 22 proto tcp; ufw allow from fd09::3 to any port 80",
            "ufw limit 22/tcp; ufw allow 8080/udp",
            "ufw default allow incoming; ufw deny 22; ufw reject 80/tcp; ufw deny from 10.9.1.0/24; ufw deny from fd09:1::/64",
            "ufw allow in on eth1 to any port 80 proto tcp; ufw allow in on eth0 to 10.9.0.10 port 8080; ufw deny in on eth1",
            "ufw allow proto tcp from any to any port 22,80,8000:8010; ufw insert 1 deny from 10.9.0.3",
            "ufw deny from 10.9.0.0/30 to any port 80; ufw allow 80; ufw prepend reject from fd09::2 to any port 443; ufw allow 443",
            "ufw route allow in on eth0 to 10.9.0.1 port 22; ufw allow log 99/udp",
            "ufw logging high; ufw allow from 10.9.0.0/24; ufw allow from fd09::/126 port 10000:60000 proto tcp to any port 8080",
            "sed -i s/^IPV6=.*/IPV6=no/ /etc/default/ufw; ufw allow 22",
        ],
    );
}

#[test]
fn what_firewalld_lets_through_is_what_the_probe_says() {
    compare(
        "firewalld",
        FIREWALLD,
        &[
            "true",
            "f --zone=public --add-port=80/tcp --add-port=8000-8010/udp; f --zone=public --add-service=https; f --zone=public --remove-service-from-zone=ssh",
            "f --zone=internal --add-interface=eth1; f --zone=internal --add-port=99/udp; f --zone=public --remove-service-from-zone=ssh",
            "f --zone=trusted --add-source=10.9.0.2; f --zone=drop --add-source=10.9.0.3; f --zone=block --add-source=fd09::3",
            "f --set-default-zone=drop; f --zone=drop --add-port=443/tcp",
            "f --set-default-zone=trusted; f --zone=block --add-interface=eth1",
            "f --add-rich-rule='rule family=ipv4 source address=10.9.0.2 port port=8080 protocol=tcp accept'; \
         f --add-rich-rule='rule family=ipv6 source address=fd09::/126 service name=http reject'; f --add-service=http",
            "f --add-rich-rule='rule priority=-5 family=ipv4 source address=10.9.0.0/30 drop'; f --add-port=22-443/tcp; \
         f --add-rich-rule='rule priority=5 port port=99 protocol=udp accept limit value=100/s'",
            "f --new-ipset=some --type=hash:ip; f --ipset=some --add-entry=10.9.0.3; f --zone=work --add-source=ipset:some; \
         f --zone=work --add-port=8080/tcp; f --zone=work --remove-service-from-zone=ssh",
            "f --add-forward-port=port=8080:proto=tcp:toport=22; f --add-forward-port=port=99:proto=udp:toport=80; f --zone=public --remove-service-from-zone=ssh",
            "f --zone=public --set-target=ACCEPT; f --add-rich-rule='rule family=ipv4 destination address=10.9.0.10 reject'",
            "f --add-source-port=10000-60000/udp; f --add-protocol=tcp; f --add-masquerade",
        ],
    );
}

/// Every third configuration in the landing tier, for each takes its front end some seconds; all in the long one.
fn compare(kind: &str, set_up: &str, cases: &[&str]) {
    let is_long = std::env::var("PLUMBLINE_TESTS_LONG").is_ok_and(|set| !set.is_empty());
    let cases: Vec<&str> = cases.iter().copied().step_by(if is_long { 1 } else { 3 }).collect();
    let mut wire = Wire::new();
    let tries = Wire::tries();
    let (mut open, mut closed, mut untold, mut wrong) = (0, 0, 0, Vec::new());
    for case in &cases {
        run(wire.host.command("nft").args(["flush", "ruleset"])).ok();
        let ran = set(&wire, set_up, case);
        assert_eq!(ran.code, 0, "{case}: {ran}");
        let openings = openings(&wire.host);
        for (one, did) in tries.iter().zip(wire.outcomes(&tries)) {
            match said(&openings, one) {
                Said::Open if did => open += 1,
                Said::Closed if !did => closed += 1,
                Said::Perhaps => untold += 1,
                said @ (Said::Open | Said::Closed) => {
                    wrong.push(format!("{case}: {one:?} is called {said:?}, and did it connect? {did}"));
                }
            }
        }
    }
    let all = tries.len() * cases.len();
    println!(
        "{kind}: {} configurations; {} of {} agreed ({open} open, {closed} closed); {untold} of {all} tries could not be told",
        cases.len(),
        open + closed,
        all - untold
    );
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
    assert!(untold * 10 <= all, "{untold} of {all} could not be told");
    assert!(open * 10 >= all && closed * 10 >= all, "both were met: {open} open, {closed} closed");
}

fn set(wire: &Wire, set_up: &str, case: &str) -> Ran {
    let mut command: Command = wire.host.command("unshare");
    run(command.args(["-m", "--propagation", "private", "bash", "-c", set_up, "front", case]))
}
