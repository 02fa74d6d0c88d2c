//! Facts on their way in: how much of them is held at once, how many of one host, and how a body is read.
//!
//! Nobody has signed them, so nothing is read before the caller knows that somebody waits for it; what finds no room is
//! told to come back. A body that is not wanted is read all the same, a piece at a time and forgotten: whoever is still
//! sending would otherwise see its connection break instead of the answer.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use audit::api::MAX_FACTS_SENT;
use audit::report::HostId;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Refusal;

/// What is held of all bodies at once, in KiB: eight of the largest, or two thousand of an ordinary host's.
const ROOM: usize = 32 * 1024;
/// Bodies of one host at once. Its agent sends one after the other, and may have given one up.
const OF_ONE_HOST: usize = 2;

/// The room there is.
#[derive(Debug)]
pub struct Bodies {
    room: Arc<Semaphore>,
    hosts: Mutex<HashMap<HostId, usize>>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(ROOM)), hosts: Mutex::default() }
    }
}

/// Room for one body, held until it is dropped.
#[derive(Debug)]
pub struct Held {
    bodies: Arc<Bodies>,
    host: HostId,
    _room: OwnedSemaphorePermit,
}

impl Bodies {
    /// Room for a body of a host of that many bytes, where there is some now.
    pub fn hold(self: &Arc<Self>, host: &HostId, bytes: usize) -> Result<Held, Refusal> {
        let needed = u32::try_from(bytes.div_ceil(1024).max(1)).unwrap_or(u32::MAX);
        let room = self.room.clone().try_acquire_many_owned(needed).map_err(|_| Refusal::Busy)?;
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = hosts.entry(host.clone()).or_default();
        if *held >= OF_ONE_HOST {
            return Err(Refusal::Busy);
        }
        *held += 1;
        drop(hosts);
        Ok(Held { bodies: Arc::clone(self), host: host.clone(), _room: room })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut hosts = self.bodies.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        match hosts.get_mut(&self.host) {
            Some(held) if *held > 1 => *held -= 1,
            Some(_) | None => drop(hosts.remove(&self.host)),
        }
    }
}

/// A body of facts that has not been read.
pub struct Incoming {
    body: Body,
    length: usize,
}

impl Incoming {
    /// The body of a request, and how long it says it is; as long as may be, where it does not say.
    pub fn of(request: Request) -> Self {
        let length = request.headers().get(CONTENT_LENGTH).and_then(|text| text.to_str().ok()?.parse().ok());
        Self { length: length.unwrap_or(MAX_FACTS_SENT), body: request.into_body() }
    }

    /// How long it is at most.
    pub fn length(&self) -> Result<usize, Refusal> {
        if self.length > MAX_FACTS_SENT {
            return Err(Refusal::TooLarge(format!("facts of {} bytes are larger than {MAX_FACTS_SENT}", self.length)));
        }
        Ok(self.length)
    }

    /// All of it.
    pub async fn whole(&mut self) -> Result<Vec<u8>, Refusal> {
        let length = self.length()?;
        let mut whole = Vec::with_capacity(length);
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > length {
                return Err(Refusal::TooLarge(format!("facts are larger than {length} bytes")));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// Lets what is left of it pass by, as far as it may be long.
    pub async fn forget(mut self) {
        let mut left = MAX_FACTS_SENT;
        while let Ok(Some(piece)) = self.piece().await {
            let Some(rest) = left.checked_sub(piece.len()) else { return };
            left = rest;
        }
    }

    async fn piece(&mut self) -> Result<Option<axum::body::Bytes>, Refusal> {
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await;
            match frame {
                None => return Ok(None),
                // Trailers are nothing to us.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => return Ok(Some(piece)),
                    Err(_) => continue,
                },
                Some(Err(_)) => return Err(Refusal::Invalid("the facts did not come whole in time".into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(digit: char) -> HostId {
        digit.to_string().repeat(32).try_into().unwrap()
    }

    #[test]
    fn one_host_holds_two_bodies_and_all_of_them_what_there_is_room_for() {
        let bodies = Arc::new(Bodies::default());
        let first = bodies.hold(&host('a'), MAX_FACTS_SENT).unwrap();
        let second = bodies.hold(&host('a'), 1).unwrap();
        assert!(matches!(bodies.hold(&host('a'), 1), Err(Refusal::Busy)));
        drop(second);
        let held: Vec<Held> = ['b', 'c', 'd', 'e', 'f', '1', '2']
            .map(|digit| bodies.hold(&host(digit), MAX_FACTS_SENT).unwrap())
            .into_iter()
            .collect();
        assert!(matches!(bodies.hold(&host('3'), 1), Err(Refusal::Busy)), "32 MiB are held");
        drop((first, held));
        assert!(bodies.hosts.lock().unwrap().is_empty());
        assert_eq!(bodies.room.available_permits(), ROOM, "what was refused holds nothing");
    }

    #[tokio::test]
    async fn a_body_is_read_as_long_as_it_says_it_is_and_no_longer() {
        let request = |length: Option<usize>, body: Vec<u8>| {
            let mut request = Request::new(Body::from(body));
            if let Some(length) = length {
                request.headers_mut().insert(CONTENT_LENGTH, length.into());
            }
            Incoming::of(request)
        };
        assert_eq!(request(Some(3), b"abc".to_vec()).whole().await.unwrap(), b"abc");
        assert_eq!(request(None, b"abc".to_vec()).whole().await.unwrap(), b"abc");
        assert!(matches!(request(Some(2), b"abc".to_vec()).whole().await, Err(Refusal::TooLarge(_))));
        let longest = vec![0; MAX_FACTS_SENT + 1];
        assert!(matches!(request(None, longest).whole().await, Err(Refusal::TooLarge(_))));
        assert!(matches!(request(Some(MAX_FACTS_SENT + 1), vec![]).length(), Err(Refusal::TooLarge(_))));
    }
}
