//! A trigger's metadata: it is refused in words that show no secret, or makes a trigger within all
//! bounds, which is the same however it is written.

use penstock::{
    layouts::Registry,
    limits,
    metadata::plain_key,
    trigger::{Family, Problem, Problems, Trigger, belongs_to_connection, is_reserved},
};

use crate::{
    engine::{Target, Traits},
    hold,
    sound::sound,
};

use super::pairs;

pub const TARGET: Target = Target { name: "metadata", words: WORDS, check };

pub const WORDS: &[&str] = &[
    "queue",
    "layout",
    "signal",
    "target",
    "activation",
    "redis",
    "database",
    "databaseIndex",
    "staleFor",
    "activityWindow",
    "waiting",
    "scheduled",
    "inFlight",
    "orphans",
    "unit",
    "group",
    "orphanMaxAge",
    "leadTime",
    "prefix",
    "keyPrefix",
    "prioritySteps",
    "unacked",
    "unackedKey",
    "acks",
    "leases",
    "listName",
    "listLength",
    "activationListLength",
    "stream",
    "consumerGroup",
    "pendingEntriesCount",
    "lagCount",
    "activationLagCount",
    "streamLength",
    "scalerAddress",
    "enableTLS",
    "caCert",
    "tlsClientKey",
    "password",
    "passwordFromEnv",
    "sentinelMaster",
    "address",
    "FromEnv",
    "\n",
    "=",
    "keys",
    "celery",
    "rq",
    "bullmq",
    "sidekiq",
    "bull",
    "asynq",
    "huey",
    "resque",
    "laravel",
    "lease",
    "machinery",
    "taskiq",
    "dramatiq",
    "graflow",
    "arq",
    "backlog",
    "in-flight",
    "count",
    "ignore",
    "wake",
    "ms",
    "5s",
    "1h",
    "500ms",
    "late",
    "early",
    "own",
    "shared",
    "default",
    "a=3",
    "a,b",
    "\\,",
    "0.5",
    "1000000000000",
];
/// What stands in the place of a value that may be a secret.
const SECRET: &str = "S3CR3T-9f27c";
/// Keys that KEDA resolves secrets into and that mean nothing here.
const OF_KEDA: &[&str] = &["caCert", "tlsClientCert", "tlsClientKey"];
/// The longest that one problem may be.
const PROBLEM_BYTES: usize = 3 * 1024;

fn parse(pairs: &[(String, String)]) -> Result<Trigger, Problems> {
    Trigger::parse(pairs.to_vec(), Registry::builtin())
}

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let pairs = pairs(&text);
    let parsed = parse(&pairs);
    if pairs.len() > 1 {
        let mut turned = pairs.clone();
        turned.reverse();
        hold!(parse(&turned) == parsed, "the order of the keys makes a difference");
    }
    shows_no_secret(&pairs)?;
    match parsed {
        Err(problems) => told(&problems, traits),
        Ok(trigger) => {
            traits.note((&trigger.layout, trigger.signal, trigger.plan.reads().len().min(9)));
            let patterns = trigger.search.as_ref().map_or(0, |search| search.patterns().len());
            traits.note((trigger.family, patterns.min(2), trigger.database.is_some()));
            traits.note(trigger.plan.reads().first().map(std::mem::discriminant));
            sound(&trigger)?;
            normal(&pairs, &trigger)
        }
    }
}

fn told(problems: &Problems, traits: &mut Traits) -> Result<(), String> {
    hold!(!problems.is_empty(), "no trigger and no problem");
    for problem in problems.iter() {
        traits.note_message(&problem.what);
        let bytes = problem.key.len() + problem.what.len();
        hold!(bytes <= PROBLEM_BYTES, "a problem of {bytes} bytes");
    }
    let is_guess = |problem: &&Problem| problem.what.starts_with("is unknown; did you mean");
    let guesses = problems.iter().filter(is_guess).count();
    hold!(guesses <= limits::PROBLEMS_LISTED, "{guesses} keys are guessed at");
    let told = problems.to_string();
    hold!(!told.chars().any(char::is_control), "a control character is repeated: {told:?}");
    let most = limits::PROBLEMS_LISTED * PROBLEM_BYTES;
    hold!(told.len() <= most, "{} bytes are told", told.len());
    Ok(())
}

/// Puts a secret wherever a value may be one and looks for it in everything that can be shown.
fn shows_no_secret(pairs: &[(String, String)]) -> Result<(), String> {
    let registry = Registry::builtin();
    let is_secret = |key: &str| {
        let plain = plain_key(key);
        let is_known = is_reserved(plain) || registry.has_parameter(plain);
        belongs_to_connection(plain) || OF_KEDA.contains(&plain) || !is_known
    };
    if pairs.iter().any(|(key, value)| key.contains(SECRET) || value.contains(SECRET)) {
        return Ok(());
    }
    if !pairs.iter().any(|(key, _)| is_secret(key)) {
        return Ok(());
    }
    let mut pairs = pairs.to_vec();
    for (key, value) in &mut pairs {
        if is_secret(key) {
            SECRET.clone_into(value);
        }
    }
    let shown = match parse(&pairs) {
        Ok(trigger) => format!("{trigger} {trigger:?}"),
        Err(problems) => format!("{problems} {problems:?}"),
    };
    hold!(!shown.contains(SECRET), "it shows a secret: {shown}");
    Ok(())
}

/// The same trigger, with every default written out and every key by its plain name, is equal.
fn normal(pairs: &[(String, String)], trigger: &Trigger) -> Result<(), String> {
    let mut plain: Vec<(String, String)> = Vec::new();
    for (key, value) in pairs {
        let key = plain_key(key);
        let is_ours = !OF_KEDA.contains(&key)
            && !["scalerAddress", "enableTLS", "unsafeSsl", "databaseIndex"].contains(&key);
        if is_ours {
            plain.push((key.to_owned(), value.clone()));
        }
    }
    let mut set = |key: &str, value: String| {
        plain.retain(|(known, _)| known != key);
        plain.push((key.to_owned(), value));
    };
    if let Some(database) = trigger.database {
        set("database", database.to_string());
    }
    if let Some(budget) = trigger.stale_for {
        set("staleFor", format!("{}.{:09}s", budget.as_secs(), budget.subsec_nanos()));
    }
    set("redis", trigger.connection.clone());
    if trigger.family == Family::Own {
        set("layout", trigger.layout.clone());
        set("signal", trigger.signal.name().to_owned());
        set("target", trigger.target.get().to_string());
        set("activation", trigger.activation.get().to_string());
    }
    let again = parse(&plain);
    let is_same = again.as_ref().is_ok_and(|again| is_near(again, trigger));
    hold!(is_same, "{plain:?} makes another trigger: {again:?}, not {trigger:?}");
    Ok(())
}

/// A budget that was written as a decimal may be off by a nanosecond.
fn is_near(one: &Trigger, other: &Trigger) -> bool {
    let off = |one: &Trigger, other: &Trigger| {
        let budgets = one.stale_for.zip(other.stale_for);
        budgets.map_or(one.stale_for == other.stale_for, |(a, b)| a.abs_diff(b).as_micros() < 1)
    };
    let mut with_budget = one.clone();
    with_budget.stale_for = other.stale_for;
    off(one, other) && with_budget == *other
}
