//! The row about what a gateway writes down of one tenant, and tells another.

use std::time::Duration;

use serde_json::{Value, json};

use crate::canary::{Canary, found};
use crate::echo::{Echo, Script};
use crate::row::{Bench, Row, at_once};
use crate::target::{Answer, Ask, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(22, |bench| Box::pin(trace_leak(bench)))];

/// Where a tenant may read what happened: usage, records, traces, logs, lists.
const PLACES: [&str; 41] = [
    "/v1/models",
    "/v1/usage",
    "/v1/logs",
    "/v1/traces",
    "/v1/requests",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/conversations",
    "/v1/files",
    "/v1/batches",
    "/v1/organization/usage/completions",
    "/v1/organization/costs",
    "/v1/organization/audit_logs",
    "/usage",
    "/logs",
    "/traces",
    "/requests",
    "/errors",
    "/spend/logs",
    "/spend/tags",
    "/global/spend/logs",
    "/key/info",
    "/user/info",
    "/user/daily/activity",
    "/health",
    "/health/readiness",
    "/healthz",
    "/status",
    "/stats",
    "/metrics",
    "/debug/vars",
    "/cache/ping",
    "/callbacks/logs",
    "/api/logs",
    "/api/traces",
    "/api/usage",
    "/api/log/",
    "/tenant/v1/self",
    "/tenant/v1/usage",
    "/tenant/v1/journal/records",
    "/tenant/v1/keys",
];
/// Where an operator reads, beside all of these.
const OPERATOR_PLACES: [&str; 6] = [
    "/readyz",
    "/admin/v1/tenants",
    "/admin/v1/models",
    "/admin/v1/deployment/checkpoint",
    "/admin/v1/logs",
    "/admin/v1/traces",
];
/// How long A waits for an upstream that does not answer.
const BRIEF: Duration = Duration::from_millis(40);
/// How long that upstream says nothing.
const HANGS: Duration = Duration::from_secs(2);
/// Calls at once.
const WIDTH: usize = 8;

/// Ways in which a call goes, or goes wrong.
#[derive(Debug, Clone, Copy)]
enum Way {
    Plain,
    Streamed,
    Left,
    Refused,
    Broken,
    Garbage,
    Field,
    Model,
    NotJson,
    Path,
    Labels,
}

const WAYS: [Way; 11] = [
    Way::Plain,
    Way::Streamed,
    Way::Left,
    Way::Refused,
    Way::Broken,
    Way::Garbage,
    Way::Field,
    Way::Model,
    Way::NotJson,
    Way::Path,
    Way::Labels,
];

impl Way {
    /// Whether the upstream fails in it.
    fn fails(self) -> bool {
        matches!(self, Way::Left | Way::Broken | Way::Garbage)
    }
}

/// Row 22. Nothing that A wrote, however its calls ended, stands in what B is told: errors, usage, records, lists; nor in
/// what an operator's metrics and lists say, where they were given.
async fn trace_leak(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let rounds = bench.samples(5, 20);
    let (mut canaries, mut shown) = (Vec::new(), 0);
    for round in 0..rounds {
        // once is enough to be written down; often, and a gateway rests the upstream for everybody
        for way in WAYS.into_iter().filter(|way| round == 0 || !way.fails()) {
            let canary = bench.canary();
            if let Some(answer) = go(echo, &bench.a, way, &canary).await? {
                shown += usize::from(canary.found_in(&answer.body).is_some());
            }
            canaries.push(canary);
        }
    }
    let (mut leaks, mut tries, mut readable) = (Vec::new(), 0_u64, 0);
    let mut scan = |whose: &str, what: &str, answer: &Answer| {
        tries += 1;
        let mut text = answer.body.to_vec();
        for (name, value) in &answer.headers {
            text.extend_from_slice(format!("\n{name}: ").as_bytes());
            text.extend_from_slice(value.as_bytes());
        }
        let key = found(bench.a.key().secret(), &text).map(|how| ("A's key", how));
        let canary = canaries
            .iter()
            .find_map(|canary| canary.found_in(&text))
            .map(|how| ("a text of A", how));
        if let Some((secret, how)) = key.or(canary) {
            leaks.push(format!(
                "{whose} is shown {secret} ({how}) by {what} ({})",
                answer.status
            ));
        }
    };
    for way in WAYS {
        if let Some(answer) = go(echo, &bench.b, way, &bench.canary()).await? {
            scan("B", &format!("its own call ({way:?})"), &answer);
        }
    }
    for (place, answer) in read(&bench.b, &PLACES, true).await? {
        readable += usize::from(answer.is_ok());
        scan("B", &format!("GET {place}"), &answer);
    }
    for (place, answer) in read(&bench.b, &PLACES, false).await? {
        scan("anybody", &format!("GET {place}"), &answer);
    }
    let mut of_operator = 0;
    if let Some(admin) = &bench.admin {
        for (place, answer) in
            read(admin, &[&PLACES[..], &OPERATOR_PLACES[..]].concat(), true).await?
        {
            of_operator += usize::from(answer.is_ok());
            scan("an operator", &format!("GET {place}"), &answer);
        }
    }
    let control = if shown >= rounds && readable > 0 {
        Control::Shown(format!(
            "A is shown {shown} of its {} texts itself; {readable} places answer B, and {of_operator} an operator",
            canaries.len()
        ))
    } else {
        Control::Missing(format!(
            "A is shown {shown} of its {} texts itself, and {readable} places answer B",
            canaries.len()
        ))
    };
    Ok(Finding::counted(control, leaks.len() as u64, tries, "answers told of another tenant's calls")
        .details(leaks)
        .detail(format!("{} texts of A, in calls that went well, were left, were refused, broke, or were no calls", canaries.len()))
        .measure("places", readable as f64)
        .reproduce("put a random word into calls with $KEY_A that succeed, fail and are cancelled; look for it in every answer to $KEY_B, and in the metrics"))
}

