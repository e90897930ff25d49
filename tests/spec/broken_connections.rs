//! Clients that break off, half-close or send several requests at once: settled, and never another's answer.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::chat;
use crate::harness::gateway::Home;
use crate::harness::raw::{Raw, statuses};
use crate::harness::tenants::Tenant;
use crate::harness::until;
use crate::harness::upstream::Upstream;

#[test]
fn clients_that_break_off_leave_settled_calls_and_a_gateway_that_serves_on() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    let request = |body: &Value| {
        let body = body.to_string();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            tenant.app_key,
            body.len()
        )
    };
    // off after every so many bytes of the request
    let whole = request(&chat("free", "hello"));
    for end in (0..whole.len()).step_by(23) {
        let mut raw = Raw::connect(&gateway.data_plane).unwrap();
        raw.write(&whole.as_bytes()[..end]);
        drop(raw);
    }
    // done with writing, and waiting for the answer
    let mut half = Raw::connect(&gateway.data_plane).unwrap();
    half.write(whole.as_bytes());
    half.finish_writing();
    let half = half.until_closed(Duration::from_secs(10));
    assert!(half.is_none_or(|bytes| statuses(&bytes).iter().all(|status| *status == 200)));
    // three at once on one connection, in order
    let mut several = Raw::connect(&gateway.data_plane).unwrap();
    let three: String = ["first", "second", "third"]
        .map(|text| request(&chat("free", text)))
        .concat();
    several.write(three.as_bytes());
    for text in ["first", "second", "third"] {
        let reply = several.reply().unwrap();
        let answer: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            answer["choices"][0]["message"]["content"],
            json!(format!("echo {text}"))
        );
    }
    // an expectation is met before the body comes
    let mut patient = Raw::connect(&gateway.data_plane).unwrap();
    let body = chat("free", "hello").to_string();
    let head = whole.split_once("\r\n\r\n").unwrap().0;
    patient.write(format!("{head}\r\nexpect: 100-continue\r\n\r\n").as_bytes());
    assert_eq!(patient.reply().unwrap().status, 100);
    patient.write(body.as_bytes());
    assert_eq!(patient.reply().unwrap().status, 200);

    let usage = || {
        gateway
            .operator()
            .get(&format!("/admin/v1/tenants/{}/usage", tenant.id))
            .ok()
    };
    until(
        "every call that went out is settled",
        Duration::from_secs(10),
        || usage()["total"]["calls"].as_u64().unwrap() >= upstream.calls() as u64,
    );
    assert_eq!(tenant.app(&gateway).chat("free", "still here").status, 200);
}

#[test]
fn a_refusal_that_comes_before_the_body_says_that_the_connection_ends_or_leaves_it_usable() {
    let home = Home::new("http://127.0.0.1:9", "");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    let (app, steward) = (&tenant.app_key, &tenant.steward_key);
    for (what, start, status) in [
        (
            "no credential",
            "POST /v1/chat/completions HTTP/1.1\r\n".to_owned(),
            401,
        ),
        (
            "no right",
            format!("PUT /tenant/v1/limits HTTP/1.1\r\nauthorization: Bearer {app}\r\n"),
            403,
        ),
        (
            "no such route",
            format!("POST /v1/nothing HTTP/1.1\r\nauthorization: Bearer {app}\r\n"),
            404,
        ),
        (
            "no such method",
            format!("PUT /v1/models HTTP/1.1\r\nauthorization: Bearer {app}\r\n"),
            405,
        ),
        (
            "no JSON",
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {app}\r\ncontent-type: text/plain\r\n"
            ),
            415,
        ),
        (
            "no such upstream",
            format!(
                "DELETE /tenant/v1/credentials/x HTTP/1.1\r\nauthorization: Bearer {steward}\r\n"
            ),
            404,
        ),
    ] {
        let mut raw = Raw::connect(&gateway.data_plane).unwrap();
        raw.write(format!("{start}host: gateway\r\ncontent-length: 20\r\n\r\n").as_bytes());
        let reply = raw.reply().unwrap();
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        if reply
            .header("connection")
            .is_some_and(|header| header.contains("close"))
        {
            continue;
        }
        // not said to be over, so it is not: a client's next request goes out on it
        raw.write(&[b' '; 20]);
        raw.write(
            format!(
                "GET /v1/models HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {app}\r\n\r\n"
            )
            .as_bytes(),
        );
        let next = raw
            .reply()
            .unwrap_or_else(|| panic!("{what}: the connection was closed without a word"));
        assert_eq!(next.status, 200, "{what}: {}", next.text());
    }
}
