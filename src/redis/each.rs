//! What each member of a collection has, in bounded steps: how many there are, which, and what is
//! asked of each.
//!
//! It is apart from the other follow-ups because it takes many commands to a step, and remembers
//! what it read of values that never change.

use deadpool_redis::redis::{self, Cmd, Value};

use crate::{
    layouts::{Answer, Around, Ask, Collection, Each, Filter, Name},
    limits,
    sampling::Fault,
};

use super::{
    decode,
    error::fault,
    fields::{KnownFields, is_met},
    wire::Response,
};

/// Bytes of a string that are looked at.
const TEXT_BYTES: usize = 64 * 1024;

/// The text in the place of the filter; `None` if the value is no JSON, has none there, or one that
/// tells nothing.
fn text_of(value: &[u8], filter: Option<&Filter>) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(value).ok()?;
    let filter = filter?;
    if let Some((pointer, is)) = &filter.only_if
        && json.pointer(pointer)?.as_str()? != is
    {
        return None;
    }
    let text = json.pointer(&filter.pointer)?.as_str()?;
    // No name is longer than that; a text that is remembered must not be.
    (text.len() <= limits::FIELD_TEXT_BYTES).then(|| text.to_owned())
}

/// How far one question is.
#[derive(Debug)]
pub(super) enum Step {
    /// There are so many members: which?
    Members(u64),
    /// What have these?
    Ask { members: Vec<Vec<u8>>, seen: Seen },
}

/// What is known of a collection before its members are asked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Members that count, of those that need not be asked.
    counted: u64,
    /// Members that are looked at.
    examined: u64,
    /// Members that are not.
    beyond: u64,
    /// Members that were asked so far.
    asked: u64,
    /// Bytes of what they had.
    bytes: u64,
}

impl Seen {
    fn answer(self) -> Answer {
        let Self { counted, examined, beyond, .. } = self;
        Answer::Each { counted, examined, beyond }
    }
}

/// What comes after a step.
pub(super) enum Next {
    Step(Step),
    Done(Answer),
}

/// SCARD, LLEN, ZCARD or HLEN of the collection.
pub(super) fn size(each: &Each) -> Cmd {
    command(
        match each.collection {
            Collection::Set => "SCARD",
            Collection::List => "LLEN",
            Collection::SortedSet => "ZCARD",
            Collection::Hash => "HLEN",
        },
        &each.of,
    )
}

/// What follows from the size. A set or a hash that is too large is not looked at, since its members
/// have no order of which the first would mean anything.
pub(super) fn sized(each: &Each, members: u64) -> Next {
    match each.collection {
        _ if members == 0 => Next::Done(Seen::default().answer()),
        Collection::Set | Collection::Hash if members > limits::EACH_MEMBERS as u64 => {
            Next::Done(Seen { beyond: members, ..Seen::default() }.answer())
        }
        Collection::Set | Collection::Hash | Collection::List | Collection::SortedSet => {
            Next::Step(Step::Members(members))
        }
    }
}

impl Step {
    /// What to ask next.
    pub(super) fn commands(&self, each: &Each) -> Vec<Cmd> {
        let last = limits::EACH_MEMBERS - 1;
        match (self, &each.ask) {
            (Self::Members(_), _) => vec![match each.collection {
                Collection::Set => command("SMEMBERS", &each.of),
                Collection::Hash => command("HKEYS", &each.of),
                Collection::List => ranged("LRANGE", &each.of, last),
                Collection::SortedSet => ranged("ZRANGE", &each.of, last),
            }],
            (Self::Ask { members, seen }, Ask::Field) => {
                let now = &members[..members.len().min(round(&Ask::Field, *seen))];
                let chunks = now.chunks(limits::EACH_FIELDS);
                chunks.map(|fields| fields_of(&each.of, fields)).collect()
            }
            (Self::Ask { members, seen }, ask) => {
                let question = |member: &Vec<u8>| of_member(ask, each.filter.is_some(), member);
                members.iter().take(round(ask, *seen)).filter_map(question).collect()
            }
        }
    }

