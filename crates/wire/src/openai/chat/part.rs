//! Parts of a message's content.

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ArrayBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::json::Shape;
use crate::openai::bad_request::{Misfit, need, none_left};
use crate::openai::link::{Link, recognise};
use crate::openai::texts::texts;
use crate::openai::{Texts, ask};

/// One part of a message's content.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "PartFields")]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
    /// Sound.
    InputAudio {
        /// The sound itself.
        input_audio: InputAudio,
    },
    /// A file, such as a PDF.
    File {
        /// The file itself.
        file: FilePart,
    },
    /// A refusal the model gave earlier; in assistant messages.
    Refusal {
        /// Its words.
        refusal: String,
    },
}

impl Shape for Vec<Part> {
    const WHAT: &'static str = "an array";
    const NAME: &'static str = "MessageContent";

    fn shape() -> RefOr<Schema> {
        let items = Ref::from_schema_name(Part::name());
        Schema::Array(ArrayBuilder::new().items(RefOr::from(items)).build()).into()
    }

    fn named(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Part::name().into_owned(), Part::schema()));
        Part::schemas(schemas);
    }
}

/// An image in a message.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ImageUrl {
    /// `data:image/…;base64,…`, or an `http(s)` URL with a public host name. Never fetched by the gateway.
    pub url: String,
    /// `auto`, `low` or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

/// How closely an image is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// The model decides.
    Auto,
    /// Small and cheap.
    Low,
    /// In full.
    High,
}

/// Sound in a message.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct InputAudio {
    /// In base64.
    pub data: String,
    /// `wav` or `mp3`.
    pub format: InputAudioFormat,
}

/// Format of sound in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputAudioFormat {
    /// WAV.
    Wav,
    /// MP3.
    Mp3,
}

/// A file in a message.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct FilePart {
    /// Its name, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// In base64, or as a base64 `data:` URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    /// A file kept at the upstream. Refused: such files belong to the account all tenants share.
    #[serde(skip_serializing)]
    pub file_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct PartFields {
    r#type: PartKind,
    text: Option<String>,
    image_url: Option<ImageUrl>,
    input_audio: Option<InputAudio>,
    file: Option<FilePart>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PartKind {
    Text,
    ImageUrl,
    InputAudio,
    File,
    Refusal,
}

impl TryFrom<PartFields> for Part {
    type Error = Misfit;

    fn try_from(fields: PartFields) -> Result<Part, Misfit> {
        let PartFields {
            r#type,
            mut text,
            mut image_url,
            mut input_audio,
            mut file,
            mut refusal,
        } = fields;
        let part = match r#type {
            PartKind::Text => Part::Text {
                text: need("text", &mut text)?,
            },
            PartKind::ImageUrl => Part::ImageUrl {
                image_url: need("image_url", &mut image_url)?,
            },
            PartKind::InputAudio => Part::InputAudio {
                input_audio: need("input_audio", &mut input_audio)?,
            },
            PartKind::File => Part::File {
                file: need("file", &mut file)?,
            },
            PartKind::Refusal => Part::Refusal {
                refusal: need("refusal", &mut refusal)?,
            },
        };
        none_left(&[
            ("text", text.is_some()),
            ("image_url", image_url.is_some()),
            ("input_audio", input_audio.is_some()),
            ("file", file.is_some()),
            ("refusal", refusal.is_some()),
        ])?;
        Ok(part)
    }
}

impl Part {
    /// The text of a text part.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Part::Text { text } => Some(text),
            _ => None,
        }
    }

    /// Upper bound of its tokens.
    pub(super) fn token_bound(&self) -> u64 {
        match self {
            Part::Text { text } | Part::Refusal { refusal: text } => text.len() as u64,
            Part::ImageUrl { image_url } if image_url.detail == Some(Detail::Low) => {
                ask::TOKENS_PER_LOW_IMAGE
            }
            Part::ImageUrl { .. } => ask::TOKENS_PER_IMAGE,
            Part::InputAudio { input_audio } => {
                input_audio.data.len() as u64 / ask::AUDIO_CHARACTERS_PER_TOKEN + 64
            }
            Part::File { .. } => ask::TOKENS_PER_FILE,
        }
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Part::Text { .. } => "Text",
            Part::ImageUrl { .. } => "ImageUrl",
            Part::InputAudio { .. } => "InputAudio",
            Part::File { .. } => "File",
            Part::Refusal { .. } => "Refusal",
        })
    }
}

texts!(FilePart: filename);

impl Texts for ImageUrl {
    fn each_text(&self, f: &mut dyn FnMut(&str)) {
        if recognise(&self.url) != Ok(Link::Data) {
            f(&self.url);
        }
    }

    fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String)) {
        if recognise(&self.url) != Ok(Link::Data) {
            f(&mut self.url);
        }
    }
}

texts!(enum Part:
    Part::Text { text } | Part::Refusal { refusal: text } => [text],
    Part::ImageUrl { image_url } => [image_url],
    Part::File { file } => [file],
    Part::InputAudio { .. } => [],
);
