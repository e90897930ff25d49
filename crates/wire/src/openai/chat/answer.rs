//! A chat answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::logprobs::Logprobs;
use super::message::ToolCallKind;
use super::request::{MAX_CHOICES, MAX_TOOL_CALLS};
use crate::json::{none_or_empty, null_as_default};
use crate::openai::answer::{at_most, read, word};
use crate::openai::texts::texts;
use crate::openai::usage::Usage;
use crate::openai::{BadAnswer, Texts};

/// Most annotations of one message.
const MAX_ANNOTATIONS: usize = 1024;

word!(
    /// `chat.completion`.
    ChatObject = "chat.completion"
);
word!(
    /// `assistant`.
    Assistant = "assistant"
);

/// An answer to a chat request: read tolerantly, written with documented fields only.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatCompletion)]
pub struct ChatResponse {
    /// Made by the gateway; an upstream's own id is dropped when it is read.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(required)]
    pub id: String,
    /// Always `chat.completion`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: ChatObject,
    /// Unix time in seconds.
    #[serde(default, deserialize_with = "null_as_default")]
    pub created: i64,
    /// The model's name as the caller knows it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub model: String,
    /// As many as `n` asked for. Must be there: an error an upstream reports has none.
    pub choices: Vec<Choice>,
    /// Token counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// How the upstream served the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Which build of the upstream answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
}

/// One choice.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Choice {
    /// Its number, from 0.
    #[serde(default, deserialize_with = "null_as_default")]
    pub index: u32,
    /// What the model said.
    pub message: AnswerMessage,
    /// Log probabilities where asked for.
    pub logprobs: Option<Logprobs>,
    /// `stop`, `length`, `tool_calls`, `content_filter` or `function_call`.
    pub finish_reason: Option<String>,
}

/// What the model said.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnswerMessage {
    /// Always `assistant`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub role: Assistant,
    /// Text.
    pub content: Option<String>,
    /// The words of a refusal.
    pub refusal: Option<String>,
    /// Reasoning, where the engine shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same under the name newer engines use; moved to `reasoning_content` when it is read.
    #[serde(skip_serializing)]
    #[schema(ignore)]
    pub reasoning: Option<String>,
    /// Tools the model calls.
    #[serde(skip_serializing_if = "none_or_empty")]
    pub tool_calls: Option<Vec<AnswerToolCall>>,
    /// The function the model calls, deprecated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<AnswerFunction>,
    /// Where the text comes from.
    #[serde(skip_serializing_if = "none_or_empty")]
    pub annotations: Option<Vec<Annotation>>,
    /// The spoken answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioAnswer>,
}

/// A tool the model calls.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnswerToolCall {
    /// The message that answers the call repeats it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub id: String,
    /// `function` or `custom`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub r#type: ToolCallKind,
    /// The function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<AnswerFunction>,
    /// The custom tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<AnswerCustom>,
}

/// A function the model calls.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnswerFunction {
    /// Its name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// JSON in a string, as the model wrote it; not always valid.
    #[serde(default, deserialize_with = "null_as_default")]
    pub arguments: String,
}

/// A custom tool the model calls.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnswerCustom {
    /// Its name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// Free text.
    #[serde(default, deserialize_with = "null_as_default")]
    pub input: String,
}

/// Where a piece of the text comes from.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Annotation {
    /// Always `url_citation`; other kinds are dropped when they are read.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub r#type: Citation,
    /// The page.
    pub url_citation: Option<UrlCitation>,
}

word!(
    /// `url_citation`.
    Citation = "url_citation"
);

/// A page a piece of the text comes from.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UrlCitation {
    /// First character of the piece.
    #[serde(default, deserialize_with = "null_as_default")]
    pub start_index: u64,
    /// Last character of the piece.
    #[serde(default, deserialize_with = "null_as_default")]
    pub end_index: u64,
    /// Address of the page.
    #[serde(default, deserialize_with = "null_as_default")]
    pub url: String,
    /// Title of the page.
    #[serde(default, deserialize_with = "null_as_default")]
    pub title: String,
}

/// A spoken answer.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AudioAnswer {
    /// The answer's id: what the upstream keeps under an id of its own cannot be asked for again.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(required)]
    pub id: String,
    /// The sound in base64.
    #[serde(default, deserialize_with = "null_as_default")]
    pub data: String,
    /// Unix time in seconds.
    #[serde(default, deserialize_with = "null_as_default")]
    pub expires_at: i64,
    /// What is said.
    #[serde(default, deserialize_with = "null_as_default")]
    pub transcript: String,
}

impl ChatResponse {
    /// Reads the answer of an upstream. Its id and whatever is not documented are dropped.
    ///
    /// # Errors
    /// [`BadAnswer`].
    pub fn parse(json: &[u8]) -> Result<ChatResponse, BadAnswer> {
        let mut answer: ChatResponse = read(json)?;
        at_most(MAX_CHOICES as usize, answer.choices.len())?;
        answer
            .choices
            .iter_mut()
            .try_for_each(|choice| choice.message.settle())?;
        Ok(answer)
    }

    /// Puts the gateway's id on it.
    pub fn set_id(&mut self, id: &str) {
        id.clone_into(&mut self.id);
        for audio in self
            .choices
            .iter_mut()
            .filter_map(|choice| choice.message.audio.as_mut())
        {
            id.clone_into(&mut audio.id);
        }
    }

    /// Puts the caller's name of the model on it.
    pub fn set_model(&mut self, model: &str) {
        model.clone_into(&mut self.model);
    }

    /// Token counts where the upstream gave them.
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// Bytes of everything the model generated; a token is at least one byte.
    pub fn output_bytes(&self) -> u64 {
        let mut bytes = 0;
        self.choices.iter().for_each(|choice| {
            choice
                .message
                .each_text(&mut |text| bytes += text.len() as u64)
        });
        bytes
    }

    /// The answer for the caller, as JSON.
    pub fn write(&self) -> Vec<u8> {
        crate::json::write(self)
    }
}

impl AnswerMessage {
    fn settle(&mut self) -> Result<(), BadAnswer> {
        self.reasoning_content = self.reasoning_content.take().or(self.reasoning.take());
        self.reasoning = None;
        let calls = self.tool_calls.as_deref_mut().unwrap_or_default();
        at_most(MAX_TOOL_CALLS, calls.len())?;
        for (at, call) in calls
            .iter_mut()
            .enumerate()
            .filter(|(_, call)| call.id.is_empty())
        {
            call.id = format!("call_{at}");
        }
        if let Some(annotations) = &mut self.annotations {
            at_most(MAX_ANNOTATIONS, annotations.len())?;
            annotations.retain(|annotation| annotation.url_citation.is_some());
        }
        Ok(())
    }
}

impl std::fmt::Debug for ChatResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChatResponse({} choices)", self.choices.len())
    }
}

texts!(ChatResponse: choices);
texts!(Choice: message, logprobs);
texts!(AnswerMessage: content, refusal, reasoning_content, tool_calls, function_call, annotations, audio);
texts!(AnswerToolCall: function, custom);
texts!(AnswerFunction: name, arguments);
texts!(AnswerCustom: name, input);
texts!(Annotation: url_citation);
texts!(UrlCitation: url, title);
texts!(AudioAnswer: transcript);
