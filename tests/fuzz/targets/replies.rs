//! Replies of any bytes, put before the client library's parser and our decoding: no number comes of
//! anything but a reply that says it, by a second reader of the protocol.
//!
//! The first line names the read and the type of its key; the rest is what Redis says to one command
//! after the other. The key is `k`, the group, field, member or value `g`, and scores are seconds.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use penstock::{
    layouts::{
        Answer, Ask, CollectionType, End, Flag, Group, GroupAnswer, GroupJobs, Idle, IdleAnswer,
        JobPlace, JobsOf, Kind, ListedJobs, MemberKey, Members, MissingGroup, Number, NumberAnswer,
        Oldest, OldestAnswer, PerMember, PerMemberAnswer, Read, ReadyAt, ScoredJobs, Size,
        SizeAnswer, Stamps, Test, TimeOf, Unit, Waiting,
    },
    limits,
    redis::offline,
    sampling::Validity,
};

use crate::{
    engine::{Target, Traits},
    hold,
    resp::{Resp, replies},
};

use super::is_plain_decimal;

pub const TARGET: Target = Target { name: "replies", words: WORDS, check };

const WORDS: &[&str] = &[
    "size list\n",
    "typed list\n",
    "size set\n",
    "size zset\n",
    "size hash\n",
    "size stream\n",
    "size string\n",
    "size module\n",
    "due zset\n",
    "leased zset\n",
    "due list\n",
    "group stream\n",
    "idle stream\n",
    "exists any\n",
    "field any\n",
    "member any\n",
    "value any\n",
    "number string\n",
    "number-field hash\n",
    "oldest list\n",
    "oldest-hash list\n",
    "oldest-field list\n",
    "oldest-score zset\n",
    "oldest-mark zset\n",
    "oldest-group stream\n",
    "$17\r\n{\"at\":1795925342}\r\n",
    "$20\r\n2026-11-29T04:09:02Z\r\n",
    "$13\r\n1795925342386\r\n",
    "*1\r\n$17\r\n{\"at\":1795925342}\r\n",
    ",1795925342.5\r\n",
    "*1\r\n*2\r\n$1\r\nj\r\n,1795925342.5\r\n",
    "each-exists any\n",
    "each-length any\n",
    "each-values any\n",
    ":0\r\n",
    ":1\r\n",
    ":7\r\n",
    ":-1\r\n",
    "_\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "*0\r\n",
    "*1\r\n",
    "*2\r\n",
    "%1\r\n",
    "%4\r\n",
    "~1\r\n",
    ">2\r\n",
    "#t\r\n",
    "#f\r\n",
    ",1.5\r\n",
    ",nan\r\n",
    ",inf\r\n",
    "(123\r\n",
    "+OK\r\n",
    "+none\r\n",
    "+list\r\n",
    "+string\r\n",
    "+ReJSON-RL\r\n",
    "-WRONGTYPE Operation\r\n",
    "-ERR no such key\r\n",
    "-ERR x\r\n",
    "-LOADING x\r\n",
    "-MOVED 1 h:1\r\n",
    "$1\r\ng\r\n",
    "$4\r\nname\r\n",
    "$7\r\npending\r\n",
    "$3\r\nlag\r\n",
    "$17\r\nlast-delivered-id\r\n",
    "$3\r\n5-1\r\n",
    "$0\r\n\r\n",
    "$2\r\n42\r\n",
    "=6\r\ntxt:42\r\n",
    "!3\r\nERR\r\n",
    "|1\r\n",
    "$4\r\n42.5\r\n",
    "*4\r\n",
    "*8\r\n",
    "18446744073709551615",
    "9223372036854775807",
    "-0",
    "\r\n",
];
const NOW: Duration = Duration::from_secs(1_000);
const IDLE: Duration = Duration::from_millis(42);

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let head = String::from_utf8_lossy(&input[..end]);
    let said = input.get(end + 1..).unwrap_or_default();
    let (kind, key_type) = head.split_once(' ').unwrap_or((&head, "any"));
    let Some(read) = read(kind) else { return Ok(()) };
    let got = offline::answer(&read, key_type, NOW, said);
    let replies = replies(said);
    traits.note((kind, got.as_ref().map(|reply| std::mem::discriminant(&reply.answer)).ok()));
    traits.note((kind, replies.iter().take(4).map(std::mem::discriminant).collect::<Vec<_>>()));
    if let Err(fault) = &got {
        let message = fault.to_string();
        traits.note_message(message.get(..24).unwrap_or(&message));
        hold!(message.len() <= 2_048, "a fault of {} bytes", message.len());
        hold!(!message.chars().any(char::is_control), "a control character: {message:?}");
    }
    let is_length = ["list", "set", "zset", "hash", "stream"].contains(&key_type);
    if let (true, "size", Some(members)) = (is_length, kind, replies.first().and_then(Resp::length))
    {
        let answer = got.as_ref().map(|reply| &reply.answer);
        hold!(
            answer == Ok(&Answer::Size(SizeAnswer::Members(members))),
            "{members} members are {answer:?}"
        );
    }
    let Ok(reply) = got else { return Ok(()) };
    let is_timed = key_type == "zset" && matches!(kind, "due" | "leased");
    if let (Validity::For(time), true) = (reply.lasts, is_timed) {
        hold!(score(replies.get(1), time), "it lasts {time:?} by {:?}", replies.get(1));
    }
    let is_so = is_said(&reply.answer, kind, &replies);
    hold!(is_so, "{:?} comes of {replies:?}", reply.answer);
    Ok(())
}

