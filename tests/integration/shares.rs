//! What one namespace may have of what all share: it is told at its limit, by the name of that limit, and
//! no other namespace notices.

use tonic::{Code, Status};

use crate::{
    harness::{Kind, PATIENCE, RECOVERY, Server, Service, Setup, eventually, eventually_is},
    streams::Pushes,
    wire::{Keda, Trigger, queue, trigger},
};

async fn with(server: &Server, limits: &str) -> Service {
    let config =
        format!("[limits]\n{limits}\n[redis.default]\nurl = \"{}\"\nscan = true\n", server.url());
    Setup::default().config(config).start().await
}

fn of(namespace: &str, trigger: Trigger) -> Trigger {
    let name = format!("{:?}", trigger.metadata);
    let name = name.chars().filter(char::is_ascii_alphanumeric).collect();
    Trigger { namespace: namespace.to_owned(), name, ..trigger }
}

/// A Celery application whose workers are listened to.
fn celery(prefix: &str) -> Trigger {
    let pairs = [("layout", "celery"), ("queue", "q"), ("running", "heartbeats"), ("pool", "*")];
    trigger([&pairs[..], &[("keyPrefix", prefix)]].concat())
}

fn is_at_limit(status: &Status, namespace: &str, what: &str) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let of = format!("namespace `{namespace}` is at its limit of ");
    let setting = format!("setting limits.{what}_per_namespace");
    for part in [of, setting] {
        assert!(status.message().contains(&part), "{part} is not in: {status}");
    }
}

async fn ask(keda: &Keda, asked: &Trigger) -> Result<f64, Status> {
    keda.value(asked).await
}

