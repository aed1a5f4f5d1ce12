//! What is pushed, and when: the state first, every edge at once, two repeats, nothing unknown.

use std::time::Duration;

use futures_util::future::join_all;
use penstock::signals::Signal;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Streaming};

use crate::{
    harness::{
        CALL, Kind, Mode, PATIENCE, Proxy, RECOVERY, Server, Service, Setup, eventually_is, millis,
        seconds,
    },
    on_both_servers,
    wire::{Activity, Keda, Trigger, queue, trigger},
};

on_both_servers!(
    the_state_comes_first_and_then_every_edge_to_active,
    nothing_is_pushed_in_an_outage_and_a_job_from_within_it_afterwards,
    nothing_is_pushed_while_redis_hangs_and_a_job_from_within_it_afterwards,
    a_stream_stays_silent_until_redis_is_first_there,
    a_job_after_a_restart_is_pushed,
    every_kind_of_write_that_makes_a_job_is_pushed,
);

/// How long an edge may take; it is milliseconds where nothing is slow.
const EDGE: Duration = Duration::from_millis(1500);

/// A stream of activity, read with time limits.
pub struct Pushes(Streaming<Activity>);

impl Pushes {
    pub async fn of(keda: &Keda, trigger: &Trigger) -> Self {
        Self(keda.stream_is_active(trigger).await.unwrap())
    }

    /// The next message, which must come within this time.
    pub async fn next(&mut self, within: Duration) -> bool {
        let message = timeout(within, self.0.message()).await;
        let message = message.unwrap_or_else(|_| panic!("nothing came within {within:?}"));
        message.unwrap().expect("the stream goes on").result
    }

    /// The next message, if one comes within this time.
    pub async fn if_any(&mut self, within: Duration) -> Option<bool> {
        let message = timeout(within, self.0.message()).await.ok()?;
        Some(message.unwrap().expect("the stream goes on").result)
    }

    /// Expects the end of the stream with OK.
    pub async fn end(&mut self, within: Duration) {
        let message = timeout(within, self.0.message()).await;
        assert_eq!(message.expect("the end comes in time").unwrap(), None);
    }

    /// Expects silence.
    pub async fn silent(&mut self, during: Duration) {
        if let Ok(message) = timeout(during, self.0.message()).await {
            panic!("something came: {message:?}");
        }
    }
}

async fn the_state_comes_first_and_then_every_edge_to_active(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH full a");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    assert!(Pushes::of(&keda, &queue("full")).await.next(RECOVERY).await);
    let mut pushes = Pushes::of(&keda, &queue("empty")).await;
    assert!(!pushes.next(RECOVERY).await, "also `false` is said first");
    for _ in 0..3 {
        server.run("RPUSH empty a");
        assert!(pushes.next(EDGE).await);
        server.run("RPUSH empty b\nLPOP empty");
        // Without push_inactive nothing is said of the way down.
        server.run("LPOP empty");
        pushes.silent(millis(300)).await;
    }
}

async fn every_kind_of_write_that_makes_a_job_is_pushed(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue("q")).await;
    assert!(!pushes.next(RECOVERY).await);
    for write in [
        "LPUSH q a",
        "EVAL redis.call('rpush',KEYS[1],'a') 1 q",
        "RPUSH other a\nRPOPLPUSH other q",
        "RPUSH other a\nRENAME other q",
        "RPUSH other a\nCOPY other q\nDEL other",
        "SADD q a",
        "INCR q",
        "XADD q * a 1",
    ] {
        server.run(write);
        assert!(pushes.next(EDGE).await, "{write}");
        server.run("DEL q");
        // The way down must have been seen before the next edge can be one.
        eventually_is(PATIENCE, 0.0, async || keda.value(&queue("q")).await.unwrap()).await;
    }
}

