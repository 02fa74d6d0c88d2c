//! The loaded nftables ruleset, and the generation id the kernel counts up at each change.
//!
//! The id comes over netlink (NETLINK_NETFILTER, NFT_MSG_GETGEN; `linux/netfilter/nf_tables.h`): a network namespace
//! begins at 1 and every committed transaction adds one, whatever it changed, so `collect` runs nft only when the id is
//! not the one of the last answer. What packets and clocks do to dynamic sets is no transaction and does not count it up.
//! Every message of nfnetlink asks for CAP_NET_ADMIN, so without it both questions are denied.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use audit::host::{Gap, GapKind};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::command::{self, Bounds};

/// Where distributions put nft; the first that exists is run.
const PROGRAMS: [&str; 2] = ["/usr/sbin/nft", "/sbin/nft"];
const BOUNDS: Bounds = Bounds { patience: Duration::from_secs(5), most: 16 * 1024 * 1024 };
const RULESET: &str = "nft -j list ruleset";
const GENERATION: &str = "nftables generation";
/// How long the kernel may take to answer over netlink.
const PATIENCE: Duration = Duration::from_secs(1);

/// `NFNL_SUBSYS_NFTABLES << 8`.
const SUBSYSTEM: u16 = 10 << 8;
const NEW_GENERATION: u16 = SUBSYSTEM | 15;
const GET_GENERATION: u16 = SUBSYSTEM | 16;
/// NLMSG_ERROR.
const ERROR: u16 = 2;
/// NFTA_GEN_ID, a big-endian u32.
const GENERATION_ID: u16 = 1;
/// nlmsghdr and nfgenmsg.
const HEADERS: usize = 16 + 4;
/// The bit of NFNLGRP_NFTABLES (7) among the groups a socket may bind to.
const GROUP: u32 = 1 << (7 - 1);

/// The generation id, as decimal digits.
pub(super) fn ask_generation() -> Result<Vec<u8>, Gap> {
    generation().map(|id| id.to_string().into_bytes())
}

/// `nft -j list ruleset`, its standard output.
pub(super) fn ask_ruleset() -> Result<Vec<u8>, Gap> {
    let mut missing = None;
    for program in PROGRAMS {
        match command::run(Path::new(program), &["-j", "list", "ruleset"], RULESET, &BOUNDS) {
            Err(gap) if gap.kind == GapKind::Unsupported => missing = missing.or(Some(gap)),
            answer => return answer,
        }
    }
    let detail = "the program nft is not installed, and nothing else lists the rules";
    Err(missing
        .map_or_else(|| Gap::new(GapKind::Unsupported, RULESET, detail), |gap| Gap { detail: detail.into(), ..gap }))
}

/// Tells of committed changes to the ruleset, by the kernel's multicast group. Wakes nobody while nothing changes.
struct RulesetChanges {
    socket: OwnedFd,
}

impl RulesetChanges {
    /// Listens from now on.
    fn listen() -> Result<Self, Gap> {
        Ok(Self { socket: open(GROUP)? })
    }

    /// Waits until something was committed, at most `patience` (not zero): whether it was. Changes that came while
    /// nobody waited count.
    fn wait(&self, patience: Duration) -> Result<bool, Gap> {
        let until = std::time::Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            match receive(&self.socket, left.max(Duration::from_millis(1))) {
                // Every transaction ends in the announcement of its generation.
                Ok(messages) if kinds(&messages).any(|(kind, _)| kind == NEW_GENERATION) => return Ok(true),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                // More came than the socket holds: certainly something changed.
                Err(Errno::NOBUFS) => return Ok(true),
                Err(error) => return Err(refused(error)),
            }
        }
    }
}

/// Calls `tell` after each committed change, on a thread of its own, until it answers that nobody listens.
pub(crate) fn tell_of_changes(tell: impl Fn() -> bool + Send + 'static) -> Result<(), Gap> {
    /// Only to look now and then whether anybody still listens.
    const ROUND: Duration = Duration::from_secs(3_600);
    let changes = RulesetChanges::listen()?;
    thread::spawn(move || {
        loop {
            match changes.wait(ROUND) {
                Ok(false) => {}
                Ok(true) => {
                    if !tell() {
                        return;
                    }
                }
                Err(gap) => {
                    tracing::warn!(%gap, "changes of the nftables ruleset show on the interval only");
                    return;
                }
            }
        }
    });
    Ok(())
}