/// With the limits as they are by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_namespace_takes_what_there_is_to_look_for_or_to_listen_to() {
    let server = Server::start(Kind::Redis);
    server.run("RPUSH modest-a x y");
    let service = with(&server, "").await;
    let keda = service.keda().await;
    let mut refused = (0, 0);
    for number in 0..70 {
        let asked = of("greedy", celery(&format!("p{number}:")));
        // Workers are listened to for a while before anything is said.
        let status = ask(&keda, &asked).await.unwrap_err();
        if number < 8 {
            assert_eq!(status.code(), Code::Unavailable, "{status}");
        } else {
            is_at_limit(&status, "greedy", "heartbeats");
            refused.0 += 1;
        }
    }
    for number in 0..300 {
        let asked = of("greedy", queue(&format!("greedy-{number}-*")));
        match keda.stream_is_active(&asked).await {
            Ok(_) => assert!(number < 32, "{number}"),
            Err(status) => {
                is_at_limit(&status, "greedy", "searches");
                refused.1 += 1;
            }
        }
    }
    assert_eq!(refused, (62, 268));
    // What it shares with others it has like them, and what it has goes on.
    let first = of("greedy", queue("greedy-0-*"));
    eventually_is(PATIENCE, Some(0.0), async || ask(&keda, &first).await.ok()).await;
    let modest = of("modest", queue("modest-*"));
    eventually_is(PATIENCE, Some(2.0), async || ask(&keda, &modest).await.ok()).await;
    eventually_is(PATIENCE, Some(0.0), async || {
        ask(&keda, &of("modest", celery("p60:"))).await.ok()
    })
    .await;
    assert!(ask(&keda, &of("greedy", queue("plain"))).await.is_ok());
    is_at_limit(
        &ask(&keda, &of("greedy", queue("modest-*"))).await.unwrap_err(),
        "greedy",
        "searches",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_a_pattern_finds_are_of_the_share_and_no_part_of_them_is_a_sum() {
    let server = Server::start(Kind::Redis);
    server.run("RPUSH a-1 x\nRPUSH a-2 x\nRPUSH b-1 x\nRPUSH b-2 x\nRPUSH b-3 x");
    let service = with(&server, "keys_per_namespace = 4").await;
    let keda = service.keda().await;
    let (first, second) = (of("one", queue("a-*")), of("one", queue("b-*")));
    eventually_is(PATIENCE, Some(2.0), async || ask(&keda, &first).await.ok()).await;
    let told = eventually(PATIENCE, async || match ask(&keda, &second).await {
        Err(status) if status.code() == Code::ResourceExhausted => Ok(status),
        other => Err(other.map_err(|status| status.to_string())),
    })
    .await;
    is_at_limit(&told, "one", "keys");
    assert!(told.message().contains("the queues that match `b-*` have more"), "{told}");
    // The keys that triggers name are of the same share.
    let three = ask(&keda, &of("one", queue("x,y,z"))).await.unwrap_err();
    is_at_limit(&three, "one", "keys");
    assert_eq!(ask(&keda, &of("one", queue("x,y"))).await.unwrap(), 0.0);
    // The others, also on the same pattern.
    let others = of("two", queue("b-*"));
    eventually_is(PATIENCE, Some(3.0), async || ask(&keda, &others).await.ok()).await;
    assert_eq!(ask(&keda, &first).await.unwrap(), 2.0);
    // A stream says nothing rather than a part; what is found on top later is told as well.
    let mut pushes = Pushes::of(&keda, &second).await;
    pushes.silent(RECOVERY).await;
    server.run("RPUSH a-3 x");
    let told = eventually(PATIENCE, async || match ask(&keda, &first).await {
        Err(status) => Ok(status),
        Ok(value) => Err(value),
    })
    .await;
    is_at_limit(&told, "one", "keys");
    let methods =
        service.metric("penstock_rpcs_total{method=\"GetMetrics\",code=\"RESOURCE_EXHAUSTED\"}");
    assert!(methods.await >= 2.0);
}

/// A trigger of Celery with so many patterns, and so many keys for each, all of which are long.
fn sprawling(namespace: &str, (patterns, steps): (usize, usize), number: usize) -> Trigger {
    let list = |number: usize, one: &dyn Fn(usize) -> String| {
        (0..number).map(one).collect::<Vec<_>>().join(",")
    };
    let of_celery = trigger([
        ("layout", "celery".to_owned()),
        ("queue", list(patterns, &|number| format!("*{number}"))),
        ("keyPrefix", "x".repeat(1_024)),
        ("prioritySteps", list(steps, &|number| ('0'..).nth(number).unwrap().to_string())),
    ]);
    Trigger { namespace: namespace.to_owned(), name: format!("worker-{number}"), ..of_celery }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn triggers_that_make_much_of_few_bytes_hold_little_whether_refused_or_let_in() {
    let server = Server::start(Kind::Redis);
    let config = format!(
        "[limits]\nkeys_per_namespace = 10000\n[redis.default]\nurl = \"{0}\"\nscan = true\n\
         [redis.narrow]\nurl = \"{0}\"\nscan = true\nkeys = [\"mine:*\"]\n",
        server.url()
    );
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let before = service.memory();
    let told = async |asked: Trigger, code: Code, part: &str| {
        let status = ask(&keda, &asked).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(part), "{part} is not in: {status}");
    };
    for number in 0..40 {
        let asked = sprawling("greedy", (8, 43), number);
        told(asked, Code::InvalidArgument, "queue: has patterns that make 352 searches").await;
        let mut asked = sprawling("greedy", (8, 15), number);
        asked.metadata.insert("redis".to_owned(), "narrow".to_owned());
        told(asked, Code::PermissionDenied, "keys").await;
        told(sprawling("greedy", (8, 15), number), Code::ResourceExhausted, "searches").await;
    }
    // As many searches as a namespace may have; the triggers all make the same.
    let mut admitted = 0;
    for number in 0..1_000 {
        match ask(&keda, &sprawling("broad", (1, 31), number)).await {
            Err(status) if status.code() == Code::ResourceExhausted => {
                is_at_limit(&status, "broad", "keys");
                break;
            }
            // The first ones wait for the end of the search.
            answer => assert!(matches!(answer, Ok(0.0)) || number < 10, "{answer:?}"),
        }
        admitted += 1;
    }
    assert!((10..100).contains(&admitted), "{admitted}");
    let grown = service.peak().saturating_sub(before);
    assert!(grown < 64 * 1024, "{before} kB, then {grown} kB more");
    assert!(ask(&keda, &of("modest", queue("q"))).await.is_ok());
}