    /// What the replies to [`Step::commands`] make of it.
    pub(super) fn proceed(
        self,
        each: &Each,
        replies: &[Response],
        known: &KnownFields,
    ) -> Result<Next, Fault> {
        let mut values = replies.iter().map(|reply| reply.as_ref().map_err(fault));
        match (self, &each.ask) {
            (Self::Members(size), _) => {
                let reply = values.next().ok_or_else(few)??;
                let mut members = decode::strings(reply)?;
                // It may have grown since it was measured.
                let grown = members.split_off(members.len().min(limits::EACH_MEMBERS)).len() as u64;
                let examined = members.len() as u64;
                let beyond = match each.collection {
                    // All of them were told; fields that are gone since may be back in their queue.
                    Collection::Set => grown,
                    Collection::Hash => size.saturating_sub(examined).max(grown),
                    Collection::List | Collection::SortedSet
                        if members.len() < limits::EACH_MEMBERS =>
                    {
                        0
                    }
                    Collection::List | Collection::SortedSet => size.saturating_sub(examined),
                };
                let (members, counted) = match each.ask {
                    Ask::Field => known.look_up(each, members),
                    Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_) => (members, 0),
                };
                Ok(Next::Step(Self::Ask {
                    members,
                    seen: Seen { counted, examined, beyond, asked: 0, bytes: 0 },
                }))
            }
            (Self::Ask { mut members, mut seen }, ask) => {
                let rest = members.split_off(members.len().min(round(ask, seen)));
                seen.asked += members.len() as u64;
                for (asked, reply) in members.chunks(per_command(ask)).zip(values) {
                    let value = reply?;
                    seen.bytes = seen.bytes.saturating_add(decode::size(value) as u64);
                    let counted = match ask {
                        Ask::Field => of_fields((each, known), asked, value)?,
                        Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_) => {
                            count(ask, each.filter.as_ref(), value)?
                        }
                    };
                    seen.counted = seen.counted.saturating_add(counted);
                }
                if rest.is_empty() {
                    return Ok(Next::Done(seen.answer()));
                }
                if seen.bytes > limits::EACH_BYTES {
                    let unseen = rest.len() as u64;
                    seen.examined = seen.examined.saturating_sub(unseen);
                    seen.beyond = seen.beyond.saturating_add(unseen);
                    return Ok(Next::Done(seen.answer()));
                }
                Ok(Next::Step(Self::Ask { members: rest, seen }))
            }
        }
    }
}

/// What these fields count; what was read of them is remembered.
fn of_fields(
    (each, known): (&Each, &KnownFields),
    fields: &[Vec<u8>],
    value: &Value,
) -> Result<u64, Fault> {
    let values = decode::optional_strings(value)?;
    if values.len() != fields.len() {
        return Err(Fault::Unexpected("another number of values than fields".to_owned()));
    }
    let mut counted = 0;
    for (field, value) in fields.iter().zip(values) {
        // What is gone by now may be back in its queue, which was read before.
        let Some(value) = value else {
            counted += 1;
            continue;
        };
        let text = text_of(&value, each.filter.as_ref());
        counted += u64::from(is_met(each.filter.as_ref(), text.as_deref()));
        known.learn(each, field.clone(), text);
    }
    Ok(counted)
}

/// How many members are asked in one round, so that neither Redis nor the link is held up by one read:
/// a few at first, then as many as are likely to stay within the bytes of a round.
fn round(ask: &Ask, seen: Seen) -> usize {
    let most: u64 = match ask {
        Ask::Exists(_) | Ask::Length(_) => return 250,
        Ask::Text(_) | Ask::Field | Ask::Values(_) => 256,
    };
    let fitting = match seen.bytes.checked_div(seen.asked) {
        Some(average) => limits::EACH_ROUND_BYTES / average.max(1),
        None => 4,
    };
    usize::try_from(fitting.clamp(1, most)).unwrap_or(1)
}

/// How many members one command asks.
fn per_command(ask: &Ask) -> usize {
    match ask {
        Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_) => 1,
        Ask::Field => limits::EACH_FIELDS,
    }
}

fn of_member(ask: &Ask, filtered: bool, member: &[u8]) -> Option<Cmd> {
    let of = |name, around: &Around| command(name, &around.key(member));
    Some(match ask {
        Ask::Exists(around) => of("EXISTS", around),
        Ask::Length(around) => of("LLEN", around),
        Ask::Values(around) if filtered => of("HVALS", around),
        Ask::Values(around) => of("HLEN", around),
        Ask::Text(around) if filtered => {
            let mut command = of("GETRANGE", around);
            command.arg(0).arg(TEXT_BYTES);
            command
        }
        Ask::Text(around) => of("EXISTS", around),
        Ask::Field => return None,
    })
}

/// What one member's reply counts.
fn count(ask: &Ask, filter: Option<&Filter>, value: &Value) -> Result<u64, Fault> {
    let met = |value: &[u8]| is_met(filter, text_of(value, filter).as_deref());
    match ask {
        Ask::Values(_) if filter.is_some() => {
            let values = decode::strings(value)?;
            Ok(values.iter().filter(|value| met(value)).count() as u64)
        }
        // A string that is empty is none.
        Ask::Text(_) if filter.is_some() => match decode::string(value)? {
            [] => Ok(0),
            text => Ok(u64::from(met(text))),
        },
        Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_) | Ask::Field => {
            decode::count(value)
        }
    }
}

fn command(name: &str, key: &Name) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(key.as_bytes());
    command
}

fn ranged(name: &str, key: &Name, last: usize) -> Cmd {
    let mut command = command(name, key);
    command.arg(0).arg(last);
    command
}

