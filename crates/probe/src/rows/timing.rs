//! Rows about the time to the first token.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::questions::prose;
use super::routes::with;
use super::salts;
use crate::echo::{PrefixCache, SALTS};
use crate::row::{Bench, Row, at_once};
use crate::stats::{self, Auc};
use crate::target::{Ask, Client};
use crate::verdict::{Control, Distribution, Finding, Series, Trouble};

pub(super) const ROWS: [Row; 2] = [
    Row::measured(15, |bench| Box::pin(prefix_timing(bench))),
    Row::measured(16, |bench| Box::pin(dropped_downstream(bench))),
];

/// Pairs that are primed before any of them is looked at; with a real engine fewer, because each takes its time.
const BATCH: (usize, usize) = (20, 5);
/// Bytes of a prompt: with the simulated engine 12 blocks; with a real one as long as takes this time, and at most so much.
const PROMPT: (usize, usize) = (768, 4000);
const LONG_ENOUGH: f64 = 200.0;
const SHORTEST: usize = 500;
/// What the simulated engine takes for a block: a whole prompt is tens of milliseconds.
const EACH_BLOCK: Duration = Duration::from_millis(3);
/// Blocks that it keeps: all of a run.
const BLOCKS: usize = 1 << 20;
/// Bytes of a prompt that floods a real engine's cache.
const FLOOD: usize = 8000;
/// What the positive control must reach.
const SHOWS: f64 = 0.75;

/// AUC up to which nothing can be told. With 200 pairs a perfect gateway exceeds it in one of twenty runs; fewer than a
/// hundred show only what happens always.
pub(super) fn bound(pairs: usize) -> f64 {
    if pairs >= 100 { 0.55 } else { 0.9 }
}

/// Row 15. A primes a prompt; B times prompts that begin like it against fresh ones.
async fn prefix_timing(bench: &Bench) -> Result<Finding, Trouble> {
    let watch = Watch::begin(bench).await?;
    let pairs = bench.samples(200, 600);
    let own = watch.tell(bench, &bench.a, pairs.min(60), 0, 8).await?;
    let own_found = watch.found.swap(0, Ordering::Relaxed);
    let others = watch.tell(bench, &bench.b, pairs, 0, 3).await?;
    let control = if own.shows() {
        Control::Shown(format!("inside A: {}", own.words()))
    } else if !bench.is_live() && own_found == 0 {
        Control::Absent(
            "the upstream never found anything of A's for A again: no call shares a cache with another".to_owned(),
        )
    } else {
        Control::Missing(format!("inside A, too: {}", own.words()))
    };
    let upstream = if bench.is_live() {
        "a real engine answered".to_owned()
    } else {
        format!(
            "the engine is simulated: its cache is parted by {}, and by nothing else",
            SALTS.join(", ")
        )
    };
    Ok(others
        .finding(control, pairs)
        .detail(upstream)
        .distribution(own.drawn("time to the first token, A after A"))
        .reproduce("send a prompt of some 500 words with $KEY_A; then, streamed and with $KEY_B, the same words and another 500")
        .reproduce("compare the times to the first token, and usage.prompt_tokens_details.cached_tokens, over 200 such pairs"))
}

/// Row 16. In echo mode the salt must stand on every route; in live mode row 15 is repeated once the first level of the
/// engine's cache was flooded.
async fn dropped_downstream(bench: &Bench) -> Result<Finding, Trouble> {
    if !bench.is_live() {
        return salts::on_every_route(bench).await;
    }
    let watch = Watch::begin(bench).await?;
    // a first level has its size whatever the scale of the run is
    let (pairs, flood) = (bench.samples(200, 600), bench.samples(64, 256).max(64));
    let own = watch.tell(bench, &bench.a, pairs.min(40), flood, 8).await?;
    let control = if own.shows() {
        Control::Shown(format!("inside A after the flood: {}", own.words()))
    } else {
        Control::Absent(format!(
            "after {flood} prompts of {FLOOD} bytes nothing of A's was found again even for A: there is no lower level, or it is empty too"
        ))
    };
    let others = watch.tell(bench, &bench.b, pairs, flood, 3).await?;
    Ok(others
        .finding(control, pairs)
        .distribution(own.drawn("time to the first token after a flood, A after A"))
        .reproduce("as row 15, with some hundred other long prompts between A's prompt and B's, so that the engine's first level is full of others"))
}

