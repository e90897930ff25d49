//! Who gets in, and what those who do not are told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use policy::Limits;
use serde_json::{Value, json};
use stand::{
    Stand, chat,
    client::{Open, Reply},
    fake::{chat_answer, json_answer},
    home::Home,
};

async fn stand() -> Stand {
    Stand::start(|_| json_answer(&chat_answer("x"))).await
}

/// A chat request with these header lines.
async fn with(stand: &Stand, headers: &str) -> Reply {
    let headers = format!("{headers}content-type: application/json\r\n");
    Open::send(
        stand.address,
        "POST /v1/chat/completions",
        &headers,
        chat("hi").to_string().as_bytes(),
    )
    .await
    .finish()
    .await
}

/// What two refusals must share to the byte.
fn face(reply: &Reply) -> (u16, String, Vec<String>) {
    let changing = ["x-request-id", "date"];
    let head = reply
        .head
        .lines()
        .filter(|line| !changing.iter().any(|name| line.starts_with(name)));
    (
        reply.status,
        reply.text(),
        head.map(str::to_owned).collect(),
    )
}

#[tokio::test]
async fn every_wrong_credential_gets_the_same_answer() {
    let stand = stand().await;
    let key = &stand.a;
    let (start, secret) = key.split_at(key.len() - 1);
    let mut wrong = vec![
        format!(
            "authorization: Bearer {start}{}\r\n",
            if secret == "0" { '1' } else { '0' }
        ),
        format!("authorization: Bearer {}\r\n", &key[..20]),
        format!("authorization: Bearer {key}x\r\n"),
        format!("authorization: Basic {key}\r\n"),
        "authorization: Bearer \r\n".to_owned(),
        "authorization: Bearer ' OR 1=1; --\r\n".to_owned(),
        "authorization: Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.\r\n".to_owned(),
        format!("authorization: Bearer {}\r\n", "a".repeat(9000)),
        "authorization: Bearer \u{fe}\r\n".to_owned(),
    ];
    // a real key's id with another tenant's secret
    let (id_of_a, secret_of_b) = (
        key.rsplit_once('_').unwrap().0.rsplit_once('_').unwrap().0,
        stand.b.split('_').nth(2).unwrap(),
    );
    wrong.push(format!(
        "authorization: Bearer {id_of_a}_{secret_of_b}_00000000\r\n"
    ));
    let mut faces = Vec::new();
    for headers in &wrong {
        let reply = with(&stand, headers).await;
        assert_eq!(reply.status, 401, "{headers}: {}", reply.text());
        assert_eq!(reply.header("www-authenticate"), Some("bearer"));
        faces.push(face(&reply));
    }
    assert!(
        faces.windows(2).all(|pair| pair[0].1 == pair[1].1),
        "{faces:?}"
    );
    let none = with(&stand, "").await;
    assert_eq!(
        (none.status, none.code().as_str()),
        (401, "missing_api_key")
    );
    assert!(stand.fake.seen().is_empty());
    assert_eq!(
        with(&stand, &format!("authorization: bearer {key}\r\n"))
            .await
            .status,
        200,
        "the scheme has no case"
    );
}

#[tokio::test]
async fn the_credential_is_judged_before_a_byte_of_the_body() {
    let stand = stand().await;
    let head = "POST /v1/chat/completions";
    // announces a body that never comes, and bodies that nobody may read
    for headers in [
        "expect: 100-continue\r\ncontent-type: application/json\r\n",
        "content-type: text/plain\r\n",
    ] {
        let reply = Open::send(stand.address, head, headers, b"{not json")
            .await
            .finish()
            .await;
        assert_eq!(reply.status, 401, "{}", reply.text());
    }
}

#[tokio::test]
async fn an_unknown_model_and_a_model_of_others_are_the_same_answer() {
    let stand = stand().await;
    let narrow = stand
        .home
        .mint(0, Home::only(&["m"]), Limits::default())
        .await;
    let ask = async |key: &str, model: &str| {
        let mut body = chat("hi");
        body["model"] = json!(model);
        stand
            .open(key, "/v1/chat/completions", &body)
            .await
            .finish()
            .await
    };
    assert_eq!(ask(&narrow, "m").await.status, 200);
    let (unknown, others) = (
        ask(&narrow, "unheard-of").await,
        ask(&narrow, "hidden").await,
    );
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (404, "model_not_found")
    );
    assert_eq!(face(&unknown), face(&others));
    // nor do the model's own properties show
    for model in ["unpriced", "emb", "org/other:1"] {
        assert_eq!(face(&ask(&narrow, model).await), face(&unknown), "{model}");
    }
    let (unknown, others) = (
        stand.get(&narrow, "/v1/models/unheard-of").await,
        stand.get(&narrow, "/v1/models/hidden").await,
    );
    assert_eq!(face(&unknown), face(&others));
    let listed = stand.get(&narrow, "/v1/models").await.json();
    let ids: Vec<&str> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["m"]);
}

