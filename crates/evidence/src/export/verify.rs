//! Verifying an export, in one pass and without a server.

use super::calls::Calls;
use super::line::{FORMAT, Frame, Header, Lines, RECORD_PREFIX};
use super::page::{Item, Page};
use super::proof::{MAX_PROVED, ProvedRecord, Wanted};
use super::report::{DEPLOYMENT_NOT_PINNED, DEPLOYMENT_OLDER, MAY_BE_OLDER, NOT_PINNED};
use super::{DeploymentReport, Finding, Report, Signed};
use crate::deployment::Head;
use crate::{Checkpoint, Error, Hash, Record, VerifierKey, log::Tracer};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::io::BufRead;

/// How far a record may lie before an earlier one, and a checkpoint before its records: several replicas write one
/// journal, and their clocks differ.
pub const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

/// What the verifier's user knows from elsewhere. The more, the stronger the result; see [`Report::caveats`].
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The journal's key. Without it the key in the export is used, and the report says so.
    pub vkey: Option<VerifierKey>,
    /// The deployment log's key. With it, the export must hold a proof from that log.
    pub deployment_vkey: Option<VerifierKey>,
    /// A checkpoint of this journal from an earlier audit, verified then. The journal must have grown from it.
    pub earlier: Option<Checkpoint>,
}

/// Checks a whole export: every record, hash, signature and proof in it, and that every call is settled once, after
/// its intent.
///
/// Memory: one page of records, the open calls (at most [`super::MAX_OPEN_CALLS`]), the last
/// [`super::SETTLED_WINDOW`] settled calls, and sums by model.
///
/// # Errors
///
/// The first [`Finding`], in the order of the file.
pub fn verify(export: impl BufRead, trust: &Trust) -> Result<Report, Finding> {
    walk(export, trust, None).map(|walked| walked.report)
}

/// A verified export, with the records that were asked for.
pub(super) struct Walked {
    pub(super) report: Report,
    pub(super) vkey: VerifierKey,
    pub(super) checkpoint: String,
    pub(super) proved: Vec<ProvedRecord>,
}

pub(super) fn walk(
    export: impl BufRead,
    trust: &Trust,
    wanted: Option<&Wanted>,
) -> Result<Walked, Finding> {
    let mut lines = Lines::new(export);
    let mut journal = Journal::begin(read_header(&mut lines)?, trust, wanted)?;
    let mut page = Page::default();
    let counted = loop {
        let Some(bytes) = lines.next()? else {
            return Err(Finding::CutOff {
                line: lines.number(),
            });
        };
        if bytes.starts_with(RECORD_PREFIX) {
            page.record(bytes)?;
            continue;
        }
        match lines.frame(&bytes)? {
            Frame::Tile(text) => page.tile(&text, &lines)?,
            Frame::Checkpoint(note) => page.checkpoint(note, &lines)?,
            Frame::End { records } => break records,
            Frame::Header(_) => return Err(lines.bad("a second header")),
        }
        for item in page.take() {
            journal.item(item)?;
        }
    };
    page.finish()?;
    if lines.next()?.is_some() {
        return Err(lines.bad("something stands after the end line"));
    }
    journal.finish(counted)
}

fn read_header(lines: &mut Lines<impl BufRead>) -> Result<Header, Finding> {
    let Some(bytes) = lines.next()? else {
        return Err(Finding::CutOff {
            line: lines.number(),
        });
    };
    match lines.frame(&bytes)? {
        Frame::Header(header) if header.format == FORMAT => Ok(*header),
        Frame::Header(header) => Err(Finding::UnknownFormat {
            format: header.format,
        }),
        _ => Err(lines.bad("the header belongs here")),
    }
}

/// The state of a verification between two records.
struct Journal<'t> {
    header: Header,
    trust: &'t Trust,
    wanted: Option<&'t Wanted>,
    deployment: Option<(Checkpoint, Head)>,
    tracer: Tracer,
    proved: Vec<String>,
    calls: Calls,
    kinds: BTreeMap<&'static str, u64>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    latest: Option<Timestamp>,
    signed: Option<(Checkpoint, String)>,
    checkpoints: u64,
}

