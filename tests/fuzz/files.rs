//! Hosts whose configuration files hold the case.

use audit::host::{Attribute, Question, Recorded};

use crate::databases::{at_most, pieces, text};

/// The longest name or link a kernel tells (PATH_MAX), and the longest attribute (XATTR_SIZE_MAX).
const ONE_NAME: usize = 4096;
const ONE_ATTRIBUTE: usize = 64 * 1024;

pub fn os_release(case: &[u8]) -> Recorded {
    Recorded::new().file("/etc/os-release", case).file("/usr/lib/os-release", case)
}

pub fn distro_info(case: &[u8]) -> Recorded {
    Recorded::new()
        .file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n")
        .file("/usr/share/distro-info/debian.csv", case)
        .file("/usr/share/distro-info/ubuntu.csv", case)
}

const PASSWD: &str =
    "root:x:0:0::/root:/bin/bash\nava:x:1000:1000::/home/ava:/bin/bash\notto:x:1001:1001::/home/otto:/bin/sh\n";
const GROUP: &str = "root:x:0:\nsudo:x:27:ava\ndocker:x:998:otto\nava:x:1000:\notto:x:1001:\n";

/// The case includes itself, under every name it can be reached by.
pub fn sudoers(case: &[u8]) -> Recorded {
    Recorded::new()
        .file("/etc/passwd", PASSWD)
        .file("/etc/group", GROUP)
        .file("/etc/hostname", "web-1\n")
        .file("/etc/sudoers", case)
        .with_stat("/etc/sudoers", |stat| stat.mode = 0o440)
        .file("/etc/sudoers.d/own", case)
        .file("/etc/sudoers.d/more/own", case)
        .file("/etc/sudoers.local", case)
}

/// The case beside a file that is well, read before it.
pub fn doas(case: &[u8]) -> Recorded {
    let [own, more] = pieces(case);
    Recorded::new()
        .file("/etc/passwd", PASSWD)
        .file("/etc/group", GROUP)
        .file("/etc/doas.conf", own)
        .file("/etc/doas.d/10-own.conf", "permit :wheel\n")
        .file("/etc/doas.d/20-more.conf", more)
}

/// Rules, an authority file and its configuration of before polkit 106, each the case or a piece of it.
pub fn polkit(case: &[u8]) -> Recorded {
    let [rules, authority, settings] = pieces(case);
    Recorded::new()
        .file("/etc/passwd", PASSWD)
        .file("/etc/group", GROUP)
        .file("/etc/polkit-1/rules.d/49-own.rules", rules)
        .file("/usr/share/polkit-1/rules.d/50-default.rules", case)
        .file("/etc/polkit-1/localauthority/50-local.d/own.pkla", authority)
        .file("/etc/polkit-1/localauthority.conf.d/51-own.conf", settings)
}

/// Who may set the clock by the rules, and by the action's own defaults.
pub fn polkit_actions(case: &[u8]) -> Recorded {
    let [action, rules] = pieces(case);
    Recorded::new()
        .file("/etc/passwd", PASSWD)
        .file("/etc/group", GROUP)
        .file("/usr/share/polkit-1/actions/org.freedesktop.timedate1.policy", action)
        .file("/etc/polkit-1/rules.d/49-own.rules", rules)
}

pub fn accounts(case: &[u8]) -> Recorded {
    let [passwd, group, shadow] = pieces(case);
    Recorded::new()
        .file("/etc/passwd", passwd)
        .file("/etc/group", group)
        .file("/etc/shadow", shadow)
        .with_stat("/etc/shadow", |stat| stat.mode = 0o640)
        .file("/etc/login.defs", "PASS_MAX_DAYS 99999\nENCRYPT_METHOD YESCRYPT\n")
        .file("/etc/sudoers", "root ALL=(ALL) ALL\n%sudo ALL=(ALL) ALL\n")
        .folder("/home/ava")
        .folder("/root")
}

pub fn login_settings(case: &[u8]) -> Recorded {
    let [defs, switch, pam] = pieces(case);
    Recorded::new()
        .file("/etc/passwd", PASSWD)
        .file("/etc/group", GROUP)
        .file("/etc/shadow", "root:*:19000:0:99999:7:::\nava:!:19000:0:99999:7:::\notto:!:1:0:9:7:::\n")
        .file("/etc/login.defs", defs)
        .file("/etc/nsswitch.conf", switch)
        .file("/etc/pam.d/common-auth", pam)
        .file("/etc/pam.d/sshd", case)
}

