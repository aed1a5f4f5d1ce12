//! `penstock probe`: one trigger now, with the commands, the replies and the arithmetic.
//!
//! It asks Redis by the same source that the service uses, so that what it shows is what KEDA
//! would be told; it holds no state and keeps no connection.

use std::{fmt::Write, time::Duration};

use anyhow::{Context, anyhow, bail};
use penstock_hpa::{Load, MetricValue, StatusReplicas, Target, desired_replicas};
use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    cli::nearby::{self, Nearby, ProbeTarget},
    config::Config,
    layouts::{Answer, Count, Counts, Inexact, Measure},
    limits,
    redis::{Credentials, Exchange, RedisSource, SourceLink},
    sampling::{Changes, Fault, Flow, FlowRead, Link, Reply, Source},
    signals::Activity,
    telemetry::{CredentialMetrics, SentinelMetrics},
    time::Instant,
    trigger::{Trigger, Verdict},
};

mod arithmetic;
mod search;
mod time;

use search::Findings;
use time::Watched;

/// Between two looks whether workers were listened to for long enough, once they should have been.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What the workload's scaling allows, as the ScaledObject would say it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replicas {
    pub(super) current: u32,
    pub(super) min: u32,
    pub(super) max: u32,
}

/// What was found out about a trigger.
pub(super) struct Probe {
    trigger: Trigger,
    findings: Option<Findings>,
    exchanges: Vec<Exchange>,
    answers: Vec<Answer>,
    verdict: Verdict,
    /// What the value is made of: what came in a second, and how long ago something was.
    told: Counts,
    replicas: Replicas,
    /// What is near keys of which none exists.
    nearby: Option<Nearby>,
}

/// Redis answered, and what it holds has no number.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoNumber(String);

/// Reads `trigger` once, as `namespace` would be allowed to.
pub(super) async fn probe(
    trigger: Trigger,
    config: &Config,
    namespace: &str,
    replicas: Replicas,
) -> anyhow::Result<Probe> {
    let name = &trigger.connection;
    let connection = config.connections.get(name).ok_or_else(|| {
        let known: Vec<&str> = config.connections.keys().map(String::as_str).collect();
        anyhow!("redis: `{name}` is no configured connection; there is {}", known.join(", "))
    })?;
    let database = (connection.access.authorize(namespace, &trigger))
        .with_context(|| format!("connection `{name}`"))?;
    let credentials = Credentials::new(connection, CredentialMetrics::detached());
    credentials.renew().await?;
    let sentinels = SentinelMetrics::detached();
    let source =
        RedisSource::with_credentials(connection, database, credentials.clone(), sentinels);
    let around = ProbeTarget { connection, database, credentials };
    let place = connection.endpoint.to_string();
    let link = timeout(limits::CONNECT_DEADLINE, source.connect(Changes::new(drop))).await;
    let mut link = link.with_context(|| format!("{place} did not answer in time"))??;
    let guard = link.guard();
    let asked = async {
        let (trigger, findings) = match &trigger.search {
            Some(search) => {
                let looked = search::look(&mut link, search, connection.access.keys());
                let looked = timeout(limits::PROBE_SEARCH, looked).await;
                let findings =
                    looked.with_context(|| format!("{place} has too many keys to look at"))??;
                (Trigger { plan: findings.plan.clone(), ..trigger }, Some(findings))
            }
            None => (trigger, None),
        };
        let mut watched = Watched::default();
        let mut exchanges = vec![];
        if trigger.settings.window.is_some() {
            let (first, asked) = read(&mut link, &trigger, &place).await?;
            watched.note(&trigger.plan, &first);
            exchanges = asked;
            sleep(limits::PROBE_RATE).await;
        }
        let (replies, asked) = read(&mut link, &trigger, &place).await?;
        watched.note(&trigger.plan, &replies);
        exchanges.extend(asked);
        let shows_no_key = |reply: &Result<Reply, Fault>| {
            reply.as_ref().is_ok_and(|reply| !reply.answer.shows_a_key())
        };
        let nearby = if replies.iter().all(shows_no_key) {
            nearby::look(&mut link, &trigger, &around).await?
        } else {
            None
        };
        anyhow::Ok((trigger, findings, replies, watched, exchanges, nearby))
    };
    let (trigger, findings, replies, watched, exchanges, nearby) = tokio::select! {
        asked = asked => asked?,
        fault = guard => bail!("{fault}"),
    };
    let answers = replies.into_iter().map(|reply| reply.map(|reply| reply.answer));
    let answers = answers.collect::<Result<Vec<Answer>, _>>();
    let told = |why: &dyn std::fmt::Display| NoNumber(format!("{}{why}", transcript(&exchanges)));
    let answers = answers.map_err(|fault| told(&fault))?;
    let known: Vec<&Answer> = answers.iter().collect();
    match trigger.verdict(&known) {
        Ok(verdict) => {
            let counts = watched.counts(&trigger, verdict.counts).map_err(|why| told(&why))?;
            let value = trigger.signal.value(&counts, &trigger.settings);
            let verdict = trigger.verdict_with(value, verdict.counts);
            let told = counts;
            Ok(Probe { trigger, findings, exchanges, answers, verdict, told, replicas, nearby })
        }
        Err(mismatch) => Err(told(&mismatch).into()),
    }
}