#[tokio::test]
async fn models_are_listed_and_found_with_and_without_v1() {
    let stand = stand().await;
    for prefix in ["", "/v1"] {
        let listed = stand
            .get(&stand.a, &format!("{prefix}/models"))
            .await
            .json();
        assert_eq!(listed["object"], "list");
        assert_eq!(listed["data"].as_array().unwrap().len(), 7);
        for id in ["m", "org/other:1"] {
            let model = stand.get(&stand.a, &format!("{prefix}/models/{id}")).await;
            assert_eq!(model.json()["id"], id, "{}", model.text());
        }
    }
    assert_eq!(stand.get("wrong", "/v1/models").await.status, 401);
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_and_so_is_the_wrong_route() {
    let stand = stand().await;
    for (path, body, status, code) in [
        (
            "/v1/chat/completions",
            json!({"model": "unpriced", "messages": [{"role": "user", "content": "x"}]}),
            400,
            "model_not_priced",
        ),
        (
            "/v1/embeddings",
            json!({"model": "m", "input": "x"}),
            400,
            "model_not_for_route",
        ),
        (
            "/v1/completions",
            json!({"model": "emb", "prompt": "x"}),
            400,
            "model_not_for_route",
        ),
        (
            "/v1/chat/completions",
            json!({"model": "priced", "messages": [{"role": "user", "content": "x"}], "web_search_options": {}}),
            400,
            "feature_not_priced",
        ),
    ] {
        let reply = stand.post(path, &body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{}",
            reply.text()
        );
    }
    assert!(stand.fake.seen().is_empty());
}

#[tokio::test]
async fn a_bad_body_is_a_400_that_names_the_field_and_reaches_no_upstream() {
    let stand = stand().await;
    let with = |field: &str, value: Value| {
        let mut body = chat("hi");
        body[field] = value;
        body.to_string().into_bytes()
    };
    let deep = format!(
        "{{\"model\":\"m\",\"messages\":[],\"metadata\":{}{}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let cases: Vec<(Vec<u8>, &str, Option<&str>)> = vec![
        (b"".to_vec(), "invalid_json", None),
        (b"{".to_vec(), "invalid_json", None),
        (b"\xff\xfe".to_vec(), "invalid_json", None),
        (b"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}".to_vec(), "invalid_json", None),
        (deep.into_bytes(), "json_too_deep", None),
        (b"{\"model\":\"m\",\"model\":\"hidden\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}".to_vec(), "duplicate_parameter", Some("model")),
        (with("api_base", json!("http://169.254.169.254/")), "unknown_parameter", Some("api_base")),
        (with("aws_credentials", json!({})), "unknown_parameter", Some("aws_credentials")),
        (with("tenant_id", json!("victim")), "unknown_parameter", Some("tenant_id")),
        (with("chat_template", json!("{{ x }}")), "unknown_parameter", Some("chat_template")),
        (with("temperature", json!("hot")), "invalid_type", Some("temperature")),
    ];
    for (body, code, param) in cases {
        let headers = format!("authorization: Bearer {}\r\n", stand.a);
        let reply = Open::send(stand.address, "POST /v1/chat/completions", &headers, &body)
            .await
            .finish()
            .await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, code),
            "{shown}: {}",
            reply.text()
        );
        assert_eq!(reply.json()["error"]["param"].as_str(), param, "{shown}");
        assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    }
    assert!(stand.fake.seen().is_empty());
}

