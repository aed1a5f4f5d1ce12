//! One connection to Redis, and how it answers a batch of reads in few round trips.
//!
//! All commands of a batch go in one pipeline in the order of the reads. A key whose type was
//! guessed wrongly makes the whole batch go again, so that the answers keep their order; answers
//! that need a second command (a nil lag, an empty string) get it afterwards, when it can only
//! count a job twice. It does not know why a read is done.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{Cmd, aio::MultiplexedConnection};
use tokio::time::timeout_at;

use crate::{
    config::Node,
    layouts::{Answer, Ask, Members, Name, Read, Station, Wild},
    limits,
    sampling::{Fault, Flow, FlowRead, KeyPage, Lasts, Link, Position, Reply},
    time::Instant,
};

use super::{
    cluster, decode,
    encode::{self, KeyType},
    error::{Refusal, fault, refusal},
    fields::KnownFields,
    follow_up::FollowUps,
    heard::Ears,
    known_tails::KnownTails,
    known_types::KnownTypes,
    login::Login,
    role::Asker,
    scan,
    transaction::{self, Questions, Replies},
    transcript::Exchange,
    wire::{Response, Wire},
};

/// How often a batch is tried while keys change their types under it.
const ATTEMPTS: usize = 3;

/// A connection that one worker holds.
pub struct RedisLink {
    wire: Option<Wire>,
    tracked: bool,
    types: KnownTypes,
    pub(super) fields: KnownFields,
    pub(super) tails: KnownTails,
    transcript: Option<Vec<Exchange>>,
    /// What the transcript calls the server.
    name: Option<String>,
    /// What is heard on it; `None` where nothing is pushed.
    pub(super) ears: Option<Ears>,
    /// The stations to which it is subscribed.
    pub(super) tuned: Vec<Arc<Station>>,
    /// Whether SCAN takes a type.
    scans_types: bool,
    /// Whether several questions may be put at one moment.
    transacts: bool,
    /// How many moments its answers were given names for.
    moments: u64,
    /// When the batch under way has to have its answers, where that is not the wire's own matter.
    until: Option<Instant>,
}

impl RedisLink {
    pub(super) fn new(
        wire: Wire,
        tracked: bool,
        types: KnownTypes,
        fields: KnownFields,
        ears: Option<Ears>,
    ) -> Self {
        Self {
            wire: Some(wire),
            tracked,
            types,
            fields,
            tails: KnownTails::default(),
            transcript: None,
            name: None,
            ears,
            tuned: Vec::new(),
            scans_types: true,
            transacts: true,
            moments: 0,
            until: None,
        }
    }

    /// Whether anything can be announced on it.
    pub(super) fn hears(&self) -> bool {
        self.ears.is_some()
    }

    /// Another hold of the connection to one server.
    pub(super) fn multiplexed(&self) -> Option<MultiplexedConnection> {
        match self.wire.as_ref()? {
            Wire::Node(node) => Some(MultiplexedConnection::clone(&node.connection)),
            Wire::Cluster(_) => None,
        }
    }

    /// What takes the commands.
    pub(super) fn wire(&mut self) -> &mut Wire {
        self.wire.as_mut().expect("the wire is only taken when the link is dropped")
    }

    /// Notes every command and reply from now on.
    pub fn record(&mut self) {
        self.transcript = Some(Vec::new());
    }

    /// What was noted.
    pub fn take_transcript(&mut self) -> Vec<Exchange> {
        self.transcript.take().unwrap_or_default()
    }

    /// Has the transcript name the server, since there is more than one that may be read.
    pub(super) fn name(&mut self, node: &Node) {
        self.name = Some(node.to_string());
    }

    /// Notes one exchange more, if they are noted.
    pub(super) fn note(&mut self, exchange: impl FnOnce() -> Exchange) {
        if let Some(transcript) = &mut self.transcript {
            transcript.push(exchange());
        }
    }

    /// The connection to one server.
    pub(super) fn connection(&mut self) -> Option<&mut MultiplexedConnection> {
        match self.wire() {
            Wire::Node(node) => Some(&mut node.connection),
            Wire::Cluster(_) => None,
        }
    }

    /// Who we are to one server.
    pub(super) fn login(&mut self) -> Option<&mut Login> {
        match self.wire() {
            Wire::Node(node) => Some(&mut node.login),
            Wire::Cluster(_) => None,
        }
    }

