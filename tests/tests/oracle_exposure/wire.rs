//! A host and a peer in namespaces of their own, joined by two cables and a third for fences, and the packets sent.
//!
//! Nothing waits for silence. A packet crosses a veth pair within the sender's own call or, on a busy machine, from the
//! queue of the sender's processor, in order; so the sender stays on one processor and sends a fence behind: once the
//! third fence has arrived, everything sent before it, its answer and what followed the answer have been dealt with.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use plumbline_tests::netns::{Namespace, ip};
use plumbline_tests::processes::PATIENCE;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, sendto, socket_with};

pub const PORTS: [u16; 6] = [22, 80, 443, 8005, 8080, 99];

/// One thing to try.
#[derive(Debug, Clone, Copy)]
pub struct Try {
    pub from: IpAddr,
    pub to: SocketAddr,
    pub tcp: bool,
    pub interface: &'static str,
}

pub struct Wire {
    pub host: Namespace,
    peer: Namespace,
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    fence: UdpSocket,
    next_port: u16,
}

impl Wire {
    pub fn new() -> Self {
        let (host, peer) = (Namespace::new("plumb-ex"), Namespace::new("plumb-expeer"));
        let (one, two) = (host.name(), peer.name());
        for (number, interface) in [(0, "eth0"), (1, "eth1"), (9, "eth9")] {
            ip(&format!(
                "link add name {interface} address 02:00:00:00:00:0{number} netns {one} type veth \
                 peer name {interface} address 02:00:00:00:01:0{number} netns {two}"
            ));
            // Neighbours known for good: nothing waits for their discovery.
            for (at, other, mine, theirs) in [(one, "01", "1", ["2", "3"]), (two, "00", "2", ["1", "10"])] {
                let (net4, net6) = nets(number);
                ip(&format!("-n {at} addr add {net4}.{mine}/24 dev {interface}"));
                ip(&format!("-n {at} addr add {net6}::{mine}/64 dev {interface} nodad"));
                ip(&format!("-n {at} link set {interface} up"));
                for last in theirs {
                    let hardware = format!("lladdr 02:00:00:00:{other}:0{number} dev {interface} nud permanent");
                    ip(&format!("-n {at} neigh replace {net4}.{last} {hardware}"));
                    ip(&format!("-n {at} neigh replace {net6}::{last} {hardware}"));
                }
            }
        }
        for (at, last) in [(one, "10"), (two, "3")] {
            ip(&format!("-n {at} addr add 10.9.0.{last}/24 dev eth0"));
            ip(&format!("-n {at} addr add fd09::{last}/64 dev eth0 nodad"));
        }
        let any = ["0.0.0.0", "::"];
        let (tcp, udp) = host.inside(|| {
            let all = || PORTS.iter().flat_map(|port| any.map(|at| (at.parse::<IpAddr>().unwrap(), *port)));
            (
                all().map(|at| listener(at.into())).collect::<Vec<TcpListener>>(),
                all().map(|at| receiver(at.into())).collect::<Vec<UdpSocket>>(),
            )
        });
        let fence = host.inside(|| UdpSocket::bind("10.9.9.1:7").unwrap());
        fence.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { host, peer, tcp, udp, fence, next_port: 10_000 }
    }

    /// Everything that is tried against each ruleset.
    pub fn tries() -> Vec<Try> {
        let mut tries = Vec::new();
        for (from, interface, at) in [
            ("10.9.0.2", "eth0", ["10.9.0.1", "10.9.0.10"].as_slice()),
            ("10.9.0.3", "eth0", &["10.9.0.1", "10.9.0.10"]),
            ("10.9.1.2", "eth1", &["10.9.1.1"]),
            ("fd09::2", "eth0", &["fd09::1", "fd09::10"]),
            ("fd09::3", "eth0", &["fd09::1", "fd09::10"]),
            ("fd09:1::2", "eth1", &["fd09:1::1"]),
        ] {
            for (at, port, tcp) in at
                .iter()
                .flat_map(|at| PORTS.map(|port| (at, port)))
                .flat_map(|(at, port)| [(at, port, true), (at, port, false)])
            {
                let to = SocketAddr::new(at.parse().unwrap(), port);
                tries.push(Try { from: from.parse().unwrap(), to, tcp, interface });
            }
        }
        tries
    }

    /// Which of `tries` get through.
    pub fn outcomes(&mut self, tries: &[Try]) -> Vec<bool> {
        let mut buffer = [0; 64];
        for socket in &self.udp {
            while socket.recv(&mut buffer).is_ok() {}
        }
        let first = self.next_port;
        // Each source port serves once, so that no connection is taken for one of an earlier ruleset.
        self.next_port = if first > 60_000 { 10_000 } else { first + u16::try_from(tries.len()).unwrap() };
        let fence = &self.fence;
        let sockets: Vec<OwnedFd> = self.peer.inside(|| {
            stay_on_one_processor();
            let sender = UdpSocket::bind("10.9.9.2:0").unwrap();
            let sockets =
                tries.iter().zip(first..).enumerate().map(|(number, (one, port))| send(one, port, number)).collect();
            for _ in 0..3 {
                sender.send_to(b"fence", "10.9.9.1:7").unwrap();
                let mut buffer = [0; 8];
                assert_eq!(fence.recv(&mut buffer).unwrap(), 5);
            }
            sockets
        });
        let mut received = vec![false; tries.len()];
        for socket in &self.udp {
            while let Ok(length) = socket.recv(&mut buffer) {
                let number: usize = std::str::from_utf8(&buffer[..length]).unwrap().parse().unwrap();
                received[number] = true;
            }
        }
        for (number, (one, socket)) in tries.iter().zip(&sockets).enumerate() {
            if one.tcp {
                received[number] = rustix::net::getpeername(socket).is_ok();
            }
        }
        drop(sockets);
        for listener in &self.tcp {
            while listener.accept().is_ok() {}
        }
        received
    }
}

fn nets(number: u8) -> (String, String) {
    (format!("10.9.{number}"), if number == 0 { "fd09".to_owned() } else { format!("fd09:{number}") })
}

fn send(one: &Try, port: u16, number: usize) -> OwnedFd {
    let family = if one.from.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let kind = if one.tcp { SocketType::STREAM } else { SocketType::DGRAM };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None).unwrap();
    bind(&socket, &SocketAddr::new(one.from, port)).unwrap();
    if one.tcp {
        assert!(matches!(connect(&socket, &one.to), Ok(()) | Err(Errno::INPROGRESS)));
    } else {
        let payload = number.to_string();
        sendto(&socket, payload.as_bytes(), rustix::net::SendFlags::empty(), &one.to).unwrap();
    }
    socket
}

fn listener(at: SocketAddr) -> TcpListener {
    let socket = bound(at, SocketType::STREAM);
    rustix::net::listen(&socket, 128).unwrap();
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true).unwrap();
    listener
}

fn receiver(at: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::from(bound(at, SocketType::DGRAM));
    socket.set_nonblocking(true).unwrap();
    socket
}

/// IPv6 sockets for IPv6 alone, so that both families can be bound.
fn bound(at: SocketAddr, kind: SocketType) -> OwnedFd {
    let family = if at.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
    if at.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, true).unwrap();
    }
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    bind(&socket, &at).unwrap();
    socket
}

fn stay_on_one_processor() {
    let mut one = rustix::thread::CpuSet::new();
    let allowed = rustix::thread::sched_getaffinity(None).unwrap();
    one.set((0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap());
    rustix::thread::sched_setaffinity(None, &one).unwrap();
}
