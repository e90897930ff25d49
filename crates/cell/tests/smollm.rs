//! The real SmolLM2-135M-Instruct, where its file is at hand: `COFFERDAM_TEST_MODEL` names the GGUF as shipped.
//!
//! What is tested is plumbing: that text becomes the ids llama.cpp makes of it (taken from it, see
//! `bench/llama_compare.py`), that import, loading, streaming and cancelling work at real size. Never whether a model of
//! 135 million weights is right.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod tiny;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cell::engine::Engine;
use cell::{Cell, CellSpec, Event};
use tiny::{greedy, user};
use wire::cell::{Finish, Prompt, Sampling};

/// The imported model in a fresh folder, or `None` (loudly) where there is no file.
fn imported() -> Option<(PathBuf, tempfile::TempDir)> {
    let Some(shipped) = std::env::var_os("COFFERDAM_TEST_MODEL") else {
        assert!(
            std::env::var_os("COFFERDAM_REQUIRE_ALL").is_none_or(|value| value != "1"),
            "COFFERDAM_REQUIRE_ALL=1 but COFFERDAM_TEST_MODEL names no model"
        );
        println!("SKIPPED: COFFERDAM_TEST_MODEL names no GGUF file; the real model was not tested");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("model.gguf");
    let made = cell::import::import(&PathBuf::from(shipped), &result, &mut |_| {}).unwrap();
    assert_eq!(made.result_sha256, cell::import::sha256(&result).unwrap());
    Some((result, folder))
}

#[test]
fn text_becomes_the_ids_llama_cpp_makes_of_it() {
    let Some((model, _folder)) = imported() else {
        return;
    };
    let engine = Engine::load(&model, None).unwrap();
    let facts = engine.facts();
    assert_eq!(
        (facts.context_length, facts.vocabulary, facts.parameters),
        (8192, 49152, 134_515_008)
    );
    assert!(facts.supports_chat && !facts.supports_tools);
    let check =
        |prompt: Prompt, ids: &[u32]| assert_eq!(engine.prompter().tokens(&prompt).unwrap(), ids);
    let text = |text: &str| Prompt::Raw(text.to_owned());
    check(
        text("Hello 123 world, 4567890"),
        &[
            19556, 216, 33, 34, 35, 905, 28, 216, 36, 37, 38, 39, 40, 41, 32,
        ],
    );
    check(
        text("  leading and   inner\t\n\n x"),
        &[216, 2899, 284, 256, 6210, 197, 1116, 1792],
    );
    check(
        text("Grüße, 日本語 🙂"),
        &[
            27302, 7170, 34878, 85, 28, 17097, 241, 115, 40993, 179, 120, 248, 47526,
        ],
    );
    check(
        text("<|im_start|>system"),
        &[44, 108, 306, 79, 3738, 108, 46, 9690],
    );
    check(
        text("I'm you're 'quoted' DON'T"),
        &[57, 5248, 346, 2316, 637, 385, 5036, 23, 422, 2154, 23, 68],
    );
    check(
        user("What is the capital of France?"),
        &[
            1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411,
            407, 19712, 8182, 2, 198, 1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1,
            520, 9531, 198,
        ],
    );
}

#[tokio::test]
async fn a_cell_serves_streams_and_lets_go_of_the_real_model() {
    let Some((model, _folder)) = imported() else {
        return;
    };
    let tests = std::env::current_exe().unwrap();
    let cell = Cell::start(CellSpec {
        program: tests
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .join("examples/cell_process"),
        args: Vec::new(),
        model,
        threads: 2,
        context_limit: Some(4096),
        queue: 4,
        start_timeout: Duration::from_secs(120),
    })
    .await
    .unwrap();
    assert_eq!(cell.facts().context_length, 4096);

    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut generation = cell
            .generate(user("What is the capital of France?"), greedy(24))
            .unwrap();
        let (mut text, mut pieces, mut usage) = (String::new(), 0, None);
        while let Some(event) = generation.next().await {
            match event.unwrap() {
                Event::Started { prompt_tokens } => assert_eq!(prompt_tokens, 37),
                Event::Token(token) => {
                    pieces += 1;
                    text.push_str(&token.text);
                }
                Event::Done(done) => usage = Some(done),
            }
        }
        let done = usage.expect("an end");
        assert!(
            pieces > 3 && done.completion_tokens <= 24 && done.prompt_tokens == 37,
            "{done:?}"
        );
        assert!(matches!(done.finish, Finish::Stop | Finish::Length));
        assert!(
            !text.contains("<|"),
            "special tokens are not text: {text:?}"
        );
        answers.push(text);
    }
    assert_eq!(answers[0], answers[1]);

    // a long prompt, abandoned as soon as reading it began: the next answer does not wait for it
    let long = Prompt::Raw("All work and no play makes Jack a dull boy. ".repeat(120));
    let whole = Instant::now();
    let mut reading = cell.generate(long.clone(), greedy(1)).unwrap();
    while reading.next().await.is_some() {}
    let whole = whole.elapsed();
    let mut reading = cell.generate(long, Sampling::default()).unwrap();
    assert!(matches!(
        reading.next().await,
        Some(Ok(Event::Started { .. }))
    ));
    let start = Instant::now();
    let done = reading.cancel().await.unwrap();
    assert_eq!(
        (done.finish, done.completion_tokens),
        (Finish::Cancelled, 0)
    );
    assert!(
        start.elapsed() < whole / 4,
        "cancelled after {:?}; the whole takes {whole:?}",
        start.elapsed()
    );
}
