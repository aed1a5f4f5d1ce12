//! A count that falls: whoever asks is told what is true now, also where nobody has looked since; and no
//! answer is too low while jobs move.

mod cases;
mod moves;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use crate::{
    harness::{Cluster, Kind, PATIENCE, Server, Service, Setup, eventually_is, seconds},
    on_both_servers,
    streams::Pushes,
    wire::{Keda, Trigger},
};
use cases::CASES;

on_both_servers!(
    the_first_poll_after_the_jobs_are_done_says_so,
    the_first_poll_says_so_where_nothing_is_announced,
    the_first_poll_says_so_on_a_cluster,
);

/// How long nobody asks. `PAUSES=2,10,60` waits longer than a test should.
#[expect(
    clippy::disallowed_methods,
    reason = "this is not the service, and reads one list for a person"
)]
fn pauses() -> Vec<Duration> {
    let text = std::env::var("PAUSES").unwrap_or_else(|_| "2".to_owned());
    text.split(',').map(|pause| seconds(pause.parse().unwrap())).collect()
}

/// What one replica says: the metric's value, and whether the workload is active.
async fn told(keda: &Keda, trigger: &Trigger) -> (f64, bool) {
    (keda.value(trigger).await.unwrap(), keda.is_active(trigger).await.unwrap())
}

/// Puts jobs into every layout's queue, lets somebody take and finish all of them at once, and asks for the
/// first time after the pause: a replica that only polls, and one that holds a stream.
async fn poll_after(run: impl Fn(&str), (polled, pushed): (&Keda, &Keda), pause: Duration) {
    let mut rows = vec![];
    for case in CASES {
        let queue = format!("{}-{}", case.name, pause.as_secs());
        let trigger = case.trigger(&queue);
        run(&case.put(&queue));
        for keda in [polled, pushed] {
            // Workers that are listened to have to be heard for a while first.
            eventually_is(PATIENCE, Ok(10.0), async || {
                keda.value(&trigger).await.map_err(|status| status.code())
            })
            .await;
            assert!(keda.is_active(&trigger).await.unwrap(), "{}", case.name);
        }
        let stream = Pushes::of(pushed, &trigger).await;
        rows.push((case, queue, trigger, stream));
    }
    // What is pushed has settled; then the jobs go.
    sleep(seconds(1)).await;
    rows.iter().for_each(|(case, queue, ..)| run(&case.take(queue)));
    sleep(pause).await;
    for (case, _, trigger, _stream) in &rows {
        let expected = if case.told_late > pause { (10.0, true) } else { (0.0, false) };
        for (keda, who) in [(polled, "polled"), (pushed, "with the stream")] {
            let told = told(keda, trigger).await;
            eprintln!("{:<22} {who:<16} {pause:>4?} {told:?}", case.name);
            assert_eq!(told, expected, "{} {who}, after {pause:?}", case.name);
        }
    }
}

async fn poll_two_replicas(run: impl Fn(&str), (polled, pushed): (Service, Service)) {
    let (polled, pushed) = (polled.keda().await, pushed.keda().await);
    join_all(pauses().into_iter().map(|pause| poll_after(&run, (&polled, &pushed), pause))).await;
}

async fn the_first_poll_after_the_jobs_are_done_says_so(kind: Kind) {
    let server = Server::start(kind);
    let replicas = (Service::of(&server).await, Service::of(&server).await);
    poll_two_replicas(|commands| server.run(commands), replicas).await;
}

async fn the_first_poll_says_so_where_nothing_is_announced(kind: Kind) {
    let server = Server::start(kind);
    server.run("ACL SETUSER default -client|tracking");
    let replicas = (Service::of(&server).await, Service::of(&server).await);
    poll_two_replicas(|commands| server.run(commands), replicas).await;
}

async fn the_first_poll_says_so_on_a_cluster(kind: Kind) {
    let cluster = Cluster::start(kind, 3, false);
    let service = async || Setup::default().config(cluster.config(&[0])).start().await;
    let replicas = (service().await, service().await);
    poll_two_replicas(|commands| cluster.run(commands), replicas).await;
}
