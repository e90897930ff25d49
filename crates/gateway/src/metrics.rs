//! Every family of metrics. Labels are fixed words and names of the operator's own; no tenant, key, end user or model
//! name that a caller wrote, and no content: the number of time series is bounded.

use std::fmt::Write as _;
use std::time::Duration;

use compartment::HouseStats;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Buckets of a call's duration, in seconds.
const SECONDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    route: &'static str,
    upstream: String,
    outcome: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamName {
    upstream: String,
}

/// What the flows count.
pub(crate) struct Metrics {
    responses: Family<Answered, Counter>,
    calls: Family<Ended, Counter>,
    seconds: Family<Route, Histogram>,
    tokens: Family<Direction, Counter>,
}

/// One call that ended, in fixed words.
pub(crate) struct CallEnded<'a> {
    pub(crate) route: &'static str,
    /// The operator's name for it.
    pub(crate) upstream: &'a str,
    pub(crate) outcome: &'static str,
    pub(crate) status: u16,
    pub(crate) took: Duration,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        Metrics {
            responses: Family::default(),
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            tokens: Family::default(),
        }
    }

    /// One answer of the data plane, whatever it was, when its head goes out.
    pub(crate) fn responded(&self, status: u16) {
        self.responses.get_or_create(&Answered { status }).inc();
    }

    pub(crate) fn call_ended(&self, call: &CallEnded<'_>) {
        let status = class(call.status);
        self.calls
            .get_or_create(&Ended {
                route: call.route,
                upstream: call.upstream.to_owned(),
                outcome: call.outcome,
                status,
            })
            .inc();
        self.seconds
            .get_or_create(&Route { route: call.route })
            .observe(call.took.as_secs_f64());
        self.tokens
            .get_or_create(&Direction { direction: "input" })
            .inc_by(call.input_tokens);
        self.tokens
            .get_or_create(&Direction {
                direction: "output",
            })
            .inc_by(call.output_tokens);
    }

    /// All families in the text format of OpenMetrics. What the house counts is read now.
    pub(crate) fn text<'a>(
        &self,
        house: &HouseStats,
        resting: impl Iterator<Item = (&'a str, bool)>,
    ) -> String {
        let mut families = Registry::with_prefix("cofferdam");
        families.register(
            "responses",
            "Answers of the data plane, refusals of every kind included",
            self.responses.clone(),
        );
        families.register("calls", "Admitted calls that ended", self.calls.clone());
        families.register_with_unit(
            "call_duration",
            "From admission to settlement",
            Unit::Seconds,
            self.seconds.clone(),
        );
        families.register("tokens", "Tokens billed", self.tokens.clone());

        let refusals = Family::<Code, Counter>::default();
        for (code, count) in &house.refusals {
            refusals.get_or_create(&Code { code }).inc_by(*count);
        }
        families.register("refusals", "Calls and credentials refused", refusals);
        let gauges = [
            (
                "open_compartments",
                "Tenants that are open",
                count(house.open_compartments),
            ),
            (
                "permits_in_flight",
                "Admitted calls that have not ended",
                i64::try_from(house.permits_in_flight).unwrap_or(i64::MAX),
            ),
            (
                "settlements_waiting",
                "Notes of calls that the disk did not take yet",
                count(house.settlements_waiting),
            ),
            (
                "writes_waiting",
                "Writes that wait for the disk",
                count(house.writes_waiting),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = Gauge::<i64>::default();
            gauge.set(value);
            families.register(name, help, gauge);
        }
        let pauses = Family::<UpstreamName, Gauge>::default();
        for (upstream, rests) in resting {
            pauses
                .get_or_create(&UpstreamName {
                    upstream: upstream.to_owned(),
                })
                .set(i64::from(rests));
        }
        families.register(
            "upstream_resting",
            "1 while an upstream is given a pause after failures",
            pauses,
        );

        let mut out = String::new();
        if text::encode(&mut out, &families).is_err() {
            // writing to a string does not fail; a scrape that is short must say so all the same
            let _ = writeln!(out, "# the metrics could not be written");
        }
        out
    }
}

fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn class(status: u16) -> &'static str {
    match status {
        200..300 => "2xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_shows_what_was_counted() {
        let metrics = Metrics::new();
        for status in [200, 200, 502] {
            metrics.call_ended(&CallEnded {
                route: "/v1/chat/completions",
                upstream: "main",
                outcome: "completed",
                status,
                took: Duration::from_millis(20),
                input_tokens: 3,
                output_tokens: 4,
            });
        }
        let mut stats = HouseStats::default();
        stats.refusals.insert("insufficient_quota", 7);
        let text = metrics.text(&stats, [("fake", true)].into_iter());
        for line in [
            "cofferdam_calls_total{route=\"/v1/chat/completions\",upstream=\"main\",outcome=\"completed\",status=\"2xx\"} 2",
            "cofferdam_calls_total{route=\"/v1/chat/completions\",upstream=\"main\",outcome=\"completed\",status=\"5xx\"} 1",
            "cofferdam_call_duration_seconds_count{route=\"/v1/chat/completions\"} 3",
            "cofferdam_tokens_total{direction=\"output\"} 12",
            "cofferdam_refusals_total{code=\"insufficient_quota\"} 7",
            "cofferdam_upstream_resting{upstream=\"fake\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
