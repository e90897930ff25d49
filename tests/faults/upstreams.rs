//! Upstreams that refuse, hang, break off, talk nonsense or never stop: one clear error, and a call that is settled.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use crate::broken_upstream::{BrokenUpstream, ENDLESS_STREAM, WRONGS};
use crate::harness::client::{Answer, chat};
use crate::harness::gateway::{Gateway, Home};
use crate::harness::journal::Export;
use crate::harness::raw::{Raw, Reply};
use crate::harness::tenants::Tenant;
use crate::harness::until;
use crate::harness::upstream::Upstream;

/// One upstream and one model of its own for each wrong, so that no breaker of one stands before another.
fn configuration(names: &[&str], url: &str) -> String {
    let each = names.iter().map(|name| {
        format!(
            "\n[[upstream]]\nkind = \"openai\"\nname = \"{name}\"\nurl = \"{url}\"\nkey_file = \"upstream.key\"\n\
             derived = \"none\"\nconnect_timeout_ms = 300\nfirst_byte_timeout_ms = 300\nidle_timeout_ms = 300\ntotal_timeout_ms = 900\n\
             max_response_bytes = 65536\n[[model]]\nname = \"{name}\"\nupstream = \"{name}\"\nprice = \"fake\"\n\
             max_output_tokens = 100\n"
        )
    });
    each.collect()
}

struct Stage {
    gateway: Gateway,
    tenant: Tenant,
    home: Home,
    _good: Upstream,
}

impl Stage {
    fn new(names: &[&str], url: &str) -> Stage {
        let good = Upstream::start();
        let home = Home::new(&good.url, &configuration(names, url));
        let gateway = home.serve();
        let tenant = Tenant::create(&gateway, "a");
        Stage {
            gateway,
            tenant,
            home,
            _good: good,
        }
    }

    fn plain(&self, model: &str) -> Answer {
        self.tenant
            .app(&self.gateway)
            .post("/v1/chat/completions", &chat(model, "hello"))
    }

    fn streamed(&self, model: &str) -> Reply {
        let mut body = chat(model, "hello");
        body["stream"] = json!(true);
        let mut raw = Raw::connect(&self.gateway.data_plane).unwrap();
        raw.post("/v1/chat/completions", &self.tenant.app_key, &body);
        raw.reply().expect("no answer at all")
    }

    /// How a call was settled, once it is.
    fn settled(&self, call: &str) -> Value {
        let app = self.tenant.app(&self.gateway);
        let mut facts = Value::Null;
        until("the call is settled", Duration::from_secs(10), || {
            facts = app.get(&format!("/tenant/v1/calls/{call}")).ok();
            facts["state"] == json!("settled")
        });
        facts
    }
}

#[test]
fn every_wrong_of_an_upstream_is_one_clear_error_settled_and_journalled() {
    let broken = BrokenUpstream::start();
    let names: Vec<_> = WRONGS.iter().map(|wrong| wrong.name).collect();
    let stage = Stage::new(&names, &broken.url);
    let codes = ["upstream_error", "upstream_timeout"];
    let mut calls = Vec::new();
    for name in names.iter().filter(|name| !name.starts_with("stream-")) {
        let answer = stage.plain(name);
        let what = format!("{name}: {} {}", answer.status, answer.text());
        answer.assert_openai_error(&what);
        assert!(matches!(answer.status, 502 | 504), "{what}");
        assert!(codes.contains(&answer.code().as_str()), "{what}");
        assert!(!answer.text().contains("sk-operators-own-key"), "{what}");
        let reply = stage.streamed(name);
        assert!(
            matches!(reply.status, 502 | 504),
            "{name}, streamed: {}",
            reply.text()
        );
        for (call, status) in [
            (answer.header("x-request-id").unwrap(), answer.status),
            (reply.header("x-request-id").unwrap(), reply.status),
        ] {
            let facts = stage.settled(call);
            assert_eq!(
                facts["outcome"],
                json!("upstream_failed"),
                "{name}: {facts}"
            );
            assert_eq!(facts["status"], json!(status), "{name}: {facts}");
            calls.push(call.to_owned());
        }
    }
    for name in names.iter().filter(|name| name.starts_with("stream-")) {
        let reply = stage.streamed(name);
        let what = format!("{name}: {} {}", reply.status, reply.text());
        assert_eq!(
            (reply.status, reply.whole),
            (200, false),
            "half an answer must not look whole: {what}"
        );
        assert_eq!(reply.streamed(), "hello", "{what}");
        let last: Value = serde_json::from_str(reply.events().last().unwrap()).expect(&what);
        assert!(
            codes.contains(&last["error"]["code"].as_str().unwrap()),
            "{what}"
        );
        assert!(!reply.text().contains("[DONE]"), "{what}");
        let call = reply.header("x-request-id").unwrap().to_owned();
        assert_eq!(
            stage.settled(&call)["outcome"],
            json!("upstream_failed"),
            "{what}"
        );
        calls.push(call);
    }
    let entries = Export::verified(&stage.home, &stage.gateway, &stage.tenant.id).calls();
    for call in &calls {
        let entry = &entries[call];
        assert!(entry.cost() <= entry.reserved(), "{entry:?}");
    }
    until("no connection is kept", Duration::from_secs(10), || {
        broken.open() == 0
    });
    assert_eq!(stage.plain("free").status, 200, "other models go on");
}