/// One call that goes this way; its answer, where it was waited for.
async fn go(
    echo: &Echo,
    who: &Client,
    way: Way,
    canary: &Canary,
) -> Result<Option<Answer>, Trouble> {
    let text = format!("Tell me about {canary}");
    let path = "/v1/chat/completions";
    let asks = |fields: Value| Ask::post(path, &who.chat_body_with(&text, &fields));
    let ask = match way {
        Way::Plain | Way::Left | Way::Refused | Way::Broken | Way::Garbage => asks(Value::Null),
        Way::Streamed => asks(json!({"stream": true})),
        Way::Field => asks(json!({format!("field_{canary}"): canary.text()})),
        Way::Model => asks(json!({"model": format!("model-{canary}")})),
        Way::NotJson => Ask::new("POST", path).body(format!("{{\"messages\": \"{canary}")),
        Way::Path => Ask::get(&format!("/v1/{canary}")),
        Way::Labels => asks(json!({"user": canary.text()}))
            .header("x-request-id", canary.text())
            .header("user-agent", canary.text()),
    };
    let message = format!("the prompt was: {text}");
    match way {
        Way::Left => echo.when(canary.text(), |_| Script {
            first_after: HANGS,
            ..Script::default()
        }),
        Way::Refused => echo.when(canary.text(), move |_| Script::fail(400, message.clone())),
        Way::Broken => echo.when(canary.text(), move |_| Script::fail(500, message.clone())),
        Way::Garbage => echo.when(canary.text(), move |_| Script {
            body: Some(json!({"unexpected": message})),
            ..Script::default()
        }),
        _ => {}
    }
    if matches!(way, Way::Left) {
        let mark = echo.mark();
        let arrives = echo.wait(mark, HANGS, |requests| {
            requests.iter().any(|request| request.holds(canary.text()))
        });
        // left once it has arrived, or after a moment where it never does
        tokio::select! {
            answer = who.send(&ask) => return answer.map(Some),
            () = async { arrives.await; tokio::time::sleep(BRIEF).await } => return Ok(None),
        }
    }
    who.send(&ask).await.map(Some)
}

/// What these places answer, with the client's key or without any.
async fn read<'a>(
    who: &Client,
    places: &[&'a str],
    with_key: bool,
) -> Result<Vec<(&'a str, Answer)>, Trouble> {
    let mut asks = Vec::new();
    for place in places {
        let ask = Ask::get(place);
        asks.push(if with_key { ask } else { ask.without_key() });
    }
    let mut calls = Vec::new();
    for ask in &asks {
        calls.push(who.send(ask));
    }
    let mut told = Vec::new();
    for (place, answer) in places.iter().zip(at_once(WIDTH, calls).await) {
        match answer {
            Ok(answer) => told.push((*place, answer)),
            // a list that is too long or never ends is one place less, and no reason to read none of the others
            Err(Trouble::Connection(_) | Trouble::TimedOut) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(told)
}
