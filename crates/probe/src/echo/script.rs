//! What the echo upstream answers, and how.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::record::Recorded;

pub(super) type Responder = Arc<dyn Fn(&Recorded) -> Script + Send + Sync>;

/// One answer. The default repeats the last text behind the nonce, at once, in pieces of about 16 bytes where streamed.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// What stands behind the nonce; none = the last text of the request, at most 16 KiB of it.
    pub say: Option<String>,
    /// Whether the nonce stands at the front of the text.
    pub with_nonce: bool,
    /// The pieces of a streamed answer, instead of cutting the text.
    pub pieces: Option<Vec<String>>,
    /// Time before the first byte.
    pub first_after: Duration,
    /// Time before each piece of a stream but the first.
    pub each_after: Duration,
    /// HTTP status; other than 2xx, the text is the message of an error.
    pub status: u16,
    /// Header lines of the answer, after those it has anyway.
    pub headers: Vec<(String, String)>,
    /// `usage.prompt_tokens_details.cached_tokens`.
    pub cached_tokens: u64,
    /// A whole JSON body instead of everything above but status, times and headers; never streamed.
    pub body: Option<Value>,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            say: None,
            with_nonce: true,
            pieces: None,
            first_after: Duration::ZERO,
            each_after: Duration::ZERO,
            status: 200,
            headers: Vec::new(),
            cached_tokens: 0,
            body: None,
        }
    }
}

impl Script {
    /// The default, saying this behind the nonce.
    pub fn say(text: impl Into<String>) -> Script {
        Script {
            say: Some(text.into()),
            ..Script::default()
        }
    }

    /// An error of that status with this message.
    pub fn fail(status: u16, message: impl Into<String>) -> Script {
        Script {
            status,
            ..Script::say(message)
        }
    }
}
