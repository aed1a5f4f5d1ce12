//! What is refused of a question about heartbeats, and what it reads.

use crate::layouts::{
    Argument, Arguments, HeartbeatsAnswer, Layout, Measure, Plan, Read, Registry, Weight,
    WorkerFilter,
};

const LAYOUT: &str = r#"
    doc = "Acme."
    params.queue = { type = "keys", required = true, doc = "Q.", example = "q" }
    params.prefix = { type = "name", default = "", may_be_empty = true, doc = "P.", example = "p:" }
    params.pool = { type = "pattern", doc = "W.", example = "a@*" }
    params.every = { type = "duration", default = "3s", doc = "E.", example = "3s" }
    [[in_flight]]
    read = "heartbeats"
    alive = ["{prefix}{database}.up"]
    worker = "/name"
    jobs = "/jobs"
    every = "/every"
    queue = "queue"
    pool = "pool"
    interval = "every"
"#;

fn refused(from: &str, to: &str) -> String {
    assert!(LAYOUT.contains(from));
    Layout::parse("acme", &LAYOUT.replace(from, to)).unwrap_err().to_string()
}

#[test]
fn a_question_that_could_not_be_listened_to_is_refused() {
    for (from, to, told) in [
        (r#"["{prefix}{database}.up"]"#, "[]", "`alive` names no channel"),
        ("{prefix}{database}.up", "{queue}.up", "`queue` is used as one value beside"),
        ("{prefix}{database}.up", "{prefix", "unbalanced brace"),
        (r#"pool = "pool""#, r#"pool = "prefix""#, "`prefix` is used as a pattern"),
        (r#"interval = "every""#, r#"interval = "pool""#, "`pool` is used as a duration"),
        (r#"jobs = "/jobs""#, "", "missing field `jobs`"),
        (r#"pool = "pool""#, "pool = \"pool\"\ndatabase = ''", "`database` is empty"),
    ] {
        let message = refused(from, to);
        assert!(message.contains(told), "{to}: {message}");
    }
}

#[test]
fn all_queues_of_a_trigger_are_one_read_and_weigh_as_much_as_the_heaviest() {
    let layout = Layout::parse("acme", LAYOUT).unwrap();
    let mut arguments = Arguments::default();
    let heavy = Weight::new(3.0).unwrap();
    let queues = vec![("a".into(), Weight::ONE), ("b".into(), heavy)];
    arguments.set("queue", Argument::Names(queues));
    arguments.set("prefix", Argument::Names(vec![("x:".into(), Weight::ONE)]));
    arguments.set("every", Argument::Duration(std::time::Duration::from_secs(3)));
    let plan = layout.plan(&arguments);
    let [Read::Heartbeats(heartbeats)] = plan.reads() else { panic!("one read: {plan:?}") };
    assert_eq!(heartbeats.workers, WorkerFilter::Queues(["a".into(), "b".into()].into()));
    assert_eq!(heartbeats.format.alive[0].on(7), "x:7.up".into());
    assert_eq!(layout.gap(&arguments).as_secs(), 12);
    let counts = plan
        .counts(&[&crate::layouts::Answer::Heartbeats(HeartbeatsAnswer {
            jobs: 2,
            busy: 2,
            finished: 0,
            nameless: 0,
            silent: 0,
        })])
        .unwrap();
    assert_eq!(counts[Measure::InFlight].get(), 6.0);
}

#[test]
fn celery_takes_the_larger_of_all_that_is_in_keys_and_what_is_heard_last() {
    let celery = Registry::builtin().get("celery").unwrap();
    let mut arguments = Arguments::default();
    for (name, parameter) in celery.parameters() {
        if let Some(default) = parameter.default_argument() {
            arguments.set(name, default);
        }
    }
    let queues = vec![("a".into(), Weight::ONE), ("b".into(), Weight::ONE)];
    arguments.set("queue", Argument::Names(queues));
    assert_eq!(celery.gap(&arguments).as_millis(), 150);
    arguments.set("running", Argument::Choice("heartbeats".to_owned()));
    assert_eq!(celery.gap(&arguments).as_secs(), 8);
    arguments.leave_out(Measure::Oldest);
    let busy = celery.plan(&arguments);
    let [workers] = &*busy.terms()[Measure::Busy] else { panic!("{busy:?}") };
    let shown = workers.describe(&|term| busy.reads()[term.read].describe(term.part));
    assert!(shown.starts_with("busy of the workers of `a`, `b`"), "{shown}");
    let plan: Plan = celery.plan(&arguments);
    assert!(matches!(plan.reads().last(), Some(Read::Heartbeats(_))));
    let [in_flight] = &*plan.terms()[Measure::InFlight] else { panic!("{plan:?}") };
    let shown = in_flight.describe(&|term| plan.reads()[term.read].to_string());
    assert_eq!(
        shown,
        "max[values with /2 = `a` for each of `unacked` + values with /2 = `b` for each of `unacked`, \
         the workers of `a`, `b` on `/{database}.celeryev/worker.heartbeat`]"
    );
}
