//! Server-sent events: the same ones however the stream is cut, and never more held than allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::sse::{Decoder, Oversize};

const MAX: usize = 64;

fn events<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<(String, String)>, Oversize> {
    let mut decoder = Decoder::new(MAX);
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.push(piece, &mut |event| {
            seen.push((event.kind.into_owned(), event.data.into_owned()));
        })?;
    }
    Ok(seen)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, stream) = input;
    let whole = events(std::iter::once(stream));
    assert_eq!(whole, events(stream.chunks(usize::from(size).max(1))));
    // A byte that is not UTF-8 becomes three.
    assert!(
        whole
            .iter()
            .flatten()
            .all(|(kind, data)| kind.len() + data.len() <= 3 * MAX)
    );
});
