//! Whose credential goes to an upstream.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use jiff::Timestamp;
use stand::{
    Stand, chat,
    fake::{answer, chat_answer, json_answer},
};

#[tokio::test]
async fn a_tenants_own_credential_goes_with_its_own_calls_alone_and_takes_its_connections_with_it()
{
    let stand = Stand::start(|_| json_answer(&chat_answer("x"))).await;
    let ask = async |key: &str| {
        assert_eq!(
            stand
                .open(key, "/v1/chat/completions", &chat("hi"))
                .await
                .finish()
                .await
                .status,
            200
        );
    };
    let steward = stand.home.steward(0).await;
    ask(&stand.a).await;
    steward
        .vault()
        .unwrap()
        .set("main", "sk-own-1", Timestamp::now())
        .await
        .unwrap();
    ask(&stand.a).await;
    ask(&stand.b).await;
    steward
        .vault()
        .unwrap()
        .set("main", "sk-own-2", Timestamp::now())
        .await
        .unwrap();
    ask(&stand.a).await;
    steward
        .vault()
        .unwrap()
        .remove("main", Timestamp::now())
        .await
        .unwrap();
    ask(&stand.a).await;
    let seen = stand.fake.seen();
    let sent: Vec<&str> = seen
        .iter()
        .map(|seen| seen.header("authorization"))
        .collect();
    let operators = "Bearer sk-operator-key";
    assert_eq!(
        sent,
        [
            operators,
            "Bearer sk-own-1",
            operators,
            "Bearer sk-own-2",
            operators
        ]
    );
    let connections: Vec<usize> = seen.iter().map(|seen| seen.connection).collect();
    assert_eq!(
        connections,
        [0, 1, 2, 3, 4],
        "no connection outlives its credential"
    );
}

#[tokio::test]
async fn a_refused_credential_says_so_and_closes_the_upstream_to_nobody() {
    let stand = Stand::start(|seen| match seen.header("authorization") {
        "Bearer sk-operator-key" => json_answer(&chat_answer("x")),
        _ => answer(
            401,
            "content-type: application/json\r\n",
            "{\"error\":{\"message\":\"Incorrect API key provided: sk-wrong\"}}",
        ),
    })
    .await;
    stand
        .home
        .steward(0)
        .await
        .vault()
        .unwrap()
        .set("main", "sk-wrong", Timestamp::now())
        .await
        .unwrap();
    for _ in 0..8 {
        let reply = stand.post("/v1/chat/completions", &chat("hi")).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (502, "upstream_credential_refused")
        );
        assert!(!reply.text().contains("sk-wrong"));
    }
    let others = stand
        .open(&stand.b, "/v1/chat/completions", &chat("hi"))
        .await
        .finish()
        .await;
    assert_eq!(others.status, 200);
}
