//! Things that tenants keep here: conversations, and tokens for their end users.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::Switch;
use super::identity::Tenant;
use super::tokens::{self, Seal};
use super::upstream::Reply;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// A conversation is found by its id alone.
    pub unowned: bool,
    /// Somebody else's id is forbidden, and not unknown.
    pub forbidden: bool,
    /// Somebody else's conversation is fetched before its owner is looked at.
    pub late_check: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "ids_without_owner",
        row: 3,
        turn: |switches| switches.objects.unowned = true,
    },
    Switch {
        name: "foreign_ids_forbidden",
        row: 3,
        turn: |switches| switches.objects.forbidden = true,
    },
    Switch {
        name: "foreign_ids_take_longer",
        row: 3,
        turn: |switches| switches.objects.late_check = true,
    },
];

const ROUTE: &str = "/v1/conversations";
const USERS: &str = "/v1/realtime/client_secrets";

#[derive(Default)]
pub struct Objects(Mutex<HashMap<String, (&'static str, Value)>>);

impl Objects {
    /// The answer, where this is about a thing kept here.
    pub async fn answer(
        &self,
        switches: (&Switches, &tokens::Switches),
        seal: &Seal,
        tenant: Tenant,
        (method, path): (&str, &str),
        asked: &Value,
    ) -> Option<Reply> {
        let (switches, tokens) = switches;
        let rest = path.strip_prefix(ROUTE);
        if rest.is_none() && path != USERS {
            return None;
        }
        if tenant.is_user {
            return Some(Reply::error(403, "not for end users"));
        }
        if path == USERS {
            let token = seal.make_user(tokens, tenant);
            return Some(if method == "POST" {
                Reply::json(&json!({"value": token, "expires_at": 4_102_444_800_u64}))
            } else {
                Reply::error(405, "not with this method")
            });
        }
        let whose = |id: &str| self.0.lock().unwrap().get(id).map(|(owner, _)| *owner);
        let id = rest.unwrap_or_default().trim_start_matches('/');
        if id.is_empty() {
            return Some(match method {
                "POST" => {
                    let id = seal.make(tokens, "conv_", tenant);
                    let made =
                        json!({"id": id, "object": "conversation", "metadata": asked["metadata"]});
                    self.0
                        .lock()
                        .unwrap()
                        .insert(id, (tenant.name, made.clone()));
                    Reply::json(&made)
                }
                "GET" => {
                    let all = self.0.lock().unwrap();
                    let own: Vec<&Value> = all
                        .values()
                        .filter(|(owner, _)| *owner == tenant.name)
                        .map(|(_, kept)| kept)
                        .collect();
                    Reply::json(&json!({"object": "list", "data": own}))
                }
                _ => Reply::error(405, "not with this method"),
            });
        }
        let owner = whose(id);
        let foreign = owner.is_some_and(|owner| owner != tenant.name);
        if foreign && switches.late_check {
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        if foreign && switches.forbidden {
            return Some(Reply::error(403, "this is not yours"));
        }
        if owner.is_none() || (foreign && !switches.unowned) {
            return Some(Reply::error(404, "no such conversation"));
        }
        let mut all = self.0.lock().unwrap();
        Some(match method {
            "GET" => Reply::json(&all[id].1),
            "POST" => {
                let (_, kept) = all.get_mut(id).unwrap();
                kept["metadata"] = asked["metadata"].clone();
                Reply::json(kept)
            }
            "DELETE" => {
                all.remove(id);
                Reply::json(&json!({"id": id, "object": "conversation.deleted", "deleted": true}))
            }
            _ => Reply::error(405, "not with this method"),
        })
    }
}
