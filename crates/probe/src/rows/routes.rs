//! The ways to ask a gateway for the same thing.

use serde_json::{Value, json};

use crate::row::Bench;
use crate::target::{Answer, Ask, Client};
use crate::verdict::Trouble;

/// A way to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Chat,
    Stream,
    Completion,
    Embedding,
    Response,
    Message,
}

impl Route {
    const ALL: [Route; 6] = [
        Route::Chat,
        Route::Stream,
        Route::Completion,
        Route::Embedding,
        Route::Response,
        Route::Message,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Route::Chat => "chat",
            Route::Stream => "streamed chat",
            Route::Completion => "completions",
            Route::Embedding => "embeddings",
            Route::Response => "responses",
            Route::Message => "messages",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Route::Chat | Route::Stream => "/v1/chat/completions",
            Route::Completion => "/v1/completions",
            Route::Embedding => "/v1/embeddings",
            Route::Response => "/v1/responses",
            Route::Message => "/v1/messages",
        }
    }

    /// A body that asks this text of the model that the tenant asks for.
    pub(super) fn body(self, bench: &Bench, who: &Client, text: &str) -> Value {
        let model = who.model();
        match self {
            Route::Chat => who.chat_body(text),
            Route::Stream => with(who.chat_body(text), "stream", true),
            Route::Completion => {
                json!({"model": model, "prompt": text, "temperature": 0, "max_tokens": 256})
            }
            Route::Embedding => {
                json!({"model": bench.embedding_model, "input": text, "encoding_format": "float"})
            }
            Route::Response => {
                json!({"model": model, "input": text, "temperature": 0, "max_output_tokens": 256})
            }
            Route::Message => {
                json!({"model": model, "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 256})
            }
        }
    }

    /// Sends that body. A stream's answer holds what was said, put together.
    pub(super) async fn send(self, who: &Client, body: &Value) -> Result<Answer, Trouble> {
        let ask = Ask::post(self.path(), body);
        if self != Route::Stream {
            return who.send(&ask).await;
        }
        let mut stream = who.stream(&ask).await?;
        let pieces = stream.rest().await?;
        let said: String = pieces.iter().map(|piece| piece.said()).collect();
        let last = pieces.last().map(|piece| piece.at).unwrap_or_default();
        Ok(Answer {
            status: stream.status,
            headers: stream.headers,
            body: said.into(),
            first: pieces.first().map(|piece| piece.at).unwrap_or_default(),
            whole: last,
        })
    }

    pub(super) async fn ask(
        self,
        bench: &Bench,
        who: &Client,
        text: &str,
    ) -> Result<Answer, Trouble> {
        self.send(who, &self.body(bench, who, text)).await
    }

    /// The routes that answer tenant A with a nonce of the echo upstream.
    pub(super) async fn offered(bench: &Bench) -> Result<Vec<Route>, Trouble> {
        let mut offered = Vec::new();
        for route in Route::ALL {
            if route == Route::Embedding && bench.embedding_model.is_none() {
                continue;
            }
            let text = format!("Is {} here?", bench.canary());
            let answer = route.ask(bench, &bench.a, &text).await?;
            // an error of the upstream may bear a nonce too
            if answer.is_ok() && !answer.nonces().is_empty() {
                offered.push(route);
            }
        }
        Ok(offered)
    }

    /// Their names, for people.
    pub(super) fn names(routes: &[Route]) -> String {
        let names: Vec<&str> = routes.iter().map(|route| route.name()).collect();
        names.join(", ")
    }
}

/// The same body with one more field.
pub(super) fn with(mut body: Value, name: &str, value: impl Into<Value>) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
    body
}
