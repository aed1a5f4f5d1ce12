//! KEDA's side of an external scaler: the calls that it makes, and when it and the HPA make them.
//!
//! It is a crate of its own because the demo and the tests of job frameworks share it. It knows the
//! protocol and nothing else of penstock.

mod client;
mod keda;

pub use client::{CallError, KedaClient, Polled, Pushes};
pub use keda::{ConnectError, Due, Happening, Keda, Workload};

/// The code that `build.rs` makes of `proto/externalscaler.proto`.
mod proto {
    #![expect(
        clippy::allow_attributes_without_reason,
        reason = "tonic's generated code is not written by hand"
    )]

    tonic::include_proto!("externalscaler");
}
