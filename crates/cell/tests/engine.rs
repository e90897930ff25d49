//! The engine on a tiny random model: sampling, stopping, counting.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod tiny;

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::quantized::GgmlDType;
use tiny::ask::{ask, load};
use tiny::{CONTEXT, IM_END, Tiny, greedy, user};
use wire::cell::{FailureKind, Finish, FromCell, Generate, Prompt, Sampling};

#[test]
fn greedy_and_seeded_answers_are_the_same_every_time() {
    let mut engine = load(&Tiny::default());
    let hot = |seed| Sampling {
        temperature: 1.5,
        top_p: 0.9,
        seed: Some(seed),
        ..greedy(40)
    };
    let hot = |seed| Sampling {
        temperature: 1.5,
        ..hot(seed)
    };
    for sampling in [greedy(40), hot(1), hot(2)] {
        let first = ask(&mut engine, user("hello"), sampling.clone()).unwrap();
        let again = ask(&mut engine, user("hello"), sampling).unwrap();
        assert_eq!(first.text, again.text);
        assert_eq!(first.done, again.done);
    }
    let one = ask(&mut engine, user("hello"), hot(1)).unwrap().text;
    let two = ask(&mut engine, user("hello"), hot(2)).unwrap().text;
    assert_ne!(one, two, "seeds must matter");
}

#[test]
fn an_answer_does_not_depend_on_how_the_prompt_was_cut_or_what_was_asked_before() {
    // 32-bit weights, so that only a mistake can make a difference; longer than one pass
    for architecture in ["llama", "qwen2"] {
        let mut engine = load(&Tiny {
            weights: GgmlDType::F32,
            architecture,
            ..Tiny::default()
        });
        let ids: Vec<u32> = (0..300).map(|n| 4 + n * 7 % 200).collect();
        let whole = engine.logits(&ids).unwrap();
        engine.logits(&ids[..1]).unwrap();
        let mut last = Vec::new();
        for id in &ids[1..] {
            last = engine.extend(&[*id]).unwrap();
        }
        let apart = whole
            .iter()
            .zip(&last)
            .map(|(a, b)| (a - b).abs())
            .fold(0f32, f32::max);
        assert!(apart < 1e-3, "token by token the logits differ by {apart}");
        assert_eq!(engine.logits(&ids).unwrap(), whole);
        assert_ne!(
            engine.logits(&ids[1..]).unwrap(),
            whole,
            "what comes first must matter"
        );
    }
}

#[test]
fn a_stop_string_ends_the_answer_and_is_not_in_it() {
    let mut engine = load(&Tiny::default());
    let whole = ask(&mut engine, user("hello"), greedy(60)).unwrap().text;
    let chars: Vec<char> = whole.chars().collect();
    assert!(
        chars.len() > 20,
        "the tiny model says too little to test with: {whole:?}"
    );
    for at in 3..chars.len() - 3 {
        let stop: String = chars[at..at + 3].iter().collect();
        let expected = &whole[..whole.find(&stop).unwrap()];
        let sampling = Sampling {
            stop: vec!["never".into(), stop.clone()],
            ..greedy(60)
        };
        let answer = ask(&mut engine, user("hello"), sampling).unwrap();
        assert_eq!(
            (answer.text.as_str(), answer.done.finish),
            (expected, Finish::Stop),
            "stop {stop:?}"
        );
    }
}

#[test]
fn usage_counts_every_token_and_limits_hold() {
    let mut engine = load(&Tiny::default());
    let prompt = engine.prompter().tokens(&user("hello")).unwrap();
    for most in [0, 1, 7] {
        let done = ask(&mut engine, user("hello"), greedy(most)).unwrap().done;
        assert_eq!(done.finish, Finish::Length);
        assert_eq!(
            (done.prompt_tokens as usize, done.completion_tokens),
            (prompt.len(), most)
        );
    }
    // the end-of-turn token is produced and paid for, but not shown
    let end = Sampling {
        logit_bias: [(IM_END, 100.0)].into(),
        ..greedy(7)
    };
    let answer = ask(&mut engine, user("hello"), end).unwrap();
    assert_eq!(
        (
            answer.text.as_str(),
            answer.done.finish,
            answer.done.completion_tokens
        ),
        ("", Finish::Stop, 1)
    );
    // without a limit the context is the limit
    let never_end = Sampling {
        max_tokens: None,
        logit_bias: [(IM_END, -100.0), (0, -100.0)].into(),
        ..greedy(0)
    };
    let done = ask(&mut engine, user("hello"), never_end).unwrap().done;
    assert_eq!(
        (done.finish, done.prompt_tokens + done.completion_tokens),
        (Finish::Length, CONTEXT)
    );
}