pub fn authorized_keys(case: &[u8]) -> Recorded {
    let host = Recorded::new()
        .file("/etc/passwd", PASSWD)
        .file("/etc/group", GROUP)
        .file("/etc/sudoers", "root ALL=(ALL) ALL\n%sudo ALL=(ALL) ALL\n")
        .file("/root/.ssh/authorized_keys", case)
        .file("/home/ava/.ssh/authorized_keys", case)
        .file("/home/ava/.ssh/authorized_keys2", case);
    ["/home/ava", "/home/ava/.ssh", "/home/ava/.ssh/authorized_keys"]
        .iter()
        .fold(host, |host, path| host.with_stat(path, |stat| (stat.uid, stat.gid) = (1000, 1000)))
}

pub fn sshd_config(case: &[u8]) -> Recorded {
    let [own, more] = pieces(case);
    Recorded::new()
        .file("/usr/sbin/sshd", "ELF")
        .file("/etc/ssh/sshd_config", own)
        .file("/etc/ssh/sshd_config.d/50-own.conf", case)
        .file("/etc/ssh/sshd_config.d/60-more.conf", more)
        .file("/etc/crypto-policies/back-ends/opensshserver.config", more)
        .file("/etc/default/ssh", more)
}

pub fn units(case: &[u8]) -> Recorded {
    let [unit, drop_in, target] = pieces(case);
    let target = text(target);
    Recorded::new()
        .file("/usr/lib/systemd/systemd", "ELF")
        .symlink("/lib", "usr/lib")
        .file("/usr/lib/systemd/system/ssh.service", unit)
        .file("/usr/lib/systemd/system/backup.timer", unit)
        .file("/usr/lib/systemd/system/getty@.service", unit)
        .file("/etc/systemd/system/ssh.service.d/own.conf", drop_in)
        .file("/etc/systemd/system/backup.timer.d/own.conf", drop_in)
        .file("/run/systemd/transient/run-1.timer", unit)
        .symlink("/etc/systemd/system/timers.target.wants/backup.timer", "/usr/lib/systemd/system/backup.timer")
        .symlink("/etc/systemd/system/multi-user.target.wants/ssh.service", &target)
        .symlink("/etc/systemd/system/alias.service", &target)
        .symlink("/etc/systemd/system/getty.target.wants/getty@tty1.service", &target)
}

pub fn sysv(case: &[u8]) -> Recorded {
    let mut host = Recorded::new().file("/etc/init.d/cron", case);
    for line in text(case).lines().take(200).filter(|line| is_name(line)) {
        host = host
            .symlink(&format!("/etc/rc2.d/{line}"), "../init.d/cron")
            .symlink(&format!("/etc/runlevels/default/{line}"), line);
    }
    host
}

pub fn crontabs(case: &[u8]) -> Recorded {
    Recorded::new()
        .file("/etc/passwd", PASSWD)
        .file("/etc/crontab", case)
        .file("/etc/anacrontab", case)
        .file("/etc/cron.d/own", case)
        .file("/var/spool/cron/crontabs/ava", case)
        .file("/etc/crontabs/root", case)
        .file("/etc/cron.allow", case)
        .file("/etc/cron.daily/clean", case)
}

/// The case gives the names, which say when a job runs.
pub fn at_jobs(case: &[u8]) -> Recorded {
    let names = text(case);
    let names = names.lines().take(200).filter(|name| is_name(name));
    names.fold(Recorded::new(), |host, name| host.file(&format!("/var/spool/cron/atjobs/{name}"), "#!/bin/sh\n"))
}

pub fn sysctl(case: &[u8]) -> Recorded {
    Recorded::new()
        .file("/usr/lib/systemd/systemd", "ELF")
        .file("/etc/sysctl.conf", case)
        .file("/etc/sysctl.d/50-own.conf", case)
        .file("/usr/lib/sysctl.d/10-more.conf", case)
        .file("/proc/sys/kernel/kptr_restrict", case)
        .file("/proc/sys/net/ipv4/conf/all/rp_filter", "1\n")
        .file("/proc/sys/net/ipv4/conf/eth0/rp_filter", "1\n")
}

