//! What a process that died has left open: calls with an intent and no settlement.

use evidence::{Basis, CallSettled, Hits, Id, Outcome, RecordKind};
use jiff::Timestamp;
use policy::{Nanos, Scope, Spend, Window};

use crate::store::calls::{self, CallEnd, CallRow};
use crate::store::{StoreError, Transaction, spend};

/// Calls settled at once; each of them is a few rows.
const PAGE: u32 = 256;
/// The status in the record of a call whose client never got one: the connection was gone.
const CONNECTION_LOST: u16 = 499;

/// Settles every open call at its bound: nobody knows any more what it produced, and the upstream may charge for it.
///
/// # Errors
///
/// Faults of the store; then nothing is settled, and the tenant does not open.
pub(crate) fn recover(transaction: &Transaction<'_>, now: Timestamp) -> Result<(), StoreError> {
    loop {
        let open = calls::open(transaction, PAGE)?;
        if open.is_empty() {
            return Ok(());
        }
        for call in &open {
            settle(transaction, call, now)?;
        }
    }
}

fn settle(transaction: &Transaction<'_>, call: &CallRow, now: Timestamp) -> Result<(), StoreError> {
    let end = CallEnd {
        at: now.max(call.started),
        outcome: Outcome::RecoveredAfterCrash,
        basis: Basis::Bound,
        status: CONNECTION_LOST,
        input: call.bound_input,
        cached_input: 0,
        output: call.bound_output,
        cost: call.reserved,
    };
    calls::settle(transaction, &call.id, &end)?;
    spend::add(transaction, &spends(call))?;
    transaction.append(
        RecordKind::CallSettled(CallSettled {
            call: Id::new(call.id.to_string())?,
            outcome: end.outcome,
            status: end.status,
            input_tokens: end.input,
            cached_input_tokens: 0,
            output_tokens: end.output,
            cost_nanos: end.cost,
            measured: end.basis,
            answer_commitment: None,
            findings: Hits::default(),
        }),
        now,
    )?;
    Ok(())
}

/// The same sums that a settlement by [`policy::Book`] adds to: every scope of the call, in the windows it began in.
fn spends(call: &CallRow) -> Vec<Spend> {
    let subject = call
        .subject
        .map(|subject| Scope::Subject(hex::encode(subject).into()));
    let key = Scope::Key(call.credential.as_str().into());
    let model = Scope::Model(call.model.as_str().into());
    let amount = Nanos::new(call.reserved).unwrap_or(Nanos::MAX);
    [Some(Scope::Tenant), Some(key), subject, Some(model)]
        .into_iter()
        .flatten()
        .flat_map(|scope| {
            Window::all_at(call.started).map(|window| Spend {
                scope: scope.clone(),
                window,
                amount,
            })
        })
        .collect()
}
