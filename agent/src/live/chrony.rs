//! chronyd, asked over its Unix socket with its own packets (protocol version 6; `candm.h` documents the layouts).
//!
//! chronyd answers to the address it was asked from, so the asking socket has a name of its own beside chronyd's, in a
//! folder only root and chrony's user may enter. Nothing is read out of the answers but what the next question needs:
//! how many sources there are, and each one's address. The probe reads the rest.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use audit::host::{Gap, GapKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// Where every distribution's chronyd listens.
const SOCKET: &str = "/run/chrony/chronyd.sock";
/// All exchanges of one question together.
const PATIENCE: Duration = Duration::from_secs(1);
const MAX_SOURCES: u32 = 1_024;
/// Longer than any reply.
const MAX_REPLY: usize = 1_024;

const REQUEST_HEADER: usize = 20;
const REPLY_HEADER: usize = 28;
const STATUS: usize = 8;
const SEQUENCE: usize = 16;

/// The requests used, with the length of their replies: a request must be padded to that.
#[derive(Clone, Copy)]
enum Request {
    CountSources = 14,
    SourceData = 15,
    Tracking = 33,
    SourceName = 65,
}

impl Request {
    fn reply_length(self) -> usize {
        let data = match self {
            Self::CountSources => 4,
            Self::SourceData => 48,
            Self::Tracking => 76,
            Self::SourceName => 256,
        };
        REPLY_HEADER + data
    }
}

/// The tracking reply, as it came.
pub(super) fn ask_tracking() -> Result<Vec<u8>, Gap> {
    let mut chronyd = Chronyd::reach(Path::new(SOCKET), "ChronyTracking")?;
    chronyd.ask(Request::Tracking, &[])
}

/// Every source's replies; see [`audit::host::Question::ChronySources`].
pub(super) fn ask_sources() -> Result<Vec<u8>, Gap> {
    let mut chronyd = Chronyd::reach(Path::new(SOCKET), "ChronySources")?;
    let counted = chronyd.ask(Request::CountSources, &[])?;
    let count = part(&counted, REPLY_HEADER).map(u32::from_be_bytes).ok_or_else(|| chronyd.malformed())?;
    if count > MAX_SOURCES {
        let detail = format!("more than {MAX_SOURCES} sources");
        return Err(Gap::new(GapKind::TooLarge, chronyd.what, detail));
    }
    let mut sources = Vec::new();
    for index in 0..count {
        let source = chronyd.ask(Request::SourceData, &index.to_be_bytes())?;
        let address: [u8; 20] = part(&source, REPLY_HEADER).ok_or_else(|| chronyd.malformed())?;
        let mode = part(&source, REPLY_HEADER + 26).map(u16::from_be_bytes);
        // Mode 2 is a reference clock, which has no name to ask for. A chronyd before 4.0 does not know the question,
        // and a source may go between two questions: then there is the address alone.
        let name = if mode == Some(2) { None } else { chronyd.ask(Request::SourceName, &address).ok() };
        let name = name.filter(|reply| part(reply, STATUS) == Some([0, 0])).map(|reply| STANDARD.encode(reply));
        sources.push(json!({ "source": STANDARD.encode(source), "name": name }));
    }
    Ok(json!(sources).to_string().into_bytes())
}

/// A conversation with chronyd.
struct Chronyd {
    socket: UnixDatagram,
    own: PathBuf,
    deadline: Instant,
    sequence: u32,
    what: &'static str,
}

impl Drop for Chronyd {
    fn drop(&mut self) {
        // A name left behind would be in nobody's way; there is nobody to tell.
        let _ = std::fs::remove_file(&self.own);
    }
}

impl Chronyd {
    fn reach(socket: &Path, what: &'static str) -> Result<Self, Gap> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let own = socket.with_file_name(format!("plumbline.{}.{number}.sock", std::process::id()));
        // Of an earlier process with our number that was killed.
        let _ = std::fs::remove_file(&own);
        let bound = UnixDatagram::bind(&own).map_err(|error| gap(what, &error))?;
        let chronyd = Self { socket: bound, own, deadline: Instant::now() + PATIENCE, sequence: 0, what };
        // chronyd has given up root by the time it answers, and must be able to write here.
        let opened = std::fs::set_permissions(&chronyd.own, std::fs::Permissions::from_mode(0o666));
        opened.and_then(|()| chronyd.socket.connect(socket)).map_err(|error| gap(what, &error))?;
        Ok(chronyd)
    }

    /// One request and the reply to it.
    fn ask(&mut self, request: Request, data: &[u8]) -> Result<Vec<u8>, Gap> {
        self.sequence += 1;
        let mut packet = vec![6, 1, 0, 0];
        packet.extend((request as u16).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(self.sequence.to_be_bytes());
        packet.resize(REQUEST_HEADER, 0);
        packet.extend(data);
        packet.resize(packet.len().max(request.reply_length()), 0);
        self.exchange(&packet).map_err(|error| gap(self.what, &error))
    }

    fn exchange(&self, packet: &[u8]) -> io::Result<Vec<u8>> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        self.socket.send(packet)?;
        loop {
            self.socket.set_read_timeout(Some(self.left()?))?;
            let mut reply = vec![0; MAX_REPLY];
            let length = self.socket.recv(&mut reply)?;
            reply.truncate(length);
            if part(&reply, SEQUENCE) == Some(self.sequence.to_be_bytes()) {
                return Ok(reply);
            }
        }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    fn malformed(&self) -> Gap {
        Gap::malformed(self.what, "a reply that ends too early")
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn gap(what: &str, error: &io::Error) -> Gap {
    use io::ErrorKind as Kind;
    let kind = error.kind();
    let (kind, detail) = if kind == Kind::NotFound {
        (GapKind::Unsupported, "chronyd's socket is not there".to_owned())
    } else if kind == Kind::PermissionDenied {
        (GapKind::Denied, "chronyd's socket is for root and chrony's own user".to_owned())
    } else if kind == Kind::ReadOnlyFilesystem {
        (GapKind::Denied, "no socket of our own can be made beside chronyd's".to_owned())
    } else if kind == Kind::ConnectionRefused {
        (GapKind::Failed, "chronyd's socket is there and nobody listens".to_owned())
    } else if kind == Kind::TimedOut || kind == Kind::WouldBlock {
        (GapKind::TimedOut, "chronyd did not answer within a second".to_owned())
    } else {
        (GapKind::Failed, error.to_string())
    };
    Gap::new(kind, what, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chronyd_that_never_answers_is_a_gap_within_its_time_and_leaves_no_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chronyd.sock");
        let _silent = UnixDatagram::bind(&path).unwrap();
        let began = Instant::now();
        let mut chronyd = Chronyd::reach(&path, "ChronyTracking").unwrap();
        assert_eq!(chronyd.ask(Request::Tracking, &[]).unwrap_err().kind, GapKind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(5));
        drop(chronyd);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn no_socket_and_no_listener_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chronyd.sock");
        assert_eq!(Chronyd::reach(&path, "x").err().unwrap().kind, GapKind::Unsupported);
        drop(UnixDatagram::bind(&path).unwrap());
        assert_eq!(Chronyd::reach(&path, "x").err().unwrap().kind, GapKind::Failed);
    }
}
