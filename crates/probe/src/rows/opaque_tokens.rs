//! The row about tokens that a gateway makes itself, and their use where they were not meant.

use serde_json::{Value, json};

use super::door::{show_tokens, statuses, try_key};
use super::identity::{alike, others};
use super::objects::{KINDS, Kind, is_plain};
use crate::row::{Bench, Row};
use crate::target::{Ask, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(10, |bench| Box::pin(key_reuse(bench)))];

/// Routes that hand out tokens for end users, and where the token stands in the answer.
const MINTS: [(&str, &str); 3] = [
    ("/tenant/v1/sessions", "/token"),
    ("/v1/realtime/client_secrets", "/value"),
    ("/v1/realtime/sessions", "/client_secret/value"),
];

/// A token in use.
struct Minted {
    route: &'static str,
    token: String,
}

/// Row 10. A token opens what it was made for: changed, cut, put together from two, or in another's place it opens nothing.
async fn key_reuse(bench: &Bench) -> Result<Finding, Trouble> {
    let mut refused = Vec::new();
    let of_a = mint(bench, &bench.a, &mut refused).await?;
    let of_b = mint(bench, &bench.b, &mut Vec::new()).await?;
    let (Some(of_a), Some(of_b)) = (of_a, of_b) else {
        return Ok(Finding::not_tested(format!(
            "the keys given are handed no tokens ({})",
            refused.join(", ")
        )));
    };
    let mut ids = Vec::new();
    for who in [&bench.a, &bench.b] {
        for kind in &KINDS {
            if let Ok(id) = kind.make(bench, who, &bench.canary()).await? {
                ids.push((kind, who, id));
            }
        }
    }
    let mut forged = bench.draw(|chance| alike(chance, &of_a.token, bench.samples(200, 600)));
    forged.extend(mixed(&of_a.token, &of_b.token));
    for (kind, _, id) in &ids {
        forged.push((format!("an id of {}", kind.route), id.clone()));
        let (prefix, _) = parts(&of_a.token);
        let (_, rest) = parts(id);
        forged.push((
            format!("an id of {} under a token's prefix", kind.route),
            format!("{prefix}{rest}"),
        ));
    }
    let (prefix, rest) = parts(&of_a.token);
    forged.push((
        "a token of nobody".to_owned(),
        format!("{prefix}{}", bench.draw(|chance| others(chance, rest))),
    ));
    let own = [&of_a.token, &of_b.token];
    // the last character of base64 can hold bits that nobody reads: that is another spelling, not another token
    forged.retain(|(_, token)| {
        own.iter()
            .all(|own| *own != token && !is_respelt(own, token))
    });

    let (knocks, mut leaks) = show_tokens(bench, &forged).await?;
    let mut tries = forged.len() as u64;
    for (what, ask) in misplaced(&of_a, &ids) {
        tries += 1;
        let answer = bench.b.send(&ask).await?;
        if answer.is_ok() {
            leaks.push(format!("{what} was taken ({})", answer.status));
        }
    }
    for (kind, who, id) in &ids {
        if let Some(ask) = kind.deleting(id) {
            who.send(&ask).await?;
        }
    }
    let mut let_in = 0;
    for token in own {
        let_in += usize::from(try_key(bench, token).await?.is_served());
    }
    let control = if let_in == own.len() {
        Control::Shown(format!(
            "the tokens of both tenants from {} are let in; {} ids were tried in their place",
            of_a.route,
            ids.len()
        ))
    } else {
        Control::Missing(format!(
            "only {let_in} of 2 tokens from {} are let in as they are",
            of_a.route
        ))
    };
    Ok(Finding::counted(control, leaks.len() as u64, tries, "tokens opened what they were not made for")
        .details(leaks)
        .detail(format!("answers: {}", statuses(&knocks)))
        .reproduce(format!("POST $TARGET{} with $KEY_A; change any character of the token, or put another id's rest behind its prefix, and call with it: 401", of_a.route)))
}

/// A token for an end user from the first route that gives one.
async fn mint(
    bench: &Bench,
    who: &Client,
    refused: &mut Vec<String>,
) -> Result<Option<Minted>, Trouble> {
    for (route, place) in MINTS {
        let body = match route {
            "/tenant/v1/sessions" => json!({"subject": bench.canary().text()}),
            "/v1/realtime/sessions" => json!({"model": who.model()}),
            _ => json!({"session": {"type": "realtime", "model": who.model()}}),
        };
        let answer = who.post(route, &body).await?;
        let found = answer.json();
        let token = found.pointer(place).and_then(Value::as_str);
        if let Some(token) = token.filter(|token| answer.is_ok() && is_plain(token)) {
            return Ok(Some(Minted {
                route,
                token: token.to_owned(),
            }));
        }
        refused.push(format!("POST {route}: {}", answer.status));
    }
    Ok(None)
}

/// The front of one token and the back of another, at eight cuts.
fn mixed(one: &str, other: &str) -> Vec<(String, String)> {
    let mut mixed = Vec::new();
    for eighth in 1..8 {
        let cut = |token: &str| token.len() * eighth / 8;
        let (front, _) = one.split_at(cut(one));
        let (_, back) = other.split_at(cut(other));
        mixed.push((
            format!("{eighth}/8 of A's token and the rest of B's"),
            format!("{front}{back}"),
        ));
        let (front, _) = other.split_at(cut(other));
        let (_, back) = one.split_at(cut(one));
        mixed.push((
            format!("{eighth}/8 of B's token and the rest of A's"),
            format!("{front}{back}"),
        ));
    }
    mixed
}

/// What names the kind of a token, and the rest.
fn parts(token: &str) -> (&str, &str) {
    token.split_at(token.find(['_', '-', '.']).map_or(0, |at| at + 1))
}

fn is_respelt(own: &str, token: &str) -> bool {
    own.len() == token.len()
        && own.get(..own.len().saturating_sub(1)) == token.get(..own.len().saturating_sub(1))
}

/// Tokens where an id belongs, ids under a token's form where an id belongs, and an end user's token where a key is needed.
fn misplaced(of_a: &Minted, ids: &[(&Kind, &Client, String)]) -> Vec<(String, Ask)> {
    let mut asks = Vec::new();
    for (kind, _, id) in ids {
        let (prefix, _) = parts(id);
        let (_, rest) = parts(&of_a.token);
        asks.push((
            format!("A's token for an id of {}", kind.route),
            kind.reading(&of_a.token),
        ));
        asks.push((
            format!("A's token under the prefix of an id of {}", kind.route),
            kind.reading(&format!("{prefix}{rest}")),
        ));
    }
    let as_user = format!("Bearer {}", of_a.token);
    let body = json!({"subject": "probe", "session": {"type": "realtime"}, "name": "probe"});
    for route in [of_a.route, "/tenant/v1/keys"] {
        let ask = Ask::post(route, &body).header("authorization", &as_user);
        asks.push((format!("an end user's token at POST {route}"), ask));
    }
    asks
}
