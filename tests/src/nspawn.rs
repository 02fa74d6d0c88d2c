//! Real Debian hosts, booted with systemd in `systemd-nspawn` and plugged into a switch. Needs root.
//!
//! A host's writes go to an overlay on a tmpfs inside a mount namespace of its own, so they vanish with it; its network
//! namespace and control group carry unique names and are removed when the value is dropped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::netns::{Namespace, Switch, unique};
use crate::processes::{Ran, Running, eventually, run};

/// A booted host.
pub struct RealHost {
    name: String,
    address: String,
    init: u32,
    // In the order they must be dropped: the process, then what it used.
    nspawn: Running,
    _network: Namespace,
    _folder: TempDir,
}

/// What is done in the mount namespace before systemd-nspawn takes the process over. Arguments: the root below, the
/// folder for the overlay, the name, the network namespace, then further words for systemd-nspawn.
const BOOT: &str = r#"
set -eu
lower=$1 work=$2 name=$3 network=$4
shift 4
mount -t tmpfs -o mode=755 tmpfs "$work"
mkdir "$work/up" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/up,workdir=$work/work" "$work/root"
echo "${name%%-*}" >"$work/root/etc/hostname"
mount -t cgroup2 none /sys/fs/cgroup # nspawn wants a pure v2 view
mkdir -p "/sys/fs/cgroup/plumbline-tests/$name"
echo $$ >"/sys/fs/cgroup/plumbline-tests/$name/cgroup.procs"
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
exec systemd-nspawn -q -D "$work/root" --boot --register=no --keep-unit --machine="$name" --hostname="${name%%-*}" \
  --network-namespace-path="$network" --capability=CAP_NET_ADMIN --console=pipe --resolv-conf=off --timezone=off \
  --link-journal=no "$@"
"#;

const CLEAN: &str = r#"
mount -t cgroup2 none /sys/fs/cgroup
find "/sys/fs/cgroup/plumbline-tests/$1" -depth -type d -exec rmdir {} +
"#;

impl RealHost {
    /// Boots one from an unpacked root (see [`crate::root::debian`]) and waits until systemd has settled. `binds` are
    /// files of ours and where they appear, read-only.
    #[track_caller]
    pub fn boot(switch: &Switch, root: &Path, name: &str, binds: &[(PathBuf, &str)]) -> Self {
        assert!(!name.contains('-'), "the host is called by what stands before the first hyphen: {name}");
        let machine = unique(name);
        let (network, address) = switch.plug("plumb-h");
        let folder = TempDir::new().unwrap();
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "bash", "-c", BOOT, "boot"]);
        command.arg(root).arg(folder.path()).args([&machine, &network.path()]);
        for (file, place) in binds {
            command.arg(format!("--bind-ro={}:{place}", file.display()));
        }
        let mut nspawn = Running::start(&format!("host {name}"), &mut command);
        let init = eventually("the host's init", || {
            assert!(nspawn.is_running(), "systemd-nspawn ended: {}", nspawn.log());
            init_of(nspawn.pid())
        });
        let host = Self { name: machine, address, init, nspawn, _network: network, _folder: folder };
        eventually("systemd to settle", || {
            let state = host.run(&["systemctl", "is-system-running", "--wait"]).stdout;
            // Degraded: some unit that means nothing here failed, for example one that wants a device.
            matches!(state.trim(), "running" | "degraded").then_some(())
        });
        host
    }

    /// Its root, for `--root`: through init's view of it, as the overlay is mounted in its namespace alone.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.init))
    }

    /// Its address on the switch.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A command inside, with the rights of the machine outside: to change things by hand.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.init.to_string(), "-m", "-u", "-i", "-n", "-p", "--"]);
        // A clean environment, as a login gives: not the one the tests run in.
        command.args(["env", "-i", "HOME=/root", "LANG=C.UTF-8"]);
        command.arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").args(words);
        command
    }

    /// Runs a command inside, by hand.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Ran {
        run(&mut self.command(words))
    }

    /// Runs a shell line inside, by hand, and asks that it succeed.
    #[track_caller]
    pub fn shell(&self, line: &str) -> String {
        self.run(&["sh", "-ec", line]).ok().stdout
    }

    /// Runs a command inside as a unit of the host's own systemd, with the rights a service there has.
    #[track_caller]
    pub fn run_as_unit(&self, words: &[&str]) -> Ran {
        self.run(&[&["systemd-run", "--quiet", "--pipe", "--wait", "--collect"], words].concat())
    }

    /// Writes a file inside.
    #[track_caller]
    pub fn write(&self, path: &str, content: &[u8]) {
        let path = self.root().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The journal of a unit, for messages.
    pub fn journal(&self, unit: &str) -> String {
        self.run(&["journalctl", "--no-pager", "-o", "short-precise", "-n", "200", "-u", unit]).stdout
    }
}

/// The process that is number 1 in the namespace `nspawn` made.
fn init_of(nspawn: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        ids.split_whitespace().count() > 1 && ids.split_whitespace().last() == Some("1")
    })
}

impl Drop for RealHost {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- the journal of {}\n{}",
                self.name,
                self.run(&["journalctl", "--no-pager", "-n", "150"]).stdout
            );
        }
        // SIGRTMIN+4 asks systemd to power off.
        let _ = Command::new("kill").args(["-s", "RTMIN+4", &self.init.to_string()]).status();
        if !self.nspawn.ends_within(Duration::from_secs(20)) {
            let _ = Command::new("kill").args(["-s", "KILL", &self.init.to_string()]).status();
            self.nspawn.kill();
        }
        let clean = ["-m", "--propagation", "private", "sh", "-c", CLEAN, "clean", &self.name];
        let _ = Command::new("unshare").args(clean).output();
    }
}
