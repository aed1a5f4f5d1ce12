//! A Redis Cluster: every key is read where it is, also while it moves, and no node's trouble is taken
//! for an empty queue.
//!
//! Answers are sampled all the time, since a single zero would end running jobs.

mod atomic;
mod lost;
mod many;
mod moving;
mod nonsense;
mod tls;
mod whole;

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use deadpool_redis::redis::Pipeline;
use futures_util::future::join_all;
use penstock::{config::Config, redis::acl_line};
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    harness::{Cluster, Kind, PATIENCE, Server, Service, Setup, eventually_is, millis, shares},
    on_both_servers,
    streams::Pushes,
    wire::{Keda, Trigger, queue, trigger},
};

on_both_servers!(
    five_hundred_triggers_over_all_slots_are_read_pushed_and_cost_nothing_while_idle,
    what_is_read_first_on_a_new_connection_lasts_until_it_changes,
    a_job_that_moves_from_node_to_node_is_never_missed,
    a_read_waits_for_those_before_it_in_its_flow_on_a_slow_node,
    a_user_with_no_more_rights_than_the_page_says_is_told_of_every_change,
);

/// How long everything may take to be right once the cluster is calm.
const CALM: Duration = Duration::from_millis(2000);

async fn service(cluster: &Cluster, seeds: &[usize]) -> Service {
    Setup::default().config(cluster.config(seeds)).start().await
}

/// Waits until the value is this, within the time that it may take once the cluster is calm.
async fn settles(keda: &Keda, trigger: &Trigger, value: f64) {
    eventually_is(CALM, Ok(value), async || keda.value(trigger).await.map_err(|s| s.code())).await;
}

/// Asks for a queue that always has jobs until it is told to stop: every answer is one of `allowed`, or
/// that nothing is known.
async fn watch(keda: &Keda, trigger: &Trigger, allowed: &[f64], stop: &AtomicBool) -> usize {
    let mut answers = 0;
    while !stop.load(Ordering::SeqCst) {
        let (value, active) = tokio::join!(keda.value(trigger), keda.is_active(trigger));
        match value {
            Ok(value) => {
                assert!(allowed.contains(&value), "{value} is none of {allowed:?}");
                answers += 1;
            }
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
        }
        match active {
            Ok(active) => assert!(active, "inactive, with jobs"),
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
        }
        sleep(millis(5)).await;
    }
    answers
}

async fn five_hundred_triggers_over_all_slots_are_read_pushed_and_cost_nothing_while_idle(
    kind: Kind,
) {
    let cluster = Cluster::start(kind, 3, false);
    let queues: Vec<String> = (0..500).map(|n| format!("queue-{n}")).collect();
    let service = service(&cluster, &[0]).await;
    let keda = service.keda().await;
    let mut streams = Vec::new();
    for name in queues.iter().step_by(5) {
        let mut pushes = Pushes::of(&keda, &queue(name)).await;
        assert!(!pushes.next(PATIENCE).await);
        streams.push((name, pushes));
    }
    join_all(queues.iter().map(|name| settles_at(&keda, name, 0.0))).await;
    // Each node was asked for its own keys, with changes announced.
    for node in &cluster.nodes {
        let clients: String = node.ask("CLIENT LIST");
        let tracked = clients
            .lines()
            .filter(|line| line.contains("lib-name=penstock") || line.contains("flags=t"));
        assert!(tracked.count() >= 1, "no client is told of changes:\n{clients}");
    }
    polls_cost_nothing(&cluster, &service, &queues).await;
    for (name, pushes) in &mut streams {
        cluster.run(&format!("RPUSH {name} a"));
        assert!(pushes.next(CALM).await, "{name}");
    }
    for name in &queues {
        cluster.run(&format!("RPUSH {name} b"));
    }
    let jobs = |place: usize| if place.is_multiple_of(5) { 2.0 } else { 1.0 };
    let all = queues.iter().enumerate();
    join_all(all.map(|(place, name)| settles_at(&keda, name, jobs(place)))).await;
}

