//! The document of the interface, and calls that are held against it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    desk::{ControlPlane, Desk},
    schema::{misfits, undocumented},
};

pub const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "options"];

pub fn document() -> Value {
    serde_json::from_str(&gateway::openapi()).unwrap()
}

/// Method in lower case, path, operation.
pub fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (_, _)| METHODS.map(move |method| (method, path, item));
    let all = paths
        .iter()
        .map(|(path, item)| (path.as_str(), item))
        .flat_map(of);
    all.filter_map(|(method, path, item): (_, _, &Value)| Some((method, path, item.get(method)?)))
        .collect()
}

/// Calls operations and holds what goes and comes against the document.
pub struct Checked<'a> {
    pub document: &'a Value,
    /// Those that were called.
    pub operations: BTreeSet<(String, String)>,
}

impl Checked<'_> {
    /// Calls an operation, and holds what was sent and what came against its schemas.
    pub async fn call(
        &mut self,
        desk: &Desk,
        method: &str,
        path: &str,
        actual: &str,
        body: Option<Value>,
    ) -> Value {
        let operation = &self.document["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not documented");
        let mut found = Vec::new();
        if let Some(body) = &body {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert!(!schema.is_null(), "{method} {path} takes no body");
            misfits(self.document, schema, body, "body", &mut found);
        }
        let answer = desk.call(method, actual, body.as_ref()).await;
        let described = &operation["responses"][answer.status.to_string()]["content"];
        assert!(
            !described.is_null(),
            "{method} {path} answered {}: {}",
            answer.status,
            answer.text()
        );
        let kind = answer
            .header("content-type")
            .unwrap()
            .split(';')
            .next()
            .unwrap();
        let schema = &described[kind]["schema"];
        assert!(!schema.is_null(), "{method} {path} answered with {kind}");
        let value = if kind == "application/json" {
            answer.json()
        } else {
            answer.text().into()
        };
        misfits(self.document, schema, &value, "answer", &mut found);
        undocumented(self.document, schema, &value, "answer", &mut found);
        assert_eq!(found, Vec::<String>::new(), "{method} {path}: {value}");
        self.operations
            .insert((method.to_lowercase(), path.to_owned()));
        value
    }

    /// What stewards and the operator do alike.
    pub async fn administration(&mut self, desk: &Desk, prefix: &str, actual: &str) {
        let key = json!({
            "name": "one", "scopes": ["infer"], "models": ["m"], "expires_in_seconds": 600,
            "limits": {"requests_per_minute": 5, "money_per_day": "1.5"},
        });
        let limits = json!({"tenant": {"money_total": "10"}, "keys": {}, "models": {"m": {"concurrent_calls": 3}}});
        let call =
            async |this: &mut Self, method: &str, path: &str, id: &str, query: &str, body| {
                let at = format!("{actual}{}{query}", path.replace("{id}", id));
                this.call(desk, method, &format!("{prefix}{path}"), &at, body)
                    .await
            };
        let minted = call(self, "POST", "/keys", "", "", Some(key)).await;
        let id = minted["id"].as_str().unwrap();
        let change = json!({"name": "two", "models": null, "expires_at": null, "limits": null});
        call(self, "PATCH", "/keys/{id}", id, "", Some(change)).await;
        call(self, "GET", "/keys/{id}", id, "", None).await;
        call(self, "DELETE", "/keys/{id}", id, "", None).await;
        assert!(
            !call(self, "GET", "/keys", "", "?limit=1", None).await["data"]
                .as_array()
                .unwrap()
                .is_empty()
        );
        call(self, "PUT", "/limits", "", "", Some(limits)).await;
        call(self, "GET", "/limits", "", "", None).await;
        let usage = call(self, "GET", "/usage", "", "?by=each", None).await;
        assert!(!usage["data"].as_array().unwrap().is_empty());
        call(self, "GET", "/journal/checkpoint", "", "", None).await;
        call(self, "GET", "/journal/records", "", "?from=0&limit=5", None).await;
        call(self, "GET", "/journal/proof", "", "?seq=0", None).await;
        call(self, "GET", "/journal/export", "", "", None).await;
    }

    /// Pinned by the operator, seen and removed by both.
    pub async fn issuers(&mut self, control: &ControlPlane, steward: &Desk, below: &str) {
        let id = format!("iss_{}", "0".repeat(32));
        let pin = json!({
            "issuer": "https://issuer.example", "audience": "a", "algorithms": ["EdDSA"],
            "tenant_claim": {"name": "org", "value": "a"}, "jwks_uri": "https://issuer.example/keys",
        });
        let operator = &control.operator;
        let both = "/admin/v1/tenants/{tenant}/issuers";
        for (prefix, desk, actual) in [
            (both, operator, format!("{below}/issuers")),
            ("/tenant/v1/issuers", steward, "/tenant/v1/issuers".into()),
        ] {
            let one = format!("{prefix}/{{id}}");
            let at = format!("{actual}/{id}");
            let again = format!("{below}/issuers/{id}");
            self.call(
                operator,
                "PUT",
                &format!("{both}/{{id}}"),
                &again,
                Some(pin.clone()),
            )
            .await;
            self.call(desk, "GET", &one, &at, None).await;
            assert_eq!(
                self.call(desk, "GET", prefix, &actual, None).await["data"]
                    .as_array()
                    .unwrap()
                    .len(),
                1
            );
            self.call(desk, "DELETE", &one, &at, None).await;
        }
    }
}
