//! What is kept while commands go over one wire: what was learned of keys, what is noted of the exchange, and
//! how long a batch has. Over which wire they go is the wire's own matter.
//!
//! How a batch of reads is answered is in `answering.rs`.

use std::time::Duration;

use deadpool_redis::redis::Cmd;
use tokio::time::timeout_at;

use crate::{sampling::Fault, time::Instant};

use super::{
    error::fault,
    reads::{
        decode, encode, fields::KnownFields, known_tails::KnownTails, known_types::KnownTypes,
    },
    transcript::Exchange,
    wire::{Response, Round, Wire},
};

/// One worker's questions over one wire.
pub(super) struct Session<W> {
    pub(super) wire: W,
    /// Whether changes are announced on it.
    pub(super) tracked: bool,
    pub(super) types: KnownTypes,
    pub(super) fields: KnownFields,
    pub(super) tails: KnownTails,
    transcript: Option<Vec<Exchange>>,
    /// Whether several questions may be put at one moment.
    pub(super) transacts: bool,
    /// How many moments its answers were given names for.
    pub(super) moments: u64,
    /// The deadline of further rounds in the batch under way; none in a cluster, whose wire has its own.
    pub(super) until: Option<Instant>,
}

impl<W: Wire> Session<W> {
    /// A session that shares what is known of types and fields with whoever else has these.
    pub(super) fn new(wire: W, tracked: bool, types: KnownTypes, fields: KnownFields) -> Self {
        Self {
            wire,
            tracked,
            types,
            fields,
            tails: KnownTails::default(),
            transcript: None,
            transacts: true,
            moments: 0,
            until: None,
        }
    }

    /// Notes every command and reply from now on.
    pub(super) fn record(&mut self) {
        self.transcript = Some(Vec::new());
    }

    pub(super) fn take_transcript(&mut self) -> Vec<Exchange> {
        self.transcript.take().unwrap_or_default()
    }

    /// Notes one exchange more, if they are noted.
    pub(super) fn note(&mut self, exchange: impl FnOnce() -> Exchange) {
        if let Some(transcript) = &mut self.transcript {
            transcript.push(exchange());
        }
    }

    /// Sends commands and returns one reply for each.
    pub(super) async fn round(&mut self, commands: &[Cmd]) -> Result<Vec<Response>, Fault> {
        if commands.is_empty() {
            return Ok(vec![]);
        }
        let Round { replies, nodes } = self.wire.round(commands).await?;
        if let Some(transcript) = &mut self.transcript {
            let mut nodes = nodes.into_iter();
            let exchanges = commands.iter().zip(&replies);
            transcript.extend(
                exchanges
                    .map(|(command, reply)| Exchange::new(nodes.next().flatten(), command, reply)),
            );
        }
        Ok(replies)
    }

    /// The same for a question that came up on the way; `None` when the batch has no more time for it,
    /// so that its reads fail alone, before the session is given up for all.
    pub(super) async fn further_round(
        &mut self,
        commands: &[Cmd],
    ) -> Result<Option<Vec<Response>>, Fault> {
        let Some(until) = self.until else { return self.round(commands).await.map(Some) };
        match timeout_at(until, self.round(commands)).await {
            Ok(replies) => replies.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Redis's own time. The inner fault is that this user may not ask for it.
    pub(super) async fn time(&mut self) -> Result<Result<Duration, Fault>, Fault> {
        let replies = self.round(&[encode::time()]).await?;
        Ok(match replies.as_slice() {
            [Ok(value)] => decode::time(value),
            [Err(error)] => Err(fault(error)),
            _ => Err(Fault::Unexpected("no time".to_owned())),
        })
    }
}
