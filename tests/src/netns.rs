//! Network namespaces, each with a unique name, deleted when dropped. Needs root.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::processes::run;

/// A name no other test, and no other run of the tests, uses.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs `ip` with these words and asks that it succeed.
#[track_caller]
pub fn ip(words: &str) {
    run(Command::new("ip").args(words.split_whitespace())).ok();
}

/// A network namespace with its loopback up.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, its name beginning with `prefix`.
    #[track_caller]
    pub fn new(prefix: &str) -> Self {
        assert!(rustix::process::geteuid().is_root(), "network namespaces need root: run this by `tests/run`");
        let namespace = Self { name: unique(prefix) };
        ip(&format!("netns add {}", namespace.name));
        ip(&format!("-n {} link set lo up", namespace.name));
        namespace
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path, as `systemd-nspawn --network-namespace-path` wants it.
    pub fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// A command that will run inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs `work` on a thread of its own that is inside; sockets it makes stay there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let place = File::open(self.path()).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_link_name_space(std::os::fd::AsFd::as_fd(&place), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }

    /// A TCP listener inside.
    pub fn listen(&self, address: SocketAddr) -> TcpListener {
        self.inside(|| TcpListener::bind(address).unwrap())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its links go with it, the peers of its veth pairs too.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// The switch's own address on its bridge.
pub const SWITCH_ADDRESS: &str = "10.77.0.1";

/// A namespace with a bridge, 10.77.0.1/24, that hosts plug into.
pub struct Switch {
    namespace: Namespace,
    ports: AtomicU32,
}

impl Switch {
    /// A new one.
    #[track_caller]
    pub fn new() -> Self {
        let namespace = Namespace::new("plumb-sw");
        let name = namespace.name();
        ip(&format!("-n {name} link add br0 type bridge"));
        ip(&format!("-n {name} addr add {SWITCH_ADDRESS}/24 dev br0"));
        ip(&format!("-n {name} link set br0 up"));
        Self { namespace, ports: AtomicU32::new(0) }
    }

    /// The switch's own namespace: what listens on 10.77.0.1 runs there.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// A new namespace plugged in by its `eth0`, and its address.
    #[track_caller]
    pub fn plug(&self, prefix: &str) -> (Namespace, String) {
        let port = self.ports.fetch_add(1, Ordering::Relaxed);
        let (host, switch) = (Namespace::new(prefix), self.namespace.name());
        let address = format!("10.77.0.{}", 10 + port);
        ip(&format!("link add name eth0 netns {} type veth peer name p{port} netns {switch}", host.name()));
        ip(&format!("-n {switch} link set p{port} master br0"));
        ip(&format!("-n {switch} link set p{port} up"));
        ip(&format!("-n {} addr add {address}/24 dev eth0", host.name()));
        ip(&format!("-n {} link set eth0 up", host.name()));
        (host, address)
    }
}

impl Default for Switch {
    fn default() -> Self {
        Self::new()
    }
}
