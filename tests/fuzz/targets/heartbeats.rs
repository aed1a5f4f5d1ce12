//! What workers say of themselves: the jobs of those that count, as each said last; and nothing is known
//! while somebody may have been missed, or said what nobody can read.
//!
//! The first line is how long after the last message is asked, in seconds, and whose jobs count: `pool`
//! and a pattern, or `queues` and names. Each other line is how long after the one before it a message
//! comes, where (`alive`, `gone`, another channel, or `raw` for a message in no envelope) and what it is.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use penstock::{
    layouts::{Answer, HeartbeatsAnswer, Read, Registry},
    redis::offline,
    sampling::Validity,
    trigger::Trigger,
};
use serde_json::{Value, json};

use crate::{
    engine::{Target, Traits},
    hold,
};

use super::access::is_match;

pub const TARGET: Target = Target { name: "heartbeats", words: WORDS, check };

const WORDS: &[&str] = &[
    "6 pool *\n",
    "6 queues q\n",
    "\n1 alive ",
    "\n1 gone ",
    "\n30 alive ",
    "\n0 raw ",
    "\n0 other ",
    r#"{"hostname": "a@x", "active": 2, "freq": 2}"#,
    r#"{"hostname": "b@x", "active": 3, "freq": 2, "queues": ["q", "r"]}"#,
    r#", "queues": ["q"]"#,
    r#", "processed": 7"#,
    r#", "x_worker_info": {"queues": ["q"]}"#,
    r#""hostname""#,
    r#""active""#,
    r#""freq""#,
    r#""queues""#,
    r#"{"hostname": "a@x"}"#,
    "a@x",
    "b@x",
    "a*",
    "*@x",
    "[ab]*",
    "2.5",
    "300",
    "301",
    "1e300",
    "18446744073709551615",
    "null",
    "{",
    "}",
    "[",
    "]",
];
/// Celery's way to read the beginning of a name: `/0.celeryev/…` on database 0.
const ALIVE: &str = "/0.celeryev/worker.heartbeat";
const GONE: &str = "/0.celeryev/worker.offline";
/// What a layout expects, and how long silence and listening take at least.
const INTERVAL: f64 = 2.0;
const SILENCE: f64 = 10.0;
const LISTENING: f64 = 5.0;

/// What somebody said, when, and whether that it ends.
struct Spoken {
    at: u64,
    is_end: bool,
    said: Option<Said>,
}

struct Said {
    name: String,
    jobs: u64,
    every: f64,
    queues: Option<Vec<String>>,
}

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut head = lines.next().unwrap_or_default().splitn(3, ' ');
    let (Some(after), Some(form), Some(whose)) = (head.next(), head.next(), head.next()) else {
        return Ok(());
    };
    let Some(read) = read(form, whose) else { return Ok(()) };
    let Read::Heartbeats(read) = &read else { return Ok(()) };
    let (mut at, mut messages, mut spoken) = (0, Vec::new(), Vec::new());
    for line in lines {
        let mut words = line.splitn(3, ' ');
        let (Some(later), Some(place), Some(body)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        at += seconds(later);
        let message = if place == "raw" { body.to_owned() } else { envelope(body) };
        let channel = match place {
            "alive" | "raw" => ALIVE,
            "gone" => GONE,
            other => other,
        };
        if [ALIVE, GONE].contains(&channel) {
            let is_end = channel == GONE;
            spoken.push(Spoken { at, is_end, said: said(&message, is_end) });
        }
        messages.push((Duration::from_secs(at), channel, message));
    }
    let asked = at + seconds(after);
    let borrowed: Vec<(Duration, &[u8], &[u8])> = messages
        .iter()
        .map(|(at, channel, message)| (*at, channel.as_bytes(), message.as_bytes()))
        .collect();
    let got = offline::heartbeats(read, &borrowed, Duration::from_secs(asked));
    let expected = tally(&spoken, asked, |said| counts(said, form, whose));
    traits.note((form, got.is_ok(), spoken.len().min(12)));
    traits.note(
        got.as_ref()
            .map_err(std::mem::discriminant)
            .ok()
            .map(|r| r.lasts == Validity::UntilAnnounced),
    );
    if let Err(fault) = &got {
        traits.note_message(&fault.to_string());
    }
    let got = got.ok().map(|reply| {
        let Answer::Heartbeats(HeartbeatsAnswer { jobs, .. }) = reply.answer else {
            panic!("{:?} was heard", reply.answer)
        };
        let left = match reply.lasts {
            Validity::For(left) => Some(left.as_secs_f64()),
            Validity::UntilAnnounced => None,
            Validity::Unknown => Some(-1.0),
        };
        (jobs, left)
    });
    let is_near = |one: f64, other: f64| (one - other).abs() < 1e-6;
    let is_so = match (got, expected) {
        (None, None) => true,
        (Some((jobs, None)), Some((expected, None))) => jobs == expected,
        (Some((jobs, Some(left))), Some((expected, Some(until)))) => {
            jobs == expected && is_near(left, until)
        }
        _ => false,
    };
    hold!(is_so, "jobs and for how long: {got:?}, and not {expected:?}");
    Ok(())
}

