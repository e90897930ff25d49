//! The promises of the store.

mod contract;
mod crash;
mod faults;
mod grouping;
mod tampering;

use std::path::Path;
use std::sync::mpsc::{Sender, channel};

use evidence::{Actor, Admin, AdminAction, RecordKind};
use jiff::Timestamp;

use super::{Scribes, StoreError, TenantDb, Ticket, records};
use crate::id::TenantId;
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
    JournalKeys::derive(&root, &TenantId::from_bytes([1; 16])).unwrap()
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

fn open(folder: &Path, scribes: &Scribes) -> TenantDb {
    match TenantDb::open(folder, scribes, |_| Ok(())) {
        Err(StoreError::Missing) => TenantDb::create(folder, scribes, |_| Ok(())).unwrap(),
        opened => opened.unwrap(),
    }
}

fn append(db: &TenantDb) -> Result<u64, StoreError> {
    db.submit(|t| t.append(record(), now()))?.wait()
}

fn size(db: &TenantDb) -> u64 {
    db.read_now(records::size).unwrap()
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
