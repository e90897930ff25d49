//! The tenant's journal, for its steward, its auditors and the operator: who, when, how much; never what was said.

use super::{Act, Actor};
use crate::{
    error::Refused,
    journal,
    store::{Log, StoreError, Tables, records},
    tenant::Tenant,
};
use bytes::Bytes;
use evidence::{AdminAction, VerifierKey, deployment::HeadProof, log::Tree};
use jiff::Timestamp;
use std::{fmt, io, sync::Arc};
use tokio::sync::mpsc;

/// The most records of one page.
pub const MAX_RECORDS: u32 = 1000;
/// The pieces an export is sent in, in bytes, and how many may wait for whoever reads them.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 4;

/// A signed state of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// How many records it covers.
    pub size: u64,
    /// The signed note (C2SP tlog-checkpoint).
    pub note: String,
    /// The key that verifies it (C2SP signed-note verifier key).
    pub verifier_key: String,
}

/// A record as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRow {
    /// Its number, from 0.
    pub seq: u64,
    /// Its canonical bytes, one JSON object.
    pub body: Vec<u8>,
    /// The hash of its leaf, as it was stored with it.
    pub leaf: [u8; 32],
}

/// Proof that a record stands in the journal (RFC 6962 section 2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordProof {
    /// The record.
    pub record: RecordRow,
    /// The audit path, from the leaf upwards.
    pub path: Vec<[u8; 32]>,
    /// The state it leads to.
    pub checkpoint: SignedCheckpoint,
}

/// The tenant's journal. See [`crate::Compartment::auditor`] and [`super::Administration::journal`].
#[derive(Clone)]
pub struct JournalView {
    tenant: Arc<Tenant>,
    actor: Actor,
}

impl JournalView {
    pub(crate) fn new(tenant: Arc<Tenant>, actor: Actor) -> Self {
        Self { tenant, actor }
    }

    /// The key that verifies the journal's checkpoints: to be pinned by whoever audits.
    #[must_use]
    pub fn verifier_key(&self) -> VerifierKey {
        self.tenant.journal.vkey().clone()
    }

    /// Signs the journal as it is and returns the newest signed state; `None` while it is empty.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn checkpoint(&self, now: Timestamp) -> Result<Option<SignedCheckpoint>, Refused> {
        let ticket = self
            .tenant
            .sign(now)
            .map_err(|error| self.tenant.fault(error))?;
        ticket
            .settled()
            .await
            .map_err(|error| self.tenant.fault(error))?;
        let newest = self
            .tenant
            .read(|tables| tables.checkpoint_within(u64::MAX))
            .await?;
        Ok(newest.map(|(size, note)| self.signed(size, note)))
    }

    /// Records from number `from` on, at most `limit` and [`MAX_RECORDS`].
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn records(&self, from: u64, limit: u32) -> Result<Vec<RecordRow>, Refused> {
        let limit = limit.min(MAX_RECORDS);
        let page = self
            .tenant
            .read(move |tables| tables.records(from, u64::MAX, limit))
            .await?;
        // the page first: where it is empty, there may be no number after `from`
        let rows = page
            .into_iter()
            .zip(from..)
            .map(|(record, seq)| row(seq, record));
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Proof that record number `seq` stands in the journal as it is signed now.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`] where there is none with that number; faults of the store.
    pub async fn proof(&self, seq: u64, now: Timestamp) -> Result<RecordProof, Refused> {
        const NO_RECORD: Refused = Refused::NotFound { what: "record" };
        let checkpoint = self
            .checkpoint(now)
            .await?
            .filter(|checkpoint| seq < checkpoint.size)
            .ok_or(NO_RECORD)?;
        let size = checkpoint.size;
        let read = move |tables: &dyn Tables| {
            let path = Tree::new(size, &records::Nodes(tables))?.inclusion(seq)?;
            Ok((tables.record(seq)?, path))
        };
        let (record, path) = self.tenant.read(read).await?;
        let record = row(seq, record.ok_or(NO_RECORD)?)?;
        Ok(RecordProof {
            record,
            path: path.into_iter().map(|hash| hash.0).collect(),
            checkpoint,
        })
    }

    /// The whole journal in the format that `cofferdam audit verify` reads, piece by piece. That it was exported is the
    /// last record in it.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn export(&self, now: Timestamp) -> Result<Export, Refused> {
        let record = Act(AdminAction::JournalExported, None).by(&self.actor)?;
        self.tenant.write(now, record, |_| Ok(())).await?;
        self.checkpoint(now).await?;
        let (pieces, export) = mpsc::channel(PIECES);
        let tenant = Arc::clone(&self.tenant);
        tokio::task::spawn_blocking(move || {
            let failed = write(
                &tenant,
                Pieces {
                    buffer: Vec::with_capacity(PIECE),
                    to: &pieces,
                },
            )
            .err();
            if let Some(error) = failed {
                // Whoever reads is told, or is gone.
                let _ = pieces.blocking_send(Err(error));
            }
        });
        Ok(Export(export))
    }

    fn signed(&self, size: u64, note: String) -> SignedCheckpoint {
        SignedCheckpoint {
            size,
            note,
            verifier_key: self.tenant.journal.vkey().to_string(),
        }
    }
}

impl fmt::Debug for JournalView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalView").finish_non_exhaustive()
    }
}

/// An export on its way. One that ends in an error, or is dropped, is not whole and does not verify.
pub struct Export(mpsc::Receiver<Result<Bytes, Refused>>);

impl Export {
    /// The next piece, of about 64 KiB; `None` at the end.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn next(&mut self) -> Option<Result<Bytes, Refused>> {
        self.0.recv().await
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").finish_non_exhaustive()
    }
}

fn row(seq: u64, record: records::StoredRecord) -> Result<RecordRow, StoreError> {
    Ok(RecordRow {
        seq,
        leaf: record.leaf()?.0,
        body: record.body,
    })
}

fn write(tenant: &Tenant, pieces: Pieces<'_>) -> Result<(), Refused> {
    let reader = tenant.another_reader()?;
    let proof = head_proof(tenant, &*reader)?;
    let pieces = journal::export(&*reader, &tenant.journal, proof, pieces)?;
    let rest = pieces.buffer;
    // Whoever reads may be gone, which is their right.
    let _ = pieces.to.blocking_send(Ok(rest.into()));
    Ok(())
}

/// Shows that one of the journal's heads stands in the deployment log, so that the tenant would notice if its whole
/// journal were swapped for another.
fn head_proof(tenant: &Tenant, log: &dyn Log) -> Result<Option<HeadProof>, StoreError> {
    let Some((size, _)) = log.checkpoint_within(u64::MAX)? else {
        return Ok(None);
    };
    let Some((checkpoint, logged)) = tenant.directory.logged_head(&tenant.id, size)? else {
        return Ok(None);
    };
    Ok(Some(HeadProof {
        vkey: tenant.directory.log_key().clone(),
        checkpoint,
        index: logged.seq,
        head: String::from_utf8(logged.body)
            .map_err(|_| StoreError::Corrupt("deployment log: a head is no text".to_owned()))?,
        opening: tenant.journal.opening(logged.size),
        inclusion: logged.inclusion,
    }))
}

/// Sends what is written in pieces; blocks while whoever reads is slow.
struct Pieces<'a> {
    buffer: Vec<u8>,
    to: &'a mpsc::Sender<Result<Bytes, Refused>>,
}

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
            self.to
                .blocking_send(Ok(piece.into()))
                .map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
