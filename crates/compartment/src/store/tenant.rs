//! One tenant's store, whichever back end keeps it.

use std::sync::Arc;

use jiff::Timestamp;

use super::entry::Note;
use super::tables::{Log, Tables};
use super::transaction::Transaction;
use super::write::{Write, pending};
use super::{Noted, StoreError, Ticket};
use crate::id::TenantId;

/// The first transaction of a tenant that is made or opened.
pub(crate) type First = Box<dyn FnOnce(&Transaction<'_>) -> Result<(), StoreError> + Send>;

/// Looks at a tenant's journal before anything is written.
pub(crate) type Check<'a> = &'a dyn Fn(&dyn Log) -> Result<(), StoreError>;

/// Where the tenants of a deployment are kept, and what their calls noted on its way there.
pub(crate) trait Tenants: Send + Sync {
    /// Makes the store of a tenant that there is not. `first` is its first transaction. Blocks.
    ///
    /// # Errors
    ///
    /// Faults of the store. It may be tried again.
    fn create(&self, tenant: TenantId, first: First) -> Result<TenantDb, StoreError>;

    /// Opens a tenant's store and checks that the journal fits its tree and its newest checkpoint. `check` sees it before
    /// anything is written. Then what calls of an earlier process noted is brought in, and `first` runs, in a transaction
    /// of its own, before anything else. Blocks.
    ///
    /// # Errors
    ///
    /// Faults of the store; [`StoreError::Missing`] where there is none, because an empty one in its place would have no
    /// spend and no journal; [`StoreError::Corrupt`] where records and tree do not fit each other.
    fn open(
        &self,
        tenant: TenantId,
        check: Check<'_>,
        first: First,
    ) -> Result<TenantDb, StoreError>;

    /// Removes all that there is of a tenant that the deployment does not know, and that is not open. Blocks.
    ///
    /// # Errors
    ///
    /// Faults of the store. It may be tried again.
    fn discard(&self, tenant: TenantId) -> Result<(), StoreError>;

    /// Whether there is room for some writes on this machine. Blocks.
    fn has_room(&self) -> bool;

    /// How many notes wait although somebody tried to record them: none, but while the store refuses.
    fn unwritten(&self) -> usize;

    /// Records what waits so. Blocks.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    fn flush(&self) -> Result<(), StoreError>;

    /// Some tenants whose calls an earlier process noted and that were not opened since, at most `most`; others with
    /// another `turn`.
    fn left(&self, most: usize, turn: usize) -> Vec<TenantId>;

    /// Begins a round: what is noted from now on is kept until the next one at least; the `last` one leaves nothing. Says
    /// whether there is something older to be forgotten, see [`Tenants::turned`]. Blocks.
    ///
    /// # Errors
    ///
    /// Faults of the store; nothing is forgotten.
    fn turn(&self, last: bool) -> Result<bool, StoreError>;

    /// Forgets what was noted before the round. To be called once every tenant that was open when it began has that in
    /// its store for good. Blocks.
    ///
    /// # Errors
    ///
    /// Faults of the store; the rest is forgotten later.
    fn turned(&self) -> Result<(), StoreError>;
}

/// What a back end does for one open tenant.
pub(super) trait TenantStore: Send + Sync {
    /// See [`TenantDb::note_first`].
    fn note_first(&self, note: Note, now: Timestamp) -> Result<Noted, StoreError>;

    /// See [`TenantDb::note_last`].
    fn note_last(&self, note: Note, now: Timestamp);

    /// Queues a write.
    fn submit(&self, write: Box<dyn Write>) -> Result<(), StoreError>;

    /// See [`TenantDb::take_unsigned`].
    fn take_unsigned(&self) -> bool;

    /// See [`TenantDb::still_unsigned`].
    fn still_unsigned(&self);

    /// Whether calls noted what readers do not see yet.
    fn has_notes(&self) -> bool;

    /// Shows the tables to `work`, once.
    fn look(&self, work: &mut dyn FnMut(&dyn Tables)) -> Result<(), StoreError>;

    /// See [`TenantDb::another_reader`].
    fn another_reader(&self) -> Result<Box<dyn Log + Send>, StoreError>;

    /// How many writes wait.
    fn waiting(&self) -> usize;

    /// The end: what could not be written is kept elsewhere, if the back end can.
    fn leave(&self);
}

/// An open tenant.
pub(crate) struct TenantDb {
    store: Arc<dyn TenantStore>,
    /// Whose turn it is to read where it may block.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl TenantDb {
    pub(super) fn new(store: Arc<dyn TenantStore>) -> Self {
        Self {
            store,
            turn: Arc::default(),
        }
    }

    /// Notes that a call begins, or why it did not. Not recorded before [`Noted::recorded`] says so.
    ///
    /// # Errors
    ///
    /// Why it cannot be noted just now; nothing was.
    pub(crate) fn note_first(&self, note: Note, now: Timestamp) -> Result<Noted, StoreError> {
        self.store.note_first(note, now)
    }

    /// Notes how a call ended, and records it, now or as soon as the store allows.
    pub(crate) fn note_last(&self, note: Note, now: Timestamp) {
        self.store.note_last(note, now);
    }

    /// Queues a write.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where as many wait as may.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Ticket<T>, StoreError> {
        let (write, ticket) = pending(work);
        self.store.submit(write)?;
        Ok(ticket)
    }

    /// Whether the journal grew since this was asked the last time, or since [`TenantDb::still_unsigned`].
    pub(crate) fn take_unsigned(&self) -> bool {
        self.store.take_unsigned()
    }

    /// What was taken was not signed.
    pub(crate) fn still_unsigned(&self) {
        self.store.still_unsigned();
    }

    /// Brings what calls noted to where [`TenantDb::read_now`] and other readers see it.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub(crate) async fn bring_in(&self) -> Result<(), StoreError> {
        if self.store.has_notes() {
            self.submit(|_| Ok(()))?.recorded().await?;
        }
        Ok(())
    }

    /// Has everything written and synced, and the back end keep what could not be. Blocks. Nothing may be noted or
    /// submitted afterwards.
    pub(crate) fn finish(&self) {
        // what could not be written was answered as such
        let _ = self.submit(|_| Ok(())).and_then(Ticket::wait);
        self.store.leave();
    }

    /// Reads, on this thread. Of what calls noted lately it may see nothing, see [`TenantDb::bring_in`].
    ///
    /// # Errors
    ///
    /// What `work` says.
    pub(crate) fn read_now<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&dyn Tables) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut work = Some(work);
        let mut done = None;
        self.store.look(&mut |tables| {
            done = work.take().map(|work| work(tables));
        })?;
        done.unwrap_or_else(|| Err(StoreError::Closed.into()))
    }

    /// Reads, on a thread that may block. Everything recorded is seen. One read at a time waits there: a tenant that reads
    /// much must not hold the threads that its neighbours need.
    ///
    /// # Errors
    ///
    /// What `work` says.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&dyn Tables) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.bring_in().await?;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let this = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            this.read_now(work)
        });
        read.await
            .map_err(|_| StoreError::Failed("a read panicked".to_owned()))?
    }

    /// Reads the journal by itself, so that a long export keeps nobody from reading.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub(crate) fn another_reader(&self) -> Result<Box<dyn Log + Send>, StoreError> {
        self.store.another_reader()
    }

    /// Writes that wait for the store.
    pub(crate) fn waiting(&self) -> usize {
        self.store.waiting()
    }
}
