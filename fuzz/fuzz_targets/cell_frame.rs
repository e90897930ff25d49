//! Frames of a cell: any bytes, however they are cut, are messages, a wait for more, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::cell::{Frames, FromCell, ToCell};

fuzz_target!(|data: &[u8]| {
    let (cut, bytes) = data.split_first().map_or((1, data), |(first, rest)| (usize::from(*first).max(1), rest));
    for piece in [bytes.len().max(1), cut] {
        let (mut from, mut to) = (Frames::default(), Frames::default());
        for part in bytes.chunks(piece) {
            from.push(part);
            to.push(part);
            while let Ok(Some(message)) = from.next_message::<FromCell>() {
                assert!(!format!("{message:?}").is_empty());
            }
            while let Ok(Some(_)) = to.next_message::<ToCell>() {}
        }
    }
});
