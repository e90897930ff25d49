//! The engine behind JSON lines, for comparing it with another: one request a line in, one answer a line out.
//!
//! `engine --import SOURCE.gguf RESULT.gguf` imports a model first; `engine MODEL.gguf`, then for example
//! `{"tokenise": "text"}`, `{"chat": [{"role": "user", "content": "Hi"}]}` (tokens of the rendered prompt),
//! `{"greedy": [1, 2], "max_tokens": 16}` (the ids chosen and, for each, the lead over the runner-up in logits),
//! `{"logits": [1, 2]}` (the ten best), `{"bench": [1, 2], "decode": 64}` (seconds for prefill and decode).

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use cell::engine::Engine;
use serde_json::{Value, json};
use wire::cell::Prompt;

/// A result whose error is a sentence.
type Outcome<T> = Result<T, String>;

fn main() -> Outcome<()> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if let [flag, source, result] = paths.as_slice()
        && flag.as_os_str() == "--import"
    {
        let imported = cell::import::import(source, result, &mut |_| {}).map_err(text)?;
        println!("{}", imported.result_sha256);
        return Ok(());
    }
    let path = paths.first().ok_or("usage: engine MODEL.gguf")?;
    // where a cell computes as well
    rayon::scope(|_| converse(path))
}

fn converse(path: &Path) -> Outcome<()> {
    let mut engine = Engine::load(path, None).map_err(text)?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request: Value = line
            .map_err(text)
            .and_then(|line| serde_json::from_str(&line).map_err(text))?;
        let answer = answer(&mut engine, &request)?;
        writeln!(out, "{answer}")
            .and_then(|()| out.flush())
            .map_err(text)?;
    }
    Ok(())
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn answer(engine: &mut Engine, request: &Value) -> Outcome<Value> {
    let number = |name: &str| request.get(name).and_then(Value::as_u64).unwrap_or(32) as usize;
    if let Some(words) = request.get("tokenise").and_then(Value::as_str) {
        return engine
            .prompter()
            .vocabulary()
            .encode_text(words)
            .map(|ids| json!(ids))
            .map_err(text);
    }
    if let Some(messages) = request.get("chat").and_then(Value::as_array) {
        let prompt = Prompt::Chat {
            messages: messages.clone(),
            tools: Vec::new(),
        };
        return engine
            .prompter()
            .tokens(&prompt)
            .map(|ids| json!(ids))
            .map_err(text);
    }
    if let Some(ids) = ids(request, "greedy") {
        return greedy(engine, ids, number("max_tokens"));
    }
    if let Some(ids) = ids(request, "logits") {
        return Ok(json!(best(&engine.logits(&ids).map_err(text)?, 10)));
    }
    if let Some(ids) = ids(request, "bench") {
        let decode = number("decode");
        let start = Instant::now();
        let first = best(&engine.logits(&ids).map_err(text)?, 1);
        let prefill = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let mut next = first.first().map_or(0, |(id, _)| *id);
        for _ in 0..decode {
            let logits = engine.extend(&[next]).map_err(text)?;
            next = best(&logits, 1).first().map_or(0, |(id, _)| *id);
        }
        return Ok(json!({"prefill": prefill, "decode": start.elapsed().as_secs_f64()}));
    }
    Err("unknown request".to_owned())
}

fn ids(request: &Value, name: &str) -> Option<Vec<u32>> {
    request
        .get(name)?
        .as_array()?
        .iter()
        .map(|id| id.as_u64().map(|id| id as u32))
        .collect()
}

fn greedy(engine: &mut Engine, ids: Vec<u32>, most: usize) -> Outcome<Value> {
    let mut logits = engine.logits(&ids).map_err(text)?;
    let (mut chosen, mut leads) = (Vec::new(), Vec::new());
    while chosen.len() < most {
        let top = best(&logits, 2);
        let [(first, high), (_, low)] = top.as_slice() else {
            break;
        };
        chosen.push(*first);
        leads.push(high - low);
        if engine.prompter().vocabulary().is_end(*first) {
            break;
        }
        logits = engine.extend(&[*first]).map_err(text)?;
    }
    Ok(json!({"ids": chosen, "leads": leads}))
}

fn best(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut ranked: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(count);
    ranked
}
