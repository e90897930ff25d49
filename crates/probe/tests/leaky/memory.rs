//! Instructions that are remembered for a session.

use std::collections::HashMap;
use std::sync::Mutex;

use probe::http1::Head;
use serde_json::Value;

use super::Switch;
use super::identity::Tenant;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// A session is known by the name that the client gives it, whoever the client is.
    pub by_name_alone: bool,
}

pub const SWITCHES: &[Switch] = &[Switch {
    name: "sessions_without_tenant",
    row: 37,
    turn: |switches| switches.memory.by_name_alone = true,
}];

#[derive(Default)]
pub struct Memory(Mutex<HashMap<String, Value>>);

impl Memory {
    /// The request with the instructions of its session in front, where it has none itself.
    pub fn recall(
        &self,
        switches: &Switches,
        tenant: Tenant,
        head: &Head,
        mut asked: Value,
    ) -> Value {
        let Some(session) = head.get("x-session-id") else {
            return asked;
        };
        let whose = if switches.by_name_alone {
            ""
        } else {
            tenant.name
        };
        let key = format!("{whose}\n{session}");
        let mut kept = self.0.lock().unwrap();
        if let Some(messages) = asked["messages"].as_array_mut() {
            match messages.iter().find(|message| message["role"] == "system") {
                Some(instructions) => {
                    kept.insert(key, instructions.clone());
                }
                None => messages
                    .splice(0..0, kept.get(&key).cloned())
                    .for_each(drop),
            }
        }
        asked
    }
}
