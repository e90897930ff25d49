//! One tenant's rows.

use std::sync::Arc;

use evidence::log::Hash;
use jiff::Timestamp;

use super::desk::Desk;
use super::journal;
use super::open::{Database, Open, Purpose};
use crate::id::TenantId;
use crate::store::edge::edge;
use crate::store::entry::Note;
use crate::store::line::Line;
use crate::store::records::{NewRecord, StoredRecord};
use crate::store::tables::{Answer, Log, Node, Tables};
use crate::store::tenant::{Check, First, TenantStore};
use crate::store::write::{Write, pending};
use crate::store::{Noted, StoreError};

/// An open tenant.
pub(super) struct TenantRows {
    tenant: TenantId,
    database: Database,
    desk: Arc<Desk>,
}

impl TenantRows {
    /// Begins the tenant's journal; `first` is its first transaction after that.
    pub(super) fn create(
        tenant: TenantId,
        database: &Database,
        line: &Arc<Line<Desk>>,
        first: First,
    ) -> Result<Self, StoreError> {
        let open = database.begin(tenant, Purpose::Write)?;
        journal::begin(&open)?;
        open.commit()?;
        Self::open(tenant, database, line, &|_| Ok(()), first)
    }

    /// See [`crate::store::Tenants::open`].
    pub(super) fn open(
        tenant: TenantId,
        database: &Database,
        line: &Arc<Line<Desk>>,
        check: Check<'_>,
        first: First,
    ) -> Result<Self, StoreError> {
        let open = database.begin(tenant, Purpose::Write)?;
        let stand = journal::lock(&open)?;
        let edge = edge(&open)?;
        if stand != (edge.frontier.size(), edge.frontier.root()) {
            return Err(StoreError::Corrupt(
                "log: it is not as long as it is said to be".to_owned(),
            ));
        }
        check(&open)?;
        open.commit()?;
        let desk = Desk::new(tenant, database.clone(), Arc::clone(line), edge);
        let (write, done) = pending(first);
        desk.submit(write)?;
        done.wait()?;
        Ok(Self {
            tenant,
            database: database.clone(),
            desk,
        })
    }

    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }
}

impl TenantStore for TenantRows {
    fn note_first(&self, note: Note, now: Timestamp) -> Result<Noted, StoreError> {
        self.desk.note_first(note, now)
    }

    fn note_last(&self, note: Note, now: Timestamp) {
        self.desk.note_last(note, now);
    }

    fn submit(&self, write: Box<dyn Write>) -> Result<(), StoreError> {
        self.desk.submit(write)
    }

    fn take_unsigned(&self) -> bool {
        self.desk.take_unsigned()
    }

    fn still_unsigned(&self) {
        self.desk.still_unsigned();
    }

    fn has_notes(&self) -> bool {
        self.desk.has_notes()
    }

    fn look(&self, work: &mut dyn FnMut(&dyn Tables)) -> Result<(), StoreError> {
        work(&self.database.begin(self.tenant, Purpose::Read)?);
        Ok(())
    }

    fn another_reader(&self) -> Result<Box<dyn Log + Send>, StoreError> {
        Ok(Box::new(Pages {
            tenant: self.tenant,
            database: self.database.clone(),
        }))
    }

    fn waiting(&self) -> usize {
        self.desk.waiting()
    }

    fn leave(&self) {
        if self.desk.has_notes() {
            tracing::error!(
                "a tenant was closed before the database took all its calls; those are settled at the bound when it opens"
            );
        }
    }
}

/// Reads the journal in a transaction for each question: whoever takes long over an export holds no connection.
struct Pages {
    tenant: TenantId,
    database: Database,
}

impl Pages {
    fn open(&self) -> Result<Open, StoreError> {
        self.database.begin(self.tenant, Purpose::Read)
    }
}

impl Log for Pages {
    fn size(&self) -> Answer<u64> {
        self.open()?.size()
    }

    fn insert_records(&self, _: &[NewRecord<'_>]) -> Answer<()> {
        Err(StoreError::Closed)
    }

    fn records(&self, from: u64, to: u64, limit: u32) -> Answer<Vec<StoredRecord>> {
        self.open()?.records(from, to, limit)
    }

    fn hashes(&self, of: &[Node]) -> Answer<Vec<Hash>> {
        self.open()?.hashes(of)
    }

    fn replace_checkpoint(&self, _: u64, _: u64, _: Timestamp, _: &str) -> Answer<()> {
        Err(StoreError::Closed)
    }

    fn checkpoint_within(&self, size: u64) -> Answer<Option<(u64, String)>> {
        self.open()?.checkpoint_within(size)
    }

    fn checkpoints(&self, after: u64, to: u64) -> Answer<Vec<(u64, String)>> {
        self.open()?.checkpoints(after, to)
    }
}
