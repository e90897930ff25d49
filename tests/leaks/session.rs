//! A session in which everything that can be said is a marker.

use serde_json::{Value, json};

use crate::harness::chance::Chance;
use crate::harness::client::Client;
use crate::harness::gateway::{Gateway, Home};
use crate::harness::journal::Export;
use crate::harness::raw::Raw;
use crate::harness::upstream::Upstream;

/// Ends every answer of the upstream.
pub const ANSWER: &str = " ANSWER-3f1c90d2a7b84e65";

/// So that a request can be too large, and the first of several can be slow.
pub const LIMITS: &str = "\n[limits]\nmax_body_bytes = 65536\n";

/// Something that must not be written down.
pub struct Marker {
    pub what: &'static str,
    pub text: String,
}

struct Markers {
    chance: Chance,
    all: Vec<Marker>,
}

impl Markers {
    /// A new one.
    fn plant(&mut self, what: &'static str) -> String {
        let text = format!("Mark-{}", &self.chance.hex()[..20]);
        self.keep(what, &text);
        text
    }

    /// One that was made elsewhere.
    fn keep(&mut self, what: &'static str, text: &str) {
        self.all.push(Marker {
            what,
            text: text.to_owned(),
        });
    }

    /// A key, and the part of it that is the secret.
    fn keep_key(&mut self, what: &'static str, key: &str) {
        self.keep(what, key);
        self.keep(what, key.rsplit('_').nth(1).unwrap());
    }
}

/// Says everything once, in calls that succeed and calls that fail.
pub fn live(home: &Home, gateway: &Gateway, upstream: &Upstream) -> Vec<Marker> {
    let mut marks = Markers {
        chance: Chance::new(0x1eaf),
        all: Vec::new(),
    };
    marks.keep("an answer", ANSWER.trim());
    marks.keep(
        "the operator's credential for the upstream",
        "sk-upstream-of-the-operator",
    );
    marks.keep_key("the operator's key", gateway.operator_key());
    let operator = gateway.operator();
    let name = marks.plant("a tenant's name");
    let tenant = operator
        .post("/admin/v1/tenants", &json!({"name": name}))
        .ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mint = |marks: &mut Markers, scopes: Value| {
        let name = marks.plant("a key's name");
        let path = format!("/admin/v1/tenants/{tenant}/keys");
        let minted = operator
            .post(&path, &json!({"name": name, "scopes": scopes}))
            .ok();
        let key = minted["key"].as_str().unwrap().to_owned();
        marks.keep_key("an API key", &key);
        key
    };
    let (app_key, steward_key) = (
        mint(&mut marks, json!(["infer", "mint_sessions"])),
        mint(&mut marks, json!(["steward", "audit"])),
    );
    let (app, steward) = (gateway.caller(&app_key), gateway.caller(&steward_key));

    administer(&mut marks, &steward, &operator, &tenant);
    let (subject, sitting) = (
        marks.plant("an end user's name"),
        marks.plant("a session's name"),
    );
    let token = app
        .post(
            "/tenant/v1/sessions",
            &json!({"subject": subject, "session": sitting}),
        )
        .ok();
    let token = token["token"].as_str().unwrap().to_owned();
    marks.keep("a session token", &token);

    chats(&mut marks, &app, &gateway.caller(&token));
    refusals(&mut marks, gateway, &app, &app_key);
    let prompts = marks.all.iter().filter(|marker| marker.what == "a prompt");
    for prompt in prompts {
        let arrived = upstream
            .seen()
            .iter()
            .any(|seen| seen.body.to_string().contains(&prompt.text));
        assert!(
            arrived,
            "a planted prompt did not reach the upstream: the test looks for nothing"
        );
    }
    Export::verified(home, gateway, &tenant);
    marks.all
}

fn administer(marks: &mut Markers, steward: &Client, operator: &Client, tenant: &str) {
    for _ in 0..2 {
        let secret = marks.plant("a tenant's credential for an upstream");
        steward
            .call(
                "PUT",
                "/tenant/v1/credentials/fake",
                Some(&json!({"secret": secret})),
            )
            .ok();
    }
    steward
        .call("DELETE", "/tenant/v1/credentials/fake", None)
        .ok();
    let (audience, claim) = (
        marks.plant("an issuer's audience"),
        marks.plant("an issuer's tenant claim"),
    );
    let issuer = json!({
        "issuer": format!("https://{}.example", marks.plant("an issuer's address").to_lowercase()),
        "audience": audience, "algorithms": ["EdDSA"], "tenant_claim": {"name": "org", "value": claim},
        "jwks_uri": "https://issuer.example/keys",
    });
    let path = format!(
        "/admin/v1/tenants/{tenant}/issuers/iss_{}",
        marks.chance.hex()
    );
    operator.call("PUT", &path, Some(&issuer)).ok();
    let name = marks.plant("a changed key's name");
    let made = steward
        .post(
            "/tenant/v1/keys",
            &json!({"name": "x", "scopes": ["audit"]}),
        )
        .ok();
    marks.keep_key("an API key", made["key"].as_str().unwrap());
    let path = format!("/tenant/v1/keys/{}", made["id"].as_str().unwrap());
    steward
        .call("PATCH", &path, Some(&json!({"name": name})))
        .ok();
    steward.call("DELETE", &path, None).ok();
}

