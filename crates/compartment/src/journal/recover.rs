//! What a process that died has left open: calls with an intent and no settlement.

use evidence::{Basis, CallSettled, Hits, Id, Outcome, RecordKind};
use jiff::Timestamp;

use crate::store::calls::{CallEnd, CallRow};
use crate::store::{Batch, StoreError, Transaction};

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
        let open = transaction.open_calls(PAGE)?;
        if open.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        for call in &open {
            settle(transaction, &mut batch, call, now)?;
        }
        batch.write(&**transaction)?;
    }
}

fn settle(
    transaction: &Transaction<'_>,
    batch: &mut Batch,
    call: &CallRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    let settled = CallSettled {
        call: Id::new(call.id.to_string())?,
        outcome: Outcome::RecoveredAfterCrash,
        status: CONNECTION_LOST,
        input_tokens: call.bound_input,
        cached_input_tokens: 0,
        output_tokens: call.bound_output,
        cost_nanos: call.reserved,
        measured: Basis::Bound,
        answer_commitment: None,
        findings: Hits::default(),
    };
    let end = CallEnd::of(&settled, now.max(call.started));
    batch.settle(call.id, end);
    transaction.append(RecordKind::CallSettled(settled), now)?;
    Ok(())
}
