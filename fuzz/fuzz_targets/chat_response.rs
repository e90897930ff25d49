//! Answers of upstreams, of all routes: no panic, and written alike when read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::openai::chat::ChatResponse;
use wire::openai::completions::CompletionResponse;
use wire::openai::embeddings::EmbeddingResponse;
use wire::openai::error;

fuzz_target!(|body: &[u8]| {
    if let Ok(answer) = ChatResponse::parse(body) {
        let written = answer.write();
        let again = ChatResponse::parse(&written).expect("what is written can be read");
        assert_eq!(written, again.write());
    }
    if let Ok(answer) = CompletionResponse::parse(body) {
        let written = answer.write();
        let again = CompletionResponse::parse(&written).expect("what is written can be read");
        assert_eq!(written, again.write());
    }
    if let Ok(answer) = EmbeddingResponse::parse(body) {
        let written = answer.write();
        let again = EmbeddingResponse::parse(&written).expect("what is written can be read");
        assert_eq!(written, again.write());
    }
    assert!((400..600).contains(&error::relayed(400, body, None).status));
});
