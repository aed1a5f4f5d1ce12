//! The members of a collection and what each has, in bounded steps: how many there are, which, and what is
//! asked of each. The answer serves all reads that look at the same members.

mod by_key;
pub(in crate::redis) mod commands;

use std::{ops::ControlFlow, sync::Arc};

use deadpool_redis::redis::{Cmd, Value};

use crate::{
    layouts::{Answer, Ask, CollectionType, PerMember, PerMemberAnswer},
    limits,
    sampling::Fault,
};

use super::{
    super::{
        error::{fault, few},
        wire::Response,
    },
    decode,
    fields::KnownFields,
    values::MemberTally,
};
use by_key::MemberListing;
use commands::{KEYS, fields_of, is_by_key, members, of_member};

/// How far one question is.
#[derive(Debug)]
pub(in crate::redis) enum MemberStep {
    /// There are so many members: which?
    Members(u64),
    Ask {
        members: Vec<Vec<u8>>,
        seen: SeenMembers,
    },
    /// Which of those that are listed have a key?
    Keys(MemberListing),
}

/// What is known of a collection before all of its members are asked.
#[derive(Debug, Clone, Default)]
pub(in crate::redis) struct SeenMembers {
    /// Members that count, of those that need not be asked any more: for each read.
    counted: Vec<u64>,
    /// Those of them that count for every read, since they do not tell their queue.
    unsure: u64,
    /// Members that are looked at.
    examined: u64,
    /// Members that are not.
    overflow: u64,
    /// Members that were asked so far.
    asked: u64,
    /// Bytes of what they had.
    bytes: u64,
}

impl SeenMembers {
    fn average(&self) -> u64 {
        self.bytes.checked_div(self.asked).unwrap_or(limits::MEMBER_UNSEEN_BYTES).max(1)
    }

    fn answers(self) -> Vec<Answer> {
        let Self { counted, examined, overflow, unsure, .. } = self;
        let answer =
            |counted| Answer::PerMember(PerMemberAnswer { counted, examined, overflow, unsure });
        counted.into_iter().map(answer).collect()
    }

    /// The answers where so many members were not looked at after all.
    fn without(mut self, unseen: u64) -> Vec<Answer> {
        self.examined = self.examined.saturating_sub(unseen);
        self.overflow = self.overflow.saturating_add(unseen);
        self.answers()
    }
}

/// What comes after a step.
pub(in crate::redis) enum Next {
    Step(MemberStep),
    /// An answer for each read.
    Done(Vec<Answer>),
}

/// What the first reply makes of a read: the members of one that is asked by their keys, the number of them of
/// all others. A set or a hash that is too large is not looked at, since its members have no order of which the
/// first would mean anything.
pub(in crate::redis) fn first(
    each: &PerMember,
    reply: &Value,
) -> Result<ControlFlow<Answer, MemberStep>, Fault> {
    let none = |overflow| {
        ControlFlow::Break(Answer::PerMember(PerMemberAnswer {
            counted: 0,
            examined: 0,
            overflow,
            unsure: 0,
        }))
    };
    if is_by_key(each) {
        let members = decode::strings(reply)?;
        let step =
            |members| ControlFlow::Continue(MemberStep::Keys(MemberListing::of(each, members)));
        return Ok(if members.is_empty() { none(0) } else { step(members) });
    }
    let members = decode::count(reply)?;
    let is_overflow = members > each.most() as u64;
    Ok(match each.kind {
        _ if members == 0 => none(0),
        CollectionType::Set | CollectionType::Hash if is_overflow => none(members),
        CollectionType::Set
        | CollectionType::Hash
        | CollectionType::List
        | CollectionType::SortedSet => ControlFlow::Continue(MemberStep::Members(members)),
    })
}

impl MemberStep {
    /// The bytes that one member is likely to bring, if it fetches values.
    pub(in crate::redis) fn weight(&self, each: &PerMember) -> Option<u64> {
        match (self, &each.ask) {
            (Self::Members(_) | Self::Keys(_), _) | (_, Ask::Exists(_) | Ask::Length(_)) => None,
            (Self::Ask { members, seen }, Ask::Text(_) | Ask::Values(_) | Ask::Field) => {
                (!members.is_empty()).then(|| seen.average())
            }
        }
    }

    /// What to ask next, to bring about so many bytes of values: one member at least, or with no bytes none.
    pub(in crate::redis) fn commands(&self, each: &PerMember, bytes: u64) -> Vec<Cmd> {
        match (self, &each.ask) {
            (Self::Members(_), _) => vec![members(each)],
            (Self::Keys(listing), _) => listing.commands(each),
            (Self::Ask { members, seen }, Ask::Field) => {
                let now = &members[..members.len().min(round(&Ask::Field, seen, bytes))];
                let chunks = now.chunks(limits::MEMBER_FIELDS);
                chunks.map(|fields| fields_of(&each.collection, fields)).collect()
            }
            (Self::Ask { members, seen }, ask) => {
                let question = |member: &Vec<u8>| of_member(ask, each.filter.is_some(), member);
                members.iter().take(round(ask, seen, bytes)).filter_map(question).collect()
            }
        }
    }