fn generation() -> Result<u32, Gap> {
    let socket = open(0)?;
    let request = request();
    rustix::net::send(&socket, &request, SendFlags::empty()).map_err(refused)?;
    let malformed = || Gap::malformed(GENERATION, "an answer of another form than nf_tables.h says");
    let messages = loop {
        match receive(&socket, PATIENCE) {
            Ok(messages) => break messages,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(Gap::new(GapKind::TimedOut, GENERATION, "the kernel did not answer")),
            Err(error) => return Err(refused(error)),
        }
    };
    for (kind, body) in kinds(&messages) {
        match kind {
            ERROR => {
                let code = body.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)).ok_or_else(malformed)?;
                return Err(refused(Errno::from_raw_os_error(code.saturating_neg())));
            }
            NEW_GENERATION => return id(body).ok_or_else(malformed),
            _ => {}
        }
    }
    Err(malformed())
}

fn open(groups: u32) -> Result<OwnedFd, Gap> {
    let family = AddressFamily::NETLINK;
    let protocol = Some(netlink::NETFILTER);
    let socket = rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, protocol).map_err(refused)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups)).map_err(refused)?;
    Ok(socket)
}

fn request() -> [u8; HEADERS] {
    const REQUEST: u16 = 1;
    let mut message = [0; HEADERS];
    let (length, rest) = message.split_at_mut(4);
    length.copy_from_slice(&20_u32.to_ne_bytes());
    let (kind, rest) = rest.split_at_mut(2);
    kind.copy_from_slice(&GET_GENERATION.to_ne_bytes());
    let (flags, _) = rest.split_at_mut(2);
    flags.copy_from_slice(&REQUEST.to_ne_bytes());
    message
}

/// One datagram from the kernel itself; any process may send to a netlink socket.
fn receive(socket: &OwnedFd, patience: Duration) -> Result<Vec<u8>, Errno> {
    set_socket_timeout(socket, Timeout::Recv, Some(patience))?;
    let mut buffer = vec![0; 64 * 1024];
    let (length, _, sender) = rustix::net::recvfrom(socket, buffer.as_mut_slice(), RecvFlags::empty())?;
    buffer.truncate(length);
    let from_kernel =
        sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok()).is_some_and(|at| at.pid() == 0);
    if from_kernel { Ok(buffer) } else { Err(Errno::INTR) }
}

/// The messages of a datagram: type, and what follows the header.
fn kinds(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk()?);
        let length = usize::try_from(length).ok().filter(|length| *length >= 16)?;
        let message = rest.get(..length)?;
        let kind = u16::from_ne_bytes(*message.get(4..6)?.first_chunk()?);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, message.get(16..)?))
    })
}

/// The id among the attributes behind nfgenmsg.
fn id(body: &[u8]) -> Option<u32> {
    let mut rest = body.get(4..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
        let kind = u16::from_ne_bytes(*rest.get(2..4)?.first_chunk()?);
        let value = rest.get(4..length)?;
        if kind == GENERATION_ID {
            return value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

fn refused(error: Errno) -> Gap {
    match error {
        Errno::PERM | Errno::ACCESS => Gap::new(GapKind::Denied, GENERATION, "the kernel asks for CAP_NET_ADMIN"),
        Errno::INVAL | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT => {
            Gap::new(GapKind::Unsupported, GENERATION, "this kernel has no nf_tables, or will not load it")
        }
        other => Gap::new(GapKind::Failed, GENERATION, std::io::Error::from(other).kind().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply as a kernel 6.18 gave it: id 3, then the process's id and name, which are not read.
    const REPLY: &[u8] =
        b"\x30\0\0\0\x0f\x0a\0\0\x07\0\0\0\x8f\x1a\0\0\0\0\0\x03\x08\0\x01\0\0\0\0\x03\x08\0\x02\0\0\0\x1a\x8f\
        \x0c\0\x03\0agent\0\0\0";

    #[test]
    fn the_generation_is_read_out_of_the_kernels_reply() {
        let all: Vec<_> = kinds(REPLY).collect();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].0, NEW_GENERATION);
        assert_eq!(id(all[0].1), Some(3));
    }

    #[test]
    fn no_cut_or_altered_reply_panics_or_loops() {
        for end in 0..REPLY.len() {
            let cut = &REPLY[..end];
            assert!(kinds(cut).next().is_none(), "{end}");
            for byte in [0, 1, 0x7f, 0xff] {
                let mut altered = REPLY.to_vec();
                altered[end] = byte;
                kinds(&altered).for_each(|(_, body)| {
                    id(body);
                });
            }
        }
        assert_eq!(id(&[0; 64]), None);
    }
}