    /// Asks beside the reads, over the same connection.
    pub(super) fn asker(&self) -> Asker {
        let connection = self.multiplexed();
        Asker::new(connection.expect("only a link to one server is asked beside its reads"))
    }

    /// Sends commands in one pipeline and returns one reply for each.
    pub(super) async fn round(&mut self, commands: Vec<Cmd>) -> Result<Vec<Response>, Fault> {
        self.send(&commands).await
    }

    async fn send(&mut self, commands: &[Cmd]) -> Result<Vec<Response>, Fault> {
        if commands.is_empty() {
            return Ok(vec![]);
        }
        let (replies, nodes) = match self.wire() {
            Wire::Node(node) => (node.round(commands).await?, vec![]),
            Wire::Cluster(wire) => wire.round(commands).await,
        };
        if let Some(transcript) = &mut self.transcript {
            let mut nodes = nodes.into_iter();
            let exchanges = commands.iter().zip(&replies);
            transcript.extend(exchanges.map(|(command, reply)| {
                let node = nodes.next().flatten().or_else(|| self.name.clone());
                Exchange::new(node, command, reply)
            }));
        }
        Ok(replies)
    }

    /// The same for a question that came up on the way; `None` when the batch has no more time for it,
    /// so that its reads fail alone, before the link is given up for all.
    pub(super) async fn further_round(
        &mut self,
        commands: Vec<Cmd>,
    ) -> Result<Option<Vec<Response>>, Fault> {
        let Some(until) = self.until else { return self.round(commands).await.map(Some) };
        match timeout_at(until, self.round(commands)).await {
            Ok(replies) => replies.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Authenticates again where the password was renewed. A cluster's nodes have links of their own.
    async fn authenticate_again(&mut self) -> Result<(), Fault> {
        match self.wire() {
            Wire::Node(node) => node.authenticate_again().await,
            Wire::Cluster(_) => Ok(()),
        }
    }

    /// Redis's own time. The inner fault is that this user may not ask for it.
    async fn time(&mut self) -> Result<Result<Duration, Fault>, Fault> {
        let replies = self.round(vec![encode::time()]).await?;
        Ok(match replies.as_slice() {
            [Ok(value)] => decode::time(value),
            [Err(error)] => Err(fault(error)),
            _ => Err(Fault::Unexpected("no time".to_owned())),
        })
    }

    fn guess(&self, read: &Read) -> KeyType {
        match read {
            Read::Size { key, members } => {
                let of_unknown = match members {
                    Members::AllOf(kind) => return (*kind).into(),
                    Members::All => KeyType::List,
                    Members::Due(_) | Members::Leased(_) => KeyType::SortedSet,
                };
                self.types.of(key).unwrap_or(of_unknown)
            }
            Read::Group { .. } | Read::Idle { .. } => KeyType::Stream,
            Read::Flag { .. } | Read::Each(_) | Read::Heard(_) => KeyType::Other,
        }
    }

    /// Asks for the types of keys that were guessed wrongly.
    async fn learn_types(&mut self, keys: Vec<Name>) -> Result<(), Fault> {
        let replies = self.round(keys.iter().map(encode::type_of).collect()).await?;
        self.types.learn(keys, replies)
    }

    /// Answers reads in their order. `nows` has for each of them the time of the server that answers it,
    /// `flows` which of them belong together, in the order of each trigger.
    pub(super) async fn answer(
        &mut self,
        reads: &[Read],
        nows: &[Duration],
        flows: &[Vec<usize>],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        let sets = self.sets(reads, flows);
        for attempt in 1..=ATTEMPTS {
            let types: Vec<KeyType> = reads.iter().map(|read| self.guess(read)).collect();
            let (mut questions, places) = transaction::compose(reads, &sets, |at| {
                encode::question(&reads[at], types[at], nows[at])
            });
            // Where nothing is announced, everything is read again soon anyway.
            let is_timed = |at: &usize| self.tracked && depends_on_time(&reads[*at], types[*at]);
            let timed: Vec<(usize, usize)> = (0..reads.len())
                .filter(is_timed)
                .map(|at| (at, questions.add(encode::next_score(&reads[at], nows[at]))))
                .collect();
            let replies = self.put(&questions).await?;
            let rows =
                || reads.iter().zip(&types).zip(places.iter().map(|place| replies.at(*place)));
            let mistaken: Vec<Name> = rows()
                .filter(|((read, guess), reply)| is_mistaken(read, **guess, reply))
                .map(|((read, _), _)| read.keys()[0].clone())
                .collect();
            if !mistaken.is_empty() && attempt < ATTEMPTS {
                self.learn_types(mistaken).await?;
                continue;
            }
            let mut follow_ups = FollowUps::default();
            for (index, ((read, guess), reply)) in rows().enumerate() {
                follow_ups.first(index, (read, *guess), reply);
            }
            let moments: Vec<Option<u64>> = (0..reads.len())
                .map(|at| {
                    follow_ups.is_of_one_moment(at).then(|| self.moment(replies.moment(places[at])))
                })
                .collect();
            self.moments += u64::try_from(questions.commands().len()).unwrap_or(u64::MAX);
            let answers = follow_ups.finish(self).await?;
            let with_reads = reads.iter().zip(answers).zip(moments);
            let mut answers: Vec<_> = with_reads
                .map(|((read, answer), moment)| {
                    answer.map(|answer| Reply { moment, ..until_announced(read, answer) })
                })
                .collect();
            for (at, next) in timed {
                if let Ok(reply) = &mut answers[at] {
                    reply.lasts = decode::lasts(replies.at(next), &reads[at], nows[at]);
                }
            }
            return Ok(answers);
        }
        Err(Fault::Unexpected("the types of the keys keep changing".to_owned()))
    }

    /// Which reads are asked at one moment: those of a trigger that one server answers.
    fn sets(&mut self, reads: &[Read], flows: &[Vec<usize>]) -> Vec<Option<usize>> {
        if !self.transacts {
            return vec![None; reads.len()];
        }
        let spreads = matches!(self.wire(), Wire::Cluster(_));
        let shares = |one: usize, other: usize| {
            let ([one], [other]) = (reads[one].keys(), reads[other].keys());
            !spreads || cluster::is_same_slot(one.as_bytes(), other.as_bytes())
        };
        transaction::sets(reads, flows, shares)
    }

    /// Asks the questions of a batch, those by themselves whose transaction did not come about.
    async fn put(&mut self, questions: &Questions) -> Result<Replies, Fault> {
        let replies = self.send(questions.commands()).await?;
        let mut replies = questions.take(replies);
        if replies.refused {
            self.transacts = false;
        }
        let open = questions.at(&replies.open);
        replies.fill(self.send(&open).await?);
        Ok(replies)
    }

    /// The name of a moment of this batch.
    fn moment(&self, place: usize) -> u64 {
        self.moments.saturating_add(u64::try_from(place).unwrap_or(u64::MAX))
    }

    /// Asks for what is in keys.
    pub(super) async fn ask(
        &mut self,
        reads: &[Read],
        flows: &[Vec<usize>],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        if !reads.iter().any(Read::depends_on_time) {
            return self.answer(reads, &vec![Duration::ZERO; reads.len()], flows).await;
        }
        match self.time().await? {
            Ok(now) => self.answer(reads, &vec![now; reads.len()], flows).await,
            Err(fault) => {
                // Only what depends on the time fails with it.
                let timeless = |read: &&Read| !read.depends_on_time();
                let others: Vec<Read> = reads.iter().filter(timeless).cloned().collect();
                let nows = vec![Duration::ZERO; others.len()];
                let mut answers = self.answer(&others, &nows, &[]).await?.into_iter();
                let mut next = || answers.next().unwrap_or_else(|| Err(fault.clone()));
                let each = reads
                    .iter()
                    .map(|read| if read.depends_on_time() { Err(fault.clone()) } else { next() });
                Ok(each.collect())
            }
        }
    }
}

impl Link for RedisLink {
    fn tracked(&self) -> bool {
        self.tracked
    }

    async fn read(
        &mut self,
        reads: &[Read],
        flows: &[Flow],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        self.until = Some(Instant::now() + limits::FOLLOW_UP_DEADLINE);
        self.authenticate_again().await?;
        let flows: Vec<Vec<usize>> = flows.iter().map(|flow| sent(flow).collect()).collect();
        if reads.iter().any(|read| matches!(read, Read::Heard(_))) {
            return self.ask_and_hear(reads, &flows).await;
        }
        self.ask(reads, &flows).await
    }

    async fn scan(
        &mut self,
        wild: &Wild,
        from: Option<&Position>,
    ) -> Result<Result<KeyPage, Fault>, Fault> {
        // Redis knows the option TYPE since version 6. Before, what has another type is found too.
        let typed = wild.kind.filter(|_| self.scans_types);
        let replies = self.round(vec![scan::command(wild, typed, from)]).await?;
        if typed.is_some() && scan::is_option_unknown(&replies) {
            self.scans_types = false;
            return Ok(scan::page(&self.round(vec![scan::command(wild, None, from)]).await?));
        }
        Ok(scan::page(&replies))
    }

    async fn prove(&mut self, clock: bool) -> Result<Option<Duration>, Fault> {
        self.authenticate_again().await?;
        self.rest_ears().await?;
        let mut commands = vec![deadpool_redis::redis::cmd("PING")];
        commands.extend(clock.then(encode::time));
        let replies = self.round(commands).await?;
        // Any reply will do, also that this user may not say PING: it came over this link, after
        // everything that was announced before it. But a server that is not ready, such as a
        // replica without its master, does not hear of the changes that it should announce.
        let error = replies.first().and_then(|reply| reply.as_ref().err());
        match error.map(fault) {
            Some(Fault::NotReady(why)) => Err(Fault::NotReady(why)),
            Some(
                Fault::Unreachable(_)
                | Fault::Timeout
                | Fault::Refused(_)
                | Fault::Credentials(_)
                | Fault::Listening(_)
                | Fault::Looking { .. }
                | Fault::Unexpected(_),
            )
            | None => {
                let time = replies.get(1).and_then(|reply| reply.as_ref().ok());
                Ok(time.and_then(|time| decode::time(time).ok()))
            }
        }
    }
}

/// Whether the answer to a read changes by time passing alone: only members of sorted sets have a
/// time.
pub(super) fn depends_on_time(read: &Read, key_type: KeyType) -> bool {
    key_type == KeyType::SortedSet && read.depends_on_time()
}

/// An answer that time alone does not change.
pub(super) fn until_announced(read: &Read, answer: Answer) -> Reply {
    // The fields of a hash are no keys of their own; but those that were left for want of time are
    // looked at next time.
    let of_fields = matches!(read, Read::Each(each) if each.ask == Ask::Field);
    let is_partial = matches!(answer, Answer::Each { examined: 1.., beyond: 1.., .. });
    let is_silent = answer.changes_silently() && (!of_fields || is_partial);
    let lasts = if is_silent { Lasts::Unknown } else { Lasts::UntilAnnounced };
    Reply { answer, lasts, moment: None }
}

/// The places of the reads of a flow that are sent.
pub(super) fn sent(flow: &Flow) -> impl Iterator<Item = usize> {
    flow.iter().filter_map(|read| match read {
        FlowRead::Sent(place) => Some(*place),
        FlowRead::Kept(_) => None,
    })
}

/// Whether a reply says that the key's type was guessed wrongly.
fn is_mistaken(read: &Read, guess: KeyType, reply: &Response) -> bool {
    match (read, reply) {
        (
            Read::Group { .. }
            | Read::Idle { .. }
            | Read::Flag { .. }
            | Read::Each(_)
            | Read::Heard(_),
            _,
        ) => false,
        // Its type is for the answer to say.
        (Read::Size { members: Members::AllOf(_), .. }, _) => false,
        (Read::Size { .. }, Err(error)) => refusal(error) == Refusal::WrongType,
        (Read::Size { .. }, Ok(value)) => {
            let named = || decode::type_name(value).ok();
            let other =
                || named().is_some_and(|name| KeyType::named(&name) == Some(KeyType::Other));
            guess == KeyType::Other && !other()
        }
    }
}

impl Drop for RedisLink {
    fn drop(&mut self) {
        // A link is given up because it is broken or its process ends, so its connection must not
        // go back to the pool for somebody else.
        match self.wire.take() {
            Some(Wire::Node(node)) => node.connection.end(),
            Some(Wire::Cluster(_)) | None => {}
        }
    }
}
