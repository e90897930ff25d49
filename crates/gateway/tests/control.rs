//! The control plane: a runtime of its own, tenants that are made once, and the truth about readiness.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use evidence::{Checkpoint, VerifierKey};
use serde_json::{Value, json};
use stand::{
    Stand, chat,
    desk::Desk,
    fake::{Step, chat_answer, json_answer},
};

const TENANTS: &str = "/admin/v1/tenants";

async fn stand() -> Stand {
    Stand::start(|_| json_answer(&chat_answer("x"))).await
}

/// Asks with a socket that blocks this thread.
fn blocking(desk: &Desk, path: &str) -> String {
    let mut socket = TcpStream::connect(desk.address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
        desk.key
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn it_answers_while_nothing_moves_on_the_data_plane() {
    let stand = stand().await;
    let control = stand.control();
    // the data plane lives on the one thread of this runtime, and this thread waits
    for (path, told) in [
        ("/healthz", "\"ok\""),
        ("/readyz", "\"store\""),
        ("/metrics", "cofferdam_"),
        (TENANTS, "\"first\""),
    ] {
        let answer = blocking(&control.operator, path);
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(told),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_tenant_of_one_name_is_made_once_however_often_it_is_asked_for() {
    let stand = stand().await;
    let control = stand.control();
    let asked: Vec<_> = (0..16)
        .map(|_| {
            let operator = control.operator.clone();
            tokio::spawn(async move { operator.post(TENANTS, json!({"name": "same"})).await })
        })
        .collect();
    let (mut made, mut ids) = (0, BTreeSet::new());
    for answer in asked {
        let answer = answer.await.unwrap();
        assert!([200, 201].contains(&answer.status), "{}", answer.text());
        made += usize::from(answer.status == 201);
        ids.insert(answer.json()["id"].as_str().unwrap().to_owned());
    }
    assert_eq!((made, ids.len()), (1, 1));
    for name in ["", "a\u{0}b", &"x".repeat(129)] {
        let refused = control.operator.post(TENANTS, json!({"name": name})).await;
        assert_eq!(
            (refused.refusal().0, &refused.json()["error"]["param"]),
            (400, &json!("name")),
            "{name:?}"
        );
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = control
            .operator
            .get(&format!("{TENANTS}?limit=2{after}"))
            .await
            .expect(200);
        for tenant in page["data"].as_array().unwrap() {
            seen.push(tenant["name"].as_str().unwrap().to_owned());
            after = format!("&after={}", tenant["id"].as_str().unwrap());
        }
        if page["has_more"] == json!(false) {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, ["first", "same", "second"]);
}

#[tokio::test]
async fn a_suspended_tenant_can_still_be_administered_and_each_change_is_recorded_once() {
    let stand = stand().await;
    let control = stand.control();
    let below = stand.below(0);
    let set = async |state: &str| {
        control
            .operator
            .call("PATCH", &below, Some(&json!({"state": state})))
            .await
            .expect(200)
    };
    let key = stand.desk(&stand.a);
    for (state, status) in [
        ("suspended", 403),
        ("suspended", 403),
        ("active", 200),
        ("active", 200),
    ] {
        assert_eq!(set(state).await["state"], json!(state));
        assert_eq!(key.get("/v1/models").await.status, status, "{state}");
        assert_eq!(
            control.operator.get(&format!("{below}/keys")).await.status,
            200,
            "{state}"
        );
    }
    let records = stand.home.records(0).await;
    let count = |action: &str| {
        records
            .iter()
            .filter(|record| record.to_string().contains(action))
            .count()
    };
    assert_eq!((count("tenant_suspended"), count("tenant_resumed")), (1, 1));
}

#[tokio::test]
async fn what_is_a_tenants_own_the_operator_has_no_path_to() {
    let stand = stand().await;
    let control = stand.control();
    for (method, path) in [
        ("GET", "credentials"),
        ("PUT", "credentials/main"),
        ("POST", "sessions"),
        ("GET", "calls/call_00000000000000000000000000000000"),
        ("GET", "self"),
    ] {
        let answer = control
            .operator
            .call(
                method,
                &format!("{}/{path}", stand.below(0)),
                Some(&json!({})),
            )
            .await;
        assert_eq!(
            answer.refusal(),
            (404, "unknown_url".to_owned()),
            "{method} {path}"
        );
    }
    let unknown = format!("/admin/v1/tenants/ten_{}", "0".repeat(32));
    let answers = [
        control.operator.get(&unknown).await,
        control.operator.get("/admin/v1/tenants/nonsense").await,
    ];
    for answer in &answers {
        assert_eq!(
            (answer.refusal(), &answer.body),
            ((404, "not_found".to_owned()), &answers[0].body)
        );
    }
}

#[tokio::test]
async fn models_are_shown_with_their_prices() {
    let stand = stand().await;
    let control = stand.control();
    let models = control.operator.get("/admin/v1/models").await.expect(200);
    let models = models["data"].as_array().unwrap();
    let of = |id: &str| {
        models
            .iter()
            .find(|model| model["id"] == json!(id))
            .unwrap()
    };
    assert_eq!(
        (
            &of("m")["free"],
            &of("m")["price"],
            &of("m")["upstream_model"]
        ),
        (&json!(true), &Value::Null, &json!("upstream-model"))
    );
    let price = &of("priced")["price"];
    assert_eq!(
        (&price["input"], &price["output"], &price["currency"]),
        (&json!("0.15"), &json!("0.6"), &json!("USD"))
    );
    assert_eq!(
        (&of("unpriced")["free"], &of("unpriced")["price"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(of("org/other:1")["upstream"], json!("other"));
    assert_eq!(models.len(), 7);
}

#[tokio::test]
async fn an_upstream_that_is_given_a_pause_shows_and_does_not_make_the_gateway_unready() {
    // nothing listens there
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let stand = Stand::with(&format!("url = \"http://{gone}\""), "", |_| {
        vec![Step::Close]
    })
    .await;
    let control = stand.control();
    let health = async || {
        let ready = control.operator.get("/readyz").await.expect(200);
        let checks = ready["checks"].as_array().unwrap().clone();
        let main = checks
            .iter()
            .find(|check| check["name"] == json!("upstream:main"))
            .unwrap()
            .clone();
        (ready["status"].clone(), main["status"].clone())
    };
    assert_eq!(health().await, (json!("ok"), json!("ok")));
    for _ in 0..6 {
        assert!(
            stand
                .post("/v1/chat/completions", &chat("hello"))
                .await
                .status
                >= 500
        );
    }
    assert_eq!(health().await, (json!("ok"), json!("failing")));
    let metrics = control.operator.get("/metrics").await.text();
    assert!(
        metrics.contains("cofferdam_upstream_resting{upstream=\"main\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("cofferdam_upstream_resting{upstream=\"other\"} 0\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn the_head_of_all_journals_is_signed() {
    let stand = stand().await;
    let control = stand.control();
    let path = "/admin/v1/deployment/checkpoint";
    assert_eq!(
        control.operator.get(path).await.refusal(),
        (404, "not_found".to_owned()),
        "before the first round"
    );
    stand.house().rounds(jiff::Timestamp::now()).await.unwrap();
    let head = control.operator.get(path).await.expect(200);
    let key: VerifierKey = head["verifier_key"].as_str().unwrap().parse().unwrap();
    let signed = Checkpoint::parse_verify(head["note"].as_str().unwrap().as_bytes(), &key).unwrap();
    assert_eq!(json!(signed.size()), head["size"]);
    assert_eq!(json!(hex::encode(signed.root().0)), head["root"]);
    assert_eq!(signed.size(), 2, "one head for each tenant");
}

#[tokio::test]
async fn only_an_operator_key_opens_it() {
    let stand = stand().await;
    let control = stand.control();
    let everything = control
        .mint(&stand, 0, &["infer", "mint_sessions", "steward", "audit"])
        .await
        .0;
    let at = |key: &str| Desk {
        address: control.operator.address,
        key: key.to_owned(),
    };
    let unknown = at("nonsense").get(TENANTS).await;
    assert_eq!(unknown.refusal(), (401, "invalid_api_key".to_owned()));
    for key in [&everything, &stand.a] {
        for path in [
            TENANTS.to_owned(),
            format!("{}/keys", stand.below(0)),
            stand.below(1),
        ] {
            let answer = at(key).get(&path).await;
            assert_eq!(
                (answer.status, &answer.body),
                (401, &unknown.body),
                "{path}"
            );
        }
    }
    let operator = stand.desk(&control.operator.key);
    for path in ["/tenant/v1/keys", "/tenant/v1/self", "/v1/models"] {
        let answer = operator.get(path).await;
        assert_eq!(
            (answer.status, &answer.body),
            (401, &unknown.body),
            "{path}"
        );
    }
}
