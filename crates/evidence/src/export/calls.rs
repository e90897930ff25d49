//! Every call has one intent, then one settlement.

use super::report::{MAX_LISTED_MODELS, MAX_LISTED_OPEN_CALLS, OTHER_MODELS, OpenCall, Sums};
use super::{Finding, Report};
use crate::{Basis, CallIntent, CallSettled, Id, RecordKind};
use std::collections::{BTreeMap, VecDeque};

/// The most calls that may be open at one place in a journal; about 200 bytes of memory each.
pub const MAX_OPEN_CALLS: usize = 1_000_000;

/// How many of the latest settled calls are kept in mind. A second settlement is found at any distance; beyond this
/// many settlements it is reported as [`Finding::SettledWithoutIntent`], and a call id that is used again for a new
/// call goes unnoticed.
pub const SETTLED_WINDOW: usize = 100_000;

/// The book of calls while a journal streams past.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: BTreeMap<Id, Open>,
    settled: BTreeMap<Id, u64>,
    settled_order: VecDeque<Id>,
    models: BTreeMap<String, Sums>,
    over_reservation: u64,
}

#[derive(Debug)]
struct Open {
    seq: u64,
    model: Id,
    reserved_nanos: u64,
}

impl Calls {
    pub(super) fn record(&mut self, seq: u64, kind: &RecordKind) -> Result<(), Finding> {
        match kind {
            RecordKind::CallIntent(intent) => self.open(seq, intent),
            RecordKind::CallSettled(settled) => self.settle(seq, settled),
            RecordKind::CallRefused(_) | RecordKind::Admin(_) => Ok(()),
        }
    }

    fn open(&mut self, seq: u64, intent: &CallIntent) -> Result<(), Finding> {
        let call = &intent.call;
        let before = self.open.get(call).map(|open| open.seq);
        if let Some(first) = before.or_else(|| self.settled.get(call).copied()) {
            return Err(Finding::IntentTwice {
                seq,
                call: call.clone(),
                first,
            });
        }
        if self.open.len() >= MAX_OPEN_CALLS {
            return Err(Finding::TooManyOpen {
                seq,
                max: MAX_OPEN_CALLS,
            });
        }
        let (model, reserved_nanos) = (intent.model.clone(), intent.reserved_nanos);
        self.open.insert(
            call.clone(),
            Open {
                seq,
                model,
                reserved_nanos,
            },
        );
        Ok(())
    }

    fn settle(&mut self, seq: u64, settled: &CallSettled) -> Result<(), Finding> {
        let call = settled.call.clone();
        let Some(open) = self.open.remove(&call) else {
            return Err(match self.settled.get(&call) {
                Some(&first) => Finding::SettledTwice { seq, call, first },
                None => Finding::SettledWithoutIntent { seq, call },
            });
        };
        self.sum(open.model, settled);
        self.over_reservation += u64::from(settled.cost_nanos > open.reserved_nanos);
        self.settled.insert(call.clone(), seq);
        self.settled_order.push_back(call);
        if self.settled_order.len() > SETTLED_WINDOW
            && let Some(oldest) = self.settled_order.pop_front()
        {
            self.settled.remove(&oldest);
        }
        Ok(())
    }

    fn sum(&mut self, model: Id, settled: &CallSettled) {
        let mut model = String::from(model);
        if self.models.len() >= MAX_LISTED_MODELS && !self.models.contains_key(&model) {
            OTHER_MODELS.clone_into(&mut model);
        }
        // 2^53 records of 64-bit counts cannot overflow 128 bits.
        let sums = self.models.entry(model).or_default();
        sums.calls += 1;
        sums.input_tokens += u128::from(settled.input_tokens);
        sums.cached_input_tokens += u128::from(settled.cached_input_tokens);
        sums.output_tokens += u128::from(settled.output_tokens);
        sums.cost_nanos += u128::from(settled.cost_nanos);
        sums.at_bound += u64::from(settled.measured == Basis::Bound);
    }

    pub(super) fn report(self, report: &mut Report) {
        report.models = self.models;
        report.over_reservation = self.over_reservation;
        report.open_calls = self.open.len() as u64;
        let open = self.open.into_iter().map(|(call, open)| OpenCall {
            call,
            seq: open.seq,
        });
        report.open = open.collect();
        report.open.sort_unstable_by_key(|open| open.seq);
        report.open.truncate(MAX_LISTED_OPEN_CALLS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Commitment, Hits, Outcome};

    fn intent(call: usize, model: usize) -> RecordKind {
        let id = |text: &str| Id::new(text).unwrap();
        RecordKind::CallIntent(CallIntent {
            call: id(&format!("call_{call}")),
            credential: id("key"),
            subject: None,
            session: None,
            route: id("/v1/completions"),
            model: id(&format!("model_{model}")),
            upstream: id("cell"),
            policy: id("no-rules/1"),
            bound_input_tokens: 1,
            bound_output_tokens: 1,
            reserved_nanos: 10,
            request_commitment: Commitment::from_bytes([0; 32]),
        })
    }

    fn settled(call: usize, cost_nanos: u64) -> RecordKind {
        RecordKind::CallSettled(CallSettled {
            call: Id::new(format!("call_{call}")).unwrap(),
            outcome: Outcome::Completed,
            status: 200,
            input_tokens: u64::MAX,
            cached_input_tokens: 0,
            output_tokens: 1,
            cost_nanos,
            measured: Basis::Measured,
            answer_commitment: None,
            findings: Hits::default(),
        })
    }

    #[test]
    fn a_second_settlement_is_found_at_any_distance() {
        let mut calls = Calls::default();
        for call in 0..=SETTLED_WINDOW {
            calls.record(0, &intent(call, 0)).unwrap();
            calls.record(7, &settled(call, 1)).unwrap();
        }
        assert_eq!((calls.settled.len(), calls.open.len()), (SETTLED_WINDOW, 0));
        let call = |n: usize| Id::new(format!("call_{n}")).unwrap();
        let far = Finding::SettledWithoutIntent {
            seq: 9,
            call: call(0),
        };
        assert_eq!(calls.record(9, &settled(0, 1)), Err(far));
        let near = Finding::SettledTwice {
            seq: 9,
            call: call(1),
            first: 7,
        };
        assert_eq!(calls.record(9, &settled(1, 1)), Err(near));
    }

    #[test]
    fn sums_neither_overflow_nor_grow_with_the_number_of_models() {
        let mut calls = Calls::default();
        for n in 0..MAX_LISTED_MODELS + 50 {
            calls.record(0, &intent(n, n)).unwrap();
            calls.record(0, &settled(n, 1)).unwrap();
        }
        assert_eq!(calls.models.len(), MAX_LISTED_MODELS + 1);
        let others = calls.models.get(OTHER_MODELS).unwrap();
        assert_eq!(
            (others.calls, others.input_tokens),
            (50, 50 * u128::from(u64::MAX))
        );
    }

    #[test]
    fn a_call_that_cost_more_than_was_reserved_is_counted() {
        let mut calls = Calls::default();
        for (call, cost) in [(1, 10), (2, 11)] {
            calls.record(0, &intent(call, 0)).unwrap();
            calls.record(0, &settled(call, cost)).unwrap();
        }
        assert_eq!(calls.over_reservation, 1);
    }
}
