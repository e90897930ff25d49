//! The tenant's Merkle log: its keys, its checkpoints, its exports, and what a crash left open.
//!
//! Records are appended inside the transactions that they are about, see [`crate::store::Transaction::append`].

mod export;
mod recover;

pub(crate) use export::export;
pub(crate) use recover::recover;

use evidence::deployment::HeadOpening;
use evidence::log::Hash;
use evidence::{Checkpoint, Id, JournalSigner, VerifierKey};
use jiff::Timestamp;

use crate::id::TenantId;
use crate::keys::{Purpose, RootKey, Secret32};
use crate::seal::{blind, blind16};
use crate::store::{Log, StoreError, Transaction, records};

/// What signs a tenant's journal and blinds its heads in the deployment log.
pub(crate) struct JournalKeys {
    origin: Id,
    signer: JournalSigner,
    vkey: VerifierKey,
    blinding: Secret32,
}

/// A signed state of a journal.
#[derive(Clone, Debug)]
pub(crate) struct SignedHead {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) time: Timestamp,
}

impl JournalKeys {
    /// The name of the log is blinded: whoever gets an export does not learn the tenant's id from it.
    ///
    /// # Errors
    ///
    /// None that can happen: the name is a legal one.
    pub(crate) fn derive(root: &RootKey, tenant: &TenantId) -> Result<Self, StoreError> {
        let blinding = root.derive(Purpose::JournalBlind);
        let name = blind16(&blinding, "log-name", &[tenant.as_bytes()]);
        Self::named(
            &format!("cofferdam/log_{}", hex::encode(name)),
            root,
            blinding,
        )
    }

    /// The keys of the deployment log.
    ///
    /// # Errors
    ///
    /// As [`JournalKeys::derive`].
    pub(crate) fn deployment(root: &RootKey) -> Result<Self, StoreError> {
        let blinding = root.derive(Purpose::JournalBlind);
        let name = blind16(&blinding, "log-name", &[b"deployment"]);
        Self::named(
            &format!("cofferdam/deployment_{}", hex::encode(name)),
            root,
            blinding,
        )
    }

    fn named(origin: &str, root: &RootKey, blinding: Secret32) -> Result<Self, StoreError> {
        let origin = Id::new(origin)?;
        let signer = JournalSigner::from_seed(*root.derive(Purpose::JournalSign).expose());
        let vkey = signer.verifier_key(&origin);
        Ok(Self {
            origin,
            signer,
            vkey,
            blinding,
        })
    }

    /// What its signatures are checked with.
    pub(crate) fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }

    /// A signed note of this state.
    pub(crate) fn sign(
        &self,
        size: u64,
        root: Hash,
        time: Timestamp,
    ) -> Result<String, evidence::Error> {
        Checkpoint::new(self.origin.clone(), size, root, time).sign(&self.signer)
    }

    /// What blinds the head of this size, and opens it. It is derived, so nothing has to be kept for it.
    pub(crate) fn opening(&self, size: u64) -> HeadOpening {
        HeadOpening {
            blinding_key: blind(&self.blinding, "head-blinding", &[]),
            salt: blind(&self.blinding, "head-salt", &[&size.to_be_bytes()]),
        }
    }

    /// The blinded head of a signed state.
    pub(crate) fn head(&self, signed: &SignedHead) -> evidence::deployment::Head {
        self.opening(signed.size)
            .head(&self.origin, signed.size, signed.root, signed.time)
    }
}

/// Signs the journal as it is, if it grew since the last time.
///
/// # Errors
///
/// Faults of the store.
pub(crate) fn checkpoint(
    transaction: &Transaction<'_>,
    keys: &JournalKeys,
    now: Timestamp,
) -> Result<Option<SignedHead>, StoreError> {
    let (size, root) = transaction.head();
    let last = transaction.checkpoint_within(u64::MAX)?;
    if size == 0 || last.is_some_and(|(signed, _)| signed >= size) {
        return Ok(None);
    }
    // never before the last record, whatever the clock does
    let time = transaction.last_time().map_or(now, |last| last.max(now));
    records::put_checkpoint(&**transaction, size, time, &keys.sign(size, root, time)?)?;
    Ok(Some(SignedHead { size, root, time }))
}

/// What a tenant's first transaction does when it opens: what a crash left open is settled. `logged` is the most records
/// that the deployment log says its journal had.
///
/// # Errors
///
/// [`StoreError::Corrupt`] where the file is an older one; faults of the store.
pub(crate) fn resume(
    transaction: &Transaction<'_>,
    logged: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    if transaction.head().0 < logged {
        return Err(StoreError::Corrupt(
            "journal: it is shorter than the deployment log says".to_owned(),
        ));
    }
    recover(transaction, now)
}

/// Checks that the newest signed checkpoint is ours and fits the tree in the file: what was cut off or changed behind
/// our back must not be signed again.
///
/// # Errors
///
/// [`StoreError::Corrupt`] where it does not fit.
pub(crate) fn check(log: &dyn Log, vkey: &VerifierKey) -> Result<(), StoreError> {
    let Some((size, note)) = log.checkpoint_within(u64::MAX)? else {
        return Ok(());
    };
    let misfit = |what: &str| StoreError::Corrupt(format!("journal: {what}"));
    let signed = Checkpoint::parse_verify(note.as_bytes(), vkey)
        .map_err(|_| misfit("its newest checkpoint is not signed with its own key"))?;
    if log.size()? < size || signed.size() != size {
        return Err(misfit("it is shorter than its newest checkpoint says"));
    }
    let root = evidence::log::Tree::new(size, &records::Nodes(log))?.root()?;
    if root != signed.root() {
        return Err(misfit(
            "its tree is not the one that its newest checkpoint signs",
        ));
    }
    Ok(())
}
