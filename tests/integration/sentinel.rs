//! The master that sentinels name: found, left, and never mistaken, whatever the sentinels say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use penstock::redis::sentinel_acl;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{
    harness::{
        CALL, Kind, PATIENCE, RECOVERY, Scripted, Server, Service, Setup, Trio, eventually,
        eventually_is, millis, seconds,
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
    assert_eq!(world.service.log_with("a sentinel is of no use").len(), 3, "each is told once");
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

/// Sentinels as a test says: each names the server on its port, or none for 0.
struct Puppets {
    ports: Vec<Arc<AtomicU16>>,
    sentinels: Vec<Scripted>,
}

impl Puppets {
    async fn naming(ports: &[u16]) -> Self {
        let ports: Vec<_> = ports.iter().map(|port| Arc::new(AtomicU16::new(*port))).collect();
        let mut sentinels = Vec::new();
        for port in &ports {
            let port = Arc::clone(port);
            let answer = move |command: &str| match (command, port.load(Ordering::SeqCst)) {
                ("SUBSCRIBE", _) => {
                    &b">3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"[..]
                }
                ("SENTINEL", 0) => b"*-1\r\n",
                ("SENTINEL", port) => {
                    let port = port.to_string();
                    let reply = format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len());
                    // A few bytes for each answer, in a test that ends.
                    reply.leak().as_bytes()
                }
                _ => b"-ERR unknown command\r\n",
            };
            sentinels.push(Scripted::answering(answer).await);
        }
        Self { ports, sentinels }
    }

    fn name(&self, which: usize, port: u16) {
        self.ports[which].store(port, Ordering::SeqCst);
    }

    fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(Scripted::address).collect()
    }

    async fn service(&self) -> (Service, Keda) {
        let service = Setup::default().config(Trio::config(&self.addresses(), "")).start().await;
        let keda = service.keda().await;
        (service, keda)
    }
}

