//! The bodies of answers: same request and nonce, same bytes.

use serde_json::{Value, json};

use super::record::Recorded;
use super::script::Script;

/// What every nonce begins with; 32 hexadecimal digits follow.
pub(super) const NONCE: &str = "nonce-";
/// The models it lists; any name is answered.
pub const MODELS: [&str; 3] = ["probe-echo", "probe-echo-2", "probe-embedding"];
/// Numbers of an embedding: 64 that depend on the words, and 16 tiny ones that hold the nonce.
pub const EMBEDDING_SIZE: usize = WORDS + 16;
const WORDS: usize = 64;
/// A byte of the nonce becomes this many times itself: too little to move any similarity, enough to survive rounding to
/// 32 bits.
const NONCE_STEP: f64 = 1.0 / 1_048_576.0;
const LONGEST_ECHO: usize = 16 << 10;
const PIECE: usize = 16;

/// The pieces of an answer; one body where it is not streamed.
pub(super) struct Written {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) pieces: Vec<Vec<u8>>,
}

/// What this request gets.
pub(super) fn write(request: &Recorded, script: &Script) -> Written {
    let whole = |status, body: &Value| Written {
        status,
        content_type: "application/json",
        pieces: vec![body.to_string().into_bytes()],
    };
    if request.malformed {
        return whole(400, &error("this is not a request", "bad_request"));
    }
    if let Some(body) = &script.body {
        return whole(script.status, body);
    }
    let text = text(request, script);
    if !(200..300).contains(&script.status) {
        return whole(script.status, &error(&text, "scripted"));
    }
    let asked = request.json().unwrap_or_default();
    let path = request.target.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let streamed = asked
        .get("stream")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let shape = match (request.method.as_str(), path) {
        ("GET", "/models") => return whole(200, &models()),
        ("POST", "/embeddings") => return whole(200, &embeddings(request, &asked)),
        ("POST", "/chat/completions") => Shape::Chat,
        ("POST", "/completions") => Shape::Text,
        ("POST", "/responses") if !streamed => Shape::Response,
        ("POST", "/messages") if !streamed => Shape::Message,
        _ => {
            return whole(
                404,
                &error(
                    &format!("the echo upstream has no such route; {}", request.nonce),
                    "not_found",
                ),
            );
        }
    };
    let answer = Answer {
        shape,
        asked: &asked,
        nonce: &request.nonce,
        usage: usage(request, &text, script),
    };
    if !streamed {
        return whole(script.status, &answer.whole(&text));
    }
    let pieces = script.pieces.clone().unwrap_or_else(|| cut(&text));
    Written {
        status: script.status,
        content_type: "text/event-stream",
        pieces: answer.stream(&pieces),
    }
}

fn text(request: &Recorded, script: &Script) -> String {
    let said = match &script.say {
        Some(said) => said.clone(),
        None => {
            let mut said = request.last_text();
            said.truncate(said.floor_char_boundary(LONGEST_ECHO));
            said
        }
    };
    if script.with_nonce {
        format!("{} {said}", request.nonce)
    } else {
        said
    }
}

/// A text in pieces of about 16 bytes.
fn cut(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(PIECE));
        pieces.push(piece.to_owned());
        rest = after;
    }
    pieces
}

fn error(message: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": code}})
}

fn models() -> Value {
    let data: Vec<Value> = MODELS
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "probe"}))
        .collect();
    json!({"object": "list", "data": data})
}

/// One token for each four bytes, as a rough count goes.
fn usage(request: &Recorded, text: &str, script: &Script) -> Value {
    let (asked, said) = (request.prompt().len().div_ceil(4), text.len().div_ceil(4));
    json!({
        "prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said,
        "prompt_tokens_details": {"cached_tokens": script.cached_tokens},
    })
}

enum Shape {
    Chat,
    Text,
    /// Of `/v1/responses`; never streamed.
    Response,
    /// Of Anthropic's `/v1/messages`; never streamed.
    Message,
}

