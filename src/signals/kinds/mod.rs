//! One file a signal. They know counts and settings and nothing else, and not each other.

mod backlog;
mod gauge;
mod in_flight;
mod latency;
mod load;
mod rate;
mod replicas;
mod waiting;

use super::kind::SignalKind;

/// Every signal, in the order in which the docs list them. The first is that of a trigger which names none.
pub(super) static KINDS: &[&dyn SignalKind] = &[
    &backlog::Backlog,
    &waiting::Waiting,
    &in_flight::InFlight,
    &load::Load,
    &replicas::Replicas,
    &latency::Latency,
    &gauge::Gauge,
    &rate::Rate,
];
