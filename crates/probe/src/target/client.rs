//! Calls of one tenant.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use url::Url;

use super::answer::Answer;
use super::budget::Budget;
use super::stream::Stream;
use crate::http1::MAX_BODY;
use crate::options::Key;
use crate::verdict::Trouble;

/// One request to be made.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
    with_key: bool,
}

impl Ask {
    /// Any method on a path such as `/v1/models`. A method that is none becomes `GET`.
    pub fn new(method: &str, path: &str) -> Ask {
        Ask {
            method: method.parse().unwrap_or(Method::GET),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
            with_key: true,
        }
    }

    /// `GET`.
    pub fn get(path: &str) -> Ask {
        Ask::new("GET", path)
    }

    /// `POST` of a JSON body.
    pub fn post(path: &str, body: &Value) -> Ask {
        Ask::new("POST", path).body(body.to_string())
    }

    /// With this body, said to be JSON unless a header says otherwise.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Ask {
        self.body = Some(body.into());
        self
    }

    /// With one more header line. An `authorization` takes the place of the client's own key.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Ask {
        self.with_key &= !name.eq_ignore_ascii_case("authorization");
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without the client's key.
    #[must_use]
    pub fn without_key(mut self) -> Ask {
        self.with_key = false;
        self
    }
}

/// The target as one tenant reaches it. Each client has connections of its own.
#[derive(Clone)]
pub struct Client {
    base: Arc<str>,
    key: Key,
    model: Arc<str>,
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    budget: Arc<Budget>,
}

impl Client {
    /// A client of the gateway at this URL, with or without `/v1`.
    pub fn new(target: &Url, key: Key, budget: Arc<Budget>) -> Client {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(super::raw::tls())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Client {
            base: base(target).into(),
            key,
            model: "".into(),
            http: legacy::Client::builder(TokioExecutor::new()).build(connector),
            budget,
        }
    }

    /// The same client asking for that model.
    #[must_use]
    pub fn with_model(mut self, model: &str) -> Client {
        self.model = model.into();
        self
    }

    /// The same client with other connections: nothing it does meets what another did.
    #[must_use]
    pub fn apart(&self, target: &Url) -> Client {
        Client::new(target, self.key.clone(), Arc::clone(&self.budget)).with_model(&self.model)
    }

    /// The model that calls ask for.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Its key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What the run may still spend.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) fn shared_budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }

