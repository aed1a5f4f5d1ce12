//! The one seam between the sampler and Redis: what a source of answers must do, and no more.
//!
//! It is apart so that tests and simulations can put a model in Redis's place. It knows reads and
//! answers, and nothing of commands, pools or sockets.

use std::{
    fmt,
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use crate::layouts::{Answer, Name, Read};

/// What was replied to a read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// How long it stays true.
    pub lasts: Lasts,
}

/// How long an answer stays true, on a link that announces changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// Until a change is announced.
    UntilAnnounced,
    /// This long after its read was sent, by the passing of time alone; or until a change is
    /// announced before.
    For(Duration),
    /// Nobody can say: it may change without an announcement at any time.
    Unknown,
}

/// Why Redis could not be asked, or did not answer. None of these is ever a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No connection could be made, or it broke.
    #[error("Redis cannot be reached: {0}")]
    Unreachable(String),
    /// No answer came in time.
    #[error("Redis did not answer in time")]
    Timeout,
    /// Redis is up and not ready: it loads its data, or has lost its master.
    #[error("Redis is not ready: {0}")]
    NotReady(String),
    /// Redis refuses this user the connection, the command or the key.
    #[error("Redis refuses: {0}")]
    Refused(String),
    /// The password or the setting that names it cannot be read.
    #[error("the credentials cannot be read: {0}")]
    Credentials(String),
    /// Redis answered what this question cannot have as an answer.
    #[error("Redis answered what was not expected: {0}")]
    Unexpected(String),
}

/// Something that Redis announced, or that can no longer be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A key changed.
    Key(Name),
    /// Anything may have changed.
    Everything,
    /// The link is gone: nothing will be announced on it any more.
    LinkLost,
}

/// Where a link reports changes. Reporting is short and never blocks, so that it may be done from
/// the task that drives a connection; and it is done before any later reply is handed on, since that
/// reply proves that nothing before it is outstanding. A change may be reported after an *earlier*
/// reply was sent and before it is taken in, which is what the order rule is for.
#[derive(Clone)]
pub struct Changes(Arc<dyn Fn(Change) + Send + Sync>);

impl Changes {
    /// Reports go to this function.
    pub fn new(report: impl Fn(Change) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    /// Reports a change.
    pub fn report(&self, change: Change) {
        (self.0)(change);
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes")
    }
}

/// A Redis that can be connected to.
pub trait Source: Send + Sync + 'static {
    /// What a connection gives.
    type Link: Link;

    /// Connects, authenticates and turns the announcement of changes on where there is any. Every
    /// change from then on goes to `changes`.
    ///
    /// # Errors
    /// [`Fault`] when any of it fails; the caller bounds the time.
    fn connect(&self, changes: Changes) -> impl Future<Output = Result<Self::Link, Fault>> + Send;

    /// Comes when there may be another server to connect to, so that the next attempt need not wait
    /// for its pause to end. Only what keeps an eye on more than one server knows.
    fn moved(&self) -> impl Future<Output = ()> + Send {
        pending()
    }
}

/// A connection to Redis, held by one worker.
pub trait Link: Send {
    /// Whether changes are announced on it.
    fn tracked(&self) -> bool;

    /// Answers reads in their order, in few round trips. One answer for each read.
    ///
    /// # Errors
    /// An outer [`Fault`] when the link is of no more use; an inner one for a read that failed
    /// alone. The caller bounds the time and drops the link when it runs out.
    fn read(
        &mut self,
        reads: &[Read],
    ) -> impl Future<Output = Result<Vec<Result<Reply, Fault>>, Fault>> + Send;

    /// Proves that the link is alive, and with it that no earlier announcement is outstanding. With
    /// `clock`, tells Redis's own time since the Unix epoch, if this user may know it.
    ///
    /// # Errors
    /// [`Fault`] when the link is of no more use.
    fn prove(
        &mut self,
        clock: bool,
    ) -> impl Future<Output = Result<Option<Duration>, Fault>> + Send;

    /// What goes on beside the reads as long as the link is held: it comes, with the reason, when the
    /// link is of no more use although it answers. It is asked for once, and is dropped with the link.
    fn guard(&mut self) -> impl Future<Output = Fault> + Send + 'static {
        pending()
    }
}
