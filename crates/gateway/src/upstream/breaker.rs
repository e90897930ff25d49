//! A circuit breaker and a retry budget: pure decisions on a clock that is given.
//!
//! There are two breakers on the way to an upstream. The shared one counts only connections that could not be
//! made, which no tenant can cause. Everything a request itself might cause (a 5xx answer, a timeout, a reset)
//! counts in a breaker of the tenant's own compartment, so that nobody can close an upstream to a neighbour.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures in a row that open a breaker.
const TRIPS_AT: u32 = 5;
/// First pause of an open breaker; it doubles with each failed probe.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause of an open breaker.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Stops calls to an upstream that keeps failing, and lets single probes through until one succeeds.
#[derive(Debug)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        pause: Duration,
        probing: bool,
    },
}

impl Breaker {
    pub(crate) fn new() -> Breaker {
        Breaker(Mutex::new(State::Closed { failures: 0 }))
    }

    /// May a call go out now? When not, how long until a probe may.
    pub(crate) fn ask(&self, now: Instant) -> Result<(), Duration> {
        match &mut *self.0.lock() {
            State::Closed { .. } => Ok(()),
            State::Open { until, .. } if now < *until => Err(*until - now),
            State::Open {
                until,
                pause,
                probing,
            } => {
                // one probe a pause; if it never reports back, the next pause lets another one through
                *until = now + *pause;
                *probing = true;
                Ok(())
            }
        }
    }

    /// Whether calls are refused now.
    pub(crate) fn rests(&self, now: Instant) -> bool {
        matches!(&*self.0.lock(), State::Open { until, .. } if now < *until)
    }

    /// The upstream answered: it is well.
    pub(crate) fn succeeded(&self) {
        *self.0.lock() = State::Closed { failures: 0 };
    }

    /// The upstream failed a call that `ask` had let through.
    pub(crate) fn failed(&self, now: Instant) {
        let mut state = self.0.lock();
        match &mut *state {
            State::Closed { failures } if *failures + 1 < TRIPS_AT => *failures += 1,
            State::Closed { .. } => {
                *state = State::Open {
                    until: now + FIRST_PAUSE,
                    pause: FIRST_PAUSE,
                    probing: false,
                };
            }
            State::Open {
                until,
                pause,
                probing,
            } if *probing => {
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                *until = now + *pause;
                *probing = false;
            }
            // a call that went out before it opened says nothing new
            State::Open { .. } => {}
        }
    }
}

/// Lets at most one call in ten be a retry, so that retries never multiply an upstream's trouble.
#[derive(Debug)]
pub(crate) struct RetryBudget(Mutex<u32>);

/// What one retry costs; each first try pays in one.
const RETRY_COST: u32 = 10;
/// Most that can be saved up: ten retries.
const SAVED_AT_MOST: u32 = 100;

impl RetryBudget {
    /// A budget with three retries saved up, so that a quiet tenant may retry too.
    pub(crate) fn new() -> RetryBudget {
        RetryBudget(Mutex::new(3 * RETRY_COST))
    }

    /// A first try went out.
    pub(crate) fn pay_in(&self) {
        let mut saved = self.0.lock();
        *saved = (*saved + 1).min(SAVED_AT_MOST);
    }

    /// Takes one retry if there is one.
    pub(crate) fn take(&self) -> bool {
        let mut saved = self.0.lock();
        match saved.checked_sub(RETRY_COST) {
            Some(left) => {
                *saved = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_open_it_and_one_success_closes_it() {
        let (breaker, start) = (Breaker::new(), Instant::now());
        for _ in 0..4 {
            breaker.failed(start);
        }
        breaker.succeeded();
        for _ in 0..4 {
            breaker.failed(start);
            assert_eq!(breaker.ask(start), Ok(()));
        }
        breaker.failed(start);
        assert_eq!(breaker.ask(start), Err(FIRST_PAUSE));
        breaker.succeeded();
        assert_eq!(breaker.ask(start), Ok(()));
    }

    #[test]
    fn an_open_breaker_lets_one_probe_through_each_pause_and_the_pause_doubles_to_its_bound() {
        let (breaker, mut now) = (Breaker::new(), Instant::now());
        (0..TRIPS_AT).for_each(|_| breaker.failed(now));
        let mut pause = FIRST_PAUSE;
        for _ in 0..8 {
            assert_eq!(breaker.ask(now), Err(pause));
            now += pause;
            assert_eq!(breaker.ask(now), Ok(()), "the probe");
            assert_eq!(breaker.ask(now), Err(pause), "one probe only");
            breaker.failed(now);
            breaker.failed(now);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        assert_eq!(pause, LONGEST_PAUSE);
    }

    #[test]
    fn a_probe_that_never_reports_back_does_not_lock_the_upstream_out() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        (0..TRIPS_AT).for_each(|_| breaker.failed(now));
        assert_eq!(breaker.ask(now + FIRST_PAUSE), Ok(()));
        assert_eq!(breaker.ask(now + FIRST_PAUSE * 2), Ok(()));
    }

    #[test]
    fn retries_are_at_most_a_tenth_of_all_calls_after_those_saved_up() {
        let budget = RetryBudget::new();
        let taken = |calls: u32| {
            (0..calls)
                .filter(|_| {
                    budget.pay_in();
                    budget.take()
                })
                .count()
        };
        taken(30);
        assert_eq!(taken(1000), 100);
    }
}
