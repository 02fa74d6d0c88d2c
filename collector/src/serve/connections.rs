//! A cap on open connections: each holds a slot from before its TLS handshake until it is closed. One too many is closed
//! at once, which costs less than anything else that could be done with it. And an end for those that say nothing, or
//! take nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// An acceptor that lets only so many connections be open at once.
#[derive(Clone)]
pub(super) struct Capped<A> {
    inner: A,
    slots: Arc<Semaphore>,
}

impl<A> Capped<A> {
    /// At most `most` at once.
    pub(super) fn new(inner: A, most: usize) -> Self {
        Self { inner, slots: Arc::new(Semaphore::new(most)) }
    }
}

impl<A, I, S> Accept<I, S> for Capped<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
{
    type Stream = Held<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return Box::pin(async { Err(io::Error::other("too many connections")) });
        };
        let accepting = self.inner.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            Ok((Held::new(stream, slot, PATIENCE), service))
        })
    }
}

/// What HTTP/2 opens with (RFC 9113, 3.4). Until as much has come, hyper waits for which HTTP it is, and that wait of its
/// own has no end.
const PREFACE: usize = 24;
/// How long a client may take to begin, and how long to take what it asked for while none of it gets through.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that gives its slot back when it is dropped, and ends by itself when its client does not begin or does not
/// take its answer. Between those, hyper's timers hold.
pub(super) struct Held<S> {
    stream: S,
    _slot: OwnedSemaphorePermit,
    /// How many of the first bytes came, and until when all must.
    begun: usize,
    begin: Pin<Box<Sleep>>,
    patience: Duration,
    /// Until when some of what is written must get through; none while it does.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Held<S> {
    fn new(stream: S, slot: OwnedSemaphorePermit, patience: Duration) -> Self {
        Self { stream, _slot: slot, begun: 0, begin: Box::pin(sleep(patience)), patience, stuck: None }
    }

    /// What writing came to; an end where nothing has got through for too long.
    fn written<T>(&mut self, poll: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stuck = None;
            return poll;
        }
        let patience = self.patience;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(patience)));
        stuck.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.begun < PREFACE {
            self.begun += buf.filled().len() - before;
            if poll.is_pending() && self.begin.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(poll, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(poll, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(poll, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum_server::accept::DefaultAcceptor;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn held(stream: tokio::io::DuplexStream) -> Held<tokio::io::DuplexStream> {
        let slot = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Held::new(stream, slot, Duration::from_millis(50))
    }

    #[tokio::test]
    async fn who_does_not_begin_is_let_go_and_who_has_begun_may_be_quiet() {
        let (here, mut there) = tokio::io::duplex(100);
        let mut here = held(here);
        there.write_all(b"PRI * HTT").await.unwrap();
        let error = here.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (here, mut there) = tokio::io::duplex(100);
        let mut here = held(here);
        there.write_all(&[b'x'; PREFACE]).await.unwrap();
        here.read_exact(&mut [0; PREFACE]).await.unwrap();
        let quiet = tokio::time::timeout(Duration::from_millis(200), here.read_u8()).await;
        assert!(quiet.is_err(), "hyper's timers decide from here");
    }

    #[tokio::test]
    async fn who_takes_nothing_is_let_go_and_who_takes_slowly_is_not() {
        let (here, mut there) = tokio::io::duplex(4);
        let mut here = held(here);
        let slowly = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                there.read_u8().await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(here.write_all(&[0; 12]), slowly);
        written.unwrap();
        let error = here.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn one_connection_too_many_is_closed_and_a_closed_one_makes_room() {
        let capped = Capped::new(DefaultAcceptor::new(), 1);
        let (one, _other_end) = tokio::io::duplex(8);
        let held = capped.accept(one, ()).await.unwrap();
        let (two, _other_end) = tokio::io::duplex(8);
        assert!(capped.accept(two, ()).await.is_err());
        drop(held);
        let (three, _other_end) = tokio::io::duplex(8);
        assert!(capped.accept(three, ()).await.is_ok());
    }
}
