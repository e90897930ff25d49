//! The operations of the interface, and how each is tested: the one table. What is not in it stands in `uncovered.txt`,
//! which may only shrink.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::{Kind, issuer_body};

/// Lines of `uncovered.txt`. May only be lowered.
const UNCOVERED: usize = 0;

/// How an operation could name something of another tenant.
#[derive(Debug, Clone, Copy)]
pub enum Names {
    /// In the path.
    Path(Kind),
    /// In this parameter of the query.
    Query(&'static str, Kind),
    /// In the body, where this function puts it.
    Body(Kind, fn(&str) -> Value),
    /// Nowhere: what it answers is looked through instead.
    Nothing,
}

/// Who an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// A tenant, on the data plane.
    Tenant,
    /// The operator, on the control plane.
    Operator,
    /// Everybody who reaches the control plane; it needs no credential.
    Anybody,
}

#[derive(Debug, Clone, Copy)]
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub names: Names,
    /// What it takes; the name that is tried makes it one of its own.
    pub body: Option<fn(&str) -> Value>,
    /// Where names of others get no refusal of their own: the answer is alike all the same.
    pub lenient: bool,
}

impl Operation {
    pub fn is_for(&self) -> For {
        match self.path {
            "/healthz" | "/readyz" | "/metrics" => For::Anybody,
            path if path.starts_with("/admin/") => For::Operator,
            _ => For::Tenant,
        }
    }

    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The path with this in the place of its last parameter, and this query.
    pub fn path_with(&self, tenant: &str, id: &str) -> String {
        let path = self.path.replace("{tenant}", tenant);
        let path = ["{id}", "{upstream}"]
            .iter()
            .fold(path, |path, parameter| path.replace(parameter, id));
        match self.names {
            Names::Query(parameter, _) => format!("{path}?{parameter}={id}"),
            _ => path,
        }
    }

    /// The body that names this.
    pub fn body_with(&self, id: &str) -> Option<Value> {
        match self.names {
            Names::Body(_, body) => Some(body(id)),
            _ => self.body.map(|body| body(id)),
        }
    }

    pub fn kind(&self) -> Option<Kind> {
        match self.names {
            Names::Path(kind) | Names::Query(_, kind) | Names::Body(kind, _) => Some(kind),
            Names::Nothing => None,
        }
    }
}

const fn op(method: &'static str, path: &'static str, names: Names) -> Operation {
    Operation {
        method,
        path,
        names,
        body: None,
        lenient: false,
    }
}

const fn with(body: fn(&str) -> Value, operation: Operation) -> Operation {
    Operation {
        body: Some(body),
        ..operation
    }
}

/// Filters and settings: a name that leads nowhere is not refused, and it must not matter whose it is.
const fn lenient(operation: Operation) -> Operation {
    Operation {
        lenient: true,
        ..operation
    }
}

use Kind::{Call, Credential, Issuer, Key, Model, Record, Tenant};
use Names::{Body, Nothing, Path as In, Query};

