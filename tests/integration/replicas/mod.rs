//! Replicas in place of their master: they are read, they are left before they are too far behind, and
//! nothing of what they go through is taken for an empty queue.

mod behind;
mod sentinels;

use std::time::Duration;

use tonic::Code;

use crate::{
    harness::{
        Kind, PATIENCE, RECOVERY, STEP, Server, Service, Setup, eventually, eventually_is, millis,
        penstock,
    },
    on_both_servers,
    streams::Pushes,
    wire::{Keda, queue, trigger},
};

on_both_servers!(
    the_replica_is_read_and_the_master_is_spared,
    what_happens_on_the_master_is_pushed_by_the_replica,
    a_flush_of_the_master_is_told_in_the_end_and_not_before_it_is_proved,
    the_printed_rights_are_enough_and_role_is_needed,
);

/// The bound of these tests: long enough for a machine that is held up for a moment.
const MAX_LAG: &str = "1s";

/// A master and a replica of it that has all of it; the replica follows what is on this port.
fn replica_of(kind: Kind, port: u16) -> Server {
    let port = port.to_string();
    Server::with_arguments(kind, &["--replicaof", "127.0.0.1", &port, "--repl-timeout", "60"])
}

/// Starts a master without a pause before a replica is filled.
fn master(kind: Kind) -> Server {
    let quick = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
    Server::with_arguments(kind, &quick)
}

/// Waits until both say so: a master names a replica only once that has acknowledged what it got.
async fn is_connected(replica: &Server, master: &Server) {
    let says = |server: &Server, what: &str| {
        let role: deadpool_redis::redis::Value = server.ask("ROLE");
        let told = format!("{role:?}");
        let is_told = told.contains(&format!("'{what}'")) || told.contains(&format!("\"{what}\""));
        if is_told { Ok(()) } else { Err(told) }
    };
    let port = replica.port().to_string();
    eventually(PATIENCE, async || {
        says(replica, "connected")?;
        says(master, &port)
    })
    .await;
}

async fn pair(kind: Kind) -> (Server, Server) {
    let master = master(kind);
    master.run("RPUSH q a b c");
    let replica = replica_of(kind, master.port());
    is_connected(&replica, &master).await;
    (master, replica)
}

fn config(master: &Server, more: &str) -> String {
    format!(
        "[server]\npush_inactive = true\n[redis.default]\nurl = \"{}\"\n\
         replicas = {{ max_lag = \"{MAX_LAG}\"{more} }}\n",
        master.url()
    )
}

async fn service(master: &Server, more: &str) -> (Service, Keda) {
    let service = Setup::default().config(config(master, more)).start().await;
    let keda = service.keda().await;
    (service, keda)
}

async fn value(keda: &Keda, name: &str) -> Result<f64, Code> {
    keda.value(&queue(name)).await.map_err(|status| status.code())
}

