//! A fleet of triggers lives through every fault there is, with somebody who writes all the time:
//! no answer is a value that the queue did not have, no stream misses a job, and one second after
//! the calm everything is as Redis says.

mod audience;
mod books;
mod direct;
mod fault;
mod fleet;
mod quiet;
mod writer;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{
        Kind, Mode, PATIENCE, Proxy, RECOVERY, STEP, Server, Service, Setup, eventually, millis,
        seconds, seed,
    },
    on_both_servers,
    wire::{Keda, Trigger},
};
use audience::{Listeners, Sample, ask, sample};
use books::Books;
use direct::{Direct, line, pipeline, take_stock};
use fault::{Fault, Keeps, Site, Victims};
use fleet::{Fleet, IDLE, LAPSING, POLLED};

macro_rules! faults {
    ($($test:ident: $fault:expr;)+) => {
        $(
            async fn $test(kind: Kind) {
                survives(kind, $fault).await;
            }
        )+
        on_both_servers!($($test),+);
    };
}

faults! {
    the_network_is_cut: Fault::Network(Mode::Cut, 1, seconds(2));
    the_network_is_cut_again_and_again: Fault::Network(Mode::Cut, 12, millis(60));
    the_network_stalls: Fault::Network(Mode::Stall, 1, seconds(3));
    the_network_stalls_for_moments: Fault::Network(Mode::Stall, 6, millis(250));
    replies_and_announcements_come_late: Fault::Network(Mode::StallReplies, 1, seconds(2));
    replies_and_announcements_come_a_moment_late: Fault::Network(Mode::StallReplies, 6, millis(250));
    commands_come_late: Fault::Network(Mode::StallCommands, 1, seconds(2));
    commands_come_a_moment_late: Fault::Network(Mode::StallCommands, 6, millis(250));
    replies_and_announcements_are_lost: Fault::Network(Mode::LoseReplies, 1, seconds(2));
    commands_are_lost: Fault::Network(Mode::LoseCommands, 1, seconds(2));
    the_server_vanishes_without_a_word: Fault::Network(Mode::Vanish, 1, seconds(2));
    all_connections_are_killed_again_and_again: Fault::Kill(Victims::Everybody, 20);
    penstocks_connections_are_killed_again_and_again: Fault::Kill(Victims::Penstock, 20);
    penstocks_connection_is_killed_once: Fault::Kill(Victims::Penstock, 1);
    the_server_hangs: Fault::Hang(seconds(3));
    the_server_restarts_with_its_data: Fault::Restart(Keeps::Everything, millis(1500));
    the_server_restarts_at_once_with_its_data: Fault::Restart(Keeps::Everything, Duration::ZERO);
    the_server_restarts_with_older_data_and_loads_for_a_while: Fault::Restart(Keeps::ASnapshot, millis(500));
    the_server_restarts_without_its_data: Fault::Restart(Keeps::Nothing, millis(1500));
    the_server_restarts_at_once_without_its_data: Fault::Restart(Keeps::Nothing, Duration::ZERO);
    all_databases_are_flushed: Fault::Flush("FLUSHALL");
    the_database_is_flushed: Fault::Flush("FLUSHDB");
    the_database_is_flushed_in_the_background: Fault::Flush("FLUSHDB ASYNC");
    all_clients_are_paused: Fault::Pause("ALL", seconds(2));
    writing_clients_are_paused: Fault::Pause("WRITE", seconds(2));
    a_script_does_not_end: Fault::Script(seconds(2));
    the_server_forgets_who_read_what: Fault::Forgetful(seconds(1));
}

/// How long a value may be held; every fault that lasts longer makes the service say UNAVAILABLE.
const HOLD: Duration = Duration::from_secs(2);

/// After this time something becomes due and something lapses, with nothing written.
const WIND_UP: Duration = Duration::from_millis(500);

fn is_polled(trigger: &Trigger) -> bool {
    trigger.metadata.values().any(|value| value.contains(POLLED))
}

/// A server, a service, and everybody who writes, asks and listens.
struct World {
    fault: Fault,
    server: Server,
    proxy: Proxy,
    service: Service,
    keda: Keda,
    direct: Direct,
    books: Arc<Mutex<Books>>,
    triggers: Vec<Trigger>,
    listeners: Listeners,
}

impl World {
    async fn start(kind: Kind, fault: Fault) -> Self {
        let server = Server::with_arguments(kind, fault.arguments());
        server.run(&writer::beginning());
        server.run(&format!("RPUSH {LAPSING} a"));
        let proxy = Proxy::to(server.port()).await;
        let url = if fault.is_of_the_network() { proxy.url() } else { server.url() };
        let hold = HOLD.as_secs();
        let config = format!(
            "[server]\npush_inactive = true\n[redis.default]\nurl = \"{url}\"\nhold_stale = \"{hold}s\"\n"
        );
        let service = Setup::default().config(config).start().await;
        let keda = service.keda().await;
        let mut books = Books::new(Fleet::new());
        let mut direct = Direct::to(&server);
        take_stock(&mut direct, &mut books).await;
        let triggers: Vec<Trigger> =
            books.fleet.members.iter().map(|member| member.trigger.clone()).collect();
        let listened = triggers.iter().enumerate().filter(|(_, trigger)| !is_polled(trigger));
        let listeners = Listeners::of(&keda, listened).await;
        let books = Arc::new(Mutex::new(books));
        Self { fault, server, proxy, service, keda, direct, books, triggers, listeners }
    }

