//! The promises of the store.

mod contract;
mod crash;
mod doubt;
mod faults;
mod grouping;
mod notes;
mod postgres;
mod tampering;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use evidence::{
    Actor, Admin, AdminAction, Basis, CallIntent, CallSettled, Commitment, Hits, Id, Outcome,
    RecordKind,
};
use jiff::Timestamp;

use super::embedded::{CommitLog, Scribes, TenantFile};
use super::{Begun, Note, StoreError, TenantDb, Ticket, Transaction, spends};
use crate::id::{CallId, TenantId};
use crate::journal::{self, JournalKeys};
use crate::keys::{RootKey, Secret32};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn record() -> RecordKind {
    RecordKind::Admin(Admin {
        actor: Actor::System,
        action: AdminAction::LimitsChanged,
        object: None,
    })
}

fn signing_keys() -> JournalKeys {
    let root = RootKey::of(Secret32::from_bytes([7; 32]));
    JournalKeys::derive(&root, &TENANT).unwrap()
}

/// Signs the journal as it is.
fn sign(db: &TenantDb) {
    db.submit(|t| journal::checkpoint(t, &signing_keys(), now()))
        .unwrap()
        .wait()
        .unwrap();
}

/// What an auditor says to the journal.
fn verify(db: &TenantDb) -> evidence::export::Report {
    let keys = signing_keys();
    let export = db
        .read_now(|c| journal::export(c, &keys, None, Vec::new()))
        .unwrap();
    let trust = evidence::export::Trust {
        vkey: Some(keys.vkey().clone()),
        ..Default::default()
    };
    evidence::export::verify(&*export, &trust).unwrap()
}

const TENANT: TenantId = TenantId::from_bytes([1; 16]);

/// Scribes with a commit log in `folder`.
fn scribes_in(folder: &Path, threads: usize) -> Scribes {
    Scribes::start(threads, CommitLog::open(&folder.join("log")).unwrap()).unwrap()
}

fn reopen(
    folder: &Path,
    scribes: &Scribes,
    first: impl FnOnce(&Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
) -> Result<TenantDb, StoreError> {
    let file = TenantFile::open(folder, TENANT, scribes, &|_| Ok(()), Box::new(first))?;
    Ok(TenantDb::new(Arc::new(file)))
}

fn create(folder: &Path, scribes: &Scribes) -> TenantDb {
    let file = TenantFile::create(folder, TENANT, scribes, Box::new(|_| Ok(()))).unwrap();
    TenantDb::new(Arc::new(file))
}

fn open(folder: &Path, scribes: &Scribes) -> TenantDb {
    match reopen(folder, scribes, |_| Ok(())) {
        Err(StoreError::Missing) => create(folder, scribes),
        opened => opened.unwrap(),
    }
}

/// What a call notes when it begins: 10 tokens in and 20 out at most.
fn begins(call: CallId, model: &str, reserved: u64, started: Timestamp) -> Note {
    let id = |text: &str| Id::new(text).unwrap();
    let intent = CallIntent {
        call: id(&call.to_string()),
        credential: id("key_1"),
        subject: None,
        session: None,
        route: id("/v1/embeddings"),
        model: id(model),
        upstream: id("cell"),
        policy: id("no-rules/1"),
        bound_input_tokens: 10,
        bound_output_tokens: 20,
        reserved_nanos: reserved,
        request_commitment: Commitment::from_bytes([0; 32]),
    };
    Note {
        record: RecordKind::CallIntent(intent),
        begun: Some(Begun {
            subject: Some([9; 16]),
            session: None,
            started,
        }),
    }
}

/// What a call notes when it ends: 10 tokens in, 4 of them cached, 3 out.
fn ends(call: CallId, cost: u64) -> Note {
    let settled = CallSettled {
        call: Id::new(call.to_string()).unwrap(),
        outcome: Outcome::Completed,
        status: 200,
        input_tokens: 10,
        cached_input_tokens: 4,
        output_tokens: 3,
        cost_nanos: cost,
        measured: Basis::Measured,
        answer_commitment: None,
        findings: Hits::default(),
    };
    Note {
        record: RecordKind::CallSettled(settled),
        begun: None,
    }
}

fn begin(db: &TenantDb, note: Note, now: Timestamp) {
    db.note_first(note, now).unwrap().hand_over().unwrap();
}

/// Brings what was noted into the file.
fn bring_in(db: &TenantDb) {
    db.submit(|_| Ok(())).unwrap().wait().unwrap();
}

fn append(db: &TenantDb) -> Result<u64, StoreError> {
    db.submit(|t| t.append(record(), now()))?.wait()
}

fn size(db: &TenantDb) -> u64 {
    db.read_now(|c| c.size()).unwrap()
}

/// A write that keeps its scribe busy until it is let go, so that everything submitted meanwhile waits together.
fn hold(db: &TenantDb) -> (Sender<()>, Ticket<()>) {
    let (go, wait) = channel::<()>();
    let (began, begun) = channel();
    let ticket = db.submit(move |_| {
        let _ = began.send(());
        wait.recv().map_err(|_| StoreError::Closed)
    });
    begun.recv().unwrap();
    (go, ticket.unwrap())
}

fn wal_frames(folder: &Path) -> u64 {
    // a frame is a page and a header of 24 bytes ("WAL-mode File Format", section 4.1)
    std::fs::metadata(folder.join("store.db-wal"))
        .unwrap()
        .len()
        / (4096 + 24)
}
