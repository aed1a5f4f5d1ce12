//! What the tests start and ask: servers, the service, a proxy between them, KEDA's side of the protocol, and
//! patience. Every server has a port of its own and is ended by its process id.

#![expect(
    clippy::unwrap_used,
    clippy::new_without_default,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "all of this is test code: it fails where it stands, and shows the log"
)]

mod authority;
mod cluster;
mod count;
mod direct;
pub mod programs;
mod proxy;
mod recording;
mod scripted;
mod seed;
mod sentinels;
mod server;
mod service;
mod twem;
pub mod wire;
mod wrong_triggers;

use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use authority::Authority;
pub use cluster::{Cluster, shares, wait_for};
pub use count::{How, Part, count};
pub use direct::{Direct, line, pipeline};
pub use programs::{penstock, python};
pub use proxy::{Mode, Proxy};
pub use recording::{Phase, Recording};
pub use scripted::Scripted;
pub use seed::seed;
pub use sentinels::{MASTER, Sentinel, Trio};
pub use server::{Kind, Pair, Port, Server, Silent};
pub use service::{Service, Setup};
pub use twem::Twem;
pub use wrong_triggers::{WrongTrigger, wrong_triggers};

/// How long "in the end" may take on a slow, shared machine.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The deadline that the contract gives a call is 1 s; this is with room for a slow machine.
pub const CALL: Duration = Duration::from_millis(1500);
/// The time within which everything is right again once Redis answers.
pub const RECOVERY: Duration = Duration::from_millis(2500);
/// Between two looks.
pub const STEP: Duration = Duration::from_millis(15);

/// Seconds, for short.
pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Milliseconds, for short.
pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Looks until `look` finds something, and gives it. Fails with what was seen last.
pub async fn eventually<T, E: std::fmt::Debug>(
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if start.elapsed() > within => {
                panic!("not within {within:?}; seen last: {seen:?}")
            }
            Err(_) => sleep(STEP).await,
        }
    }
}

/// Expects a value in the end, and asserts on the time it took.
pub async fn eventually_is<T: PartialEq + std::fmt::Debug>(
    within: Duration,
    expected: T,
    mut look: impl AsyncFnMut() -> T,
) {
    eventually(within, async || {
        let seen = look().await;
        if seen == expected { Ok(()) } else { Err(format!("{seen:?}, expected {expected:?}")) }
    })
    .await;
}