    /// The value of its `Authorization` line; holds the whole key.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.key.secret())
    }

    /// The body of a chat call with one user message.
    pub fn chat_body(&self, text: &str) -> Value {
        json!({"model": &*self.model, "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 256})
    }

    /// The same with these fields of an object besides, or in place of its own.
    pub fn chat_body_with(&self, text: &str, fields: &Value) -> Value {
        let mut body = self.chat_body(text);
        if let (Some(body), Some(fields)) = (body.as_object_mut(), fields.as_object()) {
            body.extend(fields.clone());
        }
        body
    }

    /// A chat call with one user message.
    ///
    /// # Errors
    /// Trouble on the way; an answer of any status is none.
    pub async fn chat(&self, text: &str) -> Result<Answer, Trouble> {
        self.post("/v1/chat/completions", &self.chat_body(text))
            .await
    }

    /// A streamed chat call with one user message.
    ///
    /// # Errors
    /// As [`Client::chat`].
    pub async fn chat_stream(&self, text: &str) -> Result<Stream, Trouble> {
        let mut body = self.chat_body(text);
        if let Some(fields) = body.as_object_mut() {
            fields.insert("stream".to_owned(), json!(true));
        }
        self.stream(&Ask::post("/v1/chat/completions", &body)).await
    }

    /// A call of the older completions route.
    ///
    /// # Errors
    /// As [`Client::chat`].
    pub async fn completion(&self, text: &str) -> Result<Answer, Trouble> {
        let body =
            json!({"model": &*self.model, "prompt": text, "temperature": 0, "max_tokens": 256});
        self.post("/v1/completions", &body).await
    }

    /// An embedding of one text by that model, in plain numbers.
    ///
    /// # Errors
    /// As [`Client::chat`].
    pub async fn embedding(&self, model: &str, text: &str) -> Result<Answer, Trouble> {
        let body = json!({"model": model, "input": text, "encoding_format": "float"});
        self.post("/v1/embeddings", &body).await
    }

    /// `GET` of a path.
    ///
    /// # Errors
    /// As [`Client::chat`].
    pub async fn get(&self, path: &str) -> Result<Answer, Trouble> {
        self.send(&Ask::get(path)).await
    }

    /// `POST` of a JSON body to a path.
    ///
    /// # Errors
    /// As [`Client::chat`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, Trouble> {
        self.send(&Ask::post(path, body)).await
    }

    /// Any request; its whole answer.
    ///
    /// # Errors
    /// Trouble on the way; an answer of any status is none. An answer of more than 16 MiB is.
    pub async fn send(&self, ask: &Ask) -> Result<Answer, Trouble> {
        self.budget
            .within(async {
                let sent = Instant::now();
                let (parts, body) = self.ask(ask).await?.into_parts();
                let mut body = Limited::new(body, MAX_BODY);
                let mut whole = Vec::new();
                let mut first = None;
                while let Some(frame) = body.frame().await {
                    let frame = frame.map_err(|why| Trouble::Connection(why.to_string()))?;
                    first.get_or_insert_with(|| sent.elapsed());
                    if let Some(data) = frame.data_ref() {
                        whole.extend_from_slice(data);
                    }
                }
                Ok(Answer {
                    status: parts.status.as_u16(),
                    headers: parts.headers,
                    body: whole.into(),
                    first: first.unwrap_or_else(|| sent.elapsed()),
                    whole: sent.elapsed(),
                })
            })
            .await
    }

    /// Any request; its answer piece by piece. Dropping the stream cancels the call.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn stream(&self, ask: &Ask) -> Result<Stream, Trouble> {
        let most = self.budget.spend()?;
        let sent = Instant::now();
        let answered = tokio::time::timeout(most, self.ask(ask)).await;
        let answered = answered.map_err(|_| Trouble::TimedOut)??;
        Ok(Stream::new(answered, sent, most))
    }

    async fn ask(&self, ask: &Ask) -> Result<http::Response<Incoming>, Trouble> {
        let request = self.request(ask)?;
        let answered = self.http.request(request).await;
        answered.map_err(|why| {
            let cause = std::error::Error::source(&why).map(ToString::to_string);
            Trouble::Connection(cause.unwrap_or_else(|| why.to_string()))
        })
    }

    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, Trouble> {
        let unfit =
            |what: &str| Trouble::Unexpected(format!("{what} cannot be sent by an HTTP library"));
        let uri: Uri = format!("{}{}", self.base, ask.path)
            .parse()
            .map_err(|_| unfit("a path"))?;
        let mut request = Request::builder().method(ask.method.clone()).uri(uri);
        if ask.with_key {
            request = request.header(header::AUTHORIZATION, self.authorization());
        }
        let typed = ask
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if ask.body.is_some() && !typed {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in &ask.headers {
            let name: HeaderName = name.parse().map_err(|_| unfit("a header name"))?;
            let value: HeaderValue = value.parse().map_err(|_| unfit("a header value"))?;
            request = request.header(name, value);
        }
        let body = Full::new(ask.body.clone().unwrap_or_default());
        request.body(body).map_err(|_| unfit("a request"))
    }
}

/// The base without `/v1` and slashes behind it, so that every path begins the same way.
fn base(target: &Url) -> String {
    let text = target.as_str().trim_end_matches('/');
    text.strip_suffix("/v1")
        .unwrap_or(text)
        .trim_end_matches('/')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_with_and_without_v1_are_the_same() {
        for (given, expected) in [
            ("http://127.0.0.1:7070", "http://127.0.0.1:7070"),
            ("http://127.0.0.1:7070/v1/", "http://127.0.0.1:7070"),
            ("http://127.0.0.1:7070/api/v1", "http://127.0.0.1:7070/api"),
        ] {
            assert_eq!(base(&given.parse().unwrap()), expected);
        }
    }
}
