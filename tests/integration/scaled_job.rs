//! A ScaledJob that KEDA polls: with the signal that the documents recommend for its strategy, as many Jobs
//! are created as there are jobs, whatever the shape of the load and whichever replica is asked, and none that
//! finds nothing to do.
//!
//! The arithmetic is KEDA's (`penstock_hpa::ScaledJob`); the jobs are in a real Redis, as BullMQ has them,
//! and are taken and ended as its Lua does, each in one command.

use std::{fs, path::Path};

use deadpool_redis::redis::{Connection, cmd};
use futures_util::future::join_all;
use penstock_hpa::{JobLoad, JobStrategy, ScaledJob};
use tokio::time::sleep;

use crate::{
    harness::{Kind, Server, Service, millis},
    on_both_servers,
    wire::{Keda, Trigger, trigger},
};

on_both_servers!(as_many_jobs_are_created_as_there_are_jobs_for_every_strategy_and_shape_of_load);

/// Stands for the polling interval; what happens between two polls happens at its beginning.
const POLL: std::time::Duration = millis(200);
/// So many polls after the last job has ended, longer than anything that was ever held, none may create a Job.
const QUIET_POLLS: u32 = 10;
/// Enough for the longest load if each poll does what it should.
const MOST_POLLS: u32 = 60;

const STRATEGIES: [(&str, JobStrategy); 3] = [
    ("default", JobStrategy::Default),
    ("accurate", JobStrategy::Accurate),
    ("eager", JobStrategy::Eager),
];

/// How many jobs come before each poll.
const SHAPES: [(&str, &[u32]); 3] = [
    ("all at once", &[20]),
    ("a trickle", &[1; 12]),
    ("bursts", &[6, 0, 0, 4, 0, 0, 0, 0, 9, 2, 0, 1]),
];

/// What a Job and its job take, in polls. At 0 it happens before the next poll.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// From its creation until its pod runs, and has taken a job.
    start: u32,
    /// From then until the job and the Job have ended.
    run: u32,
}

/// The paces at which a strategy can be right. `eager` subtracts no Job that is pending (KEDA 2.20,
/// `pkg/scaling/executor/scale_jobs.go`), so that a job that waits through a poll gets another one, whatever we
/// say; docs/frameworks/README.md tells it.
fn paces(strategy: JobStrategy) -> Vec<Pace> {
    let starts: &[u32] = if strategy == JobStrategy::Eager { &[0] } else { &[0, 2] };
    let runs = [0, 1, 3];
    starts.iter().flat_map(|&start| runs.map(|run| Pace { start, run })).collect()
}

/// The signal that docs/frameworks/README.md names for a strategy.
fn recommended_signal(strategy: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/frameworks/README.md");
    let text = fs::read_to_string(page).unwrap();
    let table = text.split("| strategy | KEDA starts | signal |").nth(1).unwrap();
    let row = table.lines().find(|line| line.starts_with(&format!("| `{strategy}` |"))).unwrap();
    row.split('|').nth(3).unwrap().trim().trim_matches('`').to_owned()
}

/// A Job that has not ended.
#[derive(Debug, Clone, Copy)]
struct Job {
    starts_at: u32,
    /// The job that it has taken, and when that ends.
    taken: Option<(u32, u32)>,
}

/// One ScaledJob, its Jobs and its queue.
struct Run {
    name: String,
    object: ScaledJob,
    pace: Pace,
    trigger: Trigger,
    redis: Connection,
    jobs: Vec<Job>,
    created: u32,
    added: u32,
    ended: u32,
    /// What each poll said and created, for who reads a failure.
    told: Vec<String>,
}

impl Run {
    fn new(
        server: &Server,
        (word, strategy): (&str, JobStrategy),
        shape: &str,
        pace: Pace,
    ) -> Self {
        let Pace { start, run } = pace;
        let name = format!("{word}, {shape}, started after {start} polls, run for {run}");
        let queue = name.replace([' ', ','], "-");
        let signal = recommended_signal(word);
        let metadata =
            [("layout", "bullmq"), ("queue", &queue), ("signal", &signal), ("target", "1")];
        Self {
            trigger: Trigger { name: queue.clone(), ..trigger(metadata) },
            name,
            object: ScaledJob { strategy, ..ScaledJob::default() },
            pace,
            redis: server.connect(),
            jobs: vec![],
            created: 0,
            added: 0,
            ended: 0,
            told: vec![],
        }
    }

