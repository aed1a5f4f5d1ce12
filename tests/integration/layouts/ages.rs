//! When the oldest job became ready, as each framework writes it: with the forms and units of live runs.

use std::time::Duration;

use penstock::layouts::Measure;

use super::{Eye, parse};
use crate::{
    harness::{Kind, Server},
    on_both_servers,
};

on_both_servers!(
    each_framework_says_since_when_its_oldest_job_waits,
    a_job_that_says_nothing_makes_the_age_unknown_and_no_zero,
    nothing_that_is_ready_has_no_age,
    a_task_of_huey_has_its_time_before_it,
);

/// A message of Celery whose time is to come.
const ETA: &str =
    " {\"headers\":{\"published_at\":1795924801,\"eta\":\"2285-01-01T00:00:00+00:00\"}}";
/// Seconds of the time 2026-11-29T04:00:00Z.
const BASE: u32 = 1_795_924_800;

/// Microseconds before a task, of which each byte is a character: 2026-11-29T02:59:13.8Z.
const HUEY: u64 = 0x0006_6161_7a6b_5840;

/// What a framework left there, the trigger, and how many seconds after [`BASE`] the oldest became ready.
type Row = (&'static str, &'static str, f64);

const LISTS: &[Row] = &[
    // Seconds with a fraction, and an eta that comes later; of the priorities the oldest counts.
    (
        "LPUSH celery {\"headers\":{\"published_at\":1795924830.25,\"eta\":null}}\n\
         LPUSH celery {\"headers\":{\"published_at\":1795924840.5,\"eta\":null}}\n\
         LPUSH celery:3 {\"headers\":{\"published_at\":1795924820.5,\"eta\":null}}",
        "layout=celery queue=celery sep=:",
        20.5,
    ),
    (
        "LPUSH celery {\"headers\":{\"published_at\":1795924801.5,\"eta\":\"2026-11-28T23:17:10.5-05:00\"}}",
        "layout=celery queue=celery",
        1_030.5,
    ),
    // One that a worker rejected stands at the far end, and those of a warm shutdown the wrong way round.
    (
        "RPUSH celery {\"headers\":{\"published_at\":1795924805}} {\"headers\":{\"published_at\":1795924850}}\n\
         RPUSH celery {\"headers\":{\"published_at\":1795924851}} {\"headers\":{\"published_at\":1795924810}}\n\
         RPUSH celery {\"headers\":{\"published_at\":1795924811}} {\"headers\":{\"published_at\":1795924812}}",
        "layout=celery queue=celery",
        5.0,
    ),
    // A number and a text, in one field of two versions.
    (
        "LPUSH queue:default {\"enqueued_at\":1795924807.668746}\n\
         LPUSH queue:default {\"enqueued_at\":1795924806386}",
        "layout=sidekiq queue=default",
        6.386,
    ),
    (
        "ZADD schedule 1795924803.5 s\nZADD retry 1795924802.5 r\nLPUSH queue:default {\"enqueued_at\":1795924809}",
        "layout=sidekiq queue=default scheduled=count",
        2.5,
    ),
    (
        "RPUSH resque:queue:q {\"class\":\"J\",\"args\":[{\"enqueued_at\":\"2026-11-29T04:00:08Z\"}]}",
        "layout=resque queue=q",
        8.0,
    ),
    (
        "RPUSH resque:queue:q {\"class\":\"J\",\"args\":[1],\"published_at\":1795924809.75}",
        "layout=resque queue=q",
        9.75,
    ),
    (
        "RPUSH queues:default {\"pushedAt\":\"1795924813.25\",\"createdAt\":1795924802,\"delay\":null}",
        "layout=laravel prefix= queue=default",
        13.25,
    ),
    (
        "RPUSH queues:default {\"createdAt\":1795924802,\"delay\":60}\nZADD queues:default:delayed 1795924861 d",
        "layout=laravel prefix= queue=default",
        61.0,
    ),
    (
        "RPUSH tasks {\"UUID\":\"u\",\"ETA\":\"2026-11-29T04:00:30.5Z\",\"Headers\":{\"published_at\":1795924805000}}",
        "layout=machinery queue=tasks",
        30.5,
    ),
    (
        "LPUSH taskiq {\"labels\":{\"published_at\":1795924804.5}}",
        "layout=taskiq queue=taskiq",
        4.5,
    ),
    // A parallel group is pushed where it is taken, so that the oldest is at the other end.
    (
        "LPUSH g:queue {\"created_at\":1795924810.5} {\"created_at\":1795924811} {\"created_at\":1795924812}\n\
         LPUSH g:queue {\"created_at\":1795924813} {\"created_at\":1795924814} {\"created_at\":1795924815}",
        "layout=graflow queue=g",
        10.5,
    ),
    ("LPUSH q {\"at\":{\"ns\":1795924803250000000}}", "queue=q readyAt=/at/ns", 3.25),
    ("RPUSH q 1795924803 1795924999", "queue=q readyAt= takenFrom=left", 3.0),
    ("RPUSH q {\"at\":1795924803000000}", "layout=reliable-list queue=q readyAt=at", 3.0),
    ("RPUSH q {\"at\":\"2026-11-29T04:00:03.5\"}", "layout=lease queue=q readyAt=/at", 3.5),
    (
        "ZADD later 1795924803500 j\nLPUSH q {\"at\":1795924804}",
        "queue=q scheduled=later unit=ms readyAt=/at",
        3.5,
    ),
];

