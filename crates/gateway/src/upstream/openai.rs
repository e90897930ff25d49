//! Any server that speaks the OpenAI API.

use std::time::Duration;

use bytes::Bytes;
use compartment::{Clean, UpstreamCredential};
use http::{HeaderValue, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::{self, Instant};
use wire::openai::{
    UpstreamFields,
    chat::{ChatChunk, ChatRequest, ChatResponse},
    completions::{CompletionRequest, CompletionResponse},
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    error::{self, ApiError},
};

use super::{
    Errand, Events, Fault, Piece,
    breaker::Breaker,
    line::{Dialler, Lines},
    send::{Outgoing, retry_after, send},
};
use crate::config::{ConfigError, Derived, OpenAiUpstream, bearer};

/// Bytes of an error's body that are looked at.
const ERROR_BYTES: usize = 64 * 1024;
/// How long an error's body is waited for.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

/// A server that speaks the OpenAI API, as all tenants see it. What one tenant does with it is in its line.
pub(crate) struct OpenAi {
    name: String,
    index: usize,
    count: usize,
    settings: OpenAiUpstream,
    dialler: Dialler,
    /// Counts connections that could not be made, and nothing a request could cause.
    breaker: Breaker,
    chat: Uri,
    completions: Uri,
    embeddings: Uri,
}

impl OpenAi {
    /// The upstream at `index` of `count`.
    ///
    /// # Errors
    /// A certificate or URL that cannot be used.
    pub(crate) fn new(
        name: String,
        index: usize,
        count: usize,
        settings: OpenAiUpstream,
    ) -> Result<OpenAi, ConfigError> {
        let dialler = Dialler::new(&name, &settings)?;
        let uri = |route: &str| -> Result<Uri, ConfigError> {
            format!("{}/{route}", settings.base)
                .parse()
                .map_err(|error: http::uri::InvalidUri| ConfigError::Entry {
                    table: "upstream",
                    name: name.clone(),
                    problem: error.to_string(),
                })
        };
        let (chat, completions, embeddings) = (
            uri("chat/completions")?,
            uri("completions")?,
            uri("embeddings")?,
        );
        Ok(OpenAi {
            name,
            index,
            count,
            dialler,
            breaker: Breaker::new(),
            chat,
            completions,
            embeddings,
            settings,
        })
    }

    /// Whether it is given a pause after failures.
    pub(crate) fn rests(&self) -> bool {
        self.breaker.rests(std::time::Instant::now())
    }

    /// Body fields beyond the OpenAI API that it takes.
    pub(crate) fn extra_fields(&self) -> &[String] {
        &self.settings.extra_fields
    }

    pub(crate) async fn chat(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<ChatRequest>,
    ) -> Result<ChatResponse, Fault> {
        let body = clean.request().write(&self.fields(errand, clean, false));
        ChatResponse::parse(&self.whole(errand, &self.chat, body).await?)
            .map_err(|_| Fault::Unreadable)
    }

    pub(crate) async fn chat_stream(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<ChatRequest>,
    ) -> Result<Events<ChatChunk>, Fault> {
        let body = clean.request().write(&self.fields(errand, clean, true));
        self.stream(errand, &self.chat, body).await
    }

    pub(crate) async fn completion(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<CompletionRequest>,
    ) -> Result<CompletionResponse, Fault> {
        let body = clean.request().write(&self.fields(errand, clean, false));
        CompletionResponse::parse(&self.whole(errand, &self.completions, body).await?)
            .map_err(|_| Fault::Unreadable)
    }

    pub(crate) async fn completion_stream(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<CompletionRequest>,
    ) -> Result<Events<CompletionResponse>, Fault> {
        let body = clean.request().write(&self.fields(errand, clean, true));
        self.stream(errand, &self.completions, body).await
    }

    pub(crate) async fn embeddings(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<EmbeddingRequest>,
    ) -> Result<EmbeddingResponse, Fault> {
        let fields = UpstreamFields {
            max_output: None,
            ..self.fields(errand, clean, false)
        };
        let body = clean.request().write(&fields);
        EmbeddingResponse::parse(&self.whole(errand, &self.embeddings, body).await?)
            .map_err(|_| Fault::Unreadable)
    }

    /// What stands in the body instead of anything the caller said about it.
    fn fields<'a, R>(
        &self,
        errand: &Errand<'a>,
        clean: &'a Clean<R>,
        stream: bool,
    ) -> UpstreamFields<'a> {
        let derived = clean.derived();
        let openai = self.settings.derived == Derived::OpenAi;
        UpstreamFields {
            model: errand.model,
            max_output: Some((self.settings.max_tokens_field, clean.max_output())),
            cache_salt: (self.settings.derived == Derived::Vllm).then(|| derived.cache_salt()),
            prompt_cache_key: openai.then(|| derived.prompt_cache_key()),
            safety_identifier: openai.then(|| derived.safety_identifier()),
            include_usage: stream,
        }
    }

    /// The whole body of an answer that is one JSON document.
    async fn whole(&self, errand: &Errand<'_>, uri: &Uri, body: Vec<u8>) -> Result<Bytes, Fault> {
        let deadline = Instant::now() + self.settings.total_timeout;
        // a plain answer has no head before it is finished, so its first byte may take all the time there is
        let response = self
            .ask(errand, uri, body, false, self.settings.total_timeout)
            .await?;
        announced(&response, "application/json")?;
        let body = Limited::new(response.into_body(), self.settings.max_response_bytes);
        match time::timeout_at(deadline, body.collect()).await {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Fault::Unreadable)
            }
            Ok(Err(_)) => Err(Fault::Broken),
            Err(_) => Err(Fault::TimedOut),
        }
    }

    /// The events of an answer that comes in pieces.
    async fn stream<P: Piece>(
        &self,
        errand: &Errand<'_>,
        uri: &Uri,
        body: Vec<u8>,
    ) -> Result<Events<P>, Fault> {
        let deadline = Instant::now() + self.settings.total_timeout;
        let first_byte = self
            .settings
            .first_byte_timeout
            .min(self.settings.total_timeout);
        let response = self.ask(errand, uri, body, true, first_byte).await?;
        announced(&response, "text/event-stream")?;
        Ok(Events::new(
            response.into_body(),
            self.settings.idle_timeout,
            deadline,
            self.settings.max_response_bytes,
        ))
    }

    /// Sends, and gives back an answer with status 200.
    async fn ask(
        &self,
        errand: &Errand<'_>,
        uri: &Uri,
        body: Vec<u8>,
        stream: bool,
        first_byte: Duration,
    ) -> Result<Response<Incoming>, Fault> {
        let own = errand.compartment.vault().upstream_credential(&self.name);
        // a credential of the tenant's own that does not open is never replaced by the operator's
        let own = own.map_err(|_| Fault::refused(error::internal()))?;
        let version = own.as_ref().map_or(0, UpstreamCredential::version);
        let lines = errand.compartment.resident(|| Lines::new(self.count));
        let line = lines
            .get(self.index, version, || self.dialler.dial())
            .ok_or(Fault::Unreachable)?;
        let authorization = match own {
            Some(own) => {
                Some(bearer(own.expose()).ok_or_else(|| Fault::refused(error::internal()))?)
            }
            None => self.settings.authorization.clone(),
        };
        let outgoing = Outgoing {
            uri: uri.clone(),
            authorization,
            call_id: HeaderValue::from_str(&errand.call_id).map_err(|_| Fault::Unreachable)?,
            body: body.into(),
            stream,
        };
        let response = send(&self.breaker, &line, &outgoing, first_byte).await?;
        match response.status() {
            StatusCode::OK => Ok(response),
            status if status.is_client_error() || status.is_server_error() => {
                Err(refused(response).await)
            }
            _ => Err(Fault::Unreadable),
        }
    }
}

/// The answer is of this media type and not compressed.
fn announced<B>(response: &Response<B>, expected: &str) -> Result<(), Fault> {
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let kind = kind
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let plain = response
        .headers()
        .get(header::CONTENT_ENCODING)
        .is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if plain && kind.eq_ignore_ascii_case(expected.as_bytes()) {
        Ok(())
    } else {
        Err(Fault::Unreadable)
    }
}

/// What the caller learns of an error answer. Its text is not passed on; see [`error::relayed`].
async fn refused(response: Response<Incoming>) -> Fault {
    let status = response.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Fault::refused(ApiError::new(
            502,
            "upstream_credential_refused",
            "The model's server refused the credential it was given; nothing was answered. Correct the credential \
             you stored for it, or ask the operator of this gateway.",
        ));
    }
    let pause =
        retry_after(&response).map(|pause| u32::try_from(pause.as_secs()).unwrap_or(u32::MAX));
    let body = Limited::new(response.into_body(), ERROR_BYTES).collect();
    let body = match time::timeout(ERROR_PATIENCE, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        // its status says enough
        _ => Bytes::new(),
    };
    Fault::refused(error::relayed(status.as_u16(), &body, pause))
}
