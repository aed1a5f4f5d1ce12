//! What a peer can make us hold by asking and not finishing: bytes of requests that are not whole, calls that
//! never are, calls beside KEDA's that never end, and answers that it does not take.
//!
//! It works before a message is one. The codec takes a request of eight megabytes, sets its length aside as
//! soon as five bytes name it, and has no deadline: one peer could have that a thousand times.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
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
    peers::{Counted, Tally},
    telemetry::{Edge, Unread},
};

use super::status::Overload;

/// How the path of the one call of KEDA's ends that lasts.
const STREAM: &str = "/StreamIsActive";

/// What all requests together hold. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Intake(Arc<IntakeState>);

#[derive(Debug)]
struct IntakeState {
    /// Bytes of messages that have begun and are not whole.
    incomplete: AtomicUsize,
    /// Calls of other services that are open.
    side_calls: Tally,
    edge: Arc<Edge>,
}

/// Whose calls they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calls {
    /// KEDA's: each has one message and, but for streams, one answer.
    Keda,
    /// Those of other services, which may last.
    Side,
}

/// A service behind the intake.
#[derive(Debug, Clone)]
pub(super) struct Behind<S> {
    inner: S,
    intake: Intake,
    calls: Calls,
}

impl Intake {
    /// Nothing is held yet. What is refused is counted at `edge`.
    pub(super) fn new(edge: Arc<Edge>) -> Self {
        Self(Arc::new(IntakeState {
            incomplete: AtomicUsize::new(0),
            side_calls: Tally::default(),
            edge,
        }))
    }

    pub(super) fn keda<S>(&self, inner: S) -> Behind<S> {
        Behind { inner, intake: self.clone(), calls: Calls::Keda }
    }

    pub(super) fn side<S>(&self, inner: S) -> Behind<S> {
        Behind { inner, intake: self.clone(), calls: Calls::Side }
    }

    /// A place for a call. KEDA's streams need none here: the scaler counts them.
    fn open(&self, calls: Calls, request: &Request<Body>) -> Result<Option<Counted>, Overload> {
        let (tally, most, unread, overload) = match calls {
            Calls::Keda if request.uri().path().ends_with(STREAM) => return Ok(None),
            Calls::Keda => {
                let of_one = request.extensions().get::<Tally>().cloned().unwrap_or_default();
                let most = limits::CALLS_OF_ONE;
                (of_one, most, Unread::Calls, Overload::Calls(most))
            }
            Calls::Side => {
                let most = limits::SIDE_CALLS;
                (self.0.side_calls.clone(), most, Unread::SideCalls, Overload::SideCalls(most))
            }
        };
        let counted = tally.open(most).ok_or_else(|| {
            self.0.edge.unread(unread);
            overload
        })?;
        Ok(Some(counted))
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

impl<S: NamedService> NamedService for Behind<S> {
    const NAME: &'static str = S::NAME;
}

type Answering<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Behind<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answering<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let open = match self.intake.open(self.calls, &request) {
            Ok(open) => open,
            Err(refusal) => {
                let refused = Status::from(refusal).into_http();
                return Box::pin(async { Ok(refused) });
            }
        };
        let measured = |body| Body::new(Measured::new(body, &self.intake, self.calls));
        let answering = self.inner.call(request.map(measured));
        Box::pin(async move {
            let answer = answering.await?;
            Ok(match open {
                Some(open) => {
                    answer.map(|inner| Body::new(Untaken { inner, open: Arc::new(open) }))
                }
                None => answer,
            })
        })
    }
}

/// The body of a request on its way in.
#[derive(Debug)]
struct Measured {
    inner: Body,
    intake: Intake,
    calls: Calls,
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
    fn new(inner: Body, intake: &Intake, calls: Calls) -> Self {
        let intake = intake.clone();
        let (head, head_bytes, lacking, held, deadline) = ([0; 5], 0, 0, 0, None);
        Self { inner, intake, calls, head, head_bytes, lacking, held, deadline }
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
        // A call of KEDA's has one message: its deadline is for the end of the call too.
        if self.calls == Calls::Side {
            self.deadline = None;
        }
    }

    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Overload> {
        let is_begun = self.lacking > 0 || self.head_bytes > 0;
        if self.calls == Calls::Side && !is_begun {
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

/// The body of an answer, whose call is open until the last of its bytes went to the socket.
#[derive(Debug)]
struct Untaken {
    inner: Body,
    open: Arc<Counted>,
}

/// Bytes of an answer. The codec may hold them for a peer's window when it has long dropped the body.
struct OfAnswer {
    bytes: Bytes,
    _open: Arc<Counted>,
}

impl AsRef<[u8]> for OfAnswer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Untaken {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        let held = |bytes| Bytes::from_owner(OfAnswer { bytes, _open: Arc::clone(&self.open) });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(held))))
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
        Measured::new(Body::empty(), intake, Calls::Keda)
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
