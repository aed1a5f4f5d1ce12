//! A link that subscribes to the channels of heartbeats, and answers reads of them beside those that Redis
//! answers.

use std::sync::Arc;

use deadpool_redis::redis::{Value, cmd};
use tokio::time::timeout;

use crate::{
    layouts::{HeartbeatFormat, Heartbeats, Name, Read, Roll},
    limits,
    sampling::{Fault, Reply},
    time::Instant,
};

use super::{
    super::{
        error::{fault, few},
        heartbeats::no_pushes,
        reads::decode,
        transcript::Exchange,
        wire::Response,
    },
    link::NodeLink,
};

impl NodeLink {
    /// Answers reads of which some are about heartbeats. Redis is asked first, so that a job which moves
    /// meanwhile is counted twice; its replies prove that everything was taken in that was pushed
    /// before them.
    pub(super) async fn ask_with_heartbeats(
        &mut self,
        reads: &[Read],
        flows: &[Vec<usize>],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        let mut silent = Vec::new();
        for read in reads {
            if let Read::Heartbeats(heartbeats) = read
                && let Err(fault) = self.subscribe_to(&heartbeats.format).await?
            {
                silent.push((Arc::clone(&heartbeats.format), fault));
            }
        }
        let is_asked = |place: &usize| !matches!(reads[*place], Read::Heartbeats(_));
        let places: Vec<usize> = (0..reads.len()).filter(is_asked).collect();
        let asked: Vec<Read> = places.iter().map(|place| reads[*place].clone()).collect();
        let along = |flow: &Vec<usize>| {
            flow.iter().filter_map(|place| places.binary_search(place).ok()).collect()
        };
        let flows: Vec<Vec<usize>> = flows.iter().map(along).collect();
        if asked.is_empty() {
            self.session.round(&[cmd("PING")]).await?;
        }
        let mut replies = self.ask(&asked, &flows).await?.into_iter();
        let mut next = || replies.next().unwrap_or_else(|| Err(few()));
        let mut answer = |read: &Read| {
            let Read::Heartbeats(heartbeats) = read else { return next() };
            match silent.iter().find(|(of, _)| *of == heartbeats.format) {
                Some((_, fault)) => Err(fault.clone()),
                None => self.answer_heartbeats(heartbeats),
            }
        };
        Ok(reads.iter().map(&mut answer).collect())
    }

    fn answer_heartbeats(&mut self, heartbeats: &Heartbeats) -> Result<Reply, Fault> {
        let Some(tracker) = self.tracker.clone() else { return Err(no_pushes()) };
        let format = &heartbeats.format;
        let command = || format!("(heard on {})", tracker.channel(format));
        self.session.note(|| Exchange {
            node: None,
            command: command(),
            reply: tracker.describe(format),
        });
        tracker.answer(heartbeats, Instant::now())
    }

    /// Subscribes to the channels of a format, unless it is subscribed already. The inner fault is about
    /// this format alone.
    async fn subscribe_to(
        &mut self,
        format: &Arc<HeartbeatFormat>,
    ) -> Result<Result<(), Fault>, Fault> {
        let Some(tracker) = self.tracker.clone() else { return Ok(Err(no_pushes())) };
        if self.subscribed.contains(format) {
            return Ok(Ok(()));
        }
        if !tracker.has_room_for(format) {
            let most = limits::HEARTBEAT_FORMATS;
            let what = format!("more than {most} sets of channels would have to be listened to");
            return Ok(Err(Fault::Unexpected(what)));
        }
        let channels = tracker.channels(format);
        let names: Vec<&[u8]> = channels.iter().map(Name::as_bytes).collect();
        let connection = &mut self.session.wire.connection;
        let subscribed = timeout(limits::COMMAND_DEADLINE, connection.subscribe(names)).await;
        match subscribed.map_err(|_| Fault::Timeout)? {
            Ok(()) => {
                let names = match format.roll() {
                    Some(roll) => match self.call(roll).await? {
                        Ok(names) => names,
                        Err(fault) => return Ok(Err(fault)),
                    },
                    None => vec![],
                };
                tracker.listen(format, Instant::now());
                tracker.enroll(format, names, Instant::now());
                self.subscribed.push(Arc::clone(format));
                Ok(Ok(()))
            }
            Err(error) => match fault(&error) {
                refused @ (Fault::Refused(_) | Fault::Unexpected(_)) => Ok(Err(refused)),
                broken @ (Fault::Unreachable(_)
                | Fault::Timeout
                | Fault::NotReady(_)
                | Fault::Credentials(_)
                | Fault::Listening(_)
                | Fault::Looking { .. }) => Err(broken),
            },
        }
    }

    /// The workers that a set names. The inner fault is about the set alone.
    async fn call(&mut self, roll: &Roll) -> Result<Result<Vec<String>, Fault>, Fault> {
        let command = |name| cmd(name).arg(roll.collection.as_bytes()).clone();
        let counted = self.session.round(&[command("SCARD")]).await?;
        let most = limits::HEARTBEAT_WORKERS as u64;
        match one(&counted).and_then(decode::count) {
            Ok(members) if members > most => {
                let what = format!("`{}` names more than {most} workers", roll.collection);
                return Ok(Err(Fault::Unexpected(what)));
            }
            Ok(_) => {}
            Err(fault) => return Ok(Err(fault)),
        }
        let members = self.session.round(&[command("SMEMBERS")]).await?;
        let names = |members: Vec<Vec<u8>>| -> Vec<String> {
            let is_short = |name: &String| name.len() <= limits::HEARTBEAT_NAME_BYTES;
            let workers = members.iter().filter_map(|member| roll.worker(member));
            workers.filter(is_short).take(limits::HEARTBEAT_WORKERS).collect()
        };
        Ok(one(&members).and_then(decode::strings).map(names))
    }

    /// Unsubscribes from channels that no trigger asks about any more.
    pub(super) async fn stop_unused(&mut self) -> Result<(), Fault> {
        let Some(tracker) = &self.tracker else { return Ok(()) };
        let channels = tracker.rest(Instant::now());
        if channels.is_empty() {
            return Ok(());
        }
        let formats = tracker.formats();
        self.subscribed.retain(|format| formats.contains(format));
        let names: Vec<&[u8]> = channels.iter().map(Name::as_bytes).collect();
        let connection = &mut self.session.wire.connection;
        let ended = timeout(limits::COMMAND_DEADLINE, connection.unsubscribe(names)).await;
        ended.map_err(|_| Fault::Timeout)?.map_err(|error| fault(&error))
    }
}

fn one(replies: &[Response]) -> Result<&Value, Fault> {
    replies.first().ok_or_else(few)?.as_ref().map_err(fault)
}
