//! From what a cell says to OpenAI answers.

use wire::{
    cell::{Done, FailureKind, Finish, Likelihood, Token, TokenLogprob},
    openai::{
        chat::{
            AnswerFunction, AnswerMessage, AnswerToolCall, ChatChunk, ChatResponse, Choice,
            ChunkChoice, Delta, FunctionDelta, LogprobToken, Logprobs, ToolCallDelta, ToolCallKind,
            TopLogprob,
        },
        completions::{CompletionChoice, CompletionLogprobs, CompletionResponse, Likeliest},
        error::{self, ApiError},
        usage::Usage,
    },
};

use super::Gathered;
use crate::upstream::Fault;

/// A chat answer in the making: pieces come out as they are, or are gathered into one answer.
pub(super) struct ChatMaker {
    /// Unix time in seconds.
    created: i64,
    /// Ids of tool calls begin with it.
    call_id: String,
    tool_calls: u32,
}

impl ChatMaker {
    pub(super) fn new(created: i64, call_id: String) -> ChatMaker {
        ChatMaker {
            created,
            call_id,
            tool_calls: 0,
        }
    }

    fn chunk(&self, choices: Vec<ChunkChoice>, usage: Option<Usage>) -> ChatChunk {
        ChatChunk {
            created: self.created,
            choices,
            usage,
            ..ChatChunk::default()
        }
    }

    /// The piece that says who speaks.
    pub(super) fn first(&self) -> ChatChunk {
        let delta = Delta {
            role: Some("assistant".to_owned()),
            content: Some(String::new()),
            ..Delta::default()
        };
        self.chunk(
            vec![ChunkChoice {
                delta,
                ..ChunkChoice::default()
            }],
            None,
        )
    }

    /// A piece of the answer.
    pub(super) fn piece(&mut self, token: Token) -> ChatChunk {
        let calls: Vec<ToolCallDelta> = token
            .tool_calls
            .into_iter()
            .map(|call| {
                let (index, id) = self.next_call();
                ToolCallDelta {
                    index,
                    id: Some(id),
                    r#type: Some(ToolCallKind::Function),
                    function: Some(FunctionDelta {
                        name: Some(call.name),
                        arguments: Some(call.arguments),
                    }),
                    ..ToolCallDelta::default()
                }
            })
            .collect();
        let delta = Delta {
            content: (!token.text.is_empty()).then_some(token.text),
            tool_calls: (!calls.is_empty()).then_some(calls),
            ..Delta::default()
        };
        let logprobs = logprobs(token.logprobs);
        self.chunk(
            vec![ChunkChoice {
                delta,
                logprobs,
                ..ChunkChoice::default()
            }],
            None,
        )
    }

    /// The pieces that end the answer.
    pub(super) fn last(&self, done: Done) -> [ChatChunk; 2] {
        let choice = ChunkChoice {
            finish_reason: Some(finish(done.finish).to_owned()),
            ..ChunkChoice::default()
        };
        [
            self.chunk(vec![choice], None),
            self.chunk(Vec::new(), Some(usage(done))),
        ]
    }

    /// The whole answer from all of its pieces.
    pub(super) fn whole(&mut self, gathered: Gathered) -> ChatResponse {
        let Gathered {
            text,
            tool_calls,
            logprobs: chosen,
            done,
        } = gathered;
        let calls: Vec<AnswerToolCall> = tool_calls
            .into_iter()
            .map(|call| AnswerToolCall {
                id: self.next_call().1,
                function: Some(AnswerFunction {
                    name: call.name,
                    arguments: call.arguments,
                }),
                ..AnswerToolCall::default()
            })
            .collect();
        let message = AnswerMessage {
            // OpenAI writes null where there are tool calls only
            content: (!text.is_empty() || calls.is_empty()).then_some(text),
            tool_calls: (!calls.is_empty()).then_some(calls),
            ..AnswerMessage::default()
        };
        let choice = Choice {
            index: 0,
            message,
            logprobs: logprobs(chosen),
            finish_reason: Some(finish(done.finish).to_owned()),
        };
        ChatResponse {
            created: self.created,
            choices: vec![choice],
            usage: Some(usage(done)),
            ..ChatResponse::default()
        }
    }

    fn next_call(&mut self) -> (u32, String) {
        let index = self.tool_calls;
        self.tool_calls += 1;
        (index, format!("{}_{index}", self.call_id))
    }
}

/// A text completion in the making.
pub(super) struct CompletionMaker {
    /// Unix time in seconds.
    created: i64,
    /// Characters so far, for the offsets of log probabilities.
    characters: u64,
}

