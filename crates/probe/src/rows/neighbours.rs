//! Rows about a neighbour on the same engine: what its parameters, and its load, do to A.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::questions::{self, prose};
use super::routes::with;
use crate::row::{Bench, Row, at_once};
use crate::stats;
use crate::target::{Ask, Client};
use crate::verdict::{Control, Distribution, Finding, Series, Trouble};

pub(super) const ROWS: [Row; 2] = [
    // not tried again: what B left behind would be there from the beginning, and look like A's own ways
    Row::new(19, |bench| Box::pin(batch_interference(bench))),
    Row::measured(24, |bench| Box::pin(noisy_neighbour(bench))),
];

/// Prompts that A repeats.
const PROMPTS: usize = 5;
/// Calls of A at once, and of its company.
const WIDTH: usize = 4;
/// Chance gives a difference like this in one of a hundred runs.
const SIGNIFICANT: f64 = 0.01;

/// Parameters that engines keep in the state of a batch.
fn exotic(number: usize) -> Vec<(&'static str, Value)> {
    match number % 8 {
        0 => vec![("bad_words", json!(["the", " the", "a", " a"]))],
        1 => vec![("allowed_token_ids", json!([1, 2, 3, 4, 5]))],
        2 => vec![("logit_bias", json!({"1": 100, "2": 100, "3": 100}))],
        3 => vec![("stop", json!([" ", "e", "."]))],
        4 => vec![
            ("thinking_token_budget", json!(1)),
            ("min_tokens", json!(30)),
        ],
        5 => vec![
            ("temperature", json!(2)),
            ("top_p", json!(0.01)),
            ("top_k", json!(1)),
        ],
        6 => vec![
            ("presence_penalty", json!(2)),
            ("frequency_penalty", json!(2)),
            ("repetition_penalty", json!(2)),
        ],
        _ => vec![
            ("response_format", json!({"type": "json_object"})),
            ("n", json!(3)),
        ],
    }
}

/// Row 19. A repeats a few prompts, as deterministically as an engine can: twice with company of its own kind, then while
/// B sends parameters that few send. Answers that A did not get the first time must not become more.
async fn batch_interference(bench: &Bench) -> Result<Finding, Trouble> {
    let prompts: Vec<String> = questions::draw(bench, PROMPTS)
        .iter()
        .map(|question| question.text().to_owned())
        .collect();
    let rounds = bench.samples(250, 500).max(20) / PROMPTS;
    let phase = bench.a.budget().time_left() / 9;
    let mut known: Vec<HashSet<String>> = vec![HashSet::new(); PROMPTS];
    let (mut odd, mut sizes, mut of_b) = ([0_u64; 2], [0_u64; 2], (0_u64, 0_u64));
    // one after the other and never back: what B's calls leave behind would stay, and look like A's own ways
    for (arm, exotic_company) in [(None, false), (Some(0), false), (Some(1), true)] {
        let until = Instant::now() + phase;
        for round in 0..rounds {
            if Instant::now() > until {
                break;
            }
            let company = company(bench, &prompts, exotic_company, round * PROMPTS);
            let mut calls = Vec::new();
            for prompt in &prompts {
                calls.push(answer(bench, &bench.a, prompt, &[]));
            }
            let (answers, others) = tokio::join!(at_once(WIDTH, calls), at_once(WIDTH, company));
            for other in others {
                let answered = u64::from(other?.is_some());
                if exotic_company {
                    of_b = (of_b.0 + answered, of_b.1 + 1);
                }
            }
            for (said, known) in answers.into_iter().zip(&mut known) {
                // an error is an answer too: one that A must not get because of B
                let said = said?.unwrap_or_default();
                let Some(arm) = arm else {
                    known.insert(said);
                    continue;
                };
                let strange = said.is_empty() || !known.contains(&said);
                if let (Some(odd), Some(size)) = (odd.get_mut(arm), sizes.get_mut(arm)) {
                    *odd += u64::from(strange);
                    *size += 1;
                }
            }
        }
    }
    let [alone, beside] = odd;
    let p = stats::fisher((beside, alone), (sizes[1], sizes[0])).unwrap_or(1.0);
    let figure = format!(
        "{beside} of {} answers to A were strange beside B, {alone} of {} without; p = {p:.3}",
        sizes[1], sizes[0]
    );
    let steady = alone * 2 < sizes[0];
    let control = if sizes.iter().any(|size| *size < 20) || of_b.0 == 0 {
        Control::Missing(format!(
            "too little in the time there was: {} and {} answers to A, {} of {} calls of B answered",
            sizes[0], sizes[1], of_b.0, of_b.1
        ))
    } else if !steady {
        Control::Missing(format!(
            "A's answers differ from time to time anyway: {alone} of {} in its own company",
            sizes[0]
        ))
    } else {
        Control::Shown(format!(
            "A's answers are steady in its own company; {} of {} calls of B with such parameters were answered",
            of_b.0, of_b.1
        ))
    };
    Ok(Finding::judged(control, p > SIGNIFICANT, figure)
        .samples(sizes[0] + sizes[1])
        .bound(format!("Fisher's exact test, one-sided, p > {SIGNIFICANT}"))
        .measure("p", p)
        .measure("strange_alone", alone as f64)
        .measure("strange_beside", beside as f64)
        .reproduce("repeat a few prompts with $KEY_A at temperature 0; the same while $KEY_B sends bad_words, allowed_token_ids, logit_bias, stop, penalties")
        .reproduce("count answers that A did not get before"))
}

