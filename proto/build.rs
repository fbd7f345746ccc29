//! Generates the types and stubs of node-to-node calls, with no protoc on the machine.

use std::error::Error;

const SOURCE: &str = "dunlin/node/v1/node.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={SOURCE}");
    let files = protox::compile([SOURCE], ["."])?;
    // Bodies are handed on without a copy, and no stub opens connections: `rpc` does that itself.
    tonic_prost_build::configure().bytes(".").build_transport(false).compile_fds(files)?;
    Ok(())
}