fn read(kind: &str) -> Option<Read> {
    let key = || "k".into();
    let size = |members| Read::Size(Size { key: key(), members });
    let flag = |test| Read::Flag(Flag { key: key(), test });
    let around = || MemberKey { before: "m:".into(), after: "".into() };
    let oldest = |of| Read::Oldest(Arc::new(Oldest { key: key(), of }));
    let listed = |job, at: &str| {
        let times = [TimeOf { at: at.into(), plus: None }].into();
        let stamps = Stamps { times, not_before: [].into() };
        let (taken, remedy) = (End::Right, "r".into());
        oldest(JobsOf::List(Arc::new(ListedJobs { taken, other_end: None, job, stamps, remedy })))
    };
    let each = |ask: fn(MemberKey) -> Ask| {
        let kind = CollectionType::List;
        Read::PerMember(Arc::new(PerMember {
            collection: key(),
            kind,
            ask: ask(around()),
            filter: None,
        }))
    };
    Some(match kind {
        "size" => size(Members::All),
        "typed" => size(Members::AllOf(Kind::List)),
        "due" => size(Members::Due(Unit::Seconds.into())),
        "leased" => size(Members::Leased(Unit::Seconds.into())),
        "group" => Read::Group(Group { key: key(), group: "g".into() }),
        "idle" => Read::Idle(Idle { key: key(), group: "g".into(), after: IDLE }),
        "exists" => flag(Test::Exists),
        "field" => flag(Test::Field("g".into())),
        "member" => flag(Test::Member("g".into())),
        "value" => flag(Test::Value("g".into())),
        "number" => Read::Number(Number { key: key(), field: None }),
        "number-field" => Read::Number(Number { key: key(), field: Some("g".into()) }),
        "oldest" => listed(JobPlace::Element, "/at"),
        "oldest-hash" => listed(JobPlace::Hash(around()), "at"),
        "oldest-field" => listed(JobPlace::FieldOf("h".into()), "/at"),
        "oldest-score" => oldest(JobsOf::Scores(ScoredJobs { unit: Unit::Seconds, unless: None })),
        "oldest-mark" => {
            oldest(JobsOf::Scores(ScoredJobs { unit: Unit::Seconds, unless: Some(around()) }))
        }
        "oldest-group" => {
            let (group, missing) = ("g".into(), MissingGroup::Unknown);
            oldest(JobsOf::Group(GroupJobs { group, missing }))
        }
        "each-exists" => each(Ask::Exists),
        "each-length" => each(Ask::Length),
        "each-values" => each(Ask::Values),
        _ => return None,
    })
}

