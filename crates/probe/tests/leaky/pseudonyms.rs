//! E-mail addresses leave as placeholders, and come back in the answer.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde_json::Value;

use super::Switch;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// One map for all calls, with numbers that begin anew in each.
    pub shared: bool,
    /// Numbers begin anew in each message.
    pub each_message: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "shared_placeholders",
        row: 26,
        turn: |switches| switches.pseudonyms.shared = true,
    },
    Switch {
        name: "placeholders_of_each_message",
        row: 26,
        turn: |switches| switches.pseudonyms.each_message = true,
    },
];

/// Placeholders and what they stand for.
pub type Map = HashMap<String, String>;

#[derive(Default)]
pub struct Pseudonyms {
    next: AtomicU64,
    of_everyone: Mutex<Map>,
}

impl Pseudonyms {
    /// Puts placeholders into every message; what they stand for in this call.
    pub fn mask(&self, switches: &Switches, sent: &mut Value) -> Map {
        let mut map = Map::new();
        let mut number = 0;
        for message in sent["messages"].as_array_mut().into_iter().flatten() {
            if switches.each_message {
                number = 0;
            }
            let Some(text) = message["content"].as_str() else {
                continue;
            };
            let words: Vec<String> = text
                .split(' ')
                .map(|word| {
                    let is_address = word
                        .split_once('@')
                        .is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
                    if !is_address {
                        return word.to_owned();
                    }
                    number += 1;
                    let placeholder = if switches.shared || switches.each_message {
                        format!("<EMAIL_{number}>")
                    } else {
                        // nobody counts to it: bits of a number are spread by a multiplication
                        let next = self.next.fetch_add(1, Ordering::Relaxed) + 1;
                        format!("<EMAIL_{:016x}>", next.wrapping_mul(0x9e37_79b9_7f4a_7c15))
                    };
                    map.insert(placeholder.clone(), word.to_owned());
                    placeholder
                })
                .collect();
            message["content"] = words.join(" ").into();
        }
        if switches.shared {
            self.of_everyone.lock().unwrap().extend(map.clone());
        }
        map
    }

    /// Puts back what the placeholders stand for.
    pub fn restore(&self, switches: &Switches, map: &Map, text: &Bytes) -> Bytes {
        let map = if switches.shared {
            self.of_everyone.lock().unwrap().clone()
        } else {
            map.clone()
        };
        if map.is_empty() {
            return text.clone();
        }
        let mut restored = String::from_utf8_lossy(text).into_owned();
        for (placeholder, value) in &map {
            restored = restored.replace(placeholder, value);
        }
        restored.into()
    }
}
