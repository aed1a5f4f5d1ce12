//! Jobs that the frameworks themselves move forward and back, as near to a thousand moves a second as they
//! get, while two replicas are asked every 20 ms: no answer is lower than what was unfinished all the while.
//!
//! The programs keep a ledger: what was entered, noted after each job was added, and what is leaving, noted
//! before each is finished. For some seconds all jobs stay; then jobs are finished, and where every move is one
//! step others are added. Where a framework has a gap none are: a job that is added while another is in no
//! key makes up for it, so that nothing falls and nothing is there to confirm (`src/sampling/falls.rs`).

use std::{cell::RefCell, collections::HashMap, time::Duration};

use deadpool_redis::redis::{self, Connection};
use futures_util::stream::{FuturesUnordered, StreamExt};
use penstock_keda_client::KedaClient;
use tokio::{
    runtime::Runtime,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use penstock_testkit::Kind;

use crate::{
    on_both_servers,
    stage::{Stage, TURNS},
};

on_both_servers!(
    jobs_that_bullmq_6_moves_are_never_too_few,
    jobs_that_bullmq_6_moves_are_never_too_few_by_their_locks,
    jobs_that_bullmq_5_moves_are_never_too_few,
    jobs_that_bull_4_moves_are_never_too_few,
    jobs_that_bull_4_moves_are_never_too_few_by_their_locks,
    jobs_that_bee_queue_moves_are_never_too_few,
    jobs_that_asynq_moves_are_never_too_few,
    jobs_that_dramatiq_moves_are_never_too_few,
    jobs_that_arq_moves_are_never_too_few,
    jobs_that_taskiq_kicks_again_are_never_too_few,
    jobs_that_celery_moves_are_never_too_few,
    jobs_that_celery_moves_are_never_too_few_where_unacked_is_one_triggers_own,
    jobs_that_rq_moves_are_never_too_few,
    jobs_that_rq_moves_from_one_of_two_queues_are_never_too_few,
    jobs_that_gitlabs_sidekiq_fetcher_moves_are_never_too_few,
);

/// Jobs that stay unfinished.
const JOBS: u32 = 12;
/// How long they do, in seconds; for longer than a test should take: `MOVING=30`.
const MOVING: u32 = 2;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Looks of one trigger that wait for their answers.
const LOOKS: usize = 8;
/// On a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(90);
/// Fewer moves in a second show nothing.
const LEAST_MOVES: u32 = 50;

/// What is asked member by member belongs to no moment, and neither does what it shares a batch with.
const LOCKS: [&str; 2] = ["orphans=wake", "orphans=ignore"];

fn jobs_that_bullmq_6_moves_are_never_too_few(kind: Kind) {
    play(Stage::on(kind, "bullmq 6.7.0"), "node moves.js bullmq", "adds", &["layout=bullmq"]);
}

fn jobs_that_bullmq_6_moves_are_never_too_few_by_their_locks(kind: Kind) {
    let triggers = LOCKS.map(|orphans| format!("layout=bullmq {orphans}"));
    let triggers = triggers.each_ref().map(String::as_str);
    play(Stage::on(kind, "bullmq 6.7.0"), "node moves.js bullmq", "adds", &triggers);
}

fn jobs_that_bullmq_5_moves_are_never_too_few(kind: Kind) {
    play(Stage::on(kind, "bullmq 5.81.5"), "node moves.js bullmq5", "adds", &["layout=bullmq"]);
}

fn jobs_that_bull_4_moves_are_never_too_few(kind: Kind) {
    play(Stage::on(kind, "bull 4.16.5"), "node moves.js bull", "adds", &["layout=bull"]);
}

fn jobs_that_bull_4_moves_are_never_too_few_by_their_locks(kind: Kind) {
    let triggers = LOCKS.map(|orphans| format!("layout=bull {orphans}"));
    let triggers = triggers.each_ref().map(String::as_str);
    play(Stage::on(kind, "bull 4.16.5"), "node moves.js bull", "adds", &triggers);
}

fn jobs_that_bee_queue_moves_are_never_too_few(kind: Kind) {
    let stage = Stage::on(kind, "bee-queue 2.0.0");
    play(stage, "node moves.js bee-queue", "adds", &["layout=bee-queue"]);
}

fn jobs_that_asynq_moves_are_never_too_few(kind: Kind) {
    let triggers = ["layout=asynq", "layout=asynq orphans=ignore"];
    play(Stage::on(kind, "asynq 0.26.0"), "asynq moves", "adds", &triggers);
}

fn jobs_that_dramatiq_moves_are_never_too_few(kind: Kind) {
    let stage = Stage::on(kind, "dramatiq 2.2.1");
    play(stage, "python dramatiq_moves.py", "adds", &["layout=dramatiq"]);
}

fn jobs_that_arq_moves_are_never_too_few(kind: Kind) {
    play(Stage::on(kind, "arq 0.28.0"), "arq:python arq_moves.py", "adds", &["layout=arq"]);
}

fn jobs_that_taskiq_kicks_again_are_never_too_few(kind: Kind) {
    let stage = Stage::on(kind, "taskiq 0.13.0, a stream").with("TEST_BROKER", "stream");
    play(stage, "python taskiq_moves.py", "adds", &["layout=taskiq broker=stream"]);
}

fn jobs_that_celery_moves_are_never_too_few(kind: Kind) {
    let triggers = ["layout=celery acks=late"];
    play(Stage::on(kind, "kombu 5.7.0"), "python celery_moves.py", "", &triggers);
}

fn jobs_that_celery_moves_are_never_too_few_where_unacked_is_one_triggers_own(kind: Kind) {
    let triggers = ["layout=celery acks=late unacked=own"];
    play(Stage::on(kind, "kombu 5.7.0"), "python celery_moves.py", "", &triggers);
}

fn jobs_that_rq_moves_are_never_too_few(kind: Kind) {
    play(Stage::on(kind, "rq 3.0.0"), "python rq_moves.py", "", &["layout=rq"]);
}

fn jobs_that_rq_moves_from_one_of_two_queues_are_never_too_few(kind: Kind) {
    let stage = Stage::on(kind, "rq 3.0.0, two queues").with("TEST_QUEUES", "two");
    play(stage, "python rq_moves.py", "", &["layout=rq"]);
}

fn jobs_that_gitlabs_sidekiq_fetcher_moves_are_never_too_few(kind: Kind) {
    let stage = Stage::on(kind, "gitlab-sidekiq-fetcher 0.8.0");
    let triggers = ["layout=sidekiq fetch=lists lists=*"];
    play(stage, "ruby sidekiq_moves.rb", "", &triggers);
}

/// Lets the program move its jobs, and asks both replicas about each trigger until it has ended.
fn play(mut stage: Stage, program: &str, adds: &str, triggers: &[&str]) {
    let url = stage.redis.url();
    let config = format!("[redis.default]\nurl = \"{url}\"\nscan = true\n");
    let config = format!("--config {}", stage.file("penstock.toml", &config));
    let replicas = [stage.serve_with(&config), stage.serve_with(&config)];
    let line = format!("{program} {JOBS} {} {adds}", moving());
    let pid = stage.work(line.trim_end());
    let seen: Vec<Seen> = Runtime::new().unwrap().block_on(async {
        let mut looks = vec![];
        for trigger in triggers {
            for (address, replica) in replicas.iter().zip(["with the stream", "polled"]) {
                let metadata = metadata(trigger);
                let client =
                    KedaClient::connect(address, ("default", trigger), metadata).await.unwrap();
                let ledger = RefCell::new(Ledger(stage.redis.connect()));
                looks.push(Look { trigger, replica, client, ledger, seen: RefCell::default() });
            }
        }
        // The first replica holds a stream of each trigger.
        let mut streams = vec![];
        for look in looks.iter().filter(|look| look.replica != "polled") {
            streams.push(look.client.clone().pushes().await.unwrap());
        }
        let _turn = TURNS.acquire().await.unwrap();
        for look in &looks {
            look.begin().await;
        }
        stage.release();
        let stage = &mut stage;
        let is_over = async move {
            while !stage.has_ended(pid) {
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, async {
            let mut all: FuturesUnordered<_> = looks.iter().map(Look::go_on).collect();
            tokio::select! {
                () = is_over => {}
                _ = all.next() => {}
            }
        })
        .await
        .expect("the program comes to its end");
        for look in &looks {
            look.is_drained().await;
        }
        looks.into_iter().map(|look| look.seen.into_inner()).collect()
    });
    let moves = stage.redis.ask::<Option<u32>>("GET test:moves").expect("the program did its work");
    for seen in &seen {
        println!("| {} | {moves} moves a second | {seen} |", stage.name());
    }
    assert!(moves >= LEAST_MOVES, "only {moves} moves a second");
    let too_low: Vec<&Seen> = seen.iter().filter(|seen| seen.too_low > 0).collect();
    assert!(too_low.is_empty(), "{too_low:#?}");
}

/// The trigger of the queue `q`.
fn metadata(trigger: &str) -> HashMap<String, String> {
    let pairs = trigger.split(' ').chain(["queue=q"]).map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[expect(clippy::disallowed_methods, reason = "who looks for a fault looks for longer")]
fn moving() -> u32 {
    std::env::var("MOVING").map_or(MOVING, |seconds| seconds.parse().unwrap())
}

/// One trigger as one replica tells it.
struct Look<'a> {
    trigger: &'a str,
    replica: &'static str,
    client: KedaClient,
    ledger: RefCell<Ledger>,
    seen: RefCell<Seen>,
}

/// What the looks have seen.
#[derive(Debug, Default)]
struct Seen {
    name: String,
    looks: u32,
    too_low: u32,
    /// The first and the worst of those: what was told, and what was unfinished.
    first: Option<(f64, bool, u32)>,
    worst: Option<(f64, bool, u32)>,
    most: f64,
    longest: Duration,
    /// Of the jobs entered, those that a look has counted.
    counted: u32,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, looks, too_low, worst, most, longest, .. } = self;
        write!(
            to,
            "{name} | {looks} looks of at most {longest:?} | {most} at most | {too_low} too low"
        )?;
        worst.map_or(Ok(()), |worst| write!(to, ", at worst {worst:?}"))
    }
}