/// In an order in which nobody's things are still nobody's when they are asked for: what removes stands before what makes.
pub const OPERATIONS: &[Operation] = &[
    op("POST", "/v1/chat/completions", Body(Model, chat)),
    op("POST", "/v1/completions", Body(Model, completion)),
    op("POST", "/v1/embeddings", Body(Model, embedding)),
    op("GET", "/v1/models", Nothing),
    op("GET", "/v1/models/{id}", In(Model)),
    op("GET", "/tenant/v1/self", Nothing),
    with(
        |_| json!({"subject": "somebody"}),
        op("POST", "/tenant/v1/sessions", Nothing),
    ),
    op("GET", "/tenant/v1/calls/{id}", In(Call)),
    lenient(op("GET", "/tenant/v1/keys", Query("after", Key))),
    with(key, op("POST", "/tenant/v1/keys", Nothing)),
    op("GET", "/tenant/v1/keys/{id}", In(Key)),
    with(
        |_| json!({"name": "changed"}),
        op("PATCH", "/tenant/v1/keys/{id}", In(Key)),
    ),
    op("DELETE", "/tenant/v1/keys/{id}", In(Key)),
    op("GET", "/tenant/v1/limits", Nothing),
    lenient(op("PUT", "/tenant/v1/limits", Body(Key, limits))),
    lenient(op("GET", "/tenant/v1/usage", Query("key", Key))),
    op("GET", "/tenant/v1/issuers", Nothing),
    op("GET", "/tenant/v1/issuers/{id}", In(Issuer)),
    op("DELETE", "/tenant/v1/issuers/{id}", In(Issuer)),
    lenient(with(
        issuer,
        op("PUT", "/tenant/v1/issuers/{id}", In(Issuer)),
    )),
    op("GET", "/tenant/v1/credentials", Nothing),
    op(
        "DELETE",
        "/tenant/v1/credentials/{upstream}",
        In(Credential),
    ),
    lenient(with(
        secret,
        op("PUT", "/tenant/v1/credentials/{upstream}", In(Credential)),
    )),
    op("GET", "/tenant/v1/journal/checkpoint", Nothing),
    lenient(op(
        "GET",
        "/tenant/v1/journal/records",
        Query("from", Record),
    )),
    op("GET", "/tenant/v1/journal/proof", Query("seq", Record)),
    op("GET", "/tenant/v1/journal/export", Nothing),
    lenient(op("GET", "/admin/v1/tenants", Query("after", Tenant))),
    with(
        |_| json!({"name": "another"}),
        op("POST", "/admin/v1/tenants", Nothing),
    ),
    op("GET", "/admin/v1/tenants/{tenant}", Nothing),
    with(
        |_| json!({}),
        op("PATCH", "/admin/v1/tenants/{tenant}", Nothing),
    ),
    lenient(op(
        "GET",
        "/admin/v1/tenants/{tenant}/keys",
        Query("after", Key),
    )),
    with(key, op("POST", "/admin/v1/tenants/{tenant}/keys", Nothing)),
    op("GET", "/admin/v1/tenants/{tenant}/keys/{id}", In(Key)),
    with(
        |_| json!({"name": "changed"}),
        op("PATCH", "/admin/v1/tenants/{tenant}/keys/{id}", In(Key)),
    ),
    op("DELETE", "/admin/v1/tenants/{tenant}/keys/{id}", In(Key)),
    op("GET", "/admin/v1/tenants/{tenant}/limits", Nothing),
    lenient(op(
        "PUT",
        "/admin/v1/tenants/{tenant}/limits",
        Body(Key, limits),
    )),
    lenient(op(
        "GET",
        "/admin/v1/tenants/{tenant}/usage",
        Query("key", Key),
    )),
    op("GET", "/admin/v1/tenants/{tenant}/issuers", Nothing),
    op("GET", "/admin/v1/tenants/{tenant}/issuers/{id}", In(Issuer)),
    op(
        "DELETE",
        "/admin/v1/tenants/{tenant}/issuers/{id}",
        In(Issuer),
    ),
    lenient(with(
        issuer,
        op("PUT", "/admin/v1/tenants/{tenant}/issuers/{id}", In(Issuer)),
    )),
    op(
        "GET",
        "/admin/v1/tenants/{tenant}/journal/checkpoint",
        Nothing,
    ),
    lenient(op(
        "GET",
        "/admin/v1/tenants/{tenant}/journal/records",
        Query("from", Record),
    )),
    op(
        "GET",
        "/admin/v1/tenants/{tenant}/journal/proof",
        Query("seq", Record),
    ),
    op("GET", "/admin/v1/tenants/{tenant}/journal/export", Nothing),
    op("GET", "/admin/v1/deployment/checkpoint", Nothing),
    op("GET", "/admin/v1/models", Nothing),
    op("GET", "/healthz", Nothing),
    op("GET", "/readyz", Nothing),
    op("GET", "/metrics", Nothing),
];

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello"}]})
}

fn completion(model: &str) -> Value {
    json!({"model": model, "prompt": "hello"})
}

fn embedding(model: &str) -> Value {
    json!({"model": model, "input": "hello"})
}

fn key(_: &str) -> Value {
    json!({"name": "one more", "scopes": ["steward"]})
}

fn limits(key: &str) -> Value {
    json!({"keys": {key: {"requests_per_minute": 1}}})
}

fn issuer(id: &str) -> Value {
    issuer_body(&format!("of-the-caller-{}", id.replace('_', "-")))
}

fn secret(_: &str) -> Value {
    json!({"secret": "sk-of-the-caller"})
}

/// `METHOD /path` of everything in `spec/openapi.json`.
pub fn documented() -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/openapi.json");
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let paths = document["paths"]
        .as_object()
        .expect("spec/openapi.json has no paths");
    let methods = [
        "get", "post", "put", "patch", "delete", "head", "options", "trace",
    ];
    let operations = paths.iter().flat_map(|(path, item)| {
        let there = methods.iter().filter(|method| item.get(**method).is_some());
        there.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}

#[test]
fn every_operation_is_tested_or_stands_in_a_list_that_may_only_shrink() {
    let documented = documented();
    assert!(documented.len() > 40, "{documented:?}");
    let covered: BTreeSet<String> = OPERATIONS.iter().map(Operation::name).collect();
    assert_eq!(covered.len(), OPERATIONS.len(), "an operation stands twice");
    let uncovered: BTreeSet<String> = include_str!("uncovered.txt")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        uncovered.len(),
        UNCOVERED,
        "the list may only shrink, and the number with it: {uncovered:?}"
    );
    for operation in &uncovered {
        assert!(
            documented.contains(operation),
            "uncovered.txt names {operation}, which is no operation"
        );
        assert!(
            !covered.contains(operation),
            "uncovered.txt names {operation}, which is covered"
        );
    }
    for operation in &covered {
        assert!(
            documented.contains(operation),
            "{operation} is tested and not documented"
        );
    }
    for operation in &documented {
        let tested = covered.contains(operation) || uncovered.contains(operation);
        assert!(
            tested,
            "{operation} is not tested with another tenant's names"
        );
    }
}