impl<'t> Journal<'t> {
    fn begin(
        header: Header,
        trust: &'t Trust,
        wanted: Option<&'t Wanted>,
    ) -> Result<Self, Finding> {
        let mut names = vec![header.vkey.origin()];
        names.extend(trust.vkey.as_ref().map(VerifierKey::origin));
        names.extend(trust.earlier.as_ref().map(Checkpoint::origin));
        if let Some(&expected) = names.iter().find(|name| ***name != header.origin) {
            let (expected, found) = (expected.clone(), header.origin);
            return Err(Finding::WrongOrigin { expected, found });
        }
        pinned(Signed::Journal, trust.vkey.as_ref(), &header.vkey)?;
        let deployment = read_deployment(&header, trust)?;
        let journal = Self {
            header,
            trust,
            wanted,
            deployment,
            tracer: Tracer::default(),
            proved: Vec::new(),
            calls: Calls::default(),
            kinds: BTreeMap::new(),
            first: None,
            last: None,
            latest: None,
            signed: None,
            checkpoints: 0,
        };
        journal.compare()?;
        Ok(journal)
    }

    fn item(&mut self, item: Item) -> Result<(), Finding> {
        match item {
            Item::Record { record, text, leaf } => self.record(&record, text, leaf),
            Item::Checkpoint(note) => self.checkpoint(note),
        }
    }

    fn record(&mut self, record: &Record, text: Vec<u8>, leaf: Hash) -> Result<(), Finding> {
        let (seq, time) = (record.seq(), record.time());
        let chosen =
            self.wanted.is_some_and(|wanted| wanted.is(record)) && self.proved.len() < MAX_PROVED;
        self.tracer.append(leaf, chosen);
        if chosen {
            // A canonical record is ASCII.
            self.proved
                .push(String::from_utf8_lossy(&text).into_owned());
        }
        let latest = self.latest.map_or(time, |latest| latest.max(time));
        if let Some(millis) = behind(time, latest) {
            return Err(Finding::TimeBackwards { seq, millis });
        }
        self.latest = Some(latest);
        self.first.get_or_insert(time);
        self.last = Some(time);
        *self.kinds.entry(record.kind().name()).or_default() += 1;
        self.calls.record(seq, record.kind())?;
        self.compare()
    }

    /// Compares the log as it is now with what is known about it at this size from elsewhere.
    fn compare(&self) -> Result<(), Finding> {
        let (size, root) = (self.size(), || self.tracer.frontier().root());
        if let Some(earlier) = &self.trust.earlier
            && earlier.size() == size
            && earlier.root() != root()
        {
            return Err(Finding::Rewritten { size });
        }
        if let Some(((_, head), proof)) = self
            .deployment
            .as_ref()
            .zip(self.header.deployment.as_ref())
            && head.size() == size
            && !proof.opening.opens(head, &self.header.origin, root())
        {
            return Err(Finding::ForkedFromDeployment { size });
        }
        Ok(())
    }

    fn checkpoint(&mut self, note: String) -> Result<(), Finding> {
        let (records, key) = (self.size(), &self.header.vkey);
        let checkpoint =
            Checkpoint::parse_verify(note.as_bytes(), key).map_err(|error| match error {
                Error::NotACheckpoint { reason } => Finding::BadCheckpoint {
                    records,
                    what: reason,
                },
                _ => Finding::BadSignature {
                    records,
                    key: key.to_string(),
                },
            })?;
        let signed = checkpoint.size();
        if signed > records {
            return Err(Finding::Truncated { signed, records });
        }
        if signed < records {
            return Err(Finding::StaleCheckpoint { signed, records });
        }
        if checkpoint.root() != self.tracer.frontier().root() {
            let from = self.signed.as_ref().map_or(0, |(good, _)| good.size());
            return Err(Finding::Diverged { from, to: signed });
        }
        if let Some(millis) = self
            .latest
            .and_then(|latest| behind(checkpoint.time(), latest))
        {
            return Err(Finding::CheckpointBeforeRecords {
                size: signed,
                millis,
            });
        }
        self.signed = Some((checkpoint, note));
        self.checkpoints += 1;
        Ok(())
    }