impl Look<'_> {
    /// Waits until the jobs that stay are told.
    async fn begin(&self) {
        let (jobs, mut client) = (f64::from(JOBS), self.client.clone());
        let start = Instant::now();
        while client.poll().await.map(|told| told.value) != Ok(jobs) {
            assert!(start.elapsed() < PATIENCE, "{} {}", self.trigger, self.replica);
            sleep(LOOK).await;
        }
        let name = format!("{} | {}", self.trigger, self.replica);
        *self.seen.borrow_mut() = Seen { name, counted: JOBS, ..Seen::default() };
    }

    /// Looks again and again, also while the looks before are not answered.
    async fn go_on(&self) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = FuturesUnordered::new();
        loop {
            tokio::select! {
                _ = ticks.tick(), if looks.len() < LOOKS => looks.push(self.once()),
                Some(()) = looks.next() => {}
            }
        }
    }

    /// What was counted before and is not leaving after it was unfinished at each moment between.
    async fn once(&self) {
        let counted = self.seen.borrow().counted;
        let (entered, _) = self.ledger.borrow_mut().read();
        let asked = Instant::now();
        let told = self.client.clone().poll().await.unwrap();
        let took = asked.elapsed();
        let (_, leaving) = self.ledger.borrow_mut().read();
        let least = counted.saturating_sub(leaving);
        let mut seen = self.seen.borrow_mut();
        if told.value < f64::from(least) || (!told.active && least > 0) {
            let low = (told.value, told.active, least);
            let missing = |(value, _, least): (f64, bool, u32)| f64::from(least) - value;
            seen.too_low += 1;
            seen.first.get_or_insert(low);
            seen.worst = seen.worst.filter(|worst| missing(*worst) >= missing(low)).or(Some(low));
        }
        if told.value >= f64::from(entered.saturating_sub(leaving)) {
            seen.counted = seen.counted.max(entered);
        }
        seen.looks += 1;
        seen.most = seen.most.max(told.value);
        seen.longest = seen.longest.max(took);
    }

    /// Expects that nothing is told once everything is finished, and that all that was added was told.
    async fn is_drained(&self) {
        let (entered, leaving) = self.ledger.borrow_mut().read();
        assert_eq!(entered, leaving, "all jobs are finished");
        let (mut client, start) = (self.client.clone(), Instant::now());
        loop {
            let told = client.poll().await.unwrap();
            if told.value == 0.0 && !told.active {
                return;
            }
            let late = start.elapsed() > PATIENCE / 3;
            assert!(!late, "{} {}: {told:?} when all is done", self.trigger, self.replica);
            sleep(LOOK).await;
        }
    }
}

/// What the program has noted.
struct Ledger(Connection);

impl Ledger {
    /// How many jobs were entered, and how many are leaving or have left.
    fn read(&mut self) -> (u32, u32) {
        let keys = ["test:entered", "test:leaving"];
        let (entered, leaving): (u32, Option<u32>) =
            redis::cmd("MGET").arg(&keys).query(&mut self.0).unwrap();
        (entered, leaving.unwrap_or_default())
    }
}