/// How the time to the first token is taken.
struct Watch {
    /// In every prompt, so that the simulated engine answers it.
    marker: String,
    with_usage: bool,
    length: usize,
    width: usize,
    batch: usize,
    /// Prompts of which the simulated engine found something.
    found: Arc<AtomicU64>,
}

struct Look {
    /// Milliseconds.
    first: f64,
    cached: Option<u64>,
}

/// Times of prompts whose beginning was seen before, and of fresh ones; pair by pair.
#[derive(Default)]
struct Tell {
    primed: Vec<f64>,
    fresh: Vec<f64>,
    /// Pairs of which the primed one was said to have more cached tokens.
    cached: u64,
    /// Pairs that said how many.
    said: u64,
}

impl Watch {
    async fn begin(bench: &Bench) -> Result<Watch, Trouble> {
        let marker = bench.canary().to_string();
        let found = Arc::new(AtomicU64::new(0));
        if let Ok(echo) = bench.echo() {
            let (cache, found) = (PrefixCache::new(BLOCKS), Arc::clone(&found));
            echo.when(&marker, move |request| {
                let script = cache.answer(request, EACH_BLOCK);
                found.fetch_add(u64::from(script.cached_tokens > 0), Ordering::Relaxed);
                script
            });
        }
        let live = bench.is_live();
        let mut watch = Watch {
            with_usage: true,
            length: if live { PROMPT.1 } else { PROMPT.0 },
            // a real engine's calls would slow each other
            width: if live { 1 } else { 4 },
            batch: if live { BATCH.1 } else { BATCH.0 },
            found,
            marker,
        };
        let plain = watch.prompt("", 0);
        let answered = bench.a.stream(&watch.ask(&bench.a, &plain)).await?;
        watch.with_usage = answered.is_ok();
        drop(answered);
        // twice: the first call may also wait until an engine is there
        for _ in 0..2 {
            watch.look(&bench.a, &watch.prompt("", 1)).await?;
        }
        while live && watch.length / 2 >= SHORTEST {
            let fresh = watch.prompt(&prose(bench, watch.length), 1);
            if watch.look(&bench.a, &fresh).await?.first <= LONG_ENOUGH {
                break;
            }
            watch.length /= 2;
        }
        watch.found.store(0, Ordering::Relaxed);
        Ok(watch)
    }

    /// A prompt with that beginning; the number makes it another one, so that no cache of whole answers knows it.
    fn prompt(&self, beginning: &str, number: usize) -> String {
        format!("{beginning}\nSay {number} and stop. {}", self.marker)
    }

    fn ask(&self, who: &Client, prompt: &str) -> Ask {
        let mut body = with(who.chat_body(prompt), "stream", true);
        body = with(body, "max_tokens", 8);
        if self.with_usage {
            body = with(body, "stream_options", json!({"include_usage": true}));
        }
        Ask::post("/v1/chat/completions", &body)
    }

    async fn look(&self, who: &Client, prompt: &str) -> Result<Look, Trouble> {
        let mut stream = who.stream(&self.ask(who, prompt)).await?;
        if !stream.is_ok() {
            return Err(Trouble::Unexpected(format!(
                "a streamed call was answered with status {}",
                stream.status
            )));
        }
        let pieces = stream.rest().await?;
        let first = pieces
            .iter()
            .find(|piece| !piece.said().is_empty())
            .or(pieces.first());
        let first = first.ok_or_else(|| Trouble::Unexpected("a stream was empty".to_owned()))?;
        let cached = pieces.iter().rev().find_map(|piece| {
            let data: Value = serde_json::from_str(&piece.data).ok()?;
            data.pointer("/usage/prompt_tokens_details/cached_tokens")?
                .as_u64()
        });
        Ok(Look {
            first: first.at.as_secs_f64() * 1000.0,
            cached,
        })
    }