    /// What the replies to [`MemberStep::commands`] make of it, for reads that look at the same members.
    pub(in crate::redis) fn proceed(
        self,
        reads: &[Arc<PerMember>],
        (replies, bytes): (&[Response], u64),
        known: &KnownFields,
    ) -> Result<Next, Fault> {
        let each = reads.first().ok_or_else(few)?;
        let mut values = replies.iter().map(|reply| reply.as_ref().map_err(fault));
        match (self, &each.ask) {
            (Self::Members(size), _) => {
                let reply = values.next().ok_or_else(few)??;
                let mut members = decode::strings(reply)?;
                // It may have grown since it was measured.
                let grown = members.split_off(members.len().min(each.most())).len() as u64;
                let examined = members.len() as u64;
                let overflow = match each.kind {
                    // All of them were told; fields that are gone since may be back in their queue.
                    CollectionType::Set => grown,
                    CollectionType::Hash => size.saturating_sub(examined).max(grown),
                    CollectionType::List | CollectionType::SortedSet
                        if members.len() < each.most() =>
                    {
                        0
                    }
                    CollectionType::List | CollectionType::SortedSet => {
                        size.saturating_sub(examined)
                    }
                };
                let (mut counted, mut unsure) = (vec![0; reads.len()], 0);
                let members = match each.ask {
                    Ask::Field => {
                        let mut tally = MemberTally::of(reads, &mut counted, &mut unsure);
                        known.look_up(each, members, |text| tally.text(text))
                    }
                    Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_) => members,
                };
                Ok(Next::Step(Self::Ask {
                    members,
                    seen: SeenMembers { counted, unsure, examined, overflow, asked: 0, bytes: 0 },
                }))
            }
            (Self::Keys(listing), _) => Ok(match listing.proceed(each, &mut values)? {
                ControlFlow::Continue(listing) => Next::Step(Self::Keys(listing)),
                ControlFlow::Break(answer) => Next::Done(vec![answer; reads.len()]),
            }),
            (Self::Ask { mut members, mut seen }, ask) => {
                let rest = members.split_off(members.len().min(round(ask, &seen, bytes)));
                seen.asked += members.len() as u64;
                let mut tally = MemberTally::of(reads, &mut seen.counted, &mut seen.unsure);
                for (asked, reply) in members.chunks(per_command(ask)).zip(values) {
                    let value = reply?;
                    seen.bytes = seen.bytes.saturating_add(decode::size(value) as u64);
                    match ask {
                        Ask::Field => tally.fields(each, known, asked, value)?,
                        Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_) => {
                            tally.reply(each, value)?;
                        }
                    }
                }
                if rest.is_empty() {
                    known.note_whole(each);
                    return Ok(Next::Done(seen.answers()));
                }
                if seen.bytes > limits::MEMBER_BYTES {
                    return Self::Ask { members: rest, seen }.part(each, known).map(Next::Done);
                }
                Ok(Next::Step(Self::Ask { members: rest, seen }))
            }
        }
    }

    /// The answers when there is no more time or room for the members that were not asked. A part of what
    /// other keys say is no answer. Of values that are remembered the next look has fewer to ask, so that
    /// nothing is known until then; but where that has no end, what is new counts for every read.
    pub(in crate::redis) fn part(
        self,
        each: &PerMember,
        known: &KnownFields,
    ) -> Result<Vec<Answer>, Fault> {
        match (self, &each.ask) {
            (Self::Members(_) | Self::Keys(_), _) => Err(Fault::Timeout),
            (Self::Ask { members, seen }, Ask::Field) if known.is_endless(each) => {
                Ok(seen.without(members.len() as u64))
            }
            (Self::Ask { members, seen }, Ask::Field) => {
                let unseen = members.len() as u64;
                Err(Fault::Looking {
                    seen: seen.examined.saturating_sub(unseen),
                    of: seen.examined,
                })
            }
            (
                Self::Ask { members, seen },
                Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_),
            ) => {
                if seen.bytes > limits::MEMBER_BYTES {
                    Ok(seen.without(members.len() as u64))
                } else {
                    Err(Fault::Timeout)
                }
            }
        }
    }
}

/// How many members are asked in one round, so that neither Redis nor the link is held up by one read:
/// a few at first, then as many as are likely to stay within its bytes of the round.
fn round(ask: &Ask, seen: &SeenMembers, bytes: u64) -> usize {
    let most: u64 = match ask {
        Ask::Exists(_) | Ask::Length(_) => return KEYS,
        Ask::Text(_) | Ask::Field | Ask::Values(_) if bytes == 0 => return 0,
        Ask::Text(_) | Ask::Values(_) => 256,
        Ask::Field => 1024,
    };
    usize::try_from((bytes / seen.average()).clamp(1, most)).unwrap_or(1)
}

/// How many members one command asks.
fn per_command(ask: &Ask) -> usize {
    match ask {
        Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_) => 1,
        Ask::Field => limits::MEMBER_FIELDS,
    }
}

#[cfg(test)]
mod tests;
