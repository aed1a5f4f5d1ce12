//! Patterns in queue names on a connection that scans: what is found, when, and what is left out.

use deadpool_redis::redis;
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    harness::{
        Kind, PATIENCE, RECOVERY, Server, Service, Setup, eventually_is, millis, penstock, seconds,
    },
    on_both_servers,
    streams::Pushes,
    wire::{Keda, Trigger, queue, trigger},
};

on_both_servers!(
    queues_that_appear_and_vanish_are_counted_and_pushed,
    jobs_that_move_between_queues_are_never_fewer,
    frameworks_are_counted_by_patterns,
    the_least_rights_and_scan_are_enough,
    a_large_keyspace_is_looked_through_beside_everything_else,
    an_outage_within_a_search_is_no_zero,
);

async fn scanning(server: &Server, rules: &str) -> Service {
    let config = format!("[redis.default]\nurl = \"{}\"\nscan = true\n{rules}", server.url());
    Setup::default().config(config).start().await
}

async fn value(keda: &Keda, trigger: &Trigger) -> Result<f64, Code> {
    keda.value(trigger).await.map_err(|status| status.code())
}

async fn queues_that_appear_and_vanish_are_counted_and_pushed(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH other x");
    let service = scanning(&server, "").await;
    let keda = service.keda().await;
    let mails = trigger([("queue", "mails-*=2,other"), ("activation", "1")]);
    assert_eq!(keda.value(&mails).await.unwrap(), 1.0, "no queue that matches is no job");
    let mut pushes = Pushes::of(&keda, &mails).await;
    assert!(!pushes.next(RECOVERY).await);
    server.run("RPUSH mails-a x y");
    assert!(pushes.next(PATIENCE).await);
    assert_eq!(keda.value(&mails).await.unwrap(), 5.0);
    server.run("DEL mails-a");
    eventually_is(PATIENCE, Ok(1.0), async || value(&keda, &mails).await).await;
    // It is known by now: Redis tells what happens to it at once.
    let began = Instant::now();
    server.run("RPUSH mails-a x");
    assert!(pushes.next(seconds(3)).await);
    assert!(began.elapsed() < seconds(3));
    // A star that is none, and what a pattern may not be.
    server.run("RPUSH mails-* x y z");
    assert_eq!(keda.value(&queue(r"mails-\*")).await.unwrap(), 3.0);
    assert_eq!(value(&keda, &queue("mails-[")).await, Err(Code::InvalidArgument));
}

async fn jobs_that_move_between_queues_are_never_fewer(kind: Kind) {
    let server = Server::start(kind);
    let jobs: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    server.run(&format!("RPUSH work:a {}\nRPUSH work:b x\nRPUSH work:c x", jobs.join(" ")));
    let service = scanning(&server, "").await;
    let keda = service.keda().await;
    let work = trigger([("layout", "reliable-list"), ("queue", "work:*")]);
    assert_eq!(keda.value(&work).await.unwrap(), 202.0);
    let mut link = server.connect();
    let mover = tokio::task::spawn_blocking(move || {
        let mut moved = |from: &str, to: &str| {
            redis::cmd("RPOPLPUSH").arg(from).arg(to).query::<redis::Value>(&mut link).unwrap();
        };
        for n in 0..2_000 {
            let (from, to) =
                [("a", "b"), ("b", "b:processing"), ("b:processing", "c"), ("c", "a")][n % 4];
            moved(&format!("work:{from}"), &format!("work:{to}"));
            if n % 50 == 0 {
                // Another queue comes and goes, so that the set of them changes.
                moved("work:c", &format!("work:x{n}"));
                moved(&format!("work:x{n}"), "work:c");
            }
            std::thread::sleep(millis(5));
        }
    });
    while !mover.is_finished() {
        // One job may be in a queue that is not found yet.
        let now = keda.value(&work).await.unwrap();
        assert!((201.0..=206.0).contains(&now), "{now}");
        sleep(millis(20)).await;
    }
    mover.await.unwrap();
    eventually_is(PATIENCE, Ok(202.0), async || value(&keda, &work).await).await;
}

fn lists(queue: &str) -> Vec<(&str, &str)> {
    vec![("layout", "sidekiq"), ("queue", queue), ("fetch", "lists"), ("lists", "*")]
}

