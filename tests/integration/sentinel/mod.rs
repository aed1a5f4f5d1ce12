//! The master that sentinels name: found, left, and never mistaken, whatever the sentinels say.

mod puppets;
mod tls;

use std::time::Duration;

use penstock::redis::sentinel_acl;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{
    harness::{
        CALL, Kind, PATIENCE, RECOVERY, Server, Service, Setup, Trio, eventually, eventually_is,
        millis, seconds,
    },
    on_both_servers,
    streams::Pushes,
    wire::{Keda, queue},
};

on_both_servers!(
    a_master_that_is_killed_is_replaced_without_a_zero,
    a_master_that_hangs_is_replaced_and_not_gone_back_to,
    a_planned_failover_is_followed_without_a_zero,
    a_master_is_read_on_while_all_sentinels_are_dead,
    the_documented_users_are_enough,
);

/// Within this time of the election everything is right again.
const AFTER_ELECTION: Duration = Duration::from_secs(2);
/// Between two polls.
const POLL: Duration = Duration::from_millis(20);

/// Polls a queue that always has at least three jobs; gives how often.
fn poll(keda: &Keda, stop: &CancellationToken) -> JoinSet<usize> {
    let (keda, stop) = (keda.clone(), stop.clone());
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut polls = 0;
        while !stop.is_cancelled() {
            let asked = Instant::now();
            let q = queue("q");
            let (value, active) = tokio::join!(keda.value(&q), keda.is_active(&q));
            let value = value.expect("held, or read again");
            assert!(value >= 3.0, "poll {polls} was told {value}");
            assert!(active.expect("held, or read again"), "poll {polls} was told false");
            assert!(asked.elapsed() < CALL, "poll {polls} took {:?}", asked.elapsed());
            polls += 1;
            sleep(POLL).await;
        }
        polls
    });
    task
}

/// Writes jobs of another queue to a server as fast as it takes them, until it is killed.
fn load(server: &Server) -> JoinHandle<usize> {
    let mut link = server.connect();
    // A server that hangs is not waited for.
    link.set_read_timeout(Some(millis(300))).unwrap();
    tokio::task::spawn_blocking(move || {
        let push = |_: &usize| {
            let mut command = deadpool_redis::redis::cmd("RPUSH");
            command.arg("load").arg("x").query::<i64>(&mut link).is_ok()
        };
        (0..).take_while(push).count()
    })
}

async fn value(keda: &Keda, name: &str) -> Result<f64, Code> {
    keda.value(&queue(name)).await.map_err(|status| status.code())
}

/// A service of sentinels at these places, with three jobs in `q` and an open stream on it and on an
/// idle queue.
struct World {
    service: Service,
    keda: Keda,
    busy: Pushes,
    idle: Pushes,
    polls: JoinSet<usize>,
    stop: CancellationToken,
}

impl World {
    async fn start(trio: &Trio) -> Self {
        trio.servers[0].run("RPUSH q a b c\nWAIT 2 5000");
        let service = Setup::default().config(Trio::config(&trio.addresses(), "")).start().await;
        let keda = service.keda().await;
        eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
        let mut busy = Pushes::of(&keda, &queue("q")).await;
        let mut idle = Pushes::of(&keda, &queue("idle")).await;
        assert!(busy.next(RECOVERY).await && !idle.next(RECOVERY).await);
        let stop = CancellationToken::new();
        let polls = poll(&keda, &stop);
        Self { service, keda, busy, idle, polls, stop }
    }

    /// After the election: a job on the new master is pushed and counted in time.
    async fn follows(&mut self, elected_at: Instant, master: &Server) {
        master.run("RPUSH idle a\nRPUSH q d");
        let left = || AFTER_ELECTION.saturating_sub(elected_at.elapsed());
        assert!(self.idle.next(left()).await, "`true` is pushed");
        eventually_is(left(), Ok(4.0), async || value(&self.keda, "q").await).await;
        eprintln!("right {:?} after the election", elected_at.elapsed());
    }

    /// Nothing wrong was said in between.
    async fn end(mut self) {
        self.stop.cancel();
        let polls = self.polls.join_next().await.unwrap().unwrap();
        assert!(polls > 50, "{polls} polls are too few");
        while let Some(active) = self.busy.if_any(millis(100)).await {
            assert!(active, "`false` was pushed");
        }
        drop(self.service);
    }
}

async fn a_master_that_is_killed_is_replaced_without_a_zero(kind: Kind) {
    let mut trio = Trio::start(kind);
    let mut world = World::start(&trio).await;
    let writes = load(trio.master());
    let switches = trio.listen();
    sleep(millis(300)).await;
    trio.master().kill();
    let (switch, master) = trio.switched(switches).await;
    world.follows(switch.at, master).await;
    assert!(writes.await.unwrap() > 0);
    let written = master.ask::<f64>("LLEN load");
    eventually_is(RECOVERY, Ok(written), async || value(&world.keda, "load").await).await;
    // The old master comes back, with what it knew, and is no master any more.
    trio.master().run_again();
    for _ in 0..50 {
        assert_eq!(value(&world.keda, "q").await, Ok(4.0));
        sleep(POLL).await;
    }
    world.end().await;
}