/// How often a server was told this command.
fn calls(server: &Server, command: &str) -> u64 {
    let statistics: String = server.ask("INFO commandstats");
    let of = format!("cmdstat_{command}:calls=");
    let line = statistics.lines().find_map(|line| line.strip_prefix(of.as_str()));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

async fn reads_replica(service: &Service, within: Duration, wanted: bool) {
    let wanted = f64::from(u8::from(wanted));
    eventually_is(within, wanted, async || service.metric("penstock_redis_replica{").await).await;
}

async fn the_replica_is_read_and_the_master_is_spared(kind: Kind) {
    let (master, replica) = pair(kind).await;
    for more in ["", &format!(", nodes = [\"{}\"]", replica.address())] {
        replica.run("CONFIG RESETSTAT");
        let (service, keda) = service(&master, more).await;
        eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
        reads_replica(&service, RECOVERY, true).await;
        assert_eq!((calls(&master, "llen"), calls(&master, "client|tracking")), (0, 0), "{more}");
        assert!(calls(&replica, "llen") > 0);
        let lag = service.metric("penstock_redis_replica_lag_bound_seconds").await;
        assert!((0.0..=1.0).contains(&lag), "{lag}");
        let told = service.log_with("reading a replica");
        assert_eq!(told[0]["replica"], replica.address());
        assert_eq!(told[0]["master"], master.address());
    }
}

async fn what_happens_on_the_master_is_pushed_by_the_replica(kind: Kind) {
    let (master, _replica) = pair(kind).await;
    let (service, keda) = service(&master, "").await;
    let mut pushes = Pushes::of(&keda, &queue("idle")).await;
    assert!(!pushes.next(PATIENCE).await);
    let writes = [
        "RPUSH idle a",
        "ZADD idle 1 a",
        "SET idle 7",
        "XADD idle * a 1",
        "EVAL redis.call('sadd',KEYS[1],'a') 1 idle",
    ];
    for write in writes {
        master.run(write);
        assert!(pushes.next(RECOVERY).await, "{write}");
        // A key that ends by itself is announced too.
        master.run("PEXPIRE idle 60");
        assert!(!pushes.next(RECOVERY).await, "{write}");
        // The two repeats of `true` are not sent any more.
    }
    // By the clock of the replica.
    let now = master.now().as_secs_f64();
    let due = trigger([("scheduled", "later")]);
    let mut pushes = Pushes::of(&keda, &due).await;
    assert!(!pushes.next(RECOVERY).await);
    master.run(&format!("ZADD later {} a", now + 2.0));
    assert!(pushes.next(PATIENCE).await);
    assert_eq!(calls(&master, "zcount"), 0);
    reads_replica(&service, RECOVERY, true).await;
}

async fn a_flush_of_the_master_is_told_in_the_end_and_not_before_it_is_proved(kind: Kind) {
    let (master, _replica) = pair(kind).await;
    let (service, keda) = service(&master, "").await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    reads_replica(&service, RECOVERY, true).await;
    master.run("FLUSHALL");
    eventually_is(RECOVERY, Ok(0.0), async || value(&keda, "q").await).await;
    master.run("RPUSH q a");
    eventually_is(RECOVERY, Ok(1.0), async || value(&keda, "q").await).await;
    reads_replica(&service, PATIENCE, true).await;
}

async fn the_printed_rights_are_enough_and_role_is_needed(kind: Kind) {
    let (master, replica) = pair(kind).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("penstock.toml");
    let config = config(&master, "") + "username = \"reader\"\npassword_env = \"P\"\n";
    std::fs::write(&path, &config).unwrap();
    let printed = penstock().args(["check", "--acl", "--config"]).arg(&path).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let line = printed.lines().find(|line| line.starts_with("ACL SETUSER ")).unwrap();
    assert!(line.contains(" +role"), "{line}");
    for server in [&master, &replica] {
        server.run(&line.replace(">PASSWORD", ">hunter2"));
    }
    let service = Setup::default().config(config).variable("P", "hunter2").start().await;
    let keda = service.keda().await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    reads_replica(&service, RECOVERY, true).await;
    assert_eq!(service.metric("penstock_redis_tracking").await, 1.0);
    let mut pushes = Pushes::of(&keda, &queue("idle")).await;
    assert!(!pushes.next(PATIENCE).await);
    master.run("RPUSH idle a");
    assert!(pushes.next(RECOVERY).await);
    let log = service.log().join("\n");
    assert!(!log.contains("NOPERM") && !log.contains("hunter2"), "{log}");
    // Without it nothing is proved, so that the master is read; that is told.
    for server in [&master, &replica] {
        server.run("ACL SETUSER reader -role");
    }
    reads_replica(&service, PATIENCE, false).await;
    master.run("RPUSH q d");
    eventually_is(PATIENCE, Ok(4.0), async || value(&keda, "q").await).await;
    eventually(PATIENCE, async || {
        let told = service.log_with("no replica can be read; reading the master");
        let is_told = told.iter().any(|line| line["reason"].as_str().unwrap().contains("'role'"));
        if is_told { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_without_replicas_is_read_and_that_is_told() {
    let master = master(Kind::Redis);
    master.run("RPUSH q a b c");
    let (service, keda) = service(&master, "").await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    assert_eq!(service.metric("penstock_redis_replica{").await, 0.0);
    let told = service.log_with("no replica can be read; reading the master");
    assert_eq!(told.len(), 1, "{told:?}");
    let reason = told[0]["reason"].as_str().unwrap();
    assert!(reason.ends_with(&format!("{} has none", master.address())), "{reason}");
    // One that comes later is found.
    let replica = replica_of(Kind::Redis, master.port());
    is_connected(&replica, &master).await;
    reads_replica(&service, 3 * PATIENCE, true).await;
    master.run("RPUSH q d");
    eventually_is(RECOVERY, Ok(4.0), async || value(&keda, "q").await).await;
    assert!(calls(&replica, "llen") > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_replica_of_that_master_is_not_read() {
    let (one, other) = (pair(Kind::Redis).await, pair(Kind::Redis).await);
    other.0.run("DEL q");
    let strangers = [
        (other.1.address(), "history"),
        (other.0.address(), "it says that it is a master"),
        (one.0.address(), "it says that it is a master"),
        ("127.0.0.1:1".to_owned(), "cannot be reached"),
    ];
    // The strangers' offsets are first far ahead, then far behind. Were they equal, nobody could tell.
    for ahead in [true, false] {
        let (writer, writes) = if ahead { (&other.0, 100) } else { (&one.0, 400) };
        (0..writes).for_each(|_| writer.run("INCR written"));
        // A master sends nothing to a replica before that has said that it is there, for up to a second.
        let reader = if ahead { &other.1 } else { &one.1 };
        eventually_is(PATIENCE, Some(writes), async || {
            reader.ask_words::<Option<i64>>(&["GET", "written"])
        })
        .await;
        for (stranger, why) in &strangers {
            let more = format!(", nodes = [\"{stranger}\"]");
            let (service, keda) = service(&one.0, &more).await;
            for _ in 0..20 {
                assert_eq!(value(&keda, "q").await, Ok(3.0), "{stranger}");
                tokio::time::sleep(STEP).await;
            }
            assert_eq!(service.metric("penstock_redis_replica{").await, 0.0, "{stranger}");
            let why = if ahead { *why } else { "" };
            eventually(PATIENCE, async || {
                let told = service.log_with("no replica can be read; reading the master");
                let mut reasons = told.iter().filter_map(|line| line["reason"].as_str());
                if reasons.any(|reason| reason.contains(why)) { Ok(()) } else { Err(told) }
            })
            .await;
        }
    }
    assert_eq!(calls(&other.1, "llen"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_shows_that_the_replica_was_asked() {
    let (master, mut replica) = pair(Kind::Redis).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("penstock.toml");
    std::fs::write(&path, config(&master, "")).unwrap();
    let probe = || {
        let mut program = penstock();
        program.args(["probe", "--config"]).arg(&path).args(["--namespace", "jobs", "queue=q"]);
        let output = program.output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    // A replica that is not within the bound for once leaves the master to be asked.
    let asks = async |server: String| {
        eventually(PATIENCE, async || {
            let text = probe();
            if text.contains(&format!("  {server} > LLEN q")) { Ok(()) } else { Err(text) }
        })
        .await;
    };
    asks(replica.address()).await;
    replica.kill();
    asks(master.address()).await;
}

/// How long a replica whose bound is over may be read at most: the bound, and a moment.
const TOO_LONG: Duration = millis(2500);
