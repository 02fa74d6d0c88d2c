//! # kernel
//!
//! The kernel and how it is set: release, modules, sysctls as they are and as they are configured, the command line,
//! lockdown, secure boot, taint, mounts and what becomes of core dumps.
//!
//! ## What it reads
//!
//! | source | feeds | without it |
//! | --- | --- | --- |
//! | `uname(2)` | state `release` | on a root at rest nothing of the state applies |
//! | `/proc/sys`: a table of about 60 keys, and each key a rule names | state `sysctl:*` | those keys are `unknown` |
//! | `sysctl.d` under `/etc`, `/run`, `/usr/local/lib`, `/usr/lib` and `/lib`, `/etc/sysctl.conf` | items `sysctl:*` | items hidden by a gap |
//! | `/proc/modules` | state `modules` | rules about loaded modules are `unknown` |
//! | `modprobe.d` under the same folders | items `module:*` | items hidden by a gap |
//! | `/proc/cmdline` | items `parameter:*` | on a root at rest they are hidden |
//! | `/etc/default/grub` and `/etc/default/grub.d`, `/etc/kernel/cmdline` | items `boot:*` | items hidden by a gap |
//! | `/sys/kernel/security/lockdown`, `/sys/firmware/efi/efivars/SecureBoot-*`, `/proc/sys/kernel/tainted` | state | the rule is `unknown` |
//! | `/proc/1/mountinfo` | state `mount:*` | rules about mounts are `unknown` |
//! | `/etc/fstab` | items `fstab:*` | items hidden by a gap |
//! | `/etc/security/limits.conf` and `limits.d`, systemd's `coredump.conf` and its drop-ins | items `core:*` | items hidden by a gap |
//!
//! The mounts are those of the first process: a service may be given others (`ProtectSystem=`), and `collect` is.
//!
//! ## Items
//!
//! Each has a `value` and the `file` it comes from; globs of sysctls also their place in the `order` in which they are applied.
//!
//! - `sysctl:KEY`: what is configured, by the last assignment that counts. Where systemd is, files are read as `systemd-sysctl`
//!   reads them, which knows no `/etc/sysctl.conf` unless a link in `sysctl.d` leads there; elsewhere as `sysctl --system` does,
//!   `/etc/sysctl.conf` last. Keys as `sysctl -a` writes them: `net.ipv4.conf.eth0/1.forwarding`. A glob keeps its `*`; a key
//!   kept from globs (`-KEY` alone) has the value `-`.
//! - `module:NAME`: `blacklist`, `install COMMAND`, `remove COMMAND`, `options …`, `softdep …` as modprobe takes them, joined by `; `.
//!   Names with `_`, as the kernel has them.
//! - `parameter:NAME`: the running kernel's command line, `set` where it has no value; without `BOOT_IMAGE` and `initrd`, which
//!   change with each kernel. Values repeated are joined by a space. What follows `--` is for init, and left out.
//! - `boot:NAME`: the same as configured for the next boot.
//! - `fstab:MOUNTPOINT` (`fstab:swap:SOURCE` for swap): source, type and options.
//! - `core:limit:DOMAIN:hard|soft`: in limits.conf; `core:Storage` and the like: in coredump.conf.
//!
//! Secrets are never shown: a password in an option or a parameter is `(not shown)`.
//!
//! ## State
//!
//! `release`; `modules`, names in order; `sysctl:KEY`, blanks made one; `lockdown`: `none`, `integrity`, `confidentiality` or
//! `absent`; `secure-boot`: `enabled`, `disabled` or `absent` (not booted by UEFI); `taint`, a number; `mount:PATH`, the type and
//! options of the uppermost mount there. Mounts that containers, sessions and snaps bring are left out unless a rule names them.
//!
//! ## Expectations
//!
//! ```yaml
//! kernel:
//!   sysctls: {net.ipv4.ip_forward: 0, kernel.kptr_restrict: [1, 2], "net.ipv4.conf.*.accept_redirects": 0}
//!   loaded: [nf_tables]
//!   disabled: [cramfs, usb-storage]
//!   only_modules: ["ext4", "nf_*"]
//!   parameters: {audit: 1}
//!   forbidden_parameters: [nokaslr, "mitigations=off"]
//!   mounts: {/dev/shm: [nosuid, nodev]}
//!   lockdown: [integrity, confidentiality]
//!   secure_boot: true
//!   untainted: true
//!   core_dumps: forbidden
//! ```
//!
//! - `sysctls`: the value in force is one of these. Where another is configured, that is a deviation too: it comes with the next
//!   boot. Of a root at rest what is configured is judged. A `*` stands for one part of a key (an interface), and all are judged.
//!   What only the collector's baseline names, the host did not look at: the answer is unknown.
//! - `loaded`: each is loaded. `only_modules`: these and no others are; globs.
//! - `disabled`: each is not loaded, and modprobe is told `install NAME /bin/false` (or `true`), or it is blacklisted on the kernel's
//!   command line by `module_blacklist`. `blacklist` in modprobe.d alone keeps nobody from loading a module by name.
//! - `parameters`: each is on the command line with that value (`set` for none). `forbidden_parameters`: none is: a name, or `name=value`.
//!   Of a root at rest what is configured is judged, where anything is.
//! - `mounts`: each is a mount point of its own with these options; of a root at rest by `/etc/fstab`.
//! - `lockdown`: one of these modes is on. `secure_boot`: whether the firmware checks what it boots.
//! - `untainted`: no foreign or forced module, no warning, no crash since boot.
//! - `core_dumps: forbidden`: nothing keeps core dumps (systemd-coredump with `Storage=none`, a core pattern that pipes into `false`
//!   or `true`, or a hard limit of 0 for `*`), and programs with more rights than their caller make none (`fs.suid_dumpable` 0).
//!
//! ## What it cannot see
//!
//! Sysctls of other network namespaces. What an initrd holds, and boot loaders other than GRUB and `kernel-install`. Modules built into the
//! kernel. What set a sysctl since boot. Shell in `/etc/default/grub` beyond plain assignments. Limits that a unit sets (`LimitCORE=`).

