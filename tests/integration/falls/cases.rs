//! Ten jobs of each layout, and the commands by which they come and go.

use std::{fmt::Write, time::Duration};

use crate::wire::{Trigger, trigger};

/// A layout with jobs. In the commands `Q` is the queue and `N` the number of a
/// job; `W` is the queue as Huey writes it.
pub struct Case {
    pub name: &'static str,
    metadata: &'static str,
    /// One command, for each of ten jobs.
    job: &'static str,
    /// Commands after the jobs, one a line.
    then: &'static str,
    /// Commands by which all jobs are taken and finished.
    take: &'static str,
    /// How long workers may take to say what they do, for which the jobs from before stand.
    pub told_late: Duration,
}

const fn case(name: &'static str, metadata: &'static str, job: &'static str) -> Case {
    let told_late = Duration::ZERO;
    Case { name, metadata, job, then: "", take: "", told_late }
}

const fn late(case: Case, seconds: u64) -> Case {
    Case { told_late: Duration::from_secs(seconds), ..case }
}

/// Every layout, and the ways of counting that make a difference.
pub const CASES: &[Case] = &[
    case("arq", "layout=arq queue=Q", "ZADD Q N N"),
    case("asynq", "layout=asynq queue=Q", "LPUSH asynq:{Q}:pending N"),
    case("asynq-leases", "layout=asynq queue=Q orphans=ignore", "LPUSH asynq:{Q}:pending N"),
    case("bee-queue", "layout=bee-queue queue=Q", "LPUSH bq:Q:waiting N"),
    case("bull", "layout=bull queue=Q", "LPUSH bull:Q:wait N"),
    case("bullmq", "layout=bullmq queue=Q", "LPUSH bull:Q:wait N"),
    case("bullmq-locks", "layout=bullmq queue=Q orphans=ignore", "LPUSH bull:Q:wait N"),
    case("celery", "layout=celery queue=Q", "LPUSH Q N"),
    case("celery-late", "layout=celery queue=Q acks=late unacked=own", "LPUSH Q N"),
    late(case("celery-heartbeats", "layout=celery queue=Q running=heartbeats", "LPUSH Q N"), 8),
    Case {
        then: "HSET dramatiq:Q.msgs 1 1 2 1 3 1 4 1 5 1 6 1 7 1 8 1 9 1 10 1",
        take: "DEL dramatiq:Q\nDEL dramatiq:Q.msgs",
        ..case("dramatiq", "layout=dramatiq queue=Q", "RPUSH dramatiq:Q N")
    },
    case("graflow", "layout=graflow queue=Q", "RPUSH Q:queue N"),
    case("huey", "layout=huey queue=Q", "LPUSH huey.redis.W N"),
    case("keys", "waiting=Q inFlight=Q:doing", "LPUSH Q N"),
    case("keys-one", "queue=Q", "LPUSH Q N"),
    case("laravel", "layout=laravel prefix=app_ queue=Q", "RPUSH app_queues:Q N"),
    case("lease", "layout=lease queue=Q leases=penstock", "RPUSH Q N"),
    case("machinery", "layout=machinery queue=Q scheduled=count", "RPUSH Q N"),
    case("reliable-list", "layout=reliable-list queue=Q", "RPUSH Q N"),
    case("resque", "layout=resque queue=Q", "RPUSH resque:queue:Q N"),
    case("rq", "layout=rq queue=Q", "RPUSH rq:queue:Q N"),
    late(case("sidekiq", "layout=sidekiq queue=Q", "LPUSH queue:Q N"), 15),
    case("sidekiq-lists", "layout=sidekiq queue=Q fetch=lists lists=h:1:1", "LPUSH queue:Q N"),
    Case {
        then: "XGROUP CREATE Q g 0",
        take: "XREADGROUP GROUP g c COUNT 10 STREAMS Q >\nXACK Q g 1-1 2-1 3-1 4-1 5-1 6-1 7-1 8-1 9-1 10-1",
        ..case("stream", "layout=stream queue=Q group=g", "XADD Q N-1 f v")
    },
    case("taskiq", "layout=taskiq queue=Q", "LPUSH Q N"),
    Case {
        then: "XGROUP CREATE Q taskiq 0",
        take: "XREADGROUP GROUP taskiq c COUNT 10 STREAMS Q >\nXACK Q taskiq 1-1 2-1 3-1 4-1 5-1 6-1 7-1 8-1 9-1 10-1",
        ..case("taskiq-stream", "layout=taskiq broker=stream queue=Q", "XADD Q N-1 f v")
    },
];

impl Case {
    pub fn trigger(&self, queue: &str) -> Trigger {
        let pairs = self.metadata.split(' ').map(|pair| pair.split_once('=').unwrap());
        trigger(pairs.map(|(key, value)| (key.to_owned(), value.replace('Q', queue))))
    }

    /// The commands that put ten jobs in.
    pub fn put(&self, queue: &str) -> String {
        let mut commands = String::new();
        for n in 1..=10 {
            writeln!(commands, "{}", self.job.replace('N', &n.to_string())).unwrap();
        }
        commands.push_str(self.then);
        named(&commands, queue)
    }

    /// The commands that take and finish them.
    pub fn take(&self, queue: &str) -> String {
        let key = self.job.split(' ').nth(1).unwrap();
        let take = if self.take.is_empty() { format!("DEL {key}") } else { self.take.to_owned() };
        named(&take, queue)
    }
}

/// Huey keeps letters, digits and `_` of a queue's name only.
fn named(commands: &str, queue: &str) -> String {
    let word: String = queue.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    commands.replace('Q', queue).replace('W', &word)
}
