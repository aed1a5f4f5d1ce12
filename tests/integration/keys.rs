//! The layout `keys`: every type of key, several of them, keys that change their type, what is
//! due, what is leased, and strings that are no numbers.

use tonic::Code;

use crate::{
    harness::{Kind, PATIENCE, STEP, Server, Service, eventually_is, millis, seconds},
    on_both_servers,
    wire::{Keda, Trigger, queue, trigger},
};

on_both_servers!(
    a_key_of_every_type_is_counted,
    a_key_may_be_replaced_by_one_of_another_type_while_it_is_watched,
    several_keys_are_summed_and_a_missing_one_is_nothing,
    every_state_of_a_workload_counts_and_the_signal_chooses,
    a_string_that_is_no_number_is_refused_by_the_name_of_its_key,
    scheduled_jobs_count_when_they_are_due,
    a_stream_hears_of_a_job_that_becomes_due_with_nothing_written,
    leases_that_ran_out_count_unless_orphans_are_ignored,
    a_string_of_five_megabytes_hurts_nobody,
    keys_that_vanish_are_seen_at_once,
    names_may_hold_commas_spaces_and_stars_when_they_are_escaped,
    kedas_own_keys_for_lists_give_kedas_own_number,
    one_database_does_not_see_the_other,
);

/// Waits until the value of a trigger is this.
async fn expect_value(keda: &Keda, trigger: &Trigger, value: f64) {
    eventually_is(PATIENCE, Ok(value), async || keda.value(trigger).await.map_err(|s| s.code()))
        .await;
}

async fn expect_code(keda: &Keda, trigger: &Trigger, code: Code) {
    eventually_is(PATIENCE, Err(code), async || keda.value(trigger).await.map_err(|s| s.code()))
        .await;
}

/// One key of each type with a number of members of its own.
const OF_EVERY_TYPE: [(&str, f64); 6] = [
    ("RPUSH k a b c", 3.0),
    ("SADD k a b", 2.0),
    ("ZADD k 1 a 2 b 3 c 4 d", 4.0),
    ("HSET k a 1", 1.0),
    ("SET k 7.5", 7.5),
    ("XADD k * a 1", 1.0),
];

async fn a_key_of_every_type_is_counted(kind: Kind) {
    let server = Server::start(kind);
    for (number, (command, _)) in OF_EVERY_TYPE.iter().enumerate() {
        server.run(&command.replacen(" k ", &format!(" k{number} "), 1));
    }
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    for (number, (command, value)) in OF_EVERY_TYPE.iter().enumerate() {
        let trigger = queue(&format!("k{number}"));
        assert_eq!(keda.value(&trigger).await.unwrap(), *value, "{command}");
        assert!(keda.is_active(&trigger).await.unwrap(), "{command}");
    }
}

async fn a_key_may_be_replaced_by_one_of_another_type_while_it_is_watched(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let trigger = queue("k");
    let _watch = keda.stream_is_active(&trigger).await.unwrap();
    expect_value(&keda, &trigger, 0.0).await;
    for round in 0..2 {
        for (command, value) in OF_EVERY_TYPE {
            server.run(&format!("DEL k\n{command}"));
            expect_value(&keda, &trigger, value).await;
            // Replaced in one step, so that the key is never seen to be missing.
            let other = if round == 0 { "RPUSH other a b" } else { "SADD other a b" };
            server.run(&format!("{other}\nRENAME other k"));
            expect_value(&keda, &trigger, 2.0).await;
        }
    }
}

async fn several_keys_are_summed_and_a_missing_one_is_nothing(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let both = queue("one, two,three");
    assert_eq!(keda.value(&both).await.unwrap(), 0.0);
    assert!(!keda.is_active(&both).await.unwrap());
    server.run("LPUSH one a b c\nSADD two a b");
    expect_value(&keda, &both, 5.0).await;
    assert!(keda.is_active(&both).await.unwrap());
    server.run("SET three 4\nDEL one");
    expect_value(&keda, &both, 6.0).await;
}

