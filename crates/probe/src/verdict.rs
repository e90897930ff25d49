//! What a row says in the end.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stats;

/// The word of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The effect shows inside A, and B did not get it.
    Pass,
    /// B got what is A's.
    Fail,
    /// Nothing leaked, but nothing shows that a leak would have been seen.
    Inconclusive,
    /// Not tried, and why.
    NotTested,
}

impl Verdict {
    /// All words, the worst first.
    pub const ALL: [Verdict; 4] = [
        Verdict::Fail,
        Verdict::Inconclusive,
        Verdict::Pass,
        Verdict::NotTested,
    ];

    /// Upper case, for people.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::NotTested => "NOT TESTED",
        }
    }
}

/// Whether a leak would have been seen: the same effect, looked for where it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// It shows; how.
    Shown(String),
    /// It should show, and does not: no leak proves nothing then.
    Missing(String),
    /// The target was seen not to have the thing that could leak, so that there is nothing to test; how it was seen.
    Absent(String),
}

/// One sample of a distribution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// What it is of.
    pub label: String,
    /// Its values, in the order they were taken.
    pub values: Vec<f64>,
}

/// Samples to be compared by eye.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distribution {
    /// What was measured.
    pub name: String,
    /// Of the values, such as `ms`.
    pub unit: String,
    /// What is compared; two or more.
    pub series: Vec<Series>,
}

/// What a row found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The word.
    pub verdict: Verdict,
    /// The result in one line, such as `0 of 200 answers were another tenant's`.
    pub figure: String,
    /// How many observations it rests on.
    pub samples: u64,
    /// What the samples exclude, such as `rate below 1.5 % at 95 % confidence`.
    pub bound: Option<String>,
    /// The positive control: how a leak would have shown.
    pub control: Option<String>,
    /// How to see it by hand. `$KEY_A`, `$KEY_B` and `$TARGET` stand for keys and target.
    pub reproduce: Vec<String>,
    /// What else a reader should know, most important first.
    pub detail: Vec<String>,
    /// Figures for programs, by name.
    pub measures: BTreeMap<String, f64>,
    /// Samples for drawing.
    pub distributions: Vec<Distribution>,
}

impl Finding {
    fn new(verdict: Verdict, figure: impl Into<String>) -> Finding {
        Finding {
            verdict,
            figure: figure.into(),
            samples: 0,
            bound: None,
            control: None,
            reproduce: Vec::new(),
            detail: Vec::new(),
            measures: BTreeMap::new(),
            distributions: Vec::new(),
        }
    }

    /// Counted leaks: FAIL with one or more, PASS with none. A control that does not show makes a PASS INCONCLUSIVE, one
    /// that shows there is nothing to leak makes it NOT TESTED; a leak that was seen stays one. `what` completes
    /// "`3 of 200 …`".
    pub fn counted(control: Control, leaks: u64, tries: u64, what: &str) -> Finding {
        let mut found = Finding::judged(control, leaks == 0, format!("{leaks} of {tries} {what}"))
            .samples(tries);
        found.measures.insert("leaks".to_owned(), leaks as f64);
        if found.verdict == Verdict::Pass {
            let rate = 100.0 * stats::rule_of_three(tries);
            found.bound = Some(format!("rate below {rate:.2} % at 95 % confidence"));
        }
        found
    }

    /// A judgement by any other measure, under the same rule for controls as [`Finding::counted`]. Nothing sampled is
    /// set; say it with [`Finding::samples`].
    pub fn judged(control: Control, held: bool, figure: impl Into<String>) -> Finding {
        if let (true, Control::Absent(how)) = (held, &control) {
            return Finding::not_tested(format!("nothing to test: {how}")).detail(figure);
        }
        let (without_leak, control) = match control {
            Control::Shown(how) => (Verdict::Pass, how),
            Control::Missing(how) | Control::Absent(how) => (Verdict::Inconclusive, how),
        };
        let verdict = if held { without_leak } else { Verdict::Fail };
        let mut found = Finding::new(verdict, figure);
        found.control = Some(control);
        found
    }

