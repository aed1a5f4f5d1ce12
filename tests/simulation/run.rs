//! A run of one seed: rounds of disorder, each with a calm after it, in which everything must come
//! right.

use std::time::Duration;

use penstock::limits;

use crate::{
    catalog::CATALOG,
    chaos, faults, held,
    oracle::{LAG_MS, TURN_MS, Violation},
    wire::{Event, Health},
    world::World,
};

/// Steps of one run, its calms not counted.
pub const STEPS: u64 = 1_000;
const ROUNDS: u64 = 4;
const CALLS: usize = 20;

/// How restless a round is.
struct Mood {
    /// The mean pause between two things that happen, in milliseconds.
    pause: u64,
    /// How often in a hundred something goes wrong.
    faults: u8,
    /// How many streams are open at most. Where they are few, answers grow old that nobody wants.
    streams: usize,
}

/// What came of a run.
pub struct Outcome {
    /// What happened.
    pub transcript: String,
    /// Its end.
    pub tail: String,
    /// How many events there were.
    pub steps: u64,
    /// Of which in calms.
    pub calm_steps: u64,
    /// The first violation.
    pub violation: Option<Violation>,
}

/// Runs a seed in a runtime of its own, in paused time.
pub fn run(seed: u64, steps: u64) -> Outcome {
    // The worker's pauses between two attempts to connect come from the thread's generator.
    fastrand::seed(seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed);
        let mut calm_steps = 0;
        for round in 1..=ROUNDS {
            disorder(&mut world, steps * round / ROUNDS + calm_steps).await;
            if world.violation.is_some() {
                break;
            }
            let before = world.steps;
            calm(&mut world).await;
            calm_steps += world.steps - before;
        }
        let model = world.redis.model();
        Outcome {
            transcript: model.log.text().to_owned(),
            tail: model.log.tail(60).to_owned(),
            steps: world.steps,
            calm_steps,
            violation: world.violation.clone(),
        }
    })
}

/// Everything happens at random until so many steps are done.
async fn disorder(world: &mut World, steps: u64) {
    let mood = {
        let mut model = world.redis.model();
        let now = model.now.ms;
        let model = &mut *model;
        model.weather.is_calm = false;
        model.weather.meddling = [0, 10, 40][model.random.usize(..3)];
        model.weather.lag = [0, 1, 3, 8, 40][model.random.usize(..5)];
        model.weather.intruders = [0, 0, 3, 10][model.random.usize(..4)];
        model.plan(now, Event::Act);
        Mood {
            pause: [1, 3, 10, 60, 200][model.random.usize(..5)],
            faults: [0, 2, 6, 12][model.random.usize(..4)],
            streams: [1, 2, 4, 10][model.random.usize(..4)],
        }
    };
    while world.steps < steps && world.violation.is_none() {
        let Some(event) = world.next_event(u64::MAX).await else { return };
        world.apply(event);
        match event {
            Event::Act => act(world, &mood),
            Event::Intrude => intrude(world),
            Event::Execute(_)
            | Event::Arrive(_)
            | Event::Reply(_)
            | Event::Report(_)
            | Event::Accept(_)
            | Event::Resume => {}
        }
    }
}

/// Somebody does something, and the next one will after a pause.
fn act(world: &mut World, mood: &Mood) {
    let (what, topic, pause) = {
        let mut model = world.redis.model();
        let random = &mut model.random;
        let what = random.u8(..100);
        let topic = random.usize(..CATALOG.topics.len());
        let pause = match random.u8(..60) {
            0 => random.u64(300..1_600),
            _ => random.u64(..=2 * mood.pause),
        };
        let now = model.now.ms;
        model.plan(now + pause, Event::Act);
        (what, topic, pause)
    };
    if what < mood.faults {
        let held = faults::strike(&mut world.redis.model());
        return held.into_iter().for_each(|until| world.hold_worker(until));
    }
    match what {
        ..58 => chaos::write(&mut world.redis.model()),
        58..78 if world.calls.len() < CALLS => world.call(topic),
        78..90 if world.streams.len() < mood.streams => world.open(topic, pause % 5 > 0),
        78..90 => drop_stream(world),
        90..95 => drop_stream(world),
        95..97 => cancel_call(world),
        _ => {}
    }
}

