//! How many entries of a stream a group was not given yet, against what the ids in the stream say: in states
//! made at random of every command that a stream knows, also of those that set Redis's own counters to a lie.
//!
//! Nothing here shares code with the service but its reads and answers. `PENSTOCK_TEST_SEED` takes the same
//! steps again.

mod walk;

use deadpool_redis::redis::{self, Connection};
use fastrand::Rng;
use penstock::{
    config::Config,
    layouts::{Answer, Group, GroupAnswer, Idle, IdleAnswer, Read, Waiting},
    redis::{RedisSource, SourceLink},
    sampling::{Changes, Fault, Link, Reply, Source},
};

use crate::{
    harness::{
        Kind, PATIENCE, Server, Service, eventually, eventually_is, penstock, seconds, seed,
    },
    on_both_servers,
    wire::trigger,
};

use walk::{GROUPS, Stream};

on_both_servers!(
    random_states_of_a_stream_are_counted_by_its_ids,
    what_redis_has_wrong_is_right_for_every_trigger_of_a_stream,
    a_busy_stream_is_not_fetched_again_by_every_read,
);

/// States that are looked at, and how many of them one stream goes through.
const STATES: usize = 5_000;
const STATES_OF_ONE: usize = 50;
/// Up to so many entries the number is exact; [`penstock::limits::COUNTED_ENTRIES`] is not asked.
const EXACT: u64 = 1_000;

/// The truth: entries of the stream, entries behind the group's last delivered id, pending ones; and the lag.
const TRUTH: &str = r"
local groups = redis.call('XINFO', 'GROUPS', KEYS[1])
for _, row in ipairs(groups) do
    local fields = {}
    for i = 1, #row, 2 do fields[row[i]] = row[i + 1] end
    if fields.name == ARGV[1] then
        local undelivered = #redis.call('XRANGE', KEYS[1], '(' .. fields['last-delivered-id'], '+')
        local pending = redis.call('XPENDING', KEYS[1], ARGV[1])[1]
        return {redis.call('XLEN', KEYS[1]), undelivered, pending, fields.lag or false}
    end
end
return redis.error_reply('no such group')";

type Truth = (u64, u64, u64, Option<i64>);

/// A link such as the service has.
async fn link(server: &Server) -> SourceLink {
    let config = format!("[redis.default]\nurl = \"{}\"\n", server.url());
    let config = Config::parse(&config, "test").unwrap();
    let source = RedisSource::new(&config.connections["default"], 0);
    source.connect(Changes::new(drop)).await.unwrap()
}

fn truth(redis: &mut Connection, key: &str, group: &str) -> Truth {
    let mut command = redis::cmd("EVAL");
    command.arg(TRUTH).arg(1).arg(key).arg(group).query(redis).unwrap()
}

/// What was seen on the way, to know that it was worth going.
#[derive(Debug, Default)]
struct Tally {
    states: usize,
    lag_was_wrong: usize,
    lag_was_too_low: usize,
    lag_was_nil: usize,
    lag_was_0_and_entries_remained: usize,
    nothing_remained: usize,
    many_remained: usize,
    bounds: usize,
    bounds_too_low_after_a_lie: usize,
}

async fn random_states_of_a_stream_are_counted_by_its_ids(kind: Kind) {
    let seed = seed();
    let mut random = Rng::with_seed(seed.number());
    let server = Server::with_arguments(kind, &["--appendonly", "no"]);
    let mut link = link(&server).await;
    let mut redis = server.connect();
    let (mut tally, start) = (Tally::default(), tokio::time::Instant::now());
    for number in 0..STATES / STATES_OF_ONE {
        let key = format!("s{number}");
        let (redis, random) = (&mut redis, &mut random);
        let mut stream = Stream { key, redis, random, lies: number % 2 == 1, lied: false };
        stream.make();
        for _ in 0..STATES_OF_ONE {
            for _ in 0..stream.random.u8(1..=3) {
                stream.step();
            }
            let group = GROUPS[stream.random.usize(..2)];
            look(&mut link, &mut stream, group, &mut tally).await;
        }
        redis::cmd("DEL").arg(&stream.key).exec(stream.redis).unwrap();
    }
    eprintln!("{kind:?}, seed {}, {:?}: {tally:?}", seed.number(), start.elapsed());
    assert_eq!(tally.states, STATES);
    for seen in [tally.lag_was_wrong, tally.lag_was_nil, tally.nothing_remained] {
        assert!(seen > STATES / 50, "not seen often enough: {tally:?}");
    }
    for seen in [tally.lag_was_0_and_entries_remained, tally.many_remained, tally.bounds] {
        assert!(seen > 0, "not seen at all: {tally:?}");
    }
}

