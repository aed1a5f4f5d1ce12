//! `/triggers`: what the service knows of each trigger, as JSON, for people who ask why something scaled.
//!
//! Nothing is read from Redis for it, and looking keeps no trigger remembered. Unknown is `null`, never 0.

use axum::{
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use crate::{
    layouts::Counts,
    limits,
    sampling::Observation,
    scaler::{Listing, Scaler},
    trigger::Trigger,
};

/// `/triggers`, and `/triggers?after=NAMESPACE/NAME` for those that come later in the order of both.
pub(super) async fn all(State(scaler): State<Scaler>, RawQuery(query): RawQuery) -> Response {
    let after = match query.as_deref().map(after) {
        None => None,
        Some(Some(object)) => Some(object),
        Some(None) => {
            let allowed = "the query may be after=NAMESPACE/NAME and nothing else\n";
            return (StatusCode::BAD_REQUEST, allowed).into_response();
        }
    };
    let listed = scaler.list(after, limits::TRIGGERS_LISTED);
    let body = json!({
        "remembered": scaler.count(),
        "triggers": listed.iter().map(described).collect::<Vec<_>>(),
    });
    answer(&body)
}

/// `/triggers/NAMESPACE/NAME`: the triggers of one object.
pub(super) async fn of_object(
    State(scaler): State<Scaler>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let listed = scaler.list_object((&namespace, &name));
    if listed.is_empty() {
        let unknown =
            "no trigger of this object is remembered: none was asked for in ten minutes\n";
        return (StatusCode::NOT_FOUND, unknown).into_response();
    }
    answer(&json!({ "triggers": listed.iter().map(described).collect::<Vec<_>>() }))
}

/// The names of Kubernetes have no character that a query would have to escape.
fn after(query: &str) -> Option<(&str, &str)> {
    query.strip_prefix("after=")?.split_once('/')
}

fn answer(body: &Value) -> Response {
    let mut text = format!("{body:#}");
    text.push('\n');
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn described(listing: &Listing) -> Value {
    let Listing { subject, link, observation, streams, asked } = listing;
    let trigger: &Trigger = &subject.trigger;
    let verdict = observation.as_ref().and_then(Observation::verdict);
    let (freshness, reason, age) = freshness(observation.as_ref());
    let asked: Map<String, Value> = (asked.iter())
        .map(|(method, ago)| (method.text().to_owned(), json!(ago.as_secs_f64())))
        .collect();
    json!({
        "namespace": subject.namespace,
        "name": subject.name,
        "metadata": {
            "redis": trigger.connection,
            "database": trigger.database,
            "layout": trigger.layout,
            "queues": trigger.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "signal": trigger.signal.kind().name(),
            "target": trigger.target.get(),
            "activation": trigger.activation.get(),
            "holdSeconds": trigger.stale_for.map(|hold| hold.as_secs_f64()),
            "activityWindowSeconds": trigger.activity_window.map(|window| window.as_secs_f64()),
        },
        "reads": trigger.to_string(),
        "link": link,
        "metricName": trigger.metric_name,
        "counts": verdict.map(|verdict| counts(&verdict.counts)),
        "value": verdict.map(|verdict| verdict.value.get()),
        "active": verdict.map(|verdict| verdict.active),
        "freshness": freshness,
        "reason": reason,
        "ageSeconds": age,
        "openStreams": streams,
        "lastAskedSecondsAgo": asked,
    })
}

fn counts(counts: &Counts) -> Value {
    json!({
        "waiting": counts.waiting.get(),
        "due": counts.due.get(),
        "inFlight": counts.in_flight.get(),
        "orphaned": counts.orphaned.get(),
    })
}

/// How far what is told may be trusted, why it is no better, and the age of a value that is held.
fn freshness(observation: Option<&Observation>) -> (&'static str, Option<String>, Option<f64>) {
    match observation {
        Some(Observation::Fresh(_)) => ("fresh", None, None),
        Some(Observation::Stale { age, why, .. }) => {
            ("held", Some(why.to_string()), Some(age.as_secs_f64()))
        }
        Some(Observation::Unavailable(why)) => ("unknown", Some(why.to_string()), None),
        Some(Observation::Misfit(misfit)) => ("mismatch", Some(misfit.to_string()), None),
        None => ("unknown", Some("it is not asked for any more".to_owned()), None),
    }
}
