//! # admins
//!
//! Every way to administer the host: accounts with user id 0, what sudo allows whom, and the groups whose members can
//! make themselves root.
//!
//! ## What it reads
//!
//! `/etc/passwd` and `/etc/group` (passwd(5), group(5)); `/etc/sudoers`, or `/usr/etc/sudoers` where that is missing,
//! `/etc/sudoers-rs`, and whatever they include below `/etc/sudoers*` and `/usr/etc/sudoers.d` (sudoers(5));
//! `/etc/sudo.conf`, which can name another policy (sudo.conf(5));
//! `/etc/doas.conf` and, as Alpine's doas does, `/etc/doas.d/*.conf` (doas.conf(5)); `/etc/nsswitch.conf` and `/etc/userdb`, which say
//! whether users come from elsewhere too; the host's name, which an include may hold as `%h`. Where a
//! rule asks `polkit`: the `rules.d` folders of polkit(8) and the `localauthority` files of its older releases.
//!
//! ## Items
//!
//! | subject | value | example |
//! | --- | --- | --- |
//! | `uid0:NAME` | an account with user id 0, and its shell | `uid0:root` |
//! | `group:GROUP:NAME` | a member of an administrative group, `primary`, `supplementary` or both | `group:sudo:ava` |
//! | `sudo-group:GROUP:NAME` | a member of another group that a sudo rule names | `sudo-group:dba:ava` |
//! | `same-uid:NAME` | an account that shares the user id of an administrator, and so the rights | `same-uid:ava2` |
//! | `sudo:WHO:HOSTS:(RUNAS)` | what sudo lets WHO run on HOSTS as RUNAS, in the order that decides | `sudo:%sudo:ALL:(ALL:ALL)` |
//! | `doas:for:WHO` | what doas permits and denies WHO, a user or `:group`, in order | `doas:for::wheel` |
//! | `doas:order` | whom each rule of doas is for, where there are several | `doas:order` |
//! | `polkit:admins` | whose password polkit takes for an administrator's, where a rule asks `polkit` | `polkit:admins` |
//! | `polkit:file:PATH` | a file of polkit rules that is not understood, by its digest | `polkit:file:/etc/…` |
//! | `key:NAME:FINGERPRINT` | a key that logs in as an administrator, with its options | `key:root:SHA256:…` |
//! | `sudo:Defaults…:NAME` | a setting of sudo, its scope as sudoers writes it | `sudo:Defaults:ava:authenticate` |
//!
//! Aliases are taken apart, so a user added to a `User_Alias` appears by name, and a command added to a `Cmnd_Alias` is
//! one changed item for each who may run it. WHO is a name, `%group`, `%#gid`, `%:group`, `#uid`, `+netgroup` or `ALL`;
//! exceptions (`%wheel, !otto`) stand in the value. A name that only looks like one of these has a backslash before it.
//! RUNAS is `root` where the rule names nobody, and empty where commands run as the caller. Bytes that are not text are
//! written `\xNN`; a part of a subject longer than 240 bytes is cut and ends in its digest.
//!
//! Administrative groups are those whose members are root, or can be: by a password of their own (sudo's and polkit's
//! administrators) or without any. Watched groups are looked at in the same way, but their members do not count as
//! administrators, and some distributions put system accounts there. A member is anybody named by any line with the group's
//! name or id, and any account whose own group it is. Not in the list, because membership alone makes nobody root: `kvm`,
//! `incus` (a project of one's own), `netdev`, `plugdev`, `video`, `wireshark`, `systemd-journal`.
//!
//! | group | its members are | because it |
//! | --- | --- | --- |
//! | `sudo` | root, by their own password | may run anything by sudo, and administers in polkit |
//! | `wheel` | root, by their own password | may run anything by sudo, and administers in polkit |
//! | `admin` | root, by their own password | may run anything by sudo, and administers in polkit |
//! | `docker` | root | starts containers that mount the host's disks |
//! | `lxd` | root | starts privileged containers that mount the host's disks |
//! | `incus-admin` | root | starts privileged containers that mount the host's disks |
//! | `microk8s` | root | administers a cluster whose pods mount the host's disks |
//! | `libvirt` | root | starts machines that open the host's disks |
//! | `libvirtd` | root | starts machines that open the host's disks |
//! | `disk` | root | reads and writes the disks past every file's mode |
//! | `root` | watched | reads and writes what root's own group may |
//! | `adm` | watched | reads the logs, and nothing more |
//! | `shadow` | watched | reads the hashes of all passwords |
//! | `kmem` | watched | reads the kernel's memory |
//! | `staff` | watched | writes programs below /usr/local, which root's PATH looks into first |
//!
//! ## What amounts to root
//!
//! A sudo rule that lets run `ALL` as root is *full*. Another amounts to root where one of its commands does, and the
//! finding says why: a program below; one whose arguments are free, or left free by `*`, which there fits blanks and slashes
//! (sudoers(5)); any program of a folder, or a pattern of programs that fits one below; `sudoedit` of what root trusts, or
//! with `*`; `SETENV`, `Defaults setenv`, or an `env_keep` that holds `LD_PRELOAD` and its like; a command, or a script its
//! arguments name, whose file or folders others can write; any command as somebody who is in a group whose members are root.
//! What is left is *limited*. Rules that run as others than root amount to nothing. The programs were compiled from their
//! manuals; GTFOBins collects the same.
//!
//! | programs | amount to root because they |
//! | --- | --- |
//! | `ash`, `bash`, `busybox`, `csh`, `dash`, `fish`, `ksh*`, `mksh`, `rbash`, `sh`, `tcsh`, `zsh*`, `awk`, `bpftrace`, `gawk`, `mawk`, `nawk`, `expect`, `guile*`, `irb*`, `java`, `jshell`, `julia`, `lua*`, `node`, `nodejs`, `perl*`, `php*`, `pypy*`, `python*`, `Rscript`, `ruby*`, `tclsh*` | shells and interpreters, unless fixed arguments name what they run |
//! | `ed`, `emacs`, `ex`, `ftp`, `gdb`, `joe`, `mariadb`, `mc`, `mcedit`, `micro`, `mutt`, `mysql`, `nano`, `nvim`, `pico`, `psql`, `rview`, `rvim`, `screen`, `sqlite3`, `telnet`, `tmux`, `vi`, `view`, `vigr`, `vim`, `vim.basic`, `vim.tiny`, `vimdiff`, `vipw`, `visudo` | start a shell, or open any file, on a key, whatever the arguments |
//! | `info`, `less`, `man`, `more`, `most`, `pg` | the same, unless `NOEXEC` forbids it |
//! | `bwrap`, `capsh`, `chroot`, `chrt`, `doas`, `env`, `find`, `firejail`, `flock`, `git`, `ionice`, `ltrace`, `make`, `nice`, `nmap`, `nohup`, `nsenter`, `parallel`, `pkexec`, `prlimit`, `run-parts`, `script`, `setarch`, `setpriv`, `setsid`, `socat`, `ssh`, `start-stop-daemon`, `stdbuf`, `strace`, `sudo`, `systemd-run`, `taskset`, `tcpdump`, `time`, `timeout`, `unshare`, `watch`, `xargs`, `zip` | run what they are told to, unless the arguments are fixed and name none of the above |
//! | `7z`, `chgrp`, `chmod`, `chown`, `cp`, `cpio`, `curl`, `dd`, `install`, `ln`, `mv`, `openssl`, `patch`, `rsync`, `scp`, `sed`, `setcap`, `setfacl`, `sftp`, `sort`, `split`, `tar`, `tee`, `unzip`, `wget` | write any file, unless the arguments are fixed and lead to nothing root trusts (`/etc/passwd`, `/etc/sudoers`, `/etc/cron*`, `/usr/`, disks…) |
//! | `ansible-playbook`, `apk`, `apt`, `apt-get`, `aptitude`, `cpan`, `crictl`, `ctr`, `debugfs`, `dmsetup`, `dnf`, `dnf5`, `docker`, `dpkg`, `flatpak`, `gem`, `incus`, `insmod`, `kexec`, `kubectl`, `logrotate`, `losetup`, `lxc`, `machinectl`, `microdnf`, `modprobe`, `mount`, `nerdctl`, `npm`, `pacman`, `pip*`, `podman`, `puppet`, `rpm`, `salt-call`, `service`, `snap`, `sysctl`, `systemctl`, `update-`, `alternatives`, `virsh`, `yum`, `zypper` | change what runs as root, unless the arguments are fixed |
//! | `adduser`, `chage`, `gpasswd`, `groupadd`, `groupmod`, `groupmems`, `passwd`, `useradd`, `usermod` | change accounts, unless fixed arguments name neither root nor an administrative group |
//! | `at`, `batch`, `chgpasswd`, `chpasswd`, `crontab`, `newusers` | take what they do from their input, whatever the arguments but `-l` and `-r` |
//! | `login`, `runuser`, `su` | become root, unless fixed arguments name another user |
//!
//! In the list `*` stands for a version. Not in it: programs that only read any file (`cat`, `grep`), and `journalctl` and
//! `systemctl status`, whose pager is confined since systemd 247.
//!
//! ## State
//!
//! `file:PATH` owner, group and mode of each file and folder of the policy, and why sudo refuses it if it does (its rules
//! are items all the same: a `chmod` would make them count); `skipped:PATH` a file in an included folder that sudo passes
//! over because of its name; `group:GROUP` the id of each group looked at; `uid:N` the accounts of an id a rule names.
//!
//! ## Expectation
//!
//! ```yaml
//! admins:
//!   only: [root, "%sudo", ava]      # administrators: these users, and members of these groups, and no others
//!   uid0: [root]                    # accounts with user id 0: at most these
//!   nopasswd: forbidden             # sudo without a password; or a list of those who may: [deploy, "%ci"]
//!   amounts_to_root: ["%sudo"]      # sudo rules that amount to root: those of these, and no others
//!   polkit: [root, "%sudo"]         # administrators by polkit's rules: these, and no others
//!   group_members: {docker: [ava]}  # members of a group: at most these
//!   keys: {root: ["SHA256:…"]}      # keys that log in as an administrator: these and no others
//!   key_files: safe                 # their files, and the folders above, are writable by nobody else
//!   sudoers_files: safe             # sudo's and doas's files belong to root and nobody else can write them
//! ```
//!
//! `only` asks two things: every group, netgroup or `ALL` that a sudo rule grants something must be listed as sudoers writes
//! it, and every user who can become root must be listed by name or belong to a listed group. Full, amounting and limited
//! rules count alike, because a limited rule is rarely a limit; `amounts_to_root` asks about the first two alone. Whether
//! others can write a command is looked at only where it is asked, in the usual folders; elsewhere it is unknown.
//!
//! ## What it cannot see
//!
//! - Users of a directory (LDAP, SSSD, NIS, systemd user records): where nsswitch.conf names one, `only` is unknown.
//! - sudo rules kept in LDAP or SSSD, netgroups, sudo plugins other than sudoers: unknown likewise, or granted as written.
//! - Lines of sudoers that are not understood, files outside the reads above, aliases that hold themselves: the gap
//!   hides `sudo:`, so *no others* is unknown and never a pass. Names of settings are not checked against sudo's own list,
//!   nor regular expressions compiled.
//! - Rules are judged for every host they name, not only this one, and exceptions (`ALL, !/bin/su`) are not believed:
//!   sudoers(5) itself says they are easily circumvented. Where two rules meet, the more generous one is judged.
//! - Rules of polkit that are more than plain conditions (`polkit` is unknown then), and what polkit's rules allow without
//!   any password. Setuid programs and capabilities. Keys that a command or a certificate brings, or that
//!   stand where `AuthorizedKeysFile` says: `keys` is unknown there.

