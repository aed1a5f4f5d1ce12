//! What other clients of the model Redis do: jobs come, move and end, and other keys change.
//!
//! Jobs move along the flow only; one that is given back is a new job, since no order of reads can follow
//! both ways.

use crate::{
    catalog::{KEYS, Kind},
    data::Content,
    server::Model,
};

const LATER: usize = 0;
const LISTS: [usize; 2] = [1, 2];
const DOING: usize = 3;
const LEASES: usize = 4;
const NUMBER: usize = 5;
const STREAMS: [usize; 2] = [6, 7];
/// Jobs that one key holds at most, so that counts stay small and collide often.
const MOST: usize = 6;

/// Another client does something.
pub fn write(model: &mut Model) {
    model.tick();
    match model.random.u8(..40) {
        0..=7 => enqueue(model),
        8..=20 => advance(model),
        21..=25 => finish(model),
        26 | 27 => renew(model),
        28 => pass_through(model),
        29..=31 => set_number(model),
        32..=37 => stream(model),
        38 => delete(model),
        _ => {
            if model.random.u8(..4) == 0 {
                flush(model);
            }
        }
    }
}

fn enqueue(model: &mut Model) {
    let key = [LATER, LATER, 1, 1, 2, DOING][model.random.usize(..6)];
    if model.data.keys[key].members.len() < MOST {
        let score = score(model, key);
        let job = model.data.jobs.begin(model.now, key, score);
        model.data.keys[key].members.insert(job, score);
        changed(model, key, "enqueued");
    }
}

/// A score for a key: when a job falls due, or until when it is leased. Clients' clocks are off.
fn score(model: &mut Model, key: usize) -> i64 {
    let now = model.data.clock.at(model.now);
    let ms = match key {
        LATER => model.random.i64(-500..4_000),
        LEASES => model.random.i64(-900..3_000),
        _ => 0,
    };
    now + ms * 1_000 + model.random.i64(0..1_000)
}

/// Moves a job along the flow.
fn advance(model: &mut Model) {
    let list = LISTS[model.random.usize(..2)];
    let moves = [
        (LATER, list),
        (list, DOING),
        (list, DOING),
        (list, LEASES),
        (DOING, LEASES),
        (LATER, LEASES),
    ];
    let (from, to) = moves[model.random.usize(..moves.len())];
    let now = model.data.clock.at(model.now);
    let skew = model.random.i64(-800_000..800_000);
    let is_ready = |score: i64| from != LATER || score <= now + skew;
    let found = model.data.keys[from].members.iter().find(|(_, score)| is_ready(**score));
    let Some((job, _)) = found.map(|(job, score)| (*job, *score)) else { return };
    let score = score(model, to);
    model.data.keys[from].members.remove(&job);
    model.data.keys[to].members.insert(job, score);
    model.data.jobs.shift(job, model.now, to, score);
    changed(model, from, "moved from");
    changed(model, to, "moved to");
}

fn finish(model: &mut Model) {
    let key = [DOING, DOING, LEASES, LEASES, 1][model.random.usize(..5)];
    if let Some((job, _)) = model.data.keys[key].members.pop_first() {
        model.data.jobs.end(job, model.now);
        changed(model, key, "finished");
    }
}

fn renew(model: &mut Model) {
    let Some(job) = model.data.keys[LEASES].members.keys().next_back().copied() else { return };
    let score = score(model, LEASES);
    model.data.keys[LEASES].members.insert(job, score);
    model.data.jobs.shift(job, model.now, LEASES, score);
    changed(model, LEASES, "renewed");
}

/// A worker that is blocked in BRPOP takes a job the moment it comes.
fn pass_through(model: &mut Model) {
    let key = LISTS[model.random.usize(..2)];
    let job = model.data.jobs.begin(model.now, key, 0);
    model.data.keys[key].members.insert(job, 0);
    changed(model, key, "passes");
    model.tick();
    model.data.keys[key].members.remove(&job);
    model.data.jobs.end(job, model.now);
    changed(model, key, "passed");
}

fn set_number(model: &mut Model) {
    let content = match model.random.u8(..8) {
        0 => Content::Missing,
        1 => Content::Text(None),
        number => Content::Text(Some(u32::from(number) - 2)),
    };
    if *model.data.content(NUMBER) != content {
        model.data.hold(NUMBER, model.now, content);
        announce(model, NUMBER, "set");
    }
}

/// XADD and DEL are announced; XREADGROUP, XACK and XGROUP are not. A group is destroyed only while
/// it has something, since the end of an idle one is told by nothing.
fn stream(model: &mut Model) {
    let key = STREAMS[model.random.usize(..2)];
    let (entries, group) = match model.data.content(key) {
        Content::Stream { entries, group } => (*entries, *group),
        Content::Missing | Content::List(_) | Content::SortedSet(_) | Content::Text(_) => (0, None),
    };
    let exists = *model.data.content(key) != Content::Missing;
    let (is_announced, entries, group) = match (model.random.u8(..10), group) {
        (0..=3, Some((waiting, pending))) if waiting < MOST as u64 => {
            (true, entries + 1, Some((waiting + 1, pending)))
        }
        (0..=3, None) if entries < MOST as u64 => (true, entries + 1, None),
        (4..=6, Some((waiting @ 1.., pending))) => {
            (false, entries, Some((waiting - 1, pending + 1)))
        }
        (7 | 8, Some((waiting, pending @ 1..))) => (false, entries, Some((waiting, pending - 1))),
        (9, Some((1.., _) | (_, 1..))) => (false, entries, None),
        (4..=9, None) if exists => (false, entries, Some((entries, 0))),
        _ => return,
    };
    model.data.hold(key, model.now, Content::Stream { entries, group });
    if is_announced {
        announce(model, key, "XADD to");
    } else {
        model.note(format_args!("silent change of {}", KEYS[key].0));
    }
}

fn delete(model: &mut Model) {
    let key = model.random.usize(..KEYS.len());
    if *model.data.content(key) != Content::Missing {
        empty(model, key);
        announce(model, key, "deleted");
    }
}

/// FLUSHALL
fn flush(model: &mut Model) {
    (0..KEYS.len()).for_each(|key| empty(model, key));
    model.note(format_args!("FLUSHALL"));
    model.flushed();
}

/// The key is gone, and its jobs with it.
pub fn empty(model: &mut Model, key: usize) {
    while let Some((job, _)) = model.data.keys[key].members.pop_first() {
        model.data.jobs.end(job, model.now);
    }
    model.data.hold(key, model.now, Content::Missing);
}

fn changed(model: &mut Model, key: usize, what: &str) {
    debug_assert!(matches!(KEYS[key].1, Kind::List | Kind::SortedSet));
    model.data.hold_members(key, model.now);
    announce(model, key, what);
}

fn announce(model: &mut Model, key: usize, what: &str) {
    let now = model.now;
    let content = model.data.keys[key].history.last().unwrap().1.clone();
    model.log.note(now, format_args!("{what} {}: {content:?}", KEYS[key].0));
    model.written(key);
}
