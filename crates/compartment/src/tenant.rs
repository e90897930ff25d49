//! What a tenant has in memory while its compartment is open.

use crate::{
    administration::{live_key, stored_limits},
    compartment::Residents,
    credential::{FetchJwks, JwksCache},
    credentials::KeyTable,
    error::Refused,
    house::{Counters, Directory},
    id::TenantId,
    issuers::{IssuerTable, Pinned},
    journal::{self, JournalKeys, SignedHead},
    keyset::TenantKeys,
    meter::{Meter, RefusalLog},
    principal::{Principal, Shown},
    store::{Log, Note, Noted, StoreError, Tables, TenantDb, Ticket, Transaction},
    vault::VaultTable,
};
use evidence::RecordKind;
use jiff::Timestamp;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// One open tenant. INVARIANT: there is at most one for each tenant, because money and revocations are decided in it.
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) keys: TenantKeys,
    pub(crate) journal: JournalKeys,
    db: Arc<TenantDb>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) credentials: KeyTable,
    pub(crate) issuers: IssuerTable,
    pub(crate) jwks: JwksCache,
    pub(crate) vault: VaultTable,
    pub(crate) meter: Meter,
    pub(crate) refusals: RefusalLog,
    pub(crate) residents: Residents,
    pub(crate) counters: Arc<Counters>,
    /// Changes of administration happen one after another.
    pub(crate) changing: Arc<tokio::sync::Mutex<()>>,
    suspended: AtomicBool,
    poisoned: AtomicBool,
}

/// What a tenant shares with the house.
pub(crate) struct Surroundings {
    pub(crate) directory: Arc<Directory>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) fetch_jwks: FetchJwks,
}

impl Tenant {
    /// Reads everything that decides about calls. Blocks on the disk.
    pub(crate) fn load(
        id: TenantId,
        db: TenantDb,
        keys: TenantKeys,
        signer: JournalKeys,
        around: Surroundings,
        suspended: bool,
    ) -> Result<Self, Refused> {
        let (credentials, issuers, vault, tiers) = db.read_now(|tables| {
            let live = tables.live_keys()?;
            let live = live
                .iter()
                .map(|row| live_key(&keys, row))
                .collect::<Result<Vec<_>, Refused>>()?;
            let pinned = |(id, sealed): (_, Vec<u8>)| Ok((id, Pinned::open(&keys, &id, &sealed)?));
            let issuers = tables
                .issuers()?
                .into_iter()
                .map(pinned)
                .collect::<Result<Vec<_>, Refused>>()?;
            Ok::<_, Refused>((
                live,
                issuers,
                tables.vault()?,
                stored_limits(tables, &keys)?,
            ))
        })?;
        Ok(Self {
            id,
            keys,
            journal: signer,
            db: Arc::new(db),
            directory: around.directory,
            credentials: KeyTable::new(credentials),
            issuers: IssuerTable::new(issuers),
            jwks: JwksCache::new(around.fetch_jwks),
            vault: VaultTable::new(vault),
            meter: Meter::new(tiers),
            refusals: RefusalLog::default(),
            residents: Residents::default(),
            counters: around.counters,
            changing: Arc::default(),
            suspended: AtomicBool::new(suspended),
            poisoned: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Acquire)
    }

    pub(crate) fn suspend(&self, suspended: bool) {
        self.suspended.store(suspended, Ordering::Release);
    }

    /// Whether the disk failed in a way that only opening anew gets over.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Whether the credential that `who` came with still is good.
    pub(crate) fn still_admits(&self, who: &Principal, now: Timestamp) -> bool {
        let in_time = who.expires.is_none_or(|expires| now < expires);
        in_time
            && match &who.shown {
                Shown::Key(key) | Shown::Session { minted_by: key } => self
                    .credentials
                    .get(key)
                    .is_some_and(|live| live.is_valid(now)),
                Shown::Issuer(issuer) => self.issuers.get(issuer).is_some(),
            }
    }

    /// Reads, where it may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Tables) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refused> {
        self.db.read(read).await.map_err(|error| self.fault(error))
    }

    /// Notes that a call begins, or why it did not.
    pub(crate) fn note_first(&self, note: Note, now: Timestamp) -> Result<Noted, Refused> {
        self.db
            .note_first(note, now)
            .map_err(|error| self.fault(error))
    }

    /// Notes how a call ended.
    pub(crate) fn note_last(&self, note: Note, now: Timestamp) {
        self.db.note_last(note, now);
    }

    /// Queues a write. Never blocks.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Ticket<T>, StoreError> {
        self.db.submit(write)
    }

    /// Queues signing the journal as it is. Never blocks.
    pub(crate) fn sign(
        self: &Arc<Self>,
        now: Timestamp,
    ) -> Result<Ticket<Option<SignedHead>>, StoreError> {
        let signer = Arc::clone(self);
        self.db
            .submit(move |transaction| journal::checkpoint(transaction, &signer.journal, now))
    }

    /// Whether a round has anything to sign here; the next one has, only if something is written meanwhile.
    pub(crate) fn take_unsigned(&self) -> bool {
        self.db.take_unsigned()
    }

    /// What was taken was not signed: the next round tries again.
    pub(crate) fn still_unsigned(&self) {
        self.db.still_unsigned();
    }

    /// Writes rows and the record that says so, and waits until both survive a loss of power.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        now: Timestamp,
        record: RecordKind,
        rows: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refused> {
        let write = move |transaction: &Transaction<'_>| {
            let done = rows(transaction)?;
            transaction.append(record, now)?;
            Ok(done)
        };
        let ticket = self.submit(write).map_err(|error| self.fault(error))?;
        ticket.settled().await.map_err(|error| self.fault(error))
    }

    /// Brings what calls noted into the tenant's file.
    pub(crate) async fn bring_in(&self) -> Result<(), Refused> {
        self.db.bring_in().await.map_err(|error| self.fault(error))
    }

    /// Reads by itself, for a long read, see [`Tenant::bring_in`].
    pub(crate) fn another_reader(&self) -> Result<Box<dyn Log + Send>, Refused> {
        self.db.another_reader().map_err(|error| self.fault(error))
    }

    /// How many writes wait for the disk.
    pub(crate) fn waiting(&self) -> usize {
        self.db.waiting()
    }

    /// What a fault of the store is to whoever called; remembers those that only opening anew gets over.
    pub(crate) fn fault(&self, error: StoreError) -> Refused {
        if matches!(error, StoreError::Poisoned | StoreError::Overtaken) {
            self.poisoned.store(true, Ordering::Release);
        }
        error.into()
    }

    /// Waits until everything queued is written. Blocks; afterwards the file may be opened again.
    pub(crate) fn finish(&self) {
        self.db.finish();
    }
}
