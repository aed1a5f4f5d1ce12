//! Jobs that are moved forward and back, a thousand times a second, while answers are sampled: none is ever
//! lower than what is not finished. The moves are those of the frameworks: one step where theirs is one,
//! and otherwise as many commands as theirs, one after the other.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use deadpool_redis::redis::{Cmd, Connection, Value, from_redis_value};
use tokio::time::{Instant, sleep};

use crate::{
    harness::{Kind, Server, Service, millis},
    on_both_servers,
    streams::Pushes,
    wire::{Keda, Trigger, trigger},
};

on_both_servers!(no_answer_is_too_low_while_jobs_move_forward_and_back);

/// Moves of a job in one layout: each is one command, or several one after the other. `J` is the job.
struct Moves {
    name: &'static str,
    metadata: &'static str,
    /// Puts a job in.
    put: &'static str,
    /// Takes one; the replies to the first command is the job.
    take: &'static [&'static str],
    /// Puts it back.
    back: &'static [&'static str],
}

const LUA_LARAVEL: &str = "EVAL local\u{1}j=redis.call('LPOP',KEYS[1]);redis.call('ZADD',KEYS[2],9e9,j);return\u{1}j 2 queues:q queues:q:reserved";
const LUA_RELEASE: &str = "EVAL redis.call('ZREM',KEYS[2],ARGV[1]);return\u{1}redis.call('RPUSH',KEYS[1],ARGV[1]) 2 queues:q queues:q:reserved J";

const MOVES: &[Moves] = &[
    Moves {
        name: "bullmq",
        metadata: "layout=bullmq queue=q",
        put: "LPUSH bull:q:wait J",
        take: &["LMOVE bull:q:wait bull:q:active RIGHT LEFT"],
        back: &["LMOVE bull:q:active bull:q:wait RIGHT RIGHT"],
    },
    Moves {
        name: "asynq",
        metadata: "layout=asynq queue=q",
        put: "LPUSH asynq:{q}:pending J",
        take: &["RPOPLPUSH asynq:{q}:pending asynq:{q}:active"],
        back: &["LMOVE asynq:{q}:active asynq:{q}:pending LEFT RIGHT"],
    },
    Moves {
        name: "laravel",
        metadata: "layout=laravel prefix= queue=q",
        put: "RPUSH queues:q J",
        take: &[LUA_LARAVEL],
        back: &[LUA_RELEASE],
    },
    Moves {
        name: "bee-queue",
        metadata: "layout=bee-queue queue=q",
        put: "LPUSH bq:q:waiting J",
        take: &["RPOPLPUSH bq:q:waiting bq:q:active"],
        back: &["LMOVE bq:q:active bq:q:waiting LEFT LEFT"],
    },
    Moves {
        name: "reliable-list",
        metadata: "layout=reliable-list queue=main",
        put: "LPUSH main J",
        take: &["LMOVE main main:processing RIGHT LEFT"],
        back: &["LMOVE main:processing main LEFT RIGHT"],
    },
    Moves {
        name: "celery, unacked of its own",
        metadata: "layout=celery queue=c acks=late unacked=own",
        put: "LPUSH c J",
        take: &["BRPOP c 1", "HSET unacked J 1"],
        back: &["HDEL unacked J", "RPUSH c J"],
    },
    Moves {
        name: "rq",
        metadata: "layout=rq queue=q",
        put: "RPUSH rq:queue:q J",
        take: &["LPOP rq:queue:q", "ZADD rq:wip:q 9e9 J"],
        back: &["ZREM rq:wip:q J", "RPUSH rq:queue:q J"],
    },
    Moves {
        name: "resque",
        metadata: "layout=resque queue=q",
        put: "RPUSH resque:queue:q J",
        take: &["LPOP resque:queue:q", "SET resque:worker:w {\"queue\":\"q\"}"],
        back: &["RPUSH resque:queue:q J", "DEL resque:worker:w"],
    },
    Moves {
        name: "keys, popped and pushed",
        metadata: "waiting=plain inFlight=doing",
        put: "LPUSH plain J",
        take: &["RPOP plain", "LPUSH doing J"],
        back: &["LREM doing 1 J", "RPUSH plain J"],
    },
];

