//! Usage and budgets, and the control plane that sets them: in the shapes of Cofferdam, because the probe knows no other.

use std::collections::HashMap;
use std::sync::Mutex;

use probe::http1::Head;
use serde_json::{Value, json};

use super::Switch;
use super::identity::Tenant;
use super::upstream::Reply;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// A budget is looked at before a call and charged after it.
    pub charged_late: bool,
    /// What a client left is not booked.
    pub left_is_free: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "charged_late",
        row: 23,
        turn: |switches| switches.meter.charged_late = true,
    },
    Switch {
        name: "left_is_free",
        row: 23,
        turn: |switches| switches.meter.left_is_free = true,
    },
];

pub const OPERATOR: &str = "sk-leaky-operator-of-all-Zk39xT";

/// Billionths; every call costs the same.
const PRICE: u64 = 1_000_000;

#[derive(Default)]
pub struct Meter(Mutex<Books>);

#[derive(Default)]
struct Books {
    made: Vec<Tenant>,
    accounts: HashMap<&'static str, Account>,
}

#[derive(Default, Clone, Copy)]
struct Account {
    calls: u64,
    input: u64,
    output: u64,
    cost: u64,
    limit: Option<u64>,
}

impl Meter {
    /// A tenant that the control plane made.
    pub fn admit(&self, head: &Head) -> Option<Tenant> {
        let key = head
            .get("authorization")?
            .strip_prefix("Bearer ")?
            .to_owned();
        let books = self.0.lock().unwrap();
        books
            .made
            .iter()
            .copied()
            .find(|tenant| tenant.has_key(&key))
    }

    /// Books a call before it is made; no second one can take the same money.
    pub fn reserve(&self, switches: &Switches, tenant: Tenant) -> Result<(), Reply> {
        let mut books = self.0.lock().unwrap();
        let account = books.accounts.entry(tenant.name).or_default();
        if account
            .limit
            .is_some_and(|limit| account.cost + PRICE > limit)
        {
            return Err(Reply::error(402, "the budget is used up"));
        }
        if !switches.charged_late {
            account.cost += PRICE;
        }
        if !switches.left_is_free {
            account.calls += 1;
        }
        Ok(())
    }

    /// Books what came back of it; `whole` where the client stayed until the end.
    pub fn settle(&self, switches: &Switches, tenant: Tenant, answer: Option<&Value>, whole: bool) {
        let mut books = self.0.lock().unwrap();
        let account = books.accounts.entry(tenant.name).or_default();
        if switches.charged_late {
            account.cost += PRICE;
        }
        if switches.left_is_free && whole {
            account.calls += 1;
        }
        let tokens = |name: &str| {
            answer
                .and_then(|answer| answer["usage"][name].as_u64())
                .unwrap_or(0)
        };
        account.input += tokens("prompt_tokens");
        account.output += tokens("completion_tokens");
    }

    /// What a tenant may read of its own.
    pub fn page(&self, tenant: Tenant, path: &str) -> Option<Reply> {
        (path == "/tenant/v1/usage").then(|| self.usage(tenant.name))
    }

    fn usage(&self, tenant: &str) -> Reply {
        let books = self.0.lock().unwrap();
        let account = books.accounts.get(tenant).copied().unwrap_or_default();
        Reply::json(
            &json!({"object": "list", "data": [], "has_more": false, "currency": "USD", "total": {
                "calls": account.calls, "input_tokens": account.input, "output_tokens": account.output,
                "cached_input_tokens": 0, "cost": format!("{}.{:09}", account.cost / 1_000_000_000, account.cost % 1_000_000_000),
            }}),
        )
    }

    /// The control plane.
    pub fn administer(&self, head: &Head, body: &[u8]) -> Reply {
        if head.get("authorization") != Some(&format!("Bearer {OPERATOR}")) {
            return Reply::error(401, "unknown key");
        }
        let (method, path) = head.request().unwrap_or_default();
        let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        match (method, path.as_slice()) {
            ("GET", ["admin", "v1", "tenants"]) => {
                let made = &self.0.lock().unwrap().made;
                let data: Vec<Value> = made
                    .iter()
                    .map(|tenant| json!({"id": tenant.name, "object": "tenant"}))
                    .collect();
                Reply::json(&json!({"object": "list", "data": data}))
            }
            ("POST", ["admin", "v1", "tenants"]) => {
                let mut books = self.0.lock().unwrap();
                let number = books.made.len();
                // the fixture lives as long as its test
                let name: &'static str = format!("ten_{number}").leak();
                let key: &'static str = format!("sk-leaky-made-{number}-{}", "x".repeat(16)).leak();
                books.made.push(Tenant::made(name, key));
                Reply::json(&json!({"id": name, "object": "tenant", "name": said["name"]}))
            }
            ("POST", ["admin", "v1", "tenants", id, "keys"]) => {
                let books = self.0.lock().unwrap();
                match books.made.iter().find(|tenant| tenant.name == *id) {
                    Some(tenant) => Reply::json(&json!({"key": tenant.key()})),
                    None => Reply::error(404, "no such tenant"),
                }
            }
            ("PUT", ["admin", "v1", "tenants", id, "limits"]) => {
                let total = said["tenant"]["money_total"].as_str().unwrap_or_default();
                let nano = total.split_once('.').and_then(|(whole, part)| {
                    Some(
                        whole.parse::<u64>().ok()? * 1_000_000_000
                            + format!("{part:0<9}").parse::<u64>().ok()?,
                    )
                });
                let mut books = self.0.lock().unwrap();
                let Some(name) = books
                    .made
                    .iter()
                    .map(|tenant| tenant.name)
                    .find(|name| name == id)
                else {
                    return Reply::error(404, "no such tenant");
                };
                books.accounts.entry(name).or_default().limit = nano;
                Reply::json(&json!({"object": "limits"}))
            }
            ("GET", ["admin", "v1", "tenants", id, "usage"]) => self.usage(id),
            ("PATCH", ["admin", "v1", "tenants", id]) => {
                self.0
                    .lock()
                    .unwrap()
                    .made
                    .retain(|tenant| tenant.name != *id);
                Reply::json(&json!({"object": "tenant"}))
            }
            _ => Reply::error(404, "no such route"),
        }
    }
}
