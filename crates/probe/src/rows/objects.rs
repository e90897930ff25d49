//! Things with an id that a tenant can make through a gateway, and what can be done to them.

use serde_json::{Value, json};

use crate::canary::Canary;
use crate::row::Bench;
use crate::target::{Answer, Ask, Client};
use crate::verdict::Trouble;

/// A kind of thing.
pub(super) struct Kind {
    /// The route that shows that there are such things.
    pub(super) route: &'static str,
    /// What reads one; `{id}` stands for its id.
    pub(super) read: &'static str,
    /// What else can be done to one, `{id}` and `{model}` standing in path and body; what destroys it comes last.
    pub(super) acts: &'static [(&'static str, &'static str, &'static str)],
    /// What destroys one; empty where nothing does.
    pub(super) delete: &'static str,
}

/// Every kind that the probe can make.
pub(super) const KINDS: [Kind; 7] = [
    Kind {
        route: "/v1/files",
        read: "/v1/files/{id}",
        acts: &[
            ("GET", "/v1/files/{id}/content", ""),
            (
                "POST",
                "/v1/batches",
                r#"{"input_file_id": "{id}", "endpoint": "/v1/chat/completions", "completion_window": "24h"}"#,
            ),
            (
                "POST",
                "/v1/responses",
                r#"{"model": "{model}", "input": [{"role": "user", "content": [{"type": "input_file", "file_id": "{id}"}]}]}"#,
            ),
        ],
        delete: "/v1/files/{id}",
    },
    Kind {
        route: "/v1/vector_stores",
        read: "/v1/vector_stores/{id}",
        acts: &[
            ("GET", "/v1/vector_stores/{id}/files", ""),
            (
                "POST",
                "/v1/vector_stores/{id}/search",
                r#"{"query": "probe"}"#,
            ),
            ("POST", "/v1/vector_stores/{id}", r#"{"name": "taken"}"#),
        ],
        delete: "/v1/vector_stores/{id}",
    },
    Kind {
        route: "/v1/conversations",
        read: "/v1/conversations/{id}",
        acts: &[
            ("GET", "/v1/conversations/{id}/items", ""),
            (
                "POST",
                "/v1/responses",
                r#"{"model": "{model}", "input": "go on", "conversation": "{id}"}"#,
            ),
            (
                "POST",
                "/v1/conversations/{id}",
                r#"{"metadata": {"note": "taken"}}"#,
            ),
        ],
        delete: "/v1/conversations/{id}",
    },
    Kind {
        route: "/v1/responses",
        read: "/v1/responses/{id}",
        acts: &[
            ("GET", "/v1/responses/{id}/input_items", ""),
            ("POST", "/v1/responses/{id}/cancel", "{}"),
            (
                "POST",
                "/v1/responses",
                r#"{"model": "{model}", "input": "go on", "previous_response_id": "{id}"}"#,
            ),
        ],
        delete: "/v1/responses/{id}",
    },
    Kind {
        route: "/v1/batches",
        read: "/v1/batches/{id}",
        acts: &[("POST", "/v1/batches/{id}/cancel", "{}")],
        delete: "",
    },
    // a gateway's own: what became of a call, and keys where ours may make them
    Kind {
        route: "/tenant/v1/self",
        read: "/tenant/v1/calls/{id}",
        acts: &[],
        delete: "",
    },
    Kind {
        route: "/tenant/v1/keys",
        read: "/tenant/v1/keys/{id}",
        acts: &[("PATCH", "/tenant/v1/keys/{id}", r#"{"name": "taken"}"#)],
        delete: "/tenant/v1/keys/{id}",
    },
];

impl Kind {
    /// Makes one as this tenant, with the canary in it where there is a place; its id, or why there is none.
    pub(super) async fn make(
        &self,
        bench: &Bench,
        who: &Client,
        canary: &Canary,
    ) -> Result<Result<String, String>, Trouble> {
        let text = canary.text();
        let made = match self.route {
            "/v1/files" => who.send(&upload(text, "user_data", text)).await?,
            "/v1/batches" => {
                let line = json!({"custom_id": text, "method": "POST", "url": "/v1/chat/completions", "body": bench.a.chat_body(text)});
                let file = who.send(&upload(text, "batch", &line.to_string())).await?;
                let file = file.json();
                let body = json!({
                    "input_file_id": file.get("id"), "endpoint": "/v1/chat/completions", "completion_window": "24h",
                    "metadata": {"note": text},
                });
                who.post(self.route, &body).await?
            }
            "/v1/responses" => {
                who.post(
                    self.route,
                    &json!({"model": who.model(), "input": text, "store": true}),
                )
                .await?
            }
            "/v1/vector_stores" => who.post(self.route, &json!({"name": text})).await?,
            "/tenant/v1/self" => {
                let answer = who.chat(text).await?;
                let id = answer
                    .header("x-request-id")
                    .filter(|id| answer.is_ok() && is_plain(id));
                return Ok(id.ok_or_else(|| self.not_made(&answer)));
            }
            "/tenant/v1/keys" => {
                who.post(self.route, &json!({"name": text, "scopes": ["infer"]}))
                    .await?
            }
            _ => {
                who.post(self.route, &json!({"metadata": {"note": text}}))
                    .await?
            }
        };
        let body = made.json();
        let id = body.get("id").and_then(Value::as_str);
        Ok(id
            .filter(|id| made.is_ok() && is_plain(id))
            .map(str::to_owned)
            .ok_or_else(|| self.not_made(&made)))
    }

    fn not_made(&self, answer: &Answer) -> String {
        format!(
            "{}: A could make nothing there ({})",
            self.route, answer.status
        )
    }

    /// A read of this id.
    pub(super) fn reading(&self, id: &str) -> Ask {
        Ask::get(&self.read.replace("{id}", id))
    }

    /// The end of this id; none where nothing ends one.
    pub(super) fn deleting(&self, id: &str) -> Option<Ask> {
        (!self.delete.is_empty()).then(|| Ask::new("DELETE", &self.delete.replace("{id}", id)))
    }

    /// Everything that can be done to this id, destruction last.
    pub(super) fn doing(&self, id: &str, model: &str) -> Vec<(String, Ask)> {
        let mut all = vec![(format!("GET {}", self.read), self.reading(id))];
        for (method, path, body) in self.acts {
            let ask = Ask::new(method, &path.replace("{id}", id));
            let ask = match *body {
                "" => ask,
                body => ask.body(body.replace("{id}", id).replace("{model}", model)),
            };
            all.push((format!("{method} {path}"), ask));
        }
        all.extend(
            self.deleting(id)
                .map(|ask| (format!("DELETE {}", self.delete), ask)),
        );
        all
    }
}

/// Whether a text of the target can stand in a path and be taken apart anywhere.
pub(super) fn is_plain(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A file as forms send it (RFC 7578).
fn upload(canary: &str, purpose: &str, content: &str) -> Ask {
    let boundary = format!("probe-{canary}");
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"probe.jsonl\"\r\nContent-Type: application/octet-stream\r\n\r\n\
         {content}\r\n--{boundary}--\r\n"
    );
    Ask::new("POST", "/v1/files").body(body).header(
        "content-type",
        &format!("multipart/form-data; boundary={boundary}"),
    )
}

/// Whether two answers are the same but for what differs between two answers that must be the same anyway.
pub(super) fn is_same(answer: &Value, one: &Value, other: &Value) -> bool {
    match (answer, one, other) {
        (Value::Object(answer), Value::Object(one), Value::Object(other)) => {
            answer.len() == one.len()
                && answer
                    .iter()
                    .all(|(name, value)| match (one.get(name), other.get(name)) {
                        (Some(one), Some(other)) => is_same(value, one, other),
                        _ => false,
                    })
        }
        (Value::Array(answer), Value::Array(one), Value::Array(other)) => {
            answer.len() == one.len()
                && one.len() == other.len()
                && answer
                    .iter()
                    .zip(one)
                    .zip(other)
                    .all(|((value, one), other)| is_same(value, one, other))
        }
        _ => {
            answer == one
                || (one != other && std::mem::discriminant(answer) == std::mem::discriminant(one))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_the_same_but_for_what_always_differs() {
        let check = |answer: Value, one: Value, other: Value, expected| {
            assert_eq!(
                is_same(&answer, &one, &other),
                expected,
                "{answer} {one} {other}"
            );
        };
        check(
            json!({"e": "x"}),
            json!({"e": "x"}),
            json!({"e": "x"}),
            true,
        );
        check(
            json!({"e": "y"}),
            json!({"e": "x"}),
            json!({"e": "x"}),
            false,
        );
        check(
            json!({"e": "x", "r": 3}),
            json!({"e": "x", "r": 1}),
            json!({"e": "x", "r": 2}),
            true,
        );
        check(
            json!({"e": "x", "r": "3"}),
            json!({"e": "x", "r": 1}),
            json!({"e": "x", "r": 2}),
            false,
        );
        check(
            json!({"e": "x"}),
            json!({"e": "x", "r": 1}),
            json!({"e": "x", "r": 2}),
            false,
        );
        check(json!([1, 2]), json!([1]), json!([1]), false);
    }

    #[test]
    fn every_kind_is_one_that_the_catalogue_looks_for_and_its_bodies_are_json() {
        let Some(crate::catalogue::Kind::Objects(routes)) =
            crate::catalogue::entry(3).map(|entry| entry.kind)
        else {
            panic!("row 3 is about objects");
        };
        let of_kinds: Vec<&str> = KINDS.iter().map(|kind| kind.route).collect();
        assert_eq!(of_kinds, routes);
        for kind in &KINDS {
            for (_, _, body) in kind.acts.iter().filter(|(_, _, body)| !body.is_empty()) {
                assert!(serde_json::from_str::<Value>(body).is_ok(), "{body}");
            }
        }
    }
}
