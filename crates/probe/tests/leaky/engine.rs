//! A simulated engine for live mode: a prefix cache of two levels, and answers that depend on the prompt and on `stop`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use probe::echo::{Echo, Recorded, Script};
use serde_json::Value;

const BLOCK: usize = 64;
const EACH_BLOCK: Duration = Duration::from_micros(300);
const EACH_TOKEN: Duration = Duration::from_micros(400);
/// Blocks of the first level: what some dozen long prompts need, and less than a flood.
const FIRST_LEVEL: usize = 3000;

pub struct Engine {
    echo: Echo,
}

impl Engine {
    /// With `salt_below`, the salt is part of the key in the second level, too.
    pub async fn start(salt_below: bool) -> Engine {
        let echo = Echo::start("127.0.0.1:0".parse().unwrap(), 7)
            .await
            .unwrap();
        let cache = Mutex::new(Cache::default());
        // the empty text stands in every request
        echo.when("", move |request| {
            let cached = cache.lock().unwrap().prefill(request, salt_below);
            answer(request, cached)
        });
        Engine { echo }
    }

    pub fn address(&self) -> SocketAddr {
        self.echo.address()
    }
}

#[derive(Default)]
struct Cache {
    /// Each block of the first level with its key in the second.
    first: HashMap<u64, u64>,
    order: VecDeque<u64>,
    second: HashSet<u64>,
}

impl Cache {
    /// Blocks that were found, and of how many.
    fn prefill(&mut self, request: &Recorded, salt_below: bool) -> (usize, usize) {
        let body = request.json().unwrap_or_default();
        let prompt = request.prompt();
        let chain = |salt: &Value| -> Vec<u64> {
            let mut hasher = DefaultHasher::new();
            salt.to_string().hash(&mut hasher);
            let blocks = prompt.as_bytes().chunks_exact(BLOCK);
            blocks
                .map(|block| {
                    block.hash(&mut hasher);
                    hasher.finish()
                })
                .collect()
        };
        let first = chain(&body["cache_salt"]);
        let second = if salt_below {
            first.clone()
        } else {
            chain(&Value::Null)
        };
        let found = first
            .iter()
            .zip(&second)
            .take_while(|(first, second)| {
                self.first.contains_key(first) || self.second.contains(second)
            })
            .count();
        for (first, second) in first.iter().zip(second) {
            if self.first.insert(*first, second).is_none() {
                self.order.push_back(*first);
            }
        }
        while self.order.len() > FIRST_LEVEL {
            let oldest = self.order.pop_front().unwrap();
            self.second.extend(self.first.remove(&oldest));
        }
        (found, first.len())
    }
}

fn answer(request: &Recorded, (found, of): (usize, usize)) -> Script {
    let body = request.json().unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    request.prompt().hash(&mut hasher);
    let mut said = format!(
        "Here is a plain answer. It has the number {}.",
        hasher.finish()
    );
    let stop: Vec<&str> = match &body["stop"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one],
        _ => Vec::new(),
    };
    for stop in stop {
        said.truncate(said.find(stop).unwrap_or(said.len()));
    }
    let prefill = EACH_BLOCK * u32::try_from(of - found).unwrap();
    let tokens = body["max_tokens"].as_u64().unwrap_or(0);
    let decode = EACH_TOKEN * u32::try_from(tokens).unwrap();
    let whole = body["stream"] != true;
    Script {
        first_after: prefill + if whole { decode } else { Duration::ZERO },
        cached_tokens: (found * BLOCK / 4) as u64,
        with_nonce: false,
        ..Script::say(said)
    }
}