const HASHES: &[Row] = &[
    // A job that was put in front is newer than the one behind it, and one that is gone says nothing.
    (
        "RPUSH rq:queue:q gone b a\nHSET rq:job:a enqueued_at 2026-11-29T04:00:07.541026Z\n\
         HSET rq:job:b enqueued_at 2026-11-29T04:00:09Z",
        "layout=rq queue=q",
        7.541_026,
    ),
    (
        "ZADD rq:scheduled:q 1795924806 s\nRPUSH rq:queue:q a\nHSET rq:job:a enqueued_at 2026-11-29T04:00:07Z",
        "layout=rq queue=q scheduled=count",
        6.0,
    ),
    // What waits by its priority, and what is due, are ready too.
    (
        "LPUSH bull:q:wait 1\nHSET bull:q:1 timestamp 1795924830000 delay 0 opts {\"attempts\":0}\n\
         ZADD bull:q:prioritized 4294967297 2\nHSET bull:q:2 timestamp 1795924820000 opts {\"delay\":1500}",
        "layout=bullmq queue=q",
        21.5,
    ),
    (
        "LPUSH bull:q:wait 1\nHSET bull:q:1 timestamp 1795924801000 opts {} processedOn 1795924840250 atm 1",
        "layout=bullmq queue=q",
        40.25,
    ),
    ("ZADD bull:q:delayed 7356107981824001 3", "layout=bullmq queue=q", 0.25),
    (
        "LPUSH bull:q:wait 1\nHSET bull:q:1 timestamp 1795924830000 delay 0 opts {\"delay\":500}",
        "layout=bull queue=q",
        30.5,
    ),
    (
        "LPUSH bq:q:waiting 1\nLPUSH bq:q:waiting 2\n\
         HSET bq:q:jobs 1 {\"options\":{\"timestamp\":1795924810000,\"delay\":1795924830000}}\n\
         HSET bq:q:jobs 2 {\"options\":{\"timestamp\":1795924820000}}",
        "layout=bee-queue queue=q",
        20.0,
    ),
    // What a shutdown put back has no time, and stands where it is taken.
    (
        "LPUSH asynq:{q}:pending b\nRPUSH asynq:{q}:pending a\nHSET asynq:{q}:t:a msg m\n\
         HSET asynq:{q}:t:b msg m pending_since 1795924845167721756\nZADD asynq:{q}:retry 1795924990 r",
        "layout=asynq queue=q",
        45.167_721_756,
    ),
    (
        "RPUSH dramatiq:q b a\nHSET dramatiq:q.msgs b {\"message_timestamp\":1795924831523,\"options\":{}}\n\
         HSET dramatiq:q.msgs a {\"message_timestamp\":1795924801523,\"options\":{\"requeue_timestamp\":1795924829000}}",
        "layout=dramatiq queue=q",
        29.0,
    ),
];

const OTHERS: &[Row] = &[
    // Those that wait for their eta stand where it is taken, and hide none.
    (
        "LPUSH celery {\"headers\":{\"published_at\":1795924803}}\n\
         RPUSH celery E E E E E E E E E",
        "layout=celery queue=celery",
        3.0,
    ),
    // Those that run have the lowest scores.
    (
        "ZADD arq:queue 1795924801000 a 1795924802000 b 1795924803500 c 1795924804000 d\n\
         SET arq:in-progress:a 1\nSET arq:in-progress:b 1",
        "layout=arq queue=arq:queue",
        3.5,
    ),
    (
        "XADD s 1795924801000-0 a 1\nXADD s 1795924802250-0 a 1\nXGROUP CREATE s g 1795924801000-0",
        "layout=stream queue=s group=g",
        2.25,
    ),
    ("XADD s 1795924801500-7 a 1", "layout=stream queue=s group=g", 1.5),
    ("XADD s 1795924801500-7 a 1", "layout=taskiq broker=stream queue=s", 1.5),
];

