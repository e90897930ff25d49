//! A client that sees statuses, headers and bodies as they are.

use std::time::Duration;

use serde_json::Value;

pub struct Client {
    agent: ureq::Agent,
    pub base: String,
    key: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Name and value, sorted; names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(base: &str, key: &str) -> Client {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // one connection for each request; what happens on one that is used again, `Raw` decides
            .max_idle_connections(0)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Client {
            agent,
            base: base.to_owned(),
            key: key.to_owned(),
        }
    }

    /// Any method, with or without a body.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.send(method, path, body.map(|b| serde_json::to_vec(b).unwrap()))
    }

    pub fn send(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> Answer {
        self.try_send(method, path, body)
            .unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// As [`Client::send`], for gateways that may be gone.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, ureq::Error> {
        self.send_with(&[], method, path, body)
    }

    /// As [`Client::try_send`], with these headers too.
    pub fn send_with(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => {
                let request = request
                    .header("content-type", "application/json")
                    .body(body)
                    .unwrap();
                self.agent.run(request)?
            }
            None => {
                let request = request.body(()).unwrap();
                self.agent.run(request)?
            }
        };
        let status = answer.status().as_u16();
        let mut headers: Vec<_> = answer
            .headers()
            .iter()
            .map(|(n, v)| {
                (
                    n.as_str().to_owned(),
                    String::from_utf8_lossy(v.as_bytes()).into_owned(),
                )
            })
            .collect();
        headers.sort();
        Ok(Answer {
            status,
            headers,
            body: answer.into_body().read_to_vec()?,
        })
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(body))
    }

    /// A chat call with one user message.
    pub fn chat(&self, model: &str, text: &str) -> Answer {
        self.post("/v1/chat/completions", &chat(model, text))
    }
}

/// A chat request with one user message.
pub fn chat(model: &str, text: &str) -> Value {
    serde_json::json!({"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 50})
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| {
            panic!(
                "{e}: {} {}",
                self.status,
                String::from_utf8_lossy(&self.body)
            )
        })
    }

    /// The body of a success.
    pub fn ok(&self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "{} {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        self.json()
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Checks that this is an error as OpenAI's SDKs understand it: all four fields, text where there must be text.
    pub fn assert_openai_error(&self, what: &str) {
        let body = self.json();
        let error = body["error"]
            .as_object()
            .unwrap_or_else(|| panic!("{what}: {body}"));
        let mut fields: Vec<_> = error.keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["code", "message", "param", "type"], "{what}");
        assert_eq!(body.as_object().unwrap().len(), 1, "{what}: {body}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{what}: {body}"
        );
        assert!(
            error["type"].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: {body}"
        );
        assert!(
            error["param"].is_null() || error["param"].is_string(),
            "{what}: {body}"
        );
        assert!(error["code"].is_string(), "{what}: {body}");
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{what}"
        );
        assert!(
            self.header("x-request-id").is_some(),
            "{what}: no request id"
        );
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// What another tenant could compare: everything but the date, which the clock gives, and the call's own id.
    pub fn face(&self) -> Answer {
        let mut face = self.clone();
        face.headers
            .retain(|(name, _)| name != "date" && name != "x-request-id");
        face
    }
}
