//! Messages as length-prefixed bytes, and back.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest frame body in bytes (16 MiB): four times the largest request the gateway takes, because JSON escapes grow.
pub const MAX_FRAME: usize = 16 << 20;

/// Bytes of the length that precedes every body.
pub const PREFIX: usize = 4;

/// Why bytes are not a frame. No variant carries any of the frame's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The body is, or claims to be, longer than [`MAX_FRAME`].
    #[error(
        "frame of {length} bytes is over the limit of {MAX_FRAME}; it was not read; close the connection"
    )]
    TooLong {
        /// Bytes the frame has or claims.
        length: usize,
    },
    /// The body is not the JSON of an expected message.
    #[error(
        "frame is not a known message (JSON error near byte {column}); it was dropped; close the connection"
    )]
    Malformed {
        /// Byte in the body near which parsing stopped.
        column: usize,
    },
    /// The message cannot be written as JSON.
    #[error("message cannot be written as a frame; it was not sent; check its numbers are finite")]
    Unwritable,
}

/// One message as bytes, length first.
///
/// # Errors
/// [`FrameError::TooLong`] above [`MAX_FRAME`], [`FrameError::Unwritable`] if serde refuses.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut out = vec![0; PREFIX];
    serde_json::to_writer(&mut out, message).map_err(|_| FrameError::Unwritable)?;
    let length = out.len().saturating_sub(PREFIX);
    if length > MAX_FRAME {
        return Err(FrameError::TooLong { length });
    }
    let prefix = u32::try_from(length).map_err(|_| FrameError::TooLong { length })?;
    for (slot, byte) in out.iter_mut().zip(prefix.to_le_bytes()) {
        *slot = byte;
    }
    Ok(out)
}

/// The body length a prefix announces, checked before anything is allocated for it.
///
/// # Errors
/// [`FrameError::TooLong`] above [`MAX_FRAME`].
pub fn body_length(prefix: [u8; PREFIX]) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > MAX_FRAME {
        Err(FrameError::TooLong { length })
    } else {
        Ok(length)
    }
}

/// The message in one whole body.
///
/// # Errors
/// [`FrameError::TooLong`] or [`FrameError::Malformed`]; nesting is bounded by serde_json (128).
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    if body.len() > MAX_FRAME {
        return Err(FrameError::TooLong { length: body.len() });
    }
    serde_json::from_slice(body).map_err(|error| FrameError::Malformed {
        column: error.column(),
    })
}

/// Splits a byte stream into messages, however it was cut up on the way. Holds at most one frame and one read.
#[derive(Default)]
pub struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    /// Adds bytes as they arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`FrameError`]; the stream is out of step from then on and must be closed.
    pub fn next_message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = body_length(*prefix)?;
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let message = decode(body)?;
        self.buffer.drain(..PREFIX + length);
        Ok(Some(message))
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frames({} bytes waiting)", self.buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{FromCell, Generate, Prompt, Sampling, ToCell, Token};
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    fn generate(id: u64, text: &str, temperature: f32, bias: BTreeMap<u32, f32>) -> ToCell {
        let message = serde_json::json!({"role": "user", "content": text});
        ToCell::Generate(Box::new(Generate {
            id,
            prompt: Prompt::Chat {
                messages: vec![message],
                tools: Vec::new(),
            },
            sampling: Sampling {
                temperature,
                logit_bias: bias,
                stop: vec![text.into()],
                ..Sampling::default()
            },
        }))
    }

    proptest! {
        #[test]
        fn messages_survive_the_wire_however_it_is_cut(
            texts in prop::collection::vec(".{0,40}", 1..5),
            temperature in 0f32..2.0,
            bias in prop::collection::btree_map(any::<u32>(), -100f32..100.0, 0..4),
            cut in 1usize..50,
        ) {
            let sent: Vec<ToCell> =
                texts.iter().zip(0..).map(|(text, id)| generate(id, text, temperature, bias.clone())).collect();
            let bytes: Vec<u8> = sent.iter().flat_map(|message| encode(message).unwrap()).collect();
            let (mut frames, mut got) = (Frames::default(), Vec::new());
            for part in bytes.chunks(cut) {
                frames.push(part);
                while let Some(message) = frames.next_message::<ToCell>().unwrap() {
                    got.push(message);
                }
            }
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn garbage_is_an_error_or_a_wait_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::default();
            frames.push(&bytes);
            let _ = frames.next_message::<FromCell>();
            let _ = decode::<ToCell>(&bytes);
        }
    }

    #[test]
    fn an_announced_length_over_the_limit_is_refused_before_the_body_comes() {
        let mut frames = Frames::default();
        frames.push(&u32::MAX.to_le_bytes());
        assert_eq!(
            frames.next_message::<FromCell>(),
            Err(FrameError::TooLong {
                length: u32::MAX as usize
            })
        );
    }

    #[test]
    fn debug_and_errors_never_show_what_was_said() {
        let message = generate(7, "sesame", 1.0, BTreeMap::new());
        let token = Token {
            id: 7,
            text: "sesame".into(),
            tool_calls: vec![],
            logprobs: vec![],
            completion_tokens: 1,
        };
        let broken = decode::<FromCell>(br#"{"token":{"id":"sesame"}}"#).unwrap_err();
        let shown = format!("{message:?} {token:?} {broken:?} {broken}");
        assert!(!shown.contains("sesame"), "{shown}");
    }
}
