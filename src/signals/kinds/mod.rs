//! One file a signal. They know counts and nothing else, and not each other.

mod backlog;
mod gauge;
mod in_flight;
mod rate;
mod waiting;

use super::kind::SignalKind;

/// Every signal, in the order in which the docs list them. The first is that of a trigger which names none.
pub(super) static KINDS: &[&dyn SignalKind] =
    &[&backlog::Backlog, &waiting::Waiting, &in_flight::InFlight, &gauge::Gauge, &rate::Rate];
