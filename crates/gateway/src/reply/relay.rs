//! Passes a stream on, piece by piece, as fast as its reader reads.

use std::{collections::BTreeSet, io};

use bytes::Bytes;
use compartment::Ended;
use wire::openai::usage::Usage;

use crate::{
    call::Call,
    upstream::{Fault, Piece, Pieces},
};

/// A stream between an upstream and a caller. Dropping it drops the upstream's connection and settles the call with
/// what was observed.
pub(super) struct Relay<P: Piece> {
    call: Call,
    /// None once it has ended: the connection is gone before the last frame is out.
    pieces: Option<Pieces<P>>,
    /// The last frame said that something broke: the connection is cut after it.
    broken: bool,
    model: String,
    wants_usage: bool,
    usage: Option<Usage>,
    /// Choices that have begun and not finished.
    open: BTreeSet<u32>,
}

impl<P: Piece> Relay<P> {
    pub(super) fn new(call: Call, pieces: Pieces<P>, model: String, wants_usage: bool) -> Relay<P> {
        Relay {
            call,
            pieces: Some(pieces),
            broken: false,
            model,
            wants_usage,
            usage: None,
            open: BTreeSet::new(),
        }
    }

    /// The next frames; an error cuts the connection, so that half an answer never looks whole.
    pub(super) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let Some(pieces) = &mut self.pieces else {
                if !std::mem::take(&mut self.broken) {
                    return None;
                }
                // lets the connection flush the frame that says what happened
                tokio::task::yield_now().await;
                return Some(Err(io::ErrorKind::ConnectionAborted.into()));
            };
            let frames = match pieces.next().await {
                Ok(Some(pieces)) => self.pass_on(pieces),
                Ok(None) => self.finish(Vec::new(), Ended::Completed),
                Err(fault) => self.break_off(fault),
            };
            if !frames.is_empty() {
                return Some(Ok(frames.into()));
            }
        }
    }

    fn pass_on(&mut self, pieces: Vec<P>) -> Vec<u8> {
        let mut frames = Vec::with_capacity(512);
        for mut piece in pieces {
            if let Some(usage) = piece.usage() {
                self.usage = Some(*usage);
            }
            if !self.wants_usage && piece.usage().is_some() && !piece.without_usage() {
                continue;
            }
            piece.each_choice(&mut |index, finished| {
                if finished {
                    self.open.remove(&index);
                } else {
                    self.open.insert(index);
                }
            });
            piece.stamp(self.call.id(), &self.model);
            if !self
                .call
                .observe(piece.tokens_at_least(), piece.output_bytes())
            {
                for index in std::mem::take(&mut self.open) {
                    frame(&mut frames, &piece.cut_off(index).write());
                }
                return self.finish(frames, Ended::CutAtReservation);
            }
            frame(&mut frames, &piece.write());
        }
        self.call.commit(&frames);
        frames
    }

    fn finish(&mut self, mut frames: Vec<u8>, ended: Ended) -> Vec<u8> {
        self.pieces = None;
        frame(&mut frames, b"[DONE]");
        self.call.commit(&frames);
        self.call.answered(ended, self.usage.as_ref());
        frames
    }

    fn break_off(&mut self, fault: Fault) -> Vec<u8> {
        self.pieces = None;
        self.broken = true;
        let refusal = self.call.failed(fault, self.usage.as_ref());
        let mut frames = Vec::new();
        frame(&mut frames, &refusal.body().write());
        frames
    }
}

/// One server-sent event (WHATWG HTML, section 9.2). JSON as written here has no line breaks.
fn frame(frames: &mut Vec<u8>, data: &[u8]) {
    frames.extend_from_slice(b"data: ");
    frames.extend_from_slice(data);
    frames.extend_from_slice(b"\n\n");
}