impl CompletionMaker {
    pub(super) fn new(created: i64) -> CompletionMaker {
        CompletionMaker {
            created,
            characters: 0,
        }
    }

    fn response(&self, choices: Vec<CompletionChoice>, usage: Option<Usage>) -> CompletionResponse {
        CompletionResponse {
            created: self.created,
            choices,
            usage,
            ..CompletionResponse::default()
        }
    }

    /// A piece of the answer.
    pub(super) fn piece(&mut self, token: Token) -> CompletionResponse {
        let logprobs = self.logprobs(token.logprobs);
        self.response(
            vec![CompletionChoice {
                text: token.text,
                logprobs,
                ..CompletionChoice::default()
            }],
            None,
        )
    }

    /// The pieces that end the answer.
    pub(super) fn last(&self, done: Done) -> [CompletionResponse; 2] {
        let finish_reason = Some(finish(done.finish).to_owned());
        let choice = CompletionChoice {
            finish_reason,
            ..CompletionChoice::default()
        };
        [
            self.response(vec![choice], None),
            self.response(Vec::new(), Some(usage(done))),
        ]
    }

    /// The whole answer from all of its pieces.
    pub(super) fn whole(&mut self, gathered: Gathered) -> CompletionResponse {
        let choice = CompletionChoice {
            index: 0,
            text: gathered.text,
            logprobs: self.logprobs(gathered.logprobs),
            finish_reason: Some(finish(gathered.done.finish).to_owned()),
        };
        self.response(vec![choice], Some(usage(gathered.done)))
    }

    fn logprobs(&mut self, chosen: Vec<TokenLogprob>) -> Option<CompletionLogprobs> {
        if chosen.is_empty() {
            return None;
        }
        let mut all = CompletionLogprobs::default();
        for one in chosen {
            let token = lossy(&one.chosen.bytes);
            all.text_offset.push(self.characters);
            self.characters += token.chars().count() as u64;
            all.tokens.push(token);
            all.token_logprobs.push(Some(one.chosen.logprob.into()));
            let top = one
                .top
                .iter()
                .map(|likely| (lossy(&likely.bytes), likely.logprob.into()));
            all.top_logprobs.push(Some(Likeliest(top.collect())));
        }
        Some(all)
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn logprobs(chosen: Vec<TokenLogprob>) -> Option<Logprobs> {
    let top = |likely: Likelihood| TopLogprob {
        token: lossy(&likely.bytes),
        logprob: likely.logprob.into(),
        bytes: Some(likely.bytes),
    };
    let content: Vec<LogprobToken> = chosen
        .into_iter()
        .map(|one| LogprobToken {
            token: lossy(&one.chosen.bytes),
            logprob: one.chosen.logprob.into(),
            bytes: Some(one.chosen.bytes),
            top_logprobs: one.top.into_iter().map(top).collect(),
        })
        .collect();
    (!content.is_empty()).then(|| Logprobs {
        content: Some(content),
        ..Logprobs::default()
    })
}

fn finish(finish: Finish) -> &'static str {
    match finish {
        // a cancelled answer has no reader; what there is of it ended before its end
        Finish::Stop => "stop",
        Finish::Length | Finish::Cancelled => "length",
        Finish::ToolCalls => "tool_calls",
    }
}

fn usage(done: Done) -> Usage {
    let (prompt, completion) = (
        u64::from(done.prompt_tokens),
        u64::from(done.completion_tokens),
    );
    Usage {
        prompt_tokens: prompt,
        completion_tokens: Some(completion),
        total_tokens: prompt + completion,
        ..Usage::default()
    }
}

/// What a caller learns of a cell's failure.
pub(super) fn failure(kind: FailureKind) -> Fault {
    let refused = |code, message| Fault::refused(ApiError::new(400, code, message));
    match kind {
        FailureKind::ContextLengthExceeded => refused(
            "context_length_exceeded",
            "The request is longer than this model's context. Send less.",
        ),
        FailureKind::ToolsUnsupported => refused(
            "tools_unsupported",
            "This model's template knows no tools. Leave them out, or use another model.",
        ),
        FailureKind::ChatUnsupported => refused(
            "chat_unsupported",
            "This model has no chat template. Use /v1/completions, or another model.",
        ),
        FailureKind::InvalidRequest => refused(
            "invalid_value",
            "This model does not take this request: a value in it is out of its bounds.",
        ),
        FailureKind::Busy => Fault::refused(error::unavailable(
            "This model is busy. Try again later.",
            Some(1),
        )),
        FailureKind::UnsupportedModel | FailureKind::Internal => Fault::Broken,
    }
}