fn chats(marks: &mut Markers, app: &Client, end_user: &Client) {
    let tool = marks.plant("a tool's description");
    for stream in [false, true] {
        for (client, model) in [(app, "fake"), (end_user, "free")] {
            let body = json!({
                "model": model,
                "stream": stream,
                "messages": [
                    {"role": "system", "content": marks.plant("a prompt")},
                    {"role": "assistant", "content": marks.plant("a prompt")},
                    {"role": "user", "content": [{"type": "text", "text": marks.plant("a prompt")}], "name": marks.plant("a name in a chat")},
                    {"role": "user", "content": marks.plant("a prompt")},
                ],
                "user": marks.plant("an end user's name"),
                "prompt_cache_key": marks.plant("a cache key"),
                "metadata": {"k": marks.plant("metadata")},
                "stop": [marks.plant("a stop sequence")],
                "tools": [{"type": "function", "function": {"name": "f", "description": tool, "parameters": {"type": "object"}}}],
                "tool_choice": "none",
                "max_tokens": 50,
            });
            let answer = client.post("/v1/chat/completions", &body);
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    app.post(
        "/v1/completions",
        &json!({"model": "fake", "prompt": marks.plant("a prompt")}),
    )
    .ok();
    app.post(
        "/v1/embeddings",
        &json!({"model": "vectors", "input": [marks.plant("a prompt")]}),
    )
    .ok();
}

/// Whatever is refused, at every stage.
fn refusals(marks: &mut Markers, gateway: &Gateway, app: &Client, app_key: &str) {
    let path = "/v1/chat/completions";
    let said =
        |text: String| json!({"model": "fake", "messages": [{"role": "user", "content": text}]});
    let refused = |status: u16, body: Vec<u8>| {
        let answer = app.send("POST", path, Some(body));
        assert_eq!(answer.status, status, "{}", answer.text());
    };
    // the upstream refuses, fails, and cannot be reached
    for status in [400, 401, 500, 503] {
        let text = format!("status={status} {}", marks.plant("a prompt"));
        app.post(path, &said(text));
    }
    refused(
        400,
        format!(
            "{{\"model\":\"fake\",\"messages\":\"{}\"}}",
            marks.plant("a value of the wrong type")
        )
        .into_bytes(),
    );
    refused(
        400,
        format!("{{\"{}\":1}}", marks.plant("an unknown field")).into_bytes(),
    );
    refused(
        400,
        format!("not JSON {}", marks.plant("a body that is no JSON")).into_bytes(),
    );
    refused(
        413,
        format!(
            "{}{}",
            marks.plant("a body that is too large"),
            "x".repeat(65_536)
        )
        .into_bytes(),
    );
    let body = json!({"model": marks.plant("an unknown model"), "messages": [{"role": "user", "content": "x"}]});
    refused(404, body.to_string().into_bytes());
    assert_eq!(
        gateway
            .caller(&marks.plant("a wrong credential"))
            .get("/v1/models")
            .status,
        401
    );
    let mut forged = app_key.to_owned();
    forged.replace_range(forged.len() - 20..forged.len() - 12, "00000000");
    marks.keep_key("a forged key", &forged);
    assert_eq!(gateway.caller(&forged).get("/v1/models").status, 401);
    assert_eq!(
        app.get(&format!("/v1/models/{}", marks.plant("a path")))
            .status,
        404
    );
    assert_eq!(app.get(&format!("/{}", marks.plant("a path"))).status, 404);
    app.get(&format!("/v1/models?x={}", marks.plant("a query")));
    let header = marks.plant("a header");
    app.send_with(
        &[("x-something", &header), ("cookie", &header)],
        "GET",
        "/v1/models",
        None,
    )
    .unwrap();
    let jwt = format!(
        "eyJhbGciOiJub25lIn0.{}.{}",
        marks.plant("a token's claims"),
        marks.plant("a token's signature")
    );
    assert_eq!(gateway.caller(&jwt).get("/v1/models").status, 401);
    // a client that leaves, and one that speaks no HTTP
    let mut raw = Raw::connect(&gateway.data_plane).unwrap();
    let mut body = said(format!("tokens=50 delay_ms=5 {}", marks.plant("a prompt")));
    body["stream"] = json!(true);
    raw.post(path, app_key, &body);
    raw.leave_after(700);
    let mut raw = Raw::connect(&gateway.data_plane).unwrap();
    raw.write(format!("{} is not HTTP\r\n\r\n", marks.plant("noise")).as_bytes());
    raw.reply();
}
