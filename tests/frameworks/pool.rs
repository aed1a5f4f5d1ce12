//! A pool of real workers whose number the demo's KEDA decides: up from zero, down as the queue
//! empties, and to zero, twice over two hundred jobs. penstock may never tell less than there is to do.
//!
//! Nothing stands still to be counted: the test looks every few milliseconds, and compares with what must
//! have been unfinished all the while it looked.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use deadpool_redis::redis::{self, Connection};
use futures_util::stream::{FuturesUnordered, StreamExt};
use penstock_hpa::{HpaFlags, ScaledObject, Target, Trigger};
use penstock_keda_client::{Happening, Keda, KedaClient, Workload};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::stage::{Stage, TURNS};

/// Jobs that are enqueued when there is no worker, and once more when there is none again.
const WAVE: u32 = 100;
/// Between two looks at what penstock tells.
const LOOK: Duration = Duration::from_millis(20);
/// Jobs are enqueued on other connections than those that penstock hears and is asked on, so a look
/// may be ahead of the news of them. How late news may be is asked by other tests; here they have to
/// come, and from then on nothing less may be told.
const NEWS: Duration = Duration::from_secs(5);
/// After this long without a job that begins or ends, what is in flight is taken for stranded.
const STILL: Duration = Duration::from_secs(10);
/// For a run of forty seconds on two cores.
const PATIENCE: Duration = Duration::from_secs(420);

/// What is started for one framework.
struct Pool {
    /// Enqueues a wave.
    producer: String,
    worker: &'static str,
    /// The list in which workers that end may leave jobs, and the queue that an operator puts them back to.
    stranded: Option<(&'static str, &'static str)>,
    most: u32,
    metadata: &'static [(&'static str, &'static str)],
}

#[tokio::test]
async fn a_pool_of_celery_workers_is_never_told_less_than_there_is_to_do() {
    let stage = Stage::new("celery 5.7.0, a pool").with("TEST_ACKS", "late");
    let pool = Pool {
        producer: format!("python celery_app.py q {WAVE}"),
        worker: "celery -A celery_app worker -Q q -c 2 --without-gossip --without-mingle -l warning",
        stranded: None,
        most: 4,
        metadata: &[("layout", "celery"), ("queue", "q"), ("acks", "late")],
    };
    play(stage, pool).await;
}

#[tokio::test]
async fn a_pool_of_rq_workers_is_never_told_less_than_there_is_to_do() {
    let pool = Pool {
        producer: format!("python rq_app.py enqueue q {WAVE}"),
        worker: "rq worker -u REDIS -P . q",
        // A worker that is told to end after it took a job and before it began with it leaves the job
        // here, and a maintenance that is cut so leaves a lock of a quarter of an hour.
        stranded: Some(("rq:queue:q:intermediate", "rq:queue:q")),
        most: 6,
        metadata: &[("layout", "rq"), ("queue", "q")],
    };
    play(Stage::new("rq 3.0.0, a pool"), pool).await;
}

#[tokio::test]
async fn a_pool_of_bullmq_workers_is_never_told_less_than_there_is_to_do() {
    let pool = Pool {
        producer: format!("node bullmq.js bullmq add q {WAVE} {{}}"),
        worker: "node bullmq.js bullmq work q",
        stranded: None,
        most: 4,
        metadata: &[("layout", "bullmq"), ("queue", "q")],
    };
    play(Stage::new("bullmq 6.7.0, a pool"), pool).await;
}

async fn play(stage: Stage, pool: Pool) {
    let mut stage = stage.with("TEST_NAP", "100");
    let scaler = stage.serve();
    let keda = Keda::connect(&scaler, workload(&pool)).await.unwrap();
    let metadata = workload(&pool).metadata;
    let looker = KedaClient::connect(&scaler, ("default", "demo"), metadata).await.unwrap();
    let [decides, looks, works] = [(); 3].map(|()| Book(stage.redis.connect()));
    let (wanted, replicas) = watch::channel(0);
    let seen = watch::channel(Seen::default()).0;
    let _turn = TURNS.acquire().await.unwrap();
    let drained = timeout(PATIENCE, async {
        tokio::select! {
            () = decide(keda, decides, wanted) => {}
            () = look(looker, looks, &seen) => {}
            () = work(&mut stage, &pool, works, replicas) => {}
        }
    });
    let drained = drained.await.is_ok();
    let keys: Vec<String> = stage.redis.ask("KEYS *");
    assert!(drained, "not drained: {:?}, {keys:?}", *seen.borrow());
    let mut ends = BTreeMap::new();
    for job in stage.redis.ask::<Vec<String>>("LRANGE test:ended 0 -1") {
        *ends.entry(job).or_insert(0) += 1;
    }
    let once_a_wave = ends.values().all(|times| *times == 2);
    assert!(once_a_wave && ends.len() == WAVE as usize, "lost, or run twice: {ends:?}");
    let Seen { looks, most, late, .. } = *seen.borrow();
    println!("| {} | {looks} looks, at most {most} jobs, news {late:?} late |", stage.name());
}