#[tokio::test]
async fn paths_of_engines_admins_and_tricks_do_not_exist() {
    let stand = stand().await;
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/chat/completions",
        "/V1/chat/completions",
        "/v1/chat/completions/",
        "/v1//chat/completions",
        "//v1/chat/completions",
        "/v1/chat%2fcompletions",
        "/v1/chat/completions;x",
        "/v1/./chat/completions",
        "/x/../v1/chat/completions",
        "/v1/v1/chat/completions",
        "/metrics",
        "/healthz",
        "/readyz",
        "/admin/v1/tenants",
        "/invocations",
        "/score",
        "/rerank",
        "/pause",
        "/slots",
        "/props",
        "/tokenize",
        "/load_lora_adapter",
        "/v1/load_lora_adapter",
        "/v1/unload_lora_adapter",
        "/reset_prefix_cache",
        "/flush_cache",
        "/get_server_info",
        "/update_weights",
        "/sleep",
        "/wake_up",
        "/collective_rpc",
        "/pooling",
        "/classify",
        "/ping",
        "/version",
        "/server_info",
        "/start_profile",
        "/docs",
        "/openapi.json",
        "/v1/fine_tuning/jobs",
        "/v1/realtime",
        "/api/tags",
        "/api/generate",
        "/api/pull",
        "/v1/internal/model/load",
        "/debug/pprof",
    ] {
        for method in ["GET", "POST"] {
            let headers = format!("authorization: Bearer {}\r\n", stand.a);
            let reply = Open::send(stand.address, &format!("{method} {path}"), &headers, b"")
                .await
                .finish()
                .await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (404, "unknown_url"),
                "{method} {path}: {}",
                reply.text()
            );
        }
    }
    for (method, path) in [
        ("GET", "/v1/chat/completions"),
        ("DELETE", "/models"),
        ("PUT", "/v1/embeddings"),
    ] {
        let reply = Open::send(stand.address, &format!("{method} {path}"), "", b"")
            .await
            .finish()
            .await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (405, "method_not_allowed"),
            "{method} {path}"
        );
    }
    assert!(stand.fake.seen().is_empty());
}

#[tokio::test]
async fn a_smuggled_request_never_reaches_an_upstream() {
    let stand = Stand::start(|_| json_answer(&chat_answer("x"))).await;
    let inner_body = chat("smuggled").to_string();
    let inner = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{inner_body}",
        stand.b,
        inner_body.len()
    );
    let outer_body = chat("outer").to_string();
    let chunked = format!("{:x}\r\n{outer_body}\r\n0\r\n\r\n", outer_body.len());
    let key = format!("authorization: Bearer {}\r\n", stand.a);
    let length = chunked.len() + inner.len();
    for (framing, body) in [
        (
            format!("content-length: {length}\r\ntransfer-encoding: chunked"),
            format!("{chunked}{inner}"),
        ),
        (
            format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
            format!("{chunked}{inner}"),
        ),
        (
            "transfer-encoding: chunked, chunked".to_owned(),
            format!("{chunked}{inner}"),
        ),
        (
            "transfer-encoding:\x0bchunked".to_owned(),
            format!("{chunked}{inner}"),
        ),
        (
            format!(
                "content-length: {}\r\ncontent-length: {}",
                outer_body.len(),
                length
            ),
            format!("{outer_body}{inner}"),
        ),
        (
            format!(
                "content-length: {}\r\nupgrade: websocket\r\nconnection: upgrade",
                outer_body.len()
            ),
            format!("{outer_body}{inner}"),
        ),
    ] {
        let before = stand.fake.seen().len();
        let bytes = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{key}{framing}\r\n\r\n{body}"
        );
        let answers = stand::client::raw(stand.address, bytes.as_bytes()).await;
        assert!(
            answers.matches("HTTP/1.1 ").count() <= 1,
            "{framing}: {answers}"
        );
        let new = stand.fake.seen().split_off(before);
        assert!(new.iter().all(|seen| seen.asked() == "outer"), "{framing}");
        assert!(new.len() <= 1, "{framing}");
    }
}

#[tokio::test]
async fn limits_refuse_with_the_right_status_and_a_time_to_come_back() {
    let stand = stand().await;
    let once: Limits = serde_json::from_value(json!({"requests_per_minute": 1})).unwrap();
    let poor: Limits = serde_json::from_value(json!({"money_total": "0.000000001"})).unwrap();
    let hasty = stand.home.mint(0, compartment::Models::All, once).await;
    let poor = stand.home.mint(0, compartment::Models::All, poor).await;
    assert_eq!(
        stand
            .open(&hasty, "/v1/chat/completions", &chat("hi"))
            .await
            .finish()
            .await
            .status,
        200
    );
    let reply = stand
        .open(&hasty, "/v1/chat/completions", &chat("hi"))
        .await
        .finish()
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (429, "rate_limit_exceeded"),
        "{}",
        reply.text()
    );
    assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    let mut dear = chat("hi");
    dear["model"] = json!("priced");
    let reply = stand
        .open(&poor, "/v1/chat/completions", &dear)
        .await
        .finish()
        .await;
    assert_eq!(reply.status, 402, "{}", reply.text());
    assert_eq!(reply.json()["error"]["type"], "insufficient_quota");
    assert_eq!(stand.fake.seen().len(), 1);
}
