//! Tricks by which a namespace might come to another's keys: each is refused, or reads its own.

use deadpool_redis::redis;
use tonic::Code;

use crate::{
    harness::{Kind, PATIENCE, Server, Service, Setup, eventually_is},
    wire::{Keda, Trigger, trigger},
};

/// Two teams, each with keys of its own; in those of the second is more than anybody asks for.
struct Stage {
    server: Server,
    service: Service,
    keda: Keda,
}

const LAYOUTS: &str = r#"
[layouts.parts]
doc = "Parts."
[layouts.parts.params.tenant]
type = "name"
default = "a"
may_be_empty = true
doc = "The tenant."
example = "a"
[layouts.parts.params.queue]
type = "keys"
required = true
doc = "The queue."
example = "q"
[[layouts.parts.waiting]]
read = "size"
key = "{tenant}:{queue}"
[layouts.braces]
doc = "Braces."
[layouts.braces.params.queue]
type = "keys"
required = true
doc = "The queue."
example = "q"
[[layouts.braces.waiting]]
read = "size"
key = "a:{{{queue}}}"
"#;

impl Stage {
    async fn new(rules: &str) -> Self {
        let server = Server::start(Kind::Redis);
        let jobs = ["x"; 9].join(" ");
        for key in ["b:q", "b:*", "b", "b:a:q", ":b:q", "q", "unacked", "{b}:q", "B:q"] {
            server.run(&format!("RPUSH {key} {jobs}"));
        }
        server.run("RPUSH a:q 1");
        let mut link = server.connect();
        redis::cmd("SELECT").arg(1).exec(&mut link).unwrap();
        for key in ["a:q", "b:q", "q"] {
            redis::cmd("RPUSH").arg(key).arg(&["x"; 9]).exec(&mut link).unwrap();
        }
        let address = server.address();
        let config = format!(
            "[redis.default]\nurl = \"redis://{address}/0\"\nnamespaces = [\"team-a\"]\nscan = true\n{rules}\n\
             [redis.b]\nurl = \"redis://{address}/1\"\nnamespaces = [\"team-b\"]\n{LAYOUTS}"
        );
        let service = Setup::default().config(config).start().await;
        let keda = service.keda().await;
        Self { server, service, keda }
    }

    fn trigger(pairs: &[(&str, &str)]) -> Trigger {
        Trigger { namespace: "team-a".to_owned(), ..trigger(pairs.iter().copied()) }
    }

    async fn asked(&self, pairs: &[(&str, &str)]) -> Result<f64, Code> {
        self.keda.value(&Self::trigger(pairs)).await.map_err(|status| status.code())
    }
}

const KEYS: &str = "keys = [\"a:*\", \"{a}:*\"]";