    fn key(&self, state: &str) -> String {
        format!("bull:{}:{state}", self.trigger.name)
    }

    fn add(&mut self, jobs: u32) {
        for _ in 0..jobs {
            let wait = self.key("wait");
            cmd("LPUSH").arg(wait).arg(self.added).exec(&mut self.redis).unwrap();
            self.added += 1;
        }
    }

    /// What the Jobs do before this poll. One that runs and finds no job ends at once.
    fn work(&mut self, poll: u32) {
        let (wait, active) = (self.key("wait"), self.key("active"));
        for mut job in std::mem::take(&mut self.jobs) {
            if job.taken.is_none() && job.starts_at <= poll {
                let mut take = cmd("LMOVE");
                take.arg(&wait).arg(&active).arg("RIGHT").arg("LEFT");
                let taken: Option<u32> = take.query(&mut self.redis).unwrap();
                let Some(taken) = taken else { continue };
                job.taken = Some((taken, poll + self.pace.run));
            }
            match job.taken {
                Some((taken, ends_at)) if ends_at <= poll => {
                    cmd("LREM").arg(&active).arg(1).arg(taken).exec(&mut self.redis).unwrap();
                    self.ended += 1;
                }
                _ => self.jobs.push(job),
            }
        }
    }

    /// As KEDA polls a ScaledJob: each call goes to another replica.
    async fn poll(&mut self, replicas: &[Keda; 2], poll: u32) {
        let (one, other) = (&replicas[poll as usize % 2], &replicas[(poll as usize + 1) % 2]);
        let spec = other.get_metric_spec(&self.trigger).await.unwrap().specs.remove(0);
        let value = one.value(&self.trigger).await.unwrap();
        let active = other.is_active(&self.trigger).await.unwrap();
        let number = |jobs: usize| u32::try_from(jobs).unwrap();
        let pending = number(self.jobs.iter().filter(|job| job.taken.is_none()).count());
        let running = number(self.jobs.len());
        let target = spec.target_size_float.try_into().unwrap();
        let load = JobLoad { value: value.into(), target, active, running, pending };
        let create = self.object.jobs_to_create(load);
        if create > 0 || value > 0.0 {
            self.told.push(format!("{poll}: {value} {active}, {running} run, {create} created"));
        }
        self.created += create;
        let starts_at = poll + 1 + self.pace.start;
        self.jobs.extend((0..create).map(|_| Job { starts_at, taken: None }));
    }

    /// Lets the load come and everything end. Gives what is wrong, if anything is.
    async fn go(mut self, replicas: [Keda; 2], load: &[u32]) -> Option<String> {
        let mut quiet = 0;
        for poll in 0..MOST_POLLS {
            let coming = load.get(poll as usize).copied();
            self.add(coming.unwrap_or_default());
            self.work(poll);
            sleep(POLL).await;
            self.poll(&replicas, poll).await;
            let is_over = coming.is_none() && self.jobs.is_empty() && self.ended == self.added;
            quiet = if is_over { quiet + 1 } else { 0 };
            if quiet == QUIET_POLLS {
                break;
            }
        }
        let Self { name, created, added, ended, told, .. } = self;
        let is_right = created == added && ended == added;
        (!is_right).then(|| {
            format!("{name}: {created} Jobs for {added} jobs, of which {ended} ended; {told:#?}")
        })
    }
}

async fn as_many_jobs_are_created_as_there_are_jobs_for_every_strategy_and_shape_of_load(
    kind: Kind,
) {
    let server = Server::start(kind);
    let services = [Service::of(&server).await, Service::of(&server).await];
    let replicas = [services[0].keda().await, services[1].keda().await];
    let mut runs = vec![];
    for strategy in STRATEGIES {
        for (shape, load) in SHAPES {
            for pace in paces(strategy.1) {
                runs.push(Run::new(&server, strategy, shape, pace).go(replicas.clone(), load));
            }
        }
    }
    let number = runs.len();
    let wrong: Vec<String> = join_all(runs).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {number} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
