//! What a tenant used and may use, over the steward API.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use serde_json::{Value, json};
use stand::{
    Stand, chat,
    desk::Desk,
    fake::{chat_answer, json_answer},
};

const ALL: [&str; 4] = ["infer", "mint_sessions", "steward", "audit"];

async fn stand() -> Stand {
    Stand::start(|_| json_answer(&chat_answer("x"))).await
}

/// Somebody of tenant A who may do everything.
async fn whole(stand: &Stand) -> Desk {
    stand.desk(&stand.control().mint(stand, 0, &ALL).await.0)
}

#[tokio::test]
async fn usage_adds_up_to_what_the_calls_cost_however_it_is_summed() {
    let stand = stand().await;
    let desk = whole(&stand).await;
    let other = stand.desk(&stand.a);
    let mut cost = 0;
    for (desk, model) in [
        (&desk, "priced"),
        (&desk, "m"),
        (&other, "priced"),
        (&other, "priced"),
    ] {
        let mut body = chat("hello");
        body["model"] = json!(model);
        let reply = desk.post("/v1/chat/completions", body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        stand.house().settled().await;
        let call = desk
            .get(&format!(
                "/tenant/v1/calls/{}",
                reply.header("x-request-id").unwrap()
            ))
            .await
            .expect(200);
        assert_eq!(
            (&call["state"], &call["outcome"]),
            (&json!("settled"), &json!("completed"))
        );
        cost += nanos(&call["cost"]);
    }
    // gpt-4o-mini: 7 tokens in at 0.15 and 3 out at 0.60 for a million, three times
    assert_eq!(cost, 3 * (7 * 150 + 3 * 600));
    for (by, rows) in [("day", 1), ("key", 2), ("model", 2), ("each", 3)] {
        let usage = desk
            .get(&format!("/tenant/v1/usage?by={by}"))
            .await
            .expect(200);
        let data = usage["data"].as_array().unwrap();
        assert_eq!(data.len(), rows, "{by}: {usage}");
        let sum = |field: &str| {
            data.iter()
                .map(|row| row[field].as_u64().unwrap())
                .sum::<u64>()
        };
        assert_eq!(
            (sum("calls"), sum("input_tokens"), sum("output_tokens")),
            (4, 28, 12),
            "{by}"
        );
        assert_eq!(
            data.iter().map(|row| nanos(&row["cost"])).sum::<u64>(),
            cost,
            "{by}"
        );
        assert_eq!(
            (nanos(&usage["total"]["cost"]), &usage["total"]["calls"]),
            (cost, &json!(4)),
            "{by}"
        );
    }
    let of_one = desk
        .get("/tenant/v1/usage?by=model&model=m")
        .await
        .expect(200);
    assert_eq!(
        (&of_one["total"]["calls"], nanos(&of_one["total"]["cost"])),
        (&json!(1), 0)
    );
    let never = desk
        .get("/tenant/v1/usage?from=2001-01-01&to=2001-12-31")
        .await
        .expect(200);
    assert_eq!(never["total"]["calls"], json!(0));
    let neighbours = stand.desk(&stand.control().mint(&stand, 1, &["steward"]).await.0);
    assert_eq!(
        neighbours.get("/tenant/v1/usage").await.expect(200)["total"]["calls"],
        json!(0)
    );
}

/// An amount of money in billionths.
fn nanos(amount: &Value) -> u64 {
    let amount = amount.as_str().unwrap();
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{part:0<9}").parse().unwrap()
}

#[tokio::test]
async fn a_keys_own_limits_hold_for_it_alone() {
    let stand = stand().await;
    let desk = whole(&stand).await;
    let wish = json!({"name": "slow", "scopes": ["infer"], "limits": {"requests_per_minute": 1}});
    let minted = desk.post("/tenant/v1/keys", wish).await.expect(201);
    let slow = stand.desk(minted["key"].as_str().unwrap());
    let ask = async |desk: &Desk| desk.post("/v1/chat/completions", chat("hello")).await;
    assert_eq!(ask(&slow).await.status, 200);
    let refused = ask(&slow).await;
    assert_eq!(refused.refusal(), (429, "rate_limit_exceeded".to_owned()));
    assert!(
        refused
            .header("retry-after")
            .unwrap()
            .parse::<u32>()
            .unwrap()
            >= 1
    );
    assert_eq!(ask(&desk).await.status, 200, "other keys go on");
    let path = format!("/tenant/v1/keys/{}", minted["id"].as_str().unwrap());
    let changed = desk
        .call("PATCH", &path, Some(&json!({"limits": null})))
        .await
        .expect(200);
    assert_eq!(changed["limits"], json!({}));
    assert_eq!(
        ask(&slow).await.status,
        200,
        "a limit that is taken away holds no longer"
    );
}
