//! One run: the real sampler, the model, and callers and streams, driven event by event.
//!
//! Everything runs in one task, so that the seed alone decides who has a turn: the worker and the
//! calls are polled here, and every observation is judged before the next event happens. Time is
//! tokio's, paused: it passes when nobody has anything to do.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use penstock::{
    sampling::{Change, Observation, Sampler, TooMany, Watch, Why},
    telemetry,
};
use tokio::{
    task::unconstrained,
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{CATALOG, Topic},
    held::{self, Budget},
    oracle::{self, For, Violation},
    server::Model,
    source::Redis,
    transcript::{Moment, Told},
    turn::Turn,
    wire::Event,
};

type Answer = Result<Observation, TooMany>;

/// A call that waits for its answer.
pub struct Call {
    topic: usize,
    asked: Moment,
    answer: Pin<Box<dyn Future<Output = Answer>>>,
}

/// A stream that is open.
pub struct Stream {
    /// Its trigger, by its place in the catalog.
    pub topic: usize,
    watch: Watch,
    /// Whether its reader reads.
    pub is_read: bool,
    /// What it was told last.
    pub told: Observation,
}

/// What is known about one trigger.
#[derive(Clone, Copy, Default)]
struct Story {
    /// Since when it is asked about.
    since: Option<Moment>,
    /// When something fresh was last told.
    fresh_ms: Option<u64>,
    /// When a change of one of its keys was last heard.
    heard_ms: Option<u64>,
}

/// One run.
pub struct World {
    /// The model.
    pub redis: Redis,
    /// The calls that wait.
    pub calls: Vec<Call>,
    /// The streams that are open.
    pub streams: Vec<Stream>,
    /// How many events have happened.
    pub steps: u64,
    /// The first violation.
    pub violation: Option<Violation>,
    /// Whether every answer to a call must be what is true at rest.
    pub calls_at_rest: bool,
    sampler: Sampler,
    hold_stale: Duration,
    worker: Pin<Box<dyn Future<Output = ()> + Send>>,
    worker_turn: Arc<Turn>,
    call_turn: Arc<Turn>,
    held_until: u64,
    stories: Vec<Story>,
    topics: Vec<Topic>,
    started: Instant,
    sleep: Pin<Box<Sleep>>,
    metrics: Arc<telemetry::Metrics>,
}

impl World {
    /// A world whose every decision comes from a seed.
    pub fn new(seed: u64) -> Self {
        let mut model = Model::new(seed);
        let hold_stale = Duration::from_secs(if model.random.bool() { 5 } else { 30 });
        let redis = Redis::new(model);
        let metrics = telemetry::Metrics::new();
        let link = telemetry::LinkLabels { connection: "default".to_owned(), database: 0 };
        let started = Instant::now();
        let sampler = Sampler::new("default".to_owned(), hold_stale, metrics.link(link));
        let worker = sampler.run(redis.clone(), CancellationToken::new());
        Self {
            redis,
            calls: vec![],
            streams: vec![],
            steps: 0,
            violation: None,
            calls_at_rest: false,
            sampler,
            hold_stale,
            worker: Box::pin(unconstrained(worker)),
            worker_turn: Turn::wanted(),
            call_turn: Turn::wanted(),
            held_until: 0,
            stories: vec![Story::default(); CATALOG.topics.len()],
            topics: CATALOG.topics.clone(),
            started,
            sleep: Box::pin(sleep_until(started)),
            metrics,
        }
    }

    /// How many triggers the sampler says it remembers.
    pub fn triggers(&self) -> usize {
        let text = self.metrics.encode().unwrap();
        let line = text.lines().find(|line| line.starts_with("penstock_triggers{"));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }

    /// Lets time pass until the next event, and takes it; `None` if there is none before a time.
    pub async fn next_event(&mut self, until: u64) -> Option<Event> {
        poll_fn(|cx| {
            self.take_turns(cx);
            let next = self.redis.model().agenda.next_ms().unwrap_or(u64::MAX);
            let at = self.started + Duration::from_millis(next.min(until));
            if self.sleep.deadline() != at {
                self.sleep.as_mut().reset(at);
            }
            if Instant::now() < at && self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = self.pass_time();
            // The worker may have been due at the very same time.
            if self.worker_turn.is_wanted.load(Ordering::SeqCst) && now >= self.held_until {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(if next <= until { self.redis.model().agenda.pop() } else { None })
        })
        .await
    }

    fn pass_time(&self) -> u64 {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap();
        self.redis.model().now.ms = ms;
        ms
    }

    /// Gives everybody turns who wants one, until nobody does.
    fn take_turns(&mut self, cx: &Context<'_>) {
        let now = self.pass_time();
        loop {
            let mut is_quiet = true;
            if now >= self.held_until && self.worker_turn.take(cx) {
                is_quiet = false;
                let waker = Waker::from(Arc::clone(&self.worker_turn));
                let worker = self.worker.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(worker.is_pending(), "the worker ended");
                let excess = self.redis.model().ledger.excess.take();
                self.judge("the worker", excess.map_or(Ok(()), Err));
                self.read_streams(false);
            }
            if self.call_turn.take(cx) {
                is_quiet = false;
                self.poll_calls();
            }
            if is_quiet {
                self.redis.model().ledger.just_taken = None;
                return;
            }
        }
    }

    /// Keeps the first violation.
    pub fn judge(&mut self, whose: &str, verdict: Result<(), Violation>) {
        if let Err(why) = verdict {
            let mut model = self.redis.model();
            model.note(format_args!("VIOLATION {whose}: {why}"));
            self.violation.get_or_insert(format!("{whose}: {why}"));
        }
    }

    /// Somebody asks about a trigger.
    pub fn call(&mut self, topic: usize) {
        let asked = self.begin(topic, "call");
        let (sampler, subject) = (self.sampler.clone(), self.topics[topic].subject.clone());
        let answer = Box::pin(unconstrained(async move { sampler.current(&subject).await }));
        self.calls.push(Call { topic, asked, answer });
        self.poll_calls();
    }

    /// Somebody opens a stream.
    pub fn open(&mut self, topic: usize, is_read: bool) {
        let asked = self.begin(topic, "stream");
        let is_first = self.streams.iter().all(|stream| stream.topic != topic);
        let mut watch = self.sampler.watch(&self.topics[topic].subject).unwrap();
        let told = watch.observation();
        // A later stream begins with what the others were told last, whenever that was; and the
        // first one with nothing where something has to be read.
        if is_first && told != Observation::Unavailable(Why::NotYetRead) {
            self.observe(topic, &told, For::Call(asked), "a new stream");
        }
        self.streams.push(Stream { topic, watch, is_read, told });
    }

    /// A trigger that nobody has asked about yet, like one of the catalog.
    pub fn newcomer(&mut self, like: usize) -> usize {
        let number = self.topics.len();
        self.topics.push(CATALOG.topics[like].renamed(number));
        self.stories.push(Story::default());
        number
    }

    /// A trigger.
    pub fn topic(&self, topic: usize) -> &Topic {
        &self.topics[topic]
    }

    fn begin(&mut self, topic: usize, what: &str) -> Moment {
        let mut model = self.redis.model();
        let now = model.tick();
        model.note(format_args!("{what} on {topic}"));
        self.stories[topic].since.get_or_insert(now);
        now
    }

    fn poll_calls(&mut self) {
        let waker = Waker::from(Arc::clone(&self.call_turn));
        let mut cx = Context::from_waker(&waker);
        let mut answered = vec![];
        self.calls.retain_mut(|call| match call.answer.as_mut().poll(&mut cx) {
            Poll::Ready(answer) => {
                answered.push((call.topic, call.asked, answer));
                false
            }
            Poll::Pending => true,
        });
        for (topic, asked, answer) in answered {
            let took = self.redis.model().now.ms - asked.ms;
            if u128::from(took) > penstock::limits::CALL_DEADLINE.as_millis() {
                self.judge("a call", Err(format!("it took {took} ms")));
            }
            let told = answer.unwrap();
            self.observe(topic, &told, For::Call(asked), "a call");
            if self.calls_at_rest {
                let verdict = held::at_rest(&self.redis.model(), &self.topics[topic], &told);
                self.judge(&format!("a call on {topic}, at rest"), verdict);
            }
        }
    }

    /// Reads what is new on the streams; on all of them, or on those whose readers read.
    pub fn read_streams(&mut self, all: bool) {
        let mut seen = vec![];
        for stream in self.streams.iter_mut().filter(|stream| all || stream.is_read) {
            let mut cx = Context::from_waker(Waker::noop());
            if pin!(stream.watch.changed()).poll(&mut cx).is_ready() {
                stream.told = stream.watch.observation();
                if stream.is_read {
                    seen.push((stream.topic, stream.told.clone()));
                }
            }
        }
        for (topic, told) in seen {
            self.observe(topic, &told, For::Streams, "a stream");
        }
    }

    /// Judges one observation that was just made.
    fn observe(&mut self, topic: usize, told: &Observation, made: For, whom: &str) {
        let story = &mut self.stories[topic];
        let verdict = {
            let mut model = self.redis.model();
            model.tick();
            model.note(format_args!("{whom} on {topic} is told {}", Told(told)));
            let (model, topic) = (&*model, &self.topics[topic]);
            let own = topic.subject.trigger.stale_for.unwrap_or(self.hold_stale);
            let budget = own.min(self.hold_stale);
            let until = |window: Duration| {
                story.heard_ms.map(|ms| ms + u64::try_from(window.as_millis()).unwrap())
            };
            let window = topic.window.and_then(until).is_some_and(|until| model.now.ms < until);
            match told {
                Observation::Fresh(verdict) => {
                    story.fresh_ms = Some(model.now.ms);
                    oracle::fresh(model, topic, Ok(verdict), made, Some(window))
                }
                Observation::LayoutMismatch(mismatch) => {
                    oracle::fresh(model, topic, Err(mismatch), made, None)
                }
                Observation::Stale { verdict, age, .. } => {
                    held::stale(model, topic, verdict, *age, budget)
                }
                Observation::ActivityOnly { .. } => {
                    Err("it is told without a value, and is no rate".to_owned())
                }
                Observation::Unavailable(_) => {
                    let fresh_ms = story.fresh_ms;
                    held::unavailable(model, Budget { budget, fresh_ms })
                }
            }
        };
        self.judge(&format!("{whom} on {topic}"), verdict);
    }

    /// Something happens.
    pub fn apply(&mut self, event: Event) {
        self.steps += 1;
        let report = {
            let mut model = self.redis.model();
            model.tick();
            match event {
                Event::Act | Event::Intrude | Event::Resume => None,
                Event::Execute(id) => {
                    model.execute(id);
                    None
                }
                Event::Arrive(id) => model.arrive(id).map(|report| (id, report)),
                Event::Reply(id) => {
                    model.reply(id);
                    None
                }
                Event::Report(id) => model.next_report(id).map(|report| (id, report)),
                Event::Accept(place) => {
                    model.accept(place);
                    None
                }
            }
        };
        if let Some((id, (changes, change))) = report {
            self.hear(id, &change);
            changes.report(change);
            self.read_streams(false);
        }
    }

    /// Notes an announcement for the activity windows, if the sampler hears it.
    fn hear(&mut self, id: usize, change: &Change) {
        let model = self.redis.model();
        let is_heard = model.conns[id].epoch + 1 == model.knocks.len();
        let Change::Key(name) = change else { return };
        for (story, topic) in self.stories.iter_mut().zip(&self.topics) {
            let is_of = |read: &usize| CATALOG.reads[*read].key() == name;
            if is_heard && story.since.is_some() && topic.reads.iter().any(is_of) {
                story.heard_ms = Some(model.now.ms);
            }
        }
    }

    /// The worker has no turn until a time.
    pub fn hold_worker(&mut self, until: u64) {
        self.held_until = until;
        let mut model = self.redis.model();
        model.note(format_args!("worker has no turn until {until}"));
        model.plan(until, Event::Resume);
    }

    /// What is not watched is forgotten.
    pub fn forget(&mut self) {
        let watched = self.watched();
        let mut stories = self.stories.iter_mut().enumerate();
        stories.by_ref().filter(|(topic, _)| !watched.contains(topic)).for_each(|(_, story)| {
            *story = Story::default();
        });
    }

    /// The triggers that streams are open on.
    pub fn watched(&self) -> Vec<usize> {
        let mut topics: Vec<_> = self.streams.iter().map(|stream| stream.topic).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }
}