/// Whether anything in these replies is written with as many digits as a time.
fn has_digits(replies: &[Resp]) -> bool {
    let is_long = |reply: &Resp| match reply {
        Resp::Text(text) => text.iter().filter(|byte| byte.is_ascii_digit()).count() >= 6,
        Resp::List(of) | Resp::Push(of) => has_digits(of),
        Resp::Map(pairs) => pairs.iter().any(|(_, value)| has_digits(std::slice::from_ref(value))),
        // The reader tells no doubles.
        Resp::Int(_) | Resp::Other => true,
        Resp::Nil | Resp::Error(_) | Resp::Truth(_) => false,
    };
    replies.iter().any(is_long)
}

fn is_empty(reply: Option<&Resp>) -> bool {
    matches!(reply, Some(Resp::List(of)) if of.is_empty())
}

/// Whether one of these replies is this number, in any spelling.
fn is_number(number: f64, replies: &[Resp]) -> bool {
    let says = |reply: &Resp| {
        let text = reply.text().and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| text.trim().parse().ok()) == Some(number)
    };
    number.is_finite() && number >= 0.0 && replies.iter().any(says)
}

/// Whether these replies say since when the oldest job waits.
fn is_oldest(ready: &ReadyAt, kind: &str, replies: &[Resp]) -> bool {
    match ready {
        // From 2001 to 2286, and somebody wrote it.
        ReadyAt::Time(at) => {
            (1_000_000_000..10_000_000_000).contains(&at.as_secs()) && has_digits(replies)
        }
        ReadyAt::NoGroupYet | ReadyAt::Unseen => false,
        ReadyAt::NoneWaits => matches!(kind, "oldest-mark" | "oldest-group"),
        ReadyAt::Unsaid => !replies.is_empty(),
        ReadyAt::NoGroup(group) => kind == "oldest-group" && group.as_bytes() == b"g",
    }
}

/// Whether these replies say this answer. Every variant is decided: what nobody said is no answer.
fn is_said(answer: &Answer, kind: &str, replies: &[Resp]) -> bool {
    let is_error = |code: &str| {
        let mut errors = replies.iter().filter_map(|reply| match reply {
            Resp::Error(text) => Some(text.to_lowercase()),
            _ => None,
        });
        errors.any(|text| text.contains(code))
    };
    let text_is = |wanted: &str| replies.iter().any(|r| r.text() == Some(wanted.as_bytes()));
    let length_is = |wanted: u64| replies.iter().any(|reply| reply.length() == Some(wanted));
    match answer {
        Answer::Missing => match kind {
            "group" | "idle" => is_error("no such key") || text_is("none"),
            "size" | "typed" | "due" | "leased" => text_is("none") || length_is(0),
            "oldest-group" => is_error("no such key") || text_is("none"),
            kind if kind.starts_with("oldest") => text_is("none") || is_empty(replies.first()),
            _ => text_is("none"),
        },
        Answer::Size(SizeAnswer::Members(members)) => {
            replies.first().and_then(Resp::length) == Some(*members)
        }
        Answer::Size(SizeAnswer::Number(number)) => {
            let says = |reply: &Resp| {
                let text = reply.text().and_then(|text| std::str::from_utf8(text).ok());
                let text = text.map(str::trim).filter(|text| is_plain_decimal(text));
                text.and_then(|text| text.parse().ok()) == Some(*number)
            };
            number.is_finite() && *number >= 0.0 && replies.iter().any(says)
        }
        Answer::Size(SizeAnswer::NotANumber) => replies.iter().any(|reply| reply.text().is_some()),
        Answer::Number(NumberAnswer::Is(number)) => is_number(*number, replies),
        Answer::Number(NumberAnswer::NotANumber) => {
            replies.iter().any(|reply| reply.text().is_some())
        }
        Answer::Oldest(OldestAnswer { ready, .. }) => is_oldest(ready, kind, replies),
        Answer::WrongType(name) => {
            let says = |reply: &Resp| match reply {
                Resp::Int(number) => number.to_string() == *name,
                other => other.text().map(String::from_utf8_lossy).is_some_and(|t| t == *name),
            };
            name != "none" && replies.iter().any(says)
        }
        Answer::Flag(stands) => match (kind, &replies[0]) {
            ("value", reply) => reply.text().map(|text| text == b"g") == Some(*stands),
            (_, Resp::Truth(truth)) => truth == stands,
            (_, Resp::Int(number)) => *number == i64::from(*stands),
            _ => false,
        },
        Answer::Group(GroupAnswer::State { waiting, pending }) => {
            is_group(*waiting, *pending, replies)
        }
        Answer::Idle(IdleAnswer::Entries { entries, busy, overflow }) => {
            is_idle((*entries, *busy), replies) && is_overflow(*overflow, replies)
        }
        // No key holds it.
        Answer::Heartbeats(_) => false,
        Answer::Group(GroupAnswer::Missing { entries })
        | Answer::Idle(IdleAnswer::MissingGroup { entries }) => {
            // How long the stream is was asked for with the groups of a group.
            let length = replies.get(if kind == "group" { 2 } else { 1 }).and_then(Resp::length);
            length == Some(*entries) && row(&replies[0]).is_none()
        }
        Answer::PerMember(PerMemberAnswer { counted, examined, overflow, unsure }) => {
            let told = (*counted, *examined, *overflow);
            let is_so = if kind == "each-exists" { is_rest } else { is_sum };
            *unsure <= *counted && is_so(told, replies)
        }
    }
}

