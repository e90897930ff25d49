//! Ids of calls.

use std::collections::HashMap;
use std::sync::Mutex;

use probe::http1::Head;

use super::Switch;
use super::upstream::Reply;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// A call with an id that was there before is answered with what that one got.
    pub by_id: bool,
    /// The client's id goes on to the upstream.
    pub passed_on: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "answers_by_request_id",
        row: 20,
        turn: |switches| switches.request_ids.by_id = true,
    },
    Switch {
        name: "request_id_passed_on",
        row: 20,
        turn: |switches| switches.request_ids.passed_on = true,
    },
];

#[derive(Default)]
pub struct Answers(Mutex<HashMap<String, Reply>>);

impl Answers {
    pub fn get(&self, switches: &Switches, head: &Head) -> Option<Reply> {
        let id = head.get("x-request-id").filter(|_| switches.by_id)?;
        self.0.lock().unwrap().get(id).cloned()
    }

    pub fn put(&self, head: &Head, reply: &Reply) {
        if let Some(id) = head.get("x-request-id") {
            self.0.lock().unwrap().insert(id.to_owned(), reply.clone());
        }
    }
}

/// The line for the upstream, where it gets one.
pub fn line(switches: &Switches, head: &Head) -> Option<(String, String)> {
    let id = head.get("x-request-id").filter(|_| switches.passed_on)?;
    Some(("x-request-id".to_owned(), id.to_owned()))
}
