//! Pieces of a streamed answer: no panic, and written alike when read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::openai::chat::ChatChunk;

fuzz_target!(|data: &str| {
    if let Ok(chunk) = ChatChunk::parse(data) {
        assert!(chunk.output_bytes() <= data.len() as u64);
        let written = String::from_utf8(chunk.write()).expect("JSON is UTF-8");
        let again = ChatChunk::parse(&written).expect("what is written can be read");
        assert_eq!(written.as_bytes(), again.write());
    }
});
