//! Redis in every other bad state: connections that are killed all the time, a tracking table that
//! overflows, no room for clients, replicas without their master, and answers that are no answers.

use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    harness::{
        CALL, Kind, PATIENCE, RECOVERY, Scripted, Server, Service, Setup, Twem, eventually,
        eventually_is, millis, seconds,
    },
    on_both_servers,
    streams::Pushes,
    wire::{Keda, queue, trigger},
};

on_both_servers!(
    connections_that_are_killed_all_the_time_never_make_a_wrong_number,
    a_tracking_table_that_overflows_loses_nothing,
    a_server_that_takes_no_more_clients_is_unavailable_and_then_right,
    a_replica_that_lost_its_master_is_unavailable,
    a_node_of_a_cluster_given_as_a_url_is_unavailable_and_says_so,
    a_server_without_hello_is_polled,
    a_proxy_that_ends_connections_at_hello_is_polled_and_says_what_it_lacks,
    a_server_that_went_down_while_it_was_greeted_is_tracked_when_it_is_back,
    a_proxy_that_is_replaced_by_a_server_is_tracked_from_the_next_connection,
    a_proxy_is_told_who_we_are_and_a_database_that_it_cannot_select_is_said,
    a_slow_server_is_waited_for_within_the_deadline_of_a_call,
);

async fn value(keda: &Keda, name: &str) -> Result<f64, Code> {
    keda.value(&queue(name)).await.map_err(|status| status.code())
}

async fn connections_that_are_killed_all_the_time_never_make_a_wrong_number(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH q a b c");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut idle = Pushes::of(&keda, &queue("idle")).await;
    assert!(!idle.next(RECOVERY).await);
    assert_eq!(value(&keda, "q").await, Ok(3.0));
    let start = Instant::now();
    while start.elapsed() < seconds(3) {
        server.run("CLIENT KILL TYPE normal");
        for _ in 0..10 {
            assert_eq!(value(&keda, "q").await, Ok(3.0), "held, or read again");
            assert!(keda.is_active(&queue("q")).await.unwrap());
            sleep(millis(5)).await;
        }
    }
    // A change that comes together with the loss of the link is not lost with it.
    for jobs in 4..8 {
        server.run("CLIENT KILL TYPE normal\nRPUSH q d");
        eventually_is(RECOVERY, Ok(f64::from(jobs)), async || value(&keda, "q").await).await;
    }
    server.run("RPUSH idle a\nCLIENT KILL TYPE normal");
    assert!(idle.next(RECOVERY).await);
}

async fn a_tracking_table_that_overflows_loses_nothing(kind: Kind) {
    let server = Server::start(kind);
    server.run("CONFIG SET tracking-table-max-keys 1");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut streams = Vec::new();
    for number in 0..20 {
        let mut pushes = Pushes::of(&keda, &queue(&format!("q{number}"))).await;
        assert!(!pushes.next(RECOVERY).await);
        streams.push(pushes);
    }
    for (number, pushes) in streams.iter_mut().enumerate() {
        server.run(&format!("RPUSH q{number} a b"));
        assert!(pushes.next(RECOVERY).await, "q{number}");
        eventually_is(PATIENCE, Ok(2.0), async || value(&keda, &format!("q{number}")).await).await;
    }
}

async fn a_server_that_takes_no_more_clients_is_unavailable_and_then_right(kind: Kind) {
    let server = Server::start(kind);
    let mut link = server.connect();
    let mut set = |most: &str| {
        let mut command = deadpool_redis::redis::cmd("CONFIG");
        command.arg("SET").arg("maxclients").arg(most).query::<()>(&mut link).unwrap();
    };
    set("1");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    for _ in 0..5 {
        assert_eq!(value(&keda, "q").await, Err(Code::Unavailable));
    }
    set("100");
    eventually_is(RECOVERY, Ok(0.0), async || value(&keda, "q").await).await;
}

