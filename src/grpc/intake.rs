//! What a peer can make us hold by asking and not finishing: bytes of requests that are not whole,
//! calls that never are, and calls beside KEDA's that never end.
//!
//! It is apart from the service because it works before a message is one. The codec takes a request
//! of eight megabytes, sets its length aside as soon as five bytes name it, and has no deadline: one
//! peer could have that a thousand times.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tonic::{
    Status,
    body::Body,
    codegen::{
        Bytes, Service,
        http::{Request, Response},
    },
    server::NamedService,
};

use crate::{
    limits,
    telemetry::{Edge, Unread},
};

use super::status::Overload;

/// What all requests together hold. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Intake(Arc<Held>);

#[derive(Debug)]
struct Held {
    /// Bytes of messages that have begun and are not whole.
    incomplete: AtomicUsize,
    /// Calls of other services that are open.
    side_calls: AtomicUsize,
    edge: Arc<Edge>,
}

/// One of those calls, until it is dropped.
#[derive(Debug)]
struct Open(Intake);

/// KEDA's service behind the intake: each of its calls has one message, which has to come in time.
#[derive(Debug, Clone)]
pub(super) struct Calls<S> {
    inner: S,
    intake: Intake,
}

/// Another service behind it: its calls may last, so their number is bounded.
#[derive(Debug, Clone)]
pub(super) struct SideCalls<S>(Calls<S>);

impl Intake {
    /// Nothing is held yet. What is refused is counted at `edge`.
    pub(super) fn new(edge: Arc<Edge>) -> Self {
        let (incomplete, side_calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Held { incomplete, side_calls, edge }))
    }

    pub(super) fn calls<S>(&self, inner: S) -> Calls<S> {
        Calls { inner, intake: self.clone() }
    }

    pub(super) fn side_calls<S>(&self, inner: S) -> SideCalls<S> {
        SideCalls(self.calls(inner))
    }

    fn open(&self) -> Result<Open, Overload> {
        let before = self.0.side_calls.fetch_add(1, Ordering::Relaxed);
        let open = Open(self.clone());
        let most = limits::SIDE_CALLS;
        if before < most {
            return Ok(open);
        }
        self.0.edge.unread(Unread::SideCalls);
        Err(Overload::SideCalls(most))
    }

    /// Takes bytes for a message that has begun; they are taken also when they are too many.
    fn hold(&self, bytes: usize) -> Result<(), Overload> {
        let most = limits::INCOMPLETE_BYTES;
        let before = self.0.incomplete.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= most {
            return Ok(());
        }
        self.0.edge.unread(Unread::Incomplete);
        Err(Overload::Incomplete(most))
    }

    fn give_back(&self, bytes: usize) {
        self.0.incomplete.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.side_calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S: NamedService> NamedService for Calls<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: NamedService> NamedService for SideCalls<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Calls<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let intake = &self.intake;
        self.inner.call(request.map(|body| Body::new(Measured::new(body, intake, Whole::Call))))
    }
}

type Answering<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for SideCalls<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answering<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Calls { inner, intake } = &mut self.0;
        let open = match intake.open() {
            Ok(open) => open,
            Err(refusal) => {
                let refused = Status::from(refusal).into_http();
                return Box::pin(async { Ok(refused) });
            }
        };
        let measured = |body| Body::new(Measured::new(body, intake, Whole::Message));
        let answering = inner.call(request.map(measured));
        Box::pin(async move {
            let answer = answering.await?;
            Ok(answer.map(|inner| Body::new(Counted { inner, _open: open })))
        })
    }
}

/// What has to be whole in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// All that a call sends, since it has one message.
    Call,
    /// Each message that has begun.
    Message,
}

/// The body of a request on its way in.
#[derive(Debug)]
struct Measured {
    inner: Body,
    intake: Intake,
    whole: Whole,
    /// The five bytes before a message, as far as they have come.
    head: [u8; 5],
    head_bytes: usize,
    /// Bytes that the message still lacks.
    lacking: usize,
    /// Bytes that it holds of what all requests may.
    held: usize,
    /// Set once something had to be waited for.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Measured {
    fn new(inner: Body, intake: &Intake, whole: Whole) -> Self {
        let intake = intake.clone();
        let (head, head_bytes, lacking, held, deadline) = ([0; 5], 0, 0, 0, None);
        Self { inner, intake, whole, head, head_bytes, lacking, held, deadline }
    }

