//! Exports of journals: whatever is in the file, the verifier says what is wrong with it.

#![no_main]

use evidence::export::{Trust, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Err(finding) = verify(data, &Trust::default()) {
        assert!(!finding.to_string().is_empty());
    }
});
