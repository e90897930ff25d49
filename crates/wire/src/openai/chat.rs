//! `/v1/chat/completions`.

mod answer;
mod check;
mod chunk;
mod logprobs;
mod message;
mod options;
mod part;
mod request;
mod tools;

pub use answer::{
    Annotation, AnswerCustom, AnswerFunction, AnswerMessage, AnswerToolCall, Assistant,
    AudioAnswer, ChatObject, ChatResponse, Choice, Citation, UrlCitation,
};
pub use chunk::{
    AudioDelta, ChatChunk, ChunkChoice, ChunkObject, CustomDelta, Delta, FunctionDelta,
    ToolCallDelta,
};
pub use logprobs::{LogprobToken, Logprobs, TopLogprob};
pub use message::{
    AssistantMessage, AudioReference, Content, CustomCall, FunctionCall, Message, ToolCall,
    ToolCallKind,
};
pub use options::{
    ApproximateLocation, AudioFormat, AudioOptions, Level, Location, LocationKind, Modality,
    Prediction, PredictionKind, ReasoningEffort, ResponseFormat, SchemaFormat, ServiceTier, Voice,
    VoiceId, WebSearchOptions,
};
pub use part::{Detail, FilePart, ImageUrl, InputAudio, InputAudioFormat, Part};
pub use request::{
    ChatParams, ChatRequest, MAX_CHOICES, MAX_MESSAGES, MAX_PARTS, MAX_STOPS, MAX_TOOL_CALLS,
    MAX_TOOLS, Stop,
};
pub use tools::{
    AllowedMode, AllowedTools, CustomTool, Function, FunctionChoice, NamedChoice, Tool, ToolChoice,
    ToolChoiceObject,
};
