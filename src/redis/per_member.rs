//! The members of a collection and what each has, in bounded steps: how many there are, which, and what is
//! asked of each. The answer serves all reads that look at the same members.

pub(super) mod commands;

use std::{collections::HashSet, sync::Arc};

use deadpool_redis::redis::{Cmd, Value};

use crate::{
    layouts::{Answer, Ask, CollectionType, PerMember},
    limits,
    sampling::Fault,
};

use super::{
    decode,
    error::{fault, few},
    fields::KnownFields,
    values::Tally,
    wire::Response,
};
use commands::{fields_of, members, of_member};

/// How far one question is.
#[derive(Debug)]
pub(super) enum Step {
    /// There are so many members: which?
    Members(u64),
    /// What have these?
    Ask { members: Vec<Vec<u8>>, seen: Seen },
}

/// What is known of a collection before all of its members are asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
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

impl Seen {
    fn average(&self) -> u64 {
        self.bytes.checked_div(self.asked).unwrap_or(limits::MEMBER_UNSEEN_BYTES).max(1)
    }

    /// So many members count for no read.
    fn take_off(&mut self, members: u64) {
        self.counted.iter_mut().for_each(|counted| *counted = counted.saturating_sub(members));
    }

    fn answers(self) -> Vec<Answer> {
        let Self { counted, examined, overflow, unsure, .. } = self;
        let answer = |counted| Answer::PerMember { counted, examined, overflow, unsure };
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
pub(super) enum Next {
    Step(Step),
    /// An answer for each read.
    Done(Vec<Answer>),
}

/// The answer if the size says enough. A set or a hash that is too large is not looked at, since its
/// members have no order of which the first would mean anything.
pub(super) fn sized(each: &PerMember, members: u64) -> Option<Answer> {
    let is_overflow = members > each.most() as u64;
    let overflow = match each.kind {
        _ if members == 0 => 0,
        CollectionType::Set | CollectionType::Hash if is_overflow => members,
        CollectionType::Set
        | CollectionType::Hash
        | CollectionType::List
        | CollectionType::SortedSet => {
            return None;
        }
    };
    Some(Answer::PerMember { counted: 0, examined: 0, overflow, unsure: 0 })
}

impl Step {
    /// The bytes that one member is likely to bring, if it fetches values.
    pub(super) fn weight(&self, each: &PerMember) -> Option<u64> {
        match (self, &each.ask) {
            (Self::Members(_), _) | (_, Ask::Exists(_) | Ask::Length(_)) => None,
            (Self::Ask { members, seen }, Ask::Text(_) | Ask::Values(_) | Ask::Field) => {
                (!members.is_empty()).then(|| seen.average())
            }
        }
    }

    /// What to ask next, to bring about so many bytes of values: one member at least, or with no bytes none.
    pub(super) fn commands(&self, each: &PerMember, bytes: u64) -> Vec<Cmd> {
        match (self, &each.ask) {
            (Self::Members(_), _) => vec![members(each)],
            (Self::Ask { members, seen }, Ask::Field) => {
                let now = &members[..members.len().min(round(&Ask::Field, seen, bytes))];
                let chunks = now.chunks(limits::MEMBER_FIELDS);
                chunks.map(|fields| fields_of(&each.collection, fields)).collect()
            }
            (Self::Ask { members, seen }, ask) => {
                let question = |member: &Vec<u8>| of_member(ask, each.filter.is_some(), member);
                let asked = &members[..members.len().min(round(ask, seen, bytes))];
                let mut commands: Vec<Cmd> = asked.iter().filter_map(question).collect();
                // A server takes all of them from one packet, so that hardly any comes back in between.
                let is_listed_again = matches!(ask, Ask::Exists(_)) && !asked.is_empty();
                commands.extend(is_listed_again.then(|| commands::members(each)));
                commands
            }
        }
    }

    /// What the replies to [`Step::commands`] make of it, for reads that look at the same members.
    pub(super) fn proceed(
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
                // So many were there when their number was asked with the rest of the trigger. Which they are
                // now says only how many of them have no key.
                let is_by_key = matches!(each.ask, Ask::Exists(_));
                let most = each.most() as u64;
                let examined = if is_by_key { size.min(most) } else { members.len() as u64 };
                let overflow = match each.kind {
                    // All of them were told; fields that are gone since may be back in their queue.
                    CollectionType::Set => grown,
                    CollectionType::Hash => size.saturating_sub(examined).max(grown),
                    CollectionType::List | CollectionType::SortedSet
                        if !is_by_key && examined < most =>
                    {
                        0
                    }
                    CollectionType::List | CollectionType::SortedSet => {
                        size.saturating_sub(examined)
                    }
                };
                let before = if is_by_key { examined } else { 0 };
                let (mut counted, mut unsure) = (vec![before; reads.len()], 0);
                let members = match each.ask {
                    Ask::Field => {
                        let mut tally = Tally::of(reads, (&mut counted, &mut unsure));
                        known.look_up(each, members, |text| tally.text(text))
                    }
                    Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_) => members,
                };
                Ok(Next::Step(Self::Ask {
                    members,
                    seen: Seen { counted, unsure, examined, overflow, asked: 0, bytes: 0 },
                }))
            }
            (Self::Ask { mut members, mut seen }, ask) => {
                let rest = members.split_off(members.len().min(round(ask, &seen, bytes)));
                seen.asked += members.len() as u64;
                if let (Ask::Exists(_), false) = (ask, members.is_empty()) {
                    seen.take_off(without_key(&members, &mut values)?);
                }
                let mut tally = Tally::of(reads, (&mut seen.counted, &mut seen.unsure));
                for (asked, reply) in members.chunks(per_command(ask)).zip(values) {
                    let value = reply?;
                    seen.bytes = seen.bytes.saturating_add(decode::size(value) as u64);
                    match ask {
                        Ask::Field => tally.fields((each, known), asked, value)?,
                        Ask::Exists(_) => {}
                        Ask::Length(_) | Ask::Values(_) | Ask::Text(_) => {
                            tally.reply(each, value)?;
                        }
                    }
                }
                if rest.is_empty() {
                    known.is_whole(each);
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
    pub(super) fn part(self, each: &PerMember, known: &KnownFields) -> Result<Vec<Answer>, Fault> {
        match (self, &each.ask) {
            (Self::Members(_), _) => Err(Fault::Timeout),
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

/// How many of these members have no key and are members still. One that is none any more moved on since it
/// was listed, as a job that is put back into its queue does, and its key went with it.
fn without_key<'r>(
    members: &[Vec<u8>],
    values: &mut impl Iterator<Item = Result<&'r Value, Fault>>,
) -> Result<u64, Fault> {
    let mut without = HashSet::new();
    for member in members {
        if decode::count(values.next().ok_or_else(few)??)? == 0 {
            without.insert(member);
        }
    }
    let listed = decode::strings(values.next().ok_or_else(few)??)?;
    Ok(listed.iter().filter(|member| without.remove(member)).count() as u64)
}

/// How many members are asked in one round, so that neither Redis nor the link is held up by one read:
/// a few at first, then as many as are likely to stay within its bytes of the round.
fn round(ask: &Ask, seen: &Seen, bytes: u64) -> usize {
    let most: u64 = match ask {
        Ask::Exists(_) | Ask::Length(_) => return 250,
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
mod tests {
    use deadpool_redis::redis::Value;

    use super::*;
    use crate::layouts::{Filter, MemberKey, Name};

    fn unacked(queue: &str) -> Arc<PerMember> {
        let only_if = Some(("/1".to_owned(), String::new()));
        let filter = Filter { pointer: "/2".to_owned(), is: Name::from(queue).into(), only_if };
        Arc::new(PerMember {
            collection: "unacked".into(),
            kind: CollectionType::Hash,
            ask: Ask::Field,
            filter: Some(filter),
        })
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn answer(next: Next) -> Vec<Answer> {
        match next {
            Next::Done(answers) => answers,
            Next::Step(step) => panic!("not done: {step:?}"),
        }
    }

    fn ask(members: &[&str]) -> Step {
        let members = members.iter().map(|member| member.as_bytes().to_vec()).collect();
        Step::Ask { members, seen: Seen { counted: vec![0], ..Seen::default() } }
    }

    const BYTES: u64 = limits::MEMBER_ROUND_BYTES;

    /// The fields that are fetched, and the answers, when the hash has these fields.
    fn refresh(
        (reads, known): (&[Arc<PerMember>], &KnownFields),
        fields: &[(&str, Value)],
    ) -> (usize, Vec<Answer>) {
        let keys = fields.iter().map(|(field, _)| text(field)).collect();
        let step = Step::Members(fields.len() as u64);
        let next = step.proceed(reads, (&[Ok(Value::Array(keys))], BYTES), known).unwrap();
        let Next::Step(step) = next else { panic!("there are fields to ask for") };
        let Step::Ask { members, .. } = &step else { panic!("the fields are known") };
        let value = |field: &Vec<u8>| {
            fields.iter().find(|(name, _)| name.as_bytes() == field).unwrap().1.clone()
        };
        let replies: Vec<Response> = members
            .chunks(16)
            .map(|chunk| Ok(Value::Array(chunk.iter().map(value).collect())))
            .collect();
        assert_eq!(step.commands(&reads[0], BYTES).len(), replies.len());
        let fetched = members.len();
        (fetched, answer(step.proceed(reads, (&replies, BYTES), known).unwrap()))
    }

    fn count(counted: u64, examined: u64) -> Answer {
        Answer::PerMember { counted, examined, overflow: 0, unsure: 0 }
    }

    #[test]
    fn a_field_is_fetched_once_and_forgotten_when_it_is_gone() {
        let known = KnownFields::default();
        let (each, other) = ([unacked("emails")], [unacked("other")]);
        let ours = || text(r#"[{}, "", "emails"]"#);
        let others = || text(r#"[{}, "", "other"]"#);
        let both = [("a", ours()), ("b", others())];
        assert_eq!(refresh((&each, &known), &both), (2, vec![count(1, 2)]));
        assert_eq!(refresh((&each, &known), &both), (0, vec![count(1, 2)]));
        let gone = [("a", ours()), ("c", Value::Nil)];
        assert_eq!(refresh((&each, &known), &gone), (1, vec![count(2, 2)]));
        assert_eq!(known.count(), 1, "b is gone");
        // What is known of a hash serves every queue in it.
        assert_eq!(refresh((&other, &known), &both[..1]), (0, vec![count(0, 1)]));
    }

    #[test]
    fn a_value_that_cannot_be_read_counts_for_every_queue() {
        let reads = ["emails", "reports"].map(unacked);
        let values = [r#"[{}, "", "ema"#, "[1, 2, 3]", r#"[{}, "exchange", "key"]"#];
        let mut fields: Vec<_> = ["a", "b", "c"].into_iter().zip(values.map(text)).collect();
        fields.push(("d", text(r#"[{}, "", "reports"]"#)));
        let known = KnownFields::default();
        let unsure = |counted| Answer::PerMember { counted, examined: 4, overflow: 0, unsure: 3 };
        let answers = vec![unsure(3), unsure(4)];
        assert_eq!(refresh((&reads, &known), &fields), (4, answers.clone()));
        assert_eq!(refresh((&reads, &known), &fields), (0, answers));
    }

    #[test]
    fn a_large_hash_is_not_looked_at_and_says_how_large_it_is() {
        let members = limits::FIELDS_EXAMINED as u64 + 1;
        let done = sized(&unacked("q"), members);
        let overflow = Answer::PerMember { counted: 0, examined: 0, overflow: members, unsure: 0 };
        assert_eq!(done, Some(overflow));
        assert_eq!(sized(&unacked("q"), members - 1), None);
    }

    #[test]
    fn fewer_values_than_fields_are_no_count() {
        let reply = [Ok(Value::Array(vec![text(r#"[{}, "", "emails"]"#)]))];
        let known = KnownFields::default();
        let next = ask(&["a", "b"]).proceed(&[unacked("emails")], (&reply, BYTES), &known);
        assert!(matches!(next, Err(Fault::Unexpected(_))));
    }

    fn by_locks() -> [Arc<PerMember>; 1] {
        [Arc::new(PerMember {
            collection: "active".into(),
            kind: CollectionType::List,
            ask: Ask::Exists(MemberKey { before: "l:".into(), after: "".into() }),
            filter: None,
        })]
    }

    /// What is told of a list of so many members, of whom these are listed, which have a lock or not, and
    /// these are left when that is asked.
    fn locked(size: u64, members: &[(&str, bool)], left: &[&str]) -> Vec<Answer> {
        let (each, known) = (by_locks(), KnownFields::default());
        let list =
            |names: &mut dyn Iterator<Item = &str>| Ok(Value::Array(names.map(text).collect()));
        let listed = [list(&mut members.iter().map(|(name, _)| *name))];
        let next = Step::Members(size).proceed(&each, (&listed, BYTES), &known).unwrap();
        let Next::Step(step) = next else { panic!("there are locks to ask for") };
        let mut replies: Vec<Response> =
            members.iter().map(|(_, locked)| Ok(Value::Int(i64::from(*locked)))).collect();
        replies.push(list(&mut left.iter().copied()));
        assert_eq!(step.commands(&each[0], BYTES).len(), replies.len());
        answer(step.proceed(&each, (&replies, BYTES), &known).unwrap())
    }

    #[test]
    fn a_member_without_a_key_does_not_count_unless_it_moved_on() {
        let both = [("1", true), ("2", false)];
        assert_eq!(locked(2, &both, &["1", "2"]), [count(1, 2)], "its worker is gone");
        assert_eq!(locked(2, &both, &["1", "3"]), [count(2, 2)], "it is back in its queue");
        assert_eq!(locked(1, &both[..1], &[]), [count(1, 1)]);
    }

    #[test]
    fn so_many_members_count_as_there_were_when_their_number_was_asked() {
        let three = [("1", true), ("2", true), ("3", true)];
        assert_eq!(locked(2, &three, &["3"]), [count(2, 2)], "one came from the queue meanwhile");
        assert_eq!(locked(4, &three, &["3"]), [count(4, 4)], "one went back to it");
        let of_more = Answer::PerMember { counted: 1000, examined: 1000, overflow: 7, unsure: 0 };
        assert_eq!(locked(1007, &three, &["3"]), [of_more]);
    }

    #[test]
    fn no_reply_of_another_form_becomes_a_number() {
        let each = by_locks();
        for reply in [Value::Nil, Value::Int(-1), Value::Okay] {
            let next = ask(&["1"]).proceed(&each, (&[Ok(reply)], BYTES), &KnownFields::default());
            assert!(matches!(next, Err(Fault::Unexpected(_))));
        }
    }
}
