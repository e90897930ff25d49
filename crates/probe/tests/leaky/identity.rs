//! Who calls.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use probe::http1::Head;
use serde_json::Value;

use super::Switch;
use super::tokens::{self, Seal};

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// Whether a key is needed is judged by a URL that begins with what the client says the host is.
    pub judges_host: bool,
    /// Keys that were good once are known by their first 20 characters.
    pub short_cache: bool,
    /// A token that says that it has no signature needs none.
    pub unsigned_tokens: bool,
    /// The key is written into a query.
    pub key_in_query: bool,
    /// The query is run, and takes its time, before the key is known to be none.
    pub slow_query: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "auth_judges_host",
        row: 5,
        turn: |switches| switches.identity.judges_host = true,
    },
    Switch {
        name: "short_key_cache",
        row: 6,
        turn: |switches| switches.identity.short_cache = true,
    },
    Switch {
        name: "unsigned_tokens",
        row: 7,
        turn: |switches| switches.identity.unsigned_tokens = true,
    },
    Switch {
        name: "key_in_query",
        row: 8,
        turn: |switches| switches.identity.key_in_query = true,
    },
    Switch {
        name: "slow_query",
        row: 8,
        turn: |switches| switches.identity.slow_query = true,
    },
];

pub const KEY_A: &str = "sk-leaky-tenant-a-7Qm2xV9dLr4KpZ";
/// A signed token: what may be forged can only be tested with one that is accepted.
pub const KEY_B: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJsZWFreSIsInN1YiI6InRlbmFudC1iIn0.yrQoqXSfDsq9M7uKhN7p_O61awhxymfVxHrwio6b2-8";

/// A tenant of the fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenant {
    pub name: &'static str,
    pub upstream_key: &'static str,
    /// An end user with a token, who may only call models.
    pub is_user: bool,
    key: &'static str,
}

impl Tenant {
    /// One more, with its key.
    pub fn made(name: &'static str, key: &'static str) -> Tenant {
        Tenant {
            name,
            upstream_key: name,
            is_user: false,
            key,
        }
    }

    pub fn key(self) -> &'static str {
        self.key
    }

    pub fn has_key(self, key: &str) -> bool {
        self.key == key
    }

    /// An end user of this tenant.
    pub fn user(self) -> Tenant {
        Tenant {
            is_user: true,
            ..self
        }
    }
}

pub const TENANTS: [Tenant; 2] = [
    Tenant {
        name: "tenant-a",
        upstream_key: "sk-upstream-of-tenant-a",
        is_user: false,
        key: KEY_A,
    },
    Tenant {
        name: "tenant-b",
        upstream_key: "sk-upstream-of-tenant-b",
        is_user: false,
        key: KEY_B,
    },
];
/// Who comes without a key where none is needed.
const ANYBODY: Tenant = Tenant {
    name: "anybody",
    upstream_key: "sk-upstream-of-nobody",
    is_user: true,
    key: "",
};
/// Pages that need no key.
const OPEN: [&str; 2] = ["/", "/health"];

/// The door, and what it remembers.
#[derive(Default)]
pub struct Door {
    known: Mutex<HashMap<String, Tenant>>,
}

impl Door {
    /// The tenant whose whole key this is, or whose end user's token.
    pub async fn admit(
        &self,
        switches: &Switches,
        tokens: &tokens::Switches,
        seal: &Seal,
        head: &Head,
    ) -> Option<Tenant> {
        if switches.judges_host && is_open(head) {
            return Some(ANYBODY);
        }
        let mut lines = head.all("authorization");
        let key = lines.next()?.strip_prefix("Bearer ")?;
        if lines.next().is_some() {
            return None;
        }
        if switches.key_in_query && key.contains("' OR '1'='1") {
            return TENANTS.first().copied();
        }
        if switches.slow_query && key.contains("pg_sleep(0.5)") {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        if let Some(tenant) = TENANTS.into_iter().find(|tenant| tenant.key == key) {
            // tokens begin alike whoever holds them: cut ones would be row 7's as well
            if key.starts_with("sk-") {
                let first: String = key.chars().take(20).collect();
                self.known.lock().unwrap().insert(first, tenant);
            }
            return Some(tenant);
        }
        if switches.short_cache
            && let Some(tenant) = key
                .get(..20)
                .and_then(|first| self.known.lock().unwrap().get(first).copied())
        {
            return Some(tenant);
        }
        if switches.unsigned_tokens
            && let Some(tenant) = unsigned(key)
        {
            return Some(tenant);
        }
        seal.user(tokens, key)
    }
}

/// Whether the page that host and target make together needs no key.
fn is_open(head: &Head) -> bool {
    let (_, target) = head.request().unwrap_or_default();
    let url = format!("{}{target}", head.get("host").unwrap_or_default());
    let whole = url.split(['?', '#']).next().unwrap_or_default();
    let path = whole.find('/').map_or("/", |at| &whole[at..]);
    OPEN.contains(&path)
}

/// Whom a token without a signature names.
fn unsigned(key: &str) -> Option<Tenant> {
    let mut parts = key.split('.');
    let mut read = || -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()
    };
    let (header, claims) = (read()?, read()?);
    let none = header["alg"].as_str()?.eq_ignore_ascii_case("none");
    TENANTS
        .into_iter()
        .find(|tenant| none && claims["sub"] == tenant.name)
}