pub(in crate::probes) mod accounts;
mod aliases;
mod amounts;
mod collect;
mod commands;
mod doas;
mod expect;
mod grammar;
mod groups;
mod judge;
mod judge_polkit;
mod keys;
mod lexer;
pub(in crate::probes) mod limited;
mod literals;
mod options;
mod policy;
pub(in crate::probes) mod polkit;
pub(in crate::probes) mod polkit_rules;
mod power;
mod programs;
mod readings;
pub(in crate::probes) mod rules;
mod say;
mod scan;
#[cfg(test)]
mod tests;
pub(in crate::probes) mod text;
mod token;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::finding::Judgement;
use crate::host::{Host, Question};
use crate::probe::{Context, Looked, Probe};

pub use expect::{Expect, NoPassword, Safe};
use say::{runas_text, say};

/// The probe.
pub struct Admins;

/// A configuration item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Item {
    /// `uid0:NAME`.
    Uid0 {
        /// Its login shell.
        shell: String,
    },
    /// `group:GROUP:NAME` and `sudo-group:GROUP:NAME`.
    Member {
        /// How it belongs to the group.
        how: Vec<Membership>,
    },
    /// `same-uid:NAME`.
    SameUid {
        /// The shared user id.
        uid: u32,
        /// The administrators who have it.
        of: Vec<String>,
    },
    /// `sudo:WHO:HOSTS:(RUNAS)`.
    Sudo {
        /// A user, `%group`, `#uid`, `+netgroup` or `ALL`; after `!` where a rule names only whom it is not for.
        who: String,
        /// The hosts as listed.
        hosts: String,
        /// The users commands may run as; none: the caller.
        as_users: Vec<String>,
        /// The groups commands may run in.
        as_groups: Vec<String>,
        /// What is allowed and denied, in order: the last match decides.
        grants: Vec<Grant>,
    },
    /// `key:NAME:FINGERPRINT`.
    Key {
        /// `ssh-ed25519`.
        of: String,
        /// What comes with it: `command="…"`, `from="…"`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        options: Vec<String>,
        /// Where it stands.
        file: String,
    },
    /// `doas:for:WHO`.
    Doas {
        /// A user or `:group`, by name or number.
        who: String,
        /// Its rules in order.
        rules: Vec<DoasRule>,
    },
    /// `polkit:admins`.
    PolkitAdmins {
        /// `unix-group:sudo`; none where polkit has no rules.
        identities: Vec<String>,
        /// The file that says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
    /// `polkit:file:PATH`.
    PolkitUnread {
        /// Why its rules are not understood.
        why: String,
        /// Its content.
        sha256: String,
    },
    /// `doas:order`.
    DoasOrder {
        /// Whom each rule is for: the last match decides.
        who: Vec<String>,
    },
    /// `sudo:Defaults…:NAME`.
    Default {
        /// What it is bound to, as sudoers writes it: `:ava`, `@web`, `>root`, `!/bin/ls`; empty for all.
        scope: String,
        /// The setting.
        name: String,
        /// How it is set, in order.
        settings: Vec<Setting>,
    },
}

