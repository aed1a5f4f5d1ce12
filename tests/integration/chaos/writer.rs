//! Somebody who writes to the queues at random, each kind of queue by the commands that its workers
//! use, and counts everything after each step.
//!
//! The steps follow from a seed.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{self, Cmd};
use fastrand::Rng;
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    books::Books,
    direct::{Direct, line, pipeline, take_stock},
    fleet::{How, IDLE, PLAIN, POLLED, Part, RESTLESS, STEADY, flow, plain},
};

/// Between two steps.
const PAUSE: Duration = Duration::from_millis(3);
/// The jobs that a steady workload has at least.
const LEAST_IN_FLOW: f64 = 4.0;
/// The jobs that a workload has at most.
const MOST_IN_FLOW: f64 = 14.0;
/// A score that has long come, and one that will not come soon (seconds since 1970).
const LONG_AGO: u64 = 1_000_000_000;
const FAR_AWAY: u64 = 4_000_000_000;

/// What the steady queues have from the start, and every group.
pub fn beginning() -> String {
    let [later, waiting, running] = flow(STEADY);
    let [list, set, sorted, hash, number, stream] = PLAIN.map(|how| plain(how, STEADY));
    let mut lines = vec![
        format!("RPUSH {list} a b"),
        format!("SADD {set} 0 1"),
        format!("ZADD {sorted} 1 0 2 1"),
        format!("HSET {hash} 0 1 1 1"),
        format!("SET {number} 4"),
        format!("XADD {stream} * job a"),
        format!("ZADD due:{STEADY} {LONG_AGO} 0"),
        format!("ZADD {later} {LONG_AGO} a"),
        format!("RPUSH {waiting} b c"),
        format!("RPUSH {running} d"),
        format!("XADD group:{STEADY} * job a"),
    ];
    for temper in [STEADY, RESTLESS, POLLED, IDLE] {
        lines.push(format!("XGROUP CREATE group:{temper} g 0 MKSTREAM"));
    }
    lines.join("\n")
}

/// Writes until it is stopped.
pub async fn write(
    mut direct: Direct,
    books: Arc<Mutex<Books>>,
    mut rng: Rng,
    stop: CancellationToken,
) {
    let mut number = 0;
    while !stop.is_cancelled() {
        let mut books = books.lock().await;
        number += 1;
        let mut commands = pipeline(step(&mut rng, &books, number));
        if rng.u8(0..4) == 0 {
            commands.atomic();
        }
        direct.try_once(&commands).await;
        take_stock(&mut direct, &mut books).await;
        drop(books);
        sleep(PAUSE).await;
    }
}

/// A random step.
fn step(rng: &mut Rng, books: &Books, number: u64) -> Vec<Cmd> {
    let temper = rng.choice([STEADY, RESTLESS, POLLED]).unwrap();
    let kinds = [PLAIN.as_slice(), &[How::Due, How::Lag, How::Pending]].concat();
    let choice = rng.usize(0..kinds.len() + 2);
    let Some(how) = kinds.get(choice).copied() else {
        return vec![flow_step(rng, books, temper, number)];
    };
    let is_of_group = matches!(how, How::Lag | How::Pending);
    let key = if is_of_group { format!("group:{temper}") } else { plain(how, temper) };
    let least = u64::from(temper == STEADY);
    let has_more = count(books, &key, how) > f64::from(u8::from(temper == STEADY));
    // The first member of a steady key is never taken away.
    let member = rng.u64(least..5);
    let grows = rng.bool();
    let one = match (how, grows) {
        (How::List, true) => format!("RPUSH {key} {number}"),
        (How::List, false) if has_more => format!("LPOP {key}"),
        (How::List, false) => format!("LPUSH {key} {number}"),
        (How::Set, true) => format!("SADD {key} {member}"),
        (How::Set, false) => format!("SREM {key} {member}"),
        (How::Sorted, true) => format!("ZADD {key} {number} {member}"),
        (How::Sorted, false) => format!("ZREM {key} {member}"),
        (How::Hash, true) => format!("HSET {key} {member} {number}"),
        (How::Hash, false) => format!("HDEL {key} {member}"),
        (How::Number, _) => format!("SET {key} {}", rng.u64(least..9)),
        (How::Stream, true) => format!("XADD {key} * job {number}"),
        (How::Stream, false) => format!("XTRIM {key} MAXLEN {}", rng.u64(least..3)),
        (How::Due, true) => {
            format!("ZADD {key} {} {member}", rng.choice([LONG_AGO, FAR_AWAY]).unwrap())
        }
        (How::Due, false) => format!("ZREM {key} {member}"),
        (How::Lag | How::Pending, _) => return group_step(rng, books, &key, number),
    };
    vec![line(&one)]
}