/// Asks everything once. What is heard is waited for: until it was listened to for long enough
/// nobody knows, and the last look is the one that counts.
async fn read(
    link: &mut SourceLink,
    trigger: &Trigger,
    place: &str,
) -> anyhow::Result<(Vec<Result<Reply, Fault>>, Vec<Exchange>)> {
    let since = Instant::now();
    let mut first = true;
    loop {
        link.record();
        let reads = trigger.plan.reads();
        let flow: Flow = (0..reads.len()).map(FlowRead::Sent).collect();
        let replies = timeout(limits::READ_DEADLINE, link.read(reads, &[flow])).await;
        let replies = replies.with_context(|| format!("{place} did not answer in time"))??;
        let listening = replies.iter().find_map(|reply| match reply {
            Err(Fault::Listening(listening)) => Some(*listening),
            Ok(_) | Err(_) => None,
        });
        let is_looking = replies.iter().any(|reply| matches!(reply, Err(Fault::Looking { .. })));
        if is_looking && since.elapsed() < limits::PROBE_SEARCH {
            continue;
        }
        match listening {
            // Nothing can be known any sooner, so that Redis is left alone until then.
            Some(listening) if std::mem::take(&mut first) => sleep(listening).await,
            Some(listening) if since.elapsed() < 2 * listening => sleep(LOOK_AGAIN).await,
            Some(_) | None => return Ok((replies, link.take_transcript())),
        }
    }
}

