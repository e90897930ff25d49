//! Distributions as shapes that can be laid over one another.

use serde::Serialize;

use crate::stats;
use crate::verdict::Distribution;

/// Size of the picture in its own units; the page scales it.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 160.0;
const BINS: usize = 48;
const TICKS: usize = 5;
/// What lies beyond this share of all values is counted, not drawn: one straggler would flatten everything else.
const DRAWN: f64 = 0.99;

/// A distribution, ready to be put into an `<svg>` of this size.
#[derive(Debug, Serialize)]
pub(super) struct Drawing {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) shapes: Vec<Shape>,
    /// Numbers for below it, at equal distances from its left end to its right.
    pub(super) ticks: Vec<String>,
    /// Values too large to be drawn.
    pub(super) beyond: usize,
}

/// One sample.
#[derive(Debug, Serialize)]
pub(super) struct Shape {
    pub(super) label: String,
    pub(super) samples: usize,
    /// The outline, as the `d` of a path.
    pub(super) path: String,
    pub(super) median: String,
    pub(super) median_x: f64,
}

/// None where there is nothing to draw.
pub(super) fn draw(distribution: &Distribution) -> Option<Drawing> {
    let all: Vec<f64> = distribution
        .series
        .iter()
        .flat_map(|series| &series.values)
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    let low = stats::percentile(&all, 0.0)?;
    let most = stats::percentile(&all, DRAWN)?;
    // values that are all the same still need a width
    let high = if most > low { most } else { low + 1.0 };
    let scale = Scale { low, high };
    let shares: Vec<Vec<f64>> = distribution
        .series
        .iter()
        .map(|series| scale.shares(&series.values))
        .collect();
    let tallest = shares
        .iter()
        .flatten()
        .copied()
        .fold(f64::MIN_POSITIVE, f64::max);
    let shapes = distribution
        .series
        .iter()
        .zip(&shares)
        .filter_map(|(series, shares)| {
            let median = stats::median(&series.values)?;
            Some(Shape {
                label: series.label.clone(),
                samples: series.values.len(),
                path: outline(shares, tallest),
                median: number(median),
                median_x: rounded(scale.x(median)),
            })
        })
        .collect();
    let ticks =
        (0..TICKS).map(|index| number(low + (high - low) * index as f64 / (TICKS - 1) as f64));
    Some(Drawing {
        name: distribution.name.clone(),
        unit: distribution.unit.clone(),
        width: WIDTH,
        height: HEIGHT,
        shapes,
        ticks: ticks.collect(),
        beyond: all.iter().filter(|value| **value > high).count(),
    })
}

struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn x(&self, value: f64) -> f64 {
        WIDTH * ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The share of values in each bin.
    fn shares(&self, values: &[f64]) -> Vec<f64> {
        let mut shares = vec![0.0; BINS];
        let drawn = values
            .iter()
            .filter(|value| value.is_finite() && **value <= self.high);
        for value in drawn {
            let bin = self.x(*value) / WIDTH * BINS as f64;
            if let Some(share) = shares.get_mut((bin as usize).min(BINS - 1)) {
                *share += 1.0 / values.len() as f64;
            }
        }
        shares
    }
}

/// Steps from the floor and back to it.
fn outline(shares: &[f64], tallest: f64) -> String {
    let floor = HEIGHT;
    let step = WIDTH / BINS as f64;
    let mut path = format!("M0 {floor}");
    let mut last = floor;
    for (bin, share) in shares.iter().enumerate() {
        let top = rounded(floor - share / tallest * (floor - 6.0));
        if top != last {
            path.push_str(&format!("H{}V{top}", rounded(bin as f64 * step)));
            last = top;
        }
    }
    path.push_str(&format!("H{WIDTH}V{floor}Z"));
    path
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Three digits that count, as far as they are behind the point.
fn number(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        middle if middle < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Series;

    fn of(series: &[&[f64]]) -> Option<Drawing> {
        let series = series.iter().map(|values| Series {
            label: "x".into(),
            values: values.to_vec(),
        });
        draw(&Distribution {
            name: "n".into(),
            unit: "ms".into(),
            series: series.collect(),
        })
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out_and_counted() {
        assert!(of(&[]).is_none());
        assert!(of(&[&[], &[f64::NAN]]).is_none());
        let same = of(&[&[2.0, 2.0], &[2.0]]).unwrap();
        assert_eq!((same.shapes.len(), same.beyond), (2, 0));
        assert_eq!(same.shapes[0].path, "M0 160H0V6H13.3V160H640V160Z");
        let mut values: Vec<f64> = (0..300).map(f64::from).collect();
        values.push(1e9);
        let stragglers = of(&[&values]).unwrap();
        assert!(
            (1..=4).contains(&stragglers.beyond),
            "{}",
            stragglers.beyond
        );
        assert_eq!(stragglers.ticks.first().map(String::as_str), Some("0.00"));
    }

    #[test]
    fn numbers_keep_three_digits() {
        for (value, shown) in [
            (0.1234, "0.12"),
            (12.34, "12.3"),
            (1234.5, "1234"),
            (-3.0, "-3.00"),
        ] {
            assert_eq!(number(value), shown);
        }
    }
}