/// What is replied to these reads, also by a machine that is too busy for the deadline of a round.
async fn read(link: &mut SourceLink, reads: &[Read]) -> Vec<Result<Reply, Fault>> {
    for _ in 0..10 {
        match link.read(reads, &[]).await {
            Err(Fault::Timeout) => {}
            replies => return replies.unwrap(),
        }
    }
    panic!("ten rounds were not answered in time")
}

/// Holds what is read of a group against the truth.
async fn look(link: &mut SourceLink, stream: &mut Stream<'_>, group: &str, tally: &mut Tally) {
    let (length, undelivered, pending, lag) = truth(stream.redis, &stream.key, group);
    let (key, group) = (stream.key.as_str().into(), group.into());
    let reads = [Read::Group(Group { key, group })];
    let [Read::Group(Group { key, group })] = &reads else { panic!("it is one") };
    let idle = Read::Idle(Idle { key: key.clone(), group: group.clone(), after: seconds(3_600) });
    let replies = read(link, &[reads[0].clone(), idle]).await;
    let state = format!("of {length}, {undelivered} undelivered, {pending} pending, lag {lag:?}");
    let told = replies[0].as_ref().map(|reply| &reply.answer);
    let Ok(Answer::Group(GroupAnswer::State { waiting, pending: told })) = told else {
        panic!("{:?} {state}", replies[0]);
    };
    assert_eq!(*told, pending, "{state}");
    match *waiting {
        Waiting::Exact(entries) => assert_eq!(entries, undelivered, "{state}"),
        Waiting::AtMost(entries) => {
            assert!(undelivered > EXACT, "at most {entries} {state}");
            assert!((EXACT + 1..=length).contains(&entries), "at most {entries} {state}");
            assert!(entries >= undelivered || stream.lied, "at most {entries} {state}");
            tally.bounds += 1;
            tally.bounds_too_low_after_a_lie += usize::from(entries < undelivered);
        }
    }
    let is_busy = undelivered > 0 || pending > 0;
    let answer = replies[1].as_ref().map(|reply| &reply.answer);
    assert_eq!(
        answer,
        Ok(&Answer::Idle(IdleAnswer::Entries { entries: 0, busy: is_busy, overflow: 0 })),
        "{state}"
    );
    tally.states += 1;
    tally.nothing_remained += usize::from(undelivered == 0);
    tally.many_remained += usize::from(undelivered > EXACT);
    let Some(lag) = lag else {
        tally.lag_was_nil += 1;
        return;
    };
    let remained = i64::try_from(undelivered).unwrap();
    tally.lag_was_wrong += usize::from(lag != remained);
    tally.lag_was_too_low += usize::from(lag < remained && !stream.lied);
    tally.lag_was_0_and_entries_remained += usize::from(lag == 0 && remained > 0);
}

/// What is asked, by the name of a trigger's keys: a stream and its group for a layout, for a framework, and
/// with KEDA's own metadata.
const TRIGGERS: [&[(&str, &str)]; 3] = [
    &[("layout", "stream"), ("queue", "s"), ("group", "g"), ("signal", "waiting")],
    &[
        ("layout", "taskiq"),
        ("broker", "stream"),
        ("queue", "s"),
        ("group", "g"),
        ("signal", "waiting"),
    ],
    &[("stream", "s"), ("consumerGroup", "g"), ("lagCount", "3"), ("activationLagCount", "1")],
];

