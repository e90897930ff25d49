//! The row about two models, or one that only the other tenant has.

use std::collections::HashMap;

use serde_json::Value;

use super::routes::with;
use crate::row::{Bench, Row, at_once};
use crate::target::{Answer, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(27, |bench| Box::pin(model_mixup(bench)))];

/// Calls at once.
const WIDTH: usize = 8;
/// Models of A alone that B names, at most.
const FOREIGN: usize = 5;

/// Row 27. Two models are asked the same in turn, and each answers for itself; a model that A alone is offered is an
/// unknown one to B.
async fn model_mixup(bench: &Bench) -> Result<Finding, Trouble> {
    let (mut tries, mut leaks) = (0_u64, Vec::new());
    let pair = two_models(bench).await?;
    if let Some(pair) = &pair {
        tries += interleaved(bench, pair, &mut leaks).await?;
    }
    let foreign = foreign_models(bench).await?;
    for model in &foreign {
        tries += 1;
        leaks.extend(named_by_b(bench, model).await?);
    }
    let mut shown = Vec::new();
    if let Some([(first, _), (second, _)]) = &pair {
        shown.push(format!(
            "{first} and {second} lead to different models upstream"
        ));
    }
    if !foreign.is_empty() {
        shown.push(format!(
            "A alone is offered and answered by {}",
            foreign.join(", ")
        ));
    }
    let control = if shown.is_empty() {
        Control::Absent(
            "both tenants are offered the same models, and no two of them lead to different models upstream".to_owned(),
        )
    } else {
        Control::Shown(shown.join("; "))
    };
    Ok(Finding::counted(
        control,
        leaks.len() as u64,
        tries,
        "calls were answered for another model, or by a model of A's alone",
    )
    .details(leaks)
    .reproduce("ask two models the same text in turn, with $KEY_A and $KEY_B: the upstream must be asked for each by its own name")
    .reproduce("name a model that only A is offered with $KEY_B: the answer must be that to a name nobody has"))
}

fn body(who: &Client, model: &str, text: &str) -> Value {
    with(who.chat_body(text), "model", model)
}

/// Two models that both tenants are offered, each with its name upstream; none where all have the same.
async fn two_models(bench: &Bench) -> Result<Option<[(String, String); 2]>, Trouble> {
    let echo = bench.echo()?;
    let mut known: Vec<(String, String)> = Vec::new();
    for model in bench.models.iter().take(8) {
        let (marker, mark) = (bench.canary(), echo.mark());
        let asked = body(&bench.a, model, &format!("Is {marker} here?"));
        bench.a.post("/v1/chat/completions", &asked).await?;
        let arrived = echo.requests_with(mark, marker.text());
        let upstream = arrived.first().and_then(|request| model_of(&request.body));
        if let Some(upstream) = upstream
            && known.iter().all(|(_, other)| *other != upstream)
        {
            known.push((model.clone(), upstream));
        }
    }
    known.truncate(2);
    Ok(known.try_into().ok())
}

fn model_of(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body.get("model")?.as_str()?.to_owned())
}

/// Asks both models the same texts, both tenants at once; how many answers were compared.
async fn interleaved(
    bench: &Bench,
    pair: &[(String, String); 2],
    leaks: &mut Vec<String>,
) -> Result<u64, Trouble> {
    let echo = bench.echo()?;
    let mark = echo.mark();
    let texts: Vec<String> = (0..bench.samples(125, 250).max(10))
        .map(|_| format!("What is {}?", bench.canary()))
        .collect();
    let [first, second] = pair;
    let mut asked: Vec<(&Client, &(String, String), &String)> = Vec::new();
    // each tenant asks for the second only once it has the answer of the first, which a cache may have kept
    for (of_a, of_b) in [(first, second), (second, first)] {
        for text in &texts {
            asked.extend([(&bench.a, of_a, text), (&bench.b, of_b, text)]);
        }
    }
    let mut calls = Vec::new();
    for (who, (model, _), text) in &asked {
        let body = body(who, model, text);
        calls.push(async move { who.post("/v1/chat/completions", &body).await });
    }
    let answers: Result<Vec<Answer>, Trouble> = at_once(WIDTH, calls).await.into_iter().collect();
    let answers = answers?;
    let made: HashMap<String, String> = echo
        .requests_since(mark)
        .iter()
        .filter_map(|request| Some((request.nonce.clone(), model_of(&request.body)?)))
        .collect();
    let mut compared = 0;
    for ((_, (model, upstream), _), answer) in asked.iter().zip(&answers) {
        let made_by: Vec<&String> = answer
            .nonces()
            .iter()
            .filter_map(|nonce| made.get(nonce))
            .collect();
        compared += u64::from(!made_by.is_empty());
        if let Some(other) = made_by.iter().find(|by| **by != upstream) {
            leaks.push(format!("{model} was asked, and {other} answered upstream"));
        }
    }
    Ok(compared)
}

/// Models that A is offered and answered by, and B is not offered.
async fn foreign_models(bench: &Bench) -> Result<Vec<String>, Trouble> {
    let listed = async |who: &Client| -> Result<Vec<String>, Trouble> {
        let list = who.get("/v1/models").await?.json();
        let data = list.get("data").and_then(Value::as_array);
        let ids = data
            .into_iter()
            .flatten()
            .filter_map(|model| model.get("id")?.as_str());
        Ok(ids.map(str::to_owned).collect())
    };
    let of_b = listed(&bench.b).await?;
    let mut foreign = Vec::new();
    for model in listed(&bench.a).await? {
        if of_b.contains(&model) || foreign.len() == FOREIGN {
            continue;
        }
        let asked = body(&bench.a, &model, &format!("Is {} here?", bench.canary()));
        if bench.a.post("/v1/chat/completions", &asked).await?.is_ok() {
            foreign.push(model);
        }
    }
    Ok(foreign)
}

/// What is wrong with the answer to B, which names a model of A's.
async fn named_by_b(bench: &Bench, model: &str) -> Result<Option<String>, Trouble> {
    let echo = bench.echo()?;
    let mark = echo.mark();
    let unknown: String = bench
        .canary()
        .text()
        .chars()
        .cycle()
        .take(model.chars().count())
        .collect();
    let text = format!("Is {} here?", bench.canary());
    let mut told = Vec::new();
    for name in [model, &unknown] {
        let answer = bench
            .b
            .post("/v1/chat/completions", &body(&bench.b, name, &text))
            .await?;
        if name == model && (answer.is_ok() || !echo.requests_since(mark).is_empty()) {
            return Ok(Some(format!("B named {model} and was answered by it")));
        }
        let said = answer.json();
        let part = |place: &str| {
            said.pointer(place)
                .map(|part| part.to_string().replace(name, "…"))
        };
        told.push((
            answer.status,
            part("/error/message"),
            part("/error/code"),
            part("/error/type"),
        ));
    }
    let same = told.first() == told.last();
    Ok((!same).then(|| format!("B is told of {model} something else than of a name nobody has")))
}
