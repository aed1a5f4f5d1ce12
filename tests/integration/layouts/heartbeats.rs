//! What workers say on channels, as Celery's heartbeats do: whose jobs count, for how long a worker is
//! believed, and that nothing that was not heard is a zero.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use deadpool_redis::redis;
use penstock::{layouts::Measure, limits};
use tokio::time::{Instant, sleep};

use super::{Eye, Four, parse};
use crate::{
    harness::{
        Kind, Mode, PATIENCE, Proxy, STEP, Server, Setup, eventually, millis, penstock, seconds,
    },
    on_both_servers,
    streams::Pushes,
    wire::{Keda, trigger},
};

on_both_servers!(
    the_jobs_of_a_pool_or_of_the_workers_that_name_the_queue_are_in_flight,
    the_larger_of_what_is_unacknowledged_and_what_workers_say_counts,
    a_worker_that_falls_silent_counts_until_it_is_given_up_and_one_that_ends_no_more,
    what_cannot_be_read_is_told_and_never_lowers_a_count,
    a_channel_is_of_one_database_and_one_prefix,
    heartbeats_are_heard_where_the_options_of_the_app_put_them,
    a_user_who_may_not_listen_is_told_and_nothing_is_counted,
    probe_shows_who_was_heard,
    a_restart_and_a_lost_connection_never_make_a_zero_of_what_runs,
    a_worker_that_says_that_it_works_wakes_its_workload_at_once,
    a_worker_that_is_silent_while_it_works_counts_until_it_speaks_or_ends_or_its_time_is_over,
    a_worker_that_was_silent_all_the_while_is_known_by_its_name_after_a_restart,
);

/// With room for the seconds in which workers are listened to first.
pub const LISTENED: Duration = seconds(25);
const POOL: &str = "layout=celery queue=q running=heartbeats pool=emails@*";
const QUEUE: &str = "layout=celery queue=q running=heartbeats";

/// Workers that speak again and again, as real ones do every two seconds.
pub struct Workers {
    redis: redis::Connection,
    prefix: String,
    exchange: &'static str,
    says: BTreeMap<&'static str, (u64, &'static str)>,
}

impl Workers {
    pub fn on(server: &Server) -> Self {
        Self {
            redis: server.connect(),
            prefix: "/0.".to_owned(),
            exchange: "celeryev",
            says: BTreeMap::new(),
        }
    }

    /// A worker runs so many tasks, and has more to say of itself (JSON members with a comma before).
    pub fn run(&mut self, worker: &'static str, active: u64, more: &'static str) {
        self.says.insert(worker, (active, more));
    }

    pub fn speak(&mut self) {
        for (worker, (active, more)) in self.says.clone() {
            let body = body(worker, active, more);
            self.publish("heartbeat", &envelope(body.as_bytes()));
        }
    }

    /// A worker ends in its own way.
    fn end(&mut self, worker: &'static str) {
        self.says.remove(worker);
        self.publish("offline", &envelope(body(worker, 0, "").as_bytes()));
    }

    fn publish(&mut self, event: &str, message: &str) {
        let channel = format!("{}{}/worker.{event}", self.prefix, self.exchange);
        redis::cmd("PUBLISH").arg(channel).arg(message).exec(&mut self.redis).unwrap();
    }

    /// Speaks until penstock counts so many in flight. What it counts meanwhile is given to `sees`.
    async fn until(
        &mut self,
        (eye, metadata): (&mut Eye, &str),
        in_flight: f64,
        mut sees: impl FnMut(&Result<Four, String>),
    ) {
        eventually(LISTENED, async || {
            self.speak();
            let seen = eye.four(metadata).await;
            sees(&seen);
            if seen == Ok([0.0, 0.0, in_flight, 0.0]) { Ok(()) } else { Err(seen) }
        })
        .await;
    }
}

fn body(worker: &str, active: u64, more: &str) -> String {
    format!(
        r#"{{"hostname": "{worker}", "utcoffset": 0, "pid": 7, "clock": 12, "freq": 2.0, "active": {active},
        "processed": 40, "loadavg": [1.0, 0.5, 0.1], "sw_ident": "py-celery"{more}}}"#
    )
}

fn envelope(body: &[u8]) -> String {
    let body = STANDARD.encode(body);
    format!(
        r#"{{"body": "{body}", "content-encoding": "utf-8", "content-type": "application/json",
        "properties": {{"body_encoding": "base64"}}}}"#
    )
}

/// Until it was listened to for long enough nothing is said, and never a zero.
fn only(allowed: &'static [f64]) -> impl FnMut(&Result<Four, String>) {
    move |seen| match seen {
        Ok([_, _, in_flight, _]) => assert!(allowed.contains(in_flight), "{in_flight} in flight"),
        Err(told) => assert!(told.contains("are listened to for 5s"), "{told}"),
    }
}