    /// Nothing was tried, for this reason.
    pub fn not_tested(reason: impl Into<String>) -> Finding {
        Finding::new(Verdict::NotTested, reason)
    }

    /// Something was tried that gives no answer, for this reason.
    pub fn inconclusive(reason: impl Into<String>) -> Finding {
        Finding::new(Verdict::Inconclusive, reason)
    }

    /// How many observations it rests on.
    #[must_use]
    pub fn samples(mut self, samples: u64) -> Finding {
        self.samples = samples;
        self
    }

    /// What the samples exclude.
    #[must_use]
    pub fn bound(mut self, bound: impl Into<String>) -> Finding {
        self.bound = Some(bound.into());
        self
    }

    /// One more line of how to see it by hand.
    #[must_use]
    pub fn reproduce(mut self, line: impl Into<String>) -> Finding {
        self.reproduce.push(line.into());
        self
    }

    /// One more line that a reader should know.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Finding {
        self.detail.push(line.into());
        self
    }

    /// At most the first ten of these as details, and how many more there are.
    #[must_use]
    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Finding {
        let mut lines = lines.into_iter();
        self.detail.extend(lines.by_ref().take(10));
        match lines.count() {
            0 => self,
            more => self.detail(format!("and {more} more")),
        }
    }

    /// A figure for programs.
    #[must_use]
    pub fn measure(mut self, name: &str, value: f64) -> Finding {
        self.measures.insert(name.to_owned(), value);
        self
    }

    /// Samples for drawing.
    #[must_use]
    pub fn distribution(mut self, distribution: Distribution) -> Finding {
        self.distributions.push(distribution);
        self
    }

    /// Every text of the finding, for whoever must rewrite them all.
    pub(crate) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        std::iter::once(&mut self.figure)
            .chain(&mut self.bound)
            .chain(&mut self.control)
            .chain(&mut self.reproduce)
            .chain(&mut self.detail)
    }
}

/// What kept a row from an answer. Most of it becomes INCONCLUSIVE: a test that could not be done was not passed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The run's requests or time are used up.
    #[error("the run's limit of requests or time was reached")]
    Spent,
    /// One request took too long.
    #[error("a request was not answered in time")]
    TimedOut,
    /// No connection, or one that ended early.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// The target's answer was not what the row needs to go on.
    #[error("{0}")]
    Unexpected(String),
    /// The row needs what this run does not have: NOT TESTED.
    #[error("{0}")]
    Needs(String),
}

impl From<Trouble> for Finding {
    fn from(trouble: Trouble) -> Finding {
        match trouble {
            Trouble::Needs(what) => Finding::not_tested(what),
            other => Finding::inconclusive(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_leak_is_a_pass_only_where_a_leak_would_have_shown() {
        let shown = || Control::Shown("x".into());
        let missing = || Control::Missing("x".into());
        let absent = || Control::Absent("x".into());
        for (control, leaks, expected) in [
            (shown(), 0, Verdict::Pass),
            (missing(), 0, Verdict::Inconclusive),
            (absent(), 0, Verdict::NotTested),
            (shown(), 1, Verdict::Fail),
            (missing(), 1, Verdict::Fail),
            (absent(), 1, Verdict::Fail),
        ] {
            let found = Finding::counted(control, leaks, 200, "answers");
            assert_eq!(found.verdict, expected);
            assert_eq!(found.bound.is_some(), expected == Verdict::Pass);
        }
        let pass = Finding::counted(shown(), 0, 200, "answers");
        assert_eq!(pass.figure, "0 of 200 answers");
        assert_eq!(pass.bound.unwrap(), "rate below 1.50 % at 95 % confidence");
    }

    #[test]
    fn details_are_bounded() {
        let found = Finding::not_tested("x").details((0..13).map(|n| n.to_string()));
        assert_eq!(
            (found.detail.len(), found.detail.last().unwrap().as_str()),
            (11, "and 3 more")
        );
    }
}
