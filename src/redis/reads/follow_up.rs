//! Answers that take more than one command: what follows in a stream, a group that is missing, a string that
//! is empty, a type that must be named.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, CollectionType, Group, Name, PerMember, Read, Test},
    limits,
    sampling::Fault,
};

use super::{
    super::{
        error::{Refusal, fault, few, refusal},
        wire::Response,
    },
    decode::{self, GroupRow},
    encode::{self, KeyType, countable},
    fields::KnownFields,
    known_tails::KnownTails,
    member_questions::{self, MemberQuestions},
    per_member,
    stream_id::StreamId,
    tail::{Outcome, Tail},
};

/// What is still to be asked for one read.
#[derive(Debug)]
enum Question {
    /// A string was read as empty, which it also is when there is none: is there one, and what is in
    /// it? Redis takes both commands from one packet and lets nobody in between, but it does not
    /// promise to, so that an empty string is believed only when it was seen this often.
    Text { seen_empty: u8 },
    /// The key is none of the types that the read is for: what is it?
    TypeName(&'static [&'static str]),
    /// The stream has no such group: how many entries has it?
    Length,
    /// How many entries follow the last delivered one?
    Tail { pending: u64, tail: Tail },
    /// Does any? None is pending.
    Follows { from: StreamId },
    /// Which of the pending entries are idle?
    Idle { group: Name, after: Duration, from: StreamId, looked_at: u64, idle: u64 },
}

/// How often a string has to be seen to be there and empty before that is believed.
const SEEN_EMPTY: u8 = 2;
/// The type that has groups.
const GROUPED: &[&str] = &["stream"];
/// The types in which a flag can be.
const FLAGS: &[&str] = &["hash", "set", "string"];

/// One read on its way to its answer.
#[derive(Debug)]
enum Progress {
    Done(Result<Answer, Fault>),
    Open(Name, Question),
    /// Its members are asked together with those of other reads.
    Shared(member_questions::AnswerPlace),
}

/// The reads of one batch, each answered or with a question open.
#[derive(Debug, Default)]
pub(in crate::redis) struct FollowUps {
    reads: Vec<Progress>,
    shared: MemberQuestions,
}

impl FollowUps {
    /// Takes in the first reply to a read, and how long its stream is if it is of a group. Replies come in the
    /// order of the reads.
    pub(in crate::redis) fn first(
        &mut self,
        index: usize,
        read: &Read,
        guess: KeyType,
        reply: &Response,
        length: Option<&Response>,
    ) {
        debug_assert_eq!(index, self.reads.len(), "replies come in the order of the reads");
        let progress = match read {
            Read::Size { key, members } => size(key, countable(*members), guess, reply),
            Read::Group { key, group } => of_group(key, group, reply, length),
            Read::Flag { key, test } => of_flag(key, test, reply),
            Read::Idle { key, group, after } => of_idle(key, group, *after, reply),
            Read::PerMember(each) => of_each(each, reply, &mut self.shared),
            Read::Heartbeats(_) => Err(Fault::Unexpected("what is heard was asked for".to_owned())),
        };
        self.reads.push(progress.unwrap_or_else(|fault| Progress::Done(Err(fault))));
    }

    /// Whether the answer to a read is of the moment of its first reply. What a group was given and what it
    /// was not is told by one reply, whatever is counted afterwards.
    pub(in crate::redis) fn is_of_one_moment(&self, index: usize) -> bool {
        match &self.reads[index] {
            Progress::Done(_) => true,
            Progress::Open(_, question) => match question {
                Question::Tail { .. } => true,
                Question::Text { .. }
                | Question::TypeName(_)
                | Question::Length
                | Question::Follows { .. }
                | Question::Idle { .. } => false,
            },
            Progress::Shared(_) => false,
        }
    }

    /// What is to be asked next for each read, and then for each question that reads share, whose members
    /// are in flight nearly always, so that they come last; `None` when every read has its answer.
    pub(in crate::redis) fn open(&self) -> Option<Vec<Vec<Cmd>>> {
        let is_open = |progress: &Progress| matches!(progress, Progress::Open(..));
        let is_any_open = self.reads.iter().any(is_open) || self.shared.is_open();
        let commands = || self.reads.iter().map(Progress::commands).chain(self.shared.commands());
        is_any_open.then(|| commands().collect())
    }

