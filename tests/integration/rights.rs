//! The rights that `penstock check --acl` prints for the triggers of some manifests: enough for them, and
//! for nothing else.

use std::{collections::BTreeMap, fs};

use deadpool_redis::redis;
use tempfile::TempDir;

use crate::{
    harness::{
        Kind, PATIENCE, RECOVERY, Server, Setup, eventually, eventually_is, penstock, seconds,
    },
    on_both_servers,
    streams::Pushes,
    wire::{Keda, Trigger, queue, trigger},
};

on_both_servers!(
    the_rights_for_some_triggers_are_all_that_they_use,
    names_that_look_like_patterns_are_allowed_as_themselves,
);

/// What `penstock check --acl` prints for this configuration and these triggers.
fn printed(config: &str, triggers: &[&[(&str, &str)]]) -> String {
    let folder = TempDir::new().unwrap();
    let (toml, yaml) = (folder.path().join("penstock.toml"), folder.path().join("m.yaml"));
    fs::write(&toml, config).unwrap();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let triggers: String = (triggers.iter())
        .map(|pairs| {
            let pairs: BTreeMap<&str, &str> = pairs.iter().copied().collect();
            let lines =
                pairs.iter().map(|(key, value)| format!("      {key}: {}\n", quoted(value)));
            let lines: String = lines.collect();
            format!("  - type: external-push\n    metadata:\n      scalerAddress: p:9090\n{lines}")
        })
        .collect();
    let object = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n";
    let object = format!("{object}metadata:\n  name: o\n  namespace: jobs\nspec:\n  triggers:\n");
    fs::write(&yaml, object + &triggers).unwrap();
    let output = penstock().args(["check", "--acl", "--config"]).args([&toml, &yaml]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn line(printed: &str) -> String {
    let line = printed.lines().find(|line| line.starts_with("ACL SETUSER ")).unwrap();
    line.replace(">PASSWORD", ">pass")
}

/// The words of a line, as redis-cli reads them.
fn words(line: &str) -> Vec<Vec<u8>> {
    let unquoted = |word: &str| {
        let Some(word) = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) else {
            return word.as_bytes().to_vec();
        };
        let (mut bytes, mut rest) = (vec![], word);
        while let Some(first) = rest.chars().next() {
            let taken = match (first, rest.as_bytes().get(1)) {
                ('\\', Some(b'x')) => {
                    bytes.push(u8::from_str_radix(&rest[2..4], 16).unwrap());
                    4
                }
                ('\\', Some(other)) => {
                    bytes.push(*other);
                    2
                }
                _ => {
                    bytes.push(u8::try_from(first).unwrap());
                    1
                }
            };
            rest = &rest[taken..];
        }
        bytes
    };
    // No word of ours has a blank, since no rule may have one.
    line.split(' ').map(unquoted).collect()
}

fn allow(server: &Server, line: &str) {
    let mut command = redis::Cmd::new();
    command.arg(words(line));
    command.exec(&mut server.connect()).unwrap();
}

fn as_trigger(pairs: &[(&str, &str)]) -> Trigger {
    trigger(pairs.iter().copied())
}

const HEARTBEATS: &[(&str, &str)] =
    &[("layout", "celery"), ("queue", "mail"), ("running", "heartbeats"), ("pool", "*")];

/// What is in Redis.
const KEYS: &str = r#"RPUSH w a
           ZADD z 1 a
           ZADD s 1 a
           SADD f a
           SET n 5
           HSET h a 1
           XADD x 1-0 a 1
           XADD y 1-0 a 1
           XADD y 2-0 a 1
           XADD y 3-0 a 1
           XGROUP CREATE y g 0
           XDEL y 2-0
           XADD idle 1-0 a 1
           XGROUP CREATE idle g 0
           XREADGROUP GROUP g c STREAMS idle >
           HSET unacked t [{},"","mail"]
           RPUSH rq:queue:mail-a a
           RPUSH other x
           SADD processes p
           HSET p:work t {"queue":"q"}"#;

/// Triggers, and the jobs of each.
const TRIGGERS: &[Case] = &[
    (&[("waiting", "w,n,x,h,z"), ("scheduled", "s"), ("inFlight", "f")], 11.0),
    (&[("layout", "stream"), ("queue", "y"), ("group", "g")], 2.0),
    (&[("layout", "stream"), ("queue", "x"), ("group", "none")], 1.0),
    (
        &[
            ("layout", "stream"),
            ("queue", "idle"),
            ("group", "g"),
            ("orphans", "ignore"),
            ("claimAfter", "1h"),
        ],
        1.0,
    ),
    (&[("layout", "rq"), ("queue", "mail-*")], 1.0),
    (&[("layout", "sidekiq"), ("queue", "q")], 1.0),
    (HEARTBEATS, 1.0),
];

/// What a trigger says, and its jobs.
type Case = (&'static [(&'static str, &'static str)], f64);

async fn the_rights_for_some_triggers_are_all_that_they_use(kind: Kind) {
    let server = Server::start(kind);
    server.run(KEYS);
    let address = server.address();
    let config =
        format!("[redis.default]\nurl = \"redis://least:pass@{address}/0\"\nscan = true\n");
    let asked: Vec<&[(&str, &str)]> = TRIGGERS.iter().map(|(pairs, _)| *pairs).collect();
    let said = printed(&config, &asked);
    assert!(said.starts_with("# connection default, for 7 triggers\nACL SETUSER least "), "{said}");
    assert!(said.contains("0 problems"), "{said}");
    assert!(said.contains(" ~rq:queue:mail-* ") && said.contains(" ~*:work "), "{said}");
    let rights = line(&said);
    allow(&server, &rights);
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    for (pairs, jobs) in TRIGGERS {
        let seen =
            async || keda.value(&as_trigger(pairs)).await.map_err(|status| status.to_string());
        eventually_is(seconds(25), Ok(*jobs), seen).await;
    }
    // A string that is gone takes further commands to tell from an empty one.
    server.run("DEL n");
    let first = as_trigger(TRIGGERS[0].0);
    eventually_is(PATIENCE, Some(6.0), async || keda.value(&first).await.ok()).await;
    // Changes are announced, and workers are heard.
    let waiting = as_trigger(&[("waiting", "rq:queue:mail-z"), ("redis", "default")]);
    assert!(keda.value(&waiting).await.is_ok(), "the pattern allows it");
    let mut pushes = Pushes::of(&keda, &waiting).await;
    assert!(!pushes.next(RECOVERY).await);
    server.run("RPUSH rq:queue:mail-z x");
    assert!(pushes.next(RECOVERY).await);
    let mut workers = crate::layouts::heartbeats::Workers::on(&server);
    workers.run("mail@a", 7, "");
    eventually(PATIENCE, async || {
        workers.speak();
        let seen = keda.value(&as_trigger(HEARTBEATS)).await.ok();
        if seen == Some(7.0) { Ok(()) } else { Err(seen) }
    })
    .await;
    assert_eq!(service.metric("penstock_redis_tracking").await, 1.0);
    nothing_else_is_allowed(&keda).await;
    is_used(&server, &rights);
}

async fn nothing_else_is_allowed(keda: &Keda) {
    // What no trigger of the manifests reads is not allowed.
    for elsewhere in [queue("other"), queue("rq:queue:letter"), queue("p:worker")] {
        let told = keda.value(&elsewhere).await.unwrap_err();
        assert!(told.message().contains("NOPERM"), "{elsewhere:?}: {told}");
    }
    let elsewhere = [HEARTBEATS, &[("keyPrefix", "other:")]].concat();
    assert!(keda.value(&as_trigger(&elsewhere)).await.unwrap_err().message().contains("NOPERM"));
}

fn is_used(server: &Server, rights: &str) {
    let statistics: String = server.ask("INFO commandstats");
    for right in rights.split(' ').filter_map(|word| word.strip_prefix('+')) {
        let is_used = statistics.contains(&format!("cmdstat_{right}:"));
        // To authenticate again, and to leave a channel after ten minutes.
        let is_for_later = ["auth", "unsubscribe"].contains(&right);
        assert!(is_used || is_for_later, "{right} is not used");
    }
}

async fn names_that_look_like_patterns_are_allowed_as_themselves(kind: Kind) {
    let server = Server::start(kind);
    let address = server.address();
    let config =
        format!("[redis.default]\nurl = \"redis://least:pass@{address}/0\"\nscan = true\n");
    let odd =
        [r"a\*", r"b\[1]", r"c\?", "d\\\\d", "e'e", "f\"f", "ü", "\u{2007}g", "h{{h}", "-*", "~i"];
    let triggers: Vec<[(&str, &str); 1]> = odd.iter().map(|name| [("queue", *name)]).collect();
    let asked: Vec<&[(&str, &str)]> = triggers.iter().map(|pairs| &pairs[..]).collect();
    allow(&server, &line(&printed(&config, &asked)));
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    for name in odd {
        let seen = async || keda.value(&queue(name)).await.map_err(|status| status.to_string());
        eventually_is(PATIENCE, Ok(0.0), seen).await;
    }
    for name in ["ab", "b1", "cc", "dd", "e", "u"] {
        let told = keda.value(&queue(name)).await.unwrap_err();
        assert!(told.message().contains("NOPERM"), "{name}: {told}");
    }
}

#[test]
fn what_only_the_cluster_knows_is_allowed_as_far_as_the_rules_do() {
    let config = "[redis.default]\nurl = \"redis://h\"\nkeys = [\"team:*\"]\n[redis.other]\nurl = \"redis://h\"\n";
    let queue: &[(&str, &str)] = &[("queue", "team:a"), ("target", "3")];
    let whole = printed(config, &[queue]);
    let start = "# connection default, for 1 trigger\nACL SETUSER penstock reset on >PASSWORD ~team:a +llen ";
    assert!(whole.starts_with(start), "{whole}");
    assert!(whole.contains("# connection other, which none of these triggers uses\n"), "{whole}");
    assert!(!whole.contains("+time") && !whole.contains("+smembers"), "{whole}");
    let of_number: &[(&str, &str)] = &[("queue", "team:a"), ("targetFromEnv", "TARGET")];
    assert!(printed(config, &[of_number]).starts_with(start));
    let unknown: &[(&str, &str)] = &[("queueFromEnv", "QUEUE")];
    let said = printed(config, &[queue, unknown]);
    let told =
        "# connection default, for 2 triggers, of which only the cluster knows all that 1 ask: ";
    assert!(said.starts_with(told), "{said}");
    assert!(said.contains(" ~team:* +llen +lrange +zcard "), "{said}");
}
