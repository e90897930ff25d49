//! Rows about what parts an engine's cache: the salt that the gateway writes, and what callers write in its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::routes::{Route, with};
use crate::echo::{Recorded, SALTS};
use crate::options::shorten;
use crate::row::{Bench, Row};
use crate::target::Client;
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(17, |bench| Box::pin(callers_choice(bench)))];

/// Salt fields of a request with their values, nested ones too; a caller's text is not looked through.
type Salts = BTreeMap<String, Value>;

fn salts(request: &Recorded) -> Salts {
    fn within(value: &Value, found: &mut Salts) {
        for (name, value) in value.as_object().into_iter().flatten() {
            if SALTS.contains(&name.as_str()) && *value != Value::Null {
                found.insert(name.clone(), value.clone());
            } else if !["messages", "prompt", "input", "tools"].contains(&name.as_str()) {
                within(value, found);
            }
        }
    }
    let mut found = Salts::new();
    within(&request.json().unwrap_or_default(), &mut found);
    found
}

/// What reached the upstream of a call on that route with these further fields; none where it was refused.
async fn arrived(
    bench: &Bench,
    who: &Client,
    route: Route,
    fields: &[(&str, Value)],
) -> Result<Option<Arc<Recorded>>, Trouble> {
    let echo = bench.echo()?;
    let (marker, mark) = (bench.canary(), echo.mark());
    let mut body = route.body(bench, who, &format!("Is {marker} here?"));
    for (name, value) in fields {
        body = with(body, name, value.clone());
    }
    route.send(who, &body).await?;
    Ok(echo.requests_with(mark, marker.text()).into_iter().next())
}

/// The routes whose prompts an engine keeps: not those of embeddings.
async fn generating(bench: &Bench) -> Result<Vec<Route>, Trouble> {
    let mut routes = Route::offered(bench).await?;
    routes.retain(|route| *route != Route::Embedding);
    Ok(routes)
}

/// Row 16 in echo mode: a salt that stands on one route stands on every route, and is the tenant's own on every route
/// where it is so on one.
pub(super) async fn on_every_route(bench: &Bench) -> Result<Finding, Trouble> {
    let routes = generating(bench).await?;
    let mut seen: Vec<(Route, Salts, Salts)> = Vec::new();
    for route in &routes {
        for _ in 0..bench.samples(20, 60) {
            let of_a = arrived(bench, &bench.a, *route, &[]).await?;
            let of_b = arrived(bench, &bench.b, *route, &[]).await?;
            if let (Some(of_a), Some(of_b)) = (of_a, of_b) {
                seen.push((*route, salts(&of_a), salts(&of_b)));
            }
        }
    }
    let salted = seen.iter().filter(|(_, of_a, _)| !of_a.is_empty()).count();
    let own = seen.iter().any(|(_, of_a, of_b)| of_a != of_b);
    let mut leaks = Vec::new();
    for (route, of_a, of_b) in &seen {
        if salted > 0 && (of_a.is_empty() || of_b.is_empty()) {
            leaks.push(format!("{}: no salt reached the upstream", route.name()));
        } else if own && of_a == of_b {
            leaks.push(format!("{}: both tenants have the same salt", route.name()));
        }
    }
    let control = if seen.is_empty() {
        Control::Missing("no route's call of both tenants reached the upstream".to_owned())
    } else if salted == 0 {
        Control::Absent(format!(
            "no request bears any of {}: there is no salt to drop, and row 15 shows what that means for a shared engine",
            SALTS.join(", ")
        ))
    } else {
        Control::Shown(format!(
            "{salted} of {} pairs of requests bear a salt",
            seen.len()
        ))
    };
    let count = leaks.len() as u64;
    leaks.dedup();
    Ok(Finding::counted(
        control,
        count,
        seen.len() as u64,
        "pairs of requests came without the tenants' own salts",
    )
    .detail(format!("routes: {}", Route::names(&routes)))
    .details(leaks)
    .reproduce("send a call on every route, with $KEY_A and with $KEY_B, and look at cache_salt or prompt_cache_key where the upstream reads them"))
}

