//! Many teams on one Redis: none reads another's keys, whatever it writes into a trigger, and none
//! takes the others' share.

use tonic::Code;

use crate::{
    harness::{Kind, PATIENCE, Server, Service, Setup, eventually_is},
    wire::{Keda, Trigger, queue, trigger},
};

/// A connection for each of two teams, each with its own keys and database, and one for both.
fn config(server: &Server) -> String {
    let address = server.address();
    let team = |name: &str, database: u32| {
        format!(
            "[redis.{name}]\nurl = \"redis://{address}/{database}\"\nnamespaces = [\"team-{name}\"]\n\
             keys = [\"{name}:*\", \"{{{name}}}:*\"]\n"
        )
    };
    let both = format!(
        "[redis.both]\nurl = \"redis://{address}/0\"\nnamespaces = [\"team-?\"]\n\
         keys = [\"both:*\"]\ndatabases = [3]\n"
    );
    let layout = "[layouts.acme]\ndoc = \"Acme.\"\n[layouts.acme.params.queue]\ntype = \"keys\"\n\
                  required = true\ndoc = \"The queue.\"\nexample = \"q\"\n[[layouts.acme.waiting]]\n\
                  read = \"size\"\nkey = \"b:{queue}\"\n";
    [team("a", 0), team("b", 1), both, layout.to_owned()].concat()
}

