//! Amounts of money as integers.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::PolicyError;

const DECIMALS: usize = 9;
const UNIT: u64 = 1_000_000_000;

/// An amount of money in billionths (1e-9) of the catalogue's currency unit, 0 to [`Nanos::MAX`].
///
/// Written as a decimal string everywhere people or programs read it, because JSON and TOML numbers are floats to
/// many readers. Sums are checked: an amount never wraps.
///
/// ```
/// use policy::Nanos;
/// let price: Nanos = "2.50".parse()?;
/// assert_eq!(price.get(), 2_500_000_000);
/// assert_eq!(price.to_string(), "2.5");
/// # Ok::<(), policy::PolicyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(u64);

impl Nanos {
    /// Nothing.
    pub const ZERO: Nanos = Nanos(0);
    /// The largest amount, about 9.2 billion units: what a signed 64-bit column of a database holds.
    pub const MAX: Nanos = Nanos(i64::MAX as u64);

    /// The amount of `nanos` billionths; `None` above [`Nanos::MAX`].
    pub const fn new(nanos: u64) -> Option<Nanos> {
        if nanos <= Nanos::MAX.0 {
            Some(Nanos(nanos))
        } else {
            None
        }
    }

    /// The amount in billionths of the unit.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum; `None` above [`Nanos::MAX`].
    pub const fn checked_add(self, other: Nanos) -> Option<Nanos> {
        Nanos::new(self.0 + other.0) // INVARIANT: both are at most i64::MAX, so that u64 cannot wrap
    }

    /// The sum, [`Nanos::MAX`] at most: for totals that only ever tighten a limit.
    pub const fn saturating_add(self, other: Nanos) -> Nanos {
        match self.checked_add(other) {
            Some(sum) => sum,
            None => Nanos::MAX,
        }
    }

    /// The difference; `None` below zero.
    pub const fn checked_sub(self, other: Nanos) -> Option<Nanos> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Nanos(rest)),
            None => None,
        }
    }

    /// The difference, zero at least.
    pub const fn saturating_sub(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}

impl FromStr for Nanos {
    type Err = PolicyError;

    /// Reads `digits` or `digits.digits`, at most nine decimals. No sign, exponent, space or separator: an amount
    /// that could be read in two ways is refused.
    fn from_str(text: &str) -> Result<Nanos, PolicyError> {
        let refuse = |reason| PolicyError::Amount { reason };
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || fraction.is_some_and(|part| !digits(part)) {
            return Err(refuse("it is not a plain decimal number"));
        }
        let fraction = fraction.unwrap_or("");
        if fraction.len() > DECIMALS {
            return Err(refuse("it has more than nine decimals"));
        }
        let too_large = || refuse("it is above 9223372036.854775807");
        let whole: u64 = whole.parse().map_err(|_| too_large())?;
        let fraction: u64 = format!("{fraction:0<DECIMALS$}")
            .parse()
            .map_err(|_| too_large())?;
        whole
            .checked_mul(UNIT)
            .and_then(|nanos| nanos.checked_add(fraction))
            .and_then(Nanos::new)
            .ok_or_else(too_large)
    }
}

impl fmt::Display for Nanos {
    /// The shortest decimal string that [`Nanos::from_str`] reads back to the same amount.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / UNIT, self.0 % UNIT);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let fraction = format!("{fraction:0DECIMALS$}");
        write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl fmt::Debug for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nanos({self})")
    }
}

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Nanos, D::Error> {
        struct Amount;
        impl Visitor<'_> for Amount {
            type Value = Nanos;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount as a decimal string, such as \"2.50\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Nanos, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<(u64, &str)>) {
        let parsed = text
            .parse::<Nanos>()
            .ok()
            .map(|nanos| (nanos.get(), nanos.to_string()));
        assert_eq!(
            parsed,
            expected.map(|(nanos, text)| (nanos, text.to_owned())),
            "{text:?}"
        );
    }

    #[test]
    fn an_amount_is_a_plain_decimal_number_or_refused() {
        check("0", Some((0, "0")));
        check("0.000000001", Some((1, "0.000000001")));
        check("2.50", Some((2_500_000_000, "2.5")));
        check("007", Some((7_000_000_000, "7")));
        check("10.000000000", Some((10_000_000_000, "10")));
        check(
            "9223372036.854775807",
            Some((i64::MAX as u64, "9223372036.854775807")),
        );
        for refused in [
            "",
            ".",
            "1.",
            ".5",
            "+1",
            "-1",
            "-0",
            "1e3",
            " 1",
            "1 ",
            "1_000",
            "1,5",
            "0x10",
            "1.0000000000",
            "1.2.3",
            "9223372036.854775808",
            "18446744073.709551616",
            "99999999999999999999999",
            "NaN",
            "inf",
            "١",
            "1\n",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn an_amount_in_json_is_a_string_and_never_a_number() {
        assert_eq!(
            serde_json::to_string(&Nanos(1_500_000_000)).unwrap(),
            "\"1.5\""
        );
        assert_eq!(
            serde_json::from_str::<Nanos>("\"1.5\"").unwrap(),
            Nanos(1_500_000_000)
        );
        for refused in ["1.5", "1", "null", "\"1.5 \"", "[]"] {
            assert!(serde_json::from_str::<Nanos>(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn sums_never_wrap() {
        assert_eq!(Nanos::MAX.checked_add(Nanos(1)), None);
        assert_eq!(Nanos::MAX.saturating_add(Nanos::MAX), Nanos::MAX);
        assert_eq!(Nanos(1).checked_sub(Nanos(2)), None);
        assert_eq!(Nanos(1).saturating_sub(Nanos(2)), Nanos::ZERO);
        assert_eq!(Nanos::new(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn every_amount_reads_back_as_it_was_written(nanos in 0..=Nanos::MAX.0) {
            prop_assert_eq!(Nanos(nanos).to_string().parse::<Nanos>(), Ok(Nanos(nanos)));
        }

        #[test]
        fn no_text_makes_the_amount_parser_panic(text in ".{0,40}") {
            let _ = text.parse::<Nanos>();
        }
    }
}
