//! The arithmetic behind verdicts: pure, without opinion.

/// An area under the ROC curve with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Auc {
    /// Probability that a value of the second sample is larger than one of the first, ties counting half: 0.5 where the
    /// samples cannot be told apart, 1.0 where every value of the second is larger.
    pub value: f64,
    /// Standard error (Hanley and McNeil, Radiology 143, 1982).
    pub standard_error: f64,
}

impl Auc {
    /// The distance from what a coin would do, whichever way: 0.5 for a perfect gateway, 1.0 for a perfect tell.
    pub fn folded(self) -> f64 {
        self.value.max(1.0 - self.value)
    }
}

/// The area under the curve of telling `second` from `first` by size. None where one is empty or holds what is no number.
pub fn auc(first: &[f64], second: &[f64]) -> Option<Auc> {
    if first.is_empty() || second.is_empty() || first.iter().chain(second).any(|v| !v.is_finite()) {
        return None;
    }
    let first = sorted(first);
    let (n, m) = (count(first.len()), count(second.len()));
    let wins: f64 = second
        .iter()
        .map(|value| {
            let smaller = first.partition_point(|other| other < value);
            let not_larger = first.partition_point(|other| other <= value);
            count(smaller) + count(not_larger - smaller) / 2.0
        })
        .sum();
    let value = wins / (n * m);
    let q1 = value / (2.0 - value);
    let q2 = 2.0 * value * value / (1.0 + value);
    let square = value * value;
    let variance =
        (value * (1.0 - value) + (m - 1.0) * (q1 - square) + (n - 1.0) * (q2 - square)) / (n * m);
    Some(Auc {
        value,
        standard_error: variance.max(0.0).sqrt(),
    })
}

/// The rate that `tries` without one event exclude with 95 % confidence: 3 / tries (Hanley and Lippman-Hand, JAMA 249, 1983).
/// 1 where there were fewer than three tries.
pub fn rule_of_three(tries: u64) -> f64 {
    3.0 / (tries.max(3) as f64)
}

/// The largest distance between two samples' distributions and the probability of one at least as large between samples of
/// one distribution (Kolmogorov and Smirnov; asymptotic). None where one is empty or holds what is no number.
pub fn kolmogorov_smirnov(first: &[f64], second: &[f64]) -> Option<(f64, f64)> {
    if first.is_empty() || second.is_empty() || first.iter().chain(second).any(|v| !v.is_finite()) {
        return None;
    }
    let (first, second) = (sorted(first), sorted(second));
    let (n, m) = (count(first.len()), count(second.len()));
    let below = |of: &[f64], value: f64| count(of.partition_point(|other| *other <= value));
    let distance = first
        .iter()
        .chain(&second)
        .map(|value| (below(&first, *value) / n - below(&second, *value) / m).abs())
        .fold(0.0, f64::max);
    let effective = (n * m / (n + m)).sqrt();
    let lambda = (effective + 0.12 + 0.11 / effective) * distance;
    // the alternating series does not converge towards 0, where the answer is 1
    if lambda < 0.2 {
        return Some((distance, 1.0));
    }
    let series: f64 = (1..=100)
        .map(|k| {
            let k = f64::from(k);
            let sign = if k % 2.0 == 0.0 { -1.0 } else { 1.0 };
            sign * (-2.0 * k * k * lambda * lambda).exp()
        })
        .sum();
    Some((distance, (2.0 * series).clamp(0.0, 1.0)))
}

/// The probability that chance alone gives the first of two groups at least so many events (Fisher's exact test, one-sided):
/// `events.0` of `sizes.0` against `events.1` of `sizes.1`. None where there are more events than members.
pub fn fisher(events: (u64, u64), sizes: (u64, u64)) -> Option<f64> {
    if events.0 > sizes.0 || events.1 > sizes.1 {
        return None;
    }
    let (all, drawn) = (
        sizes.0.checked_add(sizes.1)?,
        events.0.checked_add(events.1)?,
    );
    // at most this many terms are added, and as many logarithms
    if all > 10_000_000 {
        return None;
    }
    let mut logs = vec![0.0; usize::try_from(all).ok()? + 1];
    let mut sum = 0.0;
    for (n, log) in logs.iter_mut().enumerate().skip(1) {
        sum += (n as f64).ln();
        *log = sum;
    }
    let log = |n: u64| usize::try_from(n).ok().and_then(|n| logs.get(n)).copied();
    let choose = |n: u64, k: u64| Some(log(n)? - log(k)? - log(n - k)?);
    let mut probability = 0.0;
    for k in events.0..=drawn.min(sizes.0) {
        if drawn - k > sizes.1 {
            continue;
        }
        let term = choose(sizes.0, k)? + choose(sizes.1, drawn - k)? - choose(all, drawn)?;
        probability += term.exp();
    }
    Some(probability.min(1.0))
}

/// The value that this share (0 to 1) of a sample does not exceed, between neighbours by distance. None where it is empty.
pub fn percentile(sample: &[f64], share: f64) -> Option<f64> {
    let ordered = sorted(sample);
    let last = count(ordered.len().checked_sub(1)?);
    let place = share.clamp(0.0, 1.0) * last;
    let low = *ordered.get(place.floor() as usize)?;
    let high = *ordered.get(place.ceil() as usize)?;
    Some(low + (high - low) * place.fract())
}

/// The middle of a sample. None where it is empty.
pub fn median(sample: &[f64]) -> Option<f64> {
    percentile(sample, 0.5)
}

