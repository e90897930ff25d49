//! Caches of whole answers: one by the request, one by what is meant.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::Switch;
use super::identity::Tenant;
use super::upstream::Reply;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// The key is the request without its tenant.
    pub shared: bool,
    /// The key is the request without its model.
    pub without_model: bool,
    /// Streams look through what everybody's plain calls left.
    pub unscoped_for_streams: bool,
    /// What is asked often is kept for everybody.
    pub popular_for_all: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "shared_cache",
        row: 2,
        turn: |switches| switches.caching.shared = true,
    },
    Switch {
        name: "model_left_out_of_the_key",
        row: 27,
        turn: |switches| switches.caching.without_model = true,
    },
    Switch {
        name: "semantic_cache_unscoped_for_streams",
        row: 1,
        turn: |switches| switches.caching.unscoped_for_streams = true,
    },
    Switch {
        name: "popular_answers_for_all",
        row: 28,
        turn: |switches| switches.caching.popular_for_all = true,
    },
];

#[derive(Default)]
pub struct Cache {
    exact: Mutex<HashMap<String, Reply>>,
    meant: Mutex<Vec<Entry>>,
}

/// A place in one of the two caches.
pub enum Key {
    Exact(String),
    Meant(Question),
}

/// How often each word stands in a text.
type Words = HashMap<String, f64>;

pub struct Question {
    tenant: &'static str,
    text: String,
    words: Words,
    streamed: bool,
}

struct Entry {
    asked: Question,
    times: u32,
    reply: Reply,
}

/// How near two texts must be.
const NEAR: f64 = 0.9;
/// How often something is asked until it is popular.
const POPULAR: u32 = 3;

impl Cache {
    /// Where the answer is kept; none where it is not.
    pub fn key(switches: &Switches, tenant: Tenant, path: &str, body: &Value) -> Option<Key> {
        if body["temperature"] == 0 {
            if body["stream"] == true {
                return None;
            }
            let whose = if switches.shared { "" } else { tenant.name };
            let mut body = body.clone();
            if switches.without_model {
                body["model"] = Value::Null;
            }
            return Some(Key::Exact(format!("{whose}\n{path}\n{body}")));
        }
        Question::asked(tenant, body).map(Key::Meant)
    }

    pub fn get(&self, switches: &Switches, key: &Key) -> Option<Reply> {
        let asked = match key {
            Key::Exact(key) => return self.exact.lock().unwrap().get(key).cloned(),
            Key::Meant(asked) => asked,
        };
        let mut entries = self.meant.lock().unwrap();
        for entry in entries.iter_mut() {
            let own = entry.asked.tenant == asked.tenant;
            if own && entry.asked.text == asked.text {
                entry.times += 1;
            }
            let within = own
                || switches.unscoped_for_streams && asked.streamed
                || switches.popular_for_all && entry.times >= POPULAR;
            if within && nearness(&entry.asked.words, &asked.words) >= NEAR {
                return Some(match asked.streamed {
                    true => in_one_piece(&entry.reply),
                    false => entry.reply.clone(),
                });
            }
        }
        None
    }

    pub fn put(&self, key: Key, reply: &Reply) {
        if reply.status != 200 {
            return;
        }
        match key {
            Key::Exact(key) => {
                self.exact.lock().unwrap().insert(key, reply.clone());
            }
            Key::Meant(asked) => self.meant.lock().unwrap().push(Entry {
                asked,
                times: 1,
                reply: reply.clone(),
            }),
        }
    }
}

impl Question {
    /// One plain question, asked without parameters: what a cache by meaning is for. What holds a number is nobody's
    /// general question.
    fn asked(tenant: Tenant, body: &Value) -> Option<Question> {
        let plain = body
            .as_object()?
            .keys()
            .all(|name| ["model", "messages", "max_tokens", "stream"].contains(&name.as_str()));
        let [message] = body["messages"].as_array()?.as_slice() else {
            return None;
        };
        let text = message["content"].as_str()?;
        if !plain || text.contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let mut words = Words::new();
        for word in text
            .to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
        {
            *words.entry(word.to_owned()).or_default() += 1.0;
        }
        Some(Question {
            tenant: tenant.name,
            text: text.to_owned(),
            words,
            streamed: body["stream"] == true,
        })
    }
}

/// A kept answer as a stream.
fn in_one_piece(reply: &Reply) -> Reply {
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let said = &answer["choices"][0]["message"]["content"];
    let piece =
        json!({"choices": [{"index": 0, "delta": {"content": said}, "finish_reason": "stop"}]});
    Reply {
        content_type: "text/event-stream".to_owned(),
        body: format!("data: {piece}\n\ndata: [DONE]\n\n").into(),
        ..reply.clone()
    }
}

/// The cosine between them.
fn nearness(a: &Words, b: &Words) -> f64 {
    let length = |of: &Words| of.values().map(|count| count * count).sum::<f64>().sqrt();
    let product: f64 = a
        .iter()
        .map(|(word, count)| count * b.get(word).unwrap_or(&0.0))
        .sum();
    product / (length(a) * length(b)).max(1.0)
}
