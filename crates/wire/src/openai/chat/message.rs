//! Messages of a conversation.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::part::Part;
use crate::json::{TextOr, none_or_empty};
use crate::openai::ask;
use crate::openai::ask::{TOKENS_PER_MESSAGE, reprinted_json_bound};
use crate::openai::bad_request::{Misfit, need, none_left};
use crate::openai::texts::texts;

/// A string, or parts.
pub type Content = TextOr<Vec<Part>>;

/// One message.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "role", rename_all = "snake_case", try_from = "MessageFields")]
pub enum Message {
    /// Instructions of the developer, for reasoning models.
    Developer {
        /// Text, or text parts.
        content: Content,
        /// Who speaks, where several have this role.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Instructions of the developer.
    System {
        /// Text, or text parts.
        content: Content,
        /// Who speaks, where several have this role.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// What the end user says.
    User {
        /// Text, or parts of any kind but refusals.
        content: Content,
        /// Who speaks, where several have this role.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// What a model said.
    Assistant(AssistantMessage),
    /// The result of a tool.
    Tool {
        /// Text, or text parts.
        content: Content,
        /// The call it answers.
        tool_call_id: String,
        /// The tool, which OpenAI's own examples send though its reference does not name it.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// The result of a function, deprecated.
    Function {
        /// Text.
        content: Option<Content>,
        /// The function.
        name: String,
    },
}

/// What a model said, or is to have said.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct AssistantMessage {
    /// Text, or text and refusal parts; `null` where there are tool calls only.
    pub content: Option<Content>,
    /// Who speaks, where several have this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The words of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Reasoning, as reasoning engines return it and want it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Tools the model called.
    #[serde(skip_serializing_if = "none_or_empty")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The function the model called, deprecated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionCall>,
    /// An earlier spoken answer kept at the upstream. Refused: it belongs to the account all tenants share.
    #[serde(skip)]
    pub audio: Option<AudioReference>,
}

/// Names an earlier spoken answer.
#[derive(Clone, PartialEq, Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub struct AudioReference {
    /// Its id.
    pub id: String,
}

/// A call of a tool. One of `function` and `custom` is there, as `type` says.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "ToolCallFields")]
pub enum ToolCall {
    /// A function with JSON arguments.
    Function {
        /// Made by the model's server; the tool message that answers repeats it.
        id: String,
        /// What is called.
        function: FunctionCall,
    },
    /// A custom tool with free text.
    Custom {
        /// Made by the model's server; the tool message that answers repeats it.
        id: String,
        /// What is called.
        custom: CustomCall,
    },
}

/// Kinds of tool calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolCallKind {
    /// A function with JSON arguments.
    #[default]
    Function,
    /// A custom tool with free text.
    Custom,
}

/// A call of a function.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct FunctionCall {
    /// The function.
    pub name: String,
    /// JSON in a string, as the model wrote it; not always valid.
    pub arguments: String,
}

/// A call of a custom tool.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CustomCall {
    /// The tool.
    pub name: String,
    /// Its input, free text.
    pub input: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct MessageFields {
    role: Role,
    content: Option<Content>,
    name: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
    function_call: Option<FunctionCall>,
    audio: Option<AudioReference>,
    tool_call_id: Option<String>,
    // SDKs send answers back whole; this part of an answer means nothing in a request.
    annotations: Option<IgnoredAny>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Developer,
    System,
    User,
    Assistant,
    Tool,
    Function,
}

impl TryFrom<MessageFields> for Message {
    type Error = Misfit;

    fn try_from(mut fields: MessageFields) -> Result<Message, Misfit> {
        let it = &mut fields;
        let message = match it.role {
            Role::Developer => Message::Developer {
                content: need("content", &mut it.content)?,
                name: it.name.take(),
            },
            Role::System => Message::System {
                content: need("content", &mut it.content)?,
                name: it.name.take(),
            },
            Role::User => Message::User {
                content: need("content", &mut it.content)?,
                name: it.name.take(),
            },
            Role::Tool => Message::Tool {
                content: need("content", &mut it.content)?,
                tool_call_id: need("tool_call_id", &mut it.tool_call_id)?,
                name: it.name.take(),
            },
            Role::Function => Message::Function {
                content: it.content.take(),
                name: need("name", &mut it.name)?,
            },
            Role::Assistant => {
                it.annotations = None;
                Message::Assistant(AssistantMessage::try_take(it)?)
            }
        };
        none_left(&[
            ("name", fields.name.is_some()),
            ("refusal", fields.refusal.is_some()),
            ("reasoning_content", fields.reasoning_content.is_some()),
            ("tool_calls", fields.tool_calls.is_some()),
            ("function_call", fields.function_call.is_some()),
            ("audio", fields.audio.is_some()),
            ("tool_call_id", fields.tool_call_id.is_some()),
            ("annotations", fields.annotations.is_some()),
        ])?;
        Ok(message)
    }
}

