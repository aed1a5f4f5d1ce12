//! What a real KEDA and HPA did with a ScaledObject, and the model of the two held against it.
//!
//! The phases of poll and sync are not in a recording, so a model matches if it does for some phase.

use std::{path::Path, time::Duration};

use penstock_hpa::{
    Autoscaler, Behavior, Change, HpaFlags, Policy, Reading, ScaledObject, ScalingRules,
    SelectPolicy, StatusReplicas, Trigger,
};
use serde_json::Value;

/// Steps of the simulated clock per second, and so the grid of the phases.
const STEPS: u64 = 4;

/// A recording: its form is in crates/hpa/tests/traces/README.md.
#[derive(Clone)]
pub struct Recording {
    pub name: String,
    pub spec: ScaledObject,
    start: u32,
    profiles: Vec<Vec<Point>>,
    pub seen: Seen,
    end: u64,
}

#[derive(Clone, Copy)]
struct Point {
    at: f64,
    value: f64,
    is_ramp: bool,
}

/// What a sampler that looks once a second sees: only differences, and no activity before there is one.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub replicas: Vec<(f64, u64)>,
    desired: Vec<u64>,
    active: Vec<bool>,
}

/// When in their intervals KEDA polls and the HPA syncs, in steps of the simulated clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phase {
    poll: u64,
    sync: u64,
}

impl Seen {
    fn sample(&mut self, at: f64, (replicas, desired): (u64, u64), active: Option<bool>) {
        if self.replicas.last().is_none_or(|last| last.1 != replicas) {
            self.replicas.push((at, replicas));
        }
        self.desired.push(desired);
        self.desired.dedup();
        self.active.extend(active);
        self.active.dedup();
    }

    fn matches(&self, other: &Seen, slack: f64) -> bool {
        let is_near = |(a, b): (&(f64, u64), &(f64, u64))| a.1 == b.1 && (a.0 - b.0).abs() <= slack;
        self.replicas.len() == other.replicas.len()
            && self.replicas.iter().zip(&other.replicas).all(is_near)
            && self.desired == other.desired
            && self.active == other.active
    }
}

