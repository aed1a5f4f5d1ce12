//! The one seam between the sampler and Redis: what a source of answers must do, and no more. Tests and
//! simulations put a model in Redis's place.

use std::{
    fmt,
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use crate::{
    layouts::{Answer, KeyPattern, Name, Read},
    time::Instant,
};

/// What was replied to a read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// How long it stays true.
    pub lasts: Validity,
    /// The one moment at which it was true, if there is one: replies with the same moment, which a link
    /// gives once only, were true together.
    pub moment: Option<u64>,
    /// What Redis's clock said, if the answer depends on that.
    pub clock: Option<Duration>,
}

/// How long an answer stays true, on a link that announces changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Until a change is announced.
    UntilAnnounced,
    /// This long after its read was sent, by the passing of time alone; or until a change is
    /// announced before.
    For(Duration),
    /// Unknown: it may change without an announcement at any time.
    Unknown,
}

/// How far a search is, in the words of the link that gives it. Only that link, or a later one to the
/// same servers, can go on from it; a cluster's names a node beside that node's cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position(Box<[u8]>);

impl Position {
    /// A position in the link's own words.
    #[must_use]
    pub fn new(words: impl Into<Vec<u8>>) -> Self {
        Self(words.into().into())
    }

    /// The link's own words.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What one step of a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPage {
    /// Keys that match, perhaps some of them twice.
    pub keys: Vec<Name>,
    /// Where to go on; `None` when the whole keyspace was looked at.
    pub next: Option<Position>,
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
    /// Workers tell their state on a channel that was not listened to for long enough yet, so that
    /// nobody knows who has not spoken.
    #[error("workers are listened to for {0:?} before their silence means anything")]
    Listening(Duration),
    /// Members are looked at one by one, and it takes more than one look: a part of them is no count.
    #[error("there are many members to look at, and nothing is told before all of them were seen")]
    Looking {
        /// How many were looked at.
        seen: u64,
        /// How many there are.
        of: u64,
    },
    /// Redis answered what this question cannot have as an answer.
    #[error("Redis answered what was not expected: {0}")]
    Unexpected(String),
}

/// Something that Redis announced, or that can no longer be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A key changed.
    Key(Name),
    /// Any of these keys may have changed.
    Keys(KeySet),
    /// Anything may have changed.
    Everything,
    /// The link is gone: nothing will be announced on it any more.
    LinkLost,
}

/// Keys that may have changed unannounced: those that one of several servers has, for one.
#[derive(Clone)]
pub struct KeySet {
    has: Arc<dyn Fn(&Name) -> bool + Send + Sync>,
    valid_until: Option<Instant>,
}

impl KeySet {
    /// The keys of which `has` says so. It is short, and asked for every key that is known. Changes
    /// until `valid_until` were announced, if that is known.
    pub fn new(
        has: impl Fn(&Name) -> bool + Send + Sync + 'static,
        valid_until: Option<Instant>,
    ) -> Self {
        Self { has: Arc::new(has), valid_until }
    }

    /// Whether a key is among them.
    #[must_use]
    pub fn has(&self, key: &Name) -> bool {
        (self.has)(key)
    }

    /// Until when every change was announced.
    #[must_use]
    pub fn valid_until(&self) -> Option<Instant> {
        self.valid_until
    }
}

/// Two of them are equal if one was made of the other.
impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.has, &other.has) && self.valid_until == other.valid_until
    }
}

impl Eq for KeySet {}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet(true until {:?})", self.valid_until)
    }
}

/// One read of a trigger, seen from a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowRead {
    /// It is in the batch, in this place.
    Sent(usize),
    /// It is not, since this key of its is known not to have changed.
    Kept(Name),
}

/// The reads of one trigger in the order of its flow, seen from a batch that has some of them.
pub type Flow = Vec<FlowRead>;

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

    /// Answers reads in their order, in few round trips. One answer for each read. What stands together in
    /// a flow is answered as of one moment where that can be had; else a read is answered after those before
    /// it in its flow, also where they are on other servers, and changes of what is kept are reported that
    /// came about before any answer to a read before it.
    ///
    /// # Errors
    /// An outer [`Fault`] when the link is of no more use; an inner one for a read that failed
    /// alone. The caller bounds the time and drops the link when it runs out.
    fn read(
        &mut self,
        reads: &[Read],
        flows: &[Flow],
    ) -> impl Future<Output = Result<Vec<Result<Reply, Fault>>, Fault>> + Send;

    /// Until when all changes were announced, now that the link answered what was sent at `sent_at`.
    fn confirmed_until(&self, sent_at: Instant) -> Instant;

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
    fn guard(&mut self) -> impl Future<Output = Fault> + Send + 'static;

    /// One step through the keyspace for keys that match, from a position that an earlier step gave,
    /// or from the beginning. A step looks at some [`crate::limits::SCAN_COUNT`] keys. A key that is
    /// there from the first step to the last is found by one of them.
    ///
    /// # Errors
    /// An outer [`Fault`] when the link is of no more use; an inner one when the step failed alone,
    /// and may be tried again from the same position.
    fn scan(
        &mut self,
        wild: &KeyPattern,
        from: Option<&Position>,
    ) -> impl Future<Output = Result<Result<KeyPage, Fault>, Fault>> + Send;
}