/// What a trigger says, `KEY=VALUE` each, and the rule that its refusal names.
const ATTEMPTS: &[(&[&str], &str)] = &[
    // The other's key, plainly, beside one's own, and in every place for a key.
    (&["queue=b:q"], "keys"),
    (&["waiting=b:q"], "keys"),
    (&["queue=a:q", "inFlight=b:q"], "keys"),
    (&["queue=a:q", "scheduled=b:q"], "keys"),
    (&["scheduled=a:q,b:q"], "keys"),
    (&["queue=a:q,b:q"], "keys"),
    (&["queue=b:q,a:q"], "keys"),
    (&["queue=a:q, b:q"], "keys"),
    (&["queue=a:q,a:r,a:s,b:q,a:t"], "keys"),
    (&["queueFromEnv=b:q"], "keys"),
    // A comma that is part of a name, and one that only looks so.
    (&[r"queue=b:q\,a:q"], "keys"),
    (&[r"queue=\,a:q"], "keys"),
    (&[r"queue=a:q\\,b:q"], "keys"),
    // Patterns, and names that look like the rule's own pattern.
    (&["queue=a:*"], "scan"),
    (&["queue=*"], "scan"),
    (&["queue=?:q"], "scan"),
    (&["queue=[ab]:q"], "scan"),
    (&[r"queue=\*"], "keys"),
    (&[r"queue=b\*"], "keys"),
    (&[r"queue=\[a\]:q"], "keys"),
    // Case, blanks, look-alikes and what is no character.
    (&["queue=A:q"], "keys"),
    (&["queue=а:q"], "keys"),
    (&["queue=a;q"], "keys"),
    (&["queue=a"], "keys"),
    (&["queue=xa:q"], "keys"),
    // Hash tags: a key of the same slot is still another key.
    (&["queue={b}:q"], "keys"),
    (&["queue={a:}b:q"], "keys"),
    (&["queue=b:{a:q}"], "keys"),
    (&["queue={a}b:q"], "keys"),
    (&["queue={{a}:q"], "keys"),
    // Another database, by each of its names.
    (&["queue=a:q", "database=1"], "databases"),
    (&["queue=b:q", "database=1"], "databases"),
    (&["listName=a:q", "databaseIndex=1"], "databases"),
    (&["queue=a:q", "database=3"], "databases"),
    (&["redis=both", "queue=both:q", "database=1"], "databases"),
    // Another connection.
    (&["redis=b", "queue=b:q"], "namespaces"),
    (&["redis=b", "queue=a:q"], "namespaces"),
    (&["redisFromEnv=b", "queue=b:q"], "namespaces"),
    (&["redis=both", "queue=b:q"], "keys"),
    (&["redis=both", "queue=both:q,a:q"], "keys"),
    // The triggers that KEDA has built in.
    (&["listName=b:q"], "keys"),
    (&["stream=b:q", "consumerGroup=g", "pendingEntriesCount=1"], "keys"),
    (&["stream=b:q", "streamLength=1"], "keys"),
    // Layouts: their own keys, prefixes, leases, processing lists and members.
    (&["layout=stream", "queue=b:q", "group=g"], "keys"),
    (&["layout=acme", "queue=a:q"], "keys"),
    (&["layout=celery", "queue=a:q"], "keys"),
    (&["layout=celery", "queue=a:q", "unackedKey=b:unacked"], "keys"),
    (&["layout=celery", "queue=a:q", "unackedKey=a:unacked", "keyPrefix=b:"], "keys"),
    (&["layout=celery", "queue=a:q", "unackedKey=a:u", "leases=b:leases"], "keys"),
    (&["layout=lease", "queue=a:q", "leases=b:leases"], "keys"),
    (&["layout=lease", "queue=b:q", "leases=a:leases"], "keys"),
    (&["layout=reliable-list", "queue=b:q"], "keys"),
    (&["layout=rq", "queue=q"], "keys"),
    (&["layout=rq", "prefix=b:", "queue=q"], "keys"),
    (&["layout=bullmq", "prefix=b", "queue=q"], "keys"),
    (&["layout=bullmq", "prefix=b:x", "queue=a:q"], "keys"),
    (&["layout=bull", "prefix=b", "queue=q"], "keys"),
    (&["layout=bee-queue", "prefix=b", "queue=q"], "keys"),
    (&["layout=sidekiq", "queue=q"], "keys"),
    (&["layout=sidekiq", "namespace=b:", "queue=q"], "keys"),
    (&["layout=resque", "namespace=b", "queue=q"], "keys"),
    (&["layout=laravel", "prefix=b:", "queue=q"], "keys"),
    (&["layout=laravel", "prefix=", "queue=a:q"], "keys"),
    (&["layout=dramatiq", "namespace=b", "queue=q"], "keys"),
    (&["layout=asynq", "queue=a:q"], "keys"),
    (&["layout=arq", "queue=a:q"], "keys"),
    (&["layout=machinery", "queue=a:q", "scheduled=count", "delayedKey=b:d"], "keys"),
    // Weights.
    (&["layout=reliable-list", "queue=a:q=1,b:q=2"], "keys"),
    (&["layout=rq", "prefix=a:", "queue=q=1", "scheduled=count", "redis=both"], "keys"),
    // Other signals of the same.
    (&["queue=b:q", "signal=waiting"], "keys"),
    (&["inFlight=b:q", "signal=in-flight"], "keys"),
    (&["queue=b:q", "activityWindow=1m"], "keys"),
    (&["queue=b:q", "staleFor=1s"], "keys"),
];

fn attempt(namespace: &str, pairs: &[&str]) -> Trigger {
    let mut pairs: Vec<(&str, &str)> =
        pairs.iter().map(|pair| pair.split_once('=').unwrap()).collect();
    if !pairs.iter().any(|(key, _)| key.starts_with("redis")) {
        pairs.push(("redis", "a"));
    }
    Trigger { namespace: namespace.to_owned(), ..trigger(pairs) }
}

