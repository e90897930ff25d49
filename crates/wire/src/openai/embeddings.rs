//! `/v1/embeddings`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::openapi::{OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::answer::{at_most, read, word};
use super::ask::{TOKENS_PER_REQUEST, reprinted_json_bound};
use super::extra::{self, Extra};
use super::texts::texts;
use super::usage::Usage;
use super::{
    AskFacts, BadAnswer, BadRequest, CallerFields, Input, MAX_INPUTS, Texts, UpstreamFields, check,
    written,
};
use crate::json::null_as_default;

/// A request for embeddings, parsed and within its bounds.
#[derive(Clone, PartialEq)]
pub struct EmbeddingRequest {
    /// What is asked.
    pub params: EmbeddingParams,
    /// What the caller says about caches and identities; never written.
    pub caller: CallerFields,
    /// Fields beyond OpenAI's that the upstream is declared to take.
    pub extra: Extra,
}

/// The documented fields of a request for embeddings.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = EmbeddingRequest)]
pub struct EmbeddingParams {
    /// Name of a model this key may use.
    #[serde(skip_serializing_if = "crate::json::always")]
    #[schema(required)]
    pub model: String,
    /// Texts or token numbers, one or many (at most 2048).
    pub input: Input,
    /// Length of the vectors, 1 to 65536.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// `float` or `base64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding_format: Option<EncodingFormat>,
    /// Folded into an identifier of the gateway's own.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub user: Option<String>,
    /// Folded into a salt of the gateway's own.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub cache_salt: Option<String>,
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncodingFormat {
    /// Numbers.
    Float,
    /// 32-bit floats, little endian, in base64.
    Base64,
}

impl EmbeddingRequest {
    /// Parses and checks a body; see [`crate::openai::chat::ChatRequest::parse`].
    ///
    /// # Errors
    /// [`BadRequest`] naming the first field that is unknown, repeated, of a wrong type or out of its bounds.
    pub fn parse(body: &[u8], extra_allowed: &[String]) -> Result<EmbeddingRequest, BadRequest> {
        let (mut params, extra) = extra::parse::<EmbeddingParams>(body, extra_allowed)?;
        check::filled("model", &params.model)?;
        check::length("model", Some(&params.model), 256)?;
        params.input.check("input")?;
        check::integer("dimensions", params.dimensions, 1, 65_536)?;
        let caller = CallerFields {
            user: params.user.take(),
            cache_salt: params.cache_salt.take(),
            ..CallerFields::default()
        };
        caller.check()?;
        Ok(EmbeddingRequest {
            params,
            caller,
            extra,
        })
    }

    /// The request for the upstream, as JSON. Embeddings have no output to bound: `max_output` is not written.
    pub fn write(&self, upstream: &UpstreamFields) -> Vec<u8> {
        let upstream = UpstreamFields {
            max_output: None,
            ..*upstream
        };
        written::write(&self.params, &upstream, None, &self.extra)
    }

    /// What a decision about this request needs to know.
    pub fn facts(&self) -> AskFacts<'_> {
        let mut extra = 0;
        self.extra
            .each_text(&mut |text| extra += reprinted_json_bound(text));
        AskFacts {
            model: &self.params.model,
            stream: false,
            choices: 1,
            input_token_bound: TOKENS_PER_REQUEST + self.params.input.token_bound() + extra,
            max_output: Some(0),
            caller_identity: self.caller.identity(),
        }
    }
}

impl std::fmt::Debug for EmbeddingRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EmbeddingRequest({} inputs)", self.params.input.count())
    }
}

texts!(EmbeddingParams: input);
texts!(EmbeddingRequest: params, caller, extra);

word!(
    /// `list`.
    ListObject = "list"
);
word!(
    /// `embedding`.
    EmbeddingObject = "embedding"
);

/// An answer with embeddings: read tolerantly, written with documented fields only.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = EmbeddingList)]
pub struct EmbeddingResponse {
    /// Always `list`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: ListObject,
    /// One vector per input. Must be there: an error an upstream reports has none.
    pub data: Vec<Embedding>,
    /// The model's name as the caller knows it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub model: String,
    /// Token counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One vector.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Embedding {
    /// Always `embedding`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: EmbeddingObject,
    /// Number of the input, from 0.
    #[serde(default, deserialize_with = "null_as_default")]
    pub index: u32,
    /// The vector as the upstream wrote it: numbers, or one base64 string. Checked, and not parsed into numbers.
    pub embedding: Vector,
}

/// A vector as it was written: an array of numbers, or one base64 string.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Vector(Box<RawValue>);

impl Vector {
    /// The vector's JSON.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialSchema for Vector {
    fn schema() -> RefOr<Schema> {
        let either = OneOfBuilder::new()
            .item(Vec::<f64>::schema())
            .item(String::schema());
        Schema::OneOf(either.build()).into()
    }
}

impl ToSchema for Vector {}

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Vector, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        let numbers =
            |b: u8| b.is_ascii_digit() || b.is_ascii_whitespace() || b"[],+-.eE".contains(&b);
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
        let good = match raw
            .get()
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
        {
            Some(text) => text.bytes().all(base64),
            None => raw.get().starts_with('[') && raw.get().bytes().all(numbers),
        };
        if good {
            Ok(Vector(raw))
        } else {
            Err(serde::de::Error::custom("expected numbers or base64"))
        }
    }
}

impl EmbeddingResponse {
    /// Reads the answer of an upstream. Whatever is not documented is dropped.
    ///
    /// # Errors
    /// [`BadAnswer`].
    pub fn parse(json: &[u8]) -> Result<EmbeddingResponse, BadAnswer> {
        let answer: EmbeddingResponse = read(json)?;
        at_most(MAX_INPUTS, answer.data.len())?;
        Ok(answer)
    }

    /// Puts the caller's name of the model on it.
    pub fn set_model(&mut self, model: &str) {
        model.clone_into(&mut self.model);
    }

    /// Token counts where the upstream gave them.
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// The answer for the caller, as JSON.
    pub fn write(&self) -> Vec<u8> {
        crate::json::write(self)
    }
}

impl std::fmt::Debug for EmbeddingResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EmbeddingResponse({} vectors)", self.data.len())
    }
}

impl Texts for EmbeddingResponse {
    /// Vectors hold no text.
    fn each_text(&self, _: &mut dyn FnMut(&str)) {}

    fn each_text_mut(&mut self, _: &mut dyn FnMut(&mut String)) {}
}