    /// Takes in the replies to what was asked, in its order.
    pub(in crate::redis) fn proceed(
        &mut self,
        asked: &[Vec<Cmd>],
        mut rest: &[Response],
        fields: &KnownFields,
        tails: &KnownTails,
    ) -> Result<(), Fault> {
        let mut asked = asked.iter();
        for (progress, commands) in std::mem::take(&mut self.reads).into_iter().zip(asked.by_ref())
        {
            let (replies, others) = rest.split_at_checked(commands.len()).ok_or_else(few)?;
            rest = others;
            self.reads.push(match progress {
                Progress::Open(key, question) => {
                    let next = question.proceed(key, replies, tails);
                    next.unwrap_or_else(|fault| Progress::Done(Err(fault)))
                }
                progress @ (Progress::Done(_) | Progress::Shared(_)) => progress,
            });
        }
        self.shared.proceed(asked, rest, fields)
    }

    /// What every read is answered. What is still open had no more time.
    pub(in crate::redis) fn into_answers(self, fields: &KnownFields) -> Vec<Result<Answer, Fault>> {
        let shared = self.shared.into_answers(fields);
        let done = |progress| match progress {
            Progress::Done(answer) => answer,
            Progress::Open(..) => Err(Fault::Timeout),
            Progress::Shared(place) => shared.at(place),
        };
        self.reads.into_iter().map(done).collect()
    }
}

impl Progress {
    fn commands(&self) -> Vec<Cmd> {
        let Self::Open(key, question) = self else { return vec![] };
        match question {
            Question::Text { .. } => vec![encode::exists(key), encode::text(key)],
            Question::TypeName(_) => vec![encode::type_of(key)],
            Question::Length => vec![encode::length(key)],
            Question::Tail { tail, .. } => tail.commands(key),
            Question::Follows { from } => vec![encode::entries_from(key, *from, 1)],
            Question::Idle { group, from, .. } => vec![encode::pending_from(key, group, *from)],
        }
    }
}

fn size(
    key: &Name,
    types: &'static [&'static str],
    guess: KeyType,
    reply: &Response,
) -> Result<Progress, Fault> {
    let value = match reply {
        Ok(value) => value,
        Err(error) => {
            return match refusal(error) {
                Refusal::WrongType => Ok(Progress::Open(key.clone(), Question::TypeName(types))),
                Refusal::NoSuchKey => Err(fault(error)),
                Refusal::Fault(fault) => Err(fault),
            };
        }
    };
    match guess {
        KeyType::Text => match decode::number(value)? {
            Some(answer) => Ok(done(answer)),
            None => Ok(Progress::Open(key.clone(), Question::Text { seen_empty: 0 })),
        },
        KeyType::Other => match decode::type_name(value)?.as_str() {
            "none" => Ok(done(Answer::Missing)),
            name => Ok(done(Answer::WrongType(name.to_owned()))),
        },
        KeyType::List | KeyType::Set | KeyType::SortedSet | KeyType::Hash | KeyType::Stream => {
            decode::count(value).map(|members| done(Answer::Size(members)))
        }
    }
}

fn of_group(
    key: &Name,
    group: &Name,
    reply: &Response,
    length: Option<&Response>,
) -> Result<Progress, Fault> {
    let row = match group_row(key, group, reply)? {
        Ok(row) => row,
        Err(progress) => return Ok(progress),
    };
    let length = decode::count(length.ok_or_else(few)?.as_ref().map_err(fault)?)?;
    Ok(of_tail(key.clone(), row.pending, Tail::of(group.clone(), &row, length)))
}

/// The row of a group, or what a stream or key without one makes of its read.
fn group_row(
    key: &Name,
    group: &Name,
    reply: &Response,
) -> Result<Result<GroupRow, Progress>, Fault> {
    let open = |question| Ok(Err(Progress::Open(key.clone(), question)));
    match reply {
        Ok(value) => match decode::group(value, group.as_bytes())? {
            Some(row) => Ok(Ok(row)),
            None => open(Question::Length),
        },
        Err(error) => match refusal(error) {
            Refusal::WrongType => open(Question::TypeName(GROUPED)),
            Refusal::NoSuchKey => Ok(Err(done(Answer::Missing))),
            Refusal::Fault(fault) => Err(fault),
        },
    }
}

fn of_tail(key: Name, pending: u64, outcome: Outcome) -> Progress {
    match outcome {
        Outcome::Open(tail) => Progress::Open(key, Question::Tail { pending, tail }),
        Outcome::Known(waiting) => done(Answer::Group(Group { waiting, pending })),
    }
}

/// Idle entries are only looked for where there are pending ones, and not too many of them. What is
/// not looked at is not idle, which counts too many and never too few.
fn of_idle(key: &Name, group: &Name, after: Duration, reply: &Response) -> Result<Progress, Fault> {
    let row = match group_row(key, group, reply)? {
        Ok(row) => row,
        Err(progress) => return Ok(progress),
    };
    let question = match (row.pending, row.last_delivered.next()) {
        (0, Some(from)) => Question::Follows { from },
        (0, None) => return Ok(done(Answer::Idle { entries: 0, busy: false, overflow: 0 })),
        (1..=limits::IDLE_AMONG, _) => {
            let (group, from) = (group.clone(), StreamId::FIRST);
            Question::Idle { group, after, from, looked_at: 0, idle: 0 }
        }
        (overflow, _) => return Ok(done(Answer::Idle { entries: 0, busy: true, overflow })),
    };
    Ok(Progress::Open(key.clone(), question))
}

