//! From tokens to money and back.

use serde::{Deserialize, Serialize};

use crate::{Nanos, PolicyError};

const MILLION: u128 = 1_000_000;

/// Amounts per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Per million input tokens that no cache is involved in.
    pub input: Nanos,
    /// Per million input tokens that the upstream read from a cache; absent: as other input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Nanos>,
    /// Per million input tokens that the upstream wrote to a cache; absent: as other input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Nanos>,
    /// Per million output tokens.
    pub output: Nanos,
}

impl Rates {
    fn cached(&self) -> Nanos {
        self.cached_input.unwrap_or(self.input)
    }

    fn written(&self) -> Nanos {
        self.cache_write.unwrap_or(self.input)
    }

    /// What an input token costs when the upstream does the dearest thing with it.
    fn dearest_input(&self) -> Nanos {
        self.input.max(self.written())
    }

    fn check(&self) -> Result<(), PolicyError> {
        if self.cached() > self.input {
            return Err(PolicyError::Price {
                reason: "cached_input is above input; give the dearer of the two as input",
            });
        }
        Ok(())
    }
}

/// The rates of a whole request, output too, whose input is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongRates {
    /// The input tokens, cached ones too, above which these rates hold.
    pub above: u64,
    /// The rates, none of them below the ordinary one.
    pub rates: Rates,
}

/// What one model costs: rates per million tokens, dearer ones for long input if it has them, and an amount per
/// request.
///
/// INVARIANT: cached input is no dearer than other input, and no long rate is below its ordinary one. So
/// [`Price::bound`] covers whatever an upstream reports within the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPrice", into = "RawPrice")]
pub struct Price {
    rates: Rates,
    long: Option<LongRates>,
    per_request: Nanos,
}

/// A price as it stands in files.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrice {
    input: Nanos,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_input: Option<Nanos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write: Option<Nanos>,
    output: Nanos,
    #[serde(skip_serializing_if = "Option::is_none")]
    long: Option<LongRates>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_request: Option<Nanos>,
}

impl TryFrom<RawPrice> for Price {
    type Error = PolicyError;

    fn try_from(raw: RawPrice) -> Result<Price, PolicyError> {
        let RawPrice {
            input,
            cached_input,
            cache_write,
            output,
            ..
        } = raw;
        let rates = Rates {
            input,
            cached_input,
            cache_write,
            output,
        };
        let price = Price::of(rates)?.and_per_request(raw.per_request.unwrap_or(Nanos::ZERO));
        match raw.long {
            Some(long) => price.and_long(long),
            None => Ok(price),
        }
    }
}

impl From<Price> for RawPrice {
    fn from(price: Price) -> RawPrice {
        let Rates {
            input,
            cached_input,
            cache_write,
            output,
        } = price.rates;
        let per_request = Some(price.per_request).filter(|amount| *amount > Nanos::ZERO);
        RawPrice {
            input,
            cached_input,
            cache_write,
            output,
            long: price.long,
            per_request,
        }
    }
}

/// The tokens of one call, as the upstream reported them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenUse {
    /// All input tokens, the cached ones too.
    pub input: u64,
    /// How many of `input` the upstream read from a cache; more than `input` counts as `input`.
    pub cached_input: u64,
    /// How many of the rest of `input` the upstream wrote to a cache; more than the rest counts as the rest. Where nothing
    /// was reported, give it all of `input`: the dear side, as in [`Price::bound`].
    pub cache_written: u64,
    /// All output tokens of all choices, reasoning too.
    pub output: u64,
}

impl Price {
    /// A price per million input tokens and per million output tokens; a cache makes no difference.
    pub const fn new(input: Nanos, output: Nanos) -> Price {
        let rates = Rates {
            input,
            cached_input: None,
            cache_write: None,
            output,
        };
        Price {
            rates,
            long: None,
            per_request: Nanos::ZERO,
        }
    }

    /// A price by its rates.
    ///
    /// # Errors
    /// [`PolicyError::Price`] when cached input is dearer than other input.
    pub fn of(rates: Rates) -> Result<Price, PolicyError> {
        rates.check()?;
        Ok(Price {
            rates,
            long: None,
            per_request: Nanos::ZERO,
        })
    }

    /// The same with other rates for long input.
    ///
    /// # Errors
    /// [`PolicyError::Price`] when one of them is below the ordinary rate, or when cached input is dearer than other
    /// input.
    pub fn and_long(self, long: LongRates) -> Result<Price, PolicyError> {
        let (low, high) = (self.rates, long.rates);
        high.check()?;
        let each = [
            (low.input, high.input),
            (low.cached(), high.cached()),
            (low.written(), high.written()),
            (low.output, high.output),
        ];
        if each.iter().any(|(low, high)| high < low) {
            return Err(PolicyError::Price {
                reason: "a rate for long input is below the ordinary one",
            });
        }
        Ok(Price {
            long: Some(long),
            ..self
        })
    }

