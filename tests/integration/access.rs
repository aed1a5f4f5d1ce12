//! Connections: how they are named and configured, who may use them, and how penstock logs in.

use std::fs;

use deadpool_redis::redis;
use penstock::{
    layouts::{Layout, Registry},
    limits,
};
use tempfile::TempDir;
use tonic::Code;

use crate::{
    harness::{Kind, PATIENCE, RECOVERY, Server, Setup, eventually_is, penstock, seconds},
    on_both_servers,
    streams::Pushes,
    wire::{Keda, Trigger, queue, trigger},
};

on_both_servers!(
    a_password_comes_from_a_file_and_may_be_rotated,
    a_wrong_password_is_unavailable_and_nowhere_to_be_read,
    a_user_that_may_not_track_is_polled_and_the_log_says_so_once,
    a_user_that_may_not_read_a_key_gets_no_number_for_it,
    a_right_that_is_taken_away_is_an_outage_however_often_it_is_asked,
    a_database_that_is_allowed_is_read_and_no_other,
    the_least_rights_are_enough,
    the_rights_for_some_keys_are_enough_for_them,
    a_right_that_one_trigger_lacks_is_no_outage_for_the_others,
);

async fn value(keda: &Keda, trigger: &Trigger) -> Result<f64, Code> {
    keda.value(trigger).await.map_err(|status| status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_of_a_connection_forbid_by_name() {
    let server = Server::start(Kind::Redis);
    server.run("RPUSH team-a:q x\nRPUSH team-b:q x y");
    let config = format!(
        "[redis.default]\nurl = \"{}\"\nnamespaces = [\"jobs\", \"team-*\"]\n\
         keys = [\"team-a:*\", \"shared\"]\n",
        server.url()
    );
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    assert_eq!(keda.value(&queue("team-a:q")).await.unwrap(), 1.0);
    let mut elsewhere = queue("team-a:q");
    elsewhere.namespace = "else".to_owned();
    let database = trigger([("queue", "team-a:q"), ("database", "3")]);
    for (asked, words) in [
        (queue("team-b:q"), ["keys", "team-b:q", "default"]),
        (queue("team-a:q,team-b:q"), ["keys", "team-b:q", "default"]),
        (trigger([("queue", "team-a:q"), ("inFlight", "other")]), ["keys", "other", "default"]),
        (elsewhere, ["namespaces", "else", "default"]),
        (database, ["databases", "3", "default"]),
        (queue("team-a:*"), ["scan", "team-a:*", "default"]),
        (queue("team-a:[ab]"), ["scan", "team-a:[ab]", "default"]),
        (queue("team-a:?"), ["scan", "team-a:?", "default"]),
    ] {
        for status in keda.refusals(&asked).await {
            assert_eq!(status.code(), Code::PermissionDenied, "{asked:?}: {status}");
            for word in words {
                assert!(status.message().contains(word), "no {word} in: {status}");
            }
        }
    }
    // An escaped star is a name like any other.
    assert_eq!(keda.value(&queue(r"team-a:\*")).await.unwrap(), 0.0);
}

async fn a_database_that_is_allowed_is_read_and_no_other(kind: Kind) {
    let server = Server::start(kind);
    let mut link = server.connect();
    for (database, jobs) in [(0, 1), (2, 2), (5, 3)] {
        deadpool_redis::redis::cmd("SELECT").arg(database).query::<()>(&mut link).unwrap();
        let members: Vec<i32> = (0..jobs).collect();
        deadpool_redis::redis::cmd("RPUSH").arg("q").arg(members).query::<()>(&mut link).unwrap();
    }
    let address = server.address();
    let config = format!("[redis.default]\nurl = \"redis://{address}/5\"\ndatabases = [5, 2]\n");
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let with = |key: &str, database: &str| trigger([("queue", "q"), (key, database)]);
    assert_eq!(keda.value(&queue("q")).await.unwrap(), 3.0, "the URL's is the default");
    assert_eq!(keda.value(&with("database", "5")).await.unwrap(), 3.0);
    assert_eq!(keda.value(&with("database", "2")).await.unwrap(), 2.0);
    let native = trigger([("listName", "q"), ("databaseIndex", "2")]);
    assert_eq!(keda.value(&native).await.unwrap(), 2.0);
    assert_eq!(value(&keda, &with("database", "0")).await, Err(Code::PermissionDenied));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_come_from_flags_environment_and_file_by_name() {
    let (one, other) = (Server::start(Kind::Redis), Server::start(Kind::Valkey));
    one.run("RPUSH q a");
    other.run("RPUSH q a b");
    let named = |name: &str| trigger([("queue", "q"), ("redis", name)]);
    let flags = Setup::default()
        .redis(one.url())
        .redis(format!("other={}", other.url()))
        .variable("PENSTOCK_REDIS_THIRD_ONE_URL", one.url())
        .config(format!("[redis.fourth]\nurl = \"{}\"\n", other.url()));
    let service = flags.start().await;
    let keda = service.keda().await;
    assert_eq!(keda.value(&queue("q")).await.unwrap(), 1.0);
    for (name, jobs) in [("default", 1.0), ("other", 2.0), ("third-one", 1.0), ("fourth", 2.0)] {
        assert_eq!(keda.value(&named(name)).await.unwrap(), jobs, "{name}");
    }
    assert_eq!(value(&keda, &named("fifth")).await, Err(Code::InvalidArgument));
    let environment = Setup::default().variable("PENSTOCK_REDIS", other.url()).start().await;
    assert_eq!(environment.keda().await.value(&queue("q")).await.unwrap(), 2.0);
    // A flag comes before the environment, and that before the file.
    let config = format!("[redis.default]\nurl = \"{}\"\n", one.url());
    let both = Setup::default().config(config).variable("PENSTOCK_REDIS_DEFAULT_URL", other.url());
    assert_eq!(both.start().await.keda().await.value(&queue("q")).await.unwrap(), 2.0);
}

async fn a_password_comes_from_a_file_and_may_be_rotated(kind: Kind) {
    let server = Server::with_password(kind, "the-first-password");
    server.run("RPUSH q a b");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "the-first-password\n").unwrap();
    let config = format!(
        "[redis.default]\nurl = \"{}\"\npassword_file = \"{}\"\n",
        server.url(),
        file.display()
    );
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    assert_eq!(keda.value(&queue("q")).await.unwrap(), 2.0);
    let mut link = server.connect();
    let mut run = |words: &[&str]| {
        let mut command = deadpool_redis::redis::Cmd::new();
        command.arg(words);
        command.query::<()>(&mut link).unwrap();
    };
    run(&["CONFIG", "SET", "requirepass", "the-second-password"]);
    run(&["RPUSH", "q", "c"]);
    fs::write(&file, "the-second-password").unwrap();
    run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, &queue("q")).await).await;
    let log = service.log().join("\n");
    assert!(!log.contains("-password\""), "{log}");
    assert!(!log.contains("the-first") && !log.contains("the-second"), "{log}");
}

