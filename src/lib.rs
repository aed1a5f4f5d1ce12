//! penstock: a KEDA external scaler that tells, truthfully and at once, how much work waits, is due
//! and is in flight in Redis.
//!
//! The modules are listed in the order of their levels; each uses only levels above it in this
//! list and its own, which `tests/levels.rs` enforces. `docs/architecture.md` draws the picture.

// L0: bounds, the clock, secrets.
pub mod limits;
pub mod secret;
pub mod time;

// L1
pub mod hpa;
pub mod metadata;
pub mod telemetry;

// L2: the two extension folders. Pure.
pub mod layouts;
pub mod signals;

// L3: what a trigger asks for. Pure.
pub mod trigger;

// L4
pub mod sampling;
