//! A queue that blocked workers keep empty: no read ever sees its jobs, and that it changed is all
//! there is to go by.

use std::{thread, time::Duration};

use deadpool_redis::redis::cmd;
use tokio::time::Instant;

use crate::{
    harness::{Kind, PATIENCE, Server, Service, eventually_is, seconds},
    on_both_servers,
    streams::Pushes,
    wire::{Keda, Trigger, queue, trigger},
};

on_both_servers!(a_queue_that_a_blocked_worker_keeps_empty_is_active_for_its_window);

const WINDOW: Duration = seconds(3);

/// One job for a worker that waits in BRPOP already: nobody else can ever see it.
async fn pass_a_job(server: &Server) {
    let mut worker = server.connect();
    let worker =
        thread::spawn(move || cmd("BRPOP").arg("q").arg(30).query::<Vec<String>>(&mut worker));
    let is_blocked = async || server.ask::<String>("INFO clients").contains("blocked_clients:1");
    eventually_is(PATIENCE, true, is_blocked).await;
    server.run("LPUSH q job");
    assert_eq!(worker.join().unwrap().unwrap(), ["q", "job"]);
    assert_eq!(server.ask::<u64>("LLEN q"), 0);
}

async fn state(keda: &Keda, trigger: &Trigger) -> (f64, bool) {
    (keda.value(trigger).await.unwrap(), keda.is_active(trigger).await.unwrap())
}

async fn a_queue_that_a_blocked_worker_keeps_empty_is_active_for_its_window(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let windowed = trigger([("queue", "q"), ("activityWindow", "3s")]);
    let mut pushes = Pushes::of(&keda, &windowed).await;
    assert!(!pushes.next(PATIENCE).await);
    for _ in 0..2 {
        pass_a_job(&server).await;
        let passed = Instant::now();
        assert!(pushes.next(PATIENCE).await, "the change was pushed");
        if passed.elapsed() < WINDOW / 2 {
            assert_eq!(state(&keda, &windowed).await, (0.0, true));
        }
        assert_eq!(state(&keda, &queue("q")).await, (0.0, false), "who asks for none gets none");
        eventually_is(WINDOW + PATIENCE, (0.0, false), async || state(&keda, &windowed).await)
            .await;
        assert!(passed.elapsed() >= WINDOW - seconds(1), "it ended after {:?}", passed.elapsed());
    }
}
