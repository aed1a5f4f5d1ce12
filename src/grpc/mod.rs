//! The gRPC side: KEDA's protocol in, observations out.
//!
//! The only folder that names tonic and prost. It translates and decides nothing about jobs: what
//! is true comes from the sampler, what a trigger means from the trigger.

mod codec;
mod decode;
mod encode;
mod health;
mod incoming;
mod intake;
mod pulse;
mod routes;
mod server;
mod service;
mod status;
mod stream;
mod subjects;
mod tenants;
mod tls;
mod told;

pub use routes::{Route, Routes};
pub use server::{Listener, ServerError};
pub use service::{Service, Timing};
pub use tls::Tls;

/// The code that `build.rs` makes of `proto/externalscaler.proto`.
mod proto {
    #![expect(
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::too_many_lines,
        reason = "tonic's generated code is not written by hand"
    )]

    tonic::include_proto!("externalscaler");

    /// The encoded descriptors, for reflection.
    pub(super) const DESCRIPTORS: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/externalscaler.bin"));
}