async fn what_redis_has_wrong_is_right_for_every_trigger_of_a_stream(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let read_all = "XREADGROUP GROUP g c COUNT 100 NOACK STREAMS s >";
    let (set_id, set_more) =
        ("XGROUP SETID s g 0 ENTRIESREAD 6", "XGROUP SETID s g 0 ENTRIESREAD 100");
    let added = (0..20).map(|_| "XADD s MAXLEN 5 * a 1\n").collect::<String>();
    for (commands, wanted) in [
        ("XTRIM s MAXLEN 2", 2.0),
        (&*format!("XTRIM s MAXLEN 2\n{read_all}"), 0.0),
        (&*format!("XTRIM s MAXLEN 2\n{read_all}\nXADD s 7-0 a 1"), 1.0),
        ("XTRIM s MAXLEN 0", 0.0),
        ("XDEL s 1-0 2-0 3-0 4-0", 2.0),
        ("XDEL s 4-0", 3.0),
        (&*added, 5.0),
        (set_id, 6.0),
        (set_more, 6.0),
        ("XGROUP SETID s g 9-0", 0.0),
    ] {
        server.run("DEL s");
        for number in 1..=6 {
            server.run(&format!("XADD s {number}-0 a 1"));
        }
        server.run("XGROUP CREATE s g 0\nXREADGROUP GROUP g c COUNT 2 NOACK STREAMS s >");
        server.run(commands);
        for pairs in TRIGGERS {
            let trigger = trigger(pairs.iter().copied());
            let activation =
                f64::from(u8::from(pairs.iter().any(|(key, _)| *key == "activationLagCount")));
            let what = (commands, pairs);
            eventually_is(PATIENCE, (what, Ok(wanted), wanted > activation), async || {
                let value = keda.value(&trigger).await.map_err(|status| status.code());
                (what, value, keda.is_active(&trigger).await.unwrap())
            })
            .await;
        }
    }
}

async fn a_busy_stream_is_not_fetched_again_by_every_read(kind: Kind) {
    let server = Server::start(kind);
    let mut redis = server.connect();
    let mut pipeline = redis::pipe();
    for number in 1..=6_000 {
        let id = format!("{number}-0");
        pipeline.cmd("XADD").arg("s").arg(id).arg("job").arg("x".repeat(100)).ignore();
    }
    pipeline.exec(&mut redis).unwrap();
    server.run("XGROUP CREATE s g 0\nXREADGROUP GROUP g c COUNT 2000 NOACK STREAMS s >");
    let mut link = link(&server).await;
    let mut read = async || {
        let sent = || server.ask::<String>("INFO stats").lines().find_map(sent).unwrap();
        fn sent(line: &str) -> Option<u64> {
            line.strip_prefix("total_net_output_bytes:")?.trim().parse().ok()
        }
        // What the statistics themselves take.
        let idle = (sent(), sent());
        let before = sent();
        let replies = link
            .read(&[Read::Group(Group { key: "s".into(), group: "g".into() })], &[])
            .await
            .unwrap();
        let moved = sent() - before - (idle.1 - idle.0);
        let Answer::Group(GroupAnswer::State { waiting, .. }) = replies[0].as_ref().unwrap().answer
        else {
            panic!("{replies:?}")
        };
        (waiting, moved)
    };
    let (waiting, moved) = read().await;
    assert_eq!(waiting, Waiting::AtMost(4_000));
    assert!((130_000..250_000).contains(&moved), "{moved} bytes");
    let (waiting, moved) = read().await;
    assert_eq!(waiting, Waiting::AtMost(4_000));
    assert!(moved < 1_500, "{moved} bytes");
    let asked = ["probe", "--redis", &server.url(), "layout=stream", "queue=s", "group=g"];
    // A busy machine may be too slow for a probe, which then says so and nothing else.
    eventually(PATIENCE, async || {
        let said = penstock().args(asked).output().unwrap();
        let said = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
        if said.contains("at most 4000 (group `g` of `s`)") { Ok(()) } else { Err(said) }
    })
    .await;
    server.run("XREADGROUP GROUP g c COUNT 100 NOACK STREAMS s >\nXADD s 7000-0 a 1");
    let (waiting, moved) = read().await;
    assert_eq!(waiting, Waiting::AtMost(3_901));
    assert!(moved < 20_000, "{moved} bytes");
}