fn sorted(sample: &[f64]) -> Vec<f64> {
    let mut ordered = sample.to_vec();
    ordered.sort_by(f64::total_cmp);
    ordered
}

fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use proptest::prelude::*;

    fn near(value: f64, expected: f64, within: f64) {
        assert!(
            (value - expected).abs() <= within,
            "{value}, not {expected}"
        );
    }

    #[test]
    fn the_area_is_that_of_counting_pairs() {
        let check = |first: &[f64], second: &[f64], expected: f64| {
            near(auc(first, second).unwrap().value, expected, 1e-12);
        };
        check(&[1.0, 2.0], &[3.0, 4.0], 1.0);
        check(&[3.0, 4.0], &[1.0, 2.0], 0.0);
        check(&[1.0, 1.0], &[1.0], 0.5);
        check(&[1.0, 3.0], &[2.0], 0.5);
        check(&[1.0, 2.0, 3.0], &[2.0, 3.0], 4.0 / 6.0);
        assert_eq!(auc(&[], &[1.0]), None);
        assert_eq!(auc(&[1.0], &[f64::NAN]), None);
    }

    #[test]
    fn the_standard_error_is_the_one_that_the_sample_sizes_were_chosen_by() {
        let of = |n: usize| {
            let mut chance = Chance::new(5);
            let mut sample =
                || -> Vec<f64> { (0..n).map(|_| chance.below(1 << 40) as f64).collect() };
            auc(&sample(), &sample()).unwrap().standard_error
        };
        near(of(200), 0.029, 0.001);
        near(of(600), 0.0165, 0.0006);
    }

    #[test]
    fn distributions_that_differ_are_told_apart_and_equal_ones_are_not() {
        let mut chance = Chance::new(9);
        let mut sample = |from: usize| -> Vec<f64> {
            (0..250)
                .map(|_| (from + chance.below(1000)) as f64)
                .collect()
        };
        let (same, other, shifted) = (sample(0), sample(0), sample(300));
        assert!(kolmogorov_smirnov(&same, &other).unwrap().1 > 0.05);
        assert!(kolmogorov_smirnov(&same, &shifted).unwrap().1 < 1e-6);
        assert_eq!(kolmogorov_smirnov(&same, &same).unwrap(), (0.0, 1.0));
        assert_eq!(kolmogorov_smirnov(&same, &[]), None);
        // a worked example: D = 0.5 with n = m = 8 gives about 0.19 by this approximation
        let (first, second): (Vec<f64>, Vec<f64>) = (
            (0..8).map(f64::from).collect(),
            (4..12).map(f64::from).collect(),
        );
        let (distance, p) = kolmogorov_smirnov(&first, &second).unwrap();
        near(distance, 0.5, 1e-12);
        near(p, 0.19, 0.03);
    }

    #[test]
    fn fishers_test_gives_the_known_values() {
        // the lady tasting tea
        near(fisher((4, 0), (4, 4)).unwrap(), 1.0 / 70.0, 1e-9);
        near(fisher((3, 1), (4, 4)).unwrap(), 17.0 / 70.0, 1e-9);
        near(fisher((0, 0), (500, 500)).unwrap(), 1.0, 1e-9);
        near(fisher((0, 5), (500, 500)).unwrap(), 1.0, 1e-9);
        assert!(fisher((12, 0), (500, 500)).unwrap() < 0.001);
        assert_eq!(fisher((5, 0), (4, 4)), None);
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        let sample = [4.0, 1.0, 3.0, 2.0];
        near(median(&sample).unwrap(), 2.5, 1e-12);
        near(percentile(&sample, 0.0).unwrap(), 1.0, 1e-12);
        near(percentile(&sample, 1.0).unwrap(), 4.0, 1e-12);
        near(percentile(&sample, 7.0).unwrap(), 4.0, 1e-12);
        assert_eq!(median(&[]), None);
        near(rule_of_three(200), 0.015, 1e-12);
        near(rule_of_three(0), 1.0, 1e-12);
    }

    proptest! {
        #[test]
        fn whichever_sample_comes_first_the_areas_add_up_to_one(
            first in prop::collection::vec(-1e6..1e6f64, 1..50), second in prop::collection::vec(-1e6..1e6f64, 1..50),
        ) {
            let (one, other) = (auc(&first, &second).unwrap(), auc(&second, &first).unwrap());
            prop_assert!((one.value + other.value - 1.0).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&one.value) && one.standard_error >= 0.0);
            prop_assert!((one.folded() - other.folded()).abs() < 1e-9);
            let (distance, p) = kolmogorov_smirnov(&first, &second).unwrap();
            prop_assert!((0.0..=1.0).contains(&distance) && (0.0..=1.0).contains(&p));
        }

        #[test]
        fn more_events_are_never_more_likely_by_chance(a in 0u64..40, b in 0u64..40) {
            let of = |a| fisher((a, b), (40, 40)).unwrap();
            prop_assert!((0.0..=1.0).contains(&of(a)));
            prop_assert!(a == 0 || of(a) <= of(a - 1) + 1e-9);
        }

        #[test]
        fn a_percentile_grows_with_its_share(sample in prop::collection::vec(-1e6..1e6f64, 1..50), share in 0.0..0.9f64) {
            let of = |share| percentile(&sample, share).unwrap();
            prop_assert!(of(share) <= of(share + 0.1) + 1e-9);
        }
    }
}
