//! How fast a counter rises: right over its window, unknown and no zero before, and awake all the same.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tonic::Code;

use crate::{
    harness::{
        Kind, Mode, PATIENCE, Proxy, Server, Service, Setup, eventually_is, penstock, seconds,
    },
    on_both_servers,
    streams::Pushes,
    wire::{Keda, Trigger, trigger},
};

on_both_servers!(
    a_rate_is_unknown_until_its_window_was_watched_and_then_right,
    what_came_wakes_before_there_is_a_rate,
    a_redis_that_came_back_is_watched_anew,
    two_replicas_that_both_watched_tell_the_same,
    a_probe_looks_twice,
);

const WINDOW: Duration = seconds(5);

fn rate(counter: &str) -> Trigger {
    rate_over("5s", counter)
}

fn rate_over(window: &str, counter: &str) -> Trigger {
    trigger([("signal", "rate"), ("counter", counter), ("target", "2"), ("window", window)])
}

/// So many arrivals, spread evenly over this long, each of which nobody finds waiting.
async fn count(server: &Server, counter: &str, arrivals: u32, within: Duration) {
    let start = Instant::now();
    for number in 1..=arrivals {
        server.run(&format!("INCR {counter}"));
        sleep_until(start + within * number / arrivals).await;
    }
}

async fn is_known(keda: &Keda, asked: &Trigger) {
    eventually_is(WINDOW + PATIENCE, true, async || keda.value(asked).await.is_ok()).await;
}

async fn is_unknown(keda: &Keda, asked: &Trigger) {
    let status = keda.value(asked).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("not yet watched"), "{status}");
}

/// What a rate is to be, for a machine that stretches the time in which arrivals come.
fn assert_near(value: f64, wanted: f64) {
    assert!((value - wanted).abs() <= wanted * 0.05, "{value}, not {wanted}");
}