async fn a_wrong_password_is_unavailable_and_nowhere_to_be_read(kind: Kind) {
    let server = Server::with_password(kind, "the-right-password");
    let address = server.address();
    let right = format!("right=redis://:the-right-password@{address}");
    let setup = Setup::default().redis(right);
    let setup = setup.redis(format!("wrong=redis://:the-wr0ng-password@{address}"));
    let setup = setup.redis(format!("none=redis://{address}")).flag("--log-level", "debug");
    let service = setup.start().await;
    let keda = service.keda().await;
    let named = |name: &str| trigger([("queue", "q"), ("redis", name)]);
    assert_eq!(keda.value(&named("right")).await.unwrap(), 0.0);
    for name in ["wrong", "none"] {
        let status = keda.value(&named(name)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{name}: {status}");
        let says_why = ["WRONGPASS", "NOAUTH", "refuses"];
        assert!(says_why.iter().any(|why| status.message().contains(why)), "{name}: {status}");
        assert!(!status.message().contains("wr0ng"), "{status}");
    }
    let log = service.log().join("\n");
    assert!(!log.contains("wr0ng") && !log.contains("the-right"), "{log}");
}

async fn a_user_that_may_not_track_is_polled_and_the_log_says_so_once(kind: Kind) {
    let server = Server::start(kind);
    server.run("ACL SETUSER meek on >pass ~* +@all -client");
    server.run("RPUSH q a");
    let address = server.address();
    let service = Setup::default().redis(format!("redis://meek:pass@{address}/0")).start().await;
    let keda = service.keda().await;
    let mut pushes = crate::streams::Pushes::of(&keda, &queue("idle")).await;
    assert!(!pushes.next(RECOVERY).await);
    assert_eq!(keda.value(&queue("q")).await.unwrap(), 1.0);
    for jobs in [2.0, 3.0] {
        server.run("RPUSH q b");
        eventually_is(PATIENCE, Ok(jobs), async || value(&keda, &queue("q")).await).await;
    }
    server.run("RPUSH idle a");
    assert!(pushes.next(seconds(4)).await, "streams are fed by polling");
    let polled = "this Redis announces no changes; reads are polled instead";
    service.logged(polled, 1).await;
}

async fn a_user_that_may_not_read_a_key_gets_no_number_for_it(kind: Kind) {
    let server = Server::start(kind);
    server.run("ACL SETUSER narrow on >pass ~mine:* +@all\nRPUSH mine:q a\nRPUSH theirs:q a");
    let address = server.address();
    let service = Setup::default().redis(format!("redis://narrow:pass@{address}/0")).start().await;
    let keda = service.keda().await;
    assert_eq!(keda.value(&queue("mine:q")).await.unwrap(), 1.0);
    let status = keda.value(&queue("theirs:q")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("NOPERM"), "{status}");
    let status = keda.value(&queue("mine:q,theirs:q")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "a part of the sum is no sum: {status}");
    server.run("RPUSH mine:q b");
    eventually_is(PATIENCE, Ok(2.0), async || value(&keda, &queue("mine:q")).await).await;
}

async fn a_right_that_is_taken_away_is_an_outage_however_often_it_is_asked(kind: Kind) {
    let server = Server::start(kind);
    server.run("ACL SETUSER meek on >pass ~* +@all\nRPUSH q a b");
    let url = format!("redis://meek:pass@{}/0", server.address());
    let config = format!("[redis.default]\nurl = \"{url}\"\nhold_stale = \"1s\"\n");
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    assert_eq!(keda.value(&queue("q")).await.unwrap(), 2.0);
    server.run("ACL SETUSER meek -llen\nRPUSH q c");
    // The link is well and every read fails: asking must not keep the old value alive.
    eventually_is(seconds(5), Err(Code::Unavailable), async || value(&keda, &queue("q")).await)
        .await;
    for _ in 0..20 {
        assert_eq!(value(&keda, &queue("q")).await, Err(Code::Unavailable));
    }
    server.run("ACL SETUSER meek +llen\nRPUSH q d");
    eventually_is(RECOVERY, Ok(4.0), async || value(&keda, &queue("q")).await).await;
}

/// No more than these commands: none writes, and what a newer penstock sends on top is seen here.
async fn the_least_rights_are_enough(kind: Kind) {
    let server = Server::start(kind);
    let address = server.address();
    let config = format!("[redis.default]\nurl = \"redis://least:pass@{address}/0\"\n");
    let rights = rights(&config);
    server.run(&rights);
    server.run("RPUSH w a\nZADD s 1 a\nSADD f a\nSET n 5\nXADD x 1-0 a 1\nXGROUP CREATE x g $");
    server.run("XADD x 2-0 a 1");
    // A lag that Redis does not know, so that entries are counted.
    server.run("XADD y 1-0 a 1\nXADD y 2-0 a 1\nXADD y 3-0 a 1\nXGROUP CREATE y g 0\nXDEL y 2-0");
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue("idle")).await;
    assert!(!pushes.next(RECOVERY).await);
    let states = [("waiting", "w,n,x"), ("scheduled", "s"), ("inFlight", "f")];
    assert_eq!(keda.value(&trigger(states)).await.unwrap(), 10.0);
    // A string that is gone takes further commands to tell from an empty one.
    server.run("DEL n");
    eventually_is(PATIENCE, Ok(5.0), async || value(&keda, &trigger(states)).await).await;
    let group = [("layout", "stream"), ("queue", "x"), ("group", "g")];
    assert_eq!(keda.value(&trigger(group)).await.unwrap(), 1.0);
    let unknown = [("layout", "stream"), ("queue", "y"), ("group", "g")];
    assert_eq!(keda.value(&trigger(unknown)).await.unwrap(), 2.0);
    // Pending entries, of which the idle ones are looked for.
    server.run("XADD z 1-0 a 1\nXGROUP CREATE z g 0\nXREADGROUP GROUP g c STREAMS z >");
    let idle = [
        ("layout", "stream"),
        ("queue", "z"),
        ("group", "g"),
        ("orphans", "ignore"),
        ("claimAfter", "1h"),
    ];
    assert_eq!(keda.value(&trigger(idle)).await.unwrap(), 1.0);
    // Every built-in layout gets along with it, and with members to look at one by one.
    server.run(
        r#"SADD processes p
           SADD resque:workers p
           RPUSH bull:q:active 1
           ZADD arq 1 a
           HSET unacked t [{},"","q"]
           HSET p:work t {"queue":"q"}
           SET resque:worker:p {"queue":"q"}"#,
    );
    // How many there are is asked where more are listed than are looked at.
    let many: Vec<String> = (0..limits::MEMBERS_EXAMINED).map(|id| format!("1 {id}")).collect();
    server.run(&format!("ZADD arq {}", many.join(" ")));
    for layout in Registry::builtin().layouts().map(Layout::name) {
        let more = match layout {
            "keys" => continue,
            "bullmq" => ("orphans", "wake"),
            "laravel" => ("prefix", ""),
            "stream" => ("group", "g"),
            _ => ("staleFor", "1s"),
        };
        let queue = if layout == "arq" { "arq" } else { "q" };
        let pairs = [("layout", layout), ("queue", queue), ("signal", "in-flight"), more];
        let seen = value(&keda, &trigger(pairs)).await;
        let one = ["sidekiq", "resque", "celery", "bull"].contains(&layout);
        assert_eq!(seen, Ok(f64::from(u8::from(one))), "{layout}");
    }
    ages_are_told(&server, &keda).await;
    let none = service.log_with("this Redis announces no changes; reads are polled instead");
    assert!(none.is_empty(), "tracking is allowed: {:?}", service.log());
    assert_eq!(service.metric("penstock_redis_tracking").await, 1.0);
    server.run("RPUSH idle a");
    assert!(pushes.next(RECOVERY).await, "changes are announced");
    // Nothing is allowed that is not needed, but to authenticate again.
    let statistics: String = server.ask("INFO commandstats");
    for right in rights.split(' ').filter_map(|word| word.strip_prefix('+')) {
        let is_used = statistics.contains(&format!("cmdstat_{right}:"));
        assert!(is_used || right == "auth", "{right} is not used");
    }
}