async fn a_replica_that_lost_its_master_is_unavailable(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH q a\nCONFIG SET replica-serve-stale-data no");
    let config = format!("[redis.default]\nurl = \"{}\"\nhold_stale = \"1s\"\n", server.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    assert_eq!(value(&keda, "q").await, Ok(1.0));
    server.run("REPLICAOF 127.0.0.1 1");
    eventually_is(PATIENCE, Err(Code::Unavailable), async || value(&keda, "q").await).await;
    for _ in 0..10 {
        assert_eq!(value(&keda, "q").await, Err(Code::Unavailable), "once given up it stays so");
        assert_eq!(value(&keda, "never-read").await, Err(Code::Unavailable));
    }
    sleep(seconds(2)).await;
    assert!(service.log().len() < 12, "an outage floods the log: {:?}", service.log());
    server.run("REPLICAOF NO ONE");
    eventually_is(RECOVERY, Ok(1.0), async || value(&keda, "q").await).await;
}

async fn a_node_of_a_cluster_given_as_a_url_is_unavailable_and_says_so(kind: Kind) {
    let server = Server::with_arguments(kind, &["--cluster-enabled", "yes"]);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let status = keda.value(&queue("q")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "no slot is served: {status}");
    // Half of the slots are this node's, the one of `q` is nobody's.
    server.run("CLUSTER ADDSLOTSRANGE 0 8191\nCONFIG SET cluster-require-full-coverage no");
    let of_neither = async || keda.value(&queue("q")).await.unwrap_err().code();
    eventually_is(PATIENCE, Code::Unavailable, of_neither).await;
}

async fn a_server_without_hello_is_polled(kind: Kind) {
    let server = Server::start(kind);
    server.run("ACL SETUSER old on >pass ~* +@all -hello -client");
    let address = server.address();
    let service = Setup::default().redis(format!("redis://old:pass@{address}/0")).start().await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue("q")).await;
    assert!(!pushes.next(RECOVERY).await);
    server.run("XADD s 1-0 a 1\nXGROUP CREATE s g $\nXADD s 2-0 a 1\nSET n 2.5\nRPUSH q a b");
    assert!(pushes.next(seconds(4)).await);
    for (name, number) in [("q", 2.0), ("n", 2.5), ("missing", 0.0)] {
        eventually_is(PATIENCE, Ok(number), async || value(&keda, name).await).await;
    }
    let group = trigger([("layout", "stream"), ("queue", "s"), ("group", "g")]);
    assert_eq!(keda.value(&group).await.unwrap(), 1.0, "RESP2 has another form of groups");
    let polled = "this Redis announces no changes; reads are polled instead";
    service.logged(polled, 1).await;
}

const AT_HELLO: &str = "a proxy ends connections at HELLO; it is asked without HELLO, reads are polled, and \
                        what needs the commands that it lacks is unknown";

async fn a_proxy_that_ends_connections_at_hello_is_polled_and_says_what_it_lacks(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH q a b\nZADD later 1 x\nXADD s 1-0 a 1\nXGROUP CREATE s g 0");
    let proxy = Twem::to(server.port()).await;
    let service = Setup::default().redis(proxy.url()).start().await;
    let keda = service.keda().await;
    eventually_is(PATIENCE, Ok(2.0), async || value(&keda, "q").await).await;
    server.run("RPUSH q c");
    eventually_is(seconds(3), Ok(3.0), async || value(&keda, "q").await).await;
    assert_eq!(service.metric("penstock_redis_tracking{connection=\"default\"").await, 0.0);
    let due = trigger([("scheduled", "later")]);
    let group = trigger([("layout", "stream"), ("queue", "s"), ("group", "g")]);
    for (asked, word) in [(&due, "TIME"), (&queue("s"), "XLEN"), (&group, "XINFO")] {
        let told = eventually(PATIENCE, async || {
            let status = keda.value(asked).await.map_err(|status| status.to_string());
            // (A stream's length is known to be one only once its type is.)
            status.map_or_else(
                |told| if told.contains(word) { Ok(told) } else { Err(told) },
                |value| Err(value.to_string()),
            )
        });
        assert!(told.await.contains("the proxy ends the connection at"), "{word}");
        assert_eq!(keda.value(asked).await.unwrap_err().code(), Code::Unavailable);
    }
    // What it lacks ends no link, so that all else goes on.
    let lost = service.metric("penstock_redis_links_lost_total").await;
    for jobs in 4..8 {
        server.run("RPUSH q d");
        eventually_is(seconds(3), Ok(f64::from(jobs)), async || value(&keda, "q").await).await;
        assert!(keda.value(&due).await.is_err());
    }
    assert_eq!(service.metric("penstock_redis_links_lost_total").await, lost);
    let told = service.logged(AT_HELLO, 1).await;
    assert_eq!(told[0]["without"], "TIME, XLEN, XINFO, XPENDING, XRANGE, SCAN, MULTI, EXEC");
    proxy.hang_up();
    eventually_is(RECOVERY, Ok(7.0), async || value(&keda, "q").await).await;
    assert_eq!(service.log_with(AT_HELLO).len(), 1, "said once");
}

