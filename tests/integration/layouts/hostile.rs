//! What is not as the layout says, and names that look like something else.

use std::collections::BTreeMap;

use penstock::{
    layouts::{Measure, Registry},
    limits,
    trigger::Trigger,
};

use deadpool_redis::redis;

use super::Eye;
use crate::{
    harness::{Kind, Server},
    on_both_servers,
};

on_both_servers!(
    a_key_of_a_wrong_type_is_named_and_counts_nothing,
    too_many_members_to_look_at_are_told_and_never_cut_short,
    a_name_of_any_characters_is_that_name,
);

async fn a_key_of_a_wrong_type_is_named_and_counts_nothing(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    for (metadata, command, told) in [
        ("layout=rq queue=q", "SET rq:wip:q abc", "`rq:wip:q` holds a string that is no plain"),
        (
            "layout=celery queue=q",
            "SADD unacked a",
            "`unacked` holds the Redis type set, expected hash",
        ),
        (
            "layout=sidekiq queue=q",
            "RPUSH processes a",
            "`processes` holds the Redis type list, expected set",
        ),
        (
            "layout=sidekiq queue=q",
            "SET paused a",
            "`paused` holds the Redis type string, expected a set",
        ),
        (
            "layout=bullmq queue=q",
            "SET bull:q:meta a",
            "`bull:q:meta` holds the Redis type string, expected a hash",
        ),
        ("layout=arq queue=q", "RPUSH q a", "`q` holds the Redis type list, expected zset"),
        (
            "layout=bullmq queue=q orphans=ignore",
            "ZADD bull:q:active 1 a",
            "`bull:q:active` holds the Redis type zset, expected list",
        ),
        (
            "layout=taskiq queue=q broker=stream",
            "RPUSH q a",
            "`q` holds the Redis type list, expected a stream",
        ),
        (
            "layout=taskiq queue=q",
            "XADD q 1-0 a 1",
            "`q` holds the Redis type stream, expected a list",
        ),
        ("layout=machinery queue=q", "SADD q a", "`q` holds the Redis type set, expected a list"),
        (
            "layout=reliable-list queue=q",
            "ZADD q 1 a",
            "`q` holds the Redis type zset, expected a list",
        ),
    ] {
        server.run("FLUSHALL");
        server.run(command);
        let answer = eye.four(metadata).await;
        assert!(answer.as_ref().is_err_and(|error| error.contains(told)), "{metadata}: {answer:?}");
    }
    server.run("FLUSHALL\nSADD processes p\nRPUSH p:work a");
    let answer = eye.four("layout=sidekiq queue=q").await;
    assert!(answer.is_err(), "{answer:?}");
}

async fn too_many_members_to_look_at_are_told_and_never_cut_short(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        members.join(" ")
    };
    let most = limits::MEMBERS_EXAMINED;
    server.run(&format!("SADD processes {}", members(most)));
    assert_eq!(eye.four("layout=sidekiq queue=q").await, Ok([0.0; 4]));
    server.run("SADD processes one-more");
    let answer = eye.four("layout=sidekiq queue=q").await.unwrap_err();
    assert_eq!(answer, "key `processes` has 1001 members, at most 1000 are looked at");
    // What a list holds beyond that is taken for alive, so that nothing in flight is lost.
    server.run(&format!("RPUSH bull:q:active {}", members(most + 5)));
    let ignoring = "layout=bullmq queue=q orphans=ignore";
    assert_eq!(eye.four(ignoring).await, Ok([0.0, 0.0, 5.0, 0.0]));
    // What waits beyond that is not taken for running, and the total is whole.
    let due: Vec<String> = (0..most + 5).map(|n| format!("{n} job{n}")).collect();
    server.run(&format!("ZADD many {}", due.join(" ")));
    server.run("SET arq:in-progress:job0 1\nSET arq:in-progress:job1004 1");
    assert_eq!(eye.four("layout=arq queue=many").await, Ok([1004.0, 0.0, 1.0, 0.0]));
}

async fn a_name_of_any_characters_is_that_name(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    for (written, name) in [
        ("a:b", "a:b"),
        ("{a}", "{a}"),
        ("{queue}", "{queue}"),
        (r"a\*", "a*"),
        (r"a\,b", "a,b"),
        (r"a\=2", "a=2"),
        ("a b", "a b"),
        ("größe-キュー", "größe-キュー"),
        ("{0x41}", "{0x41}"),
        ("%s$(x)'\"", "%s$(x)'\""),
    ] {
        server.run("FLUSHALL");
        for (key, commands) in [("rq:queue:", "RPUSH"), ("rq:queue:other", "RPUSH")] {
            let key = format!("{key}{}", if key.ends_with(':') { name } else { "" });
            let _: redis::Value = server.ask_words(&[commands, &key, "job"]);
        }
        let pairs = [("layout", "rq"), ("queue", written)];
        let pairs: BTreeMap<String, String> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let trigger = Trigger::parse(pairs, Registry::builtin()).unwrap();
        let counts = eye.counts(&trigger).await.unwrap();
        assert_eq!(counts[Measure::Waiting].get(), 1.0, "{written}");
    }
}