/// KEDA asks often and waits for nothing before it scales in, so that each moment of a low count shows.
fn workload(pool: &Pool) -> Workload {
    let target = 8;
    let pairs = pool.metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut metadata: HashMap<String, String> = pairs.collect();
    metadata.insert("target".to_owned(), target.to_string());
    let target = Target::try_from(f64::from(target)).unwrap();
    Workload {
        object: ScaledObject {
            triggers: vec![Trigger { target, activation: 0.0 }],
            polling_interval: Duration::from_secs(5),
            cooldown_period: Duration::from_secs(5),
            max_replica_count: pool.most,
            ..ScaledObject::default()
        },
        flags: HpaFlags { downscale_stabilization: Duration::ZERO, ..HpaFlags::default() },
        metadata,
        speed: 20.0,
    }
}

/// KEDA decides. It may go to zero only when all that was there before it asked has ended.
async fn decide(mut keda: Keda, mut book: Book, wanted: watch::Sender<u32>) {
    let start = Instant::now();
    loop {
        let due = keda.next().await;
        let enqueued = book.enqueued();
        for happening in keda.act(due).await {
            println!("{:6.2} s  {happening}", start.elapsed().as_secs_f64());
            if matches!(happening, Happening::Scaled { to: 0, .. }) {
                let ended = book.ended();
                assert!(ended >= enqueued, "to zero with {ended} ended of {enqueued} jobs");
            }
        }
        wanted.send_replace(keda.replicas());
    }
}

/// What the looks have seen.
#[derive(Debug, Default)]
struct Seen {
    looks: u32,
    most: f64,
    /// Of the jobs enqueued, those that a look has counted.
    counted: u32,
    behind_since: Option<Instant>,
    late: Duration,
}

/// Looks again and again, also while the looks before are not answered.
async fn look(client: KedaClient, book: Book, seen: &watch::Sender<Seen>) {
    let book = RefCell::new(book);
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = FuturesUnordered::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => looks.push(look_once(client.clone(), &book, seen)),
            Some(()) = looks.next() => {}
        }
    }
}

/// Asks penstock. What was enqueued before and has not ended after it was unfinished at each moment
/// between.
async fn look_once(mut client: KedaClient, book: &RefCell<Book>, seen: &watch::Sender<Seen>) {
    let (counted, enqueued) = (seen.borrow().counted, book.borrow_mut().enqueued());
    let told = client.poll().await.unwrap();
    let ended = book.borrow_mut().ended();
    let least = counted.saturating_sub(ended);
    assert!(told.value >= f64::from(least), "{told:?} with {ended} ended of {counted}");
    assert!(told.active || least == 0, "{told:?} with {ended} ended of {counted}");
    seen.send_modify(|seen| {
        if told.value >= f64::from(enqueued.saturating_sub(ended)) {
            seen.counted = seen.counted.max(enqueued);
            let behind = seen.behind_since.take().map(|since| since.elapsed());
            seen.late = seen.late.max(behind.unwrap_or_default());
        } else {
            let since = *seen.behind_since.get_or_insert_with(Instant::now);
            assert!(since.elapsed() < NEWS, "{told:?} with {ended} ended of {enqueued}");
        }
        seen.looks += 1;
        seen.most = seen.most.max(told.value);
    });
}

/// As many workers as there should be, until both waves are done and no worker is left.
async fn work(stage: &mut Stage, pool: &Pool, mut book: Book, replicas: watch::Receiver<u32>) {
    let (mut waves, mut working, mut ending, mut crowd) = (0, vec![], vec![], 0);
    let (mut last, mut since) = ([0; 3], Instant::now());
    loop {
        let wanted = *replicas.borrow();
        if let Some((left, queue)) = pool.stranded {
            let now = [book.length("test:began"), book.ended(), book.length(left)];
            if now != last || now[2] == 0 || now[0] != now[1] || book.length(queue) > 0 {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > STILL {
                println!("one of {} stranded jobs is put back", now[2]);
                stage.redis.run(&format!("LMOVE {left} {queue} LEFT RIGHT"));
                since = Instant::now();
            }
        }
        let is_idle = wanted == 0 && working.is_empty();
        if is_idle && book.ended() == waves * WAVE {
            if waves < 2 {
                waves += 1;
                stage.work(&pool.producer);
            } else if ending.is_empty() {
                assert!(crowd > 1, "never more than one worker");
                return;
            }
        }
        ending.retain(|pid| !stage.has_ended(*pid));
        while working.len() < wanted as usize {
            working.push(stage.work(pool.worker));
        }
        crowd = crowd.max(working.len());
        // The youngest goes first, as a ReplicaSet does among equals.
        while working.len() > wanted as usize {
            let youngest = working.pop().unwrap();
            stage.terminate(youngest);
            ending.push(youngest);
        }
        sleep(LOOK).await;
    }
}

/// What the jobs and their producers wrote down themselves.
struct Book(Connection);

impl Book {
    fn enqueued(&mut self) -> u32 {
        self.length("test:enqueued")
    }

    fn ended(&mut self) -> u32 {
        self.length("test:ended")
    }

    fn length(&mut self, key: &str) -> u32 {
        redis::cmd("LLEN").arg(key).query(&mut self.0).unwrap()
    }
}