/// How an account belongs to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Membership {
    /// It is the account's own group, in `/etc/passwd`.
    Primary,
    /// The group lists it, in `/etc/group`.
    Supplementary,
}

/// One command of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// `ALL`, or a path, pattern or regular expression with its arguments.
    pub command: String,
    /// Negated: not allowed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
    /// Digests one of which the command must have: `sha256:…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digests: Vec<String>,
    /// Tags in force: `NOPASSWD`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Options in force: `CWD`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Whom the rule excepts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_for: Vec<String>,
}

/// One rule of doas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoasRule {
    /// Permits; otherwise denies.
    pub permit: bool,
    /// `nopass`, `persist`, `keepenv`, `nolog`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub options: BTreeSet<String>,
    /// Variables kept, set or removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setenv: Vec<String>,
    /// As whom; none: as anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Which command; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// With exactly these arguments; none: with any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
}

/// How a default is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setting {
    /// `name`.
    On,
    /// `!name`.
    Off,
    /// `name=value`.
    Is(String),
    /// `name+=value`.
    Adds(String),
    /// `name-=value`.
    Removes(String),
}

impl Setting {
    /// The value given; empty where there is none.
    pub fn value(&self) -> &str {
        match self {
            Self::On | Self::Off => "",
            Self::Is(value) | Self::Adds(value) | Self::Removes(value) => value,
        }
    }
}

