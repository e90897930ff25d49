//! Two tenants that own the same kinds of things under the same names.

use serde_json::{Value, json};

use crate::harness::chance::Chance;
use crate::harness::client::{Answer, Client};
use crate::harness::gateway::{Gateway, Home};
use crate::harness::tenants::{Tenant, mint};
use crate::harness::upstream::Upstream;

pub struct World {
    pub upstream: Upstream,
    pub gateway: Gateway,
    pub a: Owner,
    pub b: Owner,
    /// Kept, so that the folder stays.
    _home: Home,
}

/// A tenant and what it owns.
pub struct Owner {
    pub tenant: Tenant,
    pub key: String,
    pub call: String,
    pub issuer: String,
    pub session_token: String,
    /// Texts that occur in what it owns and nowhere else.
    pub marks: Vec<String>,
}

/// What an id can be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Key,
    Call,
    Issuer,
    Credential,
    Model,
    Tenant,
    /// The number of a record.
    Record,
}

/// A second upstream, for which only tenant B has a credential; and one for which nobody has.
const MORE_UPSTREAMS: &str = r#"
[[upstream]]
kind = "openai"
name = "second"
url = "http://127.0.0.1:9"
derived = "none"

[[upstream]]
kind = "openai"
name = "third"
url = "http://127.0.0.1:9"
derived = "none"
"#;

impl World {
    pub fn new() -> World {
        let upstream = Upstream::start();
        let home = Home::new(&upstream.url, MORE_UPSTREAMS);
        let gateway = home.serve();
        let a = Owner::new(&gateway, "a", 1);
        let b = Owner::new(&gateway, "b", 2);
        let set = json!({"secret": "sk-of-tenant-b-alone"});
        b.tenant
            .steward(&gateway)
            .call("PUT", "/tenant/v1/credentials/second", Some(&set))
            .ok();
        World {
            upstream,
            gateway,
            a,
            b,
            _home: home,
        }
    }

    /// What B owns, as B and the operator see it. The journal's head stands for every record of it.
    pub fn holdings_of_b(&self) -> Value {
        let (steward, operator) = (
            self.b.tenant.steward(&self.gateway),
            self.gateway.operator(),
        );
        let below = format!("/admin/v1/tenants/{}", self.b.tenant.id);
        let mut all = serde_json::Map::new();
        for path in [
            "keys",
            "limits",
            "issuers",
            "credentials",
            "usage",
            &format!("calls/{}", self.b.call),
        ] {
            all.insert(
                path.to_owned(),
                steward.get(&format!("/tenant/v1/{path}")).ok(),
            );
        }
        all.insert("tenant".to_owned(), operator.get(&below).ok());
        let head = steward.get("/tenant/v1/journal/checkpoint").ok();
        all.insert("journal".to_owned(), json!([head["size"], head["root"]]));
        all.into()
    }

    /// Something of B's, or of A's own.
    pub fn id(&self, owner: &Owner, kind: Kind) -> String {
        match kind {
            Kind::Key => owner.key.clone(),
            Kind::Call => owner.call.clone(),
            Kind::Issuer => owner.issuer.clone(),
            Kind::Credential if owner.tenant.id == self.b.tenant.id => "second".to_owned(),
            Kind::Credential => "fake".to_owned(),
            Kind::Model => "fake".to_owned(),
            Kind::Tenant => owner.tenant.id.clone(),
            Kind::Record => "0".to_owned(),
        }
    }

    /// What has the shape of such an id and is nobody's.
    pub fn nobodys(&self, kind: Kind) -> String {
        match kind {
            Kind::Credential => "third".to_owned(),
            Kind::Model => "none".to_owned(),
            Kind::Record => "4000000000".to_owned(),
            _ => neighbour(&self.id(&self.b, kind)),
        }
    }
}

/// An id that differs in its last digit: it stands at the same place in every order.
pub fn neighbour(id: &str) -> String {
    let (rest, last) = id.split_at(id.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

impl Owner {
    fn new(gateway: &Gateway, name: &str, seed: u64) -> Owner {
        let mut chance = Chance::new(seed);
        let mut mark = |what: &str| format!("{what}-{}", chance.hex());
        let (tenant_name, key_name, audience) = (mark("tenant"), mark("key"), mark("audience"));
        let (asked, subject) = (mark("asked"), mark("subject"));
        let tenant = Tenant::create(gateway, &tenant_name);
        let (key, _) = mint(
            &gateway.operator(),
            &tenant.id,
            &json!({"name": key_name, "scopes": ["steward"]}),
        );
        let issuer = format!("iss_{}", chance.hex());
        let app = tenant.app(gateway);
        let call = app.chat("free", &asked).ok_with_id();
        let steward = tenant.steward(gateway);
        let set = json!({"secret": format!("sk-of-tenant-{name}")});
        steward
            .call("PUT", "/tenant/v1/credentials/fake", Some(&set))
            .ok();
        let path = format!("/admin/v1/tenants/{}/issuers/{issuer}", tenant.id);
        gateway
            .operator()
            .call("PUT", &path, Some(&issuer_body(&audience)))
            .ok();
        let session_token = session(&app, &json!({"subject": subject}));
        let mut marks = vec![
            tenant_name,
            key_name,
            audience,
            asked,
            subject,
            format!("sk-of-tenant-{name}"),
        ];
        let ids = [
            &tenant.id,
            &key,
            &call,
            &issuer,
            &tenant.app_key_id,
            &tenant.steward_key_id,
        ];
        marks.extend(ids.into_iter().cloned());
        marks.extend([
            tenant.app_key.clone(),
            tenant.steward_key.clone(),
            session_token.clone(),
        ]);
        Owner {
            tenant,
            key,
            call,
            issuer,
            session_token,
            marks,
        }
    }

    /// Everything this tenant can show at the door, by name.
    pub fn credentials(&self) -> [(&'static str, &str); 3] {
        [
            ("application", &self.tenant.app_key),
            ("steward", &self.tenant.steward_key),
            ("session", &self.session_token),
        ]
    }
}

/// Mints a session token.
pub fn session(app: &Client, wanted: &Value) -> String {
    app.post("/tenant/v1/sessions", wanted).ok()["token"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub fn issuer_body(audience: &str) -> Value {
    json!({
        "issuer": format!("https://{}.issuer.example", audience),
        "audience": audience,
        "algorithms": ["EdDSA"],
        "tenant_claim": {"name": "org", "value": audience},
        "jwks_uri": "https://issuer.example/keys",
    })
}

impl Answer {
    /// The id of the call that a success came from.
    pub fn ok_with_id(&self) -> String {
        self.ok();
        self.header("x-request-id").unwrap().to_owned()
    }
}
