//! One file a signal. They know counts and nothing else, and not each other.

pub(super) mod backlog;
pub(super) mod in_flight;
pub(super) mod waiting;
