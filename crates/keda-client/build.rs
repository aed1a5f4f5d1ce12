//! Compiles the client's half of the protocol, in tonic's default code: what is small in the service's
//! own is of no use to one client.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../../proto/externalscaler.proto");
    let descriptors = protox::compile(["externalscaler.proto"], ["../../proto"])?;
    tonic_prost_build::configure().build_server(false).compile_fds(descriptors)?;
    Ok(())
}
