//! The gRPC side: KEDA's protocol in, observations out.
//!
//! The only folder that names tonic and prost. It translates and decides nothing: what is answered comes
//! from the scaler.

mod codec;
mod decode;
mod encode;
mod health;
mod incoming;
mod intake;
mod server;
mod service;
mod status;
mod tls;

pub use server::Listener;
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