/// Sends a command, and tells the job that it gives: its reply, or the last word of it.
fn send(redis: &mut Connection, command: &str, job: &str) -> Option<String> {
    let mut words = Cmd::new();
    for word in command.split(' ') {
        words.arg(word.replace('\u{1}', " ").replace('J', job));
    }
    let reply: Value = words.query(redis).unwrap();
    let one = from_redis_value::<Vec<String>>(reply).ok()?;
    one.into_iter().next_back()
}

/// Takes a job and puts it back, at most a thousand moves a second, until told to stop.
fn keep_moving(redis: &mut Connection, moves: &Moves, stop: &AtomicBool, moved: &AtomicU64) {
    let (mut next, mut random) = (Instant::now(), fastrand::Rng::with_seed(7));
    while !stop.load(Ordering::SeqCst) {
        let (first, rest) = moves.take.split_first().unwrap();
        let job = send(redis, first, "").expect("there is always a job that waits");
        rest.iter().for_each(|command| drop(send(redis, command, &job)));
        // Sometimes it stays where it is for a while.
        if random.u8(..) < 8 {
            thread::sleep(millis(15));
        }
        moves.back.iter().for_each(|command| drop(send(redis, command, &job)));
        moved.fetch_add(2, Ordering::SeqCst);
        next = (next + millis(2)).max(Instant::now() - millis(20));
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// The lowest answer of this time, asked for every 20 ms.
async fn lowest(keda: &Keda, trigger: &Trigger, lasting: Duration) -> (f64, usize) {
    let (end, mut lowest, mut answers) = (Instant::now() + lasting, f64::MAX, 0);
    while Instant::now() < end {
        let (value, active) = tokio::join!(keda.value(trigger), keda.is_active(trigger));
        assert!(active.unwrap(), "after {answers} answers");
        lowest = lowest.min(value.unwrap());
        answers += 1;
        sleep(millis(20)).await;
    }
    (lowest, answers)
}

/// How long each layout is looked at. `MOVING=20` looks for longer than a test should.
#[expect(
    clippy::disallowed_methods,
    reason = "this is not the service, and reads one number for a person"
)]
fn lasting() -> Duration {
    let seconds = std::env::var("MOVING").map_or(1, |seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds)
}

async fn no_answer_is_too_low_while_jobs_move_forward_and_back(kind: Kind) {
    for tracked in [true, false] {
        let server = Server::start(kind);
        server.run("SET resque:worker:w idle\nSADD resque:workers w\nDEL resque:worker:w");
        if !tracked {
            server.run("ACL SETUSER default -client|tracking");
        }
        let (pushed, polled) = (Service::of(&server).await, Service::of(&server).await);
        let (pushed, polled) = (pushed.keda().await, polled.keda().await);
        for moves in MOVES {
            let pairs = moves.metadata.split(' ').map(|pair| pair.split_once('=').unwrap());
            let trigger = trigger(pairs);
            let mut redis = server.connect();
            for job in ["a", "b", "c"] {
                send(&mut redis, moves.put, job);
            }
            let _stream = Pushes::of(&pushed, &trigger).await;
            for keda in [&pushed, &polled] {
                assert_eq!(keda.value(&trigger).await.unwrap(), 3.0, "{}", moves.name);
            }
            let (stop, moved) = (AtomicBool::new(false), AtomicU64::new(0));
            let (one, other) = thread::scope(|scope| {
                scope.spawn(|| keep_moving(&mut redis, moves, &stop, &moved));
                let sampled = tokio::task::block_in_place(|| {
                    let both = async {
                        tokio::join!(
                            lowest(&pushed, &trigger, lasting()),
                            lowest(&polled, &trigger, lasting())
                        )
                    };
                    tokio::runtime::Handle::current().block_on(both)
                });
                stop.store(true, Ordering::SeqCst);
                sampled
            });
            let moved = moved.load(Ordering::SeqCst);
            eprintln!(
                "{:<28} tracked {tracked:<5} {moved:>6} moves, lowest {one:?} {other:?}",
                moves.name
            );
            assert!(moved >= 100, "{}: only {moved} moves", moves.name);
            assert!(one.0 >= 3.0 && other.0 >= 3.0, "{}: {one:?} {other:?}", moves.name);
        }
    }
}
