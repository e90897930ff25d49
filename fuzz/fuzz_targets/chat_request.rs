//! Chat requests: no panic, and one meaning.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::openai::chat::ChatRequest;
use wire::openai::{MaxTokensField, Texts, UpstreamFields};

fuzz_target!(|body: &[u8]| {
    let extra = ["top_k".to_owned()];
    for allowed in [&[][..], &extra] {
        let Ok(mut request) = ChatRequest::parse(body, allowed) else {
            continue;
        };
        let upstream = UpstreamFields {
            model: &request.params.model.clone(),
            max_output: Some((MaxTokensField::MaxTokens, 1)),
            cache_salt: None,
            prompt_cache_key: None,
            safety_identifier: None,
            include_usage: true,
        };
        assert!(request.facts().input_token_bound > 0);
        let written = request.write(&upstream);
        let again = ChatRequest::parse(&written, allowed).expect("what is written can be read");
        assert_eq!(written, again.write(&upstream), "and means the same");
        assert!(again.caller.identity().is_none(), "no identity travels");
        request.each_text_mut(&mut |_| ());
        assert_eq!(written, request.write(&upstream), "looking changes nothing");
    }
});
