//! Dumps over netlink: one request, and every message of the kernel's answer until it says that it is done
//! (netlink(7), `linux/netlink.h`). The answers go on as they came; the probes take them apart.

use std::os::fd::OwnedFd;
use std::time::Duration;

use audit::host::{Gap, GapKind};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// How long the kernel may take for one datagram.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most bytes of one dump.
const MOST: usize = 16 * 1024 * 1024;

/// NLMSG_ERROR and NLMSG_DONE.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// NLM_F_REQUEST | NLM_F_DUMP.
const DUMP: u16 = 0x301;
/// NLM_F_DUMP_INTR: the answer is of no one moment.
const INTERRUPTED: u16 = 0x10;

/// A socket for requests of one protocol of netlink.
pub(super) struct Dumper {
    socket: OwnedFd,
    what: &'static str,
}

/// The protocols that are spoken.
#[derive(Clone, Copy)]
pub(super) enum Protocol {
    /// Addresses, links, routes and rules.
    Route,
    /// Sockets.
    SockDiag,
}

impl Dumper {
    /// Opens one; `what` names it in gaps.
    pub(super) fn open(protocol: Protocol, what: &'static str) -> Result<Self, Gap> {
        let protocol = match protocol {
            // NETLINK_ROUTE is number 0.
            Protocol::Route => None,
            Protocol::SockDiag => Some(netlink::SOCK_DIAG),
        };
        let family = AddressFamily::NETLINK;
        let socket = rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
            .map_err(|error| refused(what, error))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).map_err(|error| refused(what, error))?;
        Ok(Self { socket, what })
    }

    /// Asks for everything of `kind`, the request's own header being `body`, and adds the messages of the answer to `into`,
    /// the last one NLMSG_DONE. An answer the kernel calls interrupted is asked for again.
    pub(super) fn dump(&self, kind: u16, body: &[u8], into: &mut Vec<u8>) -> Result<(), Gap> {
        const ATTEMPTS: usize = 4;
        let start = into.len();
        for _ in 0..ATTEMPTS {
            into.truncate(start);
            if self.once(kind, body, into)? {
                return Ok(());
            }
        }
        Err(Gap::new(GapKind::Failed, self.what, "it changed each time while it was listed"))
    }

    fn once(&self, kind: u16, body: &[u8], into: &mut Vec<u8>) -> Result<bool, Gap> {
        let failed = |error| refused(self.what, error);
        let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
        let mut request = Vec::with_capacity(16 + body.len());
        request.extend(length.to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend(DUMP.to_ne_bytes());
        request.extend([0; 8]);
        request.extend(body);
        rustix::net::send(&self.socket, &request, SendFlags::empty()).map_err(failed)?;
        let mut buffer = vec![0; 64 * 1024];
        let mut whole = true;
        loop {
            let (length, _, sender) =
                match rustix::net::recvfrom(&self.socket, buffer.as_mut_slice(), RecvFlags::empty()) {
                    Err(Errno::INTR) => continue,
                    Err(Errno::AGAIN) => {
                        return Err(Gap::new(GapKind::TimedOut, self.what, "the kernel did not answer"));
                    }
                    answer => answer.map_err(failed)?,
                };
            // Any process may send to a netlink socket.
            let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
            if sender.is_none_or(|sender| sender.pid() != 0) {
                continue;
            }
            let mut rest = buffer.get(..length).unwrap_or_default();
            while let Some((kind, flags, message)) = first(rest) {
                whole &= flags & INTERRUPTED == 0;
                if kind == ERROR {
                    let code = message
                        .get(16..)
                        .and_then(|body| body.first_chunk())
                        .map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                    return Err(failed(Errno::from_raw_os_error(code.saturating_neg())));
                }
                into.extend(message);
                into.resize(into.len().next_multiple_of(4), 0);
                if into.len() > MOST {
                    return Err(Gap::new(GapKind::TooLarge, self.what, format!("more than {MOST} bytes")));
                }
                if kind == DONE {
                    return Ok(whole);
                }
                rest = rest.get(message.len().next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}

/// The first message: its kind, flags, and all of it.
fn first(bytes: &[u8]) -> Option<(u16, u16, &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok().filter(|length| *length >= 16)?;
    let message = bytes.get(..length)?;
    let short = |at: usize| Some(u16::from_ne_bytes(*message.get(at..)?.first_chunk()?));
    Some((short(4)?, short(6)?, message))
}

fn refused(what: &'static str, error: Errno) -> Gap {
    let kind = match error {
        Errno::PERM | Errno::ACCESS => GapKind::Denied,
        Errno::NOENT | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT => GapKind::Unsupported,
        _ => GapKind::Failed,
    };
    Gap::new(kind, what, std::io::Error::from(error).kind().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_one_by_one_and_a_bad_length_ends_them() {
        let mut bytes = 20_u32.to_ne_bytes().to_vec();
        bytes.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9]);
        let (kind, flags, message) = first(&bytes).unwrap();
        assert_eq!((kind.to_ne_bytes(), flags, message.len()), ([3, 0], 0, 20));
        assert!(first(&bytes[..19]).is_none() && first(&[0; 16]).is_none() && first(&[]).is_none());
    }

    #[test]
    fn the_links_of_this_machine_are_dumped() {
        let mut bytes = Vec::new();
        Dumper::open(Protocol::Route, "links").unwrap().dump(18, &[0; 16], &mut bytes).unwrap();
        assert!(bytes.len() > 16);
    }
}
