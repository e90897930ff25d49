//! Choosing the next token, as the OpenAI API means it: bias and penalties on the logits, then temperature, then the
//! smallest set of tokens that reaches `top_p`, then one draw.

use std::collections::HashMap;

use wire::cell::{FailureKind, Sampling};

use crate::CellError;

/// The least log probability ever reported; JSON has no minus infinity.
const FLOOR: f32 = -9999.0;

/// Draws tokens for one answer.
pub struct Sampler {
    temperature: f32,
    top_p: f32,
    frequency_penalty: f32,
    presence_penalty: f32,
    bias: Vec<(u32, f32)>,
    counts: HashMap<u32, u32>,
    random: SplitMix,
}

impl Sampler {
    /// A sampler for one answer of a model with `vocabulary` tokens.
    ///
    /// # Errors
    /// [`CellError::Failed`] for numbers outside their range or a bias on a token the model does not have.
    pub fn new(settings: &Sampling, vocabulary: usize) -> Result<Self, CellError> {
        let invalid = |detail: &str| {
            CellError::failed(
                FailureKind::InvalidRequest,
                format!("{detail}; nothing was generated"),
            )
        };
        let ranges = [
            (
                settings.temperature,
                0.0..=2.0,
                "temperature is not between 0 and 2",
            ),
            (settings.top_p, 0.0..=1.0, "top_p is not between 0 and 1"),
            (
                settings.frequency_penalty,
                -2.0..=2.0,
                "frequency_penalty is not between -2 and 2",
            ),
            (
                settings.presence_penalty,
                -2.0..=2.0,
                "presence_penalty is not between -2 and 2",
            ),
        ];
        for (value, range, detail) in ranges {
            if !range.contains(&value) {
                return Err(invalid(detail));
            }
        }
        if settings
            .logit_bias
            .values()
            .any(|bias| !(-100.0..=100.0).contains(bias))
        {
            return Err(invalid("a logit_bias is not between -100 and 100"));
        }
        if settings
            .logit_bias
            .keys()
            .any(|id| *id as usize >= vocabulary)
        {
            return Err(invalid(
                "a logit_bias names a token the model does not have",
            ));
        }
        let seed = match settings.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(|_| {
                CellError::failed(FailureKind::Internal, "no randomness from the system")
            })?,
        };
        Ok(Self {
            temperature: settings.temperature,
            top_p: settings.top_p,
            frequency_penalty: settings.frequency_penalty,
            presence_penalty: settings.presence_penalty,
            bias: settings
                .logit_bias
                .iter()
                .map(|(id, bias)| (*id, *bias))
                .collect(),
            counts: HashMap::new(),
            random: SplitMix(seed),
        })
    }

    /// The next token. Changes `logits` by bias and penalties.
    ///
    /// # Errors
    /// [`CellError::Failed`] if the model produced no finite logit.
    pub fn next(&mut self, logits: &mut [f32]) -> Result<u32, CellError> {
        for (id, bias) in &self.bias {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit += bias;
            }
        }
        for (id, count) in &self.counts {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit -= self.presence_penalty + self.frequency_penalty * *count as f32;
            }
        }
        let (best, top) = greatest(logits).ok_or_else(|| {
            CellError::failed(FailureKind::Internal, "the model produced no finite logit")
        })?;
        let chosen = if self.temperature == 0.0 {
            best
        } else {
            self.draw(logits, best, top)
        };
        *self.counts.entry(chosen).or_default() += 1;
        Ok(chosen)
    }

    fn draw(&mut self, logits: &[f32], best: u32, top: f32) -> u32 {
        // a temperature too small to divide by is greedy
        let scale = 1.0 / self.temperature.max(1e-4);
        let weights: Vec<(u32, f32)> = (0u32..)
            .zip(logits)
            .map(|(id, logit)| (id, ((logit - top) * scale).exp()))
            .filter(|(_, weight)| *weight > 0.0)
            .collect();
        let total: f64 = weights.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let kept = if self.top_p < 1.0 {
            nucleus(weights, total * f64::from(self.top_p))
        } else {
            weights
        };
        let kept_total: f64 = kept.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let mut left = self.random.unit() * kept_total;
        for (id, weight) in &kept {
            left -= f64::from(*weight);
            if left < 0.0 {
                return *id;
            }
        }
        best
    }
}

/// The first greatest finite logit. Ties go to the smaller id, so that greedy answers are reproducible.
fn greatest(logits: &[f32]) -> Option<(u32, f32)> {
    let finite = (0u32..)
        .zip(logits.iter().copied())
        .filter(|(_, logit)| logit.is_finite());
    finite.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// The likeliest tokens whose weights reach `wanted`, at least one. Sorts only as far as it must.
fn nucleus(mut weights: Vec<(u32, f32)>, wanted: f64) -> Vec<(u32, f32)> {
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let mut size = 64;
    loop {
        let head = if size < weights.len() {
            let (head, _, _) = weights.select_nth_unstable_by(size, order);
            head
        } else {
            weights.as_mut_slice()
        };
        head.sort_unstable_by(order);
        let mut sum = 0.0;
        for (index, (_, weight)) in head.iter().enumerate() {
            sum += f64::from(*weight);
            if sum >= wanted {
                weights.truncate(index + 1);
                return weights;
            }
        }
        if size >= weights.len() {
            return weights;
        }
        size *= 8;
    }
}

/// Log probability of `chosen` and the `count` likeliest tokens, best first, from unchanged logits.
#[must_use]
pub fn log_probabilities(logits: &[f32], chosen: u32, count: usize) -> (f32, Vec<(u32, f32)>) {
    let top = greatest(logits).map_or(0.0, |(_, logit)| logit);
    let sum: f64 = logits
        .iter()
        .map(|logit| f64::from((logit - top).exp()))
        .sum();
    let log_sum = top + sum.ln() as f32;
    let of = |logit: f32| (logit - log_sum).max(FLOOR);
    let mut ranked: Vec<(u32, f32)> = (0u32..).zip(logits.iter().copied()).collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if count < ranked.len() {
        ranked.select_nth_unstable_by(count, order);
        ranked.truncate(count);
    }
    ranked.sort_unstable_by(order);
    let chosen = logits.get(chosen as usize).copied().map_or(FLOOR, of);
    (
        chosen,
        ranked
            .into_iter()
            .map(|(id, logit)| (id, of(logit)))
            .collect(),
    )
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): small, and the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`, 53 bits.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
