//! What takes the commands of a session to Redis, and what every such way has in common.

use std::time::Duration;

use deadpool_redis::redis::{Arg, Cmd, Pipeline, RedisResult, Value, aio::MultiplexedConnection};
use tokio::time::timeout;

use crate::sampling::Fault;

use super::error::{fault, is_unauthenticated};

/// What a command got: a reply, or an error reply as an error.
pub(super) type Response = RedisResult<Value>;

/// The replies to commands, in their order.
pub(super) struct Round {
    pub(super) replies: Vec<Response>,
    /// The node that gave each, where there are several.
    pub(super) nodes: Vec<Option<String>>,
}

/// What takes commands to Redis: the connection to one server, or those to the nodes of a cluster.
pub(super) trait Wire: Send {
    /// Sends commands and returns one reply for each.
    fn round(&mut self, commands: &[Cmd]) -> impl Future<Output = Result<Round, Fault>> + Send;

    /// Whether one server has both keys, so that a transaction may have both.
    fn is_shared(&self, one: &[u8], other: &[u8]) -> bool;
}

/// The word that a command begins with.
pub(super) fn first_word(command: &Cmd) -> Option<&[u8]> {
    let Arg::Simple(word) = command.args_iter().next()? else { return None };
    Some(word)
}

/// That a server does not know any more who we are, if one of these replies says so.
pub(super) fn unauthenticated(replies: &[Response]) -> Option<Fault> {
    let mut errors = replies.iter().filter_map(|reply| reply.as_ref().err());
    errors.find(|error| is_unauthenticated(error)).map(fault)
}

/// Sends commands to one server in one pipeline and returns one reply for each.
pub(super) async fn send(
    connection: &mut MultiplexedConnection,
    commands: &[Cmd],
    deadline: Duration,
) -> Result<Vec<Response>, Fault> {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    pipeline.ignore_errors();
    for command in commands {
        pipeline.add_command(command.clone());
    }
    let replies = timeout(deadline, pipeline.query_async(connection)).await;
    let replies: Result<Vec<Response>, _> = replies.map_err(|_| Fault::Timeout)?;
    let replies = replies.map_err(|error| fault(&error))?;
    if replies.len() != commands.len() {
        return Err(Fault::Unexpected("another number of replies than commands".to_owned()));
    }
    Ok(replies)
}
