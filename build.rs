//! Compiles `proto/externalscaler.proto` with protox, so that no `protoc` is needed, and keeps the
//! encoded descriptor set beside the generated code for gRPC reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script its folder this way")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/externalscaler.proto");
    let descriptors = protox::compile(["externalscaler.proto"], ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("externalscaler.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path("crate::grpc::codec::SmallBuffers")
        .compile_fds(descriptors)?;
    Ok(())
}
