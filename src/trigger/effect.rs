//! Keys of a trigger that change nothing, although its author seems to believe that they do.
//!
//! They are no mistake to refuse, and finding them takes a parse for each, so only `check` asks.

use crate::{layouts::Registry, metadata::plain_key};

use super::Trigger;

/// The keys of the layout, as they are spelled, without which this trigger would count the same and
/// see as much; not those that say what holds anyway. None of a trigger that has problems.
#[must_use]
pub fn without_effect(pairs: &[(String, String)], registry: &Registry) -> Vec<String> {
    let parse = |pairs: Vec<(String, String)>| Trigger::parse(pairs, registry).ok();
    let Some(whole) = parse(pairs.to_vec()) else { return vec![] };
    let Some(layout) = registry.get(&whole.layout) else { return vec![] };
    let is_idle = |(key, value): &&(String, String)| {
        let Some(parameter) = layout.parameter(plain_key(key)) else { return false };
        if parameter.kind.default_text().as_ref() == Some(value) {
            return false;
        }
        let others = pairs.iter().filter(|(other, _)| other != key).cloned();
        let counted = |trigger: &Trigger| {
            (trigger.plan.clone(), trigger.search.clone(), trigger.invisible.clone())
        };
        parse(others.collect()).is_some_and(|rest| counted(&rest) == counted(&whole))
    };
    pairs.iter().filter(is_idle).map(|(key, _)| key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(text: &str) -> Vec<String> {
        let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<(String, String)> =
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        without_effect(&pairs, Registry::builtin())
    }

    #[test]
    fn a_key_that_changes_nothing_is_found_by_leaving_it_out() {
        for (trigger, expected) in [
            ("layout=celery queue=a leases=p acks=late", vec!["leases"]),
            ("layout=celery queue=a leases=p", vec![]),
            ("layout=celery queue=a acks=late", vec![]),
            ("layout=celery queue=a acks=early", vec![]),
            ("layout=rq queue=a leadTime=20s", vec!["leadTime"]),
            ("layout=rq queue=a leadTime=20s scheduled=count", vec![]),
            ("layout=rq queue=a orphans=ignore orphanMaxAge=1h", vec!["orphanMaxAge"]),
            ("layout=keys queue=a unit=ms", vec!["unit"]),
            ("layout=keys queue=a inFlight=b orphans=ignore unit=ms", vec![]),
            ("layout=rq queue=a nonsense=1", vec![]),
            ("layout=rq queue=a*", vec![]),
        ] {
            assert_eq!(idle(trigger), expected, "{trigger}");
        }
    }
}