    /// Follows the messages in the bytes that came.
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Overload> {
        while !bytes.is_empty() {
            if self.lacking > 0 {
                let part = self.lacking.min(bytes.len());
                self.lacking -= part;
                bytes = &bytes[part..];
                if self.lacking == 0 {
                    self.message_is_whole();
                }
                continue;
            }
            let part = (self.head.len() - self.head_bytes).min(bytes.len());
            self.head[self.head_bytes..][..part].copy_from_slice(&bytes[..part]);
            self.head_bytes += part;
            bytes = &bytes[part..];
            if self.head_bytes == self.head.len() {
                self.head_bytes = 0;
                let [_, length @ ..] = self.head;
                self.lacking = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                if self.lacking > limits::REQUEST_BYTES {
                    // The codec refuses it by the same five bytes.
                    self.intake.0.edge.unread(Unread::TooLarge);
                } else if self.lacking > bytes.len() {
                    self.held = self.lacking;
                    self.intake.hold(self.held)?;
                } else if self.lacking == 0 {
                    self.message_is_whole();
                }
            }
        }
        Ok(())
    }

    fn message_is_whole(&mut self) {
        self.intake.give_back(std::mem::take(&mut self.held));
        if self.whole == Whole::Message {
            self.deadline = None;
        }
    }

    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Overload> {
        let is_begun = self.lacking > 0 || self.head_bytes > 0;
        if self.whole == Whole::Message && !is_begun {
            return Poll::Pending;
        }
        let within = limits::REQUEST_DEADLINE;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(within)));
        deadline.as_mut().poll(context).map(|()| {
            self.intake.0.edge.unread(Unread::Slow);
            Overload::Slow(within)
        })
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.intake.give_back(self.held);
    }
}

impl HttpBody for Measured {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Pending => {
                return self.poll_late(context).map(|late| Some(Err(late.into())));
            }
            Poll::Ready(frame) => frame,
        };
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
            && let Err(refusal) = self.take(bytes)
        {
            return Poll::Ready(Some(Err(refusal.into())));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer that counts as open until it ends.
#[derive(Debug)]
struct Counted {
    inner: Body,
    _open: Open,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    fn intake() -> Intake {
        Intake::new(Metrics::new().edge())
    }

    fn held(intake: &Intake) -> usize {
        intake.0.incomplete.load(Ordering::Relaxed)
    }

    fn measured(intake: &Intake) -> Measured {
        Measured::new(Body::empty(), intake, Whole::Call)
    }

    fn message(declared: usize, sent: usize) -> Vec<u8> {
        let length = u32::try_from(declared).unwrap().to_be_bytes();
        [&[0][..], &length, &vec![7; sent]].concat()
    }

    #[test]
    fn only_what_is_not_whole_is_held_however_it_is_cut() {
        let stream: Vec<u8> = [0, 1, 300, 0, 2].iter().flat_map(|n| message(*n, *n)).collect();
        for step in 1..stream.len() {
            let intake = intake();
            let mut body = measured(&intake);
            for part in stream.chunks(step) {
                body.take(part).unwrap();
                let held = held(&intake);
                assert!([0, 1, 2, 300].contains(&held), "{held}");
                assert!(body.lacking == 0 || held > 0);
            }
            assert_eq!((body.lacking, body.head_bytes), (0, 0));
            assert_eq!(held(&intake), 0);
        }
    }

    #[test]
    fn a_length_is_held_as_soon_as_it_is_named_and_given_back_with_its_call() {
        let intake = intake();
        let most = limits::INCOMPLETE_BYTES / limits::REQUEST_BYTES;
        let mut open: Vec<Measured> = (0..most).map(|_| measured(&intake)).collect();
        for body in &mut open {
            body.take(&message(limits::REQUEST_BYTES, 0)).unwrap();
        }
        let mut one_more = measured(&intake);
        let refused = one_more.take(&message(1, 0)).unwrap_err();
        assert!(matches!(refused, Overload::Incomplete(limits::INCOMPLETE_BYTES)));
        drop(one_more);
        measured(&intake).take(&message(5, 5)).unwrap();
        drop(open);
        assert_eq!(held(&intake), 0);
        measured(&intake).take(&message(limits::REQUEST_BYTES + 1, 0)).unwrap();
        assert_eq!(held(&intake), 0);
    }
}