mod boot;
mod cores;
mod expect;
mod folders;
mod judge;
mod modprobe;
mod mounts;
mod sysctl;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::facts::{Facts, Observed};
use crate::finding::Judgement;
use crate::host::{Gap, Host, Question, read_small};
use crate::probe::{Context, Probe};

pub use expect::{CoreDumps, Expect, Lockdown, Value, Values};

/// The probe.
pub struct Kernel;

/// One thing that is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// As the page says for each kind; at most 300 characters.
    pub value: String,
    /// Where it stands.
    pub file: String,
    /// Of a sysctl's glob: its place in the order in which globs are applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
}

impl Setting {
    fn new(value: impl Into<String>, file: impl Into<String>) -> Self {
        Self { value: value.into(), file: file.into(), order: None }
    }
}

/// What stands in place of a secret.
const HIDDEN: &str = "(not shown)";
/// The longest value that is kept, in characters.
const LONGEST: usize = 300;

impl Probe for Kernel {
    const NAME: &'static str = "kernel";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/usr/lib/systemd/systemd",
        "/lib/systemd/systemd",
        "/{etc,run,usr/local/lib,usr/lib,lib}/{sysctl.d,modprobe.d}",
        "/{etc,run,usr/local/lib,usr/lib,lib}/{sysctl.d,modprobe.d}/*.conf",
        "/etc/sysctl.conf",
        "/proc/sys/**",
        "/proc/modules",
        "/proc/cmdline",
        "/etc/default/grub",
        "/etc/default/grub.d",
        "/etc/default/grub.d/*.cfg",
        "/etc/kernel/cmdline",
        "/sys/kernel/security",
        "/sys/kernel/security/lockdown",
        "/sys/firmware/efi",
        "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        "/proc/1/mountinfo",
        "/etc/fstab",
        "/etc/security/limits.conf",
        "/etc/security/limits.d",
        "/etc/security/limits.d/*.conf",
        "/{etc,run,usr/local/lib,usr/lib}/systemd/coredump.conf",
        "/{etc,run,usr/local/lib,usr/lib}/systemd/coredump.conf.d",
        "/{etc,run,usr/local/lib,usr/lib}/systemd/coredump.conf.d/*.conf",
    ];
    const ASKS: &'static [Question] = &[Question::KernelRelease];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Setting;
    type State = String;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Setting, String> {
        Self::collect_for(host, &[])
    }

    fn asked(expect: &Expect) -> Vec<String> {
        expect.sysctls.keys().map(|key| sysctl::path(key)).collect()
    }

    fn collect_for(host: &dyn Host, rules: &[&Expect]) -> Facts<Setting, String> {
        let release = host.ask(Question::KernelRelease);
        let mut facts = Facts::default();
        sysctl::configured(host, &mut facts.items);
        modprobe::configured(host, &mut facts.items);
        boot::configured(host, &mut facts.items);
        mounts::configured(host, &mut facts.items);
        cores::configured(host, &mut facts.items);
        match release {
            Ok(release) => {
                facts.state.seen.insert("release".into(), short(String::from_utf8_lossy(&release).trim()));
                boot::command_line(host, &mut facts.items);
                running(host, rules, &mut facts.state);
            }
            Err(gap) => {
                facts.items.hide("parameter:", gap.clone());
                facts.state = Observed::hidden(gap);
            }
        }
        facts
    }

    fn judge(expect: &Expect, facts: &Facts<Setting, String>, _context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts)
    }

    fn say(item: &Setting) -> String {
        format!("{} ({})", item.value, item.file)
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

/// What only the running kernel tells.
fn running(host: &dyn Host, rules: &[&Expect], state: &mut Observed<String>) {
    sysctl::effective(host, rules, state);
    boot::modules(host, state);
    boot::security(host, state);
    mounts::mounted(host, rules, state);
}

/// At most [`LONGEST`] characters, without control characters.
fn short(text: &str) -> String {
    let cut: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if cut.len() < text.len() && text.chars().count() > LONGEST { format!("{cut}…") } else { cut }
}

/// The file's bytes as text, `None` where it is not there; a gap hides `prefix`.
fn text(host: &dyn Host, path: &str, prefix: &str, items: &mut Observed<Setting>) -> Option<String> {
    match crate::host::gap::optional(read_small(host, Path::new(path))) {
        Ok(bytes) => bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        Err(gap) => {
            items.hide(prefix, gap);
            None
        }
    }
}

/// Too much of something to be kept.
fn too_many(what: &str, most: usize) -> Gap {
    Gap::new(crate::host::GapKind::TooLarge, what, format!("more than {most}"))
}

#[cfg(test)]
mod tests;