impl AssistantMessage {
    fn try_take(it: &mut MessageFields) -> Result<AssistantMessage, Misfit> {
        let message = AssistantMessage {
            content: it.content.take(),
            name: it.name.take(),
            refusal: it.refusal.take(),
            reasoning_content: it.reasoning_content.take(),
            tool_calls: it.tool_calls.take(),
            function_call: it.function_call.take(),
            audio: it.audio.take(),
        };
        let says_nothing = message.content.is_none()
            && message.refusal.is_none()
            && message.function_call.is_none()
            && message.audio.is_none()
            && none_or_empty(&message.tool_calls);
        if says_nothing {
            Err(Misfit::Missing("content"))
        } else {
            Ok(message)
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct ToolCallFields {
    id: String,
    r#type: ToolCallKind,
    function: Option<FunctionCall>,
    custom: Option<CustomCall>,
    // SDKs send streamed calls back with their place in the stream.
    #[serde(rename = "index")]
    _index: Option<IgnoredAny>,
}

impl TryFrom<ToolCallFields> for ToolCall {
    type Error = Misfit;

    fn try_from(fields: ToolCallFields) -> Result<ToolCall, Misfit> {
        let ToolCallFields {
            id,
            r#type,
            mut function,
            mut custom,
            _index,
        } = fields;
        let call = match r#type {
            ToolCallKind::Function => ToolCall::Function {
                id,
                function: need("function", &mut function)?,
            },
            ToolCallKind::Custom => ToolCall::Custom {
                id,
                custom: need("custom", &mut custom)?,
            },
        };
        none_left(&[
            ("function", function.is_some()),
            ("custom", custom.is_some()),
        ])?;
        Ok(call)
    }
}

impl Message {
    /// The role as it is written.
    pub fn role(&self) -> &'static str {
        match self {
            Message::Developer { .. } => "developer",
            Message::System { .. } => "system",
            Message::User { .. } => "user",
            Message::Assistant(_) => "assistant",
            Message::Tool { .. } => "tool",
            Message::Function { .. } => "function",
        }
    }

    /// The content, absent for an assistant that only calls tools.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Message::Developer { content, .. }
            | Message::System { content, .. }
            | Message::User { content, .. }
            | Message::Tool { content, .. } => Some(content),
            Message::Assistant(message) => message.content.as_ref(),
            Message::Function { content, .. } => content.as_ref(),
        }
    }

    /// Who speaks, or which tool.
    pub fn name(&self) -> Option<&str> {
        match self {
            Message::Developer { name, .. }
            | Message::System { name, .. }
            | Message::User { name, .. }
            | Message::Tool { name, .. } => name.as_deref(),
            Message::Assistant(message) => message.name.as_deref(),
            Message::Function { name, .. } => Some(name),
        }
    }

    /// Upper bound of its tokens.
    pub(super) fn token_bound(&self) -> u64 {
        let content = match self.content() {
            None => 0,
            Some(Content::Text(text)) => text.len() as u64,
            Some(Content::Other(parts)) => parts.iter().map(Part::token_bound).sum(),
        };
        let name = self.name().map_or(0, str::len) as u64;
        let rest = match self {
            Message::Assistant(message) => message.token_bound(),
            Message::Tool { tool_call_id, .. } => tool_call_id.len() as u64,
            _ => 0,
        };
        TOKENS_PER_MESSAGE + content + name + rest
    }
}

impl AssistantMessage {
    fn token_bound(&self) -> u64 {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len) as u64;
        let call = |call: &FunctionCall| {
            TOKENS_PER_MESSAGE + call.name.len() as u64 + reprinted_json_bound(&call.arguments)
        };
        let calls = self
            .tool_calls
            .iter()
            .flatten()
            .map(|tool_call| match tool_call {
                ToolCall::Function { id, function } => id.len() as u64 + call(function),
                ToolCall::Custom { id, custom } => {
                    ask::TOKENS_PER_MESSAGE
                        + (id.len() + custom.name.len()) as u64
                        + reprinted_json_bound(&custom.input)
                }
            });
        let function = self.function_call.as_ref().map_or(0, call);
        length(&self.refusal) + length(&self.reasoning_content) + calls.sum::<u64>() + function
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({})", self.role())
    }
}

texts!(FunctionCall: name, arguments);
texts!(CustomCall: name, input);
texts!(AssistantMessage: content, name, refusal, reasoning_content, tool_calls, function_call);

texts!(enum ToolCall:
    ToolCall::Function { id, function } => [id, function],
    ToolCall::Custom { id, custom } => [id, custom],
);

texts!(enum Message:
    Message::Developer { content, name } | Message::System { content, name } | Message::User { content, name }
        => [content, name],
    Message::Assistant(message) => [message],
    Message::Tool { content, tool_call_id, name } => [content, tool_call_id, name],
    Message::Function { content, name } => [content, name],
);