/// Calls that go along with A's: of A itself, or of B with parameters that few send.
fn company<'a>(
    bench: &'a Bench,
    prompts: &'a [String],
    exotic_ones: bool,
    first: usize,
) -> Vec<impl Future<Output = Result<Option<String>, Trouble>> + 'a> {
    let mut calls = Vec::new();
    for (number, prompt) in prompts.iter().enumerate() {
        let (who, fields) = if exotic_ones {
            (&bench.b, exotic(first + number))
        } else {
            (&bench.a, Vec::new())
        };
        calls.push(
            async move { answer(bench, who, &format!("Once more: {prompt}"), &fields).await },
        );
    }
    calls
}

/// What was said; none where the call was refused.
async fn answer(
    bench: &Bench,
    who: &Client,
    text: &str,
    fields: &[(&str, Value)],
) -> Result<Option<String>, Trouble> {
    // at temperature 0 a seed means nothing to an engine, and makes it another request to a cache of answers
    let seed = bench.draw(|chance| chance.below(1 << 30));
    let mut body = with(with(who.chat_body(text), "max_tokens", 24), "seed", seed);
    for (name, value) in fields {
        body = with(body, name, value.clone());
    }
    let answer = who.post("/v1/chat/completions", &body).await?;
    Ok(answer.is_ok().then(|| answer.said()))
}

/// Calls of B at once while A makes one.
const TIMES: usize = 20;
/// A's slowest twentieth may take so much longer.
const MOST: f64 = 1.5;
/// Milliseconds below which a difference is the machine's, not the neighbour's.
const NOISE: f64 = 20.0;
/// Alone and beside B, in turns.
const ROUNDS: usize = 4;
/// B's pause after a call that was not answered.
const REFUSED: Duration = Duration::from_millis(50);
/// How long A waits for the load, at most.
const BEGINS_WITHIN: Duration = Duration::from_secs(3);
/// Bytes of B's prompts.
const LOAD: usize = 2000;