impl Probe {
    /// That none of its keys exists, and what is near, if so.
    pub(super) fn absence(&self) -> Vec<String> {
        let lines = |nearby: &Nearby| [vec![nearby.missing()], nearby.near()].concat();
        self.nearby.as_ref().map(lines).unwrap_or_default()
    }

    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let Self { trigger, .. } = self;
        let mut text = String::new();
        writeln!(text, "trigger    {trigger} (layout {})", trigger.layout)?;
        let auto = if trigger.has_auto_target { " (auto)" } else { "" };
        let target = trigger.target.get();
        writeln!(text, "metric     {}, target {target}{auto}", trigger.metric_name)?;
        if let Some(invisible) = &trigger.invisible {
            writeln!(text, "not seen   {invisible}")?;
        }
        if let Some(hint) = &trigger.hint {
            writeln!(text, "note       {hint}")?;
        }
        for inexact in self.inexact() {
            writeln!(text, "not exact  {inexact}")?;
        }
        for line in self.findings.iter().flat_map(Findings::lines) {
            writeln!(text, "{line}")?;
        }
        writeln!(text)?;
        text += &transcript(&self.exchanges);
        writeln!(text)?;
        for (measure, terms) in self.states() {
            let (sum, count) = (self.sum(measure, terms), self.told[measure]);
            writeln!(text, "{:<10} {sum} = {count}", measure.words())?;
        }
        writeln!(text)?;
        for (n, line) in self.absence().iter().enumerate() {
            writeln!(text, "{:<10} {line}", if n == 0 { "no key" } else { "near" })?;
        }
        for (n, step) in self.steps().iter().enumerate() {
            writeln!(text, "{:<10} {step}", if n == 0 { "value" } else { "" })?;
        }
        writeln!(text, "active     {}", self.activity())?;
        writeln!(text, "replicas   {}", self.advice())?;
        Ok(text)
    }

    pub(super) fn json(&self) -> Value {
        let Self { trigger, verdict, .. } = self;
        let is_known = |measure: &Measure| measure.is_of_jobs() || self.tells(*measure);
        let counts = verdict.counts.iter().filter(|(measure, _)| is_known(measure));
        let counts = counts.map(|(measure, count)| (measure.key().to_owned(), count.get().into()));
        let commands: Vec<Value> = (self.exchanges.iter())
            .map(|Exchange { node, command, reply }| match node {
                Some(node) => json!({"node": node, "command": command, "reply": reply}),
                None => json!({"command": command, "reply": reply}),
            })
            .collect();
        json!({
            "trigger": trigger.to_string(),
            "connection": trigger.connection,
            "layout": trigger.layout,
            "signal": trigger.signal.name(),
            "metricName": trigger.metric_name,
            "target": trigger.target.get(),
            "activation": trigger.activation.get(),
            "notVisible": trigger.invisible,
            "hint": trigger.hint.as_ref().map(ToString::to_string),
            "notExact": self.inexact().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "queuesFound": self.findings.as_ref().map(Findings::names),
            "leftOut": self.findings.as_ref().and_then(Findings::left_out),
            "noKey": self.nearby.as_ref().map(Nearby::missing),
            "near": self.nearby.as_ref().map(Nearby::near),
            "commands": commands,
            "counts": counts.collect::<Map<String, Value>>(),
            "value": verdict.value.get(),
            "arithmetic": self.steps(),
            "active": verdict.active,
            "replicas": {
                "current": self.replicas.current,
                "keda": self.keda_sets(),
                "hpa": self.hpa_wants(),
            },
        })
    }

    /// Why the counts are no more than bounds, if they are.
    fn inexact(&self) -> Vec<Inexact> {
        self.trigger.plan.inexact(&self.answers.iter().collect::<Vec<_>>())
    }

    fn activity(&self) -> String {
        let activation = self.trigger.activation.get();
        let compared = |answer: &str, ready: Count, relation: &str| {
            format!(
                "{answer}: waiting + due = {ready} {relation} activation {activation}, nothing in flight"
            )
        };
        match self.trigger.activity(self.verdict.value, &self.verdict.counts) {
            Activity::InFlight(jobs) => format!("yes: {jobs} in flight"),
            Activity::Orphaned(jobs) => {
                format!("yes: {jobs} orphaned, which a new worker brings back")
            }
            Activity::Ready(ready) => compared("yes", ready, ">"),
            Activity::Idle(ready) => compared("no", ready, "≤"),
            Activity::Above(value) => format!("yes: value {value} > activation {activation}"),
            Activity::NotAbove(value) => format!("no: value {value} ≤ activation {activation}"),
        }
    }

    /// What KEDA itself sets: it only wakes a workload that is at zero.
    fn keda_sets(&self) -> u32 {
        match (self.replicas.current, self.verdict.active) {
            (0, true) => self.replicas.min.max(1),
            (current, _) => current,
        }
    }

    /// What the HPA asks for from there; `None` while it is off, at zero replicas.
    fn hpa_wants(&self) -> Option<u32> {
        let replicas = self.keda_sets();
        if replicas == 0 {
            return None;
        }
        let target = Target::try_from(self.trigger.target.get()).ok()?;
        let value = MetricValue::from(self.verdict.value.get());
        let wanted = desired_replicas(Load { value, target, replicas: StatusReplicas(replicas) });
        Some(wanted.clamp(self.replicas.min.max(1), self.replicas.max.max(1)))
    }

    fn advice(&self) -> String {
        let Replicas { current, min, max } = self.replicas;
        let keda = self.keda_sets();
        let value = self.verdict.value;
        let target = self.trigger.target.get();
        match self.hpa_wants() {
            None => format!("{current}: inactive, so KEDA leaves it there"),
            Some(hpa) => {
                let lead = if keda == current {
                    format!("{current} now")
                } else {
                    format!("{current} now, KEDA wakes it to {keda}")
                };
                let tail = if self.verdict.active {
                    ""
                } else {
                    "; inactive, so KEDA scales it in after the cooldown"
                };
                format!(
                    "{lead}, the HPA asks for {hpa} (⌈{value} / {target}⌉ within {} and {max}, ±10 % tolerated){tail}",
                    min.max(1)
                )
            }
        }
    }
}

fn transcript(exchanges: &[Exchange]) -> String {
    exchanges
        .iter()
        .map(|Exchange { node, command, reply }| {
            let node = node.as_ref().map(|node| format!("{node} ")).unwrap_or_default();
            format!("  {node}> {command}\n  < {reply}\n")
        })
        .collect()
}
