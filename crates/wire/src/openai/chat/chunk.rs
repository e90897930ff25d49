//! One piece of a streamed chat answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Annotation;
use super::logprobs::Logprobs;
use super::message::ToolCallKind;
use super::request::{MAX_CHOICES, MAX_TOOL_CALLS};
use crate::json::{none_or_empty, null_as_default};
use crate::openai::answer::{at_most, read, word};
use crate::openai::texts::texts;
use crate::openai::usage::Usage;
use crate::openai::{BadAnswer, Texts};

word!(
    /// `chat.completion.chunk`.
    ChunkObject = "chat.completion.chunk"
);

/// One piece of a streamed chat answer: read tolerantly, written with documented fields only.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatCompletionChunk)]
pub struct ChatChunk {
    /// Made by the gateway, the same in all pieces; an upstream's own id is dropped when it is read.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(required)]
    pub id: String,
    /// Always `chat.completion.chunk`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: ChunkObject,
    /// Unix time in seconds.
    #[serde(default, deserialize_with = "null_as_default")]
    pub created: i64,
    /// The model's name as the caller knows it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub model: String,
    /// What is added to each choice; empty in the piece that carries the token counts. Must be there: an error an upstream
    /// reports inside its stream has none.
    pub choices: Vec<ChunkChoice>,
    /// Token counts, in the last piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// How the upstream serves the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Which build of the upstream answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
    /// Random padding against who watches the wire; kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obfuscation: Option<String>,
}

/// What is added to one choice.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChunkChoice {
    /// Number of the choice, from 0.
    #[serde(default, deserialize_with = "null_as_default")]
    pub index: u32,
    /// What is added.
    #[serde(default, deserialize_with = "null_as_default")]
    pub delta: Delta,
    /// Log probabilities where asked for.
    pub logprobs: Option<Logprobs>,
    /// In the last piece of the choice.
    pub finish_reason: Option<String>,
}

/// What is added to a message.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delta {
    /// In the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The words of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Reasoning, where the engine shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same under the name newer engines use; moved to `reasoning_content` when it is read.
    #[serde(skip_serializing)]
    #[schema(ignore)]
    pub reasoning: Option<String>,
    /// Pieces of tool calls.
    #[serde(skip_serializing_if = "none_or_empty")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
    /// A piece of a function call, deprecated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionDelta>,
    /// Where the text comes from.
    #[serde(skip_serializing_if = "none_or_empty")]
    pub annotations: Option<Vec<Annotation>>,
    /// A piece of the spoken answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioDelta>,
}

/// A piece of a tool call.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolCallDelta {
    /// Number of the call, from 0.
    #[serde(default, deserialize_with = "null_as_default")]
    pub index: u32,
    /// In the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// In the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<ToolCallKind>,
    /// A function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionDelta>,
    /// A custom tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomDelta>,
}

/// A piece of a function call.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FunctionDelta {
    /// In the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A piece of the JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

/// A piece of a call of a custom tool.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CustomDelta {
    /// In the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A piece of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
}

/// A piece of a spoken answer.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AudioDelta {
    /// A piece of the sound in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// A piece of what is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// Unix time in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl ChatChunk {
    /// Reads the data of one event of an upstream's stream. Its id and whatever is not documented are dropped.
    ///
    /// # Errors
    /// [`BadAnswer`]; [`BadAnswer::Shape`] also for an error the upstream reports inside its stream.
    pub fn parse(data: &str) -> Result<ChatChunk, BadAnswer> {
        let mut chunk: ChatChunk = read(data.as_bytes())?;
        at_most(MAX_CHOICES as usize, chunk.choices.len())?;
        for ChunkChoice { delta, .. } in &mut chunk.choices {
            delta.reasoning_content = delta.reasoning_content.take().or(delta.reasoning.take());
            delta.reasoning = None;
            at_most(
                MAX_TOOL_CALLS,
                delta.tool_calls.as_ref().map_or(0, Vec::len),
            )?;
        }
        Ok(chunk)
    }

    /// Puts the gateway's id on it.
    pub fn set_id(&mut self, id: &str) {
        id.clone_into(&mut self.id);
    }

    /// Puts the caller's name of the model on it.
    pub fn set_model(&mut self, model: &str) {
        model.clone_into(&mut self.model);
    }

    /// Token counts, in the last piece.
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// Takes the token counts away, for a caller who did not ask for them.
    pub fn take_usage(&mut self) -> Option<Usage> {
        self.usage.take()
    }

    /// True where nothing is added to any choice: the piece was made for the token counts.
    pub fn has_no_choices(&self) -> bool {
        self.choices.is_empty()
    }

    /// How many tokens this piece holds at least: one per choice to which it adds something, or as many as it has log
    /// probabilities of.
    pub fn delta_tokens_at_least(&self) -> u32 {
        let tokens = self.choices.iter().map(|choice| {
            let counted = choice.logprobs.as_ref().map_or(0, Logprobs::tokens);
            counted.max(u32::from(!choice.delta.is_empty()))
        });
        tokens.fold(0, u32::saturating_add)
    }

    /// Bytes of everything the model generated in this piece.
    pub fn output_bytes(&self) -> u64 {
        let mut bytes = 0;
        self.choices.iter().for_each(|choice| {
            choice
                .delta
                .each_text(&mut |text| bytes += text.len() as u64)
        });
        bytes
    }

    /// The piece for the caller, as JSON; see [`crate::sse::data_frame`].
    pub fn write(&self) -> Vec<u8> {
        crate::json::write(self)
    }
}

impl Delta {
    /// True where no text of any kind is added.
    pub fn is_empty(&self) -> bool {
        let mut empty = true;
        self.each_text(&mut |text| empty &= text.is_empty());
        empty
            && self
                .audio
                .as_ref()
                .is_none_or(|audio| audio.data.as_ref().is_none_or(String::is_empty))
    }
}

impl std::fmt::Debug for ChatChunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChatChunk({} choices)", self.choices.len())
    }
}

texts!(ChatChunk: choices);
texts!(ChunkChoice: delta, logprobs);
texts!(Delta: content, refusal, reasoning_content, tool_calls, function_call, annotations, audio);
texts!(ToolCallDelta: function, custom);
texts!(FunctionDelta: name, arguments);
texts!(CustomDelta: name, input);
texts!(AudioDelta: transcript);