/// The read of a trigger of Celery's heartbeats.
fn read(form: &str, whose: &str) -> Option<Read> {
    let mut pairs = vec![("layout", "celery"), ("running", "heartbeats"), ("acks", "early")];
    match form {
        "pool" => pairs.extend([("queue", "q"), ("pool", whose)]),
        "queues" => pairs.push(("queue", whose)),
        _ => return None,
    }
    // What names of queues may be beside plain ones is another target's.
    if form == "queues" && whose.contains(['*', '?', '[', '\\', '=']) {
        return None;
    }
    let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    let pairs: Vec<(String, String)> = pairs.collect();
    let trigger = Trigger::parse(pairs, Registry::builtin()).ok()?;
    trigger.plan.reads().iter().find(|read| matches!(read, Read::Heartbeats(_))).cloned()
}

fn seconds(text: &str) -> u64 {
    text.parse().unwrap_or(0).min(400)
}

fn envelope(body: &str) -> String {
    json!({ "body": STANDARD.encode(body), "content-type": "application/json" }).to_string()
}

/// What a message says; nothing if it cannot be read.
fn said(message: &str, is_end: bool) -> Option<Said> {
    let outer: Value = serde_json::from_str(message).ok()?;
    let inner = STANDARD.decode(outer.get("body")?.as_str()?).ok()?;
    let body: Value = serde_json::from_slice(&inner).ok()?;
    let name = body.get("hostname")?.as_str()?.to_owned();
    if is_end {
        return Some(Said { name, jobs: 0, every: 0.0, queues: None });
    }
    let every = body.get("freq")?.as_f64().filter(|every| (0.0..=300.0).contains(every))?;
    let worker_info = || body.get("x_worker_info")?.get("queues");
    let queues = match body.get("queues").or_else(worker_info) {
        None => None,
        Some(list) => {
            let text = |queue: &Value| queue.as_str().map(str::to_owned);
            Some(list.as_array()?.iter().map(text).collect::<Option<Vec<String>>>()?)
        }
    };
    Some(Said { name, jobs: body.get("active")?.as_u64()?, every, queues })
}

/// Whether a worker counts.
fn counts(said: &Said, form: &str, whose: &str) -> bool {
    if form == "pool" {
        return is_match(whose.trim_matches(' ').as_bytes(), said.name.as_bytes());
    }
    let wanted: Vec<&str> = whose.split(',').map(str::trim).collect();
    said.queues.iter().flatten().any(|queue| wanted.contains(&queue.as_str()))
}

/// Jobs, and for how long that holds if nobody speaks; nothing if it is not known.
fn tally(
    spoken: &[Spoken],
    asked: u64,
    counts: impl Fn(&Said) -> bool,
) -> Option<(u64, Option<f64>)> {
    let mut last: BTreeMap<&str, (u64, &Said)> = BTreeMap::new();
    for one in spoken {
        match &one.said {
            Some(said) if one.is_end => drop(last.remove(said.name.as_str())),
            Some(said) => drop(last.insert(&said.name, (one.at, said))),
            None => {}
        }
    }
    let silence = |every: f64| (3.0 * every).max(SILENCE);
    #[expect(clippy::cast_precision_loss, reason = "some thousand seconds at most")]
    let ago = |at: u64| (asked - at) as f64;
    last.retain(|_, (at, said)| ago(*at) < silence(said.every));
    let longest = last.values().map(|(_, said)| said.every).fold(INTERVAL, f64::max);
    let doubted = spoken.iter().rfind(|one| one.said.is_none());
    if ago(0) < LISTENING.max(2.0 * longest + 1.0)
        || doubted.is_some_and(|one| ago(one.at) < silence(longest))
    {
        return None;
    }
    let busy = last.values().filter(|(_, said)| said.jobs > 0 && counts(said));
    let (mut jobs, mut left) = (0u64, None);
    for (at, said) in busy {
        jobs = jobs.saturating_add(said.jobs);
        let until = silence(said.every) - ago(*at);
        left = Some(left.map_or(until, |least: f64| least.min(until)));
    }
    Some((jobs, left))
}