impl Recording {
    /// One that is kept in a file.
    pub fn read(path: &Path) -> Self {
        Self::of(&serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    /// One that was made just now.
    pub fn of(json: &Value) -> Self {
        let mut seen = Seen::default();
        for change in items(&json["changes"]) {
            let active = match change["active"].as_str().unwrap() {
                "True" => Some(true),
                "False" => Some(false),
                _ => None,
            };
            let counts = (whole(&change["replicas"]), whole(&change["hpa_desired"]));
            seen.sample(change["t"].as_f64().unwrap(), counts, active);
        }
        let last = items(&json["changes"]).last().unwrap()["t"].as_f64().unwrap();
        Self {
            name: json["scenario"].as_str().unwrap().to_owned(),
            spec: scaled_object(json),
            start: count(&json["start_replicas"]),
            profiles: items(&json["triggers"]).iter().map(profile).collect(),
            seen,
            end: Duration::from_secs_f64(last).as_secs() + 15,
        }
    }

    fn readings(&self, at: f64) -> Vec<Reading> {
        let read =
            |(trigger, profile): (&Trigger, &Vec<Point>)| trigger.reading(value_at(profile, at));
        self.spec.triggers.iter().zip(&self.profiles).map(read).collect()
    }

    /// What the model would have done.
    pub fn simulate(&self, flags: HpaFlags, phase: Phase) -> Seen {
        let mut autoscaler = Autoscaler::new(self.spec.clone(), flags, self.start).unwrap();
        let (poll, sync) = (steps(self.spec.polling_interval), steps(flags.sync_period));
        let mut seen = Seen::default();
        for step in 0..=self.end * STEPS {
            let now = Duration::from_millis(step * 1000 / STEPS);
            if step % poll == phase.poll {
                let _sampled = autoscaler.poll(now, &self.readings(now.as_secs_f64()));
            }
            if step % sync == phase.sync {
                let status = StatusReplicas(autoscaler.replicas());
                let _sampled = autoscaler.hpa_sync(now, status, &self.readings(now.as_secs_f64()));
            }
            if step % STEPS == 0 {
                let counts = (autoscaler.replicas().into(), autoscaler.hpa_desired().into());
                seen.sample(now.as_secs_f64(), counts, autoscaler.active());
            }
        }
        seen
    }

    /// A phase for which the model does what was recorded: the same counts in the same order, for the replicas, the
    /// HPA's desired replicas and the activity, and each change of replicas within one poll plus one sync.
    pub fn matching_phase(&self, flags: HpaFlags) -> Option<Phase> {
        self.phase_within(self.spec.polling_interval + flags.sync_period, flags)
    }

    /// The same, with each change of replicas within this time.
    pub fn phase_within(&self, slack: Duration, flags: HpaFlags) -> Option<Phase> {
        let polls = 0..steps(self.spec.polling_interval);
        let mut phases = polls
            .flat_map(|poll| (0..steps(flags.sync_period)).map(move |sync| Phase { poll, sync }));
        phases.find(|&phase| self.simulate(flags, phase).matches(&self.seen, slack.as_secs_f64()))
    }
}

fn steps(interval: Duration) -> u64 {
    interval.as_secs() * STEPS
}

fn value_at(profile: &[Point], at: f64) -> f64 {
    let next = profile.partition_point(|point| point.at <= at);
    let from = profile[next.saturating_sub(1)];
    match profile.get(next) {
        Some(to) if from.is_ramp => {
            (from.value + (to.value - from.value) * (at - from.at) / (to.at - from.at)).round()
        }
        Some(_) | None => from.value,
    }
}

fn profile(trigger: &Value) -> Vec<Point> {
    let point = |point: &Value| Point {
        at: number(&point[0]),
        value: number(&point[1]),
        is_ramp: point[2] == "linear",
    };
    items(&trigger["profile"]).iter().map(point).collect()
}

fn scaled_object(json: &Value) -> ScaledObject {
    let (spec, default) = (&json["spec"], ScaledObject::default());
    let behavior = &spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"];
    let or = |key: &str, default| {
        if spec[key].is_null() { default } else { seconds(&spec[key]) }
    };
    let trigger = |trigger: &Value| Trigger {
        target: number(&trigger["target"]).try_into().unwrap(),
        activation: if trigger["activation"].is_null() {
            0.0
        } else {
            number(&trigger["activation"])
        },
    };
    ScaledObject {
        triggers: items(&json["triggers"]).iter().map(trigger).collect(),
        polling_interval: or("pollingInterval", default.polling_interval),
        cooldown_period: or("cooldownPeriod", default.cooldown_period),
        initial_cooldown_period: or("initialCooldownPeriod", default.initial_cooldown_period),
        min_replica_count: optional(&spec["minReplicaCount"], count)
            .unwrap_or(default.min_replica_count),
        max_replica_count: optional(&spec["maxReplicaCount"], count)
            .unwrap_or(default.max_replica_count),
        idle_replica_count: optional(&spec["idleReplicaCount"], count),
        fallback: None,
        behavior: optional(behavior, |behavior| Behavior {
            scale_up: rules(&behavior["scaleUp"], ScalingRules::scale_up_default()),
            scale_down: rules(&behavior["scaleDown"], ScalingRules::scale_down_default()),
        }),
    }
}

fn rules(json: &Value, default: ScalingRules) -> ScalingRules {
    let policy = |policy: &Value| Policy {
        change: match policy["type"].as_str().unwrap() {
            "Pods" => Change::Pods(count(&policy["value"])),
            "Percent" => Change::Percent(count(&policy["value"])),
            other => panic!("policy type {other}"),
        },
        period: seconds(&policy["periodSeconds"]),
    };
    let select = |select: &Value| match select.as_str().unwrap() {
        "Max" => SelectPolicy::Max,
        "Min" => SelectPolicy::Min,
        "Disabled" => SelectPolicy::Disabled,
        other => panic!("selectPolicy {other}"),
    };
    let policies = |policies: &Value| items(policies).iter().map(policy).collect();
    ScalingRules {
        stabilization_window: optional(&json["stabilizationWindowSeconds"], seconds),
        policies: optional(&json["policies"], policies).unwrap_or(default.policies),
        select: optional(&json["selectPolicy"], select).unwrap_or(default.select),
        tolerance: optional(&json["tolerance"], number),
    }
}

fn optional<T>(json: &Value, read: impl FnOnce(&Value) -> T) -> Option<T> {
    (!json.is_null()).then(|| read(json))
}

fn items(json: &Value) -> &[Value] {
    json.as_array().unwrap()
}

fn whole(json: &Value) -> u64 {
    json.as_u64().unwrap()
}

fn count(json: &Value) -> u32 {
    whole(json).try_into().unwrap()
}

fn seconds(json: &Value) -> Duration {
    Duration::from_secs(whole(json))
}

/// A number, also where KEDA wants it quoted.
fn number(json: &Value) -> f64 {
    json.as_f64().or_else(|| json.as_str()?.parse().ok()).unwrap()
}