fn fields_of(hash: &Name, fields: &[Vec<u8>]) -> Cmd {
    let mut command = command("HMGET", hash);
    for field in fields {
        command.arg(field.as_slice());
    }
    command
}

pub(super) fn few() -> Fault {
    Fault::Unexpected("too few replies".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unacked(queue: &str) -> Each {
        let only_if = Some(("/1".to_owned(), String::new()));
        let filter = Filter { pointer: "/2".to_owned(), is: Name::from(queue).into(), only_if };
        Each {
            of: "unacked".into(),
            collection: Collection::Hash,
            ask: Ask::Field,
            filter: Some(filter),
        }
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn answer(next: Next) -> Answer {
        match next {
            Next::Done(answer) => answer,
            Next::Step(step) => panic!("not done: {step:?}"),
        }
    }

    /// The fields that are fetched, and the answer, when the hash has these fields.
    fn refresh((each, known): (&Each, &KnownFields), fields: &[(&str, Value)]) -> (usize, Answer) {
        let keys = fields.iter().map(|(field, _)| text(field)).collect();
        let step = Step::Members(fields.len() as u64);
        let next = step.proceed(each, &[Ok(Value::Array(keys))], known).unwrap();
        let Next::Step(step) = next else { panic!("there are fields to ask for") };
        let Step::Ask { members, .. } = &step else { panic!("the fields are known") };
        let value = |field: &Vec<u8>| {
            fields.iter().find(|(name, _)| name.as_bytes() == field).unwrap().1.clone()
        };
        let replies: Vec<Response> = members
            .chunks(16)
            .map(|chunk| Ok(Value::Array(chunk.iter().map(value).collect())))
            .collect();
        assert_eq!(step.commands(each).len(), replies.len());
        let fetched = members.len();
        (fetched, answer(step.proceed(each, &replies, known).unwrap()))
    }

    #[test]
    fn a_field_is_fetched_once_and_forgotten_when_it_is_gone() {
        let known = KnownFields::default();
        let each = unacked("emails");
        let ours = || text(r#"[{}, "", "emails"]"#);
        let others = || text(r#"[{}, "", "other"]"#);
        let count = |counted, examined| Answer::Each { counted, examined, beyond: 0 };
        let both = [("a", ours()), ("b", others())];
        assert_eq!(refresh((&each, &known), &both), (2, count(1, 2)));
        assert_eq!(refresh((&each, &known), &both), (0, count(1, 2)));
        let gone = [("a", ours()), ("c", Value::Nil)];
        assert_eq!(refresh((&each, &known), &gone), (1, count(2, 2)));
        assert_eq!(known.count(), 1, "b is gone");
        // What is known of a hash serves every queue in it.
        assert_eq!(refresh((&unacked("other"), &known), &both[..1]), (0, count(0, 1)));
    }

    #[test]
    fn a_value_that_cannot_be_read_counts_for_every_queue() {
        for queue in ["emails", "reports"] {
            let values = [r#"[{}, "", "ema"#, "[1, 2, 3]", r#"[{}, "exchange", "key"]"#];
            let fields: Vec<_> = ["a", "b", "c"].into_iter().zip(values.map(text)).collect();
            let (_, answer) = refresh((&unacked(queue), &KnownFields::default()), &fields);
            assert_eq!(answer, Answer::Each { counted: 3, examined: 3, beyond: 0 });
        }
    }

    #[test]
    fn a_large_hash_is_not_looked_at_and_says_how_large_it_is() {
        let members = limits::EACH_MEMBERS as u64 + 1;
        let done = answer(sized(&unacked("q"), members));
        assert_eq!(done, Answer::Each { counted: 0, examined: 0, beyond: members });
    }

    #[test]
    fn fewer_values_than_fields_are_no_count() {
        let step = Step::Ask { members: vec![b"a".to_vec(), b"b".to_vec()], seen: Seen::default() };
        let reply = Value::Array(vec![text(r#"[{}, "", "emails"]"#)]);
        let next = step.proceed(&unacked("emails"), &[Ok(reply)], &KnownFields::default());
        assert!(matches!(next, Err(Fault::Unexpected(_))));
    }

    #[test]
    fn no_reply_of_another_form_becomes_a_number() {
        let lock = Around { before: "l:".into(), after: "".into() };
        let each = Each {
            of: "active".into(),
            collection: Collection::List,
            ask: Ask::Exists(lock),
            filter: None,
        };
        for reply in [Value::Nil, Value::Int(-1), Value::Okay] {
            let step = Step::Ask { members: vec![b"1".to_vec()], seen: Seen::default() };
            let next = step.proceed(&each, &[Ok(reply)], &KnownFields::default());
            assert!(matches!(next, Err(Fault::Unexpected(_))));
        }
    }
}
