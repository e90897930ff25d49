//! What an upstream gets to see: our headers and no others, the right credential, derived fields in the callers' place.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::client::chat;
use crate::harness::gateway::{Gateway, Home};
use crate::harness::tenants::Tenant;
use crate::harness::upstream::{Seen, Upstream};

const OPERATORS: &str = "Bearer sk-upstream-of-the-operator";

struct Two {
    upstream: Upstream,
    gateway: Gateway,
    a: Tenant,
    b: Tenant,
    _home: Home,
}

impl Two {
    fn new() -> Two {
        let upstream = Upstream::start();
        let salted = format!(
            "\n[[upstream]]\nkind = \"openai\"\nname = \"salted\"\nurl = \"{}\"\nderived = \"vllm\"\n\
             [[model]]\nname = \"salted\"\nupstream = \"salted\"\nfree = true\n",
            upstream.url
        );
        let home = Home::new(&upstream.url, &salted);
        let gateway = home.serve();
        let (a, b) = (Tenant::create(&gateway, "a"), Tenant::create(&gateway, "b"));
        Two {
            upstream,
            gateway,
            a,
            b,
            _home: home,
        }
    }

    /// What the upstream saw of one call.
    fn seen(&self, tenant: &Tenant, body: &Value) -> Seen {
        let answer = tenant.app(&self.gateway).post("/v1/chat/completions", body);
        answer.ok();
        let id = answer.header("x-request-id").unwrap();
        self.upstream
            .seen()
            .into_iter()
            .find(|seen| seen.id() == id)
            .expect("the upstream did not see the call")
    }
}

#[test]
fn exactly_the_gateways_own_headers_reach_an_upstream() {
    let two = Two::new();
    let sent = [
        ("x-tenant-id", "ten_other"),
        ("X-Tenant-ID", "ten_other"),
        ("x_tenant_id", "ten_other"),
        ("tenant", "ten_other"),
        ("x-org-id", "org"),
        ("openai-organization", "org-1"),
        ("openai-project", "proj"),
        ("openai-beta", "x=1"),
        ("x-request-id", "call_00000000000000000000000000000000"),
        ("x-client-request-id", "mine"),
        ("x-correlation-id", "mine"),
        ("idempotency-key", "mine"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("tracestate", "a=b"),
        ("baggage", "a=b"),
        ("forwarded", "for=10.0.0.1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "inside"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "10.0.0.1"),
        ("via", "1.1 x"),
        ("x-api-key", "sk-mine"),
        ("api-key", "sk-mine"),
        ("proxy-authorization", "Basic bWU6bWU="),
        ("cookie", "session=1"),
        ("connection", "x-tenant-id, authorization, keep-alive"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x-tenant-id"),
        ("accept-language", "de"),
        ("accept", "text/plain"),
        ("user-agent", "mine/1"),
        ("x-dynamo-salt", "mine"),
        ("x-session-id", "mine"),
        ("cache-control", "no-store"),
        ("range", "bytes=0-1"),
        ("if-none-match", "\"a\""),
        ("origin", "https://elsewhere.example"),
        ("x-http-method-override", "DELETE"),
    ];
    for stream in [false, true] {
        let mut body = chat("fake", "hello");
        body["stream"] = json!(stream);
        let app = two.a.app(&two.gateway);
        let body = serde_json::to_vec(&body).unwrap();
        let answer = app
            .send_with(&sent, "POST", "/v1/chat/completions", Some(body))
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.header("x-request-id").unwrap();
        assert!(id.starts_with("call_") && !id.ends_with("00000000"), "{id}");
        let seen = two.upstream.seen().pop().unwrap();
        let headers: BTreeMap<&str, &str> = seen
            .headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            headers.len(),
            seen.headers.len(),
            "a header stands twice: {:?}",
            seen.headers
        );
        let length = headers.get("content-length").copied().unwrap_or_default();
        let host = two.upstream.url.trim_start_matches("http://");
        let agent = headers.get("user-agent").copied().unwrap_or_default();
        assert!(agent.starts_with("cofferdam/"), "{agent}");
        let expected = BTreeMap::from([
            (
                "accept",
                if stream {
                    "text/event-stream"
                } else {
                    "application/json"
                },
            ),
            ("accept-encoding", "identity"),
            ("authorization", OPERATORS),
            ("content-length", length),
            ("content-type", "application/json"),
            ("host", host),
            ("user-agent", agent),
            ("x-request-id", id),
        ]);
        assert_eq!(headers, expected);
    }
}

#[test]
fn a_tenants_upstream_credential_is_used_for_that_tenant_alone() {
    let two = Two::new();
    let path = "/tenant/v1/credentials/fake";
    let put = |tenant: &Tenant, secret: &str| {
        tenant
            .steward(&two.gateway)
            .call("PUT", path, Some(&json!({"secret": secret})))
            .ok();
    };
    let check = |round: &str, a: &str, b: &str| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let body = chat("fake", "hello");
                        assert_eq!(
                            two.seen(&two.a, &body).header("authorization"),
                            Some(a),
                            "{round}: A"
                        );
                        assert_eq!(
                            two.seen(&two.b, &body).header("authorization"),
                            Some(b),
                            "{round}: B"
                        );
                    }
                });
            }
        });
    };
    check("at first", OPERATORS, OPERATORS);
    put(&two.b, "sk-of-b");
    check("B has one", OPERATORS, "Bearer sk-of-b");
    put(&two.a, "sk-of-a");
    check("both have one", "Bearer sk-of-a", "Bearer sk-of-b");
    put(&two.b, "sk-of-b-rotated");
    check(
        "B's is another now",
        "Bearer sk-of-a",
        "Bearer sk-of-b-rotated",
    );
    two.b.steward(&two.gateway).call("DELETE", path, None).ok();
    check("B's is gone", "Bearer sk-of-a", OPERATORS);
}

