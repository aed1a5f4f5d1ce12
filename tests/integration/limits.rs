//! What happens at each limit: the last thing that is taken is answered, the first that is not is
//! refused by the name of its limit, and nobody else notices.

use tokio::time::Instant;
use tonic::{Code, Request};

use crate::{
    harness::{CALL, Kind, RECOVERY, Server, Service},
    streams::Pushes,
    wire::{Keda, MetricsRequest, Trigger, queue, trigger},
};

const KEYS: usize = 64;
const ENTRIES: usize = 64;
const NAME_BYTES: usize = 1024;
const VALUE_BYTES: usize = 64 * 1025;
const KEY_BYTES: usize = 256;
const OBJECT_NAME_BYTES: usize = 253;
const REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// What a trigger that is too much is told.
async fn refusal(keda: &Keda, trigger: &Trigger, key: &str) -> String {
    let status = keda.value(trigger).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains(key), "{status}");
    status.message().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_keys_over_all_states_are_one_trigger_and_one_more_is_refused() {
    let server = Server::start(Kind::Redis);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let names = |state: &str, number: usize| {
        let names = (0..number).map(|name| format!("{state}{name}"));
        names.collect::<Vec<_>>()
    };
    let states = [("waiting", 32), ("scheduled", 16), ("inFlight", KEYS - 48)];
    for (state, number) in states {
        for name in names(state, number) {
            server.run(&format!("RPUSH {name} a"));
        }
    }
    let most = trigger(states.map(|(state, number)| (state, names(state, number).join(","))));
    assert_eq!(keda.value(&most).await.unwrap(), 64.0);
    let one_more = states.map(|(state, number)| (state, names(state, number + 1).join(",")));
    for [waiting, scheduled, in_flight] in [
        [&one_more[0].1, &most.metadata["scheduled"], &most.metadata["inFlight"]],
        [&most.metadata["waiting"], &most.metadata["scheduled"], &one_more[2].1],
    ] {
        let asked =
            trigger([("waiting", waiting), ("scheduled", scheduled), ("inFlight", in_flight)]);
        let message = refusal(&keda, &asked, "65").await;
        assert!(message.contains("64"), "it names the limit: {message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_entries_each_is_looked_at_and_of_one_more_none() {
    let service = Service::alone().await;
    let keda = service.keda().await;
    let entries = |number: usize| {
        let unknown = (1..number).map(|entry| (format!("k{entry}"), "x".to_owned()));
        trigger(unknown.chain([("queue".to_owned(), "q".to_owned())]))
    };
    let message = refusal(&keda, &entries(ENTRIES), "k1").await;
    assert!(message.contains("more"), "63 are unknown: {message}");
    let message = refusal(&keda, &entries(ENTRIES + 1), "64").await;
    assert!(!message.contains("k1"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_names_and_values_are_read_and_one_byte_more_is_refused_by_its_key() {
    let server = Server::start(Kind::Redis);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let names: Vec<String> =
        (0..KEYS).map(|number| format!("{number:0length$}", length = NAME_BYTES)).collect();
    for name in &names {
        server.run(&format!("SADD {name} a"));
    }
    let longest = queue(&names.join(","));
    let bytes = longest.metadata["queue"].len();
    assert_eq!(bytes, VALUE_BYTES - 1, "as many as 64 names can have");
    assert_eq!(keda.value(&longest).await.unwrap(), 64.0);
    let padded =
        |spaces: usize| queue(&format!("{}{}", longest.metadata["queue"], " ".repeat(spaces)));
    assert_eq!(keda.value(&padded(1)).await.unwrap(), 64.0);
    refusal(&keda, &padded(2), "queue").await;
    refusal(&keda, &queue(&"x".repeat(NAME_BYTES + 1)), "queue").await;

    let with_key = |bytes: usize| trigger([("queue", "q"), (&"k".repeat(bytes), "x")]);
    let message = refusal(&keda, &with_key(KEY_BYTES), "kkk").await;
    assert!(message.contains("is unknown"), "{message}");
    let message = refusal(&keda, &with_key(KEY_BYTES + 1), "kkk").await;
    assert!(!message.contains("is unknown"), "{message}");

    for field in ["name", "namespace"] {
        let of_object = |bytes: usize| {
            let mut asked = queue("q");
            let place = if field == "name" { &mut asked.name } else { &mut asked.namespace };
            *place = "n".repeat(bytes);
            asked
        };
        assert_eq!(keda.value(&of_object(OBJECT_NAME_BYTES)).await.unwrap(), 0.0);
        refusal(&keda, &of_object(OBJECT_NAME_BYTES + 1), field).await;
    }
}

/// A service with a stream open on an idle queue, which must live through what the peer does next.
struct Bystander {
    server: Server,
    service: Service,
    keda: Keda,
    pushes: Pushes,
}

impl Bystander {
    async fn start() -> Self {
        let server = Server::start(Kind::Redis);
        let service = Service::of(&server).await;
        let keda = service.keda().await;
        let mut pushes = Pushes::of(&keda, &queue("q")).await;
        assert!(!pushes.next(RECOVERY).await);
        Self { server, service, keda, pushes }
    }

    /// The connection answers, and its stream pushes.
    async fn expect_well(mut self) {
        assert_eq!(self.keda.value(&queue("other")).await.unwrap(), 0.0);
        self.server.run("RPUSH q a");
        assert!(self.pushes.next(RECOVERY).await);
        assert_eq!(self.service.get("/livez").await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_over_eight_megabytes_is_refused_and_its_connection_lives_on() {
    let bystander = Bystander::start().await;
    let asked_with = |bytes: usize| {
        let trigger = Some(queue("q"));
        bystander.keda.get_metrics(MetricsRequest { trigger, metric_name: "m".repeat(bytes) })
    };
    // The name is echoed, so that a request just below the limit is an answer just as long, which
    // is more than this client takes.
    for bytes in [REQUEST_BYTES, 2 * REQUEST_BYTES] {
        let status = asked_with(bytes).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{status}");
        assert!(status.message().contains(&REQUEST_BYTES.to_string()), "{status}");
    }
    let answer = asked_with(REQUEST_BYTES / 4).await.unwrap();
    assert_eq!(answer.values[0].metric_name.len(), REQUEST_BYTES / 4);
    bystander.expect_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_of_three_hundred_thousand_entries_is_refused_by_their_number_and_holds_nobody_up() {
    let bystander = Bystander::start().await;
    let keda = &bystander.keda;
    let many = trigger((0..300_000).map(|entry| (format!("k{entry}"), "")));
    assert!(prost::Message::encoded_len(&many) < REQUEST_BYTES);
    let before = bystander.service.memory();
    for _ in 0..2 {
        let message = refusal(keda, &many, "300000").await;
        assert!(message.contains("64"), "it names the limit: {message}");
    }
    // What one request needed for a moment, some 60 MB, is not held, and not needed twice.
    let after = bystander.service.memory();
    assert!(after < before + 128 * 1024, "{before} kB became {after} kB");
    bystander.expect_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_beyond_what_the_codec_takes_fail_one_call_and_no_other() {
    let bystander = Bystander::start().await;
    for (bytes, is_taken) in [(8 * 1024, true), (20 * 1024, false), (60 * 1024, false)] {
        let mut request = Request::new(queue("q"));
        request.metadata_mut().insert("x-long", "x".repeat(bytes).parse().unwrap());
        let answer = bystander.keda.is_active_with(request).await;
        assert_eq!(answer.is_ok(), is_taken, "{bytes} bytes: {answer:?}");
    }
    bystander.expect_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_none_fails_one_call_and_no_other() {
    let bystander = Bystander::start().await;
    let started = Instant::now();
    // A number where the name should be.
    let status = bystander.keda.is_active_with(Request::new(NoTrigger { name: 7 })).await;
    assert_ne!(status.unwrap_err().code(), Code::Ok);
    assert!(started.elapsed() < CALL);
    bystander.expect_well().await;
}

/// Something else than a trigger.
#[derive(Clone, PartialEq, prost::Message)]
struct NoTrigger {
    #[prost(int64, tag = "1")]
    name: i64,
}
