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
