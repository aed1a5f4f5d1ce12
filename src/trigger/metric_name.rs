//! The name of a trigger's one metric, derived from its metadata alone.
//!
//! The wire forces its shape: KEDA does not normalise external names, the HPA puts them into a URL path, and
//! every call must give the same one.

use crate::{layouts::Plan, signals::Signal};

/// The name of the metric of what is no trigger, since its metadata is wrong. No trigger has it: the HPA asks
/// by the name that it was given, so that a target that stood for nothing never meets a value.
pub const REFUSED_METRIC: &str = "penstock-refused";
/// Bytes that the queue part of a name may have; the whole stays well below 128.
const QUEUE_BYTES: usize = 64;

/// `penstock-<layout>-<queues>-<signal>`, legal as a URL path segment: letters, digits, `-`, `_`
/// and `.` only, whatever the keys are called.
#[must_use]
pub(super) fn metric_name(layout: &str, plan: &Plan, signal: Signal) -> String {
    let keys: Vec<String> = plan.reads().iter().map(|read| read.key().to_string()).collect();
    let mut queues = slug(&keys.join("-"));
    queues.truncate(QUEUE_BYTES);
    format!("penstock-{}-{}-{}", slug(layout), queues, signal.name())
}

fn slug(text: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.chars().map(|c| if legal(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layouts::{Expression, Measure, Members, Part, Read, Size, Terms},
        signals::Signal,
    };
    use proptest::prelude::*;

    fn name(key: &str) -> String {
        let read = Read::Size(Size { key: key.into(), members: Members::All });
        let waiting = [Expression::Leaf((read, Part::Size(())))];
        let plan = Plan::new(Terms::default().with(Measure::Waiting, waiting));
        metric_name("keys", &plan, Signal::default())
    }

    #[test]
    fn a_plain_queue_stays_readable() {
        assert_eq!(name("emails"), "penstock-keys-emails-backlog");
        assert_eq!(name("a/b%c:d"), "penstock-keys-a-b-c-d-backlog");
    }

    #[test]
    fn no_layout_and_no_queue_give_the_name_of_what_is_refused() {
        let plan = Plan::new(Terms::default());
        for signal in Signal::all() {
            let name = metric_name("refused", &plan, signal);
            assert!(name.starts_with(REFUSED_METRIC) && name != REFUSED_METRIC, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_key_gives_a_legal_path_segment(key in "\\PC{1,200}") {
            let name = name(&key);
            prop_assert!(name.len() <= 128);
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
        }
    }
}