/// The row of the group `g`.
fn row(reply: &Resp) -> Option<&Resp> {
    let is_it = |row: &&Resp| row.field("name").and_then(Resp::text) == Some(b"g");
    reply.list()?.iter().find(is_it)
}

fn is_group(waiting: Waiting, pending: u64, replies: &[Resp]) -> bool {
    let Some(row) = replies.first().and_then(row) else { return false };
    let is_pending = row.field("pending").and_then(Resp::length) == Some(pending);
    is_pending && is_waiting(waiting, row, &replies[1..])
}

/// Whether so many entries follow the last delivered one: how long is the stream, does any follow, is any kept
/// before it, and how many are there, in pages with the length before each, whose growth is taken off. The lag is only a bound where it is more than what was counted.
fn is_waiting(waiting: Waiting, row: &Resp, said: &[Resp]) -> bool {
    if is_at_the_last_id(row) {
        return waiting == Waiting::Exact(0);
    }
    let page = |reply: &Resp| reply.list().map(|entries| entries.len() as u64);
    let Some(before) = said.first().and_then(Resp::length) else { return false };
    if before == 0 {
        return waiting == Waiting::Exact(0);
    }
    let Some(follow) = said.get(1).and_then(page) else { return false };
    if follow == 0 {
        return waiting == Waiting::Exact(0);
    }
    let (kept, length) = (said.get(2).and_then(page), said.get(3).and_then(Resp::length));
    let (Some(kept), Some(length)) = (kept, length) else { return false };
    if kept == 0 {
        return waiting == Waiting::Exact(length.min(before));
    }
    // The lengths and pages that were asked for come first among what is left.
    let mut sums = said[4..].chunks_exact(2).scan(follow, |sum, replies| {
        let grown = replies[0].length()?.saturating_sub(before);
        *sum += page(&replies[1])?;
        Some(if grown > *sum { *sum } else { *sum - grown })
    });
    match waiting {
        Waiting::Exact(entries) => sums.any(|sum| sum == entries),
        Waiting::AtMost(entries) => {
            let lag = row.field("lag").and_then(Resp::length);
            let lengths = || said[4..].iter().filter_map(Resp::length);
            lengths().any(|length| length == entries || (lag == Some(entries) && entries < length))
        }
    }
}

fn is_at_the_last_id(row: &Resp) -> bool {
    let last = row.field("last-delivered-id").and_then(Resp::text);
    last == Some(b"18446744073709551615-18446744073709551615")
}

