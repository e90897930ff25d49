//! The row about what the shape of a stream tells on the wire.

use std::time::Duration;

use super::heard::chunks;
use super::routes::with;
use crate::canary::Canary;
use crate::chance::Chance;
use crate::echo::{Recorded, Script};
use crate::row::{Bench, Row, at_once};
use crate::stats::{self, Auc};
use crate::target::{Client, Dial};
use crate::verdict::{Control, Distribution, Finding, Series, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::measured(25, |bench| Box::pin(stream_shape(bench)))];

/// Streams at once.
const WIDTH: usize = 16;
/// What the classifier must reach on streams as the upstream sends them.
const SHOWS: f64 = 0.75;
/// Share of chunks that have one size where a gateway pads them.
const PADDED: f64 = 0.95;

/// AUC up to which topics are taken for hidden; a hundred streams of each topic are the fewest that say so.
fn bound(streams: usize) -> f64 {
    if streams >= 100 { 0.6 } else { 0.8 }
}

/// Row 25. Streams of two topics, told apart by the sizes and times of their chunks: by half of them, the other half.
async fn stream_shape(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let topics = [bench.canary(), bench.canary()];
    for (topic, marker) in topics.iter().enumerate() {
        echo.when(marker.text(), move |request| spoken(topic, request));
    }
    let url = format!("http://{}", echo.address());
    let url = url
        .parse()
        .map_err(|_| Trouble::Unexpected("the echo upstream has no address".to_owned()))?;
    let direct = Dial::new(&url, bench.a.shared_budget())?;
    // fewer than these say nothing at all
    let count = bench.samples(150, 300).max(24);
    let unshaped = Shapes::of(bench, &direct, &topics, count.min(50)).await?;
    let shaped = Shapes::of(bench, &bench.dial, &topics, count).await?;
    let (Some(plain), Some(told)) = (unshaped.told(), shaped.told()) else {
        return Ok(Finding::inconclusive("too few streams came back"));
    };
    let bound = bound(count);
    let figure = format!(
        "a classifier tells two topics by their streams' shapes with AUC {:.3} ± {:.3}; {:.3} without the gateway",
        told.value, told.standard_error, plain.value
    );
    let padded = shaped.largest_share() >= PADDED;
    let finding = if told.value > bound && !padded {
        // what is not claimed cannot fail; the figure says what that means
        Finding::not_tested(format!("the gateway does not pad streams: {figure}"))
    } else {
        let control = if plain.value >= SHOWS {
            Control::Shown(format!(
                "on the upstream's own streams: AUC {:.3}",
                plain.value
            ))
        } else {
            Control::Missing(format!(
                "on the upstream's own streams, too: AUC {:.3}",
                plain.value
            ))
        };
        Finding::judged(control, told.value <= bound, figure).bound(format!("AUC at most {bound}"))
    };
    let size = 100.0 * shaped.largest_share();
    Ok(finding
        .samples((2 * count) as u64)
        .detail(format!("{size:.0} % of all chunks have the commonest size"))
        .detail("a measured figure: no defence is complete, and other topics and classifiers tell more")
        .measure("auc", told.value)
        .measure("auc_of_the_upstream", plain.value)
        .distribution(shaped.drawn())
        .reproduce("record the chunks of streamed answers that are equally long and take equally long, half of them in few large pieces, half in many small ones")
        .reproduce("tell the halves apart by number, sizes and gaps of the chunks"))
}