    /// The same with an amount for each request.
    pub const fn and_per_request(self, per_request: Nanos) -> Price {
        Price {
            per_request,
            ..self
        }
    }

    /// The rates of a request with this many input tokens.
    pub fn rates(&self, input: u64) -> Rates {
        self.long
            .filter(|long| input > long.above)
            .map_or(self.rates, |long| long.rates)
    }

    /// The dearer rates for long input, if the model has them.
    pub const fn long(&self) -> Option<LongRates> {
        self.long
    }

    /// Per request.
    pub const fn per_request(&self) -> Nanos {
        self.per_request
    }

    /// What a call with these tokens costs, rounded up once to a whole billionth; `None` above [`Nanos::MAX`].
    pub fn cost(&self, tokens: TokenUse) -> Option<Nanos> {
        let rates = self.rates(tokens.input);
        let cached = tokens.cached_input.min(tokens.input);
        let written = tokens.cache_written.min(tokens.input - cached);
        let sum = parts(tokens.input - cached - written, rates.input)
            .checked_add(parts(cached, rates.cached()))?
            .checked_add(parts(written, rates.written()))?
            .checked_add(parts(tokens.output, rates.output))?;
        self.round_up(sum)
    }

    /// The most that a call with at most these tokens can cost, whatever a cache does; `None` above [`Nanos::MAX`].
    pub fn bound(&self, input: u64, output: u64) -> Option<Nanos> {
        let rates = self.rates(input);
        self.round_up(parts(input, rates.dearest_input()).checked_add(parts(output, rates.output))?)
    }

    fn round_up(&self, parts: u128) -> Option<Nanos> {
        Nanos::new(u64::try_from(parts.div_ceil(MILLION)).ok()?)?.checked_add(self.per_request)
    }

    /// The most output tokens for each of `choices` choices, `wanted` at most, whose [`Price::bound`]
    /// together with `input` tokens stays within `budget`; `None` when not even the input does.
    pub fn affordable_output(
        &self,
        budget: Nanos,
        input: u64,
        wanted: u32,
        choices: u32,
    ) -> Option<u32> {
        let budget = budget.checked_sub(self.per_request)?;
        let rates = self.rates(input);
        let rest = (u128::from(budget.get()) * MILLION)
            .checked_sub(parts(input, rates.dearest_input()))?;
        let one_each = parts(u64::from(choices.max(1)), rates.output);
        match rest.checked_div(one_each) {
            Some(affordable) => Some(u32::try_from(affordable).unwrap_or(u32::MAX).min(wanted)),
            None => Some(wanted), // output costs nothing
        }
    }
}