/// Whether so many pending entries are idle: those of one page, which is more than an input can hold.
fn is_idle((entries, busy): (u64, bool), replies: &[Resp]) -> bool {
    let Some(row) = replies.first().and_then(row) else { return false };
    let Some(pending) = row.field("pending").and_then(Resp::length) else { return false };
    if pending > limits::IDLE_AMONG {
        return entries == 0 && busy;
    }
    if pending == 0 {
        let follows = replies.get(1).and_then(Resp::list).is_some_and(|page| !page.is_empty());
        return entries == 0 && busy == (follows && !is_at_the_last_id(row));
    }
    let idle = |entry: &Resp| {
        let times = entry.list().and_then(|entry| entry.get(2)?.length());
        times.is_some_and(|ms| u128::from(ms) >= IDLE.as_millis())
    };
    let page = replies.get(1).and_then(Resp::list).unwrap_or_default();
    busy && entries == page.iter().filter(|entry| idle(entry)).count() as u64
}

/// Whether so many pending entries were not looked at: all of them, where they are too many.
fn is_overflow(overflow: u64, replies: &[Resp]) -> bool {
    let pending = replies.first().and_then(row).and_then(|row| row.field("pending")?.length());
    pending
        .is_some_and(|pending| overflow == if pending > limits::IDLE_AMONG { pending } else { 0 })
}

/// Whether what the members have adds up: one number each, in their order.
fn is_sum((counted, examined, overflow): (u64, u64, u64), replies: &[Resp]) -> bool {
    let Some(size) = replies.first().and_then(Resp::length) else { return false };
    if size == 0 {
        return (counted, examined, overflow) == (0, 0, 0);
    }
    let Some(members) = replies.get(1).and_then(Resp::list) else { return false };
    let asked = members.len().min(limits::MEMBERS_EXAMINED);
    let numbers: Option<Vec<u64>> = replies.iter().skip(2).take(asked).map(Resp::length).collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.len() == asked) else { return false };
    let sum = numbers.iter().fold(0, |sum: u64, number| sum.saturating_add(*number));
    counted == sum
        && examined == asked as u64
        && (overflow == 0 || members.len() >= limits::MEMBERS_EXAMINED)
}

/// Whether as many members count as were listed, less those that have no key and are listed again: after each
/// 250 that were asked, of which the first come with the size where there may be more.
fn is_rest((counted, examined, overflow): (u64, u64, u64), replies: &[Resp]) -> bool {
    let Some(members) = replies.first().and_then(Resp::list) else { return false };
    let most = limits::MEMBERS_EXAMINED;
    let members = &members[..members.len().min(most)];
    let (mut said, mut beyond, mut gone) = (&replies[1..], 0, 0);
    if members.len() == most {
        let Some(size) = said.first().and_then(Resp::length) else { return false };
        (beyond, said) = (size.saturating_sub(most as u64), &said[1..]);
    }
    for asked in members.chunks(250) {
        let Some((numbers, rest)) = said.split_at_checked(asked.len()) else { return false };
        let Some(listed) = rest.first().and_then(Resp::list) else { return false };
        if numbers.iter().any(|number| number.length().is_none()) {
            return false;
        }
        let none = asked.iter().zip(numbers).filter(|(_, number)| number.length() == Some(0));
        let none: Vec<&[u8]> = none.filter_map(|(member, _)| member.text()).collect();
        let again: Vec<&[u8]> = listed.iter().take(most).filter_map(Resp::text).collect();
        let times = |name: &[u8], of: &[&[u8]]| of.iter().filter(|other| **other == name).count();
        let names: BTreeSet<&[u8]> = none.iter().copied().collect();
        gone += names.iter().map(|name| times(name, &none).min(times(name, &again))).sum::<usize>();
        said = &rest[1..];
    }
    let told = (members.len() as u64, beyond, (members.len() - gone) as u64);
    (examined, overflow, counted) == told
}

/// Whether the second reply names a score that is so far away: a second is for the clocks.
fn score(reply: Option<&Resp>, time: Duration) -> bool {
    let known = reply.is_some_and(|reply| reply.list().is_some_and(|all| !all.is_empty()));
    known && time <= Duration::from_secs_f64(1e19)
}
