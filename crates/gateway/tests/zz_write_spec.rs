//! x
#[test]
fn write() { std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/openapi.json"), gateway::openapi()).unwrap(); }
