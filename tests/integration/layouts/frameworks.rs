//! What each framework keeps in Redis at a moment, and what is counted of it.

use deadpool_redis::redis;

use super::{Eye, Four};
use crate::{
    harness::{Kind, Server},
    on_both_servers,
};

on_both_servers!(every_framework_is_counted_at_every_moment);

/// A moment: the metadata, the commands that make it, and what is counted. In commands and keys `+n`
/// and `-n` are seconds from now, `~` is the unit, `^` the two bytes of Celery's priorities.
struct Moment {
    metadata: &'static str,
    commands: &'static str,
    counts: Four,
}

const fn moment(metadata: &'static str, commands: &'static str, counts: Four) -> Moment {
    Moment { metadata, commands, counts }
}

const MOMENTS: &[Moment] = &[
    moment(
        "layout=celery queue=celery",
        "RPUSH celery a b c|RPUSH celery^3 d e f|RPUSH celery^6 g h i|RPUSH celery^9 j",
        [10.0, 0.0, 0.0, 0.0],
    ),
    moment(
        "layout=celery queue=celery sep=:",
        "RPUSH celery a b|RPUSH celery:3 c d e|RPUSH celery:6 f|RPUSH celery:9 g|RPUSH celery^3 x",
        [7.0, 0.0, 0.0, 0.0],
    ),
    moment(
        "layout=celery queue=celery keyPrefix=my: sep=. prioritySteps=0,5",
        "RPUSH my:celery.5 a b|RPUSH my:celery c|RPUSH celery.5 x",
        [3.0, 0.0, 0.0, 0.0],
    ),
    moment(
        "layout=celery queue=celery sep=",
        "RPUSH celery3 a|RPUSH celery4 x",
        [1.0, 0.0, 0.0, 0.0],
    ),
    moment(
        "layout=celery queue=celery unacked=none",
        r#"RPUSH celery a|HSET unacked t1 [{},"","celery"]"#,
        [1.0, 0.0, 0.0, 0.0],
    ),
    moment(
        "layout=celery queue=emails keyPrefix=my: acks=late",
        r#"RPUSH my:emails a|HSET my:unacked t1 [{},"","emails"] t2 [{},"","other"] t3 [{},"","emails"] t4 [{},"feeds","feed.import"]"#,
        [1.0, 0.0, 3.0, 0.0],
    ),
    moment(
        "layout=celery queue=emails unacked=own unackedKey=mine",
        r#"HSET mine t1 x t2 y|HSET unacked t3 [{},"","emails"]"#,
        [0.0, 0.0, 2.0, 0.0],
    ),
    moment(
        "layout=celery queue=emails leases=penstock",
        "ZADD penstock:inflight:emails +60 a -60 b",
        [0.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=rq queue=default",
        "RPUSH rq:queue:default a b|RPUSH rq:queue:default:intermediate c|ZADD rq:wip:default +60 d -60 e|ZADD rq:scheduled:default -5 f",
        [2.0, 0.0, 3.0, 0.0],
    ),
    moment(
        "layout=rq queue=default scheduled=count orphans=wake",
        "ZADD rq:wip:default +60 d -60 e -90 f|ZADD rq:scheduled:default -5 g +60 h",
        [0.0, 1.0, 1.0, 2.0],
    ),
    moment(
        "layout=rq queue=default orphans=ignore",
        "ZADD rq:wip:default +60 d -60 e",
        [0.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=rq queue=default orphanMaxAge=75s",
        "ZADD rq:wip:default +60 d -60 e -90 f",
        [0.0, 0.0, 2.0, 0.0],
    ),
    moment(
        "layout=rq queue=default leadTime=2m scheduled=count",
        "ZADD rq:scheduled:default +60 g +600 h",
        [0.0, 1.0, 0.0, 0.0],
    ),
    moment(
        "layout=rq queue=default",
        "SET rq:suspended 1|RPUSH rq:queue:default a b|RPUSH rq:queue:default:intermediate c|ZADD rq:wip:default +60 d",
        [0.0, 0.0, 2.0, 0.0],
    ),
    moment(
        "layout=arq queue=arq:queue",
        "ZADD arq:queue -5000~ms a -4000~ms b -1000~ms c +60~ms d|SET arq:in-progress:a 1|SET arq:in-progress:other 1",
        [2.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=dramatiq queue=default",
        "RPUSH dramatiq:default a b c|HSET dramatiq:default.msgs a 1 b 1 c 1 d 1 e 1|HSET dramatiq:default.DQ.msgs f 1",
        [3.0, 0.0, 2.0, 0.0],
    ),
    moment(
        "layout=dramatiq queue=default delayed=count namespace=n",
        "HSET n:default.DQ.msgs f 1",
        [1.0, 0.0, 0.0, 0.0],
    ),
    moment(
        "layout=huey queue=my-app",
        "RPUSH huey.redis.myapp a b|ZADD huey.schedule.myapp -5 c +60 d",
        [2.0, 1.0, 0.0, 0.0],
    ),
    moment("layout=huey queue=app", "ZADD huey.redis.app 1 a 2 b", [2.0, 0.0, 0.0, 0.0]),
    moment("layout=taskiq queue=taskiq", "LPUSH taskiq a b", [2.0, 0.0, 0.0, 0.0]),
    moment(
        "layout=taskiq broker=stream queue=taskiq",
        "XGROUP CREATE taskiq taskiq 0 MKSTREAM|XADD taskiq 1-1 a 1|XADD taskiq 1-2 a 1|XADD taskiq 1-3 a 1|XREADGROUP GROUP taskiq c COUNT 1 STREAMS taskiq >",
        [2.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=bullmq queue=q",
        "LPUSH bull:q:wait 1 2|ZADD bull:q:prioritized 1 3|LPUSH bull:q:active 4 5|SET bull:q:4:lock t|ZADD bull:q:delayed -5~ms*4096 6 +60~ms*4096 7",
        [3.0, 1.0, 2.0, 0.0],
    ),
    moment(
        "layout=bullmq queue=q orphans=wake",
        "LPUSH bull:q:active 4 5 6|SET bull:q:4:lock t",
        [0.0, 0.0, 1.0, 2.0],
    ),
    moment(
        "layout=bullmq queue=q orphans=ignore",
        "LPUSH bull:q:active 4 5 6|SET bull:q:4:lock t",
        [0.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=bullmq queue=q prefix={my}:",
        "LPUSH {my}:q:wait 1|LPUSH {my}:q:active 2|HSET {my}:q:meta paused 1",
        [0.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=bull queue=q",
        "LPUSH bull:q:wait 1 2|ZADD bull:q:priority 1 1|LPUSH bull:q:active 4",
        [2.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=bull queue=q",
        "LPUSH bull:q:wait 1 2|LPUSH bull:q:active 4|SET bull:q:meta-paused 1",
        [0.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=bee-queue queue=q delayed=count",
        "LPUSH bq:q:waiting 1 2|LPUSH bq:q:active 3|ZADD bq:q:delayed -5~ms 4 +60~ms 5",
        [2.0, 1.0, 1.0, 0.0],
    ),
    moment("layout=bee-queue queue=q orphans=wake", "LPUSH bq:q:active 3", [0.0, 0.0, 0.0, 1.0]),
    moment(
        "layout=sidekiq queue=mail",
        r#"LPUSH queue:mail 1|SADD processes h:1:a h:2:b h:3:c|HSET h:1:a:work t1 {"queue":"mail"} t2 {"queue":"other"}|HSET h:2:b:work t1 {"queue":"mail"}|ZADD retry -5 x"#,
        [1.0, 0.0, 2.0, 0.0],
    ),
    moment(
        "layout=sidekiq queue=mail namespace=app: scheduled=count",
        r#"SADD app:processes h:1:a|HSET app:h:1:a:workers t1 {"queue":"mail"}|ZADD app:schedule -5 x +60 y|ZADD app:retry -5 z"#,
        [0.0, 2.0, 1.0, 0.0],
    ),
    moment(
        "layout=sidekiq queue=mail namespace=app",
        r#"LPUSH app:queue:mail 1|SADD app:processes h:1:a|HSET app:h:1:a:work t1 {"queue":"mail"}|LPUSH queue:mail 2"#,
        [1.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=sidekiq queue=mail fetch=super",
        r#"SADD processes h:1:a|HSET h:1:a:work t1 {"queue":"mail"}|LPUSH queue:mail 3"#,
        [1.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=sidekiq queue=mail fetch=reliable",
        r#"SADD processes h:1:a h:2:b|HSET h:1:a:work t1 {"queue":"mail"} t2 {"queue":"mail"}|LPUSH working:queue:mail:h:1:x 1 2|LPUSH working:queue:other:h:2:y 1|SADD paused mail|LPUSH queue:mail 3"#,
        [0.0, 0.0, 2.0, 0.0],
    ),
    moment(
        "layout=resque queue=mail",
        r#"RPUSH resque:queue:mail a b|SADD resque:workers h:1:mail h:2:*|SET resque:worker:h:1:mail {"queue":"mail"}|SET resque:worker:h:2:* {"queue":"other"}"#,
        [2.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=resque queue=mail namespace=my:",
        r#"RPUSH my:queue:mail a|SADD my:workers h:1:mail|SET my:worker:h:1:mail {"queue":"mail"}"#,
        [1.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=resque queue=mail namespace=",
        "RPUSH queue:mail a|RPUSH resque:queue:mail b c",
        [1.0, 0.0, 0.0, 0.0],
    ),
    moment(
        "layout=resque queue=mail",
        "RPUSH resque:queue:mail a b|SET resque:pause-all-workers true",
        [0.0, 0.0, 0.0, 0.0],
    ),
    moment(
        "layout=laravel queue=default prefix=laravel_database_",
        "RPUSH laravel_database_queues:default a|RPUSH laravel_database_queues:default:notify 1|ZADD laravel_database_queues:default:reserved -60 b +60 c|ZADD laravel_database_queues:default:delayed -5 d +60 e",
        [1.0, 1.0, 2.0, 0.0],
    ),
    moment(
        "layout=laravel queue={default} prefix=",
        "RPUSH queues:{default} a|ZADD queues:{default}:reserved 1 b",
        [1.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=asynq queue=default",
        "LPUSH asynq:{default}:pending a|LPUSH asynq:{default}:active b c|ZADD asynq:{default}:lease +60 b -60 c|ZADD asynq:{default}:scheduled -5 d|ZADD asynq:{default}:retry -5 e +60 f",
        [1.0, 2.0, 2.0, 0.0],
    ),
    moment(
        "layout=asynq queue=default orphans=wake",
        "LPUSH asynq:{default}:pending a|LPUSH asynq:{default}:active b c|ZADD asynq:{default}:lease +60 b -60 c|SET asynq:{default}:paused 1",
        [0.0, 0.0, 1.0, 1.0],
    ),
    moment(
        "layout=asynq queue=default",
        "ZADD asynq:{default}:g:mails 1 a 2 b|ZADD asynq:{default}:g:pings 1 c|SADD asynq:{default}:groups mails pings|ZADD asynq:{default}:aggregation_sets +60 set",
        [3.0, 0.0, 0.0, 0.0],
    ),
    moment(
        "layout=asynq queue=default groups=ignore",
        "SADD asynq:{default}:groups mails|ZADD asynq:{default}:aggregation_sets +60 set|LPUSH asynq:{default}:pending a",
        [1.0, 0.0, 0.0, 0.0],
    ),
    moment(
        "layout=machinery queue=machinery_tasks scheduled=count",
        "RPUSH machinery_tasks a|ZADD delayed_tasks -5~ns b +60~ns c",
        [1.0, 1.0, 0.0, 0.0],
    ),
    moment("layout=graflow queue=graflow", "RPUSH graflow:queue a b", [2.0, 0.0, 0.0, 0.0]),
    moment(
        "layout=reliable-list queue=q",
        "RPUSH q a b|RPUSH q:processing c",
        [2.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=reliable-list queue=q processing=-busy orphans=wake",
        "RPUSH q a b|RPUSH q-busy c",
        [2.0, 0.0, 0.0, 1.0],
    ),
    moment(
        "layout=lease queue=q leases=app",
        "RPUSH q a|ZADD app:inflight:q +60 b -60 c",
        [1.0, 0.0, 1.0, 0.0],
    ),
    moment(
        "layout=rq queue=emails,reports=3",
        "RPUSH rq:queue:emails a b|RPUSH rq:queue:reports c|ZADD rq:wip:reports +60 d",
        [5.0, 0.0, 3.0, 0.0],
    ),
];

async fn every_framework_is_counted_at_every_moment(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    for Moment { metadata, commands, counts } in MOMENTS {
        server.run("FLUSHALL");
        for command in commands.split('|') {
            let words: Vec<String> =
                command.split(' ').map(|word| filled_in(word, &server)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let _: redis::Value = server.ask_words(&words);
        }
        assert_eq!(eye.four(metadata).await.as_ref(), Ok(counts), "{metadata}\n{commands}");
        server.run("FLUSHALL");
        assert_eq!(eye.four(metadata).await, Ok([0.0; 4]), "{metadata}: nothing there");
    }
}

/// A word of a command with its bytes, or with the time that it stands for.
fn filled_in(word: &str, server: &Server) -> String {
    let (time, unit) = word.split_once('~').unwrap_or((word, "s"));
    let seconds = match time.strip_prefix('+') {
        Some(ahead) => ahead.parse::<f64>().ok(),
        None => time.strip_prefix('-').and_then(|ago| ago.parse().ok()).map(|ago: f64| -ago),
    };
    let Some(seconds) = seconds else { return word.replace('^', "\u{6}\u{16}") };
    let at = server.now().as_secs_f64() + seconds;
    match unit {
        "ms" => format!("{:.0}", at * 1e3),
        "ms*4096" => format!("{:.0}", at * 1e3 * 4096.0),
        "ns" => format!("{:.0}", at * 1e9),
        _ => format!("{at:.3}"),
    }
}
