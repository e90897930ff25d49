//! The row about hashes of content that a client brings.

use serde_json::{Value, json};

use super::routes::with;
use crate::canary::Canary;
use crate::row::{Bench, Row};
use crate::target::{Answer, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(18, |bench| Box::pin(content_hashes(bench)))];

/// A black pixel.
const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";

/// Fields at the top of a body that engines take, or took, for the key of content.
const TOP: [&str; 12] = [
    "mm_hashes",
    "mm_hash",
    "multi_modal_uuids",
    "mm_uuids",
    "multi_modal_hashes",
    "mm_processor_cache_key",
    "image_hashes",
    "content_hash",
    "prompt_hash",
    "cache_hash",
    "block_hashes",
    "kv_transfer_params",
];
/// Fields beside or inside a part of a message.
const OF_A_PART: [&str; 6] = [
    "uuid",
    "mm_hash",
    "hash",
    "image_hash",
    "cache_key",
    "pad_value",
];

/// Row 18. No hash that a client writes may reach an engine, which takes it for the hash of the content.
async fn content_hashes(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let mark = echo.mark();
    let seen = bench.canary();
    let plain = bench.a.chat(&format!("Is {seen} here?")).await?;
    let arrives = plain.is_ok() && !echo.requests_with(mark, seen.text()).is_empty();
    let picture = part(
        bench,
        json!({"type": "image_url", "image_url": {"url": PIXEL}}),
    );
    let pictures = send(&bench.a, &picture).await?.is_ok();
    let (mut tries, mut refused, mut leaks) = (0_u64, 0, Vec::new());
    for (words, hash, body) in poisoned(bench, pictures) {
        tries += 1;
        let mark = echo.mark();
        refused += u64::from(!send(&bench.b, &body).await?.is_ok());
        let found = echo
            .requests_since(mark)
            .iter()
            .find_map(|request| hash.found_in(&request.body));
        leaks.extend(found.map(|spelling| format!("{words} reached the upstream ({spelling})")));
    }
    let control = if arrives {
        Control::Shown("what A writes into a message reaches the upstream as it is".to_owned())
    } else {
        Control::Missing("what A writes into a message was not seen at the upstream".to_owned())
    };
    let count = leaks.len() as u64;
    leaks.dedup();
    Ok(Finding::counted(
        control,
        count,
        tries,
        "hashes that B wrote reached the upstream",
    )
    .details(leaks)
    .detail(format!("{refused} were refused"))
    .detail(if pictures {
        "messages with images are answered, and were tried"
    } else {
        "messages with images are refused"
    })
    .measure("refused", refused as f64)
    .reproduce("send a chat with \"mm_hashes\": {\"image\": [\"x\"]}, or an image part with \"uuid\": \"x\", and $KEY_B: x must not reach the upstream"))
}

async fn send(who: &Client, body: &Value) -> Result<Answer, Trouble> {
    let body = with(body.clone(), "model", who.model());
    who.post("/v1/chat/completions", &body).await
}

/// A chat with this part in its only message, beside a text.
fn part(bench: &Bench, part: Value) -> Value {
    let text = json!({"type": "text", "text": format!("What is this, {}?", bench.canary())});
    json!({"messages": [{"role": "user", "content": [text, part]}], "max_tokens": 16})
}

/// Every place for a hash: what it is called, the hash, and the body.
fn poisoned(bench: &Bench, pictures: bool) -> Vec<(String, Canary, Value)> {
    let mut all = Vec::new();
    let plain = |bench: &Bench| bench.a.chat_body(&format!("Is {} here?", bench.canary()));
    for name in TOP {
        for shape in [
            |hash: &str| json!(hash),
            |hash: &str| json!([hash]),
            |hash: &str| json!({"image": [hash]}),
        ] {
            let hash = bench.canary();
            let body = with(plain(bench), name, shape(hash.text()));
            all.push((format!("{name} at the top"), hash, body));
        }
    }
    for name in OF_A_PART {
        let hash = bench.canary();
        let text = json!({"type": "text", "text": "Here it is.", name: hash.text()});
        all.push((format!("{name} of a text"), hash, part(bench, text)));
        if pictures {
            let hash = bench.canary();
            let beside =
                json!({"type": "image_url", "image_url": {"url": PIXEL}, name: hash.text()});
            all.push((format!("{name} of an image"), hash, part(bench, beside)));
            let hash = bench.canary();
            let inside =
                json!({"type": "image_url", "image_url": {"url": PIXEL, name: hash.text()}});
            all.push((format!("image_url.{name}"), hash, part(bench, inside)));
        }
    }
    all
}
