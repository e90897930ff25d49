//! Every answer that is not a success: the one place where errors become OpenAI-shaped bodies with a status.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use compartment::Refused;
use http::{HeaderValue, StatusCode, header};
use policy::RefusalCode;
use wire::openai::{
    BadRequest,
    error::{self, ApiError, ErrorBody},
};

use crate::upstream::Fault;

/// A refusal on its way to a caller.
///
/// Its message says what happened and what to do; it holds nothing of another tenant, no secret, and of the caller's
/// own request at most a field's name.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Boxed, because it travels in every `Result` of a flow.
    error: Box<ApiError>,
    request_id: Option<String>,
}

impl Refusal {
    /// A refusal with this status, stable code and message.
    pub fn of(status: u16, code: &str, message: impl Into<String>) -> Refusal {
        ApiError::new(status, code, message).into()
    }

    /// A head that two parsers could read in two ways; the connection is closed after it.
    pub fn bad_head(message: impl Into<String>) -> Refusal {
        Refusal::of(400, "bad_request_head", message)
    }

    /// The one answer to every path that does not exist.
    pub fn unknown_path() -> Refusal {
        Refusal::of(
            404,
            "unknown_url",
            "there is no such path; nothing was done; see the API reference",
        )
    }

    /// With a `Retry-After` of so many seconds.
    #[must_use]
    pub fn after(mut self, seconds: u32) -> Refusal {
        self.error.retry_after = Some(seconds);
        self
    }

    /// Answers under the id of an admitted call.
    #[must_use]
    pub fn for_call(mut self, call_id: String) -> Refusal {
        self.request_id = Some(call_id);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.error.status
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        self.error.body.error.code.as_deref().unwrap_or_default()
    }

    /// The body; within a stream it is one frame.
    pub(crate) fn body(&self) -> &ErrorBody {
        &self.error.body
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.error.body.write()));
        // INVARIANT: every ApiError has a status of 400 to 599
        *response.status_mut() =
            StatusCode::from_u16(self.error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.error.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.error.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let id = self.request_id.unwrap_or_else(fresh_request_id);
        if let Ok(id) = HeaderValue::from_maybe_shared(Bytes::from(id)) {
            headers.insert("x-request-id", id);
        }
        response
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Refusal {
        Refusal {
            error: Box::new(error),
            request_id: None,
        }
    }
}

impl From<BadRequest> for Refusal {
    fn from(bad: BadRequest) -> Refusal {
        ApiError::from(bad).into()
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Refusal {
        match refused {
            // a model that is not there and one that is not for this caller: the same bytes
            Refused::ModelNotFound => error::model_not_found().into(),
            Refused::Limited(ref refusal) if refusal.code == RefusalCode::ModelNotFound => {
                error::model_not_found().into()
            }
            refused => {
                let mut error =
                    ApiError::new(refused.status(), refused.code(), refused.to_string())
                        .retry_after(refused.retry_after().map(whole_seconds));
                error.body.error.kind = refused.kind().to_owned();
                error.body.error.param = refused.param().map(str::to_owned);
                error.into()
            }
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        match fault {
            Fault::Resting { retry_after } => error::unavailable(
                "The model's server has failed repeatedly and is given a pause; nothing was sent. Try again later.",
                Some(whole_seconds(retry_after)),
            ),
            Fault::Unreachable | Fault::Broken | Fault::Unreadable => error::upstream_failed(),
            Fault::TimedOut => error::upstream_timeout(),
            Fault::Refused(error) => *error,
        }
        .into()
    }
}

/// Rounded up, and never zero.
fn whole_seconds(pause: Duration) -> u32 {
    let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

/// The id of a request that never became a call: `req_` and 128 random bits in hex.
fn fresh_request_id() -> String {
    let mut random = [0; 16];
    match getrandom::fill(&mut random) {
        Ok(()) => format!("req_{}", hex::encode(random)),
        // the id only helps to find a log line; a refusal must not depend on it
        Err(_) => "req_unnamed".to_owned(),
    }
}