async fn frameworks_are_counted_by_patterns(kind: Kind) {
    let server = Server::start(kind);
    server.run(
        "RPUSH mail-a x y\nRPUSH celery-task-meta-1 x\nSET mail-result 1\nRPUSH other x
         HSET unacked t1 [{},\"\",\"mail-a\"] t2 [{},\"\",\"mail-gone\"] t3 [{},\"\",\"other\"]
         RPUSH rq:queue:mail-a x\nRPUSH rq:queue:mail-a:intermediate y\nZADD rq:wip:mail-b 99999999999 z
         HSET bull:mail-a:meta v 1\nHSET bull:mail-b:meta paused 1\nHSET bull:other:meta v 1
         RPUSH bull:mail-a:wait 1\nRPUSH bull:mail-b:wait 2\nRPUSH bull:mail-b:active 3\nHSET bull:mail-a:1 x y
         XADD stream-a * f v\nRPUSH stream-b x
         SADD processes host:1:n\nRPUSH working:queue:mail-c:host:1:n x\nRPUSH queue:mail-d y
         HSET dramatiq:mail-a.msgs a 1 b 2\nRPUSH dramatiq:mail-a a\nHSET dramatiq:mail-a.DQ.msgs c 3",
    );
    server.ask_words::<redis::Value>(&["RPUSH", "mail-a\u{6}\u{16}3", "z"]);
    let service = scanning(&server, "").await;
    let keda = service.keda().await;
    for (pairs, jobs) in [
        (vec![("layout", "celery"), ("queue", "mail-*"), ("acks", "late")], 5.0),
        (vec![("layout", "celery"), ("queue", "mail-*,other=10"), ("acks", "late")], 25.0),
        (vec![("layout", "rq"), ("queue", "mail-*")], 3.0),
        (vec![("layout", "bullmq"), ("queue", "mail-*")], 2.0),
        (vec![("layout", "stream"), ("queue", "stream-*"), ("group", "g")], 1.0),
        (vec![("layout", "sidekiq"), ("queue", "mail-*"), ("fetch", "reliable")], 1.0),
        (lists("mail-c"), 1.0),
        (lists("mail-d,mail-e"), 1.0),
        (vec![("layout", "dramatiq"), ("queue", "mail-*")], 2.0),
    ] {
        let seen = keda.value(&trigger(pairs.clone())).await.map_err(|status| status.to_string());
        assert_eq!(seen, Ok(jobs), "{pairs:?}");
    }
}

async fn the_least_rights_and_scan_are_enough(kind: Kind) {
    let server = Server::start(kind);
    let page = include_str!("../../docs/triggers.md");
    let rights = page.lines().find(|line| line.starts_with("ACL SETUSER penstock")).unwrap();
    server.run(&rights.replace("penstock", "least").replace(">PASSWORD", ">pass"));
    server.run("RPUSH q-a x");
    let url = format!("redis://least:pass@{}/0", server.address());
    let config = format!("[redis.default]\nurl = \"{url}\"\nscan = true\nhold_stale = \"1s\"\n");
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let status = keda.value(&queue("q-*")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("NOPERM"), "{status}");
    server.run("ACL SETUSER least +scan");
    eventually_is(PATIENCE, Ok(1.0), async || value(&keda, &queue("q-*")).await).await;
    assert_eq!(keda.value(&queue("q-a")).await.unwrap(), 1.0);
}

async fn a_large_keyspace_is_looked_through_beside_everything_else(kind: Kind) {
    let server = Server::start(kind);
    let mut link = server.connect();
    for thousand in 0..100 {
        let mut command = redis::cmd("MSET");
        for n in 0..1_000 {
            command.arg(format!("noise:{thousand}:{n}")).arg("x");
        }
        command.query::<()>(&mut link).unwrap();
    }
    server.run("RPUSH q-a x\nRPUSH plain x");
    let service = scanning(&server, "").await;
    let keda = service.keda().await;
    assert_eq!(keda.value(&queue("plain")).await.unwrap(), 1.0);
    eventually_is(PATIENCE, Ok(1.0), async || value(&keda, &queue("q-*")).await).await;
    server.run("RPUSH q-b x y\nRPUSH plain y");
    eventually_is(seconds(2), Ok(2.0), async || value(&keda, &queue("plain")).await).await;
    eventually_is(seconds(30), Ok(3.0), async || value(&keda, &queue("q-*")).await).await;
}

async fn an_outage_within_a_search_is_no_zero(kind: Kind) {
    let mut server = Server::start(kind);
    server.run("RPUSH q-a x\nRPUSH q-b y");
    let service = scanning(&server, "hold_stale = \"20s\"\n").await;
    let keda = service.keda().await;
    let both = queue("q-*");
    assert_eq!(keda.value(&both).await.unwrap(), 2.0);
    for _ in 0..3 {
        server.kill();
        for _ in 0..10 {
            assert_eq!(value(&keda, &both).await, Ok(2.0), "held");
            sleep(millis(50)).await;
        }
        server.run_again();
        eventually_is(RECOVERY, Ok(2.0), async || value(&keda, &both).await).await;
    }
    server.signal("STOP");
    sleep(millis(1_500)).await;
    assert_eq!(value(&keda, &both).await, Ok(2.0), "held");
    server.signal("CONT");
    server.run("RPUSH q-c z");
    eventually_is(seconds(20), Ok(3.0), async || value(&keda, &both).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_rules_do_not_include_is_never_read_and_that_is_told() {
    let server = Server::start(Kind::Redis);
    server.run("RPUSH a:jobs x\nRPUSH b:jobs x y z\nRPUSH a:jobs:processing y");
    let rules = "namespaces = [\"jobs\"]\nkeys = [\"a:*\"]\n";
    let service = scanning(&server, rules).await;
    let keda = service.keda().await;
    assert_eq!(keda.value(&queue("*:jobs")).await.unwrap(), 1.0);
    let list = trigger([("layout", "reliable-list"), ("queue", "?:jobs")]);
    assert_eq!(keda.value(&list).await.unwrap(), 2.0);
    assert_eq!(value(&keda, &queue("b:*")).await, Err(Code::PermissionDenied));
    let skipped = "queue skipped: the connection's rule `keys` does not allow one of its keys";
    let left_out = service.logged(skipped, 2).await;
    assert_eq!(left_out[0]["key"], "b:jobs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_queues_than_may_be_counted_are_told_by_the_pattern() {
    let server = Server::start(Kind::Redis);
    let mut link = server.connect();
    let mut pipeline = redis::pipe();
    for n in 0..=1_000 {
        pipeline.rpush(format!("q-{n}"), "x").ignore();
    }
    pipeline.query::<()>(&mut link).unwrap();
    let service = scanning(&server, "").await;
    let keda = service.keda().await;
    let status = keda.value(&queue("q-*")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    let told = "more than 1000 queues or keys match `q-*`";
    assert!(status.message().contains(told), "{status}");
    eventually_is(PATIENCE, Ok(900.0), async || value(&keda, &queue("q-???")).await).await;
}

#[test]
fn probe_shows_what_a_pattern_finds() {
    let server = Server::start(Kind::Redis);
    server.run("RPUSH q-a x\nRPUSH q-b x y\nRPUSH secret-q-c x");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("penstock.toml");
    let toml =
        format!("[redis.default]\nurl = \"{}\"\nscan = true\nkeys = [\"q-*\"]\n", server.url());
    std::fs::write(&file, toml).unwrap();
    let file = file.to_str().unwrap();
    let probe = |queue: &str| {
        let queue = format!("queue={queue}");
        let output = penstock().args(["probe", &queue, "--config", file]).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let said = probe("*q-?,q-zzz");
    for part in [
        "looked for *q-? in 1 SCAN",
        "found      q-a, q-b",
        "left out   a queue with the key secret-q-c, which the rule `keys` does not include",
        "> LLEN q-b",
        "waiting    0 (size of `q-zzz`) + 1 (size of `q-a`) + 2 (size of `q-b`) = 3",
    ] {
        assert!(said.contains(part), "no {part} in:\n{said}");
    }
    assert!(probe("none-*").contains("does not include the key `none-*`"));
    assert!(probe("q-x*").contains("found      no queue"));
}
