//! No answer ever reaches whom it was not made for: many streams of two tenants at once, many of them cancelled.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use std::sync::Arc;

use serde_json::json;
use stand::{
    Stand,
    fake::{Step, chat_answer, chat_chunk, event, json_answer, sse_end, sse_head},
};

/// Rounds, and calls at once in each.
const ROUNDS: usize = 20;
const AT_ONCE: usize = 64;

/// A cheap reproducible spread, so that a failure comes again.
fn spread(seed: usize) -> usize {
    let mut x = (seed as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) as usize
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_foreign_nonce_reaches_anybody_however_calls_are_cancelled() {
    // the upstream repeats the nonce of the prompt in every piece
    let stand = Stand::start(|seen| {
        let nonce = seen.asked();
        if seen.body["stream"] != true {
            return json_answer(&chat_answer(&nonce));
        }
        let mut steps: Vec<Step> = vec![sse_head()];
        steps.extend(
            (0..20).map(|_| event(&chat_chunk(json!({"content": format!("{nonce} ")}), None))),
        );
        steps.push(event(&chat_chunk(json!({}), Some("stop"))));
        steps.extend(sse_end());
        steps
    })
    .await;
    let stand = Arc::new(stand);
    let (mut whole, mut cancelled) = (0, 0);
    for round in 0..ROUNDS {
        let calls: Vec<_> = (0..AT_ONCE)
            .map(|call| {
                let stand = Arc::clone(&stand);
                tokio::spawn(async move {
                    let luck = spread(round * AT_ONCE + call);
                    let tenant = if luck.is_multiple_of(2) { "a" } else { "b" };
                    let key = if tenant == "a" { &stand.a } else { &stand.b };
                    let nonce = format!("nonce-{tenant}-{round}-{call}-end");
                    let mut body = stand::chat(&nonce);
                    body["stream"] = json!(!luck.is_multiple_of(3));
                    let mut open = stand.open(key, "/v1/chat/completions", &body).await;
                    if luck % 10 < 3 {
                        open.read_at_least(luck % 4000).await;
                        let got = String::from_utf8_lossy(open.so_far()).into_owned();
                        foreign(&got, &nonce);
                        return false;
                    }
                    let reply = open.finish().await;
                    assert_eq!(reply.status, 200, "{}", reply.text());
                    assert!(reply.whole && reply.text().contains(&nonce));
                    foreign(&reply.text(), &nonce);
                    true
                })
            })
            .collect();
        for call in calls {
            if call.await.unwrap() {
                whole += 1
            } else {
                cancelled += 1
            }
        }
    }
    assert!(
        whole > ROUNDS * AT_ONCE / 2 && cancelled > ROUNDS * AT_ONCE / 5,
        "{whole} whole, {cancelled} cancelled"
    );
    // and no connection ever served both
    let mut owner = std::collections::HashMap::new();
    for seen in stand.fake.seen() {
        let tenant = seen.asked().split('-').nth(1).unwrap().to_owned();
        assert_eq!(
            *owner
                .entry(seen.connection)
                .or_insert_with(|| tenant.clone()),
            tenant
        );
    }
    stand.home.house.settled().await;
}

/// Every nonce in a text is this one.
fn foreign(text: &str, nonce: &str) {
    for found in text.split("nonce-").skip(1) {
        let whole = found.split("-end").next().unwrap();
        let expected = nonce.trim_start_matches("nonce-").trim_end_matches("-end");
        // a cancelled answer may be cut in the middle of one
        assert!(
            expected.starts_with(whole) || whole == expected,
            "{nonce} got {whole}"
        );
    }
}
