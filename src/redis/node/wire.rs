//! The connection to one server, and what it was authenticated with.

use deadpool_redis::redis::Cmd;

use crate::{limits, sampling::Fault, time::Instant};

use super::{
    super::wire::{Response, Round, Wire, send, unauthenticated},
    login::Login,
    opener::Connection,
    proxy::{self, Lacks},
};

/// The connection to one server, and what it was authenticated with.
pub(in crate::redis) struct NodeWire {
    pub(super) connection: Connection,
    pub(super) login: Login,
    /// What is never sent over it.
    pub(super) lacks: Lacks,
}

impl NodeWire {
    async fn answered(&mut self, commands: &[Cmd]) -> Result<Vec<Response>, Fault> {
        let replies = if self.lacks.is_nothing() {
            self.send(commands).await?
        } else {
            let (sent, refused) = self.lacks.sort(commands);
            let sent: Vec<Cmd> = sent.into_iter().cloned().collect();
            let replies = if sent.is_empty() { vec![] } else { self.send(&sent).await? };
            proxy::woven(refused, replies)
        };
        if let Some(error) = unauthenticated(&replies) {
            self.login.report_expired();
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

impl Wire for NodeWire {
    async fn round(&mut self, commands: &[Cmd]) -> Result<Round, Fault> {
        Ok(Round { replies: self.answered(commands).await?, nodes: vec![] })
    }

    fn is_shared(&self, _: &[u8], _: &[u8]) -> bool {
        true
    }
}