/// Two masters: one with three jobs, one with none.
fn full_and_empty() -> (Server, Server) {
    let (full, empty) = (Server::start(Kind::Redis), Server::start(Kind::Redis));
    full.run("RPUSH q a b c");
    (full, empty)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sentinel_that_names_another_master_is_outvoted() {
    let (full, empty) = full_and_empty();
    for liar in 0..3 {
        let mut ports = [full.port(); 3];
        ports[liar] = empty.port();
        let (_service, keda) = {
            let puppets = Puppets::naming(&ports).await;
            let started = puppets.service().await;
            eventually_is(RECOVERY, Ok(3.0), async || value(&started.1, "q").await).await;
            // Longer than the sentinels are not asked again.
            for _ in 0..100 {
                assert_eq!(value(&started.1, "q").await, Ok(3.0));
                sleep(POLL).await;
            }
            started
        };
        assert_eq!(value(&keda, "q").await, Ok(3.0), "they are gone, and the master is not");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_cut_off_is_left_once_most_sentinels_name_another() {
    let (old, new) = (Server::start(Kind::Redis), Server::start(Kind::Redis));
    old.run("RPUSH q a b c");
    new.run("RPUSH q a b c d");
    let puppets = Puppets::naming(&[old.port(); 3]).await;
    let (_service, keda) = puppets.service().await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    puppets.name(0, new.port());
    for _ in 0..75 {
        assert_eq!(value(&keda, "q").await, Ok(3.0), "one of three is not enough");
        sleep(POLL).await;
    }
    puppets.name(1, new.port());
    // Nothing announces it: they are asked every second.
    eventually_is(RECOVERY, Ok(4.0), async || value(&keda, "q").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_master_stays_while_too_few_sentinels_can_say_who_it_is() {
    let (full, empty) = full_and_empty();
    let puppets = Puppets::naming(&[full.port(); 3]).await;
    let (service, keda) = puppets.service().await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    puppets.name(1, 0);
    puppets.name(2, 0);
    full.run("CLIENT KILL TYPE normal\nRPUSH q d");
    eventually_is(RECOVERY, Ok(4.0), async || value(&keda, "q").await).await;
    // One that names another is not believed, but then neither is the last master.
    puppets.name(0, empty.port());
    full.run("CLIENT KILL TYPE normal\nRPUSH q e");
    let doubt = format!("1 name {}, 2 know no master `mymaster`", empty.address());
    eventually(PATIENCE, async || {
        assert!(value(&keda, "q").await.is_ok_and(|value| value >= 4.0), "held, and never none");
        let log = service.log().join("\n");
        if log.contains(&doubt) { Ok(()) } else { Err(log) }
    })
    .await;
    puppets.name(1, full.port());
    puppets.name(2, full.port());
    eventually_is(RECOVERY, Ok(5.0), async || value(&keda, "q").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_disagree_or_know_no_such_master_make_it_unavailable() {
    let (full, empty) = full_and_empty();
    let told = async |ports: &[u16], part: &str| {
        let puppets = Puppets::naming(ports).await;
        let (_service, keda) = puppets.service().await;
        eventually(PATIENCE, async || match keda.value(&queue("q")).await {
            Ok(value) => panic!("{value}"),
            Err(status) if status.message().contains(part) => Ok(()),
            Err(status) => Err(status),
        })
        .await;
    };
    told(&[full.port(), empty.port(), 0], "2 of 3 sentinels must name the same master").await;
    told(&[0, 0, 0], "3 know no master `mymaster`").await;
    told(&[full.port(), empty.port()], "1 of 2 sentinels must name the same master").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_no_master_or_not_there_is_told_by_its_address() {
    let replica = Server::start(Kind::Redis);
    replica.run("RPUSH q a");
    let nowhere = Server::absent(Kind::Redis);
    let puppets = Puppets::naming(&[replica.port()]).await;
    let (service, keda) = puppets.service().await;
    eventually_is(RECOVERY, Ok(1.0), async || value(&keda, "q").await).await;
    // It is made a replica without the sentinels, and nobody closes our connection.
    replica.run(&format!("CONFIG SET repl-timeout 1\nREPLICAOF 127.0.0.1 {}", nowhere.port()));
    let logged = async |part: &str| {
        eventually(PATIENCE, async || {
            let log = service.log().join("\n");
            if log.contains(part) { Ok(()) } else { Err(log) }
        })
        .await;
    };
    logged("it says that it is a replica").await;
    assert_eq!(value(&keda, "q").await, Ok(1.0), "held");
    puppets.name(0, nowhere.port());
    logged(&format!("{}, whom the sentinels name master: ", nowhere.address())).await;
    replica.run("REPLICAOF NO ONE\nRPUSH q b");
    puppets.name(0, replica.port());
    eventually_is(RECOVERY, Ok(2.0), async || value(&keda, "q").await).await;
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
        let log = service.log().join("\n");
        assert!(log.contains(part) && !log.contains("hunter3"), "{log}");
    };
    told("", "3 cannot be asked (Redis refuses: NOAUTH").await;
    told(", password_env = \"P\"", "3 cannot be asked (Redis refuses: ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_may_name_the_master_by_its_host_name() {
    let server = Server::start(Kind::Redis);
    server.run("RPUSH q a b c");
    let port = server.port().to_string();
    let named: &'static str =
        format!("*2\r\n$9\r\nlocalhost\r\n${}\r\n{port}\r\n", port.len()).leak();
    let answer = move |command: &str| match command {
        "SENTINEL" => named.as_bytes(),
        _ => b"-ERR unknown command\r\n",
    };
    let sentinel = Scripted::answering(answer).await;
    let config = Trio::config(&[sentinel.address()], "");
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    let named = service.log_with("the sentinels name a master");
    assert_eq!(named[0]["master"], format!("localhost:{port}"));
}
