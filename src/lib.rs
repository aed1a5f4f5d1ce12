//! penstock: a KEDA external scaler that tells, truthfully and at once, how much work waits, is due
//! and is in flight in Redis.
//!
//! The modules stand in the order of their levels; each uses only levels above it in this list and
//! its own, which `tests/levels.rs` enforces. `docs/architecture.md` draws the picture.

// L0: bounds, secrets, the clock.
pub mod limits;
pub(crate) mod secret;
pub mod time;

// L1: the metadata map, readiness, telemetry, the tasks of the process, certificates, and the
// connections of peers.
pub mod metadata;
pub(crate) mod peers;
pub(crate) mod readiness;
pub(crate) mod supervise;
pub mod telemetry;
pub(crate) mod tls;

// L2: where jobs are, and the numbers made of them. Pure.
pub mod layouts;
pub mod signals;

// L3: what a trigger asks for. Pure.
pub mod trigger;

// L4: what the administrator configured, and what is known of Redis.
pub mod config;
pub mod sampling;

// L5: the service itself, and Redis.
pub mod redis;
pub(crate) mod scaler;

// L6: the transports, which translate.
pub(crate) mod grpc;
pub(crate) mod http;

// L7: the command line, which wires and prints.
pub mod cli;
