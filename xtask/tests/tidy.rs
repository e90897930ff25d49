//! The real tree keeps the house rules.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;

use xtask::Tree;

#[test]
fn the_tree_keeps_every_house_rule() {
    let tree = Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    assert!(
        tree.text("Cargo.toml").is_some(),
        "this is not the root of the tree"
    );
    let findings = xtask::check(&tree);
    let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        findings.is_empty(),
        "{} findings\n{}",
        findings.len(),
        shown.join("\n")
    );
}
