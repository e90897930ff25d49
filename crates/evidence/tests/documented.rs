//! FORMAT.md's examples are the test vector that it says they are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use evidence::deployment::{BLINDING_LABEL, HeadOpening};
use evidence::{Checkpoint, Frontier, Id, JournalSigner, REQUEST_LABEL, commit, leaf_hash};

const FORMAT: &str = include_str!("../FORMAT.md");

#[test]
fn the_test_vector_holds() {
    let mut frontier = Frontier::new();
    let mut leaves = String::new();
    for record in FORMAT.lines().filter(|line| line.starts_with("{\"seq\":")) {
        let leaf = leaf_hash(record.as_bytes());
        leaves += &format!("{}\n", hex::encode(leaf.0));
        frontier.append(leaf);
    }
    let origin = Id::new("cofferdam/log_1").unwrap();
    let signer = JournalSigner::from_seed([7; 32]);
    let time = "2026-03-01T12:00:03Z".parse().unwrap();
    let (size, root) = (frontier.size(), frontier.root());
    let note = Checkpoint::new(origin.clone(), size, root, time)
        .sign(&signer)
        .unwrap();
    let opening = HeadOpening {
        blinding_key: [0x15; 32],
        salt: [0x16; 32],
    };
    let head = opening.head(&origin, size, root, time).canonical();
    let request = commit(&[5; 32], REQUEST_LABEL, b"hello").to_string();
    let vkey = signer.verifier_key(&origin).to_string();
    for documented in [request, leaves, note, vkey, head] {
        assert!(
            FORMAT.contains(&documented),
            "not in FORMAT.md:\n{documented}"
        );
    }
    assert!(FORMAT.contains(&format!(
        "u64be({}) ‖ \"{BLINDING_LABEL}\"",
        BLINDING_LABEL.len()
    )));
}