async fn a_master_that_hangs_is_replaced_and_not_gone_back_to(kind: Kind) {
    let mut trio = Trio::start(kind);
    let mut world = World::start(&trio).await;
    let writes = load(trio.master());
    let switches = trio.listen();
    sleep(millis(300)).await;
    trio.master().signal("STOP");
    let (switch, master) = trio.switched(switches).await;
    world.follows(switch.at, master).await;
    writes.await.unwrap();
    // It still says that it is a master, and counts three jobs, until the sentinels find time for it.
    trio.master().signal("CONT");
    for _ in 0..100 {
        assert_eq!(value(&world.keda, "q").await, Ok(4.0));
        sleep(POLL).await;
    }
    world.end().await;
}

async fn a_planned_failover_is_followed_without_a_zero(kind: Kind) {
    let mut trio = Trio::start(kind);
    let mut world = World::start(&trio).await;
    let writes = load(trio.master());
    let switches = trio.listen();
    sleep(millis(300)).await;
    trio.fail_over();
    let (switch, master) = trio.switched(switches).await;
    world.follows(switch.at, master).await;
    assert!(writes.await.unwrap() > 0);
    world.end().await;
}

async fn a_master_is_read_on_while_all_sentinels_are_dead(kind: Kind) {
    let mut trio = Trio::start(kind);
    let mut world = World::start(&trio).await;
    trio.kill_sentinels();
    sleep(seconds(2)).await;
    trio.master().run("RPUSH q d\nRPUSH idle a");
    eventually_is(RECOVERY, Ok(4.0), async || value(&world.keda, "q").await).await;
    assert!(world.idle.next(RECOVERY).await);
    // Also a link that breaks is made again, to the same master.
    trio.master().run("CLIENT KILL TYPE normal");
    trio.master().run("RPUSH q e");
    eventually_is(RECOVERY, Ok(5.0), async || value(&world.keda, "q").await).await;
    // Each is told once.
    world.service.logged("a sentinel is of no use", 3).await;
    world.end().await;
}

async fn the_documented_users_are_enough(kind: Kind) {
    let user = format!("user {} >hunter2\n", sentinel_acl("watcher"));
    let mut trio = Trio::with(kind, &user, None);
    trio.master().run("RPUSH q a b c\nWAIT 2 5000");
    for server in &trio.servers {
        let rights = "+role +ping +time +client|tracking +llen +type +zcount +zrangebyscore";
        server.run(&format!("ACL SETUSER reader on >hunter3 ~q %R~idle -@all {rights}"));
    }
    let more = ", username = \"watcher\", password_env = \"OF_SENTINELS\"";
    let config = Trio::config(&trio.addresses(), more);
    let setup = Setup::default().config(config + "username = \"reader\"\npassword_env = \"P\"\n");
    let setup = setup.variable("P", "hunter3").variable("OF_SENTINELS", "hunter2");
    let service = setup.start().await;
    let keda = service.keda().await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    assert!(service.metric("penstock_redis_tracking").await > 0.0, "changes are announced");
    let switches = trio.listen();
    trio.fail_over();
    let (switch, master) = trio.switched(switches).await;
    master.run("RPUSH q d");
    let left = AFTER_ELECTION.saturating_sub(switch.at.elapsed());
    eventually_is(left, Ok(4.0), async || value(&keda, "q").await).await;
    assert_eq!(service.log_with("a sentinel is of no use").len(), 0, "{:?}", service.log());
    let log = service.log().join("\n");
    assert!(!log.contains("hunter"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_refuse_the_password_are_told_and_the_password_is_not() {
    let trio = Trio::with(Kind::Redis, "requirepass hunter2\n", Some("hunter2"));
    let told = async |more: &str, part: &str| {
        let setup = Setup::default().config(Trio::config(&trio.addresses(), more));
        let service = setup.variable("P", "hunter3").start().await;
        let keda = service.keda().await;
        eventually(PATIENCE, async || match keda.value(&queue("q")).await {
            Ok(value) => panic!("{value}"),
            Err(status) if status.message().contains(part) => Ok(()),
            Err(status) => Err(status),
        })
        .await;
        let log = service.says(part).await;
        assert!(!log.contains("hunter3"), "{log}");
    };
    told("", "3 cannot be asked (Redis refuses: NOAUTH").await;
    told(", password_env = \"P\"", "3 cannot be asked (Redis refuses: ").await;
}
