//! Every parser against bad input: `cargo test -p plumbline-tests --test fuzz`, a part of `tests/run`.
//!
//! One test is one target: a whole probe over a host whose files or answers hold the case, or a reader of documents. Its seeds
//! and every case that once failed stand in `corpus/NAME`. Three lines add a target: a host, a line here, a seed.
//! What mutates and what is asked of each case is in `mutate` and `engine`; there is no coverage to steer by, since that needs a nightly
//! compiler, so a case leads on if it makes the parser say something new. What only the agent reads (packets of chronyd on the wire,
//! its spool) is not here.

mod answers;
mod databases;
mod documents;
mod engine;
mod files;
mod memory;
mod mutate;
mod packaged;
mod probing;

use documents::Reading;
use probing::Probing;

/// One test a target: a probe over a host, or a reader of documents.
macro_rules! targets {
    (probes {$($name:ident: $probe:ident, $host:path $(, $ends:ident)?;)*} documents {$($reader:ident: $read:path;)*}) => {
        const TARGETS: usize = [$(stringify!($name),)* $(stringify!($reader),)*].len();
        $(#[test]
        fn $name() {
            let ends: &[&str] = &[$(stringify!($ends))?];
            let target = Probing { name: stringify!($name), probe: stringify!($probe), host: $host, ends: !ends.is_empty() };
            engine::fuzz(&target, TARGETS);
        })*
        $(#[test]
        fn $reader() {
            engine::fuzz(&Reading { name: stringify!($reader), read: $read }, TARGETS);
        })*
    };
}

targets! {
    probes {
        dpkg_status: packages, databases::dpkg_status;
        dpkg_folders: packages, databases::dpkg_folders;
        rpm_sqlite: packages, databases::rpm_sqlite, ends;
        rpm_sqlite_log: packages, databases::rpm_sqlite_log;
        rpm_ndb: packages, databases::rpm_ndb, ends;
        rpm_berkeley: packages, databases::rpm_berkeley, ends;
        apk: packages, databases::apk;
        pacman: packages, databases::pacman;
        snap_and_flatpak: packages, databases::snap_and_flatpak;
        holds: packages, databases::holds;
        apt_lists: patches, databases::apt_lists;
        apt_compressed: patches, databases::apt_compressed;
        apt_settings: patches, databases::apt_settings;
        update_logs: patches, databases::update_logs;
        os_release: eol, files::os_release;
        distro_info: eol, files::distro_info;
        sudoers: admins, files::sudoers;
        admins_accounts: admins, files::accounts;
        doas: admins, files::doas;
        polkit: admins, files::polkit;
        polkit_actions: time, files::polkit_actions;
        authorized_keys: admins, files::authorized_keys;
        accounts: accounts, files::accounts;
        login_settings: accounts, files::login_settings;
        sshd_config: sshd, files::sshd_config;
        units: services, files::units;
        sysv: services, files::sysv;
        crontabs: scheduled, files::crontabs;
        timers: scheduled, files::units;
        at_jobs: scheduled, files::at_jobs;
        sysctl: kernel, files::sysctl;
        modprobe: kernel, files::modprobe;
        mountinfo: kernel, files::mountinfo;
        boot: kernel, files::boot;
        rights: files, files::rights;
        certificates: certificates, files::certificates;
        wireguard: vpn, files::wireguard;
        openvpn: vpn, files::openvpn;
        ipsec: vpn, files::ipsec;
        docker: containers, files::docker;
        podman: containers, files::podman;
        container_units: containers, files::container_units;
        journald: logging, files::journald;
        rsyslog: logging, files::rsyslog;
        syslog_ng: logging, files::syslog_ng;
        auditd: logging, files::auditd;
        clamav: protection, files::clamav;
        platform: platform, files::platform;
        chrony_conf: time, files::chrony_conf;
        timesyncd_conf: time, files::timesyncd_conf;
        ntp_conf: time, files::ntp_conf;
        clock_answers: time, answers::clock;
        chrony_tracking: time, answers::chrony_tracking;
        chrony_sources: time, answers::chrony_sources;
        timesync: time, answers::timesync;
        nft: firewall, answers::nft, ends;
        iptables: firewall, answers::iptables, ends;
        sockets: listening, answers::sockets;
        socket_owners: listening, answers::socket_owners;
        routes: vpn, answers::routes, ends;
        unit_states: services, answers::unit_states, ends;
    }
    documents {
        baseline: documents::baseline;
        assertion: documents::assertion;
        end_of_life: documents::end_of_life;
        end_of_life_import: documents::end_of_life_import;
        envelope: documents::envelope;
        statement: documents::statement;
        facts: documents::facts;
        recording: documents::recording;
        instance_identity: documents::instance_identity;
        dpkg_sums: packaged::dpkg_sums;
        rpm_sums: packaged::rpm_sums;
        versions: documents::versions;
        change_record: documents::change_record;
    }
}
