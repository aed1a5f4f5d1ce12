//! Real job frameworks against a real Redis: what penstock counts at each moment of a job's life is
//! what the framework's own interface says, or what the jobs wrote into the test's own book.
//!
//! It is a target of its own, behind a feature, because it needs the frameworks, which
//! `make test-frameworks` installs. A line per moment is printed: `-- --nocapture` shows them.

#![expect(clippy::unwrap_used, reason = "a test ends at what it cannot use")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test tells what it saw")]
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

mod ages;
mod arq;
mod asynq;
mod bee_queue;
mod bull;
mod celery;
mod dramatiq;
mod huey;
mod keda;
mod leases;
mod lists;
mod moves;
mod pool;
mod rq;
mod shutdown;
mod sidekiq;
mod stage;
mod task_times;
mod taskiq;

/// Makes two tests of each function: one that gets a Redis, one that gets a Valkey.
macro_rules! on_both_servers {
    ($($test:ident),+ $(,)?) => {
        on_both_servers!(@on on_redis, Redis, $($test),+);
        on_both_servers!(@on on_valkey, Valkey, $($test),+);
    };
    (@on $module:ident, $kind:ident, $($test:ident),+) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test(penstock_testkit::Kind::$kind);
                }
            )+
        }
    };
}
use on_both_servers;
