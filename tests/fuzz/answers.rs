//! Hosts whose kernel and daemons answer with the case.

use audit::host::{Question, Recorded};

use crate::databases::{at_most, pieces};
use crate::files;

pub fn clock(case: &[u8]) -> Recorded {
    let [kernel, daemons] = pieces(case);
    Recorded::new().answer(Question::KernelClock, kernel).answer(Question::TimeDaemons, daemons)
}

pub fn chrony_tracking(case: &[u8]) -> Recorded {
    files::clock(Recorded::new(), "chronyd", "chrony.service").answer(Question::ChronyTracking, case)
}

pub fn chrony_sources(case: &[u8]) -> Recorded {
    files::clock(Recorded::new(), "chronyd", "chrony.service").answer(Question::ChronySources, case)
}

pub fn timesync(case: &[u8]) -> Recorded {
    files::clock(Recorded::new(), "systemd-timesyn", "systemd-timesyncd.service").answer(Question::Timesync, case)
}

fn firewall() -> Recorded {
    Recorded::new()
        .answer(Question::NftGeneration, "7")
        .file("/proc/net/fib_trie", "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.7\n        /32 host LOCAL\n")
        .file("/proc/net/if_inet6", "fe800000000000000000000000000001 02 40 20 80 eth0\n")
}

pub fn nft(case: &[u8]) -> Recorded {
    firewall().answer(Question::NftRuleset, case)
}

/// Rules of iptables, which nft shows with extensions it does not know.
pub fn iptables(case: &[u8]) -> Recorded {
    // What the agent takes of these programs' answers.
    let case = at_most(case, 8 * 1024 * 1024);
    firewall()
        .answer(Question::NftRuleset, r#"{"nftables": []}"#)
        .answer(Question::IptablesNft, case)
        .answer(Question::Ip6tablesNft, case)
        .answer(Question::IptablesLegacy, case)
        .answer(Question::Ip6tablesLegacy, case)
        .file("/proc/net/ip_tables_names", "filter\n")
        .file("/proc/net/ip6_tables_names", "filter\n")
}

fn listening() -> Recorded {
    firewall()
        .answer(Question::NftRuleset, r#"{"nftables": []}"#)
        .file("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n")
}

pub fn sockets(case: &[u8]) -> Recorded {
    listening()
        .answer(Question::Sockets, case)
        .answer(Question::ControlGroups, r#"{"1": "/", "77": "/system.slice/ssh.service"}"#)
        .answer(Question::SocketOwners, r#"{"4711": ["sshd"]}"#)
}

pub fn socket_owners(case: &[u8]) -> Recorded {
    let [owners, groups, range] = pieces(case);
    listening()
        .answer(Question::Sockets, include_bytes!("corpus/sockets/some"))
        .answer(Question::SocketOwners, owners)
        .answer(Question::ControlGroups, groups)
        .file("/proc/sys/net/ipv4/ip_local_port_range", range)
}

pub fn routes(case: &[u8]) -> Recorded {
    Recorded::new().answer(Question::Routes, case)
}

pub fn unit_states(case: &[u8]) -> Recorded {
    Recorded::new()
        .file("/usr/lib/systemd/systemd", "ELF")
        .symlink("/lib", "usr/lib")
        .file("/usr/lib/systemd/system/ssh.service", "[Install]\nWantedBy=multi-user.target\n")
        .answer(Question::Units, case)
}