/// What the model says of a topic: the first in many small pieces, the second in half as many of twice the size and twice
/// the gap, so that length and time of the whole are alike.
fn spoken(topic: usize, request: &Recorded) -> Script {
    let seed = request.nonce.bytes().fold(0, |seed: u64, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let mut chance = Chance::new(seed);
    // very different lengths, so that the small difference that timers make between the topics is lost among them
    let pairs = 3 + chance.below(6);
    let (pieces, size, gap) = if topic == 0 {
        (2 * pairs, 8, 8)
    } else {
        // a timer comes a millisecond late each time
        (pairs, 16, 17)
    };
    Script {
        pieces: Some(vec!["x".repeat(size); pieces]),
        each_after: Duration::from_millis(gap),
        ..Script::default()
    }
}

/// Numbers about one stream.
const FEATURES: usize = 8;
type Features = [f64; FEATURES];

/// The shapes of streams of two topics.
struct Shapes {
    of: [Vec<Features>; 2],
    sizes: Vec<usize>,
}

impl Shapes {
    async fn of(
        bench: &Bench,
        dial: &Dial,
        topics: &[Canary; 2],
        count: usize,
    ) -> Result<Shapes, Trouble> {
        let mut order: Vec<usize> = (0..2 * count).map(|number| number % 2).collect();
        bench.draw(|chance| chance.shuffle(&mut order));
        let mut calls = Vec::new();
        for topic in &order {
            let marker = topics.get(*topic).map(Canary::text).unwrap_or_default();
            let text = format!("{marker} {}", bench.canary());
            calls.push(record(dial, &bench.a, text));
        }
        let mut shapes = Shapes {
            of: [Vec::new(), Vec::new()],
            sizes: Vec::new(),
        };
        for (topic, recorded) in order.into_iter().zip(at_once(WIDTH, calls).await) {
            let (sizes, times) = recorded?;
            if let (Some(features), Some(of)) = (features(&sizes, &times), shapes.of.get_mut(topic))
            {
                of.push(features);
            }
            shapes.sizes.extend(sizes);
        }
        Ok(shapes)
    }

    /// Of the commonest size among all chunks.
    fn largest_share(&self) -> f64 {
        let mut sizes = self.sizes.clone();
        sizes.sort_unstable();
        let most = sizes.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
        most.unwrap_or(0) as f64 / sizes.len().max(1) as f64
    }

    /// How well the nearest of two means, learnt from one half, tells the topics in the other; each half in turn.
    fn told(&self) -> Option<Auc> {
        let mut scores: [Vec<f64>; 2] = Default::default();
        for learnt in 0..2 {
            let half = |topic: &Vec<Features>, which: usize| -> Vec<Features> {
                topic.iter().skip(which).step_by(2).copied().collect()
            };
            let [first, second] = &self.of;
            let (mean_1, mean_2) = (mean(&half(first, learnt))?, mean(&half(second, learnt))?);
            let scale = spread([
                (&half(first, learnt), &mean_1),
                (&half(second, learnt), &mean_2),
            ])?;
            for (topic, scores) in self.of.iter().zip(&mut scores) {
                for features in half(topic, 1 - learnt) {
                    let far = |mean: &Features| distance(&features, mean, &scale);
                    scores.push(far(&mean_1) - far(&mean_2));
                }
            }
        }
        let [first, second] = &scores;
        stats::auc(first, second)
    }

    fn drawn(&self) -> Distribution {
        let [first, second] = &self.of;
        let series = |label: &str, of: &[Features]| Series {
            label: label.to_owned(),
            values: of.iter().map(|[chunks, ..]| *chunks).collect(),
        };
        Distribution {
            name: "chunks of a stream".to_owned(),
            unit: "chunks".to_owned(),
            series: vec![series("first topic", first), series("second topic", second)],
        }
    }
}

/// The sizes of a streamed answer's chunks, and when its bytes came.
async fn record(
    dial: &Dial,
    who: &Client,
    text: String,
) -> Result<(Vec<usize>, Vec<Duration>), Trouble> {
    let body = with(who.chat_body(&text), "stream", true);
    let lines = ["Connection: close".to_owned()];
    let request = dial.post(who, "/v1/chat/completions", &lines, &body);
    let mut socket = dial.open().await?;
    socket.write(&request).await?;
    let mut times = Vec::new();
    while let Some((at, _)) = socket.bytes().await? {
        times.push(at);
        // not every server closes because it was asked to
        if socket.ahead().ends_with(b"0\r\n\r\n") {
            break;
        }
    }
    Ok((chunks(socket.ahead()).await.0, times))
}

/// Number, sum, mean and spread of the sizes; number of arrivals, length in time, mean and median of the gaps.
fn features(sizes: &[usize], times: &[Duration]) -> Option<Features> {
    let sizes: Vec<f64> = sizes.iter().map(|size| *size as f64).collect();
    let gaps: Vec<f64> = times
        .windows(2)
        .filter_map(|pair| Some((*pair.last()? - *pair.first()?).as_secs_f64() * 1000.0))
        .collect();
    let lasts = times.last()?.saturating_sub(*times.first()?).as_secs_f64() * 1000.0;
    let (size, size_spread) = moments(&sizes)?;
    let (gap, _) = moments(&gaps).unwrap_or_default();
    Some([
        sizes.len() as f64,
        sizes.iter().sum(),
        size,
        size_spread,
        times.len() as f64,
        lasts,
        gap,
        stats::median(&gaps).unwrap_or_default(),
    ])
}

/// Mean and standard deviation.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    Some((mean, variance.sqrt()))
}