/// What a trigger says, and what comes of it.
type Case = (&'static [(&'static str, &'static str)], Result<f64, Code>);

const DENIED: Result<f64, Code> = Err(Code::PermissionDenied);
const INVALID: Result<f64, Code> = Err(Code::InvalidArgument);

const CASES: &[Case] = &[
    // Databases by other spellings.
    (&[("queue", "a:q"), ("database", "00")], Ok(1.0)),
    (&[("queue", "a:q"), ("database", "01")], DENIED),
    (&[("queue", "a:q"), ("database", "+1")], INVALID),
    (&[("queue", "a:q"), ("database", "+0")], INVALID),
    (&[("queue", "a:q"), ("database", " 1")], DENIED),
    (&[("queue", "a:q"), ("database", "1 ")], DENIED),
    (&[("queue", "a:q"), ("database", "-1")], INVALID),
    (&[("queue", "a:q"), ("database", "0x1")], INVALID),
    (&[("queue", "a:q"), ("database", "1.0")], INVALID),
    (&[("queue", "a:q"), ("database", "١")], INVALID),
    (&[("queue", "a:q"), ("database", "4294967297")], INVALID),
    (&[("queue", "a:q"), ("database", "18446744073709551617")], INVALID),
    (&[("queue", "a:q"), ("database", "")], INVALID),
    (&[("queue", "a:q"), ("databaseFromEnv", "1")], DENIED),
    // Names of connections.
    (&[("queue", "a:q"), ("redis", "B")], INVALID),
    (&[("queue", "a:q"), ("redis", "b")], DENIED),
    (&[("queue", "a:q"), ("redis", "ｂ")], INVALID),
    (&[("queue", "a:q"), ("redis", "default,b")], INVALID),
    (&[("queue", "a:q"), ("redis", "default/1")], INVALID),
    (&[("queue", "a:q"), ("redis", "DEFAULT")], INVALID),
    // Keys of the metadata twice, and by other spellings.
    (&[("queue", "a:q"), ("queueFromEnv", "b:q")], INVALID),
    (&[("queue", "a:q"), ("Queue", "b:q")], INVALID),
    (&[("queue", "a:q"), ("waitingFromEnv", "b:q")], INVALID),
    (&[("queue", "a:q"), ("redis", "default"), ("redisFromEnv", "b")], INVALID),
    (&[("queue", "a:q"), ("redis\0", "b")], INVALID),
    (&[("queueFromEnvFromEnv", "b:q")], INVALID),
    // Bytes that are no characters, too many, or look like others.
    (&[("queue", "a:q\0b:q")], INVALID),
    (&[("queue", "a:q\nb:q")], INVALID),
    (&[("queue", "a:q\u{7f}")], INVALID),
    (&[("queue", "ａ:q")], DENIED),
    (&[("queue", "a\u{301}:q")], DENIED),
    (&[("queue", "\u{feff}a:q")], DENIED),
    (&[("queue", "á:q")], DENIED),
    (&[("queue", "a：q")], DENIED),
    // Blanks and weights around names.
    (&[("queue", "a:q,\u{a0}b:q")], DENIED),
    (&[("queue", "a:q=1, b:q =2")], DENIED),
    (&[("queue", r"b:q\=1")], DENIED),
    (&[("queue", r"a:q\=1\,b:q")], Ok(0.0)),
    // Braces are only braces, once and for all.
    (&[("queue", "{queue}")], DENIED),
    (&[("queue", "{0x62}:q")], DENIED),
    (&[("layout", "braces"), ("queue", "}b:q{")], Ok(0.0)),
    (&[("layout", "braces"), ("queue", "{queue}")], Ok(0.0)),
    (&[("layout", "parts"), ("queue", "q")], Ok(1.0)),
    (&[("layout", "parts"), ("queue", "q"), ("tenant", "b")], DENIED),
    (&[("layout", "parts"), ("queue", "b:q"), ("tenant", "")], DENIED),
    (&[("layout", "parts"), ("queue", "q"), ("tenant", "b:a")], DENIED),
    (&[("layout", "parts"), ("queue", "q"), ("tenant", "{queue}")], DENIED),
    (&[("layout", "parts"), ("queue", "q"), ("tenant", "a,b")], DENIED),
    (&[("layout", "parts"), ("queue", "q"), ("tenant", "*")], DENIED),
    // Prefixes with colons, and parts that one may add.
    (&[("layout", "bullmq"), ("prefix", "a:b"), ("queue", "q")], Ok(0.0)),
    (&[("layout", "bullmq"), ("prefix", ":b"), ("queue", "q")], DENIED),
    (&[("layout", "bullmq"), ("prefix", "{b}"), ("queue", "q")], DENIED),
    (&[("layout", "rq"), ("prefix", "a:../b:"), ("queue", "q")], Ok(0.0)),
    (&[("layout", "reliable-list"), ("queue", "a:q"), ("processing", "/../b:q")], Ok(1.0)),
    // Celery: steps, keys and channels.
    (&[("layout", "celery"), ("queue", "a:q"), ("unackedKey", "a:u"), ("sep", ",b:q")], Ok(1.0)),
    (
        &[
            ("layout", "celery"),
            ("queue", "a:q"),
            ("unackedKey", "a:u"),
            ("prioritySteps", "b:q,*"),
        ],
        Ok(1.0),
    ),
    (&[("layout", "celery"), ("queue", "q"), ("keyPrefix", "")], DENIED),
    (
        &[("layout", "celery"), ("queue", "a:q"), ("unackedKey", "a:u"), ("running", "heartbeats")],
        DENIED,
    ),
    (
        &[
            ("layout", "celery"),
            ("queue", "q"),
            ("keyPrefix", "b:"),
            ("unackedKey", "a:u"),
            ("running", "heartbeats"),
            ("pool", "*"),
        ],
        DENIED,
    ),
    (&[("layout", "celery"), ("queue", "a:*"), ("running", "heartbeats")], DENIED),
    // Layouts by other spellings.
    (&[("layout", "KEYS"), ("queue", "b:q")], INVALID),
    (&[("layout", "keys\0"), ("queue", "a:q")], INVALID),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_spelled_otherwise_is_refused_or_is_ones_own() {
    let stage = Stage::new(KEYS).await;
    let long = format!("a:{}", "q".repeat(1_100));
    let mut wrong = Vec::new();
    for (pairs, expected) in CASES {
        let seen = stage.asked(pairs).await;
        if seen != *expected {
            wrong.push(format!("{pairs:?}: {seen:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(stage.asked(&[("queue", &long)]).await, INVALID);
    for namespace in
        ["team-a\u{200b}", "TEAM-A", "team-\u{430}", "team-a,team-b", "team-?", "[t]eam-a"]
    {
        let asked =
            Trigger { namespace: namespace.to_owned(), ..Stage::trigger(&[("queue", "a:q")]) };
        let status = stage.keda.value(&asked).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{namespace:?}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_finds_ones_own_keys_alone_however_it_is_written() {
    let stage = Stage::new(KEYS).await;
    stage.server.run("RPUSH a:x,b:q 1\nRPUSH a:{queue} 1\nRPUSH {a}:q 1");
    let (denied, invalid) = (Err(Code::PermissionDenied), Err(Code::InvalidArgument));
    let pattern = async |queue: &str| stage.asked(&[("queue", queue)]).await;
    for (queue, expected) in [
        // What is found is a name and no list, no template and no pattern.
        ("a:*", Ok(3.0)),
        ("a:[x-z]*", Ok(1.0)),
        ("*", Ok(4.0)),
        ("?:q", Ok(1.0)),
        ("[!-~]:q", Ok(1.0)),
        ("[ab]:q", Ok(1.0)),
        ("[^b]:q", Ok(1.0)),
        (r"[\a]:q", Ok(1.0)),
        (r"\a:?", Ok(1.0)),
        ("{?}:q", Ok(1.0)),
        ("*:q,b:*", denied),
        ("a:*,b:q", denied),
        ("b:*", denied),
        (r"\b:*", denied),
        (r"\**", denied),
        (r"b:\*", denied),
        ("[]a:q", invalid),
        ("[^]a:q", invalid),
        ("[a:q", invalid),
        ("[a-]:q", invalid),
        ("a:[z-", invalid),
        ("a:*\\", invalid),
    ] {
        eventually_is(PATIENCE, expected, async || match pattern(queue).await {
            // Until everything was looked through once.
            Err(Code::Unavailable) => pattern(queue).await,
            other => other,
        })
        .await;
    }
    stage.service.says("queue skipped: the connection's rule `keys` does not allow").await;
}

/// Sidekiq's processes name keys of their own, `PROCESS:work`: who writes that set says which are read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_members_need_a_rule_that_includes_whatever_a_member_may_be() {
    let sidekiq = [("layout", "sidekiq"), ("queue", "q")];
    for (rule, allowed) in [
        ("*:work", true),
        ("*work*", true),
        ("[^b]*:work", false),
        ("[!-~]*:work", false),
        ("*[^x]:work", false),
        ("?*:work", false),
    ] {
        let others = "\"paused\", \"queue:q\", \"processes\", \"*:workers\"";
        let stage = Stage::new(&format!("keys = [{others}, \"{rule}\"]")).await;
        stage.server.run(r#"SADD processes b"#);
        stage.server.run(r#"HSET b:work t {"queue":"q"}"#);
        let seen = stage.asked(&sidekiq).await;
        let expected = if allowed { Ok(1.0) } else { Err(Code::PermissionDenied) };
        assert_eq!(seen, expected, "{rule}");
    }
}
