//! Triggers whose running jobs are looked at one by one, when what is there is more than Redis, the link or
//! the time allows: they are unavailable, and everybody else is answered.

use tokio::{task::block_in_place, time::Instant};
use tonic::Code;

use crate::{
    harness::{
        CALL, Kind, PATIENCE, RECOVERY, Scripted, Server, Setup, eventually, eventually_is, seconds,
    },
    wire::{Keda, Trigger, queue, trigger},
};

/// A queue of the Sidekiq with this prefix, in a namespace of that name.
fn sidekiq(prefix: &str, queue: &str) -> Trigger {
    let name = format!("{prefix}{queue}").replace(':', "-");
    let pairs = [("layout", "sidekiq"), ("namespace", prefix), ("queue", queue)];
    Trigger { namespace: prefix.trim_end_matches(':').to_owned(), name, ..trigger(pairs) }
}

async fn ask(keda: &Keda, asked: &Trigger) -> Result<f64, Code> {
    keda.value(asked).await.map_err(|status| status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_no_link_carries_holds_up_its_own_triggers_alone() {
    let server = Server::start(Kind::Redis);
    server.run("CONFIG SET appendonly no\nRPUSH a:queue:q x\nRPUSH b:queue:q x");
    server.run("SADD a:processes p\nSADD b:processes p\nHSET b:p:work t {\"queue\":\"q\"}");
    let config = format!("[redis.default]\nurl = \"{}\"\nhold_stale = \"5s\"\n", server.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let (ours, others) = (sidekiq("a:", "q"), sidekiq("b:", "q"));
    eventually_is(PATIENCE, Ok(1.0), async || ask(&keda, &ours).await).await;
    eventually_is(PATIENCE, Ok(2.0), async || ask(&keda, &others).await).await;
    let poison = "return redis.call('HSET', KEYS[1], 't', string.rep('x', 140 * 1024 * 1024))";
    server.ask_words::<u64>(&["EVAL", poison, "1", "a:p:work"]);
    let since = Instant::now();
    let mut jobs = 2.0;
    while since.elapsed() < seconds(12) {
        server.run("RPUSH b:queue:q x");
        jobs += 1.0;
        // Within some seconds, and held until then.
        eventually_is(seconds(6), Ok(jobs), async || ask(&keda, &others).await).await;
        let asked = Instant::now();
        let told = ask(&keda, &ours).await;
        assert!([Ok(1.0), Err(Code::Unavailable)].contains(&told), "{told:?}");
        assert!(asked.elapsed() < CALL, "it took {:?}", asked.elapsed());
    }
    eventually_is(PATIENCE, Err(Code::Unavailable), async || ask(&keda, &ours).await).await;
    eventually_is(seconds(6), Ok(jobs), async || ask(&keda, &others).await).await;
    let message =
        "a read that ends the link is put off; its last value is held for the stale budget";
    let told = eventually(PATIENCE, async || match service.log_with(message).first() {
        Some(line) => Ok(line["read"].to_string()),
        None => Err(service.log()),
    });
    assert!(told.await.contains("a:*:work"), "it is named");
    server.run("DEL a:p:work");
    eventually_is(seconds(40), Ok(1.0), async || ask(&keda, &ours).await).await;
    assert_eq!(ask(&keda, &others).await, Ok(jobs));
    assert_eq!(service.get("/livez").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_take_longer_than_there_is_time_hold_up_their_own_triggers_alone() {
    let value = format!("*1\r\n$200000\r\n{}\r\n", "x".repeat(200_000));
    let members: String = (0..1_000).map(|n| format!("$4\r\np{n:03}\r\n")).collect();
    let members = format!("*1000\r\n{members}");
    let peer = Scripted::speaking(move |_, words| {
        match words[0].as_str() {
            "PING" => "+PONG\r\n",
            "LLEN" => ":3\r\n",
            "SISMEMBER" => ":0\r\n",
            "SCARD" => ":1000\r\n",
            "SMEMBERS" => &members,
            "HVALS" => {
                block_in_place(|| std::thread::sleep(std::time::Duration::from_millis(30)));
                &value
            }
            _ => "-ERR unknown command\r\n",
        }
        .as_bytes()
        .to_vec()
    })
    .await;
    let service = Setup::default().redis(peer.url()).start().await;
    let keda = service.keda().await;
    let (ours, others) = (sidekiq("a:", "q"), queue("q"));
    eventually_is(PATIENCE, Ok(3.0), async || ask(&keda, &others).await).await;
    for new in 0..4 {
        let new = queue(&format!("new{new}"));
        let (one, other) = tokio::join!(keda.value(&ours), ask(&keda, &others));
        let status = one.expect_err("a part of a count is no count");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert_eq!(other, Ok(3.0));
        eventually_is(RECOVERY, Ok(3.0), async || ask(&keda, &new).await).await;
    }
    let status = keda.value(&ours).await.unwrap_err();
    assert!(status.message().contains("did not answer in time"), "{status}");
    assert_eq!(service.metric("penstock_redis_links_lost_total").await, 0.0);
}