#[test]
fn a_stream_that_never_ends_is_cut_where_the_money_ends() {
    let broken = BrokenUpstream::start();
    let stage = Stage::new(&[ENDLESS_STREAM.name], &broken.url);
    let reply = stage.streamed(ENDLESS_STREAM.name);
    assert_eq!(reply.status, 200);
    let hellos = reply.streamed().matches("hello").count();
    assert!((50..=52).contains(&hellos), "{hellos} of 50 tokens");
    let call = reply.header("x-request-id").unwrap().to_owned();
    let facts = stage.settled(&call);
    assert_eq!(facts["outcome"], json!("cut_at_reservation"), "{facts}");
    assert_eq!(facts["output_tokens"], json!(50), "{facts}");
    let entry = Export::verified(&stage.home, &stage.gateway, &stage.tenant.id)
        .calls()
        .remove(&call)
        .unwrap();
    assert!(entry.cost() <= entry.reserved(), "{entry:?}");
    until("the upstream is let go", Duration::from_secs(10), || {
        broken.open() == 0
    });
}

#[test]
fn an_upstream_that_refuses_connections_costs_nothing_and_is_given_a_pause() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let stage = Stage::new(&["closed"], &format!("http://{closed}"));
    let mut seen = Vec::new();
    for _ in 0..6 {
        let answer = stage.plain("closed");
        answer.assert_openai_error("closed");
        let facts = stage.settled(answer.header("x-request-id").unwrap());
        assert_eq!(
            (&facts["cost"], &facts["output_tokens"]),
            (&json!("0"), &json!(0)),
            "{facts}"
        );
        seen.push((
            answer.status,
            answer.code(),
            answer.header("retry-after").is_some(),
        ));
    }
    assert_eq!(
        seen[0],
        (502, "upstream_error".to_owned(), false),
        "{seen:?}"
    );
    assert_eq!(
        seen[5],
        (503, "service_unavailable".to_owned(), true),
        "{seen:?}"
    );
    assert_eq!(
        stage.plain("free").status,
        200,
        "other upstreams are not given one"
    );
    Export::verified(&stage.home, &stage.gateway, &stage.tenant.id);
}

#[test]
fn what_an_upstream_says_of_a_bad_request_is_said_in_the_gateways_words() {
    let stage = Stage::new(&[], "");
    for (upstream, status, code) in [
        (400, 400, "upstream_rejected"),
        (401, 502, "upstream_credential_refused"),
        (403, 502, "upstream_credential_refused"),
        (404, 502, "upstream_error"),
        (429, 429, "upstream_rate_limited"),
        (500, 502, "upstream_error"),
    ] {
        let text = format!("status={upstream}");
        let answer = stage
            .tenant
            .app(&stage.gateway)
            .post("/v1/chat/completions", &chat("free", &text));
        answer.assert_openai_error(&text);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{upstream}: {}",
            answer.text()
        );
        assert!(
            !answer.text().contains("as asked"),
            "the upstream's own text: {}",
            answer.text()
        );
        let facts = stage.settled(answer.header("x-request-id").unwrap());
        assert_eq!(facts["cost"], json!("0"), "{facts}");
    }
}