/// Polls of what does not change cost no command; only the proofs and the surveys go on. A machine that is
/// held up for so long that a node seems lost makes everything be read again once it is back, which is another
/// matter. The service says both, and nothing while all is well.
async fn polls_cost_nothing(cluster: &Cluster, service: &Service, queues: &[String]) {
    let keda = service.keda().await;
    for _ in 0..10 {
        join_all(queues.iter().map(|name| settles_at(&keda, name, 0.0))).await;
        let said = service.log().len();
        let before: Vec<_> = (0..3).map(|place| cluster.commands(place)).collect();
        let start = Instant::now();
        for _ in 0..4 {
            let ask =
                async |name: &String| assert_eq!(keda.value(&queue(name)).await.unwrap(), 0.0);
            join_all(queues.iter().map(ask)).await;
            sleep(millis(300)).await;
        }
        let after: Vec<_> = (0..3).map(|place| cluster.commands(place)).collect();
        let took = start.elapsed().as_secs_f64();
        // The log comes by a pipe, in its own time.
        sleep(millis(300)).await;
        if service.log().len() > said {
            continue;
        }
        for (place, (before, after)) in before.iter().zip(&after).enumerate() {
            let count =
                |stats: &HashMap<String, f64>, name| stats.get(name).copied().unwrap_or_default();
            let more = |name| count(after, name) - count(before, name);
            let (reads, pings) = (more("llen"), more("ping"));
            assert!(reads < 1.0, "2,000 polls of idle queues asked node {place} {reads} times");
            assert!(pings <= 4.0 * took + 2.0, "{pings} PINGs in {took} s");
            let surveys = more("cluster|nodes") + more("cluster|slots");
            assert!(surveys <= 2.0 * took + 3.0, "{surveys} questions of the map in {took} s");
        }
        return;
    }
    panic!("this machine was held up all the time");
}

async fn what_is_read_first_on_a_new_connection_lasts_until_it_changes(kind: Kind) {
    let cluster = Cluster::start(kind, 3, false);
    let queues: Vec<String> = (0..60).map(|n| format!("queue-{n}")).collect();
    let service = service(&cluster, &[0]).await;
    let keda = service.keda().await;
    let reads =
        || -> f64 { (0..3).filter_map(|place| cluster.commands(place).remove("llen")).sum() };
    let back = "a node of the cluster can be read again";
    let mut measured = 0;
    for round in 0..10 {
        if round > 0 {
            let seen = service.log_with(back).len();
            cluster.nodes[round % 3].run("CLIENT KILL TYPE normal SKIPME yes");
            eventually_is(PATIENCE, true, async || service.log_with(back).len() > seen).await;
        }
        join_all(queues.iter().map(|name| settles_at(&keda, name, 0.0))).await;
        let (before, lost) = (reads(), service.log_with(back).len());
        // Longer than what nobody vouches for is taken for true.
        for _ in 0..2 {
            sleep(millis(1_300)).await;
            join_all(queues.iter().map(|name| settles_at(&keda, name, 0.0))).await;
        }
        // On a machine that is held up a node may have been set aside.
        if service.log_with(back).len() == lost {
            assert_eq!(reads() - before, 0.0, "idle queues were read again, in round {round}");
            measured += 1;
        }
        if measured == 3 {
            return;
        }
    }
    panic!("this machine was held up all the time");
}