/// Millionths of a billionth. Cannot wrap: both factors have 64 bits.
fn parts(tokens: u64, per_million: Nanos) -> u128 {
    u128::from(tokens) * u128::from(per_million.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nanos(text: &str) -> Nanos {
        text.parse().unwrap()
    }

    fn price(json: &str) -> Price {
        serde_json::from_str(json).unwrap()
    }

    const GPT_4O: &str = r#"{"input":"2.5","cached_input":"1.25","output":"10"}"#;
    const TIERED: &str = r#"{"input":"2","cached_input":"0.2","cache_write":"2.5","output":"12","long":{"above":200000,"rates":{"input":"4","cached_input":"0.4","cache_write":"5","output":"18"}}}"#;

    fn check(json: &str, tokens: (u64, u64, u64), expected: Option<&str>) {
        let tokens = TokenUse {
            input: tokens.0,
            cached_input: tokens.1,
            cache_written: 0,
            output: tokens.2,
        };
        assert_eq!(
            price(json).cost(tokens),
            expected.map(nanos),
            "{json} {tokens:?}"
        );
    }

    #[test]
    fn a_cost_is_exact_and_rounded_up_once() {
        check(GPT_4O, (1_000_000, 0, 0), Some("2.50"));
        check(GPT_4O, (1_000_000, 400_000, 0), Some("2"));
        check(GPT_4O, (1000, 0, 500), Some("0.0075"));
        check(
            r#"{"input":"2","output":"2","per_request":"0.01"}"#,
            (0, 0, 0),
            Some("0.01"),
        );
        check(
            r#"{"input":"0.000000001","output":"0"}"#,
            (1, 0, 0),
            Some("0.000000001"),
        );
        check(
            r#"{"input":"0.000000001","output":"0.000000001"}"#,
            (1, 0, 1),
            Some("0.000000001"),
        );
        check(
            r#"{"input":"0","output":"0"}"#,
            (u64::MAX, u64::MAX, u64::MAX),
            Some("0"),
        );
        check(r#"{"input":"1","output":"1"}"#, (5, 9, 0), Some("0.000005"));
        check(
            r#"{"input":"9000000000","output":"0"}"#,
            (u64::MAX, 0, 0),
            None,
        );
        check(
            r#"{"input":"9223372036","output":"9223372036","per_request":"1"}"#,
            (u64::MAX, 7, u64::MAX),
            None,
        );
    }

    #[test]
    fn long_input_makes_the_whole_request_dearer() {
        check(TIERED, (200_000, 0, 1000), Some("0.412"));
        check(TIERED, (200_001, 0, 1000), Some("0.818004"));
        check(TIERED, (200_001, 200_001, 0), Some("0.0800004"));
    }

    #[test]
    fn tokens_written_to_a_cache_are_paid_and_bounded() {
        let call = TokenUse {
            input: 1_000_000,
            cached_input: 400_000,
            cache_written: u64::MAX,
            output: 0,
        };
        let price =
            price(r#"{"input":"2","cached_input":"0.2","cache_write":"2.5","output":"12"}"#);
        assert_eq!(price.cost(call), Some(nanos("1.58")));
        assert_eq!(price.bound(1_000_000, 0), Some(nanos("2.5")));
    }

    #[test]
    fn a_price_that_contradicts_itself_is_refused() {
        for refused in [
            r#"{"input":"1","cached_input":"2","output":"1"}"#,
            r#"{"input":"1","output":"1","surprise":"1"}"#,
            r#"{"input":"1","cache_write":"3","output":"1","long":{"above":1,"rates":{"input":"2","output":"1"}}}"#,
            r#"{"input":"1"}"#,
            r#"{"input":1,"output":"1"}"#,
            r#"{"input":"1","output":"1","long":{"above":1,"rates":{"input":"0.9","output":"1"}}}"#,
            r#"{"input":"1","output":"1","long":{"above":1,"rates":{"input":"2","output":"0.9"}}}"#,
            r#"{"input":"1","output":"1","long":{"above":1,"rates":{"input":"2","cached_input":"0.5","output":"1"}}}"#,
            r#"{"input":"1","output":"1","long":{"above":1,"rates":{"input":"2","cached_input":"3","output":"1"}}}"#,
        ] {
            assert!(serde_json::from_str::<Price>(refused).is_err(), "{refused}");
        }
        for json in [GPT_4O, TIERED] {
            assert_eq!(serde_json::to_string(&price(json)).unwrap(), json);
        }
    }

    prop_compose! {
        fn rates()(
            input in amount(), cached in amount(), write in prop::option::of(amount()), output in amount(),
        ) -> Rates {
            Rates { input, cached_input: Some(cached.min(input)), cache_write: write, output }
        }
    }

    prop_compose! {
        fn prices()(
            low in rates(), high in rates(), fee in amount(), above in prop::option::of(0..=1_000_000u64),
        ) -> Price {
            let price = Price::of(low).unwrap().and_per_request(fee);
            let Some(above) = above else { return price };
            let input = low.input.max(high.input);
            price.and_long(LongRates {
                above,
                rates: Rates {
                    input,
                    cached_input: Some(low.cached().max(high.cached())),
                    cache_write: Some(low.written().max(high.written())),
                    output: low.output.max(high.output),
                },
            }).unwrap()
        }
    }

    fn amount() -> impl Strategy<Value = Nanos> {
        prop_oneof![0..=2_000u64, 0..=2_000_000_000_000u64]
            .prop_map(|nanos| Nanos::new(nanos).unwrap())
    }

    proptest! {
        #[test]
        fn what_is_affordable_fits_and_one_token_more_does_not(
            price in prices(), budget in 0..=4_000_000_000_000u64,
            tokens in 0..=2_000_000u64, wanted in 0..=100_000u32, choices in 1..=8u32,
        ) {
            let budget = Nanos::new(budget).unwrap();
            let bound = |each: u32| price.bound(tokens, u64::from(each) * u64::from(choices));
            match price.affordable_output(budget, tokens, wanted, choices) {
                Some(each) => {
                    prop_assert!(each <= wanted && bound(each).unwrap() <= budget);
                    prop_assert!(each == wanted || bound(each + 1).unwrap() > budget);
                }
                None => prop_assert!(bound(0).unwrap() > budget),
            }
        }

        #[test]
        fn no_answer_within_the_bounds_costs_more_than_the_bounds(
            price in prices(), tokens in 0..=2_000_000u64, out in 0..=100_000u64,
            less in 0..=2_000_000u64, cached in 0..=2_000_000u64, written in 0..=2_000_000u64, shorter in 0..=100_000u64,
        ) {
            let actual = price.cost(TokenUse {
                input: tokens.min(less), cached_input: cached, cache_written: written, output: out.min(shorter),
            });
            prop_assert!(actual <= price.bound(tokens, out));
        }
    }
}
