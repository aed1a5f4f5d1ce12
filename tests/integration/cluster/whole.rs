//! What a connection does as a whole, beside the keys of its triggers: it looks for queues, listens to
//! workers, and says who it is. All nodes together are to be one Redis in this.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{CALM, settles, watch};
use crate::{
    harness::{Cluster, Kind, PATIENCE, RECOVERY, Setup, eventually_is, millis, seconds, shares},
    layouts::heartbeats::{LISTENED, Workers},
    on_both_servers,
    streams::Pushes,
    wire::{queue, trigger},
};

on_both_servers!(
    queues_are_found_on_every_node_and_while_their_slots_move,
    a_rotated_password_is_taken_by_every_node,
    workers_are_heard_wherever_they_speak,
);

async fn queues_are_found_on_every_node_and_while_their_slots_move(kind: Kind) {
    let cluster = Cluster::start(kind, 3, false);
    let key = |place: usize| {
        let (first, last) = shares(3)[place];
        cluster.key_in(&format!("mails-{place}-"), first..last)
    };
    let keys = [key(0), key(1), key(2)];
    for (place, key) in keys.iter().enumerate() {
        cluster.run(&format!("RPUSH {key} {}\nRPUSH other-{place} x", "job ".repeat(place + 1)));
    }
    let nodes = cluster.config(&[1]);
    let config = format!("[server]\npush_inactive = true\n{nodes}scan = true\n");
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let mails = trigger([("queue", "mails-*")]);
    eventually_is(PATIENCE, Ok(6.0), async || {
        keda.value(&mails).await.map_err(|status| status.code())
    })
    .await;
    let stop = AtomicBool::new(false);
    let slots = keys.each_ref().map(|key| cluster.slot(key));
    let moves = async {
        let start = Instant::now();
        // Longer than two searches are apart, so that some begin and end within a move.
        while start.elapsed() < seconds(25) {
            for (from, to) in [(0, 1), (1, 2), (2, 0)] {
                cluster.begin_move(slots[0], from, to);
                sleep(millis(200)).await;
                cluster.move_keys(slots[0], from, to);
                sleep(millis(200)).await;
                cluster.end_move(slots[0], from, to);
                sleep(millis(200)).await;
            }
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (answers, ()) = tokio::join!(watch(&keda, &mails, &[6.0], &stop), moves);
    assert!(answers > 50, "only {answers} answers");
    let mut pushes = Pushes::of(&keda, &mails).await;
    assert!(pushes.next(CALM).await);
    for key in &keys {
        cluster.run(&format!("DEL {key}"));
    }
    assert!(!pushes.next(PATIENCE).await);
    let new = cluster.key_in("mails-new-", shares(3)[2].0..shares(3)[2].1);
    cluster.run(&format!("RPUSH {new} a"));
    assert!(pushes.next(PATIENCE).await, "a queue that is new is found");
    settles(&keda, &mails, 1.0).await;
}

async fn a_rotated_password_is_taken_by_every_node(kind: Kind) {
    let cluster = Cluster::start(kind, 3, false);
    let on_all = |command: &str| cluster.nodes.iter().for_each(|node| node.run(command));
    on_all("ACL SETUSER app reset on ~* resetchannels +@all >s3cret-1 >s3cret-2");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "s3cret-1").unwrap();
    let path = file.display();
    let config =
        format!("{}username = \"app\"\npassword_file = \"{path}\"\n", cluster.config(&[0]));
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let keys = shares(3).into_iter().map(|(first, last)| cluster.key_in("q-", first..last));
    let keys: Vec<String> = keys.collect();
    for key in &keys {
        cluster.run(&format!("RPUSH {key} a"));
        settles(&keda, &queue(key), 1.0).await;
    }
    let new = folder.path().join("new");
    fs::write(&new, "s3cret-2").unwrap();
    fs::rename(new, &file).unwrap();
    let taken = "authenticated again with the new password";
    service.logged(taken, 3).await;
    on_all("ACL SETUSER app <s3cret-1");
    for key in &keys {
        cluster.run(&format!("RPUSH {key} b"));
        settles(&keda, &queue(key), 2.0).await;
    }
    assert_eq!(service.log_with("a node of the cluster cannot be read").len(), 0);
    // Who is made unknown is known again with the password of then, held meanwhile.
    fs::write(&file, "s3cret-3").unwrap();
    on_all("ACL SETUSER app >s3cret-3 <s3cret-2\nCLIENT KILL USER app");
    for key in &keys {
        cluster.run(&format!("RPUSH {key} c"));
        eventually_is(RECOVERY, Ok(3.0), async || {
            keda.value(&queue(key)).await.map_err(|status| status.code())
        })
        .await;
    }
    let log = service.log().join("\n");
    assert!(!log.contains("s3cret"), "{log}");
}

async fn workers_are_heard_wherever_they_speak(kind: Kind) {
    let cluster = Cluster::start(kind, 3, false);
    let service = Setup::default().config(cluster.config(&[0, 1, 2])).start().await;
    let keda = service.keda().await;
    let metadata = [("layout", "celery"), ("queue", "q"), ("running", "heartbeats")];
    let pool = trigger(metadata.into_iter().chain([("pool", "emails@*")]));
    let mut all: Vec<Workers> = cluster.nodes.iter().map(Workers::on).collect();
    for (workers, name) in all.iter_mut().zip(["emails@a", "emails@b", "emails@c"]) {
        workers.run(name, 1, "");
    }
    let start = Instant::now();
    loop {
        all.iter_mut().for_each(Workers::speak);
        match keda.value(&pool).await {
            Ok(3.0) => break,
            seen => assert!(start.elapsed() < LISTENED, "{seen:?}"),
        }
        sleep(millis(100)).await;
    }
    // A node fewer: the others are heard on, and what is not known is never a zero.
    for place in 0..3 {
        cluster.nodes[place].run("CLIENT KILL TYPE pubsub");
        let start = Instant::now();
        while start.elapsed() < seconds(2) {
            all.iter_mut().for_each(Workers::speak);
            if let Ok(value) = keda.value(&pool).await {
                assert_eq!(value, 3.0);
            }
            sleep(millis(50)).await;
        }
    }
    all[0].run("emails@a", 4, "");
    eventually_is(LISTENED, Ok(6.0), async || {
        all.iter_mut().for_each(Workers::speak);
        keda.value(&pool).await.map_err(|status| status.code())
    })
    .await;
}
