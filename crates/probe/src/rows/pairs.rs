//! Two kinds of requests whose times must not tell them apart.

use crate::stats::{Auc, auc, median};
use crate::verdict::{Distribution, Series};

/// An area under the curve up to this is no tell (rule 2 of the catalogue).
const NO_TELL: f64 = 0.55;
/// What chance does not reach: small samples of a perfect gateway go far beyond [`NO_TELL`].
const STANDARD_ERRORS: f64 = 3.0;

/// Times in milliseconds, taken in turns.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) plain: Vec<f64>,
    pub(super) other: Vec<f64>,
}

impl Pairs {
    /// How well the time tells one from the other; none without samples.
    pub(super) fn area(&self) -> Option<Auc> {
        auc(&self.plain, &self.other)
    }

    /// Whether the other kind takes longer, by more than chance gives.
    pub(super) fn is_slower(&self) -> bool {
        self.area()
            .is_some_and(|area| beyond_chance(area, area.value))
    }

    /// Whether the time tells them apart, either way, by more than chance gives.
    pub(super) fn differ(&self) -> bool {
        self.area()
            .is_some_and(|area| beyond_chance(area, area.folded()))
    }

    /// By how many milliseconds the other kind's middle lies later.
    pub(super) fn gap(&self) -> f64 {
        median(&self.other).unwrap_or_default() - median(&self.plain).unwrap_or_default()
    }

    /// For drawing.
    pub(super) fn distribution(self, name: &str, plain: &str, other: &str) -> Distribution {
        let series = |label: &str, values| Series {
            label: label.to_owned(),
            values,
        };
        Distribution {
            name: name.to_owned(),
            unit: "ms".to_owned(),
            series: vec![series(plain, self.plain), series(other, self.other)],
        }
    }
}

fn beyond_chance(area: Auc, value: f64) -> bool {
    value > NO_TELL && value - STANDARD_ERRORS * area.standard_error > 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_counts_where_chance_does_not_give_it() {
        let pairs = |shift: f64, count: u32| Pairs {
            plain: (0..count).map(f64::from).collect(),
            other: (0..count).map(|value| f64::from(value) + shift).collect(),
        };
        for (shift, count, slower, differ) in [
            (0.0, 100, false, false),
            (2.0, 10, false, false),
            (50.0, 10, true, true),
            (-50.0, 10, false, true),
            (30.0, 200, true, true),
            (1.0, 0, false, false),
        ] {
            let pairs = pairs(shift, count);
            assert_eq!(
                (pairs.is_slower(), pairs.differ()),
                (slower, differ),
                "{shift} {count}"
            );
        }
    }
}
