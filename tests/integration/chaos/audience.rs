//! Who hears the answers: streams on most triggers, and calls all the time. What they were told is
//! kept with its time, and judged later by the books.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::{
    harness::{CALL, STEP},
    wire::{Keda, Trigger},
};

/// What was said of a trigger; nothing where it was UNAVAILABLE.
#[derive(Debug, Clone)]
pub struct Sample {
    pub member: usize,
    pub asked_at: Instant,
    pub answered_at: Instant,
    pub value: Option<f64>,
    pub active: Option<bool>,
}

/// Unavailable is no answer; any other refusal is wrong.
fn known<T>(answer: Result<T, Status>) -> Option<T> {
    if let Err(status) = &answer {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }
    answer.ok()
}

/// Asks for value and activity of one trigger.
pub async fn ask(keda: &Keda, member: usize, trigger: &Trigger) -> Sample {
    let asked_at = Instant::now();
    let (value, active) = tokio::join!(keda.value(trigger), keda.is_active(trigger));
    let (value, active) = (known(value), known(active));
    Sample { member, asked_at, answered_at: Instant::now(), value, active }
}

/// Asks some triggers after others until it is stopped; every answer must come in time.
pub async fn sample(keda: Keda, triggers: Vec<Trigger>, stop: CancellationToken) -> Vec<Sample> {
    const AT_ONCE: usize = 9;
    let mut samples = Vec::new();
    let mut first = 0;
    while !stop.is_cancelled() {
        let some = (first..first + AT_ONCE).map(|number| number % triggers.len());
        let asked = join_all(some.map(|member| ask(&keda, member, &triggers[member]))).await;
        for sample in &asked {
            let took = sample.answered_at - sample.asked_at;
            assert!(took < CALL, "an answer took {took:?}");
        }
        samples.extend(asked);
        first += AT_ONCE;
        sleep(STEP).await;
    }
    samples
}

#[derive(Debug, Clone)]
struct Message {
    member: usize,
    at: Instant,
    active: Result<bool, String>,
}

/// A stream on each of some triggers, read as soon as something comes.
pub struct Listeners {
    heard: Arc<Mutex<Vec<Message>>>,
    _tasks: JoinSet<()>,
}

impl Listeners {
    pub async fn of(keda: &Keda, triggers: impl Iterator<Item = (usize, &Trigger)>) -> Self {
        let heard = Arc::<Mutex<Vec<Message>>>::default();
        let mut tasks = JoinSet::new();
        for (member, trigger) in triggers {
            let mut stream = keda.stream_is_active(trigger).await.unwrap();
            let heard = Arc::clone(&heard);
            tasks.spawn(async move {
                loop {
                    let active = match stream.message().await {
                        Ok(Some(activity)) => Ok(activity.result),
                        Ok(None) => Err("the stream ended".to_owned()),
                        Err(status) => Err(status.to_string()),
                    };
                    let goes_on = active.is_ok();
                    let message = Message { member, at: Instant::now(), active };
                    heard.lock().unwrap_or_else(PoisonError::into_inner).push(message);
                    if !goes_on {
                        return;
                    }
                }
            });
        }
        Self { heard, _tasks: tasks }
    }

    fn heard(&self) -> Vec<Message> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the stream of a trigger said last.
    pub fn last(&self, member: usize) -> Option<bool> {
        let heard = self.heard();
        let of_member = heard.iter().rfind(|message| message.member == member);
        of_member.map(|message| message.active.clone().unwrap())
    }

    /// Everything that was said so far, as samples without a value. A message is as old as `delay`
    /// at most when it is read.
    pub fn samples(&self, delay: Duration) -> Vec<Sample> {
        let sample = |Message { member, at, active }: Message| Sample {
            member,
            asked_at: at.checked_sub(delay).unwrap_or(at),
            answered_at: at,
            value: None,
            active: Some(active.unwrap()),
        };
        self.heard().into_iter().map(sample).collect()
    }
}