async fn oldest(eye: &mut Eye, metadata: &str) -> Result<f64, String> {
    let trigger = parse(&format!("{metadata} signal=latency target=30"));
    eye.counts(&trigger).await.map(|counts| counts[Measure::Oldest].get())
}

async fn each_framework_says_since_when_its_oldest_job_waits(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    for (left, metadata, after) in [LISTS, HASHES, OTHERS].concat() {
        server.run("FLUSHALL");
        server.run(&left.replace(" E", ETA));
        let told = oldest(&mut eye, metadata).await;
        let is_right =
            told.as_ref().is_ok_and(|told| (told - f64::from(BASE) - after).abs() < 1e-3);
        assert!(is_right, "{metadata}: {told:?}, not {after} after {BASE}");
    }
}

async fn a_task_of_huey_has_its_time_before_it(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    let task = |micros: u64| {
        let bytes = [&micros.to_be_bytes()[..], b"a task"].concat();
        String::from_utf8(bytes).unwrap()
    };
    let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
    let later = HUEY + 0x0100_0000;
    server.ask_words::<u64>(&["LPUSH", "huey.redis.q", &task(HUEY), &task(later)]);
    assert_eq!(oldest(&mut eye, "layout=huey queue=q").await, Ok(seconds(HUEY)));
    let refused = oldest(&mut eye, "layout=huey queue=q storage=priority").await.unwrap_err();
    assert!(refused.contains("expected a zset"), "{refused}");
    server.ask_words::<u64>(&["DEL", "huey.redis.q"]);
    server.ask_words::<u64>(&["ZADD", "huey.redis.q", "-1", &task(later), "0", &task(HUEY)]);
    let told = oldest(&mut eye, "layout=huey queue=q storage=priority").await;
    assert_eq!(told, Ok(seconds(HUEY)), "also where another is the next to run");
}

async fn a_job_that_says_nothing_makes_the_age_unknown_and_no_zero(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    for (left, metadata, told) in [
        (
            "LPUSH celery {\"headers\":{\"eta\":null}}",
            "layout=celery queue=celery",
            "contrib/celery",
        ),
        (
            "LPUSH celery {\"headers\":{\"eta\":\"2026-11-29T04:00:08Z\"}}",
            "layout=celery queue=celery",
            "contrib/celery",
        ),
        ("RPUSH rq:queue:q gone", "layout=rq queue=q", "enqueued_at"),
        ("RPUSH queues:q {\"job\":\"j\"}", "layout=laravel prefix= queue=q", "12.11"),
        ("LPUSH q nothing", "queue=q readyAt=/at", "readyAt says"),
        ("LPUSH q {\"at\":17}", "queue=q readyAt=/at", "readyAt says"),
        ("LPUSH q {\"at\":\"1970-01-01T00:00:00Z\"}", "queue=q readyAt=/at", "readyAt says"),
        ("SADD q a", "queue=q readyAt=/at", "expected a list"),
        ("LPUSH arq:queue a", "layout=arq queue=arq:queue", "expected zset"),
        ("ZADD arq:queue 7 a", "layout=arq queue=arq:queue", "times since the Unix epoch"),
        ("XADD s 1-1 a 1", "layout=stream queue=s group=g", "XADD with *"),
        ("XADD s 9999999999999-1 a 1", "layout=stream queue=s group=g", "XADD with *"),
        (
            "XADD s * a 1",
            "layout=stream queue=s group=g missingGroup=unknown",
            "no consumer group `g`",
        ),
    ] {
        server.run("FLUSHALL");
        server.run(left);
        let refused = oldest(&mut eye, metadata).await;
        assert!(refused.as_ref().is_err_and(|why| why.contains(told)), "{left}: {refused:?}");
    }
}

async fn nothing_that_is_ready_has_no_age(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    for (left, metadata) in [
        ("SET other 1", "layout=celery queue=celery"),
        ("SET other 1", "layout=bullmq queue=q"),
        ("SET other 1", "layout=stream queue=s group=g"),
        ("XADD s * a 1", "layout=stream queue=s group=g missingGroup=none"),
        ("XADD s * a 1\nXGROUP CREATE s g $", "layout=stream queue=s group=g"),
        ("ZADD arq:queue 1795924801000 a\nSET arq:in-progress:a 1", "layout=arq queue=arq:queue"),
        // While it is paused nothing of it can be taken.
        (
            "LPUSH bull:q:wait 1\nHSET bull:q:1 timestamp 1795924801000\nHSET bull:q:meta paused 1",
            "layout=bullmq queue=q",
        ),
    ] {
        server.run("FLUSHALL");
        server.run(left);
        assert_eq!(oldest(&mut eye, metadata).await, Ok(0.0), "{metadata}");
    }
}
