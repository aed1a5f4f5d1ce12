//! What is looked at to tell how long the oldest job has waited, and how much of it.

use std::time::Duration;

/// How many jobs at the taking end of a list are looked at for the oldest: retried and returned ones are pushed there,
/// so that the first is not always the oldest.
pub const OLDEST_AMONG: u32 = 4;
/// How many are looked at where none of the first is ready: in pages, each as long as all before it.
pub const OLDEST_FURTHEST: u32 = 64;
/// How many running jobs at the lowest scores of a sorted set are passed for the first that waits.
pub const RUNNING_PASSED: u32 = 1_000;
/// Bytes of a job up to which its neighbours are looked at too, and for which a refresh is paced as one.
pub const OLDEST_BYTES: u64 = 16 * 1024;
/// How many times as long as other reads one of jobs rests, which takes several commands: an age is told in seconds.
pub const OLDEST_PACE: u64 = 4;
/// Bytes of a job that is parsed for its time. What is parsed takes some twenty times as many at worst.
pub const PARSED_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that a written time may have.
pub const TIME_BYTES: usize = 64;
/// How long after a moment of Redis's clock something is looked at that is so from then on.
pub const AGE_STEP: Duration = Duration::from_millis(1);
/// How far ahead of Redis's own clock it may be written that a job became ready: clocks differ, and what is further ahead
/// is no such time.
pub const READY_AHEAD: Duration = Duration::from_mins(1);