    fn finish(self, counted: u64) -> Result<Walked, Finding> {
        let records = self.size();
        if counted != records {
            return Err(Finding::Miscounted { counted, records });
        }
        if let Some(earlier) = self.trust.earlier.as_ref().map(Checkpoint::size)
            && earlier > records
        {
            return Err(Finding::RolledBack {
                earlier,
                now: records,
            });
        }
        if let Some(known) = self.deployment.as_ref().map(|(_, head)| head.size())
            && known > records
        {
            return Err(Finding::BehindDeployment { known, records });
        }
        let Some((signed, checkpoint)) = self.signed else {
            return Err(Finding::NoCheckpoint);
        };
        if signed.size() < records {
            return Err(Finding::Unsigned {
                from: signed.size(),
            });
        }
        let pinned = self.trust.vkey.is_some();
        let deployment =
            self.deployment
                .zip(self.header.deployment.as_ref())
                .map(|((log, head), proof)| DeploymentReport {
                    origin: log.origin().clone(),
                    vkey: proof.vkey.to_string(),
                    pinned: self.trust.deployment_vkey.is_some(),
                    heads: log.size(),
                    signed_at: log.time(),
                    covers: head.size(),
                    taken_at: head.time(),
                });
        let mut report = Report {
            origin: self.header.origin,
            vkey: self.header.vkey.to_string(),
            pinned,
            records,
            root: signed.root(),
            signed_at: signed.time(),
            checkpoints: self.checkpoints,
            grown_from: self.trust.earlier.as_ref().map(Checkpoint::size),
            caveats: caveats(pinned, records, deployment.as_ref()),
            deployment,
            first: self.first,
            last: self.last,
            kinds: self.kinds,
            models: BTreeMap::new(),
            over_reservation: 0,
            open_calls: 0,
            open: Vec::new(),
        };
        self.calls.report(&mut report);
        let paths = self.tracer.into_paths();
        let proved = self.proved.into_iter().zip(paths);
        let proved = proved
            .map(|(record, inclusion)| ProvedRecord { record, inclusion })
            .collect();
        Ok(Walked {
            report,
            vkey: self.header.vkey,
            checkpoint,
            proved,
        })
    }

    fn size(&self) -> u64 {
        self.tracer.frontier().size()
    }
}

/// Checks the proof from the deployment log as far as it goes without the journal's records.
fn read_deployment(header: &Header, trust: &Trust) -> Result<Option<(Checkpoint, Head)>, Finding> {
    let Some(proof) = &header.deployment else {
        return match trust.deployment_vkey {
            Some(_) => Err(Finding::NoDeployment),
            None => Ok(None),
        };
    };
    pinned(
        Signed::Deployment,
        trust.deployment_vkey.as_ref(),
        &proof.vkey,
    )?;
    let bad = |what| Finding::BadDeployment { what };
    let (checkpoint, head) = proof.verify(&proof.vkey).map_err(|error| match error {
        Error::BadSignature => bad("its checkpoint has no valid signature"),
        Error::NotACheckpoint { .. } => bad("its checkpoint is malformed"),
        Error::NotAHead => bad("the head is malformed"),
        _ => bad("the head is not in the log that was signed"),
    })?;
    if proof.opening.blinded_log(&header.origin) != head.blinded_log() {
        return Err(bad("the head is another journal's"));
    }
    Ok(Some((checkpoint, head)))
}

pub(super) fn pinned(
    log: Signed,
    pinned: Option<&VerifierKey>,
    found: &VerifierKey,
) -> Result<(), Finding> {
    match pinned {
        Some(key) if key != found => Err(Finding::WrongKey {
            log,
            pinned: key.to_string(),
            found: found.to_string(),
        }),
        _ => Ok(()),
    }
}

/// How many milliseconds `time` lies before `latest`, where that is more than the clocks may differ.
fn behind(time: Timestamp, latest: Timestamp) -> Option<u64> {
    let behind = latest.duration_since(time);
    (behind > CLOCK_SLACK).then(|| u64::try_from(behind.as_millis()).unwrap_or(u64::MAX))
}

fn caveats(pinned: bool, records: u64, deployment: Option<&DeploymentReport>) -> Vec<&'static str> {
    let mut caveats = Vec::new();
    if !pinned {
        caveats.push(NOT_PINNED);
    }
    match deployment {
        Some(log) if log.pinned && log.covers < records => caveats.push(DEPLOYMENT_OLDER),
        Some(log) if log.pinned => {}
        Some(_) => caveats.extend([DEPLOYMENT_NOT_PINNED, MAY_BE_OLDER]),
        None => caveats.push(MAY_BE_OLDER),
    }
    caveats
}