/// What is read of jobs for how long they have waited gets along with the same rights.
async fn ages_are_told(server: &Server, keda: &Keda) {
    server.run(
        "RPUSH rq:queue:q a\nRPUSH dramatiq:q a\nRPUSH bq:q:waiting a\nRPUSH asynq:{q}:pending a",
    );
    for layout in ["rq", "dramatiq", "bee-queue", "asynq", "bullmq", "arq", "celery", "stream"] {
        let more = if layout == "stream" { ("group", "g") } else { ("staleFor", "1s") };
        let queue = if layout == "arq" { "arq" } else { "q" };
        let of = [("layout", layout), ("queue", queue), ("signal", "latency"), ("target", "1")];
        let seen = value(keda, &trigger(of.into_iter().chain([more]))).await;
        let is_said = matches!(layout, "bullmq" | "celery" | "stream");
        let expected = if is_said { Ok(0.0) } else { Err(Code::FailedPrecondition) };
        assert_eq!(seen, expected, "{layout}");
    }
    server.run("HSET bull:q:metrics:completed count 7");
    let of = [("layout", "bullmq"), ("queue", "q"), ("signal", "replicas"), ("slots", "1")];
    let measured = of.into_iter().chain([("taskTime", "measured"), ("maxWait", "1m")]);
    assert_eq!(value(keda, &trigger(measured)).await, Ok(1.0), "for the job that runs");
}