fn of_flag(key: &Name, test: &Test, reply: &Response) -> Result<Progress, Fault> {
    match reply {
        Ok(value) => decode::flag(value, test).map(|stands| done(Answer::Flag(stands))),
        Err(error) => match refusal(error) {
            Refusal::WrongType => {
                let types = match test {
                    Test::Exists => FLAGS,
                    Test::Field(_) => &FLAGS[..1],
                    Test::Member(_) => &FLAGS[1..2],
                    Test::Value(_) => &FLAGS[2..],
                };
                Ok(Progress::Open(key.clone(), Question::TypeName(types)))
            }
            Refusal::NoSuchKey => Err(fault(error)),
            Refusal::Fault(fault) => Err(fault),
        },
    }
}

fn of_each(
    each: &Arc<PerMember>,
    reply: &Response,
    shared: &mut MemberQuestions,
) -> Result<Progress, Fault> {
    match reply {
        Ok(value) => Ok(match per_member::first(each, value)? {
            ControlFlow::Continue(step) => Progress::Shared(shared.take_in(each, step)),
            ControlFlow::Break(answer) => done(answer),
        }),
        Err(error) => match refusal(error) {
            Refusal::WrongType => {
                let types = match each.kind {
                    CollectionType::Set => &["set"],
                    CollectionType::List => &["list"],
                    CollectionType::SortedSet => &["zset"],
                    CollectionType::Hash => &["hash"],
                };
                Ok(Progress::Open(each.collection.clone(), Question::TypeName(types)))
            }
            Refusal::NoSuchKey => Err(fault(error)),
            Refusal::Fault(fault) => Err(fault),
        },
    }
}

impl Question {
    /// What the replies to its commands make of it.
    fn proceed(
        self,
        key: Name,
        replies: &[Response],
        tails: &KnownTails,
    ) -> Result<Progress, Fault> {
        let value = replies.first().ok_or_else(few)?.as_ref().map_err(fault)?;
        let open = |question| Ok(Progress::Open(key.clone(), question));
        match self {
            Question::Text { seen_empty } => {
                let text = replies.get(1).ok_or_else(few)?.as_ref().map_err(fault)?;
                match (decode::count(value)?, decode::number(text)?) {
                    (0, _) => Ok(done(Answer::Missing)),
                    (_, Some(answer)) => Ok(done(answer)),
                    (_, None) if seen_empty >= SEEN_EMPTY => Ok(done(Answer::NotANumber)),
                    (_, None) => open(Self::Text { seen_empty: seen_empty + 1 }),
                }
            }
            Question::TypeName(types) => match decode::type_name(value)?.as_str() {
                "none" => Ok(done(Answer::Missing)),
                // It was another a moment ago, and nothing is wrong with this one.
                name if types.contains(&name) => {
                    Err(Fault::Unexpected("the type of the key keeps changing".to_owned()))
                }
                name => Ok(done(Answer::WrongType(name.to_owned()))),
            },
            Question::Idle { group, after, looked_at, idle, .. } => {
                let page = decode::pending_page(value, after)?;
                let (looked_at, idle) = (looked_at + page.entries, idle + page.idle);
                let is_full = page.entries >= limits::IDLE_PAGE;
                let next = page.last.and_then(StreamId::next).filter(|_| is_full);
                match next.filter(|_| looked_at <= limits::IDLE_AMONG) {
                    Some(from) => open(Self::Idle { group, after, from, looked_at, idle }),
                    // There are more than there were, and those are not looked at.
                    None => {
                        let overflow = u64::from(next.is_some());
                        Ok(done(Answer::Idle { entries: idle, busy: true, overflow }))
                    }
                }
            }
            Question::Length => Ok(done(Answer::MissingGroup { entries: decode::count(value)? })),
            Question::Follows { .. } => {
                let busy = decode::page(value)?.entries() > 0;
                Ok(done(Answer::Idle { entries: 0, busy, overflow: 0 }))
            }
            Question::Tail { pending, tail } => {
                let outcome = tail.proceed(&key, replies, tails)?;
                Ok(of_tail(key.clone(), pending, outcome))
            }
        }
    }
}

fn done(answer: Answer) -> Progress {
    Progress::Done(Ok(answer))
}

#[cfg(test)]
mod tests;
