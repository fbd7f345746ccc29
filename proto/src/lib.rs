//! The messages and stubs of node-to-node calls, generated from `dunlin/node/v1/node.proto`.
//!
//! No logic lives here, and no crate but `rpc` sees these types. Read the `.proto` file first.

/// Package `dunlin.node.v1`.
pub mod v1 {
    #![expect(
        clippy::allow_attributes_without_reason,
        reason = "the generated code silences lints as its generator sees fit"
    )]
    tonic::include_proto!("dunlin.node.v1");
}