/// The line of this configuration, with the password.
fn rights(config: &str) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("penstock.toml");
    fs::write(&path, config).unwrap();
    let printed = penstock().args(["check", "--acl", "--config"]).arg(path).output().unwrap();
    assert!(printed.status.success(), "{printed:?}");
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(!text.contains("pass@"), "{text}");
    let line = text.lines().find(|line| line.starts_with("ACL SETUSER ")).unwrap();
    line.replace(">PASSWORD", ">pass")
}

async fn the_rights_for_some_keys_are_enough_for_them(kind: Kind) {
    let server = Server::start(kind);
    let address = server.address();
    let config = format!(
        "[redis.default]\nurl = \"redis://least:pass@{address}/2\"\nkeys = [\"mine:[a-c]*\"]\n"
    );
    server.run(&rights(&config));
    let refused = async |command: &str| {
        let client = redis::Client::open(format!("redis://least:pass@{address}/2")).unwrap();
        let mut link = client.get_connection().unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        let mut asked = redis::cmd(words[0]);
        asked.arg(&words[1..]).query::<redis::Value>(&mut link).unwrap_err().to_string()
    };
    for command in [
        "RPUSH mine:a x",
        "DEL mine:a",
        "EVAL return 0",
        "INFO",
        "CONFIG GET *",
        "KEYS *",
        "SCAN 0",
        "CLIENT LIST",
        "FLUSHALL",
        "ACL LIST",
        "SUBSCRIBE c",
        "LLEN mine:d",
        "LLEN theirs",
    ] {
        let told = refused(command).await;
        assert!(told.contains("NOPERM") || told.contains("permissions"), "{command}: {told}");
    }
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    assert_eq!(keda.value(&queue("mine:a")).await.unwrap(), 0.0);
    let mut link = server.connect();
    redis::pipe().cmd("SELECT").arg(2).cmd("RPUSH").arg("mine:a").arg("x").exec(&mut link).unwrap();
    eventually_is(PATIENCE, Ok(1.0), async || value(&keda, &queue("mine:a")).await).await;
    assert_eq!(value(&keda, &queue("mine:d")).await, Err(Code::PermissionDenied));
    assert_eq!(service.metric("penstock_redis_tracking").await, 1.0);
}

async fn a_right_that_one_trigger_lacks_is_no_outage_for_the_others(kind: Kind) {
    let server = Server::start(kind);
    server.run("ACL SETUSER timeless on >pass ~* resetchannels +@all -time");
    server.run("RPUSH w a\nZADD s 1 a");
    let address = server.address();
    let service =
        Setup::default().redis(format!("redis://timeless:pass@{address}/0")).start().await;
    let keda = service.keda().await;
    let timed = trigger([("scheduled", "s")]);
    assert_eq!(value(&keda, &timed).await, Err(Code::Unavailable));
    // Both are read in one batch from here on.
    let plain = queue("w");
    let (one, other) = tokio::join!(value(&keda, &plain), value(&keda, &timed));
    assert_eq!((one, other), (Ok(1.0), Err(Code::Unavailable)));
    let told = "a read failed; its last value is held for the stale budget";
    service.logged(told, 1).await;
    assert_eq!(service.log_with("connected to Redis").len(), 1, "the link stayed up");
}