/// What merely is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum State {
    /// `file:PATH`.
    File {
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Permission bits in octal: `0440`.
        mode: String,
        /// Why sudo refuses it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
    /// `skipped:PATH`.
    Skipped {
        /// Why sudo passes over it.
        why: String,
    },
    /// `group:GROUP`.
    Group {
        /// Its ids; several where lines repeat its name.
        gids: Vec<u32>,
    },
    /// `uid:N`.
    Uid {
        /// The accounts that have it.
        names: Vec<String>,
    },
}

impl Probe for Admins {
    const NAME: &'static str = "admins";
    const SCHEMA: u32 = 2;
    const READS: &'static [&'static str] = &[
        "/etc/passwd",
        "/etc/group",
        "/etc/nsswitch.conf",
        "/etc/userdb",
        "/etc/sudo.conf",
        "/etc/sudoers",
        "/etc/sudoers.d",
        "/etc/sudoers.d/*",
        "/etc/sudoers*",
        "/etc/sudoers*/**",
        "/usr/etc/sudoers",
        "/usr/etc/sudoers.d",
        "/usr/etc/sudoers.d/*",
        "/etc/doas.conf",
        "/etc/doas.d",
        "/etc/doas.d/*.conf",
        "/root",
        "/root/.ssh",
        "/root/.ssh/authorized_keys",
        "/root/.ssh/authorized_keys2",
        "/home/*",
        "/home/*/.ssh",
        "/home/*/.ssh/authorized_keys",
        "/home/*/.ssh/authorized_keys2",
        "/etc/hostname",
        "/proc/sys/kernel/hostname",
    ];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &["sshd"];
    type Item = Item;
    type State = State;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Item, State> {
        Self::collect_for(host, &[])
    }

    fn asked(expect: &Expect) -> Vec<String> {
        let commands = expect.amounts_to_root.iter().flat_map(|_| commands::READS);
        let polkit = expect.polkit.iter().flat_map(|_| polkit::READS);
        commands.chain(polkit).map(str::to_owned).collect()
    }

    fn collect_for(host: &dyn Host, rules: &[&Expect]) -> Facts<Item, State> {
        collect::collect(host, rules)
    }

    fn looked(seen: &mut dyn Iterator<Item = &str>) -> Looked {
        let polkit = Iterator::any(&mut { seen }, |subject| subject.starts_with("polkit:"));
        Box::new(move |subject| polkit || !subject.starts_with("polkit:"))
    }

    fn judge(expect: &Expect, facts: &Facts<Item, State>, context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts, context)
    }

    fn say(item: &Item) -> String {
        say(item)
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}
