//! Why a call may not happen.

use std::fmt;
use std::time::Duration;

use crate::Scope;

/// The kind of a refusal; its text is the `code` of the OpenAI-shaped error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// The credential lacks the right for this route.
    InsufficientPermissions,
    /// The credential is not for this model. The same answer as for a model that does not exist.
    ModelNotFound,
    /// The model exists and does something else, such as embeddings on the chat route.
    ModelNotForRoute,
    /// The model has no price, and its route is not declared free.
    ModelNotPriced,
    /// No choices, or more than [`crate::MAX_CHOICES`].
    ChoicesOutOfBounds,
    /// An output of no tokens was asked for.
    NoOutput,
    /// More requests or tokens in a minute than allowed.
    RateLimitExceeded,
    /// As many calls in flight as allowed.
    ConcurrencyLimit,
    /// The money left does not pay for the call.
    InsufficientQuota,
    /// The call costs more than a limit that nothing was spent of: no waiting helps.
    RequestTooExpensive,
}

impl RefusalCode {
    /// The code as it crosses the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            RefusalCode::InsufficientPermissions => "insufficient_permissions",
            RefusalCode::ModelNotFound => "model_not_found",
            RefusalCode::ModelNotForRoute => "model_not_for_route",
            RefusalCode::ModelNotPriced => "model_not_priced",
            RefusalCode::ChoicesOutOfBounds => "choices_out_of_bounds",
            RefusalCode::NoOutput => "max_tokens_too_small",
            RefusalCode::RateLimitExceeded => "rate_limit_exceeded",
            RefusalCode::ConcurrencyLimit => "concurrency_limit",
            RefusalCode::InsufficientQuota => "insufficient_quota",
            RefusalCode::RequestTooExpensive => "request_too_expensive",
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that may not happen. Nothing was reserved, counted or sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of refusal.
    pub code: RefusalCode,
    /// Whose limit or rule it was; `None` where the request itself is at fault.
    pub scope: Option<Scope>,
    /// When the same call may succeed; `None` when waiting does not help.
    pub retry_after: Option<Duration>,
    /// What happened and what to do, for the caller. Names no amount, key, end user or other tenant.
    pub message: String,
}

impl Refusal {
    /// A refusal by a rate that the caller keeps count of; `what` is `requests` or `tokens`.
    pub fn rate(scope: Scope, what: &str, retry_after: Duration) -> Refusal {
        let message = format!(
            "the {} has used its {what} per minute; the call was not made; wait and try again",
            scope_name(&scope)
        );
        Refusal {
            code: RefusalCode::RateLimitExceeded,
            scope: Some(scope),
            retry_after: Some(retry_after),
            message,
        }
    }
}

/// The scope as a caller may read it: the kind, and never a blinded end user or a key id.
pub(crate) fn scope_name(scope: &Scope) -> &'static str {
    match scope {
        Scope::Tenant => "organisation",
        Scope::Key(_) => "api key",
        Scope::Subject(_) => "end user",
        Scope::Model(_) => "model",
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_kind_of_scope_and_nobody() {
        for (scope, shown) in [
            (Scope::Tenant, "organisation"),
            (Scope::Key("key_77".into()), "api key"),
            (Scope::Subject("77ff".into()), "end user"),
        ] {
            let message = Refusal::rate(scope, "requests", Duration::from_secs(3)).to_string();
            assert!(
                message.contains(shown) && !message.contains("77"),
                "{message}"
            );
        }
    }
}
