//! A key provider that is gone: refused, said, and well again once it is back.

use std::time::Duration;

use serde_json::json;

use crate::harness::gateway::Home;
use crate::harness::tenants::Tenant;
use crate::harness::until;
use crate::harness::upstream::Upstream;

#[test]
fn without_the_key_provider_tenants_that_are_not_open_are_refused_until_it_is_back() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let first = home.serve();
    let (open, closed) = (
        Tenant::create(&first, "open"),
        Tenant::create(&first, "closed"),
    );
    first.kill();
    let gateway = home.serve();
    assert_eq!(open.app(&gateway).chat("free", "hello").status, 200);

    let (file, away) = (
        home.path().join("secrets/root.key"),
        home.path().join("away"),
    );
    std::fs::rename(&file, &away).unwrap();
    let before = upstream.calls();
    for (what, client, path) in [
        ("its application", closed.app(&gateway), "/v1/models"),
        ("its steward", closed.steward(&gateway), "/tenant/v1/keys"),
        (
            "the operator",
            gateway.operator(),
            &*format!("/admin/v1/tenants/{}/keys", closed.id),
        ),
    ] {
        let answer = client.get(path);
        answer.assert_openai_error(what);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (503, "key_service_unavailable"),
            "{what}: {}",
            answer.text()
        );
        assert!(answer.header("retry-after").is_some(), "{what}");
        assert!(
            !answer.text().contains("root.key"),
            "{what}: {}",
            answer.text()
        );
    }
    assert_eq!(
        closed.app(&gateway).chat("free", "hello").code(),
        "key_service_unavailable"
    );
    assert_eq!(
        upstream.calls(),
        before,
        "a refused call reached the upstream"
    );
    let made = gateway
        .operator()
        .post("/admin/v1/tenants", &json!({"name": "new"}));
    assert_eq!(
        (made.status, made.code().as_str()),
        (503, "key_service_unavailable"),
        "{}",
        made.text()
    );
    assert_eq!(
        open.app(&gateway).chat("free", "hello").status,
        200,
        "whoever is open goes on"
    );
    let ready = gateway.operator().get("/readyz");
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert!(
        ready.json()["checks"]
            .as_array()
            .unwrap()
            .iter()
            .any(|check| check["name"] == "keys" && check["status"] == "failing")
    );
    let log = String::from_utf8_lossy(&gateway.log()).into_owned();
    assert!(
        log.contains("keys do not open"),
        "the log does not say it: {log}"
    );

    std::fs::rename(&away, &file).unwrap();
    until("the tenant is served", Duration::from_secs(10), || {
        closed.app(&gateway).chat("free", "hello").status == 200
    });
    assert_eq!(gateway.operator().get("/readyz").status, 200);
    gateway
        .operator()
        .post("/admin/v1/tenants", &json!({"name": "new"}))
        .ok();
}

#[test]
fn a_server_that_cannot_find_its_key_or_finds_another_does_not_start() {
    let home = Home::new("http://127.0.0.1:9", "");
    let file = home.path().join("secrets/root.key");
    let key = std::fs::read(&file).unwrap();
    home.serve().kill();

    let set = |bytes: &[u8]| std::fs::write(&file, bytes).unwrap();
    let mut other = key.clone();
    other[0] ^= 1;
    set(&other);
    let refused = home.try_serve().err().expect("it started with another key");
    assert!(
        refused.contains("key") && refused.contains("nothing was opened"),
        "{refused}"
    );
    set(&key[1..]);
    assert!(home.try_serve().is_err(), "it started with half a key");
    std::fs::remove_file(&file).unwrap();
    let refused = home.try_serve().err().expect("it started without its key");
    assert!(refused.contains("root.key"), "{refused}");
    assert!(!file.exists(), "it made itself another key");
}
