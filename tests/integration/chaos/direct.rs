//! What the test's own connection does for the fleet: it counts, and puts jobs on idle queues.

use deadpool_redis::redis::{self, Cmd};
use tokio::time::Instant;

pub use crate::harness::{Direct, line, pipeline};

use super::{
    books::Books,
    fleet::{Fleet, How, IDLE, PLAIN, plain},
};

/// Counts every part of a fleet.
pub async fn count(direct: &mut Direct, fleet: &Fleet) -> Vec<f64> {
    let mut values = direct.insist(&pipeline([fleet.count()])).await;
    redis::from_redis_value(values.remove(0)).unwrap()
}

/// Enters what every part holds in the books.
pub async fn take_stock(direct: &mut Direct, books: &mut Books) {
    let asked_at = Instant::now();
    let counts = count(direct, &books.fleet).await;
    books.note(counts, asked_at);
}

/// The commands that put a job on every idle queue; `number` tells one round from another.
pub fn jobs_for_the_idle(number: u32) -> Vec<Cmd> {
    let add = |how: How| {
        let key = plain(how, IDLE);
        line(&match how {
            How::Set => format!("SADD {key} {number}"),
            How::Sorted => format!("ZADD {key} {number} {number}"),
            How::Hash => format!("HSET {key} {number} 1"),
            How::Number => format!("INCR {key}"),
            How::Stream => format!("XADD {key} * job {number}"),
            How::List | How::Due | How::Lag | How::Pending => format!("RPUSH {key} {number}"),
        })
    };
    let group = line(&format!("XADD group:{IDLE} * job {number}"));
    PLAIN.into_iter().map(add).chain([group]).collect()
}
