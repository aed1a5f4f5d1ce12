//! Links that die without a word while nobody writes, asks or reads: only a proof of the link can
//! tell.

use tokio::time::{Instant, sleep};

use crate::{
    harness::{Kind, Mode, Proxy, RECOVERY, Server, Setup, eventually_is, millis},
    on_both_servers,
    streams::Pushes,
    wire::queue,
};

on_both_servers!(
    a_quiet_link_whose_replies_are_lost_is_given_up_and_the_job_is_pushed,
    a_quiet_link_whose_commands_are_lost_is_given_up_and_the_job_is_pushed,
    a_quiet_link_whose_server_vanished_is_given_up_and_the_job_is_pushed,
);

async fn a_quiet_link_whose_replies_are_lost_is_given_up_and_the_job_is_pushed(kind: Kind) {
    job_is_pushed(kind, Mode::LoseReplies).await;
}

async fn a_quiet_link_whose_commands_are_lost_is_given_up_and_the_job_is_pushed(kind: Kind) {
    job_is_pushed(kind, Mode::LoseCommands).await;
}

async fn a_quiet_link_whose_server_vanished_is_given_up_and_the_job_is_pushed(kind: Kind) {
    job_is_pushed(kind, Mode::Vanish).await;
}

async fn job_is_pushed(kind: Kind, mode: Mode) {
    let server = Server::start(kind);
    let proxy = Proxy::to(server.port()).await;
    let service = Setup::default().redis(proxy.url()).start().await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue("q")).await;
    assert!(!pushes.next(RECOVERY).await);
    // Nobody asks for anything any more, so that the link is silent but for its proofs.
    sleep(millis(300)).await;
    proxy.set(mode);
    sleep(millis(1500)).await;
    server.run("RPUSH q a");
    proxy.set(Mode::Pass);
    let over = Instant::now();
    assert!(pushes.next(RECOVERY).await);
    eventually_is(RECOVERY.saturating_sub(over.elapsed()), 1.0, async || {
        keda.value(&queue("q")).await.unwrap()
    })
    .await;
    // A link that lived through it would tell that nothing happened to it.
    service.logged("connected to Redis", 2).await;
}
