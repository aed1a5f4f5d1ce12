//! Compiles the protocol a second time, with what tonic makes of it by default: the server beside
//! which penstock is measured owes nothing to penstock's own settings of the generated code.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../proto/externalscaler.proto");
    let descriptors = protox::compile(["externalscaler.proto"], ["../proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