    /// Waits until everything is answered and was pushed as the books have it.
    async fn is_true(&self, since: Instant) {
        let books = self.books.lock().await;
        loop {
            let members = 0..self.triggers.len();
            let looks = members.map(async |member| {
                let (value, active) = books.truth(member);
                let seen = ask(&self.keda, member, &self.triggers[member]).await;
                let pushed = self.listeners.last(member);
                let is_so = seen.value == Some(value)
                    && seen.active == Some(active)
                    && (pushed == Some(active) || is_polled(&self.triggers[member]));
                (!is_so).then(|| {
                    let metadata = &self.triggers[member].metadata;
                    format!("{metadata:?} is {value}, {active}; pushed {pushed:?}, seen {seen:?}")
                })
            });
            let wrong: Vec<String> = join_all(looks).await.into_iter().flatten().collect();
            if wrong.is_empty() {
                return;
            }
            assert!(since.elapsed() < RECOVERY, "{:?}: {wrong:#?}", self.fault);
            sleep(STEP).await;
        }
    }

    /// Waits until the first job of every idle queue was pushed, which came while the fault lasted.
    async fn has_heard_of_the_jobs(&self, over: Instant) {
        let is_due = |trigger: &Trigger| trigger.metadata.contains_key("scheduled");
        let is_idle = |trigger: &Trigger| {
            trigger.metadata.values().any(|value| value.ends_with(IDLE)) && !is_due(trigger)
        };
        let triggers = self.triggers.iter().enumerate();
        let idle: Vec<_> = triggers.filter(|(_, trigger)| is_idle(trigger)).collect();
        loop {
            let unheard =
                idle.iter().filter(|(member, _)| self.listeners.last(*member) != Some(true));
            let unheard: Vec<_> = unheard.map(|(_, trigger)| &trigger.metadata).collect();
            if unheard.is_empty() {
                return;
            }
            assert!(over.elapsed() < RECOVERY, "{:?}: not pushed: {unheard:#?}", self.fault);
            sleep(STEP).await;
        }
    }

    /// Holds everything that was answered and pushed against the books.
    async fn judge(&self, samples: &[Sample]) {
        let books = self.books.lock().await;
        let pushed = self.listeners.samples(HOLD);
        assert!(samples.iter().any(|sample| sample.value.is_some()), "nothing was answered");
        let objections = samples.iter().map(|sample| books.objection(sample, HOLD));
        let to_pushes = pushed.iter().map(|sample| books.objection(sample, Duration::ZERO));
        let objections: Vec<String> = objections.chain(to_pushes).flatten().collect();
        assert!(objections.is_empty(), "{:?}: {objections:#?}", self.fault);
        let traces = |message| self.service.log_with(message).len();
        let failed = "a read failed; its last value is held for the stale budget";
        eventually(PATIENCE, async || {
            let traces = traces("connected to Redis") + traces(failed);
            if traces >= self.fault.traces() { Ok(()) } else { Err("no trace in the log") }
        })
        .await;
    }

    /// Something becomes due and something ends by itself while the fault lasts.
    async fn wind_up(&mut self) {
        // What is due counts a second early, for the sake of clocks.
        let due = (self.server.now() + seconds(1) + WIND_UP).as_secs_f64();
        let lapse = WIND_UP.as_millis();
        let commands = [format!("ZADD due:{IDLE} {due} a"), format!("PEXPIRE {LAPSING} {lapse}")];
        let commands = commands.iter().map(|words| line(words));
        self.direct.insist(&pipeline(commands)).await;
    }
}

async fn survives(kind: Kind, fault: Fault) {
    let seed = seed();
    let mut world = World::start(kind, fault).await;
    world.is_true(Instant::now()).await;

    let (stop, mut writing, mut sampling) =
        (CancellationToken::new(), JoinSet::new(), JoinSet::new());
    let direct = Direct::to(&world.server);
    let rng = fastrand::Rng::with_seed(seed.number());
    writing.spawn(writer::write(direct, Arc::clone(&world.books), rng, stop.clone()));
    sampling.spawn(sample(world.keda.clone(), world.triggers.clone(), stop.clone()));
    sleep(millis(200)).await;

    let wound_up_at = Instant::now();
    world.wind_up().await;
    let World { server, proxy, books, direct, .. } = &mut world;
    fault.strike(Site { server, proxy, books, direct }).await;
    world.has_heard_of_the_jobs(Instant::now()).await;
    sleep_until(wound_up_at + 2 * WIND_UP).await;

    stop.cancel();
    writing.join_next().await.unwrap().unwrap();
    let calm = Instant::now();
    let samples = sampling.join_next().await.unwrap().unwrap();
    world.is_true(calm).await;
    world.judge(&samples).await;
}
