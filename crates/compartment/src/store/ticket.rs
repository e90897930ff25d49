//! The two answers that a write gives, one after the other: that it is recorded, and that it is durable.

use std::time::Duration;

use tokio::sync::oneshot;

use super::StoreError;
use super::embedded::InLog;

/// What a call noted, on its way to the store.
#[must_use = "what was noted may not have been written"]
pub(crate) struct Noted(Way);

enum Way {
    /// By the commit log.
    Log(InLog),
    /// By a transaction, after which it is durable; `None` once that was told.
    Transaction(Option<oneshot::Receiver<Result<(), StoreError>>>),
}

/// How long a call waits for the transaction that its note is in.
const PATIENCE: Duration = Duration::from_secs(5);

impl Noted {
    pub(super) fn in_log(log: InLog) -> Self {
        Self(Way::Log(log))
    }

    pub(super) fn in_transaction(told: oneshot::Receiver<Result<(), StoreError>>) -> Self {
        Self(Way::Transaction(Some(told)))
    }

    /// Sees that it is recorded without further ado, for those who do not wait.
    ///
    /// # Errors
    ///
    /// As [`Noted::recorded`].
    pub(crate) fn hand_over(&self) -> Result<(), StoreError> {
        match &self.0 {
            Way::Log(log) => log.write(),
            // it is in line already
            Way::Transaction(_) => Ok(()),
        }
    }

    /// Makes sure that it survives the death of this process, and asks for what makes it durable.
    ///
    /// # Errors
    ///
    /// Faults of the store. It is noted all the same, and written with the next note that can be.
    pub(crate) async fn recorded(&mut self) -> Result<(), StoreError> {
        match &mut self.0 {
            Way::Log(log) => log.write(),
            Way::Transaction(told) => {
                let Some(waiting) = told.as_mut() else {
                    return Ok(());
                };
                let said = tokio::time::timeout(PATIENCE, waiting)
                    .await
                    .map_err(|_| StoreError::Unreachable)?;
                *told = None;
                said.unwrap_or(Err(StoreError::Closed))
            }
        }
    }

    /// Waits until it survives a loss of power; to be asked after [`Noted::recorded`].
    ///
    /// # Errors
    ///
    /// Why it may not survive one.
    pub(crate) async fn durable(&mut self) -> Result<(), StoreError> {
        match &mut self.0 {
            Way::Log(log) => log.durable().await,
            Way::Transaction(_) => self.recorded().await,
        }
    }
}

/// A write on its way to the disk.
#[must_use = "a write that nobody waits for may have failed"]
pub(crate) struct Ticket<T> {
    recorded: Option<oneshot::Receiver<Result<T, StoreError>>>,
    durable: Option<oneshot::Receiver<Result<(), StoreError>>>,
}

/// Told once it is known whether a write is durable.
pub(super) type Tell = oneshot::Sender<Result<(), StoreError>>;

/// The writer's side of a [`Ticket`].
pub(super) struct Reply<T> {
    recorded: oneshot::Sender<Result<T, StoreError>>,
    durable: Tell,
}

pub(super) fn ticket<T>() -> (Reply<T>, Ticket<T>) {
    let (recorded, wait_recorded) = oneshot::channel();
    let (durable, wait_durable) = oneshot::channel();
    (
        Reply { recorded, durable },
        Ticket {
            recorded: Some(wait_recorded),
            durable: Some(wait_durable),
        },
    )
}

impl<T> Reply<T> {
    /// Says that the transaction stands in the write-ahead log; gives what is to be told once it is synced.
    pub(super) fn recorded(self, value: T) -> Tell {
        // nobody may wait any longer, which is their right
        let _ = self.recorded.send(Ok(value));
        self.durable
    }

    pub(super) fn failed(self, error: &StoreError) {
        let _ = self.recorded.send(Err(error.clone()));
        let _ = self.durable.send(Err(error.clone()));
    }
}

impl<T> Ticket<T> {
    /// Waits until the write survives the death of this process: its transaction is committed to the write-ahead log.
    /// The value is given once.
    ///
    /// # Errors
    ///
    /// Why nothing was written; [`StoreError::Closed`] the second time.
    pub(crate) async fn recorded(&mut self) -> Result<T, StoreError> {
        let waited = self.recorded.as_mut().ok_or(StoreError::Closed)?.await;
        self.recorded = None;
        waited.unwrap_or(Err(StoreError::Closed))
    }

    /// Waits until the write survives a loss of power: the write-ahead log is synced.
    ///
    /// # Errors
    ///
    /// Why it may not survive one.
    pub(crate) async fn durable(&mut self) -> Result<(), StoreError> {
        let Some(durable) = self.durable.as_mut() else {
            return Ok(());
        };
        let waited = durable.await;
        self.durable = None;
        waited.unwrap_or(Err(StoreError::Closed))
    }

    /// Waits for both.
    ///
    /// # Errors
    ///
    /// As [`Ticket::recorded`] and [`Ticket::durable`].
    pub(crate) async fn settled(mut self) -> Result<T, StoreError> {
        let value = self.recorded().await?;
        self.durable().await?;
        Ok(value)
    }

    /// Waits for both on this thread, which must not be one of a runtime.
    ///
    /// # Errors
    ///
    /// As [`Ticket::recorded`] and [`Ticket::durable`].
    pub(crate) fn wait(self) -> Result<T, StoreError> {
        let (Some(recorded), Some(durable)) = (self.recorded, self.durable) else {
            return Err(StoreError::Closed);
        };
        let value = recorded
            .blocking_recv()
            .unwrap_or(Err(StoreError::Closed))?;
        durable.blocking_recv().unwrap_or(Err(StoreError::Closed))?;
        Ok(value)
    }
}
