//! A simulated engine with a prefix cache, so that a gateway which lets tenants share one is seen without an engine.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::record::Recorded;
use super::script::Script;

/// Fields of a body that part an engine's prefix cache: of vLLM, of OpenAI, of SGLang.
pub const SALTS: [&str; 3] = ["cache_salt", "prompt_cache_key", "extra_key"];

const BLOCK: usize = 64;
/// Tokens of a block, at four bytes each.
const TOKENS: usize = BLOCK / 4;

/// Blocks of prompts that were seen, as vLLM and SGLang keep them: a block is found again only behind the same blocks and
/// under the same salt. Whose credential a request bears does not matter to it, as it does not to them.
#[derive(Debug)]
pub struct PrefixCache {
    most: usize,
    blocks: Mutex<(HashSet<u64>, VecDeque<u64>)>,
}

/// What became of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefilled {
    /// Leading blocks of 64 bytes that were there.
    pub found: usize,
    /// Whole blocks of the prompt.
    pub of: usize,
}

impl PrefixCache {
    /// Keeps at most so many blocks; the oldest go first.
    pub fn new(most: usize) -> PrefixCache {
        PrefixCache {
            most,
            blocks: Mutex::default(),
        }
    }

    /// Looks for the prompt, and keeps all of it.
    pub fn prefill(&self, salt: &str, prompt: &str) -> Prefilled {
        let chain = chain(salt, prompt);
        let mut guard = self.blocks.lock();
        let (there, order) = &mut *guard;
        let found = chain.iter().take_while(|key| there.contains(key)).count();
        for key in &chain {
            if there.insert(*key) {
                order.push_back(*key);
            }
        }
        while there.len() > self.most
            && let Some(oldest) = order.pop_front()
        {
            there.remove(&oldest);
        }
        Prefilled {
            found,
            of: chain.len(),
        }
    }

    /// A short answer after the time of the blocks that were not there, each so long, with the tokens of those that were.
    pub fn answer(&self, request: &Recorded, each: Duration) -> Script {
        let prefilled = self.prefill(&salts(request), &request.prompt());
        Script {
            first_after: each * u32::try_from(prefilled.missing()).unwrap_or(u32::MAX),
            cached_tokens: prefilled.tokens(),
            ..Script::say("ok")
        }
    }
}

impl Prefilled {
    /// Blocks that had to be computed.
    pub fn missing(self) -> usize {
        self.of - self.found
    }

    /// Tokens that were found.
    pub fn tokens(self) -> u64 {
        (self.found * TOKENS) as u64
    }
}

/// Every salt field of a request with its value, as one text; empty where there is none.
pub fn salts(request: &Recorded) -> String {
    let body = request.json().unwrap_or_default();
    let salts = SALTS
        .iter()
        .filter_map(|name| Some((name, body.get(name).filter(|value| **value != Value::Null)?)));
    salts
        .map(|(name, value)| format!("{name}={value};"))
        .collect()
}

/// A key for each whole block, which depends on the salt and all that stands before. FNV-1a.
fn chain(salt: &str, prompt: &str) -> Vec<u64> {
    let over = |hash: u64, bytes: &[u8]| {
        bytes.iter().fold(hash, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    // no byte of a text is 0xff: where the salt ends cannot be read in two ways
    let mut hash = over(over(0xcbf2_9ce4_8422_2325, salt.as_bytes()), &[0xff]);
    let mut keys = Vec::new();
    for block in prompt.as_bytes().chunks_exact(BLOCK) {
        hash = over(hash, block);
        keys.push(hash);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_behind_the_same_blocks_and_under_the_same_salt_only() {
        let cache = PrefixCache::new(1000);
        let text = "0123456789abcdef".repeat(16);
        let check = |salt: &str, prompt: &str, found: usize| {
            let of = prompt.len() / BLOCK;
            assert_eq!(cache.prefill(salt, prompt), Prefilled { found, of });
        };
        check("a", &text, 0);
        check("a", &text, 4);
        check("a", &format!("{text}more"), 4);
        check("a", &text[..130], 2);
        check("a", &format!("x{text}"), 0);
        check("b", &text, 0);
        check("", &text, 0);
        check("a0123", &text[4..], 0);
    }

    #[test]
    fn the_oldest_blocks_go_first() {
        let cache = PrefixCache::new(4);
        let (first, second) = ("a".repeat(3 * BLOCK), "b".repeat(3 * BLOCK));
        cache.prefill("", &first);
        cache.prefill("", &second);
        let gone = cache.prefill("", &first);
        assert_eq!((gone.found, gone.missing(), gone.tokens()), (0, 3, 0));
    }
}
