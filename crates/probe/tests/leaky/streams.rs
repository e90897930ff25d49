//! The shape of a stream on the wire: blocks of one size, at one pace, whatever is in them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::Switch;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// Blocks go out whenever there is something to say.
    pub as_it_comes: bool,
}

pub const SWITCHES: &[Switch] = &[Switch {
    name: "stream_without_pace",
    row: 25,
    turn: |switches| switches.streams.as_it_comes = true,
}];

const BLOCK: usize = 1024;
const PACE: Duration = Duration::from_millis(2);

/// Events in blocks, filled up with a comment. The events themselves must be shorter than a block.
pub fn shape(switches: &Switches, mut pieces: mpsc::Receiver<Bytes>) -> mpsc::Receiver<Bytes> {
    let (sender, shaped) = mpsc::channel(1);
    let as_it_comes = switches.as_it_comes;
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut waiting, mut ended) = (BytesMut::new(), false);
        while !ended || !waiting.is_empty() {
            if as_it_comes {
                match pieces.recv().await {
                    Some(piece) => waiting.extend_from_slice(&piece),
                    None => ended = true,
                }
                if waiting.is_empty() {
                    continue;
                }
            } else {
                tokio::select! {
                    _ = pace.tick() => {}
                    () = sender.closed() => return,
                }
                loop {
                    match pieces.try_recv() {
                        Ok(piece) => waiting.extend_from_slice(&piece),
                        Err(mpsc::error::TryRecvError::Empty) => break,
                        Err(mpsc::error::TryRecvError::Disconnected) => {
                            ended = true;
                            break;
                        }
                    }
                }
            }
            if sender.send(block(&mut waiting)).await.is_err() {
                return;
            }
        }
    });
    shaped
}

/// As many whole events as fit; one that is too large goes alone.
fn block(waiting: &mut BytesMut) -> Bytes {
    const LEAST: usize = 4; // ": " and two line ends
    let ends: Vec<usize> = waiting
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| *pair == b"\n\n")
        .map(|(at, _)| at + 2)
        .collect();
    let fit = ends
        .iter()
        .rev()
        .find(|end| **end + LEAST <= BLOCK || **end == BLOCK);
    let taken = fit.or(ends.first()).copied().unwrap_or(waiting.len());
    let mut block = waiting.split_to(taken);
    if block.len() < BLOCK {
        let filling = BLOCK - block.len() - LEAST;
        block.extend_from_slice(format!(": {}\n\n", "-".repeat(filling)).as_bytes());
    }
    block.freeze()
}
