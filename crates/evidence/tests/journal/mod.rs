//! A generated journal and its export, for the tests of the verifier.
#![allow(dead_code, reason = "each test file uses a part of this")]

pub mod lines;

use std::num::NonZeroU32;

use evidence::deployment::{HeadOpening, HeadProof};
use evidence::export::Writer;
use evidence::log::{MemoryLog, Tree};
use evidence::{
    ANSWER_LABEL, Actor, Admin, AdminAction, Basis, CallIntent, CallRefused, CallSettled,
    Checkpoint, Hits, Id, JournalSigner, Outcome, REQUEST_LABEL, Record, RecordKind, VerifierKey,
    commit, leaf_hash,
};
use jiff::{SignedDuration, Timestamp};

pub fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

pub fn time(seq: u64) -> Timestamp {
    let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(seq.try_into().unwrap())
}

pub fn request_text(call: u64) -> String {
    format!("request of call {call}")
}

pub const SALT: [u8; 32] = [5; 32];

pub fn intent(call: u64) -> RecordKind {
    RecordKind::CallIntent(CallIntent {
        call: id(&format!("call_{call}")),
        credential: id("key_1"),
        subject: None,
        session: None,
        route: id("/v1/chat/completions"),
        model: id(if call.is_multiple_of(2) {
            "even"
        } else {
            "odd"
        }),
        upstream: id("cell"),
        policy: id("no-rules/1"),
        bound_input_tokens: 100,
        bound_output_tokens: 50,
        reserved_nanos: 1000,
        request_commitment: commit(&SALT, REQUEST_LABEL, request_text(call).as_bytes()),
    })
}

pub fn settled(call: u64) -> RecordKind {
    RecordKind::CallSettled(CallSettled {
        call: id(&format!("call_{call}")),
        outcome: Outcome::Completed,
        status: 200,
        input_tokens: 10,
        cached_input_tokens: 4,
        output_tokens: 5,
        cost_nanos: 100,
        measured: if call == 0 {
            Basis::Bound
        } else {
            Basis::Measured
        },
        answer_commitment: Some(commit(&SALT, ANSWER_LABEL, b"the answer")),
        findings: Hits::default(),
    })
}

pub fn created() -> RecordKind {
    RecordKind::Admin(Admin {
        actor: Actor::Operator,
        action: AdminAction::TenantCreated,
        object: None,
    })
}

pub fn refused(call: u64) -> RecordKind {
    RecordKind::CallRefused(CallRefused {
        call: id(&format!("call_{call}")),
        credential: None,
        route: id("/v1/models"),
        model: None,
        reason: id("invalid_api_key"),
        count: NonZeroU32::MIN,
    })
}

/// A journal: its records' texts, its hashes, its key.
pub struct Journal {
    pub origin: Id,
    pub signer: JournalSigner,
    pub log: MemoryLog,
    pub texts: Vec<Vec<u8>>,
    /// Sizes at which a checkpoint is put into the export, besides the last.
    pub checkpoints_at: Vec<u64>,
}

impl Journal {
    pub fn empty(name: &str, seed: u8) -> Self {
        Self {
            origin: id(&format!("cofferdam/{name}")),
            signer: JournalSigner::from_seed([seed; 32]),
            log: MemoryLog::new(),
            texts: Vec::new(),
            checkpoints_at: Vec::new(),
        }
    }

    /// One admin record, then calls (intent of the next before settlement of the last), until `size` records.
    pub fn generate(size: u64) -> Self {
        let mut journal = Self::empty("log_1", 1);
        journal.push(created());
        let mut call = 0;
        while journal.size() < size {
            journal.push(intent(call));
            if call > 0 && journal.size() < size {
                journal.push(settled(call - 1));
            }
            call += 1;
        }
        journal
    }

    pub fn size(&self) -> u64 {
        self.log.frontier().size()
    }

    pub fn push(&mut self, kind: RecordKind) {
        self.push_at(time(self.size()), kind);
    }

    pub fn push_at(&mut self, time: Timestamp, kind: RecordKind) {
        self.push_text(Record::new(self.size(), time, kind).canonical());
    }

    pub fn push_text(&mut self, text: Vec<u8>) {
        self.texts.push(text);
        self.log.append(leaf_hash(self.texts.last().unwrap()));
    }

    pub fn vkey(&self) -> VerifierKey {
        self.signer.verifier_key(&self.origin)
    }

    pub fn checkpoint(&self, size: u64) -> Checkpoint {
        let root = Tree::new(size, &self.log).unwrap().root().unwrap();
        Checkpoint::new(self.origin.clone(), size, root, time(size))
    }

    pub fn note(&self, size: u64) -> String {
        self.checkpoint(size).sign(&self.signer).unwrap()
    }

    pub fn export(&self) -> Vec<u8> {
        self.export_with(None)
    }

    pub fn export_with(&self, deployment: Option<HeadProof>) -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new(), self.vkey(), deployment).unwrap();
        for (seq, text) in (0..).zip(&self.texts) {
            if self.checkpoints_at.contains(&seq) {
                writer.checkpoint(&self.note(seq)).unwrap();
            }
            writer.record(text, leaf_hash(text)).unwrap();
        }
        writer.checkpoint(&self.note(self.size())).unwrap();
        writer.finish().unwrap()
    }
}

pub const SIZE: u64 = 600;

/// The journal that most cases falsify: 600 records, with checkpoints at 100, 300 and the end.
pub fn genuine() -> Journal {
    let mut journal = Journal::generate(SIZE);
    journal.checkpoints_at = vec![100, 300];
    journal
}

pub fn call(n: u64) -> Id {
    id(&format!("call_{n}"))
}

/// A deployment log with the head of `journal` at `size` among three of others, signed with `seed`.
pub fn deployment(journal: &Journal, size: u64, seed: u8) -> HeadProof {
    let opening = HeadOpening {
        blinding_key: [21; 32],
        salt: [22; 32],
    };
    let root = journal.checkpoint(size).root();
    let own = opening
        .head(&journal.origin, size, root, time(size))
        .canonical();
    let other = |n: u8| HeadOpening {
        blinding_key: [n; 32],
        salt: [n; 32],
    };
    let other = |n| {
        other(n)
            .head(&id("cofferdam/other"), 7, leaf_hash(b"root"), time(7))
            .canonical()
    };

    let mut log = MemoryLog::new();
    for head in [&other(1), &other(2), &own, &other(3)] {
        log.append(leaf_hash(head.as_bytes()));
    }
    let signer = JournalSigner::from_seed([seed; 32]);
    let origin = id("cofferdam/deployment");
    let checkpoint = Checkpoint::new(origin.clone(), 4, log.frontier().root(), time(size));
    HeadProof {
        vkey: signer.verifier_key(&origin),
        checkpoint: checkpoint.sign(&signer).unwrap(),
        index: 2,
        head: own,
        opening,
        inclusion: Tree::new(4, &log).unwrap().inclusion(2).unwrap(),
    }
}