async fn a_rate_is_unknown_until_its_window_was_watched_and_then_right(kind: Kind) {
    let server = Server::start(kind);
    server.run("SET c 1000000");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    is_unknown(&keda, &rate("c")).await;
    let status = keda.is_active(&rate("c")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    is_known(&keda, &rate("c")).await;
    assert_eq!(keda.value(&rate("c")).await.unwrap(), 0.0, "a high counter is no rate");
    assert!(!keda.is_active(&rate("c")).await.unwrap());
    // A burst at once counts as much as the same number one by one.
    server.run("INCRBY c 200");
    eventually_is(PATIENCE, 40.0, async || keda.value(&rate("c")).await.unwrap()).await;
    assert!(keda.is_active(&rate("c")).await.unwrap());
    let is_over = async || keda.value(&rate("c")).await.unwrap() == 0.0;
    eventually_is(WINDOW + PATIENCE, true, is_over).await;
    assert!(!keda.is_active(&rate("c")).await.unwrap(), "it fell with time alone");
    // A window in which they all are, however slow the machine is.
    let long = rate_over("15s", "c");
    eventually_is(seconds(15) + PATIENCE, Some(0.0), async || keda.value(&long).await.ok()).await;
    count(&server, "c", 150, seconds(3)).await;
    assert_near(keda.value(&long).await.unwrap(), 10.0);
    // A counter that falls began anew, and what it says is what came since.
    eventually_is(WINDOW + PATIENCE, true, is_over).await;
    server.run("SET c 10");
    eventually_is(PATIENCE, 2.0, async || keda.value(&rate("c")).await.unwrap()).await;
    server.run("DEL c");
    sleep(Duration::from_millis(100)).await;
    assert_eq!(keda.value(&rate("c")).await.unwrap(), 2.0, "nothing came");
    server.run("SET c many");
    let told = async || keda.value(&rate("c")).await.map_err(|status| status.code()).err();
    eventually_is(PATIENCE, Some(Code::FailedPrecondition), told).await;
    // What it did meanwhile nobody knows: what was known before is held, and what it says now is no 0.
    let value = async || keda.value(&rate("c")).await.ok();
    server.run("SET c 0");
    eventually_is(PATIENCE, Some(2.0), value).await;
    eventually_is(WINDOW + PATIENCE, Some(0.0), value).await;
}

async fn what_came_wakes_before_there_is_a_rate(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let long = trigger([
        ("signal", "rate"),
        ("counter", "c"),
        ("target", "2"),
        ("window", "1h"),
        ("activation", "0.001"),
    ]);
    let mut pushes = Pushes::of(&keda, &long).await;
    is_unknown(&keda, &long).await;
    // Three in an hour are less than a thousandth a second, and four are more.
    server.run("INCRBY c 3");
    sleep(Duration::from_millis(300)).await;
    assert!(keda.is_active(&long).await.is_err(), "more may have come before");
    server.run("INCR c");
    assert!(pushes.next(PATIENCE).await, "that is enough, whatever came before");
    assert!(keda.is_active(&long).await.unwrap());
    is_unknown(&keda, &long).await;
}

async fn a_redis_that_came_back_is_watched_anew(kind: Kind) {
    let mut server = Server::start(kind);
    let proxy = Proxy::to(server.port()).await;
    let config = format!("[redis.default]\nurl = \"{}\"\nhold_stale = \"1s\"\n", proxy.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    server.run("INCRBY c 50");
    is_unknown(&keda, &rate("c")).await;
    is_known(&keda, &rate("c")).await;
    proxy.set(Mode::Cut);
    server.kill();
    let is_unavailable = async || keda.value(&rate("c")).await.is_err();
    eventually_is(PATIENCE, true, is_unavailable).await;
    server.run_again();
    // As if it was another one, in which the counter is higher than what was seen last.
    server.run("SET c 900");
    proxy.set(Mode::Pass);
    let told = async || keda.value(&rate("c")).await.map_err(|status| status.message().to_owned());
    let is_watching =
        async || told().await.is_err_and(|message| message.contains("not yet watched"));
    eventually_is(PATIENCE, true, is_watching).await;
    is_known(&keda, &rate("c")).await;
    assert_eq!(keda.value(&rate("c")).await.unwrap(), 0.0, "nobody saw anything come");
    server.run("INCRBY c 10");
    eventually_is(PATIENCE, 2.0, async || keda.value(&rate("c")).await.unwrap()).await;
}

async fn two_replicas_that_both_watched_tell_the_same(kind: Kind) {
    let server = Server::start(kind);
    let services = [Service::of(&server).await, Service::of(&server).await];
    let [one, other] = [services[0].keda().await, services[1].keda().await];
    // The second one is only polled, and not while jobs come.
    let long = rate_over("15s", "c");
    let _pushes = Pushes::of(&one, &long).await;
    is_unknown(&other, &long).await;
    sleep(seconds(10)).await;
    is_known(&one, &long).await;
    is_known(&other, &long).await;
    count(&server, "c", 120, seconds(3)).await;
    assert_near(one.value(&long).await.unwrap(), 8.0);
    assert_near(other.value(&long).await.unwrap(), 8.0);
}

async fn a_probe_looks_twice(kind: Kind) {
    let server = Server::start(kind);
    server.run("SET c 5");
    let url = format!("redis://{}/0", server.address());
    let words = ["signal=rate", "counter=c", "target=2", "--redis", &url];
    let probed = std::thread::scope(|scope| {
        let probe = scope.spawn(|| penstock().arg("probe").args(words).output().unwrap());
        // Between its looks, which are five seconds apart.
        let has_looked = || server.ask::<String>("INFO commandstats").contains("cmdstat_getrange");
        while !has_looked() && !probe.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
        }
        server.run("INCRBY c 20");
        probe.join().unwrap()
    });
    let said = String::from_utf8([probed.stdout, probed.stderr].concat()).unwrap();
    assert!(probed.status.success(), "{said}");
    let rest = said.split("arrived per second = ").nth(1).unwrap();
    let (value, rest) = rest.split_once('\n').unwrap();
    assert!(rest.contains("those in 5s; the service tells them over 60s"), "{said}");
    // Twenty, in the five seconds that it waits and however long its looks take.
    assert!((1.0..=4.0).contains(&value.parse().unwrap()), "{said}");
    assert!(said.contains("active     yes: value "), "{said}");
}
