//! What a real Redis says of the triggers that passed: the only part of `check` that asks a server, and only
//! where a URL is given for it. It asks as `probe` does.

use std::collections::{BTreeMap, BTreeSet};

use crate::{cli::probe, config::Config, trigger::Trigger};

use super::report::{Report, Severity};

/// Asks Redis for each trigger of the report that it may be asked for, and adds what came of it.
pub async fn ask(report: &mut Report, config: &Config) {
    let mut known: BTreeMap<(String, String), Vec<(Severity, String)>> = BTreeMap::new();
    let mut away: BTreeSet<String> = BTreeSet::new();
    for (place, namespace, trigger) in report.take_pending() {
        if away.contains(&trigger.connection) {
            continue;
        }
        let asked = (namespace.clone(), format!("{trigger:?}"));
        if !known.contains_key(&asked) {
            let (found, is_away) = said(&trigger, &namespace, config).await;
            if is_away {
                away.insert(trigger.connection.clone());
            }
            known.insert(asked.clone(), found);
        }
        for (severity, message) in known.get(&asked).into_iter().flatten() {
            report.add(&place, *severity, message);
        }
    }
}

/// What is said of one trigger, and whether its connection is of no use for others.
async fn said(
    trigger: &Trigger,
    namespace: &str,
    config: &Config,
) -> (Vec<(Severity, String)>, bool) {
    let replicas = probe::Replicas { current: 0, min: 0, max: 100 };
    match probe::probe(trigger.clone(), config, namespace, replicas).await {
        Ok(probe) => {
            (probe.absence().into_iter().map(|line| (Severity::Note, line)).collect(), false)
        }
        Err(error) => {
            let is_away = error.downcast_ref::<probe::NoNumber>().is_none();
            // (What was asked and answered stands before the reason.)
            let told = format!("{error:#}");
            let reason = told.lines().last().unwrap_or_default();
            (vec![(Severity::Problem, format!("asked now: {reason}"))], is_away)
        }
    }
}
