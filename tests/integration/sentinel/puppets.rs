//! Sentinels that say what a test has them say, which real ones would not do on demand.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use tokio::time::sleep;

use crate::{
    harness::{
        Kind, PATIENCE, RECOVERY, Scripted, Server, Service, Setup, Trio, eventually, eventually_is,
    },
    wire::{Keda, queue},
};

use super::{POLL, value};

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
    service.says("it says that it is a replica").await;
    assert_eq!(value(&keda, "q").await, Ok(1.0), "held");
    puppets.name(0, nowhere.port());
    service.says(&format!("{}, the master that the sentinels name: ", nowhere.address())).await;
    replica.run("REPLICAOF NO ONE\nRPUSH q b");
    puppets.name(0, replica.port());
    eventually_is(RECOVERY, Ok(2.0), async || value(&keda, "q").await).await;
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
    let named = service.logged("the sentinels name a master", 1).await;
    assert_eq!(named[0]["master"], format!("localhost:{port}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_whose_reply_has_no_end_is_given_up_and_outvoted() {
    let server = Server::start(Kind::Redis);
    server.run("RPUSH q a b c");
    let reply: &'static [u8] =
        [b"*2\r\n$99999999999\r\n".to_vec(), vec![b'x'; 128 << 20]].concat().leak();
    let endless = move |command: &str| if command == "SENTINEL" { reply } else { b"-ERR no\r\n" };
    let honest = Puppets::naming(&[server.port(); 2]).await;
    let liar = Scripted::answering(endless).await;
    let addresses = [honest.addresses(), vec![liar.address()]].concat();
    let service = Setup::default().config(Trio::config(&addresses, "")).start().await;
    let keda = service.keda().await;
    for _ in 0..100 {
        let value = value(&keda, "q").await;
        assert!([Ok(3.0), Err(tonic::Code::Unavailable)].contains(&value), "{value:?}");
        sleep(POLL).await;
    }
    assert_eq!(value(&keda, "q").await, Ok(3.0));
    assert!(service.peak() < 100 * 1024, "{} kB", service.peak());
    // A machine that is busy enough does not send a megabyte in time, each time.
    let sent_more = "it sent more than 1048576 bytes";
    eventually(PATIENCE, async || {
        let reasons = service.log_with("a sentinel is of no use").into_iter();
        let reasons: Vec<String> = reasons.map(|line| line["reason"].to_string()).collect();
        let is_other =
            |reason: &&String| !reason.contains(sent_more) && !reason.contains("in time");
        assert_eq!(reasons.iter().find(is_other), None, "{reasons:?}");
        let is_ended = reasons.iter().any(|reason| reason.contains(sent_more));
        if is_ended { Ok(()) } else { Err(reasons) }
    })
    .await;
    for (says, number) in [("master", 2.0), ("another", 0.0), ("unknown", 0.0), ("nothing", 1.0)] {
        let name = format!(
            "penstock_redis_sentinels{{connection=\"default\",database=\"0\",says=\"{says}\"}}"
        );
        assert_eq!(service.metric(&name).await, number, "{says}");
    }
}