pub fn modprobe(case: &[u8]) -> Recorded {
    Recorded::new()
        .file("/etc/modprobe.d/own.conf", case)
        .file("/usr/lib/modprobe.d/more.conf", case)
        .file("/proc/modules", case)
        .answer(Question::KernelRelease, "6.1.0-28-amd64\n")
}

pub fn mountinfo(case: &[u8]) -> Recorded {
    let [now, configured] = pieces(case);
    Recorded::new().file("/proc/1/mountinfo", now).file("/etc/fstab", configured)
}

pub fn boot(case: &[u8]) -> Recorded {
    let [line, grub, limits, dumps, lockdown] = pieces(case);
    Recorded::new()
        .answer(Question::KernelRelease, at_most(line, ONE_NAME))
        .file("/proc/cmdline", line)
        .file("/etc/default/grub", grub)
        .file("/etc/default/grub.d/own.cfg", grub)
        .file("/etc/security/limits.conf", limits)
        .file("/etc/security/limits.d/own.conf", limits)
        .file("/etc/systemd/coredump.conf", dumps)
        .file("/sys/kernel/security/lockdown", lockdown)
        .file("/proc/sys/kernel/tainted", lockdown)
        .file("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", lockdown)
}

/// Capabilities, access lists, and lines that patterns are held against.
pub fn rights(case: &[u8]) -> Recorded {
    let [capability, list, accounts] = pieces(case);
    Recorded::new()
        .file("/etc/passwd", accounts)
        .file("/etc/group", accounts)
        .file("/srv/audited/program", case)
        .with_attribute("/srv/audited/program", Attribute::Capability, at_most(capability, ONE_ATTRIBUTE))
        .with_attribute("/srv/audited/program", Attribute::AccessList, at_most(list, ONE_ATTRIBUTE))
        .symlink("/srv/audited/link", &text(at_most(list, ONE_NAME)))
        .with_stat("/srv/audited/program", |stat| {
            stat.uid = at_most(capability, ONE_NAME).iter().map(|byte| u32::from(*byte)).sum()
        })
}

pub fn certificates(case: &[u8]) -> Recorded {
    Recorded::new()
        .file("/etc/passwd", PASSWD)
        .file("/etc/group", GROUP)
        .file("/etc/ssl/certs/ca-certificates.crt", case)
        .file("/usr/local/share/ca-certificates/own.crt", case)
        .file("/etc/ssl/site/own.pem", case)
        .file("/etc/ssl/private/own.key", case)
}

pub fn wireguard(case: &[u8]) -> Recorded {
    Recorded::new().file("/etc/wireguard/wg0.conf", case)
}

pub fn openvpn(case: &[u8]) -> Recorded {
    Recorded::new().file("/etc/openvpn/client/office.conf", case).file("/etc/openvpn/server/hub.conf", case)
}

pub fn ipsec(case: &[u8]) -> Recorded {
    Recorded::new()
        .file("/etc/ipsec.conf", case)
        .file("/etc/ipsec.d/own.conf", case)
        .file("/etc/swanctl/swanctl.conf", case)
        .file("/etc/swanctl/conf.d/own.conf", case)
}

pub fn docker(case: &[u8]) -> Recorded {
    let [config, host_config, repositories, image, daemon] = pieces(case);
    let folder = "/var/lib/docker/containers/ab01";
    Recorded::new()
        .file("/etc/docker/daemon.json", daemon)
        .file(&format!("{folder}/config.v2.json"), config)
        .file(&format!("{folder}/hostconfig.json"), host_config)
        .file("/var/lib/docker/image/overlay2/repositories.json", repositories)
        .file("/var/lib/docker/image/overlay2/imagedb/content/sha256/9a01", image)
}

pub fn podman(case: &[u8]) -> Recorded {
    let [list, config, images] = pieces(case);
    let store = "/var/lib/containers/storage";
    Recorded::new()
        .file(&format!("{store}/overlay-containers/containers.json"), list)
        .file(&format!("{store}/overlay-containers/ab01/userdata/config.json"), config)
        .file(&format!("{store}/overlay-images/images.json"), images)
}

pub fn container_units(case: &[u8]) -> Recorded {
    Recorded::new()
        .file("/etc/containers/systemd/web.container", case)
        .file("/etc/systemd/nspawn/build.nspawn", case)
        .file("/var/lib/lxc/box/config", case)
}