#[test]
fn cache_and_identity_fields_are_derived_for_each_tenant_and_never_the_callers() {
    let two = Two::new();
    let asks = |model: &str, value: Option<&str>| {
        let mut body = chat(model, "hello");
        if let Some(value) = value {
            for field in [
                "user",
                "safety_identifier",
                "prompt_cache_key",
                "cache_salt",
            ] {
                body[field] = json!(value);
            }
        }
        body
    };
    for (model, fields, absent) in [
        (
            "fake",
            vec!["prompt_cache_key", "safety_identifier"],
            vec!["user", "cache_salt", "prompt_cache_retention"],
        ),
        (
            "salted",
            vec!["cache_salt"],
            vec![
                "user",
                "safety_identifier",
                "prompt_cache_key",
                "prompt_cache_retention",
            ],
        ),
    ] {
        let get = |tenant: &Tenant, value: Option<&str>| {
            let body = two.seen(tenant, &asks(model, value)).body;
            for field in &absent {
                assert!(body.get(field).is_none(), "{model}: {field} in {body}");
            }
            let derived = fields.iter().map(|field| {
                body[*field]
                    .as_str()
                    .unwrap_or_else(|| panic!("{field} in {body}"))
                    .to_owned()
            });
            derived.collect::<Vec<_>>()
        };
        let a = get(&two.a, Some("mine"));
        let b = get(&two.b, Some("mine"));
        let stolen = get(&two.b, Some(&a[0]));
        let bare = get(&two.a, None);
        for (at, field) in fields.iter().enumerate() {
            assert_eq!(a[at].len(), 43, "{model} {field}: {}", a[at]);
            assert_ne!(a[at], b[at], "{model} {field}: two tenants share it");
            assert_ne!(
                a[at], stolen[at],
                "{model} {field}: sending another's gives another's"
            );
            assert_ne!(
                a[at], bare[at],
                "{model} {field}: the caller's value makes no difference"
            );
            assert_ne!(
                bare[at],
                get(&two.b, None)[at],
                "{model} {field}: two tenants share it without a value"
            );
            assert!(!a[at].contains("mine"));
        }
        assert_eq!(
            a,
            get(&two.a, Some("mine")),
            "{model}: the same tenant and value"
        );
        let mut all = a.clone();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), fields.len(), "two fields are alike: {a:?}");
    }
}
