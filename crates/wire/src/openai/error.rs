//! Errors as OpenAI's SDKs understand them, each with its HTTP status.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// For people.
    pub message: String,
    /// The class of the error, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The field it is about.
    pub param: Option<String>,
    /// For programs.
    pub code: Option<String>,
}

impl ErrorBody {
    /// A body of these parts.
    pub fn new(
        message: impl Into<String>,
        kind: &str,
        param: Option<String>,
        code: Option<&str>,
    ) -> ErrorBody {
        let (kind, code) = (kind.to_owned(), code.map(str::to_owned));
        ErrorBody {
            error: ErrorDetail {
                message: message.into(),
                kind,
                param,
                code,
            },
        }
    }

    /// As JSON; in a stream it is one `data:` frame.
    pub fn write(&self) -> Vec<u8> {
        crate::json::write(self)
    }
}

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// Its body.
    pub body: ErrorBody,
    /// Seconds after which a second try makes sense, for the `Retry-After` header (RFC 9110, section 10.2.3).
    pub retry_after: Option<u32>,
}

impl ApiError {
    /// An error of these parts, for refusals whose code and message were made elsewhere. The type follows the status and
    /// code as it does at OpenAI.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> ApiError {
        let kind = match (status, code) {
            (_, "insufficient_quota") => "insufficient_quota",
            (401, _) => "authentication_error",
            (403, _) => "permission_error",
            (429, _) => "rate_limit_error",
            (400..=499, _) => "invalid_request_error",
            _ => "server_error",
        };
        ApiError {
            status,
            body: ErrorBody::new(message, kind, None, Some(code)),
            retry_after: None,
        }
    }

    /// With a `Retry-After` of so many seconds.
    pub fn retry_after(self, seconds: Option<u32>) -> ApiError {
        ApiError {
            retry_after: seconds,
            ..self
        }
    }

    fn about(mut self, param: &str) -> ApiError {
        self.body.error.param = Some(param.to_owned());
        self
    }
}

/// 401: the credential is wrong, unknown, revoked or expired; which of these is not said.
pub fn invalid_api_key() -> ApiError {
    ApiError::new(
        401,
        "invalid_api_key",
        "Incorrect API key provided. Ask the administrator of your tenant for a valid one.",
    )
}

/// 401: there is no credential.
pub fn missing_api_key() -> ApiError {
    ApiError::new(
        401,
        "missing_api_key",
        "You didn't provide an API key. Send it in the header 'Authorization: Bearer YOUR_KEY'.",
    )
}

/// 403: the credential is valid and may not do this.
pub fn forbidden(message: impl Into<String>) -> ApiError {
    ApiError::new(403, "insufficient_permissions", message)
}

/// 403: the tenant is suspended.
pub fn tenant_suspended() -> ApiError {
    ApiError::new(
        403,
        "tenant_suspended",
        "This tenant is suspended. Ask the operator of this gateway.",
    )
}

/// 404: the model is unknown, or not for this caller; which of these is not said. The only place with this wording.
pub fn model_not_found() -> ApiError {
    ApiError::new(
        404,
        "model_not_found",
        "The requested model does not exist or you do not have access to it.",
    )
    .about("model")
}

/// 404: the thing never existed or is somebody else's; both are this same answer to the byte.
pub fn not_found() -> ApiError {
    ApiError::new(404, "not_found", "There is no such thing here.")
}

/// 404: no such route.
pub fn no_such_route() -> ApiError {
    ApiError::new(
        404,
        "unknown_url",
        "Invalid URL. This gateway serves the routes in its OpenAPI description only.",
    )
}

/// 405: the route exists for other methods.
pub fn method_not_allowed() -> ApiError {
    ApiError::new(
        405,
        "method_not_allowed",
        "Not allowed: this route takes another HTTP method.",
    )
}

/// 400: the request is not acceptable for a reason outside its body's shape.
pub fn invalid_request(code: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(400, code, message)
}

/// 408: the body did not arrive in time.
pub fn request_timeout() -> ApiError {
    ApiError::new(
        408,
        "request_timeout",
        "The request did not arrive in time; nothing was done. Send it again.",
    )
}

/// 409: somebody else's change came first, or the thing exists already.
pub fn conflict(message: impl Into<String>) -> ApiError {
    ApiError::new(409, "conflict", message)
}