struct Answer<'a> {
    shape: Shape,
    asked: &'a Value,
    nonce: &'a str,
    usage: Value,
}

impl Answer<'_> {
    fn envelope(&self, streamed: bool, choices: &Value) -> Value {
        let object = match (&self.shape, streamed) {
            (Shape::Chat, false) => "chat.completion",
            (Shape::Chat, true) => "chat.completion.chunk",
            (Shape::Text, _) => "text_completion",
            (Shape::Response, _) => "response",
            (Shape::Message, _) => "message",
        };
        json!({
            "id": format!("echo-{}", self.nonce), "object": object, "created": 1_700_000_000,
            "model": self.asked.get("model"), "choices": choices,
        })
    }

    fn whole(&self, text: &str) -> Value {
        let (id, model) = (format!("echo-{}", self.nonce), self.asked.get("model"));
        let tokens = |name: &str| self.usage.get(name).cloned().unwrap_or_default();
        let usage = json!({
            "input_tokens": tokens("prompt_tokens"), "output_tokens": tokens("completion_tokens"),
            "total_tokens": tokens("total_tokens"),
        });
        let choice = match self.shape {
            Shape::Response => {
                let part = json!({"type": "output_text", "text": text, "annotations": []});
                let said = json!({"type": "message", "id": format!("msg-{}", self.nonce), "status": "completed", "role": "assistant", "content": [part]});
                return json!({"id": id, "object": "response", "created_at": 1_700_000_000, "status": "completed", "model": model, "output": [said], "usage": usage});
            }
            Shape::Message => {
                let part = json!({"type": "text", "text": text});
                return json!({"id": id, "type": "message", "role": "assistant", "model": model, "content": [part], "stop_reason": "end_turn", "stop_sequence": null, "usage": usage});
            }
            Shape::Chat => {
                json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"})
            }
            Shape::Text => {
                json!({"index": 0, "text": text, "logprobs": null, "finish_reason": "stop"})
            }
        };
        let mut body = self.envelope(false, &json!([choice]));
        if let Some(fields) = body.as_object_mut() {
            fields.insert("usage".to_owned(), self.usage.clone());
        }
        body
    }

    fn stream(&self, pieces: &[String]) -> Vec<Vec<u8>> {
        let chunk = |piece: Option<&str>, finish: Option<&str>| {
            let choice = match (&self.shape, piece) {
                (Shape::Chat, Some(text)) => {
                    json!({"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish})
                }
                (Shape::Chat, None) => json!({"index": 0, "delta": {}, "finish_reason": finish}),
                (Shape::Text | Shape::Response | Shape::Message, text) => {
                    json!({"index": 0, "text": text.unwrap_or_default(), "logprobs": null, "finish_reason": finish})
                }
            };
            frame(&self.envelope(true, &json!([choice])))
        };
        let mut frames: Vec<Vec<u8>> = pieces
            .iter()
            .map(|piece| chunk(Some(piece), None))
            .collect();
        frames.push(chunk(None, Some("stop")));
        let wants_usage = self
            .asked
            .pointer("/stream_options/include_usage")
            .and_then(Value::as_bool);
        if wants_usage == Some(true) {
            let mut last = self.envelope(true, &json!([]));
            if let Some(fields) = last.as_object_mut() {
                fields.insert("usage".to_owned(), self.usage.clone());
            }
            frames.push(frame(&last));
        }
        frames.push(wire::sse::DONE.to_vec());
        frames
    }
}

fn frame(chunk: &Value) -> Vec<u8> {
    wire::sse::data_frame(chunk.to_string().as_bytes()).to_vec()
}

fn embeddings(request: &Recorded, asked: &Value) -> Value {
    let inputs: Vec<&str> = match asked.get("input") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) => texts
            .iter()
            .map(|text| text.as_str().unwrap_or_default())
            .collect(),
        _ => vec![""],
    };
    let in_base64 = asked.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = embed(text, &request.nonce);
            let embedding = if in_base64 {
                let bytes: Vec<u8> = vector
                    .iter()
                    .flat_map(|v| (*v as f32).to_le_bytes())
                    .collect();
                json!(base64::Engine::encode(
                    &base64::engine::general_purpose::STANDARD,
                    bytes
                ))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens = request.prompt().len().div_ceil(4);
    json!({
        "object": "list", "data": data, "model": asked.get("model"),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

/// A bag of words, of length one: texts that share words lie near each other, as semantic caches expect it.
fn embed(text: &str, nonce: &str) -> Vec<f64> {
    let mut vector = vec![0.0; WORDS];
    for word in text
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        // FNV-1a
        let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let place = usize::try_from(hash % WORDS as u64).unwrap_or(0);
        if let Some(value) = vector.get_mut(place) {
            *value += 1.0;
        }
    }
    let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt().max(1.0);
    vector.iter_mut().for_each(|v| *v /= length);
    let bytes = hex::decode(nonce.strip_prefix(NONCE).unwrap_or_default()).unwrap_or_default();
    vector.extend(bytes.iter().map(|byte| f64::from(*byte) * NONCE_STEP));
    vector
}

/// The nonce that an embedding of the echo upstream holds; none where it is another's.
pub fn embedded_nonce(embedding: &[f64]) -> Option<String> {
    let held = embedding.get(WORDS..).filter(|held| held.len() == 16)?;
    let bytes: Option<Vec<u8>> = held
        .iter()
        .map(|value| {
            let scaled = (value / NONCE_STEP).round();
            (0.0..=255.0).contains(&scaled).then_some(scaled as u8)
        })
        .collect();
    Some(format!("{NONCE}{}", hex::encode(bytes?)))
}

/// Every nonce that stands in a text, each once, in order.
pub fn nonces_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (at, _) in text.match_indices(NONCE) {
        let end = at + NONCE.len() + 32;
        let nonce = text.get(at..end).filter(|nonce| {
            nonce
                .bytes()
                .skip(NONCE.len())
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        });
        if let Some(nonce) = nonce
            && !found.iter().any(|other| other == nonce)
        {
            found.push(nonce.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedding_holds_its_nonce_and_still_says_what_is_near() {
        let (one, other) = (
            format!("{NONCE}{}", "0f".repeat(16)),
            format!("{NONCE}{}", "ff".repeat(16)),
        );
        let vector = embed("What is the capital of France?", &one);
        assert_eq!(vector.len(), EMBEDDING_SIZE);
        assert_eq!(embedded_nonce(&vector), Some(one));
        let rounded: Vec<f64> = embed("x", &other)
            .iter()
            .map(|v| f64::from(*v as f32))
            .collect();
        assert_eq!(embedded_nonce(&rounded), Some(other.clone()));
        assert_eq!(embedded_nonce(&[0.5; EMBEDDING_SIZE]), None);
        assert_eq!(embedded_nonce(&[]), None);
        let likeness = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let near = embed("What is the capital city of France?", &other);
        let far = embed("Sort these numbers quickly please", &other);
        assert!(likeness(&vector, &near) > 0.9 && likeness(&vector, &far) < 0.4);
    }

    #[test]
    fn nonces_are_found_in_text() {
        let nonce = format!("{NONCE}{}", "a1".repeat(16));
        let text = format!("{nonce} x {nonce} nonce-short ä{nonce}");
        assert_eq!(nonces_in(&text), [nonce]);
        assert_eq!(nonces_in("nonce-"), Vec::<String>::new());
    }

    #[test]
    fn a_text_is_cut_into_pieces_that_make_it_up() {
        for text in ["", "short", &"äöü€".repeat(40)] {
            let pieces = cut(text);
            assert_eq!(pieces.concat(), text);
            assert!(
                pieces
                    .iter()
                    .all(|piece| !piece.is_empty() && piece.len() < PIECE + 4)
            );
        }
    }
}
