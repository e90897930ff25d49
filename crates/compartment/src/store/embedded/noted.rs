//! What a call noted, on its way to the disk by the commit log.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::log::{CommitLog, Place};
use crate::store::StoreError;

/// A note's place in the commit log.
pub(in crate::store) struct InLog {
    log: Arc<CommitLog>,
    place: Place,
    /// A record before it stands in the tenant's file alone, which is not synced yet.
    file: Option<oneshot::Receiver<Result<(), StoreError>>>,
}

impl InLog {
    pub(super) fn new(
        log: Arc<CommitLog>,
        place: Place,
        file: Option<oneshot::Receiver<Result<(), StoreError>>>,
    ) -> Self {
        Self { log, place, file }
    }

    /// Hands it to the operating system and asks for the sync that makes it durable.
    pub(in crate::store) fn write(&self) -> Result<(), StoreError> {
        self.log.write(self.place)?;
        self.log.wish(self.place);
        Ok(())
    }

    /// Waits for that sync.
    pub(in crate::store) async fn durable(&mut self) -> Result<(), StoreError> {
        self.log.durable(self.place).await?;
        match self.file.take() {
            Some(file) => file.await.unwrap_or(Err(StoreError::Closed)),
            None => Ok(()),
        }
    }
}