async fn a_server_that_went_down_while_it_was_greeted_is_tracked_when_it_is_back(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH q a b");
    let proxy = Twem::to(server.port()).await;
    proxy.passes_after(1);
    let service = Setup::default().redis(proxy.url()).start().await;
    let keda = service.keda().await;
    eventually_is(PATIENCE, Ok(2.0), async || value(&keda, "q").await).await;
    assert_eq!(service.metric("penstock_redis_tracking{connection=\"default\"").await, 1.0);
    assert_eq!(service.log_with(AT_HELLO).len(), 0);
}

async fn a_proxy_that_is_replaced_by_a_server_is_tracked_from_the_next_connection(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH q a b");
    let proxy = Twem::to(server.port()).await;
    let service = Setup::default().redis(proxy.url()).start().await;
    let keda = service.keda().await;
    eventually_is(PATIENCE, Ok(2.0), async || value(&keda, "q").await).await;
    let due = trigger([("scheduled", "later")]);
    assert!(keda.value(&due).await.is_err());
    proxy.passes_after(0);
    proxy.hang_up();
    let tracking = async || service.metric("penstock_redis_tracking{connection=\"default\"").await;
    eventually_is(PATIENCE, 1.0, tracking).await;
    server.run("ZADD later 1 x");
    eventually_is(PATIENCE, Ok(1.0), async || keda.value(&due).await.map_err(|s| s.code())).await;
}

async fn a_proxy_is_told_who_we_are_and_a_database_that_it_cannot_select_is_said(kind: Kind) {
    let server = Server::with_password(kind, "pass");
    server.run("RPUSH q a b");
    let proxy = Twem::to(server.port()).await;
    let address = proxy.address();
    let service = Setup::default().redis(format!("redis://:pass@{address}/0")).start().await;
    let keda = service.keda().await;
    eventually_is(PATIENCE, Ok(2.0), async || value(&keda, "q").await).await;
    let service = Setup::default().redis(format!("redis://:pass@{address}/3")).start().await;
    let keda = service.keda().await;
    let told = keda.value(&queue("q")).await.unwrap_err().to_string();
    assert!(
        told.contains("ends the connection at HELLO, and without it (a proxy may know no SELECT 3"),
        "{told}"
    );
}

async fn a_slow_server_is_waited_for_within_the_deadline_of_a_call(kind: Kind) {
    let server = Server::with_arguments(kind, &["--enable-debug-command", "yes"]);
    server.run("RPUSH q a b c");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    assert_eq!(value(&keda, "first").await, Ok(0.0));
    let sleeping = tokio::task::spawn_blocking({
        let mut link = server.connect();
        move || {
            let mut command = deadpool_redis::redis::cmd("DEBUG");
            command.arg("SLEEP").arg("0.3").query::<()>(&mut link).unwrap();
        }
    });
    sleep(millis(50)).await;
    let asked = Instant::now();
    assert_eq!(value(&keda, "q").await, Ok(3.0), "300 ms are no outage");
    assert!(asked.elapsed() < CALL, "it took {:?}", asked.elapsed());
    sleeping.await.unwrap();
}

