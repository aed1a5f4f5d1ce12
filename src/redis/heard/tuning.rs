//! A link that listens: it subscribes to the channels of stations, and answers what is heard beside what
//! is asked.
//!
//! It is apart from what was heard because that outlives a link.

use std::sync::Arc;

use deadpool_redis::redis::Value;
use tokio::time::timeout;

use crate::{
    layouts::{Heard, Name, Read, Roll, Station},
    limits,
    sampling::{Fault, Reply},
    time::Instant,
};

use super::{
    super::{decode, error::fault, link::RedisLink, transcript::Exchange, wire::Response},
    deaf,
};

impl RedisLink {
    /// Answers reads of which some are heard. What is asked comes first, so that a job which moves
    /// meanwhile is counted twice; its replies prove that everything was taken in that was pushed
    /// before them.
    pub(in crate::redis) async fn ask_and_hear(
        &mut self,
        reads: &[Read],
        flows: &[Vec<usize>],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        let mut silent = Vec::new();
        for read in reads {
            if let Read::Heard(heard) = read
                && let Err(fault) = self.tune_in(&heard.station).await?
            {
                silent.push((Arc::clone(&heard.station), fault));
            }
        }
        let is_asked = |place: &usize| !matches!(reads[*place], Read::Heard(_));
        let places: Vec<usize> = (0..reads.len()).filter(is_asked).collect();
        let asked: Vec<Read> = places.iter().map(|place| reads[*place].clone()).collect();
        let along = |flow: &Vec<usize>| {
            flow.iter().filter_map(|place| places.binary_search(place).ok()).collect()
        };
        let flows: Vec<Vec<usize>> = flows.iter().map(along).collect();
        if asked.is_empty() {
            self.round(vec![deadpool_redis::redis::cmd("PING")]).await?;
        }
        let mut replies = self.ask(&asked, &flows).await?.into_iter();
        let mut next = || replies.next().unwrap_or_else(|| Err(few()));
        let mut answer = |read: &Read| match read {
            Read::Heard(heard) => match silent.iter().find(|(of, _)| *of == heard.station) {
                Some((_, fault)) => Err(fault.clone()),
                None => self.heard(heard),
            },
            Read::Size { .. }
            | Read::Group { .. }
            | Read::Idle { .. }
            | Read::Flag { .. }
            | Read::Each(_) => next(),
        };
        Ok(reads.iter().map(&mut answer).collect())
    }

    fn heard(&mut self, heard: &Heard) -> Result<Reply, Fault> {
        let Some(ears) = self.ears.clone() else { return Err(deaf()) };
        let station = &heard.station;
        let command = || format!("(heard on {})", ears.channel(station));
        self.note(|| Exchange { node: None, command: command(), reply: ears.describe(station) });
        ears.answer(heard, Instant::now())
    }

    /// Subscribes to the channels of a station, unless it is. The inner fault is about the station
    /// alone.
    async fn tune_in(&mut self, station: &Arc<Station>) -> Result<Result<(), Fault>, Fault> {
        let Some(ears) = self.ears.clone() else { return Ok(Err(deaf())) };
        if self.tuned.contains(station) {
            return Ok(Ok(()));
        }
        if !ears.has_room(station) {
            let most = limits::STATIONS;
            let what = format!("more than {most} sets of channels would have to be listened to");
            return Ok(Err(Fault::Unexpected(what)));
        }
        let channels = ears.channels(station);
        let names: Vec<&[u8]> = channels.iter().map(Name::as_bytes).collect();
        let Some(connection) = self.connection() else { return Ok(Err(deaf())) };
        let subscribed = timeout(limits::COMMAND_DEADLINE, connection.subscribe(names)).await;
        match subscribed.map_err(|_| Fault::Timeout)? {
            Ok(()) => {
                let names = match station.roll() {
                    Some(roll) => match self.call(roll).await? {
                        Ok(names) => names,
                        Err(fault) => return Ok(Err(fault)),
                    },
                    None => vec![],
                };
                ears.listen(station, Instant::now());
                ears.enroll(station, names, Instant::now());
                self.tuned.push(Arc::clone(station));
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
        let command = |name| {
            let mut command = deadpool_redis::redis::cmd(name);
            command.arg(roll.of.as_bytes());
            vec![command]
        };
        let counted = self.round(command("SCARD")).await?;
        let most = limits::HEARD_WORKERS as u64;
        match one(&counted).and_then(decode::count) {
            Ok(members) if members > most => {
                let what = format!("`{}` names more than {most} workers", roll.of);
                return Ok(Err(Fault::Unexpected(what)));
            }
            Ok(_) => {}
            Err(fault) => return Ok(Err(fault)),
        }
        let members = self.round(command("SMEMBERS")).await?;
        let names = |members: Vec<Vec<u8>>| -> Vec<String> {
            let is_short = |name: &String| name.len() <= limits::HEARD_NAME_BYTES;
            let workers = members.iter().filter_map(|member| roll.worker(member));
            workers.filter(is_short).take(limits::HEARD_WORKERS).collect()
        };
        Ok(one(&members).and_then(decode::strings).map(names))
    }

    /// Unsubscribes from what nobody asks about any more.
    pub(in crate::redis) async fn rest_ears(&mut self) -> Result<(), Fault> {
        let Some(ears) = &self.ears else { return Ok(()) };
        let channels = ears.rest(Instant::now());
        if channels.is_empty() {
            return Ok(());
        }
        let rooms = ears.stations();
        self.tuned.retain(|station| rooms.contains(station));
        let names: Vec<&[u8]> = channels.iter().map(Name::as_bytes).collect();
        let Some(connection) = self.connection() else { return Ok(()) };
        let ended = timeout(limits::COMMAND_DEADLINE, connection.unsubscribe(names)).await;
        ended.map_err(|_| Fault::Timeout)?.map_err(|error| fault(&error))
    }
}

fn one(replies: &[Response]) -> Result<&Value, Fault> {
    replies.first().ok_or_else(few)?.as_ref().map_err(fault)
}

fn few() -> Fault {
    Fault::Unexpected("too few replies".to_owned())
}
