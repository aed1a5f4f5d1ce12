//! `/triggers`: what the service knows of each trigger, as JSON, for people who ask why something scaled.
//!
//! Nothing is read from Redis for it, and looking keeps no trigger remembered. Unknown is `null`, never 0.

use std::time::Duration;

use axum::{
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use url::form_urlencoded::{self, Serializer};

use crate::{
    layouts::{Counts, Plan},
    limits,
    sampling::{Look, Observation, Why},
    scaler::{Listing, Scaler},
    trigger::{Trigger, cut},
};

/// `/triggers`, and `/triggers?namespace=NAMESPACE&name=NAME` for those that come later in the order of both.
pub(super) async fn all(State(scaler): State<Scaler>, RawQuery(query): RawQuery) -> Response {
    let Ok(after) = after(query.as_deref().unwrap_or_default()) else {
        let allowed = "the query may be namespace=NAMESPACE&name=NAME and nothing else\n";
        return (StatusCode::BAD_REQUEST, allowed).into_response();
    };
    let after = after.as_ref().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
    let listed = scaler.list(after, limits::TRIGGERS_LISTED);
    let last = listed.last().filter(|_| listed.len() >= limits::TRIGGERS_LISTED);
    answer(&json!({
        "remembered": scaler.count(),
        "next": last.map(next),
        "triggers": listed.iter().map(described).collect::<Vec<_>>(),
    }))
}

/// `/triggers/NAMESPACE/NAME`: the triggers of one object.
pub(super) async fn of_object(
    State(scaler): State<Scaler>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let listed = scaler.list_object((&namespace, &name), limits::TRIGGERS_LISTED);
    if listed.is_empty() {
        let unknown =
            "no trigger of this object is remembered: none was asked for in ten minutes\n";
        return (StatusCode::NOT_FOUND, unknown).into_response();
    }
    answer(&json!({ "triggers": listed.iter().map(described).collect::<Vec<_>>() }))
}

/// The object after which a page begins, if the query names one.
fn after(query: &str) -> Result<Option<(String, String)>, ()> {
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    match pairs.as_slice() {
        [] => Ok(None),
        [(first, namespace), (second, name)] if first == "namespace" && second == "name" => {
            Ok(Some((namespace.to_string(), name.to_string())))
        }
        _ => Err(()),
    }
}

/// Where the next page is.
fn next(last: &Listing) -> String {
    let path = "/triggers?";
    let mut query = Serializer::for_suffix(path.to_owned(), path.len());
    query.append_pair("namespace", &last.subject.namespace);
    query.append_pair("name", &last.subject.name);
    query.finish()
}

fn answer(body: &Value) -> Response {
    let mut text = format!("{body:#}");
    text.push('\n');
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn described(listing: &Listing) -> Value {
    let Listing { subject, link, look, target, streams, asked } = listing;
    let trigger: &Trigger = &subject.trigger;
    let settings = &trigger.settings;
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let observation = look.as_ref().map(|look| &look.observation);
    let verdict = observation.and_then(Observation::verdict);
    let (freshness, reason, age) = freshness(observation);
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
            "signal": trigger.signal.name(),
            "target": target.get(),
            "targetIsAuto": trigger.has_auto_target,
            "activation": trigger.activation.get(),
            "holdSeconds": seconds(trigger.stale_for),
            "windowSeconds": seconds(settings.window),
            "slots": settings.slots,
            "maxWaitSeconds": seconds(settings.max_wait),
            "taskTimeSeconds": seconds(settings.task_time),
            "taskTimeIsMeasured": settings.measures_task_time,
            "keepUp": settings.keep_up,
            "activityWindowSeconds": seconds(trigger.activity_window),
        },
        "reads": cut(&trigger.to_string(), limits::TRIGGER_CHARS_SHOWN),
        "notVisible": trigger.invisible,
        "link": link,
        "metricName": trigger.metric_name,
        "counts": verdict.map(|verdict| counts(&verdict.counts, &trigger.in_words())),
        "exact": verdict.and(look.as_ref()).map(|Look { is_exact, .. }| is_exact),
        "taskTimeSeconds": seconds(look.as_ref().and_then(|look| look.task_time)),
        "value": verdict.map(|verdict| verdict.value.get()),
        "active": observation.and_then(Observation::active),
        "freshness": freshness,
        "reason": reason,
        "ageSeconds": age,
        "openStreams": streams,
        "lastAskedSecondsAgo": asked,
    })
}

/// What was counted. Of a state that the trigger reads nothing for, nothing is known.
fn counts(counts: &Counts, plan: &Plan) -> Value {
    let terms = plan.terms();
    let known = counts.iter().map(|(measure, count)| {
        let is_read = !terms[measure].is_empty();
        (measure.key().to_owned(), is_read.then_some(count.get()).into())
    });
    Value::Object(known.collect())
}

/// How far what is told may be trusted, why it is no better, and the age of a value that is held.
fn freshness(observation: Option<&Observation>) -> (&'static str, Option<String>, Option<f64>) {
    match observation {
        Some(Observation::Fresh(_)) => ("fresh", None, None),
        Some(Observation::Stale { age, why, .. }) => {
            ("held", Some(why.to_string()), Some(age.as_secs_f64()))
        }
        Some(
            Observation::ActivityOnly { why: Why::Mismatch(mismatch), .. }
            | Observation::LayoutMismatch(mismatch),
        ) => ("mismatch", Some(mismatch.to_string()), None),
        Some(Observation::ActivityOnly { why, .. } | Observation::Unavailable(why)) => {
            ("unknown", Some(why.to_string()), None)
        }
        None => ("unknown", Some("it is not asked for any more".to_owned()), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_where_the_one_before_ends_whatever_the_names() {
        let object = |namespace: &str, name: &str| Some((namespace.to_owned(), name.to_owned()));
        for (query, wanted) in [
            ("", Ok(None)),
            ("namespace=shop&name=worker", Ok(object("shop", "worker"))),
            ("namespace=a%2Fb+c&name=%C3%A9%26", Ok(object("a/b c", "é&"))),
            ("namespace=&name=", Ok(object("", ""))),
            ("after=shop/worker", Err(())),
            ("namespace=shop", Err(())),
            ("name=worker&namespace=shop", Err(())),
        ] {
            assert_eq!(after(query), wanted, "{query}");
        }
    }
}