/// The codes of every method that carries refusals.
async fn codes(keda: &Keda, asked: &Trigger) -> [Code; 3] {
    keda.refusals(asked).await.map(|status| status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cross_read_is_refused_before_any_command_by_whatever_trick() {
    let server = Server::start(Kind::Redis);
    let service = Setup::default().config(config(&server)).start().await;
    let keda = service.keda().await;
    let own = attempt("team-a", &["queue=a:q"]);
    assert_eq!(keda.value(&own).await.unwrap(), 0.0);
    eventually_is(PATIENCE, 4.0, async || service.metric("penstock_redis_up").await).await;
    server.run("CONFIG RESETSTAT");
    for (pairs, rule) in ATTEMPTS {
        let asked = attempt("team-a", pairs);
        assert_eq!(codes(&keda, &asked).await, [Code::PermissionDenied; 3], "{pairs:?}");
        let told = keda.value(&asked).await.unwrap_err();
        assert!(told.message().contains(&format!("`{rule}`")), "{pairs:?}: {told}");
    }
    for namespace in
        ["team-b", "team-c", "team-ab", "team-", "Team-a", "team-a ", " team-a", "", "*"]
    {
        let asked = attempt(namespace, &["queue=a:q"]);
        assert_eq!(codes(&keda, &asked).await, [Code::PermissionDenied; 3], "{namespace:?}");
        let told = keda.value(&asked).await.unwrap_err();
        assert!(told.message().contains("`namespaces`"), "{told}");
        assert!(!told.message().contains("a:*"), "a stranger learns no other rule: {told}");
    }
    for (namespace, pairs) in [
        ("team-a\0", ["queue=a:q", "target=1"]),
        ("team-a\n", ["queue=a:q", "target=1"]),
        ("team-a", ["queue=a:q\0", "target=1"]),
        ("team-a", ["queue=a:q", "address=127.0.0.1:1"]),
        ("team-a", ["queue=a:q", "host=127.0.0.1"]),
        ("team-a", ["queue=a:q", "username=b"]),
        ("team-a", ["queue=a:q", "password=b"]),
    ] {
        let asked = attempt(namespace, &pairs);
        assert_eq!(
            codes(&keda, &asked).await,
            [Code::InvalidArgument; 3],
            "{namespace:?} {pairs:?}"
        );
    }
    // Nothing was sent but what proves the links, and what this test asks itself.
    let statistics: String = server.ask("INFO commandstats");
    for line in statistics.lines().filter_map(|line| line.strip_prefix("cmdstat_")) {
        let command = line.split(':').next().unwrap();
        let is_expected = ["ping", "info", "hello", "config|resetstat", "client|setinfo", "select"];
        assert!(is_expected.contains(&command), "{command} was sent");
    }
    assert_eq!(keda.value(&own).await.unwrap(), 0.0);
    // A comma that is escaped is part of the name, which is the team's own.
    for own in [r"queue=a:q\,b:q", r"queue=a:\*", "queue={a}:q", "listName=a:q,b:q"] {
        assert_eq!(keda.value(&attempt("team-a", &[own])).await.unwrap(), 0.0, "{own}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_at_its_limits_is_told_and_no_other_is_disturbed() {
    let server = Server::start(Kind::Redis);
    server.run("RPUSH q a");
    let limits = "triggers_per_namespace = 3\nkeys_per_namespace = 6\nstreams_per_namespace = 2\n";
    let config = format!("[limits]\n{limits}[redis.default]\nurl = \"{}\"\n", server.url());
    let service: Service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let named = |namespace: &str, name: &str, queues: &str| Trigger {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..queue(queues)
    };
    let refused = async |asked: Trigger, what: &str| {
        let status = keda.value(&asked).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        for part in [format!("`{}`", asked.namespace), format!("limits.{what}_per_namespace")] {
            assert!(status.message().contains(&part), "{part} is not in: {status}");
        }
    };
    for name in ["one", "two", "three"] {
        assert_eq!(keda.value(&named("greedy", name, "q")).await.unwrap(), 1.0);
    }
    refused(named("greedy", "four", "q"), "triggers").await;
    refused(named("wide", "one", "1,2,3,4,5,6,7"), "keys").await;
    let first = named("greedy", "one", "q");
    let streams = (
        keda.stream_is_active(&first).await.unwrap(),
        keda.stream_is_active(&first).await.unwrap(),
    );
    let status = keda.stream_is_active(&first).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("limits.streams_per_namespace"), "{status}");
    // The others, and what the namespace has already.
    assert_eq!(keda.value(&first).await.unwrap(), 1.0);
    assert_eq!(keda.value(&named("modest", "one", "q")).await.unwrap(), 1.0);
    assert!(keda.stream_is_active(&named("modest", "one", "q")).await.is_ok());
    drop(streams);
    eventually_is(PATIENCE, true, async || keda.stream_is_active(&first).await.is_ok()).await;
}
