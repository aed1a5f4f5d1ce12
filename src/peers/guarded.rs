//! A connection under its bounds: of time, of its place, and of what is heard of who does not listen.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::{Handle, RuntimeMetrics},
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::{limits, telemetry::Turned};

use super::{PeerSlot, PeersState, Tally};

/// A connection that ends when its peer is too slow to begin, when it is too old, or when its place
/// is needed. It is not read while its peer takes nothing of what we say, since each answer waits in
/// memory, nor while the process is behind: each call is a task, and the codec makes them faster than they
/// are worked off.
#[derive(Debug)]
pub struct Guarded<T> {
    io: T,
    place: PeerSlot,
    /// Bytes that the peer still has to send before it has begun.
    missing: usize,
    /// Rings when the first words or the whole connection have taken too long.
    timer: Pin<Box<Sleep>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    ends_at: Instant,
    /// Bytes that were read since nothing could be written; `None` while it can.
    unheeding: Option<usize>,
    /// Who waits to read on.
    reader: Option<Waker>,
    runtime: RuntimeMetrics,
    /// Until when nothing is read, since the process is behind with what it read.
    pause: Option<Pin<Box<Sleep>>>,
    patience: Patience,
}

/// How many pauses in a row there were.
#[derive(Debug, Default)]
struct Patience(u32);

impl Patience {
    /// Whether the peer is read now, with so many tasks that wait.
    fn ends(&mut self, queued: usize) -> bool {
        let (most, _) = limits::TASKS_QUEUED;
        let is_over = queued <= most || self.0 == limits::READ_PAUSES;
        self.0 = if is_over { 0 } else { self.0 + 1 };
        is_over
    }
}

impl<T> Guarded<T> {
    /// Guards a connection from now on.
    pub fn new(io: T, place: PeerSlot) -> Self {
        let bounds = &place.peers.0.bounds;
        let (missing, within) = bounds.first_words;
        Self {
            io,
            missing,
            timer: Box::pin(sleep(within)),
            ended: Box::pin(place.ended.clone().cancelled_owned()),
            ends_at: Instant::now() + bounds.end,
            unheeding: None,
            reader: None,
            runtime: Handle::current().metrics(),
            pause: None,
            patience: Patience::default(),
            place,
        }
    }

    /// The calls that the peer's address has open.
    pub fn calls(&self) -> Tally {
        self.place.calls.clone()
    }

    /// Whether the connection may go on.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Result<(), io::Error> {
        if self.ended.as_mut().poll(context).is_ready() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "another took its place"));
        }
        if self.timer.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        let why = if self.missing > 0 { Turned::Silent } else { Turned::Old };
        let PeersState { door, edge, .. } = &*self.place.peers.0;
        edge.turned(*door, why);
        // An ended timer must not be polled again, and the codec may ask once more.
        self.place.ended.cancel();
        self.timer.as_mut().reset(self.ends_at + self.place.peers.0.bounds.end);
        Err(io::Error::new(io::ErrorKind::TimedOut, why.text()))
    }

    /// Notes whether what was to be said could be.
    fn said<R>(&mut self, written: Poll<R>) -> Poll<R> {
        if written.is_pending() {
            self.unheeding.get_or_insert(0);
        } else if self.unheeding.take().is_some()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        written
    }

    /// Ready once the process is not behind, or has been for long.
    fn poll_abreast(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (_, pause) = limits::TASKS_QUEUED;
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            if self.patience.ends(self.runtime.global_queue_depth()) {
                return Poll::Ready(());
            }
            self.pause = Some(Box::pin(sleep(pause)));
        }
    }

    fn heard(&mut self, bytes: usize) {
        if let Some(unheeding) = &mut self.unheeding {
            *unheeding += bytes;
        }
        if self.missing == 0 {
            return;
        }
        self.missing = self.missing.saturating_sub(bytes);
        if self.missing == 0 {
            let ends_at = self.ends_at;
            self.timer.as_mut().reset(ends_at);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_over(context)?;
        let most = self.place.peers.0.bounds.unheeding;
        if self.unheeding.is_some_and(|heard| heard >= most) {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        ready!(self.poll_abreast(context));
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        let heard = buffer.filled().len() - before;
        let had_begun = self.missing == 0;
        self.heard(heard);
        if !had_begun && heard > 0 {
            // The timer was reset, so it has to hear of this task again.
            self.poll_over(context)?;
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_over(context)?;
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.said(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_over(context)?;
        let written = Pin::new(&mut self.io).poll_flush(context);
        self.said(written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_over(context)?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_over(context)?;
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.said(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_always_behind_reads_now_and_then() {
        let (most, _) = limits::TASKS_QUEUED;
        let mut patience = Patience::default();
        assert!(patience.ends(0) && patience.ends(most));
        for _ in 0..3 {
            assert!((0..limits::READ_PAUSES).all(|_| !patience.ends(most + 1)));
            assert!(patience.ends(usize::MAX));
        }
        assert!(!patience.ends(most + 1) && patience.ends(most));
        assert!((0..limits::READ_PAUSES).all(|_| !patience.ends(most + 1)));
    }
}