const SYSLOG_UNITS: &str = "[Install]\nWantedBy=multi-user.target\n";

fn logging() -> Recorded {
    let host =
        Recorded::new().file("/usr/lib/systemd/systemd", "ELF").symlink("/lib", "usr/lib").folder("/var/log/journal");
    ["rsyslog", "syslog-ng", "auditd"].iter().fold(host, |host, name| {
        host.file(&format!("/usr/lib/systemd/system/{name}.service"), SYSLOG_UNITS).symlink(
            &format!("/etc/systemd/system/multi-user.target.wants/{name}.service"),
            &format!("/lib/systemd/system/{name}.service"),
        )
    })
}

pub fn journald(case: &[u8]) -> Recorded {
    logging()
        .file("/etc/systemd/journald.conf", case)
        .file("/usr/lib/systemd/journald.conf.d/own.conf", case)
        .file("/etc/systemd/journal-upload.conf", case)
}

pub fn rsyslog(case: &[u8]) -> Recorded {
    logging().file("/etc/rsyslog.conf", case).file("/etc/rsyslog.d/own.conf", case).file("/var/log/auth.log", "x")
}

pub fn syslog_ng(case: &[u8]) -> Recorded {
    logging().file("/etc/syslog-ng/syslog-ng.conf", case).file("/etc/syslog-ng/conf.d/own.conf", case)
}

pub fn auditd(case: &[u8]) -> Recorded {
    logging().file("/etc/audit/audit.rules", case).file("/etc/audit/rules.d/own.rules", case)
}

pub fn clamav(case: &[u8]) -> Recorded {
    let [daily, selinux, kernel] = pieces(case);
    Recorded::new()
        .file("/var/lib/clamav/daily.cvd", daily)
        .file("/var/lib/clamav/main.cld", case)
        .file("/etc/selinux/config", selinux)
        .folder("/sys/kernel")
        .file("/sys/fs/selinux/enforce", kernel)
        .file("/sys/module/apparmor/parameters/enabled", kernel)
}

pub fn platform(case: &[u8]) -> Recorded {
    let [identity, processor, memory, size] = pieces(case);
    let product = "/sys/class/dmi/id/product_name";
    Recorded::new()
        .file("/etc/os-release", identity)
        .file("/etc/machine-id", identity)
        .symlink("/etc/localtime", &text(at_most(identity, ONE_NAME)))
        .file("/etc/default/locale", identity)
        .file("/run/systemd/container", size)
        .file("/proc/cpuinfo", processor)
        .file("/proc/meminfo", memory)
        .file(product, size)
        .file("/sys/block/sda/size", size)
        .file("/proc/sys/kernel/random/boot_id", identity)
        .answer(Question::KernelRelease, at_most(identity, ONE_NAME))
}

pub fn chrony_conf(case: &[u8]) -> Recorded {
    let host = Recorded::new()
        .file("/etc/chrony/chrony.conf", case)
        .file("/etc/chrony/conf.d/own.conf", case)
        .file("/run/chrony-dhcp/eth0.sources", case);
    clock(host, "chronyd", "chrony.service")
}

pub fn timesyncd_conf(case: &[u8]) -> Recorded {
    let host = Recorded::new()
        .file("/etc/systemd/timesyncd.conf", case)
        .file("/usr/lib/systemd/timesyncd.conf.d/own.conf", case);
    clock(host, "systemd-timesyn", "systemd-timesyncd.service")
}

pub fn ntp_conf(case: &[u8]) -> Recorded {
    let host = Recorded::new()
        .file("/etc/ntp.conf", case)
        .file("/etc/ntpsec/ntp.conf", case)
        .file("/etc/ntpsec/ntp.d/own.conf", case)
        .file("/etc/openntpd/ntpd.conf", case)
        .file("/run/ntp.conf.dhcp", case);
    clock(host, "ntpd", "ntpsec.service")
}

/// A clock that is right, kept by this daemon.
pub fn clock(host: Recorded, name: &str, unit: &str) -> Recorded {
    let daemons = serde_json::json!([{"name": name, "unit": unit, "uid": 101}]);
    host.answer(Question::KernelClock, r#"{"returned":0,"status":8193,"offset":400000,"maxerror":120000}"#)
        .answer(Question::TimeDaemons, daemons.to_string())
}

/// Whether a file system takes it for a name.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && !text.contains('/') && !text.contains('\0')
}