/// Row 24. A's time to the first token, alone and beside twenty times as much of B, in turns.
async fn noisy_neighbour(bench: &Bench) -> Result<Finding, Trouble> {
    let each = bench.samples(100, 300).max(20) / ROUNDS;
    let until = Instant::now() + bench.a.budget().time_left() / 3;
    let (mut alone, mut beside) = (Times::default(), Times::default());
    let load = Load::default();
    for _ in 0..ROUNDS {
        if Instant::now() > until {
            break;
        }
        alone.take(bench, each).await?;
        load.over.store(false, Ordering::Relaxed);
        let mut workers = Vec::new();
        for _ in 0..TIMES {
            workers.push(load.keep_up(bench));
        }
        let begun = load.done.load(Ordering::Relaxed);
        let quiet = async {
            load.there(begun + TIMES as u64).await;
            let taken = beside.take(bench, each).await;
            load.over.store(true, Ordering::Relaxed);
            taken
        };
        let (taken, worked) = tokio::join!(quiet, at_once(TIMES, workers));
        taken?;
        worked.into_iter().collect::<Result<Vec<()>, Trouble>>()?;
    }
    let p95 = |times: &Times| stats::percentile(&times.first, 0.95).unwrap_or_default();
    let (before, after) = (p95(&alone), p95(&beside));
    let errors = beside.errors.saturating_sub(alone.errors);
    let (answered, sent) = (
        load.answered.load(Ordering::Relaxed),
        load.sent.load(Ordering::Relaxed),
    );
    let figure = format!(
        "A's slowest twentieth began after {after:.0} ms beside B, {before:.0} ms alone ({:.2} times); {errors} more errors",
        after / before.max(0.001)
    );
    let control = if alone.first.len() < ROUNDS || beside.first.len() < ROUNDS || sent == 0 {
        Control::Missing("too few calls of A were answered, or none of B sent".to_owned())
    } else {
        Control::Shown(format!(
            "B sent {sent} calls beside A's, {answered} were answered"
        ))
    };
    let held = errors == 0 && (after <= before * MOST || after - before <= NOISE);
    let series = |label: &str, times: &Times| Series {
        label: label.to_owned(),
        values: times.first.clone(),
    };
    Ok(Finding::judged(control, held, figure)
        .samples((alone.first.len() + beside.first.len()) as u64)
        .bound(format!("at most {MOST} times, and no error because of B"))
        .detail("a measured figure: no engine isolates load completely")
        .measure("p95_alone_ms", before)
        .measure("p95_beside_ms", after)
        .measure("errors", errors as f64)
        .measure("calls_of_b", sent as f64)
        .distribution(Distribution {
            name: "time to the first token of A".to_owned(),
            unit: "ms".to_owned(),
            series: vec![series("alone", &alone), series("beside B", &beside)],
        })
        .reproduce("time streamed chats with $KEY_A, alone and while twenty workers send long prompts with $KEY_B"))
}

/// Of calls of A, one after another.
#[derive(Default)]
struct Times {
    /// Milliseconds to the first token.
    first: Vec<f64>,
    errors: u64,
}

impl Times {
    async fn take(&mut self, bench: &Bench, calls: usize) -> Result<(), Trouble> {
        for _ in 0..calls {
            let text = format!("Say hello to {}.", bench.canary());
            match first_token(&bench.a, &text).await {
                Ok(Some(first)) => self.first.push(first),
                Err(Trouble::Spent) => return Err(Trouble::Spent),
                Ok(None) | Err(_) => self.errors += 1,
            }
        }
        Ok(())
    }
}

async fn first_token(who: &Client, text: &str) -> Result<Option<f64>, Trouble> {
    let body = with(with(who.chat_body(text), "stream", true), "max_tokens", 8);
    let mut stream = who
        .stream(&Ask::post("/v1/chat/completions", &body))
        .await?;
    // to the end, so that the call is over before the next begins
    let pieces = stream.rest().await?;
    let first = pieces.iter().find(|piece| !piece.said().is_empty());
    let first = first.filter(|_| stream.is_ok());
    Ok(first.map(|piece| piece.at.as_secs_f64() * 1000.0))
}

/// What B does meanwhile.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    sent: AtomicU64,
    answered: AtomicU64,
    /// Answered or not.
    done: AtomicU64,
}

impl Load {
    /// Waits until so many calls are done, or long enough: A's are to meet the load, not its beginning.
    async fn there(&self, calls: u64) {
        let began = Instant::now();
        while self.done.load(Ordering::Relaxed) < calls && began.elapsed() < BEGINS_WITHIN {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn keep_up(&self, bench: &Bench) -> Result<(), Trouble> {
        while !self.over.load(Ordering::Relaxed) {
            let text = format!("{} {}", bench.canary(), prose(bench, LOAD));
            self.sent.fetch_add(1, Ordering::Relaxed);
            let body = with(bench.b.chat_body(&text), "max_tokens", 64);
            let came = bench.b.post("/v1/chat/completions", &body).await;
            self.done.fetch_add(1, Ordering::Relaxed);
            match came {
                Ok(answer) if answer.is_ok() => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(Trouble::Spent) => return Err(Trouble::Spent),
                // what is refused at once would be sent again at once
                _ => tokio::time::sleep(REFUSED).await,
            }
        }
        Ok(())
    }
}