/// 413: the body is larger than this gateway takes.
pub fn too_large(limit_bytes: u64) -> ApiError {
    ApiError::new(
        413,
        "request_too_large",
        format!("The body is larger than the limit of {limit_bytes} bytes; send less."),
    )
}

/// 415: the body is not announced as JSON.
pub fn not_json() -> ApiError {
    ApiError::new(
        415,
        "unsupported_media_type",
        "Send JSON with the header 'Content-Type: application/json'.",
    )
}

/// 429: too many requests, tokens or calls at once.
pub fn rate_limit_exceeded(message: impl Into<String>, retry_after: Option<u32>) -> ApiError {
    ApiError::new(429, "rate_limit_exceeded", message).retry_after(retry_after)
}

/// 429: the money is spent. OpenAI's SDKs do not try again where `type` and `code` say so.
pub fn insufficient_quota(message: impl Into<String>) -> ApiError {
    ApiError::new(429, "insufficient_quota", message)
}

/// 500: a fault of ours. Says nothing about it.
pub fn internal() -> ApiError {
    ApiError::new(
        500,
        "internal_error",
        "The gateway failed; the call was not made or was cut off. Try again later.",
    )
}

/// 502: the upstream could not be reached, or answered with something unreadable or a fault of its own.
pub fn upstream_failed() -> ApiError {
    ApiError::new(
        502,
        "upstream_error",
        "The model's server failed or could not be reached. Try again later.",
    )
}

/// 503: something this gateway needs is not there (key service, disk, a free place in the queue, the upstream's breaker).
pub fn unavailable(message: impl Into<String>, retry_after: Option<u32>) -> ApiError {
    ApiError::new(503, "service_unavailable", message).retry_after(retry_after)
}

/// 504: the upstream did not answer in time.
pub fn upstream_timeout() -> ApiError {
    ApiError::new(
        504,
        "upstream_timeout",
        "The model's server did not answer in time; the call was given up.",
    )
}

/// What a caller learns of an error answer of an upstream.
///
/// The upstream's text is not passed on: it can hold pieces of our credential, names of hosts, or content. What callers
/// can act on is recognised by the upstream's status and code and said in our words; the rest is [`upstream_failed`].
pub fn relayed(status: u16, body: &[u8], retry_after: Option<u32>) -> ApiError {
    #[derive(Deserialize)]
    struct Lenient {
        error: LenientDetail,
    }
    #[derive(Deserialize)]
    struct LenientDetail {
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        code: Option<serde_json::Value>,
    }
    let detail = super::answer::read::<Lenient>(body)
        .ok()
        .map(|lenient| lenient.error);
    let code = detail
        .as_ref()
        .and_then(|detail| detail.code.as_ref()?.as_str());
    // vLLM and llama.cpp have no code for this, but all say it with these words.
    let too_long = || {
        let message = detail
            .as_ref()
            .and_then(|detail| detail.message.as_deref())
            .unwrap_or_default();
        message.contains("maximum context length") || message.contains("context size")
    };
    match (status, code) {
        (400, Some("context_length_exceeded")) => context_length_exceeded(),
        (400, _) if too_long() => context_length_exceeded(),
        (400, Some("content_filter" | "content_policy_violation")) => ApiError::new(
            400,
            "content_filter",
            "The model's server refused this content.",
        ),
        (400 | 415 | 422, _) => ApiError::new(
            400,
            "upstream_rejected",
            "The model's server does not take this request: a parameter is not supported by this model, or content is \
             not in a form it reads.",
        ),
        (413, _) => ApiError::new(
            413,
            "request_too_large",
            "The body is larger than the model's server takes; send less.",
        ),
        (429, _) => ApiError::new(
            429,
            "upstream_rate_limited",
            "The model's server is busy. Try again later.",
        )
        .retry_after(retry_after),
        (503, _) => unavailable(
            "The model's server is busy or down. Try again later.",
            retry_after,
        ),
        (504, _) => upstream_timeout(),
        // 401, 403 and 404 are about our credential and our route, which are no business of the caller.
        _ => upstream_failed(),
    }
}

fn context_length_exceeded() -> ApiError {
    ApiError::new(
        400,
        "context_length_exceeded",
        "The request is longer than this model's context. Send less.",
    )
}