/// Does what takes its time beside the other tasks.
async fn beside(mut cluster: Cluster, act: impl FnOnce(&mut Cluster) + Send + 'static) -> Cluster {
    let work = move || {
        act(&mut cluster);
        cluster
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn settles_at(keda: &Keda, name: &str, value: f64) {
    let look = async || keda.value(&queue(name)).await.map_err(|status| status.code());
    // Hundreds of triggers, each for the first time.
    eventually_is(3 * PATIENCE, Ok(value), look).await;
}

async fn a_job_that_moves_from_node_to_node_is_never_missed(kind: Kind) {
    const FLOWS: usize = 60;
    let cluster = Cluster::start(kind, 3, false);
    // The keys of each flow are on three nodes: scheduled, waiting, in flight.
    let keys: Vec<[String; 3]> = (0..FLOWS)
        .map(|flow| {
            [0, 1, 2].map(|place| {
                let (first, last) = shares(3)[(flow + place) % 3];
                cluster.key_in(&format!("flow-{flow}-{place}-"), first..last)
            })
        })
        .collect();
    let triggers: Vec<Trigger> = keys
        .iter()
        .map(|[due, waiting, doing]| {
            let names = [("scheduled", due), ("waiting", waiting), ("inFlight", doing)];
            trigger(names.map(|(name, key)| (name, key.as_str())))
        })
        .collect();
    for [due, ..] in &keys {
        cluster.run(&format!("ZADD {due} 1 job"));
    }
    let service = service(&cluster, &[0]).await;
    let keda = service.keda().await;
    for trigger in &triggers {
        settles(&keda, trigger, 1.0).await;
    }
    let stop = AtomicBool::new(false);
    // Each job goes along its flow: it is put into the next key, and taken from the last one at once.
    let moves = async {
        let work = move |cluster: &mut Cluster| {
            for [due, waiting, doing] in &keys {
                cluster.run(&format!("RPUSH {waiting} job\nZREM {due} job"));
                cluster.run(&format!("SADD {doing} job\nLPOP {waiting}"));
            }
        };
        let cluster = beside(cluster, work).await;
        sleep(millis(300)).await;
        stop.store(true, Ordering::SeqCst);
        cluster
    };
    let watches = triggers.iter().map(|trigger| watch(&keda, trigger, &[1.0, 2.0], &stop));
    let (answers, _cluster) = tokio::join!(join_all(watches), moves);
    assert!(answers.iter().sum::<usize>() > FLOWS, "only {answers:?}");
    for trigger in &triggers {
        settles(&keda, trigger, 1.0).await;
    }
}

async fn a_read_waits_for_those_before_it_in_its_flow_on_a_slow_node(kind: Kind) {
    let asleep = millis(300);
    let cluster = Cluster::with_arguments(kind, (3, false), &["--enable-debug-command", "yes"]);
    let service = service(&cluster, &[1]).await;
    let keda = service.keda().await;
    let mut seen = 0;
    for attempt in 0..30 {
        let [waiting, doing] = [0, 2].map(|place: usize| {
            let (first, last) = shares(3)[place];
            cluster.key_in(&format!("slow-{attempt}-{place}-"), first..last)
        });
        cluster.run(&format!("RPUSH {waiting} job"));
        // The node of `waiting` sleeps, and takes the job away before it answers anybody else.
        let (mut link, taken) = (cluster.nodes[0].connect(), waiting.clone());
        let begun = Instant::now();
        let sleeping = tokio::task::spawn_blocking(move || {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("DEBUG").arg("SLEEP").arg(asleep.as_secs_f64()).ignore();
            pipeline.cmd("LPOP").arg(taken).ignore();
            pipeline.query::<()>(&mut link).unwrap();
        });
        sleep(millis(30)).await;
        let trigger = trigger([("waiting", waiting.as_str()), ("inFlight", doing.as_str())]);
        let (value, put_at) = tokio::join!(keda.value(&trigger), async {
            sleep(millis(120)).await;
            cluster.nodes[2].run(&format!("RPUSH {doing} job"));
            Instant::now()
        });
        sleeping.await.unwrap();
        // On a machine that is held up the job was in no key for a while, or nothing could be read.
        if let Ok(value) = value
            && put_at < begun + asleep
        {
            assert!(value >= 1.0, "the job was in one of the keys all the time: {value}");
            seen += 1;
        }
        if seen == 3 {
            return;
        }
    }
    panic!("this machine was held up all the time");
}

async fn a_user_with_no_more_rights_than_the_page_says_is_told_of_every_change(kind: Kind) {
    let cluster = Cluster::start(kind, 3, false);
    let config = format!("{}username = \"reader\"\nkeys = [\"q*\"]\n", cluster.config(&[0]));
    let connection = &Config::parse(&config, "test").unwrap().connections["default"];
    let rights = acl_line(connection).replace("PASSWORD", "secret");
    for node in &cluster.nodes {
        node.run(&rights);
    }
    let setup =
        Setup::default().config(config).variable("PENSTOCK_REDIS_DEFAULT_PASSWORD", "secret");
    let service = setup.start().await;
    let keda = service.keda().await;
    let (first, last) = shares(3)[0];
    let key = cluster.key_in("q-", first..last);
    let mut pushes = Pushes::of(&keda, &queue(&key)).await;
    assert!(!pushes.next(PATIENCE).await);
    for node in &cluster.nodes {
        let clients: String = node.ask("CLIENT LIST");
        let ours = |line: &&str| line.contains("user=reader") && line.contains("flags=t");
        assert!(clients.lines().any(|line| ours(&line)), "{clients}");
    }
    // What is asked for where it goes to needs a right of its own.
    cluster.begin_move(cluster.slot(&key), 0, 1);
    cluster.run(&format!("RPUSH {key} a"));
    assert!(pushes.next(CALM).await);
    settles(&keda, &queue(&key), 1.0).await;
    let log = service.log().join("\n");
    for word in ["NOPERM", "gives away", "polled"] {
        assert!(!log.contains(word), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_shows_which_node_was_asked() {
    let cluster = Cluster::start(Kind::Redis, 3, false);
    let [waiting, doing] = [0, 2].map(|place: usize| {
        let (first, last) = shares(3)[place];
        cluster.key_in("probe-", first..last)
    });
    cluster.run(&format!("RPUSH {waiting} a b\nSADD {doing} c"));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("penstock.toml");
    std::fs::write(&config, cluster.config(&[1])).unwrap();
    let mut program = crate::harness::penstock();
    program.args(["probe", "--config"]).arg(&config).args(["--namespace", "jobs"]);
    program.arg(format!("waiting={waiting}")).arg(format!("inFlight={doing}"));
    let output = program.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    for (place, command) in [(0, format!("LLEN {waiting}")), (2, format!("SCARD {doing}"))] {
        let line = format!("{} > {command}", cluster.nodes[place].address());
        assert!(text.contains(&line), "no `{line}` in:\n{text}{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_no_cluster_is_told() {
    let server = Server::start(Kind::Redis);
    let config = format!("[redis.default]\ncluster = [\"{}\"]\n", server.address());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let status = keda.value(&queue("q")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("cluster support disabled"), "{status}");
}