fn mean(of: &[Features]) -> Option<Features> {
    each(of).map(|moments| moments.map(|(mean, _)| mean))
}

/// Of each topic around its own mean.
fn spread(of: [(&Vec<Features>, &Features); 2]) -> Option<Features> {
    let mut around = Vec::new();
    for (features, mean) in of {
        for features in features {
            let mut far = *features;
            far.iter_mut()
                .zip(mean)
                .for_each(|(far, mean)| *far -= mean);
            around.push(far);
        }
    }
    // a thousandth of a byte or of a millisecond is nothing, and nothing must not be divided by
    each(&around).map(|moments| moments.map(|(_, spread)| spread.max(1e-3)))
}

fn each(of: &[Features]) -> Option<[(f64, f64); FEATURES]> {
    let mut found = [(0.0, 0.0); FEATURES];
    for (place, found) in found.iter_mut().enumerate() {
        let values: Vec<f64> = of
            .iter()
            .filter_map(|features| features.get(place).copied())
            .collect();
        *found = moments(&values)?;
    }
    Some(found)
}

fn distance(features: &Features, mean: &Features, scale: &Features) -> f64 {
    let parts = features.iter().zip(mean).zip(scale);
    parts
        .map(|((value, mean), scale)| ((value - mean) / scale).powi(2))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(second_is_larger: f64) -> Shapes {
        let mut chance = Chance::new(9);
        let mut of = |by: f64| -> Vec<Features> {
            let mut draw = || (0..40).map(|_| chance.below(100) as f64).sum::<f64>() / 40.0;
            (0..200)
                .map(|_| {
                    [
                        draw() + by,
                        7.0,
                        draw(),
                        0.0,
                        draw(),
                        draw(),
                        draw(),
                        draw(),
                    ]
                })
                .collect()
        };
        Shapes {
            of: [of(0.0), of(second_is_larger)],
            sizes: vec![5, 5, 5, 9],
        }
    }

    #[test]
    fn what_differs_is_told_and_what_does_not_is_not() {
        let told = |by| shapes(by).told().unwrap().value;
        assert!(told(30.0) > 0.95, "{}", told(30.0));
        assert!((told(0.0) - 0.5).abs() < 0.1, "{}", told(0.0));
        assert_eq!(shapes(0.0).largest_share(), 0.75);
    }

    #[test]
    fn a_stream_without_chunks_or_times_has_no_shape() {
        assert_eq!(features(&[], &[Duration::ZERO]), None);
        assert_eq!(features(&[1], &[]), None);
        let times = [10, 20, 40].map(Duration::from_millis);
        let features = features(&[4, 6], &times).unwrap();
        assert_eq!(features, [2.0, 10.0, 5.0, 1.0, 3.0, 30.0, 15.0, 15.0]);
    }
}
