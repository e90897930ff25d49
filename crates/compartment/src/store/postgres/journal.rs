//! The row that says how far a journal is: locked by whoever appends, so that it cannot fork.

use evidence::Frontier;
use evidence::log::Hash;

use super::open::Open;
use super::tables::{bytes, number};
use crate::store::StoreError;
use crate::store::count;
use crate::store::tables::Answer;

/// How long a journal is, and what its root is.
pub(super) type Stand = (u64, Hash);

/// Begins a journal, if there is none.
pub(super) fn begin(open: &Open) -> Answer<()> {
    let root = Frontier::default().root();
    open.execute(
        "INSERT INTO journal (tenant, size, root) VALUES ($1, 0, $2) ON CONFLICT (tenant) DO NOTHING",
        &[&open.tenant(), &&root.0[..]],
    )?;
    Ok(())
}

/// Where it stands, and nobody else moves it before this transaction is over.
///
/// # Errors
///
/// [`StoreError::Missing`] where there is none.
pub(super) fn lock(open: &Open) -> Answer<Stand> {
    let row = open.first(
        "SELECT size, root FROM journal WHERE tenant = $1 FOR UPDATE",
        &[&open.tenant()],
    )?;
    let row = row.ok_or(StoreError::Missing)?;
    Ok((number(&row, 0)?, Hash(bytes(&row, 1)?)))
}

/// Moves it, if nobody has taken over since `epoch` began. The last statement of a transaction, so that it sees whether
/// somebody has: who takes over counts first and locks the row afterwards.
///
/// # Errors
///
/// [`StoreError::Overtaken`].
pub(super) fn advance(open: &Open, frontier: &Frontier, epoch: i64) -> Answer<()> {
    let moved = open.execute(
        "UPDATE journal SET size = $2, root = $3 WHERE tenant = $1 AND $4 = (SELECT epoch FROM serving)",
        &[
            &open.tenant(),
            &count(frontier.size()),
            &&frontier.root().0[..],
            &epoch,
        ],
    )?;
    if moved == 1 {
        Ok(())
    } else {
        Err(StoreError::Overtaken)
    }
}
