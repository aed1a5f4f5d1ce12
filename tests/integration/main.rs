//! The whole of penstock from outside: the real binary, a real Redis and a real Valkey, and a
//! client of KEDA's protocol that shares no code with the server.
//!
//! Every test starts what it needs on ports of its own and ends it by its process id. What a rule
//! says about time is asserted with room for a slow machine; everything else is polled for.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "all of this is test code: it fails where it stands, and shows the log"
)]

mod absent_keys;
mod access;
mod auto_target;
mod chaos;
mod cluster;
mod command_line;
mod credentials;
mod falls;
mod gauge;
mod hostile;
mod keys;
mod latency;
mod layouts;
mod lifecycle;
mod limits;
mod members;
mod metadata;
mod other_language;
mod outage;
mod patterns;
mod peers;
mod races;
mod rate;
mod readers;
mod redis_tls;
mod refusals;
mod replicas;
mod rights;
mod scaled_job;
mod sentinel;
mod shares;
mod stream_groups;
mod streams;
mod tails;
mod tenancy;
mod tls;
mod tricks;
mod triggers_page;
mod values;
mod windows;

use penstock_testkit::{self as harness, wire};

/// Makes two tests of each function: one that gets a Redis, one that gets a Valkey.
macro_rules! on_both_servers {
    ($($test:ident),+ $(,)?) => {
        on_both_servers!(@on on_redis, Redis, $($test),+);
        on_both_servers!(@on on_valkey, Valkey, $($test),+);
    };
    (@on $module:ident, $kind:ident, $($test:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(crate::harness::Kind::$kind).await;
                }
            )+
        }
    };
}
use on_both_servers;