    /// A primes; `by` looks, primed and fresh ones in random order. With a flood of so many prompts of B between, and in no
    /// more than that share of the time that is left.
    async fn tell(
        &self,
        bench: &Bench,
        by: &Client,
        pairs: usize,
        flood: usize,
        share: u32,
    ) -> Result<Tell, Trouble> {
        let mut tell = Tell::default();
        let until = Instant::now() + bench.a.budget().time_left() / share;
        while tell.primed.len() < pairs && Instant::now() < until {
            let beginnings: Vec<[String; 2]> = (0..self.batch.min(pairs - tell.primed.len()))
                .map(|_| [prose(bench, self.length), prose(bench, self.length)])
                .collect();
            let primers: Vec<String> = beginnings
                .iter()
                .map(|[primed, _]| self.prompt(primed, 1))
                .collect();
            self.all(&bench.a, &primers, self.width).await?;
            let others: Vec<String> = (0..flood)
                .map(|_| self.prompt(&prose(bench, FLOOD), 3))
                .collect();
            self.all(&bench.b, &others, 8).await?;
            let mut order: Vec<(usize, usize)> = (0..beginnings.len())
                .flat_map(|pair| [(pair, 0), (pair, 1)])
                .collect();
            bench.draw(|chance| chance.shuffle(&mut order));
            let prompts: Vec<String> = order
                .iter()
                .filter_map(|(pair, which)| beginnings.get(*pair)?.get(*which))
                .map(|beginning| self.prompt(beginning, 2))
                .collect();
            let looks = self.all(by, &prompts, self.width).await?;
            let mut sorted: Vec<((usize, usize), Look)> = order.into_iter().zip(looks).collect();
            sorted.sort_by_key(|(place, _)| *place);
            for pair in sorted.chunks_exact(2) {
                if let [(_, primed), (_, fresh)] = pair {
                    tell.add(primed, fresh);
                }
            }
        }
        Ok(tell)
    }

    async fn all(
        &self,
        who: &Client,
        prompts: &[String],
        width: usize,
    ) -> Result<Vec<Look>, Trouble> {
        let mut calls = Vec::new();
        for prompt in prompts {
            calls.push(self.look(who, prompt));
        }
        at_once(width, calls).await.into_iter().collect()
    }
}

impl Tell {
    fn add(&mut self, primed: &Look, fresh: &Look) {
        self.primed.push(primed.first);
        self.fresh.push(fresh.first);
        if let (Some(primed), Some(fresh)) = (primed.cached, fresh.cached) {
            self.said += 1;
            // more than the fresh twin: what every prompt shares, such as a template, tells nothing
            self.cached += u64::from(primed > fresh);
        }
    }

    /// Of telling primed from fresh by the fresh one taking longer.
    fn auc(&self) -> Option<Auc> {
        stats::auc(&self.primed, &self.fresh)
    }

    fn shows(&self) -> bool {
        let by_time = self.auc().is_some_and(|auc| auc.value >= SHOWS);
        by_time || (self.said > 0 && self.cached * 2 > self.said)
    }

    fn words(&self) -> String {
        let Some(auc) = self.auc() else {
            return "no pair was taken".to_owned();
        };
        format!(
            "AUC {:.3} ± {:.3} over {} pairs, {} of {} that said so with more cached tokens",
            auc.value,
            auc.standard_error,
            self.primed.len(),
            self.cached,
            self.said
        )
    }

    fn drawn(&self, name: &str) -> Distribution {
        let series = |label: &str, values: &[f64]| Series {
            label: label.to_owned(),
            values: values.to_vec(),
        };
        Distribution {
            name: name.to_owned(),
            unit: "ms".to_owned(),
            series: vec![
                series("primed by A", &self.primed),
                series("fresh", &self.fresh),
            ],
        }
    }

    /// What B could tell.
    fn finding(&self, control: Control, wanted: usize) -> Finding {
        let pairs = self.primed.len();
        let (bound, auc) = (bound(pairs), self.auc());
        let told = auc.is_some_and(|auc| auc.value > bound) || self.cached > 0;
        // half of the pairs still say something; less was cut off before it could
        let control = if pairs * 2 < wanted {
            Control::Missing(format!("time for {pairs} of {wanted} pairs only"))
        } else {
            control
        };
        let mut found = Finding::judged(control, !told, self.words())
            .samples(pairs as u64)
            .bound(format!("AUC at most {bound}, no cached tokens"))
            .measure("cached", self.cached as f64)
            .distribution(self.drawn("time to the first token, B after A"));
        if let Some(auc) = auc {
            found = found
                .measure("auc", auc.value)
                .measure("standard_error", auc.standard_error);
        }
        if let Some((distance, p)) = stats::kolmogorov_smirnov(&self.primed, &self.fresh) {
            found = found.measure("ks_distance", distance).detail(format!(
                "Kolmogorov-Smirnov: distance {distance:.3}, p = {p:.3}"
            ));
        }
        found
    }
}
