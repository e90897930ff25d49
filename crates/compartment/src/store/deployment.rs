//! What the deployment itself keeps: which tenants there are, where credentials lead, and the log of all tenants' heads.
//!
//! It is written rarely, so each write survives a loss of power before it returns. Everything here blocks.

use evidence::deployment::Head;
use evidence::log::{Frontier, Hash, Tree};
use jiff::Timestamp;

use super::StoreError;
use super::records::{self, NewRecord, Nodes, StoredRecord};
use super::tables::{Answer, Log};
use super::tenant::Check;
use crate::id::{ApiKeyId, IssuerId, TenantId};

/// Whether a tenant's calls are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TenantState {
    Active,
    Suspended,
}

/// One tenant, as the deployment knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TenantRow {
    pub(crate) id: TenantId,
    pub(crate) state: TenantState,
    pub(crate) created: Timestamp,
    pub(crate) name_index: [u8; 32],
    pub(crate) sealed_name: Vec<u8>,
}

/// A head in the deployment log.
#[derive(Clone, Debug)]
pub(crate) struct LoggedHead {
    /// Its place in the log, from 0.
    pub(crate) seq: u64,
    /// How many records the tenant's journal had.
    pub(crate) size: u64,
    /// Its canonical form.
    pub(crate) body: Vec<u8>,
    /// The audit path in the log of the size that was asked for.
    pub(crate) inclusion: Vec<Hash>,
}

/// A tenant claim of a token issuer, blinded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClaimPlace {
    pub(crate) token_issuer: [u8; 32],
    /// The claim's name, at this issuer.
    pub(crate) name: [u8; 32],
    /// The claim's name and value, at this issuer.
    pub(crate) value: [u8; 32],
}

/// Consecutive records of the deployment log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LogPart {
    /// The number of the first.
    pub(crate) from: u64,
    pub(crate) records: Vec<StoredRecord>,
    /// Whose heads they are, of how many records, and their numbers in the log.
    pub(crate) heads: Vec<(TenantId, u64, u64)>,
    /// The signed checkpoints that end in it.
    pub(crate) checkpoints: Vec<(u64, String)>,
}

impl LogPart {
    /// The number behind its last record.
    pub(crate) fn end(&self) -> u64 {
        self.from.saturating_add(self.records.len() as u64)
    }
}

/// Signs a size and a root of the deployment log.
pub(crate) type Sign<'a> = &'a dyn Fn(u64, Hash) -> Result<String, evidence::Error>;

/// The deployment's store, whichever back end keeps it.
pub(crate) trait Deployment: Send + Sync {
    /// Whether it can be read and written.
    fn check(&self) -> Answer<()>;

    /// Adds a tenant; an error where its id or the index of its name is taken.
    fn add_tenant(&self, row: &TenantRow) -> Answer<()>;

    /// One tenant.
    fn tenant(&self, id: &TenantId) -> Answer<Option<TenantRow>>;

    /// The tenant whose name has this blind index.
    fn tenant_named(&self, name_index: &[u8; 32]) -> Answer<Option<TenantRow>>;

    /// Tenants ordered by id, those after `after`, at most `limit`.
    fn tenants(&self, after: Option<&TenantId>, limit: u32) -> Answer<Vec<TenantRow>>;

    /// Forgets a tenant whose rows are to be made anew.
    fn remove_tenant(&self, id: &TenantId) -> Answer<()>;

    /// Suspends a tenant, or lets it call again.
    fn set_state(&self, id: &TenantId, state: TenantState) -> Answer<()>;

    /// Where an API key leads.
    fn tenant_of_key(&self, key: &ApiKeyId) -> Answer<Option<TenantId>>;

    /// Enters an API key; an error where it leads somewhere already.
    fn add_key(&self, key: &ApiKeyId, tenant: &TenantId) -> Answer<()>;

    /// Where API keys lead: those after `after` in the order of their ids, at most `limit`.
    fn key_places(&self, after: Option<&ApiKeyId>, limit: u32)
    -> Answer<Vec<(ApiKeyId, TenantId)>>;

    /// Where a blinded tenant claim leads.
    fn tenant_of_claim(&self, claim: &[u8; 32]) -> Answer<Option<(TenantId, IssuerId)>>;

    /// Enters a claim; says whether it is this pin's now. One that is another's stays that one's, and all pins of one
    /// token issuer go by the same claim: with two of them, a token could lead to two tenants.
    fn add_claim(&self, claim: &ClaimPlace, tenant: &TenantId, issuer: &IssuerId) -> Answer<bool>;

    /// Where claims lead: those after `after` in the order of their blinded values, at most `limit`.
    fn claim_places(
        &self,
        after: Option<&[u8; 32]>,
        limit: u32,
    ) -> Answer<Vec<(ClaimPlace, TenantId, IssuerId)>>;

    /// Removes the claims that lead to `issuer`, except `but`.
    fn remove_claims(
        &self,
        tenant: &TenantId,
        issuer: &IssuerId,
        but: Option<&[u8; 32]>,
    ) -> Answer<()>;

    /// The hashes of the operators' keys.
    fn operator_keys(&self) -> Answer<Vec<(ApiKeyId, [u8; 32])>>;

