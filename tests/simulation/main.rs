//! The real sampler against a model Redis, in virtual time: everything that can come in another
//! order does, everything that can break does, and every observation is judged.
//!
//! One seed is one run, and the same run every time. `SEED=7 cargo test --test simulation --
//! --nocapture` runs one seed and shows what happened; `SEEDS=100000` runs that many, `STEPS=5000`
//! makes each run longer. The rules are in `oracle.rs` and `held.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "all of this is test code: it fails where it stands, shows what happened, and is told \
              by the environment how long to run"
)]

mod catalog;
mod chaos;
mod clock;
mod data;
mod faults;
mod held;
mod jobs;
mod ledger;
mod oracle;
mod run;
mod server;
mod source;
mod transcript;
mod turn;
mod weather;
mod wire;
mod world;

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// Runs of the default test, and the steps that they must come to.
const SEEDS: u64 = 1_000;
const LEAST_STEPS: u64 = 1_000_000;
/// Runs that are done twice and compared.
const REPEATED: u64 = 20;

fn from_environment(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Fails with what is needed to see a violation again.
fn check(seed: u64, steps: u64, outcome: &run::Outcome) {
    if let Some(violation) = &outcome.violation {
        let given = if steps == run::STEPS { String::new() } else { format!("STEPS={steps} ") };
        panic!(
            "{}\nseed {seed}, step {}: {violation}\n\
             SEED={seed} {given}cargo test --test simulation -- --nocapture",
            outcome.tail, outcome.steps
        );
    }
}

#[test]
fn no_order_of_events_makes_an_observation_untrue() {
    let steps = from_environment("STEPS").unwrap_or(run::STEPS);
    if let Some(seed) = from_environment("SEED") {
        let outcome = run::run(seed, steps);
        println!("{}", outcome.transcript);
        return check(seed, steps, &outcome);
    }
    let seeds = from_environment("SEEDS").unwrap_or(SEEDS);
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let calm = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(2);
    thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::SeqCst);
                if seed >= seeds {
                    return;
                }
                let outcome = run::run(seed, steps);
                done.fetch_add(outcome.steps - outcome.calm_steps, Ordering::SeqCst);
                calm.fetch_add(outcome.calm_steps, Ordering::SeqCst);
                if outcome.violation.is_some() {
                    // The other threads need not go on.
                    let seeds = next.swap(seeds, Ordering::SeqCst).min(seeds);
                    let steps = done.load(Ordering::SeqCst);
                    println!("found within {seeds} seeds and {steps} steps");
                }
                check(seed, steps, &outcome);
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    let (done, calm) = (done.into_inner(), calm.into_inner());
    println!("{seeds} seeds, {done} steps, and {calm} in calms between them");
    assert!(seeds < SEEDS || steps < run::STEPS || done >= LEAST_STEPS, "only {done} steps");
}

#[test]
fn a_seed_makes_the_same_run_every_time() {
    for seed in 0..REPEATED {
        let [one, other] = [(); 2].map(|()| run::run(seed, run::STEPS));
        assert!(one.transcript == other.transcript, "seed {seed} made two different runs");
        assert!(one.transcript.lines().count() > 500, "seed {seed} tells too little");
    }
}