async fn nothing_is_pushed_in_an_outage_and_a_job_from_within_it_afterwards(kind: Kind) {
    let server = Server::start(kind);
    let proxy = Proxy::to(server.port()).await;
    let config = format!("[redis.default]\nurl = \"{}\"\nhold_stale = \"1s\"\n", proxy.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    for (mode, key) in [(Mode::Cut, "cut"), (Mode::Stall, "stalled")] {
        let mut idle = Pushes::of(&keda, &queue(key)).await;
        assert!(!idle.next(RECOVERY).await);
        let busy = format!("{key}:busy");
        server.run(&format!("RPUSH {busy} a"));
        let mut busy = Pushes::of(&keda, &queue(&busy)).await;
        assert!(busy.next(RECOVERY).await);
        proxy.set(mode);
        let outage = async {
            sleep(millis(500)).await;
            server.run(&format!("RPUSH {key} a"));
        };
        // Longer than the hold, shorter than the first repeat of what was active before.
        tokio::join!(idle.silent(millis(2500)), busy.silent(millis(2500)), outage);
        proxy.set(Mode::Pass);
        assert!(idle.next(RECOVERY).await, "{mode:?}");
    }
}

async fn nothing_is_pushed_while_redis_hangs_and_a_job_from_within_it_afterwards(kind: Kind) {
    let server = Server::start(kind);
    let config = format!("[redis.default]\nurl = \"{}\"\nhold_stale = \"1s\"\n", server.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue("q")).await;
    assert!(!pushes.next(RECOVERY).await);
    server.signal("STOP");
    pushes.silent(millis(2500)).await;
    server.signal("CONT");
    server.run("RPUSH q a");
    assert!(pushes.next(RECOVERY).await);
}

async fn a_stream_stays_silent_until_redis_is_first_there(kind: Kind) {
    let mut server = Server::absent(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue("q")).await;
    pushes.silent(millis(2500)).await;
    server.run_again();
    assert!(!pushes.next(RECOVERY).await);
    server.run("RPUSH q a");
    assert!(pushes.next(EDGE).await);
}

async fn a_job_after_a_restart_is_pushed(kind: Kind) {
    let mut server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue("q")).await;
    assert!(!pushes.next(RECOVERY).await);
    server.kill();
    pushes.silent(millis(700)).await;
    server.run_again();
    server.run("RPUSH q a");
    assert!(pushes.next(RECOVERY).await);
    pushes.silent(millis(500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_is_repeated_after_about_five_seconds_and_not_by_a_ticker() {
    let server = Server::start(Kind::Redis);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue("q")).await;
    assert!(!pushes.next(RECOVERY).await);
    server.run("RPUSH q a");
    assert!(pushes.next(EDGE).await);
    // More work is no edge.
    server.run("RPUSH q b\nRPUSH q c");
    pushes.silent(seconds(3)).await;
    assert!(pushes.next(seconds(5)).await);
    pushes.silent(seconds(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_is_not_repeated_while_nothing_is_known_and_once_it_is_known_again() {
    let mut server = Server::start(Kind::Redis);
    let config = format!("[redis.default]\nurl = \"{}\"\nhold_stale = \"1s\"\n", server.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    server.run("RPUSH q a");
    let mut pushes = Pushes::of(&keda, &queue("q")).await;
    assert!(pushes.next(RECOVERY).await);
    server.kill();
    pushes.silent(seconds(8)).await;
    server.run_again();
    assert!(pushes.next(RECOVERY).await, "the repeat that was due");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_that_became_inactive_is_not_repeated() {
    let server = Server::start(Kind::Redis);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue("q")).await;
    assert!(!pushes.next(RECOVERY).await);
    server.run("RPUSH q a");
    assert!(pushes.next(EDGE).await);
    server.run("DEL q");
    pushes.silent(seconds(7)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inactivity_is_pushed_when_the_administrator_says_so() {
    let server = Server::start(Kind::Redis);
    let config =
        format!("[server]\npush_inactive = true\n[redis.default]\nurl = \"{}\"\n", server.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue("q")).await;
    assert!(!pushes.next(RECOVERY).await);
    for _ in 0..2 {
        server.run("RPUSH q a");
        assert!(pushes.next(EDGE).await);
        server.run("DEL q");
        assert!(!pushes.next(EDGE).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spec_is_streamed_of_a_target_that_stays_for_every_signal_and_while_redis_is_away() {
    let service = Service::alone().await;
    let keda = service.keda().await;
    for signal in Signal::all() {
        let name = signal.name();
        let made_of = match name {
            "gauge" => vec![("gauge", "q")],
            "rate" => vec![("counter", "q")],
            "load" | "replicas" => vec![("queue", "q"), ("slots", "2")],
            "latency" => vec![("queue", "q"), ("readyAt", "/at")],
            _ => vec![("queue", "q")],
        };
        let asked = trigger([("target", "2.5"), ("signal", name)].into_iter().chain(made_of));
        // Before any message, so that KEDA never has one to write.
        let status = keda.stream_metric_spec(&asked).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{name}: {status}");
        assert!(status.message().contains("GetMetricSpec"), "{name}: {status}");
        assert_eq!(keda.get_metric_spec(&asked).await.unwrap().specs[0].target_size_float, 2.5);
    }
    assert_eq!(service.metric("penstock_streams_open").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_thousand_streams_on_one_connection_leave_room_for_calls_and_edges() {
    let server = Server::start(Kind::Redis);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let names: Vec<String> = (0..6000).map(|number| format!("q{number}")).collect();
    let open = names.iter().map(async |name| {
        let mut pushes = Pushes::of(&keda, &queue(name)).await;
        assert!(!pushes.next(seconds(60)).await);
        pushes
    });
    let mut streams = join_all(open).await;
    for name in ["q7", "elsewhere"] {
        let asked = Instant::now();
        assert_eq!(keda.value(&queue(name)).await.unwrap(), 0.0);
        assert!(!keda.is_active(&queue(name)).await.unwrap());
        assert!(asked.elapsed() < CALL, "{:?} with 6,000 streams open", asked.elapsed());
    }
    for number in [0, 2999, 5999] {
        server.run(&format!("RPUSH q{number} a"));
        assert!(streams[number].next(EDGE).await, "stream {number}");
    }
    streams[1].silent(millis(200)).await;
    // All of them at once go, and the connection is as good as before.
    drop(streams);
    assert_eq!(keda.value(&queue("q0")).await.unwrap(), 1.0);
    eventually_is(PATIENCE, true, async || {
        let (_, metrics) = service.get("/metrics").await;
        let open = metrics.lines().find(|line| line.starts_with("penstock_streams_open"));
        open.is_some_and(|line| line.ends_with(" 0"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_given_up_while_the_process_hangs_do_not_cost_the_streams() {
    let server = Server::start(Kind::Redis);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue("q")).await;
    assert!(!pushes.next(RECOVERY).await);
    // As when its node is out of CPU: the calls are cancelled before the server has seen them.
    service.signal("STOP");
    let names: Vec<Trigger> = (0..500).map(|number| queue(&format!("q{number}"))).collect();
    let calls = join_all(names.iter().map(|name| keda.value(name)));
    assert!(timeout(millis(500), calls).await.is_err(), "a stopped process answers");
    service.signal("CONT");
    assert_eq!(keda.value(&queue("q")).await.unwrap(), 0.0);
    server.run("RPUSH q a");
    assert!(pushes.next(EDGE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_leaves_one_line_in_the_log_that_says_why() {
    let server = Server::start(Kind::Redis);
    server.run("ZADD later 1 x");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let asked =
        trigger([("waiting", "w"), ("scheduled", "later"), ("inFlight", "f"), ("activation", "2")]);
    let mut pushes = Pushes::of(&keda, &asked).await;
    assert!(!pushes.next(RECOVERY).await);
    assert!(service.log_with("became active").is_empty());
    server.run("RPUSH w a b");
    assert!(pushes.next(EDGE).await);
    server.run("RPUSH w c\nRPUSH w d");
    for _ in 0..5 {
        assert!(keda.is_active(&asked).await.unwrap());
        sleep(millis(50)).await;
    }
    let line = &service.logged("became active", 1).await[0];
    assert_eq!((&line["namespace"], &line["name"]), (&"jobs".into(), &"worker".into()));
    let counts = ["waiting", "due", "in_flight", "activation"].map(|key| line[key].as_f64());
    assert_eq!(counts, [Some(2.0), Some(1.0), Some(0.0), Some(2.0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_flaps_leaves_a_line_now_and_then_that_says_how_often() {
    let server = Server::start(Kind::Redis);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let names: Vec<String> =
        (10..70).map(|number| format!("{number}{}", "x".repeat(1_000))).collect();
    let asked = trigger([("waiting", names.join(","))]);
    let mut pushes = Pushes::of(&keda, &asked).await;
    assert!(!pushes.next(RECOVERY).await);
    let activations = async || service.metric("penstock_activations_total").await;
    let flap = async || {
        server.run(&format!("RPUSH {} a", names[0]));
        eventually_is(RECOVERY, Ok(true), async || {
            keda.is_active(&asked).await.map_err(|status| status.code())
        })
        .await;
        server.run(&format!("DEL {}", names[0]));
        eventually_is(RECOVERY, Ok(false), async || {
            keda.is_active(&asked).await.map_err(|status| status.code())
        })
        .await;
    };
    let began = Instant::now();
    flap().await;
    let line = &service.logged("became active", 1).await[0];
    assert!(line.get("suppressed").is_none(), "{line}");
    let shown = line["trigger"].as_str().unwrap();
    assert!(shown.starts_with("backlog of size of `10xxx") && shown.chars().count() == 257);
    while began.elapsed() < seconds(3) {
        flap().await;
    }
    let (flapped, number) = (activations().await, service.log_with("became active").len());
    assert!(flapped >= 3.0, "{flapped}");
    // (Unless that took as long as until the next line, on a slow machine.)
    assert!(number == 1 || began.elapsed() > seconds(4), "{number} lines of {flapped}");
    sleep(seconds(6)).await;
    flap().await;
    let all = activations().await;
    eventually_is(RECOVERY, all, async || {
        let lines = service.log_with("became active");
        let told = lines.iter().map(|line| 1.0 + line["suppressed"].as_f64().unwrap_or_default());
        told.sum::<f64>()
    })
    .await;
}
