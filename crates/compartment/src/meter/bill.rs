//! What a call is billed for, from what the upstream reported, what was observed, or what was reserved.

use super::Held;
use crate::permit::{Ended, Outcome};
use evidence::Basis;
use policy::{Nanos, TokenUse};

/// Text of this many bytes is at least one token, to whoever must guess: the usual rule of thumb.
const BYTES_PER_TOKEN: u64 = 4;

/// More bytes than this many for each reserved token cannot come from a vocabulary in use: the longest tokens are runs
/// of 128 blanks, and no answer consists of those alone.
const MOST_BYTES_PER_TOKEN: u64 = 64;

/// A call that cost nothing.
pub(crate) const NO_TOKENS: TokenUse = TokenUse {
    input: 0,
    cached_input: 0,
    cache_written: 0,
    output: 0,
};

/// What was seen of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observed {
    tokens_at_least: u64,
    bytes: u64,
}

impl Observed {
    pub(crate) fn add(&mut self, tokens_at_least: u32, bytes: usize) {
        self.tokens_at_least = self
            .tokens_at_least
            .saturating_add(u64::from(tokens_at_least));
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Whether this is certainly more than was reserved. One piece more than tokens is let through for each choice:
    /// some upstreams flush a last one of its own.
    pub(crate) fn exceeds(&self, held: &Held) -> bool {
        let reserved = held.bound().output;
        let pieces = reserved.saturating_add(u64::from(held.choices()));
        let bytes = pieces.saturating_mul(MOST_BYTES_PER_TOKEN);
        self.tokens_at_least > pieces || self.bytes > bytes
    }

    fn tokens(&self) -> u64 {
        self.tokens_at_least
            .max(self.bytes.div_ceil(BYTES_PER_TOKEN))
    }
}

/// What a call is billed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bill {
    pub(crate) tokens: TokenUse,
    /// What these tokens cost; [`policy::Reservation::charge`] clamps it to what was reserved.
    pub(crate) cost: Nanos,
    pub(crate) basis: Basis,
    /// The upstream reported more than it was asked for.
    pub(crate) overrun: bool,
}

impl Bill {
    /// `sent` says whether the request was ever fit to be sent; before that nothing can have cost anything.
    pub(crate) fn of(held: &Held, outcome: &Outcome, observed: Observed, sent: bool) -> Self {
        let bound = held.bound();
        let nothing_left =
            !sent || matches!(outcome.ended, Ended::NotSent | Ended::UpstreamRefused);
        // All zeros is what servers write that do not count.
        let reported = outcome
            .usage
            .filter(|usage| usage.input > 0 || usage.output > 0);
        let (tokens, basis) = match (reported, outcome.ended) {
            _ if nothing_left => return Self::NOTHING,
            (Some(usage), _) => (usage, Basis::Measured),
            (None, Ended::ClientGone | Ended::CutAtReservation | Ended::Abandoned) => {
                let output = observed.tokens().min(bound.output);
                (TokenUse { output, ..bound }, Basis::Observed)
            }
            (None, _) => (bound, Basis::Bound),
        };
        let clamped = TokenUse {
            input: tokens.input.min(bound.input),
            cached_input: tokens.cached_input.min(bound.input),
            cache_written: tokens.cache_written.min(bound.input),
            output: tokens.output.min(bound.output),
        };
        let cost = if basis == Basis::Bound {
            held.cost()
        } else {
            held.price_of(clamped)
        };
        Self {
            tokens: clamped,
            cost,
            basis,
            overrun: tokens.input > bound.input || tokens.output > bound.output,
        }
    }

    const NOTHING: Self = Self {
        tokens: NO_TOKENS,
        cost: Nanos::ZERO,
        basis: Basis::Measured,
        overrun: false,
    };
}
