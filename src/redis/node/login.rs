//! What one link was authenticated with, and when to do it again. It decides and sends nothing.
//!
//! A link that works is never given up for a new password that Redis does not take: the old one stays good
//! until Redis says otherwise.

use deadpool_redis::redis::{Cmd, Value, cmd};

use crate::{limits, time::Instant};

use super::super::{
    credentials::{Authentication, Credentials},
    error,
    wire::Response,
};

/// The credentials of a link.
#[derive(Debug)]
pub(in crate::redis) struct Login {
    credentials: Credentials,
    version: u64,
    /// The newer password that was refused, how often, and until when it is left alone.
    refused: Option<(u64, u32, Instant)>,
}

impl Login {
    /// A link that was authenticated with this version of the password.
    pub(in crate::redis) fn new(credentials: Credentials, version: u64) -> Self {
        Self { credentials, version, refused: None }
    }

    /// What to authenticate with again, if it is time to.
    fn due(&self, now: Instant) -> Option<Authentication> {
        let newer = self.credentials.newer_than(self.version)?;
        let waits =
            |(version, _, until): (u64, u32, Instant)| version == newer.version && now < until;
        (!self.refused.is_some_and(waits)).then_some(newer)
    }

    /// The command that authenticates again, if it is time to, and the password's number.
    pub(in crate::redis) fn command_due(&self, now: Instant) -> Option<(u64, Cmd)> {
        let authentication = self.due(now)?;
        Some((authentication.version, command(&authentication)?))
    }

    /// Takes in what Redis said to it.
    pub(in crate::redis) fn answered(&mut self, version: u64, reply: &Response, now: Instant) {
        let reason = match reply {
            Ok(Value::Okay) => {
                (self.version, self.refused) = (version, None);
                self.credentials.reauthenticated();
                return;
            }
            Ok(_) => "an answer to AUTH that is not OK".to_owned(),
            Err(error) => error::brief(error),
        };
        let before = self.refused.filter(|(refused, _, _)| *refused == version);
        let times = before.map_or(0, |(_, times, _)| times) + 1;
        self.refused = Some((version, times, now + limits::PASSWORD_PAUSES.after(times)));
        self.credentials.refused(&reason, times == 1);
    }

    /// Redis says that this link is not authenticated any more.
    pub(in crate::redis) fn report_expired(&self) {
        self.credentials.report_refused();
    }
}

/// The command. Its words are secret: it goes into no transcript.
fn command(authentication: &Authentication) -> Option<Cmd> {
    let password = authentication.password.as_ref()?;
    let mut command = cmd("AUTH");
    if let Some(username) = &authentication.username {
        command.arg(username);
    }
    command.arg(password.expose());
    Some(command)
}
