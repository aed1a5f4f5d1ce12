//! What takes the commands of a link to Redis: the connection to one server, or the nodes of a cluster.

use std::time::Duration;

use deadpool_redis::redis::{Arg, Cmd, Pipeline, RedisResult, Value, aio::MultiplexedConnection};
use tokio::time::timeout;

use crate::{limits, sampling::Fault, time::Instant};

use super::{
    cluster::ClusterWire,
    error::{fault, is_unauthenticated},
    login::Login,
    opener::Connection,
    proxy::{self, Lacks},
};

/// What a command got: a reply, or an error reply as an error.
pub(super) type Response = RedisResult<Value>;

/// What takes commands to Redis.
pub(super) enum Wire {
    /// One server.
    Node(NodeWire),
    /// The nodes of a cluster, each of which has a wire of its own.
    Cluster(ClusterWire),
}

/// The connection to one server, and what it was authenticated with.
pub(super) struct NodeWire {
    pub(super) connection: Connection,
    pub(super) login: Login,
    /// What is never sent over it.
    pub(super) lacks: Lacks,
}

impl NodeWire {
    /// Sends commands in one pipeline and returns one reply for each.
    pub(super) async fn round(&mut self, commands: &[Cmd]) -> Result<Vec<Response>, Fault> {
        let replies = if self.lacks.is_nothing() {
            self.send(commands).await?
        } else {
            let (sent, refused) = self.lacks.sort(commands);
            let sent: Vec<Cmd> = sent.into_iter().cloned().collect();
            let replies = if sent.is_empty() { vec![] } else { self.send(&sent).await? };
            proxy::woven(refused, replies)
        };
        if let Some(error) = unauthenticated(&replies) {
            self.login.is_over();
            return Err(error);
        }
        Ok(replies)
    }

    async fn send(&mut self, commands: &[Cmd]) -> Result<Vec<Response>, Fault> {
        let replies = send(&mut self.connection, commands, limits::COMMAND_DEADLINE).await;
        replies.map_err(|fault| self.connection.excess().behind(fault))
    }

    /// Authenticates again where the password was renewed. Only a link that does not answer is a
    /// fault: what was said before stays good when the new password is refused.
    pub(super) async fn authenticate_again(&mut self) -> Result<(), Fault> {
        let Some((version, command)) = self.login.command_due(Instant::now()) else {
            return Ok(());
        };
        let replies = send(&mut self.connection, &[command], limits::COMMAND_DEADLINE).await?;
        if let Some(reply) = replies.first() {
            self.login.answered(version, reply, Instant::now());
        }
        Ok(())
    }
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