async fn every_state_of_a_workload_counts_and_the_signal_chooses(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH w a b c\nZADD s 1 d\nHSET f e 1 g 1");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let states = [("waiting", "w"), ("scheduled", "s"), ("inFlight", "f"), ("activation", "9")];
    for (signal, value) in [("backlog", 6.0), ("waiting", 4.0), ("in-flight", 2.0)] {
        let trigger = trigger(states.into_iter().chain([("signal", signal)]));
        assert_eq!(keda.value(&trigger).await.unwrap(), value, "{signal}");
        // In flight is always work, whatever the activation.
        assert!(keda.is_active(&trigger).await.unwrap(), "{signal}");
    }
    server.run("DEL f");
    let trigger = trigger(states);
    expect_value(&keda, &trigger, 4.0).await;
    assert!(!keda.is_active(&trigger).await.unwrap(), "4 are not more than the activation of 9");
}

async fn a_string_that_is_no_number_is_refused_by_the_name_of_its_key(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    for text in ["abc", "", "-3", "1e5", "0x10", "nan", "inf", "1 2", "１２"] {
        server.ask_words::<()>(&["SET", "counter-of-jobs", text]);
        expect_code(&keda, &queue("counter-of-jobs"), Code::FailedPrecondition).await;
        let status = keda.is_active(&queue("counter-of-jobs")).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{text}: {status}");
        assert!(status.message().contains("counter-of-jobs"), "{text}: {status}");
        server.run("SET counter-of-jobs 5");
        expect_value(&keda, &queue("counter-of-jobs"), 5.0).await;
    }
}

async fn scheduled_jobs_count_when_they_are_due(kind: Kind) {
    let server = Server::start(kind);
    let now = server.now();
    let (s, ms) = (now.as_secs(), now.as_millis());
    server.run(&format!("ZADD s {} past {} future\nZADD s {} soon", s - 60, s + 600, s + 4));
    server.run(&format!("ZADD ms {} past {} future", ms - 60_000, ms + 600_000));
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let seconds_trigger = trigger([("scheduled", "s")]);
    let millis_trigger = trigger([("scheduled", "ms"), ("unit", "ms")]);
    let first = keda.value(&seconds_trigger).await.unwrap();
    // `soon` is due in 4 s, a grace of 1 s early: only a test machine that slept sees it here.
    let asleep = server.now().as_secs() >= s + 3;
    assert!(first == 1.0 || asleep, "{first} at {:?} after {now:?}", server.now());
    assert_eq!(keda.value(&millis_trigger).await.unwrap(), 1.0);
    assert!(keda.is_active(&seconds_trigger).await.unwrap());
    expect_value(&keda, &seconds_trigger, 2.0).await;
    assert!(server.now() >= now + seconds(2), "counted long before it was due");
    assert_eq!(keda.value(&millis_trigger).await.unwrap(), 1.0);
}

async fn a_stream_hears_of_a_job_that_becomes_due_with_nothing_written(kind: Kind) {
    let server = Server::start(kind);
    let due = server.now() + seconds(3);
    server.run(&format!("ZADD later {} job", due.as_millis()));
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let later = trigger([("scheduled", "later"), ("unit", "ms")]);
    let mut stream = keda.stream_is_active(&later).await.unwrap();
    assert!(!stream.message().await.unwrap().unwrap().result);
    let pushed = tokio::time::timeout(seconds(8), stream.message()).await.unwrap();
    assert!(pushed.unwrap().unwrap().result);
    assert!(server.now() + seconds(1) + millis(50) >= due, "pushed before it was due");
}

async fn leases_that_ran_out_count_unless_orphans_are_ignored(kind: Kind) {
    let server = Server::start(kind);
    let now = server.now().as_secs();
    server.run(&format!("ZADD f {} dead {} alive {} soon", now - 60, now + 600, now + 2));
    server.run(&format!("ZADD ms {} dead {} alive", (now - 60) * 1000, (now + 600) * 1000));
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let all = trigger([("inFlight", "f")]);
    let live = trigger([("inFlight", "f"), ("orphans", "ignore")]);
    let live_ms = trigger([("inFlight", "ms"), ("orphans", "ignore"), ("unit", "ms")]);
    assert_eq!(keda.value(&all).await.unwrap(), 3.0);
    assert_eq!(keda.value(&live).await.unwrap(), 2.0);
    assert_eq!(keda.value(&live_ms).await.unwrap(), 1.0);
    // The lease of `soon` ends in 2 s, and a grace of 1 s later it is no longer counted.
    expect_value(&keda, &live, 1.0).await;
    assert!(server.now().as_secs() >= now + 2, "given up before its end");
    assert_eq!(keda.value(&all).await.unwrap(), 3.0);
}

