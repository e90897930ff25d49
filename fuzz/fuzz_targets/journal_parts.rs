//! The parts of a journal that are read by themselves: each has one spelling, or is refused.

#![no_main]

use evidence::deployment::Head;
use evidence::export::Proof;
use evidence::tiles::Tile;
use evidence::{Record, VerifierKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(record) = Record::parse(data) {
        assert_eq!(record.canonical(), data);
    }
    if let Ok(head) = Head::parse(data) {
        assert_eq!(head.canonical().as_bytes(), data);
    }
    let _ = Proof::from_json(data);
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(key) = text.parse::<VerifierKey>() {
            assert_eq!(key.to_string(), text);
        }
        if let Ok(tile) = text.parse::<Tile>() {
            assert!(tile.width() <= 256);
        }
    }
});
