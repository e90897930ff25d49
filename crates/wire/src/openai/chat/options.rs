//! Smaller objects of a chat request.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::message::Content;
use crate::json::{Opaque, Shape, TextOr};
use crate::openai::bad_request::{Misfit, need};
use crate::openai::texts::texts;

/// Form of the answer.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "FormatFields")]
pub enum ResponseFormat {
    /// Free text.
    Text,
    /// Any JSON.
    JsonObject,
    /// JSON of a schema.
    JsonSchema {
        /// The schema.
        json_schema: SchemaFormat,
    },
}

/// A schema for the answer.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct SchemaFormat {
    /// `[a-zA-Z0-9_-]{1,64}`.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Opaque>,
    /// Hold the answer to the schema exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct FormatFields {
    r#type: FormatKind,
    json_schema: Option<SchemaFormat>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FormatKind {
    Text,
    JsonObject,
    JsonSchema,
}

impl TryFrom<FormatFields> for ResponseFormat {
    type Error = Misfit;

    fn try_from(mut fields: FormatFields) -> Result<ResponseFormat, Misfit> {
        match (fields.r#type, &fields.json_schema) {
            (FormatKind::JsonSchema, _) => Ok(ResponseFormat::JsonSchema {
                json_schema: need("json_schema", &mut fields.json_schema)?,
            }),
            (_, Some(_)) => Err(Misfit::Foreign("json_schema")),
            (FormatKind::Text, None) => Ok(ResponseFormat::Text),
            (FormatKind::JsonObject, None) => Ok(ResponseFormat::JsonObject),
        }
    }
}

/// A voice, by name or by id.
pub type Voice = TextOr<VoiceId>;

/// How a spoken answer sounds.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct AudioOptions {
    /// A named voice. Voices of the upstream's account, by id, are refused: all tenants share that account.
    pub voice: Voice,
    /// Format of the sound.
    pub format: AudioFormat,
}

/// A voice of the upstream's account.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct VoiceId {
    /// Its id.
    pub id: String,
}

impl Shape for VoiceId {
    const WHAT: &'static str = "an object";
    const NAME: &'static str = "Voice";
}

/// Format of a spoken answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AudioFormat {
    /// WAV.
    Wav,
    /// AAC.
    Aac,
    /// MP3.
    Mp3,
    /// FLAC.
    Flac,
    /// Opus.
    Opus,
    /// 16-bit PCM.
    Pcm16,
}

/// What an answer consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Text.
    Text,
    /// Sound.
    Audio,
}

/// Text that is expected to come back mostly unchanged.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Prediction {
    /// Always `content`.
    pub r#type: PredictionKind,
    /// Text, or text parts.
    pub content: Content,
}

/// Kinds of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PredictionKind {
    /// Content of the answer.
    Content,
}

/// How the upstream searches the web for its answer.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct WebSearchOptions {
    /// How much of the context is spent on results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_context_size: Option<Level>,
    /// Where the end user is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_location: Option<Location>,
}

/// Where the end user is.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Location {
    /// Always `approximate`.
    pub r#type: LocationKind,
    /// Roughly where.
    pub approximate: ApproximateLocation,
}

/// Kinds of locations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LocationKind {
    /// Roughly where.
    Approximate,
}

/// Roughly where the end user is.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ApproximateLocation {
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Country, two letters (ISO 3166-1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Time zone (IANA).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// Little, some or much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

/// How much a model reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningEffort {
    /// Not at all.
    None,
    /// Hardly.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// As much as it can.
    Xhigh,
}

/// How the upstream serves a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// As the upstream's account is set.
    Auto,
    /// Standard.
    Default,
    /// Slower and cheaper.
    Flex,
    /// Bought in advance. Refused: its price is not the catalogue's.
    Scale,
    /// Faster and dearer. Refused: its price is not the catalogue's.
    Priority,
}

texts!(SchemaFormat: name, description, schema);
texts!(VoiceId: id);
texts!(AudioOptions: voice);
texts!(Prediction: content);
texts!(ApproximateLocation: city, country, region, timezone);
texts!(Location: approximate);
texts!(WebSearchOptions: user_location);

texts!(enum ResponseFormat:
    ResponseFormat::JsonSchema { json_schema } => [json_schema],
    ResponseFormat::Text | ResponseFormat::JsonObject => [],
);