#[test]
fn a_prompt_that_leaves_no_room_is_refused_with_its_size() {
    let mut engine = load(&Tiny::default());
    for length in [CONTEXT as usize, 100_000, 40_000_000] {
        let error = ask(&mut engine, Prompt::Raw("x".repeat(length)), greedy(1))
            .map(|a| a.done)
            .unwrap_err();
        assert_eq!(error.kind(), FailureKind::ContextLengthExceeded);
        assert!(error.to_string().contains("512"), "{error}");
    }
    let fits = ask(
        &mut engine,
        Prompt::Raw("x".repeat(CONTEXT as usize - 1)),
        greedy(5),
    )
    .unwrap()
    .done;
    assert_eq!((fits.finish, fits.completion_tokens), (Finish::Length, 1));
}

#[test]
fn log_probabilities_are_of_the_tokens_shown_and_sum_to_one() {
    let mut engine = load(&Tiny::default());
    let sampling = Sampling {
        logprobs: Some(20),
        ..greedy(30)
    };
    let answer = ask(&mut engine, user("hello"), sampling).unwrap();
    let logprobs: Vec<_> = answer
        .tokens
        .iter()
        .flat_map(|token| &token.logprobs)
        .collect();
    let produced = answer.done.completion_tokens as usize;
    assert_eq!(
        logprobs.len(),
        if answer.done.finish == Finish::Stop {
            produced - 1
        } else {
            produced
        }
    );
    let bytes: Vec<u8> = logprobs
        .iter()
        .flat_map(|entry| entry.chosen.bytes.clone())
        .collect();
    assert_eq!(String::from_utf8_lossy(&bytes), answer.text);
    for entry in logprobs {
        assert_eq!(entry.top.len(), 20);
        assert_eq!(entry.chosen, entry.top[0], "greedy takes the likeliest");
        assert!(
            entry
                .top
                .windows(2)
                .all(|pair| pair[0].logprob >= pair[1].logprob)
        );
        let sum: f32 = entry.top.iter().map(|rival| rival.logprob.exp()).sum();
        assert!(sum <= 1.0001 && entry.chosen.logprob < 0.0, "{sum}");
    }
    // a stop string takes its tokens' log probabilities with it
    let stop: String = answer.text.chars().skip(8).take(4).collect();
    let expected = answer.text.find(&stop).unwrap();
    let sampling = Sampling {
        logprobs: Some(0),
        stop: vec![stop],
        ..greedy(30)
    };
    let answer = ask(&mut engine, user("hello"), sampling).unwrap();
    let shown: Vec<u8> = answer
        .tokens
        .iter()
        .flat_map(|token| &token.logprobs)
        .flat_map(|entry| entry.chosen.bytes.clone())
        .collect();
    assert!(
        String::from_utf8_lossy(&shown).len() >= expected && shown.len() <= expected + 8,
        "{shown:?}"
    );
}

#[test]
fn bias_and_penalties_steer_the_choice() {
    let mut engine = load(&Tiny::default());
    let x = 4 + u32::from(b'x');
    let forced = Sampling {
        logit_bias: [(x, 100.0)].into(),
        ..greedy(6)
    };
    assert_eq!(
        ask(&mut engine, user("hello"), forced).unwrap().text,
        "xxxxxx"
    );
    let penalised = Sampling {
        logit_bias: [(x, 60.0), (x + 1, 59.5)].into(),
        presence_penalty: 2.0,
        ..greedy(2)
    };
    assert_eq!(
        ask(&mut engine, user("hello"), penalised)
            .unwrap()
            .text
            .chars()
            .count(),
        2
    );
    let all: std::collections::BTreeSet<char> = {
        let sampling = Sampling {
            logit_bias: [(x, 100.0), (x + 1, 99.0)].into(),
            frequency_penalty: 2.0,
            ..greedy(12)
        };
        ask(&mut engine, user("hello"), sampling)
            .unwrap()
            .text
            .chars()
            .collect()
    };
    assert_eq!(
        all,
        ['x', 'y'].into(),
        "a frequency penalty makes tokens take turns"
    );
}

#[test]
fn a_cancel_stops_before_the_next_token() {
    let mut engine = load(&Tiny::default());
    let request = Generate {
        id: 1,
        prompt: user("hello"),
        sampling: greedy(400),
    };
    let cancelled = AtomicBool::new(false);
    let mut seen = 0;
    let done = engine
        .generate(&request, &cancelled, &mut |event| {
            if let FromCell::Token(token) = event {
                seen = token.completion_tokens;
                cancelled.store(seen >= 5, Ordering::Relaxed);
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(
        (done.finish, done.completion_tokens),
        (Finish::Cancelled, seen)
    );
    let already = AtomicBool::new(true);
    let done = engine
        .generate(&request, &already, &mut |_| Ok(()))
        .unwrap();
    assert_eq!(
        (done.finish, done.completion_tokens),
        (Finish::Cancelled, 0)
    );
}