/// Somebody asks about a new trigger while its reads may be under way for another one.
fn intrude(world: &mut World) {
    let (like, is_call) = {
        let random = &mut world.redis.model().random;
        (random.usize(..CATALOG.topics.len()), random.bool())
    };
    let topic = world.newcomer(like);
    if is_call {
        world.call(topic);
    } else {
        world.open(topic, true);
    }
}

fn drop_stream(world: &mut World) {
    if !world.streams.is_empty() {
        let place = world.redis.model().random.usize(..world.streams.len());
        let stream = world.streams.swap_remove(place);
        world.redis.model().note(format_args!("a stream on {} ends", stream.topic));
        drop(stream);
    }
}

fn cancel_call(world: &mut World) {
    if !world.calls.is_empty() {
        let place = world.redis.model().random.usize(..world.calls.len());
        drop(world.calls.swap_remove(place));
        world.redis.model().note(format_args!("a call is cancelled"));
    }
}

/// Everything heals, and must come right within a bound: streams show what is true, and calls tell
/// it at once.
async fn calm(world: &mut World) {
    let bound = {
        let mut model = world.redis.model();
        faults::heal(&mut model);
        model.now.ms + settling(&model)
    };
    pass(world, bound).await;
    world.read_streams(true);
    for stream in 0..world.streams.len() {
        let (topic, told) = (world.streams[stream].topic, world.streams[stream].told.clone());
        let verdict = held::at_rest(&world.redis.model(), world.topic(topic), &told);
        world.judge(&format!("a stream on {topic}, at rest"), verdict);
    }
    world.calls_at_rest = true;
    (0..CATALOG.topics.len()).for_each(|topic| world.call(topic));
    pass(world, bound + 100).await;
    if !world.calls.is_empty() {
        let calls = world.calls.len();
        world.judge("calls at rest", Err(format!("{calls} are not answered after 100 ms")));
    }
    world.calls_at_rest = false;
    let long = world.redis.model().random.u8(..200) == 0;
    if long && world.violation.is_none() {
        silence(world).await;
    }
}

/// How long everything may take to come right: what is unannounced is read again after its age, a
/// failed read after the same time; a link that is broken must be noticed and replaced before.
fn settling(model: &crate::server::Model) -> u64 {
    let ms = |bound: Duration| u64::try_from(bound.as_millis()).unwrap();
    let is_well = |id: usize| {
        let conn = &model.conns[id];
        conn.health == Health::Well && conn.is_known && !conn.is_mute
    };
    let age = ms(limits::SAMPLE_MAX_AGE) + 100;
    if model.ledger.conn.is_some_and(is_well) {
        return age;
    }
    let longest = limits::RECONNECT_PAUSES.longest;
    LAG_MS + ms(longest) + TURN_MS + 100
}

/// Lets things happen until a time.
async fn pass(world: &mut World, until: u64) {
    while let Some(event) = world.next_event(until).await {
        world.apply(event);
    }
}

/// Nobody asks for so long that what is not watched must be forgotten, and costs nothing any more.
async fn silence(world: &mut World) {
    let memory = limits::TRIGGER_MEMORY + Duration::from_secs(121);
    let until = world.redis.model().now.ms + u64::try_from(memory.as_millis()).unwrap();
    pass(world, until).await;
    let (watched, remembered) = (world.watched().len(), world.triggers());
    if watched != remembered {
        let what = format!("{remembered} triggers are remembered, and {watched} are watched");
        world.judge("after a long silence", Err(what));
    }
    world.forget();
}