async fn the_jobs_of_a_pool_or_of_the_workers_that_name_the_queue_are_in_flight(kind: Kind) {
    let server = Server::start(kind);
    let (mut eye, mut workers) = (Eye::on(&server).await, Workers::on(&server));
    workers.run("emails@a", 2, "");
    workers.run("emails@b", 1, r#", "queues": ["q", "other"]"#);
    workers.run("reports@a", 4, r#", "x_worker_info": {"queues": ["other"], "concurrency": 8}"#);
    workers.until((&mut eye, POOL), 3.0, only(&[3.0])).await;
    let mut count = async |metadata: &str| eye.four(metadata).await.map(|four| four[2]);
    let of = |queue: &str| format!("layout=celery queue={queue} running=heartbeats");
    assert_eq!(count(QUEUE).await, Ok(1.0));
    assert_eq!(count(&of("other")).await, Ok(5.0));
    // A worker that serves both runs its task once, and it counts as much as one of either may.
    assert_eq!(count(&of("q,other")).await, Ok(5.0));
    assert_eq!(count(&of("q=2,other=3")).await, Ok(15.0));
    assert_eq!(count(&of("third")).await, Ok(0.0));
    // Whoever runs something is busy, however much, and whatever its jobs weigh.
    let mut busy = async |metadata: &str| {
        let asked = parse(&format!("{metadata} signal=replicas slots=4"));
        eye.counts(&asked)
            .await
            .map(|counts| (counts[Measure::Busy].get(), asked.verdict_of(counts).value.get()))
    };
    assert_eq!(busy(POOL).await, Ok((2.0, 2.0)));
    assert_eq!(busy(&of("q=2,other=3")).await, Ok((2.0, 3.75)));
    assert_eq!(busy(&of("third")).await, Ok((0.0, 0.0)));
}

async fn the_larger_of_what_is_unacknowledged_and_what_workers_say_counts(kind: Kind) {
    let server = Server::start(kind);
    let (mut eye, mut workers) = (Eye::on(&server).await, Workers::on(&server));
    server.run(
        r#"HSET unacked a [{},"","q"]
           HSET unacked b [{},"","q"]
           HSET unacked c [{},"","other"]
           ZADD penstock:inflight:q 9999999999 lease"#,
    );
    workers.run("emails@a", 1, "");
    workers.until((&mut eye, POOL), 2.0, only(&[2.0])).await;
    let leases = format!("{POOL} leases=penstock");
    assert_eq!(eye.four(&leases).await, Ok([0.0, 0.0, 3.0, 0.0]));
    workers.run("emails@a", 5, "");
    workers.until((&mut eye, POOL), 5.0, only(&[2.0, 5.0])).await;
    assert_eq!(eye.four(&leases).await, Ok([0.0, 0.0, 5.0, 0.0]));
}

async fn a_worker_that_falls_silent_counts_until_it_is_given_up_and_one_that_ends_no_more(
    kind: Kind,
) {
    let server = Server::start(kind);
    let (mut eye, mut workers) = (Eye::on(&server).await, Workers::on(&server));
    workers.run("emails@a", 3, "");
    workers.run("emails@b", 2, "");
    workers.until((&mut eye, POOL), 5.0, only(&[5.0])).await;
    workers.end("emails@b");
    workers.until((&mut eye, POOL), 3.0, only(&[5.0, 3.0])).await;
    let last = Instant::now();
    workers.speak();
    workers.says.clear();
    workers.until((&mut eye, POOL), 0.0, only(&[3.0, 0.0])).await;
    assert!(last.elapsed() >= seconds(10), "given up after {:?}", last.elapsed());
}

async fn what_cannot_be_read_is_told_and_never_lowers_a_count(kind: Kind) {
    let server = Server::start(kind);
    let (mut eye, mut workers) = (Eye::on(&server).await, Workers::on(&server));
    workers.run("emails@a", 2, "");
    workers.until((&mut eye, POOL), 2.0, only(&[2.0])).await;
    let gzip = envelope(b"\x1f\x8b\x08\x00secret");
    let (no_count, long) =
        (envelope(br#"{"hostname": "emails@a", "freq": 2}"#), "x".repeat(70_000));
    for (message, wanted) in [
        (gzip.as_str(), "no JSON, or its body is none"),
        ("secret", "no JSON"),
        (no_count.as_str(), "no number of jobs at /active"),
        (long.as_str(), "longer than 65536 bytes"),
    ] {
        workers.publish("heartbeat", message);
        let told = eventually(PATIENCE, async || match eye.four(POOL).await {
            Err(told) if told.contains(wanted) => Ok(told),
            other => Err(other),
        });
        let told = told.await;
        assert!(told.contains("`/0.celeryev/worker.heartbeat` cannot be read"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
    let unknown_or_right = |seen: &Result<Four, String>| match seen {
        Ok(four) => assert_eq!(four[2], 2.0),
        Err(told) => assert!(told.contains("cannot be read"), "{told}"),
    };
    workers.until((&mut eye, POOL), 2.0, unknown_or_right).await;
}

async fn a_channel_is_of_one_database_and_one_prefix(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    let mut others = ["/0.", "app:/1.", "app:*."].map(|prefix| {
        let mut workers = Workers::on(&server);
        workers.prefix = prefix.to_owned();
        workers.run("emails@elsewhere", 7, "");
        workers
    });
    let mut workers = Workers::on(&server);
    workers.prefix = "app:/0.".to_owned();
    workers.run("emails@a", 2, "");
    let metadata = format!("{POOL} keyPrefix=app:");
    workers.until((&mut eye, &metadata), 2.0, |_| others.iter_mut().for_each(Workers::speak)).await;
    // A prefix is no pattern.
    let starred = format!("{POOL} keyPrefix=app:*");
    workers.until((&mut eye, &starred), 0.0, only(&[0.0])).await;
}

async fn heartbeats_are_heard_where_the_options_of_the_app_put_them(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    let mut usual = Workers::on(&server);
    usual.run("emails@usual", 7, "");
    let mut workers = Workers::on(&server);
    (workers.prefix, workers.exchange) = ("jobs/0/".to_owned(), "news");
    workers.run("emails@a", 2, "");
    let metadata = format!("{POOL} fanoutPrefix=jobs/{{db}}/ eventExchange=news");
    workers.until((&mut eye, &metadata), 2.0, |_| usual.speak()).await;
}

async fn a_user_who_may_not_listen_is_told_and_nothing_is_counted(kind: Kind) {
    let server = Server::start(kind);
    let page = include_str!("../../../docs/triggers.md");
    let rights = page.lines().find(|line| line.starts_with("ACL SETUSER penstock")).unwrap();
    server.run(&rights.replace("penstock", "meek").replace(">PASSWORD", ">pass"));
    let config = format!(
        "[redis.default]\nurl = \"redis://meek@{}/0\"\npassword_file = \"PASSWORD\"\n",
        server.address()
    );
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "pass").unwrap();
    let config = config.replace("PASSWORD", password.to_str().unwrap());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let told = keda.value(&heard()).await.unwrap_err();
    assert!(told.message().contains("Redis refuses: NOPERM"), "{told}");
    let more = "`+subscribe +unsubscribe` and the channels, `&*celeryev*`";
    assert!(page.contains(more), "it is what the page says");
    server.run("ACL SETUSER meek +subscribe +unsubscribe &*celeryev*");
    let mut workers = Workers::on(&server);
    workers.run("emails@a", 2, "");
    becomes(&keda, &mut workers, 2.0).await;
}

async fn probe_shows_who_was_heard(kind: Kind) {
    let server = Server::start(kind);
    let mut workers = Workers::on(&server);
    workers.run("emails@a", 2, r#", "queues": ["q", "other"]"#);
    workers.run("emails@b", 1, "");
    let mut probe = penstock();
    probe.arg("probe").args(POOL.split(' ')).args(["--redis", &server.url()]);
    let mut probe = probe.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually(LISTENED, async || {
        workers.speak();
        probe.try_wait().unwrap().ok_or("it still listens")
    })
    .await;
    let output = probe.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "(heard on /0.celeryev/worker.heartbeat)",
        "emails@a: 2 running, serves q, other; emails@b: 1 running, names no queues",
        "3 (the workers `emails@*` on `/{database}.celeryev/worker.heartbeat`)] = 3",
    ] {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
}

fn heard() -> crate::wire::Trigger {
    trigger(POOL.split(' ').map(|pair| pair.split_once('=').unwrap()))
}

/// Waits for a value; what is answered before is no answer at all, or the same.
async fn becomes(keda: &Keda, workers: &mut Workers, value: f64) {
    eventually(LISTENED, async || {
        workers.speak();
        match keda.value(&heard()).await {
            Ok(seen) if seen == value => Ok(()),
            Ok(seen) => panic!("{seen}, which nobody can know"),
            Err(status) => Err(status.message().to_owned()),
        }
    })
    .await;
}

async fn a_restart_and_a_lost_connection_never_make_a_zero_of_what_runs(kind: Kind) {
    let server = Server::start(kind);
    let proxy = Proxy::to(server.port()).await;
    let mut workers = Workers::on(&server);
    workers.run("emails@a", 3, "");
    for _ in 0..2 {
        // Each turn is a new penstock, which knows nothing at first.
        let service = Setup::default().redis(proxy.url()).start().await;
        let keda = service.keda().await;
        becomes(&keda, &mut workers, 3.0).await;
        proxy.set(Mode::Cut);
        sleep(millis(300)).await;
        proxy.set(Mode::Pass);
        let back = Instant::now();
        while back.elapsed() < seconds(7) {
            workers.speak();
            assert_eq!(keda.value(&heard()).await.unwrap(), 3.0, "held, then heard again");
            sleep(STEP).await;
        }
    }
}

async fn a_worker_that_is_silent_while_it_works_counts_until_it_speaks_or_ends_or_its_time_is_over(
    kind: Kind,
) {
    let server = Server::start(kind);
    let (mut eye, mut workers) = (Eye::on(&server).await, Workers::on(&server));
    let solo = format!("{POOL} silentFor=15s");
    let idle = |workers: &mut Workers| {
        workers.run("emails@a", 0, "");
        workers.speak();
    };
    idle(&mut workers);
    workers.until((&mut eye, &solo), 0.0, only(&[0.0])).await;
    // It takes a task, and says nothing until that ends.
    let taken = Instant::now();
    workers.says.clear();
    workers.until((&mut eye, &solo), 1.0, only(&[0.0, 1.0])).await;
    assert!(taken.elapsed() < seconds(8), "before a fall of the waiting ones is believed");
    sleep(seconds(6)).await;
    assert_eq!(eye.four(&solo).await, Ok([0.0, 0.0, 1.0, 0.0]), "longer than the others' silence");
    assert_eq!(eye.four(POOL).await.ok(), None, "another trigger begins to listen");
    idle(&mut workers);
    workers.until((&mut eye, &solo), 0.0, only(&[1.0, 0.0])).await;
    // It takes another one, and is asked to end.
    workers.says.clear();
    workers.until((&mut eye, &solo), 1.0, only(&[0.0, 1.0])).await;
    workers.end("emails@a");
    workers.until((&mut eye, &solo), 0.0, only(&[1.0, 0.0])).await;
    // Another one is killed. Nobody can tell, until its time is over.
    workers.run("emails@b", 0, r#", "slots": 3"#);
    workers.speak();
    let last = Instant::now();
    workers.says.clear();
    workers.until((&mut eye, &solo), 3.0, only(&[0.0, 3.0])).await;
    workers.until((&mut eye, &solo), 0.0, only(&[3.0, 0.0])).await;
    assert!(last.elapsed() >= seconds(15), "given up after {:?}", last.elapsed());
}

async fn a_worker_that_was_silent_all_the_while_is_known_by_its_name_after_a_restart(kind: Kind) {
    let server = Server::start(kind);
    // As kombu 5.7 lists workers that have not ended in their own way.
    let list = "_kombu.binding.celery.pidbox";
    for worker in ["emails@a", "emails@b", "reports@a"] {
        let member = format!("\u{6}\u{16}\u{6}\u{16}{worker}.celery.pidbox");
        let _: redis::Value = server.ask_words(&["SADD", list, &member]);
    }
    let mut workers = Workers::on(&server);
    workers.run("emails@b", 0, "");
    let solo = format!("{POOL} silentFor=1h");
    // Each is a new link, which has heard nobody.
    for _ in 0..2 {
        let mut eye = Eye::on(&server).await;
        workers.until((&mut eye, &solo), 1.0, only(&[1.0])).await;
    }
    let mut eye = Eye::on(&server).await;
    workers.until((&mut eye, POOL), 0.0, only(&[0.0])).await;
    let told = async |metadata: &str| Eye::on(&server).await.four(metadata).await.unwrap_err();
    server.run(&format!("DEL {list}\nSET {list} x"));
    assert!(told(&solo).await.contains("WRONGTYPE"));
    let names: Vec<String> =
        (0..=limits::HEARTBEAT_WORKERS).map(|number| number.to_string()).collect();
    server.run(&format!("DEL {list}\nSADD {list} {}", names.join(" ")));
    assert!(told(&solo).await.contains("names more than 1000 workers"));
}

async fn a_worker_that_says_that_it_works_wakes_its_workload_at_once(kind: Kind) {
    let server = Server::start(kind);
    let service = Setup::default().redis(server.url()).start().await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &heard()).await;
    assert!(!pushes.next(LISTENED).await, "nobody speaks");
    let mut workers = Workers::on(&server);
    workers.run("emails@a", 1, "");
    workers.speak();
    assert!(pushes.next(PATIENCE).await);
    assert_eq!(keda.value(&heard()).await.unwrap(), 1.0);
}
