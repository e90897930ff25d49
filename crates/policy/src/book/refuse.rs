//! Which limit a refusal names, and when to come back.

use std::time::Duration;

use jiff::Timestamp;

use crate::refusal::scope_name;
use crate::{Nanos, Refusal, RefusalCode, Scope, Window};

use super::Tally;

/// When money or a slot is held by calls in flight: they end at any moment.
const CALLS_IN_FLIGHT_END: Duration = Duration::from_secs(1);

/// One money limit and what stands against it.
pub(super) struct Standing<'a> {
    pub(super) scope: &'a Scope,
    pub(super) window: Window,
    pub(super) limit: Nanos,
    pub(super) tally: Tally,
}

/// Why a limit refuses, the longest wait last: of several limits the caller hears of the one that takes longest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    CallsInFlight,
    Until(Timestamp),
    Never,
    TooExpensive,
}

impl Standing<'_> {
    /// What is neither spent nor reserved. Zero where the limit was lowered below that.
    pub(super) fn left(&self) -> Nanos {
        self.limit
            .saturating_sub(self.tally.spent)
            .saturating_sub(self.tally.reserved)
    }

    fn wait(&self, cost: Nanos) -> Option<Wait> {
        if cost <= self.left() {
            None
        } else if cost > self.limit {
            Some(Wait::TooExpensive)
        } else if cost <= self.limit.saturating_sub(self.tally.spent) {
            Some(Wait::CallsInFlight)
        } else {
            Some(self.window.ends().map_or(Wait::Never, Wait::Until))
        }
    }
}

pub(super) fn concurrency(scope: &Scope) -> Refusal {
    Refusal {
        code: RefusalCode::ConcurrencyLimit,
        scope: Some(scope.clone()),
        retry_after: Some(CALLS_IN_FLIGHT_END),
        message: format!(
            "the {} has as many calls in flight as it may; the call was not made; wait for one to end and try again",
            scope_name(scope)
        ),
    }
}

/// The refusal of a call whose cheapest outcome, `least`, does not fit; `None` where it is beyond any amount.
pub(super) fn money(now: Timestamp, standings: &[Standing<'_>], least: Option<Nanos>) -> Refusal {
    let refusal = |code, scope: Option<&Scope>, retry_after, message| Refusal {
        code,
        scope: scope.cloned(),
        retry_after,
        message,
    };
    let too_expensive = |standing: Option<&Standing<'_>>, limit: &str| {
        let message = format!(
            "even the shortest answer to this request may cost more than {limit}; the call was not made; send less \
             input, fewer choices, or use a cheaper model"
        );
        refusal(
            RefusalCode::RequestTooExpensive,
            standing.map(|standing| standing.scope),
            None,
            message,
        )
    };
    let Some(least) = least else {
        return too_expensive(None, "any limit can allow");
    };
    let waits = standings
        .iter()
        .filter_map(|standing| Some((standing.wait(least)?, standing)));
    let Some((wait, standing)) = waits.max_by(|a, b| a.0.cmp(&b.0)) else {
        return too_expensive(None, "any limit can allow");
    };
    let whose = format!(
        "the money limit ({}) of the {}",
        standing.window.kind(),
        scope_name(standing.scope)
    );
    let (retry_after, what) = match wait {
        Wait::TooExpensive => return too_expensive(Some(standing), &whose),
        Wait::CallsInFlight => (
            Some(CALLS_IN_FLIGHT_END),
            "is held by calls in flight; the call was not made; try again when they end",
        ),
        Wait::Until(end) => (
            Some(Duration::try_from(now.duration_until(end)).unwrap_or(CALLS_IN_FLIGHT_END)),
            "does not pay for this request; the call was not made; wait for the next one or ask for a higher limit",
        ),
        Wait::Never => (
            None,
            "does not pay for this request; the call was not made; ask for a higher limit",
        ),
    };
    refusal(
        RefusalCode::InsufficientQuota,
        Some(standing.scope),
        retry_after,
        format!("{whose} {what}"),
    )
}