/// Whatever a peer says instead of an answer is an outage, in time, and never a number.
async fn expect_unavailable(reply: &'static [u8]) {
    let peer = Scripted::answering(move |_| reply).await;
    let service = Setup::default().redis(peer.url()).start().await;
    let keda = service.keda().await;
    let group = trigger([("layout", "stream"), ("queue", "s"), ("group", "g")]);
    let due = trigger([("scheduled", "z")]);
    for _ in 0..3 {
        for asked in [&queue("q"), &group, &due] {
            let start = Instant::now();
            let reply = String::from_utf8_lossy(reply);
            match keda.value(asked).await {
                Ok(value) => panic!("{reply:?} was taken for {value}"),
                Err(status) => {
                    assert_eq!(status.code(), Code::Unavailable, "{reply:?}: {status}");
                    assert!(!status.message().is_empty(), "{reply:?}");
                }
            }
            assert!(start.elapsed() < CALL, "{reply:?} took {:?}", start.elapsed());
        }
    }
    assert_eq!(service.get("/livez").await.0, 200);
    assert!(service.memory() < 200_000, "{} kB of memory", service.memory());
    assert!(service.log().len() < 200, "an outage floods the log: {} lines", service.log().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn error_replies_are_never_numbers() {
    let replies: [&[u8]; 17] = [
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
        b"-MISCONF Redis is configured to save RDB snapshots\r\n",
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        b"-WRONGPASS invalid username-password pair\r\n",
        b"-DENIED Redis is running in protected mode\r\n",
        b"!9\r\nERR error\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
        b"-BUSY Redis is busy running a script.\r\n",
        b"-ERR max number of clients reached\r\n",
        b"-NOPERM this user has no permissions\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-CLUSTERDOWN Hash slot not served\r\n",
        b"-ERR unknown command\r\n",
        b"-MOVED 12182 10.0.0.1:6379\r\n",
        b"-ASK 12182 10.0.0.1:6379\r\n",
    ];
    futures_util::future::join_all(replies.map(expect_unavailable)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_a_wrong_form_are_never_numbers() {
    let replies: [&[u8]; 7] = [
        b"+OK\r\n",
        b"$-1\r\n",
        b"_\r\n",
        b":-5\r\n",
        b"*1\r\n*2\r\n$4\r\nname\r\n$1\r\ng\r\n",
        b"%1\r\n+a\r\n+b\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ];
    futures_util::future::join_all(replies.map(expect_unavailable)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_another_kind_are_never_lengths() {
    let replies: [&[u8]; 14] = [
        b":99999999999999999999\r\n",
        b":-9223372036854775808\r\n",
        b":\r\n",
        b":1.5\r\n",
        b":0x10\r\n",
        b",5\r\n",
        b",nan\r\n",
        b",inf\r\n",
        b"#t\r\n",
        b"(5\r\n",
        b"=5\r\ntxt:5\r\n",
        b"|1\r\n+a\r\n+b\r\n:5\r\n",
        b"~1\r\n:5\r\n",
        b"*1\r\n:5\r\n",
    ];
    futures_util::future::join_all(replies.map(expect_unavailable)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_that_are_none_are_never_numbers() {
    let replies: [&[u8]; 8] = [
        b"$-2\r\n", b"*-5\r\n", b"%-1\r\n", b"~-3\r\n", b"|-1\r\n", b"=-1\r\n", b"!-1\r\n",
        b">-1\r\n",
    ];
    futures_util::future::join_all(replies.map(expect_unavailable)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_beyond_all_time_is_told_and_ends_nobody() {
    let of = |seconds: &str, micros: &str| {
        let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        let text = format!("*2\r\n{}{}", bulk(seconds), bulk(micros));
        text.leak().as_bytes()
    };
    let most = u64::MAX.to_string();
    for time in [of(&most, &most), of(&most, "0"), of("1700000000", &most), of("-1", "0")] {
        let answer = move |command: &str| match command {
            "TIME" => time,
            "ZCOUNT" | "LLEN" => b":3\r\n",
            _ => b"+PONG\r\n",
        };
        let peer = Scripted::answering(answer).await;
        let service = Setup::default().redis(peer.url()).start().await;
        let keda = service.keda().await;
        eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
        let due = keda.value(&trigger([("scheduled", "z")])).await.unwrap_err();
        assert_eq!(due.code(), Code::Unavailable, "{due}");
        assert_eq!(service.get("/livez").await.0, 200);
    }
}

/// A reply that has no end, as far as anybody would read it.
fn endless(beginning: &[u8], part: &[u8]) -> &'static [u8] {
    let parts = (256 << 20) / part.len();
    [beginning.to_vec(), part.repeat(parts)].concat().leak()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_without_an_end_costs_a_bounded_amount_of_memory() {
    for (what, beginning, part) in [
        ("a long string", &b"$99999999999\r\n"[..], &b"x"[..]),
        ("a long list", b"*999999999\r\n", b"_\r\n"),
        ("a long line", b"+", b"x"),
        ("a long push", b">3\r\n+message\r\n+c\r\n$99999999999\r\n", b"x"),
    ] {
        let reply = endless(beginning, part);
        let answer = move |command: &str| match command {
            "PING" => &b"+PONG\r\n"[..],
            _ => reply,
        };
        let peer = Scripted::answering(answer).await;
        let service = Setup::default().redis(peer.url()).start().await;
        let keda = service.keda().await;
        for _ in 0..6 {
            let status = keda.value(&queue("q")).await.expect_err(what);
            assert_eq!(status.code(), Code::Unavailable, "{what}: {status}");
        }
        assert!(service.peak() < 384 * 1024, "{what}: {} kB", service.peak());
        assert_eq!(service.get("/livez").await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announcements_without_an_end_and_answers_that_nobody_asked_for_hold_nobody_up() {
    let announced = b">2\r\n+invalidate\r\n*1\r\n$1\r\nx\r\n".repeat(20_000);
    let flood: &'static [u8] = [&announced[..], b"+PONG\r\n"].concat().leak();
    for (what, pong) in [("announcements", flood), ("answers", b"+PONG\r\n:9\r\n+more\r\n")] {
        let answer = move |command: &str| match command {
            "PING" => pong,
            "LLEN" => b":3\r\n",
            _ => b"-ERR unknown command\r\n",
        };
        let peer = Scripted::answering(answer).await;
        let service = Setup::default().redis(peer.url()).start().await;
        let keda = service.keda().await;
        for _ in 0..20 {
            let asked = Instant::now();
            match value(&keda, "q").await {
                Ok(number) => assert!([3.0, 9.0].contains(&number), "{what}: {number}"),
                Err(code) => assert_eq!(code, Code::Unavailable, "{what}"),
            }
            assert!(asked.elapsed() < CALL, "{what} took {:?}", asked.elapsed());
        }
        assert!(service.peak() < 128 * 1024, "{what}: {} kB", service.peak());
        assert_eq!(service.get("/livez").await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_break_off_or_claim_to_be_huge_are_never_numbers() {
    let replies: [&[u8]; 8] = [
        b"$10\r\n12",
        b":12",
        b"*2\r\n:1\r\n",
        b"$9223372036854775807\r\n1",
        b"*2147483647\r\n:1\r\n",
        b"%9223372036854775807\r\n",
        b"*1\r\n".repeat(10_000).leak(),
        b"\0\xff\xfe\r\n",
    ];
    futures_util::future::join_all(replies.map(expect_unavailable)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_may_not_write_to_its_disk_is_read_all_the_same() {
    let answer = |command: &str| match command {
        "PING" => &b"-MISCONF Redis is configured to save RDB snapshots\r\n"[..],
        "LLEN" => b":3\r\n",
        _ => b"-ERR unknown command\r\n",
    };
    let peer = Scripted::answering(answer).await;
    let service = Setup::default().redis(peer.url()).start().await;
    let keda = service.keda().await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
}