/// Row 17. What a caller writes may part its own cache further; it must never make two tenants' salts equal, nor be read
/// in two ways.
async fn callers_choice(bench: &Bench) -> Result<Finding, Trouble> {
    bench.echo()?;
    let (mut tries, mut refused, mut leaks) = (0_u64, 0, Vec::new());
    let (mut own, mut same, mut passed) = (0, 0, 0);
    let routes = generating(bench).await?;
    for route in &routes {
        let plain_a = arrived(bench, &bench.a, *route, &[]).await?;
        let plain_b = arrived(bench, &bench.b, *route, &[]).await?;
        let (Some(plain_a), Some(plain_b)) = (plain_a, plain_b) else {
            continue;
        };
        let (plain_a, plain_b) = (salts(&plain_a), salts(&plain_b));
        own += u64::from(!plain_a.is_empty() && plain_a != plain_b);
        same += u64::from(!plain_a.is_empty() && plain_a == plain_b);
        for claim in claims(bench, &plain_a) {
            tries += 1;
            let of_b = arrived(bench, &bench.b, *route, &claim.fields).await?;
            let of_a = match claim.of_a {
                true => arrived(bench, &bench.a, *route, &claim.fields)
                    .await?
                    .map(|request| salts(&request)),
                false => Some(plain_a.clone()),
            };
            let (Some(of_a), Some(of_b)) = (of_a, of_b) else {
                refused += 1;
                continue;
            };
            let of_b = salts(&of_b);
            passed += u64::from(of_b != plain_b);
            let joined = of_b.iter().find(|(name, value)| {
                of_a.get(*name) == Some(value) && plain_b.get(*name) != Some(value)
            });
            leaks.extend(joined.map(|(name, value)| {
                format!(
                    "{}: with {} B's {name} is A's, {}",
                    route.name(),
                    claim.words,
                    shorten(&value.to_string())
                )
            }));
        }
        // a text that is put together of two must say where the one ends
        tries += 1;
        let parted = |first: &str, second: &str| {
            let both = [
                ("cache_salt", json!(first)),
                ("prompt_cache_key", json!(second)),
            ];
            async move { arrived(bench, &bench.b, *route, &both).await }
        };
        let text = bench.canary().to_string();
        let (front, back) = text.split_at(16);
        let (front_1, back_1) = text.split_at(17);
        let (first, second) = (parted(front, back).await?, parted(front_1, back_1).await?);
        if let (Some(first), Some(second)) = (first, second) {
            let (first, second) = (salts(&first), salts(&second));
            if first == second && first != plain_b {
                leaks.push(format!(
                    "{}: two callers' values that join to the same text give the same salt",
                    route.name()
                ));
            }
        } else {
            refused += 1;
        }
    }
    let control = match (own, same) {
        (0, 0) if tries == 0 => Control::Missing("no plain call reached the upstream".to_owned()),
        (0, 0) => Control::Absent(format!(
            "no plain request bears a salt; of what callers write, {passed} values arrive as one"
        )),
        (0, _) => Control::Missing(
            "both tenants' plain calls bear the same salt: row 15 speaks of that".to_owned(),
        ),
        _ => Control::Shown(format!(
            "on {own} of {} routes the upstream sees another salt for each tenant",
            routes.len()
        )),
    };
    Ok(Finding::counted(
        control,
        leaks.len() as u64,
        tries,
        "values of callers joined another's cache",
    )
    .details(leaks)
    .detail(format!("{refused} were refused, {passed} changed B's own salt"))
    .detail(format!("routes: {}", Route::names(&routes)))
    .reproduce("send {\"cache_salt\": \"x\", …} with $KEY_A and with $KEY_B: the upstream must see two different salts, or none of the caller's")
    .reproduce("the same with prompt_cache_key, extra_key, and with the salt that the upstream sees of A's plain calls"))
}

/// What B writes.
struct Claim {
    words: String,
    fields: Vec<(&'static str, Value)>,
    /// Whether A writes it too; otherwise B's salt is compared with that of A's plain calls.
    of_a: bool,
}

fn claims(bench: &Bench, plain_a: &Salts) -> Vec<Claim> {
    let mut claims = Vec::new();
    for name in SALTS {
        let value = bench.canary().to_string();
        claims.push(Claim {
            words: format!("the same {name} as A"),
            fields: vec![(name, json!(value))],
            of_a: true,
        });
        for nest in ["extra_body", "nvext", "metadata"] {
            claims.push(Claim {
                words: format!("the same {nest}.{name} as A"),
                fields: vec![(nest, json!({name: value}))],
                of_a: true,
            });
        }
        for (of, value) in plain_a {
            claims.push(Claim {
                words: format!("A's own {of} as {name}"),
                fields: vec![(name, value.clone())],
                of_a: false,
            });
        }
    }
    claims
}