    /// Adds one.
    fn add_operator_key(&self, id: &ApiKeyId, hash: &[u8; 32], now: Timestamp) -> Answer<()>;

    /// Appends heads to the deployment log, and the note that `sign` makes of its new size and root, all or nothing.
    fn append_heads(
        &self,
        heads: &[(TenantId, Head)],
        now: Timestamp,
        sign: Sign<'_>,
    ) -> Answer<()>;

    /// The newest signed checkpoint of the deployment log.
    fn checkpoint(&self) -> Answer<Option<(u64, String)>>;

    /// The most records that a head of this tenant says its journal had; zero where none was logged.
    fn logged_size(&self, tenant: &TenantId) -> Answer<u64>;

    /// Checks that the deployment log fits its tree and its newest checkpoint, and more that `look` knows of.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where it does not; what `look` says.
    fn check_log(&self, look: Check<'_>) -> Answer<()>;

    /// A part of the deployment log: records from `from` on, at most `limit`, with all that belongs to them.
    fn log_part(&self, from: u64, limit: u32) -> Answer<LogPart>;

    /// Appends a part that another store had, all or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where it does not follow what is here.
    fn take_log(&self, part: &LogPart) -> Answer<()>;

    /// The newest head of a tenant with at most `size` records, in the deployment log of `log_size`.
    fn head(&self, tenant: &TenantId, size: u64, log_size: u64) -> Answer<Option<LoggedHead>>;
}

/// The frontier of a log whose tree was checked when it was opened.
pub(super) fn frontier(log: &dyn Log) -> Answer<Frontier> {
    Ok(Tree::new(log.size()?, &Nodes(log))?.frontier()?)
}

/// Appends heads to a deployment log inside a transaction, and signs it. `place` says where each of them is: its tenant,
/// its size and its number.
pub(super) fn append(
    log: &dyn Log,
    mut frontier: Frontier,
    heads: &[(TenantId, Head)],
    now: Timestamp,
    sign: Sign<'_>,
    mut place: impl FnMut(&TenantId, u64, u64) -> Answer<()>,
) -> Answer<Frontier> {
    for (tenant, head) in heads {
        let (seq, body) = (frontier.size(), head.canonical().into_bytes());
        let hashes = frontier.append(evidence::leaf_hash(&body));
        log.insert_records(&[NewRecord {
            seq,
            body: &body,
            hashes: &hashes,
        }])?;
        place(tenant, head.size(), seq)?;
    }
    let note = sign(frontier.size(), frontier.root())?;
    records::put_checkpoint(log, frontier.size(), now, &note)?;
    Ok(frontier)
}

/// The head of `size` records at `seq`, with its audit path in the deployment log of `log_size`.
///
/// # Errors
///
/// [`StoreError::Corrupt`] where there is none.
pub(super) fn logged(log: &dyn Log, size: u64, seq: u64, log_size: u64) -> Answer<LoggedHead> {
    let stored = log
        .record(seq)?
        .ok_or_else(|| StoreError::Corrupt("deployment log: a head is missing".to_owned()))?;
    let inclusion = Tree::new(log_size, &Nodes(log))?.inclusion(seq)?;
    Ok(LoggedHead {
        seq,
        size,
        body: stored.body,
        inclusion,
    })
}

/// Reads a part of a deployment log; `heads` are those that stand in it.
pub(super) fn part(
    log: &dyn Log,
    from: u64,
    limit: u32,
    heads: impl FnOnce(u64) -> Answer<Vec<(TenantId, u64, u64)>>,
) -> Answer<LogPart> {
    let mut part = LogPart {
        from,
        records: log.records(from, u64::MAX, limit)?,
        ..LogPart::default()
    };
    part.heads = heads(part.end())?;
    part.checkpoints = log.checkpoints(from, part.end())?;
    Ok(part)
}

/// Appends a part to a deployment log inside a transaction. `place` says where each head is.
///
/// # Errors
///
/// [`StoreError::Corrupt`] where it does not follow what is here; faults of the store.
pub(super) fn take(
    log: &dyn Log,
    mut frontier: Frontier,
    part: &LogPart,
    mut place: impl FnMut(&TenantId, u64, u64) -> Answer<()>,
) -> Answer<Frontier> {
    let misfit = || StoreError::Corrupt("deployment log: a part does not fit".to_owned());
    if frontier.size() != part.from {
        return Err(misfit());
    }
    let mut seq = part.from;
    let mut records = Vec::with_capacity(part.records.len());
    for stored in &part.records {
        if frontier.append(evidence::leaf_hash(&stored.body)) != stored.hashes {
            return Err(misfit());
        }
        records.push(NewRecord {
            seq,
            body: &stored.body,
            hashes: &stored.hashes,
        });
        seq = seq.saturating_add(1);
    }
    log.insert_records(&records)?;
    for (tenant, size, seq) in &part.heads {
        place(tenant, *size, *seq)?;
    }
    for (size, note) in &part.checkpoints {
        log.replace_checkpoint(
            *size,
            *size,
            records::signed_at(note).ok_or_else(misfit)?,
            note,
        )?;
    }
    Ok(frontier)
}
