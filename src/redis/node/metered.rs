//! How much a server may send before we say something again.
//!
//! The client library reads a reply into memory until it is whole, however long the reply says it is. Without
//! a bound, whoever answers (or can write what is answered) decides how much memory we need.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{limits, sampling::Fault};

/// Whether a connection was ended because too much came.
#[derive(Debug, Clone)]
pub(in crate::redis) struct Excess {
    came: Arc<AtomicBool>,
    /// What would not have been too much.
    most: usize,
}

impl Excess {
    /// What a fault of the connection really was.
    pub(in crate::redis) fn behind(&self, fault: Fault) -> Fault {
        if self.came.load(Ordering::SeqCst) { self.fault() } else { fault }
    }

    fn fault(&self) -> Fault {
        let most = self.most;
        Fault::Unreachable(format!("it sent more than {most} bytes for one round of questions"))
    }
}

/// A connection that ends when too much comes before we write again.
#[derive(Debug)]
pub(super) struct Metered<T> {
    io: T,
    /// What may still come.
    left: usize,
    excess: Excess,
}

impl<T> Metered<T> {
    /// Lets this many bytes come, and counts lines for [`limits::REPLY_LINE_BYTES`] more.
    pub(super) fn new(io: T, most: usize) -> Self {
        Self { io, left: most, excess: Excess { came: Arc::default(), most } }
    }

    pub(super) fn excess(&self) -> Excess {
        self.excess.clone()
    }
}

/// What it costs to hold these bytes: themselves, and for each line what the client library makes of
/// one, since a value of its own may have no more than a line of three bytes.
fn cost(bytes: &[u8]) -> usize {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    bytes.len().saturating_add(lines.saturating_mul(limits::REPLY_LINE_BYTES))
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        match self.left.checked_sub(cost(&buffer.filled()[before..])) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Ok(()))
            }
            None => {
                self.excess.came.store(true, Ordering::SeqCst);
                Poll::Ready(Err(io::Error::other(self.excess.fault())))
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(context, bytes))?;
        self.left = self.excess.most;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const MOST: usize = 8 << 20;

    /// Sends parts of this many bytes until they are not taken any more, and gives how many were.
    async fn taken(part: &[u8]) -> (usize, Fault) {
        let (ours, mut theirs) = duplex(1 << 20);
        let mut metered = Metered::new(ours, MOST);
        let (excess, mut buffer, mut taken) = (metered.excess(), vec![0; part.len()], 0);
        loop {
            theirs.write_all(part).await.unwrap();
            match metered.read_exact(&mut buffer).await {
                Ok(bytes) => taken += bytes,
                Err(error) => {
                    assert!(error.to_string().contains("it sent more than"), "{error}");
                    return (taken, excess.behind(Fault::Timeout));
                }
            }
            assert_eq!(excess.behind(Fault::Timeout), Fault::Timeout);
        }
    }

    #[tokio::test]
    async fn a_reply_without_an_end_is_ended_and_said_to_be_one() {
        let part = vec![b'x'; 1 << 16];
        let (bytes, fault) = taken(&part).await;
        assert_eq!(bytes, MOST / part.len() * part.len());
        assert!(matches!(fault, Fault::Unreachable(why) if why.contains("more than")));
    }

    #[tokio::test]
    async fn many_small_values_cost_what_becomes_of_them() {
        let part = b"_\r\n".repeat(1 << 14);
        let (bytes, _) = taken(&part).await;
        let cost = bytes / 3 * (3 + limits::REPLY_LINE_BYTES);
        assert!((MOST / 2..=MOST).contains(&cost), "{cost}");
    }

    #[tokio::test]
    async fn what_is_asked_for_may_come_however_much_that_is_in_all() {
        let (ours, mut theirs) = duplex(1 << 20);
        let mut metered = Metered::new(ours, MOST);
        let mut buffer = vec![0; 1 << 19];
        for _ in 0..3 * (MOST >> 19) {
            metered.write_all(b"PING").await.unwrap();
            theirs.read_exact(&mut buffer[..4]).await.unwrap();
            theirs.write_all(&vec![b'x'; 1 << 19]).await.unwrap();
            metered.read_exact(&mut buffer).await.unwrap();
        }
    }
}