/// The commands of producers and workers of a consumer group. A worker makes the group if it is gone.
fn group_step(rng: &mut Rng, books: &Books, key: &str, number: u64) -> Vec<Cmd> {
    const ACKNOWLEDGE: &str = r"
        local pending = redis.call('XPENDING', KEYS[1], 'g', '-', '+', 1)
        if pending[1] then redis.call('XACK', KEYS[1], 'g', pending[1][1]) end";
    let known = count(books, key, How::Lag) + count(books, key, How::Pending);
    let may_finish = !key.ends_with(STEADY) || known > 1.0;
    let work = match rng.u8(0..4) {
        0 => line(&format!("XADD {key} * job {number}")),
        1 => line(&format!("XREADGROUP GROUP g worker COUNT 2 STREAMS {key} >")),
        _ if may_finish => script(ACKNOWLEDGE, &[key]),
        _ => line(&format!("XADD {key} * job {number}")),
    };
    vec![line(&format!("XGROUP CREATE {key} g 0 MKSTREAM")), work]
}

/// A job that comes, becomes due, is taken or is finished; each in one step, as frameworks do it.
fn flow_step(rng: &mut Rng, books: &Books, temper: &str, number: u64) -> Cmd {
    const PROMOTE: &str = r"
        local job = redis.call('ZPOPMIN', KEYS[1])
        if job[1] then redis.call('LPUSH', KEYS[2], job[1]) end";
    const TAKE_INTO_A_HASH: &str = r"
        local job = redis.call('RPOP', KEYS[1])
        if job then redis.call('HSET', KEYS[2], job, 1) end";
    const FINISH_IN_A_HASH: &str = r"
        local jobs = redis.call('HKEYS', KEYS[1])
        if jobs[1] then redis.call('HDEL', KEYS[1], jobs[1]) end";
    let keys = flow(temper);
    let is_steady = temper == STEADY;
    let [later, waiting, running] = keys.each_ref().map(String::as_str);
    let of_flow = |part: &Part| keys.contains(&part.key);
    let jobs: f64 = books
        .fleet
        .parts
        .iter()
        .zip(&books.counts)
        .filter(|(part, _)| of_flow(part))
        .map(|(_, count)| *count)
        .sum();
    let may_come = jobs < MOST_IN_FLOW;
    let may_finish = !is_steady || jobs > LEAST_IN_FLOW;
    match rng.u8(0..6) {
        0 if may_come => {
            line(&format!("ZADD {later} {} {number}", rng.choice([LONG_AGO, FAR_AWAY]).unwrap()))
        }
        1 if may_come => line(&format!("LPUSH {waiting} {number}")),
        2 => script(PROMOTE, &[later, waiting]),
        3 if is_steady => line(&format!("RPOPLPUSH {waiting} {running}")),
        3 => script(TAKE_INTO_A_HASH, &[waiting, running]),
        _ if may_finish && is_steady => line(&format!("RPOP {running}")),
        _ if may_finish => script(FINISH_IN_A_HASH, &[running]),
        _ => line(&format!("LPUSH {waiting} {number}")),
    }
}

fn script(text: &str, keys: &[&str]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(text).arg(keys.len()).arg(keys);
    command
}

/// The count of a part as it is in the books.
fn count(books: &Books, key: &str, how: How) -> f64 {
    let place = books.fleet.parts.iter().position(|part| part.key == key && part.how == how);
    books.counts[place.unwrap()]
}
