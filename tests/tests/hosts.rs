//! Two real Debian hosts, booted with systemd, that enrol over TLS, drift and are flagged. Needs root.

use plumbline_tests::netns::Switch;
use plumbline_tests::nspawn::RealHost;
use plumbline_tests::root;

#[test]
fn two_real_hosts_boot_and_reach_the_switch() {
    let switch = Switch::new();
    for suite in ["bookworm", "bullseye"] {
        let begun = std::time::Instant::now();
        let host = RealHost::boot(&switch, &root::debian(suite), suite, &[]);
        println!("{suite} booted in {:?}", begun.elapsed());
        assert!(host.shell("cat /etc/os-release").contains(suite));
        println!("{}", host.run_as_unit(&["sh", "-c", "id; nft list ruleset; cat /proc/self/status | grep Cap"]).ok());
        println!("{}", host.shell("ip addr show eth0; hostname; systemctl list-units --failed --no-pager"));
    }
}