async fn a_string_of_five_megabytes_hurts_nobody(kind: Kind) {
    let server = Server::start(kind);
    server.ask_words::<()>(&["SET", "huge", &"7".repeat(5 * 1024 * 1024)]);
    server.ask_words::<()>(&["SET", "text", &"x".repeat(5 * 1024 * 1024)]);
    server.run("LPUSH small a b");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    for key in ["huge", "text"] {
        let start = tokio::time::Instant::now();
        let answer = keda.value(&queue(key)).await;
        match answer {
            Ok(value) => assert!(key == "huge" && value == 1e12, "{key}: {value}"),
            Err(status) => assert_eq!(status.code(), Code::FailedPrecondition, "{key}: {status}"),
        }
        assert!(start.elapsed() < seconds(1), "{key} took {:?}", start.elapsed());
    }
    assert_eq!(keda.value(&queue("small")).await.unwrap(), 2.0);
    // A list with such a job is as short as any other.
    server.ask_words::<()>(&["LPUSH", "small", &"x".repeat(5 * 1024 * 1024)]);
    expect_value(&keda, &queue("small"), 3.0).await;
}

async fn keys_that_vanish_are_seen_at_once(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    for end in ["DEL q", "FLUSHDB", "FLUSHALL", "LTRIM q 1 0", "RENAME q other", "PEXPIRE q 60"] {
        server.run("DEL q\nLPUSH q a b c");
        expect_value(&keda, &queue("q"), 3.0).await;
        server.run(end);
        // Within far less than the largest age that a sample may have.
        eventually_is(seconds(2), Ok(0.0), async || {
            keda.value(&queue("q")).await.map_err(|status| status.code())
        })
        .await;
    }
}

async fn names_may_hold_commas_spaces_and_stars_when_they_are_escaped(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    for key in ["a,b", "with space", "st*r", "wh?t", "[x]", "ümläut", "back\\slash", "{tag}:q"] {
        server.ask_words::<()>(&["RPUSH", key, "1", "2"]);
        let escaped = key
            .replace('\\', "\\\\")
            .replace(',', "\\,")
            .replace('*', "\\*")
            .replace('?', "\\?")
            .replace('[', "\\[");
        assert_eq!(keda.value(&queue(&escaped)).await.unwrap(), 2.0, "{key}");
    }
}

async fn kedas_own_keys_for_lists_give_kedas_own_number(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH emails a b c");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    // In KEDA's own triggers names are taken as they are.
    server.run("RPUSH a,b* x");
    assert_eq!(keda.value(&trigger([("listName", "a,b*")])).await.unwrap(), 1.0);
    let metadata = [("listName", "emails"), ("listLength", "2"), ("activationListLength", "3")];
    let list = trigger(metadata);
    assert_eq!(keda.value(&list).await.unwrap(), 3.0);
    assert!(!keda.is_active(&list).await.unwrap(), "3 are not more than 3");
    assert_eq!(keda.get_metric_spec(&list).await.unwrap().specs[0].target_size_float, 2.0);
    let default = keda.get_metric_spec(&trigger([("listName", "emails")])).await.unwrap();
    assert_eq!(default.specs[0].target_size, 5);
    server.run("RPUSH emails d");
    expect_value(&keda, &list, 4.0).await;
    assert!(keda.is_active(&list).await.unwrap());
}

async fn one_database_does_not_see_the_other(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    expect_value(&keda, &queue("q"), 0.0).await;
    let mut other = server.connect();
    deadpool_redis::redis::cmd("SELECT").arg(3).query::<()>(&mut other).unwrap();
    deadpool_redis::redis::cmd("LPUSH").arg(&["q", "a"]).query::<()>(&mut other).unwrap();
    // Tracking announces the name from either database: a false alarm, which must stay one.
    for _ in 0..20 {
        assert_eq!(keda.value(&queue("q")).await.unwrap(), 0.0);
        tokio::time::sleep(STEP).await;
    }
    // SWAPDB is not announced at all; the next change of that name puts it right.
    server.run("SWAPDB 0 3\nLPUSH q b");
    expect_value(&keda, &queue("q"), 2.0).await;
}
