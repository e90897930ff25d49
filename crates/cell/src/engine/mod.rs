//! The built-in inference engine: one model, one answer at a time.

pub mod model;
pub mod sampler;
pub mod template;
pub mod text;
pub mod tools;
pub mod vocabulary;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wire::cell::{
    Done, Facts, FailureKind, Finish, FromCell, Generate, Likelihood, Prompt, Token, TokenLogprob,
};

use crate::CellError;
use crate::gguf::Gguf;
use model::{Model, Shape};
use sampler::{Sampler, log_probabilities};
use template::ChatTemplate;
use text::TextStream;
use tools::ToolParser;
use vocabulary::Vocabulary;

/// Stop strings in one request, and bytes in each.
const MAX_STOPS: usize = 16;
const MAX_STOP: usize = 1024;
/// Rival tokens whose log probabilities may be asked for.
const MAX_RIVALS: u8 = 20;

/// What turns requests into tokens. Shared between threads, so that counting does not wait for generating.
pub struct Prompter {
    vocabulary: Vocabulary,
    template: Option<ChatTemplate>,
    context: usize,
}

impl Prompter {
    /// Tokens of a prompt that leaves room for an answer.
    ///
    /// # Errors
    /// [`CellError::Failed`]: a prompt the template refuses, or one that fills the context.
    pub fn tokens(&self, prompt: &Prompt) -> Result<Vec<u32>, CellError> {
        let ids = self.encode(prompt)?;
        if ids.is_empty() {
            let message = "the prompt is empty; nothing was generated; send some text";
            return Err(CellError::failed(FailureKind::InvalidRequest, message));
        }
        if ids.len() >= self.context {
            return Err(self.too_long(ids.len(), ""));
        }
        Ok(ids)
    }

    /// How many tokens a prompt takes, whether or not they leave room for an answer.
    ///
    /// # Errors
    /// [`CellError::Failed`]: a prompt the template refuses, or one so long that counting it is a waste.
    pub fn count(&self, prompt: &Prompt) -> Result<u32, CellError> {
        Ok(u32::try_from(self.encode(prompt)?.len()).unwrap_or(u32::MAX))
    }

    fn encode(&self, prompt: &Prompt) -> Result<Vec<u32>, CellError> {
        match prompt {
            Prompt::Raw(text) => {
                self.fits_at_best(text.len())?;
                self.vocabulary.encode_text(text)
            }
            Prompt::Chat { messages, tools } => {
                let Some(template) = &self.template else {
                    let message = "this model has no chat template; nothing was generated; use the completions API";
                    return Err(CellError::failed(FailureKind::ChatUnsupported, message));
                };
                let rendered = template.render(messages, tools, &self.vocabulary)?;
                self.fits_at_best(rendered.text.len() / (1 + rendered.guard.len_utf8()))?;
                self.vocabulary.encode(&rendered.text, Some(rendered.guard))
            }
        }
    }

    /// Refuses a text that cannot fit however well it packs, before cutting it into tokens.
    fn fits_at_best(&self, bytes: usize) -> Result<(), CellError> {
        let least = bytes / self.vocabulary.longest();
        if least >= self.context {
            Err(self.too_long(least, "at least "))
        } else {
            Ok(())
        }
    }

    fn too_long(&self, tokens: usize, qualifier: &str) -> CellError {
        let message = format!(
            "the prompt takes {qualifier}{tokens} tokens and the context holds {}; nothing was generated; shorten the prompt",
            self.context
        );
        CellError::failed(FailureKind::ContextLengthExceeded, message)
    }

    /// The tokenizer.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }
}

/// A loaded model.
pub struct Engine {
    prompter: Arc<Prompter>,
    model: Model,
    facts: Facts,
}

impl Engine {
    /// Loads a GGUF file, allowing at most `context_limit` tokens of context (the model's own length if `None`).
    ///
    /// # Errors
    /// [`CellError::File`] or [`CellError::Model`].
    pub fn load(path: &Path, context_limit: Option<u32>) -> Result<Self, CellError> {
        let mut gguf = Gguf::open(path)?;
        let shape = Shape::read(&gguf)?;
        let vocabulary = Vocabulary::read(&gguf)?;
        let template = gguf
            .text("tokenizer.chat_template")
            .map(ChatTemplate::parse)
            .transpose()?;
        let context =
            context_limit.map_or(shape.context, |limit| shape.context.min(limit as usize));
        if context < 2 {
            let message =
                "the context limit leaves no room; nothing was loaded; allow at least 2 tokens";
            return Err(CellError::Model(message.into()));
        }
        let model = Model::load(&mut gguf, shape.clone())?;
        let facts = Facts {
            architecture: shape.architecture,
            context_length: u32::try_from(context).unwrap_or(u32::MAX),
            supports_chat: template.is_some(),
            supports_tools: template.as_ref().is_some_and(ChatTemplate::supports_tools),
            vocabulary: u32::try_from(shape.vocabulary).unwrap_or(u32::MAX),
            parameters: model.parameters(),
        };
        Ok(Self {
            prompter: Arc::new(Prompter {
                vocabulary,
                template,
                context,
            }),
            model,
            facts,
        })
    }

    /// What is worth knowing of the model.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The part that counts and cuts prompts.
    #[must_use]
    pub fn prompter(&self) -> Arc<Prompter> {
        Arc::clone(&self.prompter)
    }

    /// The logits behind the last of `tokens`, read as a fresh sequence; for measuring and comparing engines.
    ///
    /// # Errors
    /// [`CellError::Failed`] if the arithmetic fails.
    pub fn logits(&mut self, tokens: &[u32]) -> Result<Vec<f32>, CellError> {
        self.model.forget();
        self.extend(tokens)
    }

    /// The logits behind the last of `tokens`, read as the continuation of the sequence [`Engine::logits`] began.
    ///
    /// # Errors
    /// [`CellError::Failed`] if the arithmetic fails.
    pub fn extend(&mut self, tokens: &[u32]) -> Result<Vec<f32>, CellError> {
        Ok(self.read(tokens, &|| false)?.unwrap_or_default())
    }

    /// Produces one answer, handing out events as they become certain. `cancelled` is looked at between layers.
    ///
    /// # Errors
    /// [`CellError::Failed`] if the request is refused or the arithmetic fails; whatever `emit` returns.
    pub fn generate(
        &mut self,
        request: &Generate,
        cancelled: &AtomicBool,
        emit: &mut dyn FnMut(FromCell) -> Result<(), CellError>,
    ) -> Result<Done, CellError> {
        let stop = || cancelled.load(Ordering::Relaxed);
        let prompt = self.prompter.tokens(&request.prompt)?;
        let mut answer = Answer::new(request, self.prompter())?;
        let mut sampler = Sampler::new(&request.sampling, self.prompter.vocabulary.len())?;
        let prompt_tokens = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
        emit(FromCell::Started {
            id: request.id,
            prompt_tokens,
        })?;

        let room = self.prompter.context - prompt.len();
        let budget = request
            .sampling
            .max_tokens
            .map_or(room, |most| room.min(most as usize));
        let done = |finish, produced: usize| Done {
            id: request.id,
            finish,
            prompt_tokens,
            completion_tokens: u32::try_from(produced).unwrap_or(u32::MAX),
        };
        self.model.forget();
        if budget == 0 {
            return Ok(done(Finish::Length, 0));
        }
        let mut produced = 0;
        let mut next = self.read(&prompt, &stop)?;
        let finish = loop {
            let Some(mut logits) = next.filter(|_| !stop()) else {
                break Finish::Cancelled;
            };
            let unchanged = request
                .sampling
                .logprobs
                .map(|rivals| (logits.clone(), usize::from(rivals)));
            let chosen = sampler.next(&mut logits)?;
            produced += 1;
            if self.prompter.vocabulary.is_end(chosen) {
                break Finish::Stop;
            }
            answer.take(chosen, unchanged, produced, emit)?;
            if answer.text.stopped() {
                break Finish::Stop;
            }
            if produced == budget {
                break Finish::Length;
            }
            next = self.model.forward(&[chosen], &stop)?;
        };
        self.model.forget();
        if finish == Finish::Cancelled {
            return Ok(done(finish, produced));
        }
        let called = answer.finish(produced, emit)?;
        Ok(done(
            if called && finish == Finish::Stop {
                Finish::ToolCalls
            } else {
                finish
            },
            produced,
        ))
    }

    /// Continues the sequence by `tokens`; `None` if stopped on the way.
    fn read(
        &mut self,
        tokens: &[u32],
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<f32>>, CellError> {
        let mut rest = tokens;
        loop {
            let (chunk, later) = rest
                .split_at_checked(self.model.chunk())
                .unwrap_or((rest, &[]));
            let logits = self.model.forward(chunk, stop)?;
            if later.is_empty() || logits.is_none() {
                return Ok(logits);
            }
            rest = later;
        }
    }
}

/// An answer on its way out.
struct Answer {
    id: u64,
    prompter: Arc<Prompter>,
    text: TextStream,
    tools: Option<ToolParser>,
    /// Log probabilities that wait for their text, with the length of the text before them.
    waiting: Vec<(usize, TokenLogprob)>,
}

impl Answer {
    fn new(request: &Generate, prompter: Arc<Prompter>) -> Result<Self, CellError> {
        let sampling = &request.sampling;
        let invalid = |message: &str| CellError::failed(FailureKind::InvalidRequest, message);
        if sampling.stop.len() > MAX_STOPS
            || sampling
                .stop
                .iter()
                .any(|stop| !(1..=MAX_STOP).contains(&stop.len()))
        {
            return Err(invalid(
                "there are more than 16 stop strings, or one is empty or over 1024 bytes",
            ));
        }
        if sampling.logprobs.is_some_and(|rivals| rivals > MAX_RIVALS) {
            return Err(invalid(
                "more than 20 log probabilities per token were asked for",
            ));
        }
        let offered = matches!(&request.prompt, Prompt::Chat { tools, .. } if !tools.is_empty());
        Ok(Self {
            id: request.id,
            prompter,
            text: TextStream::new(sampling.stop.clone()),
            tools: offered.then(ToolParser::default),
            waiting: Vec::new(),
        })
    }

    /// Takes one produced token and emits what became certain.
    fn take(
        &mut self,
        token: u32,
        unchanged: Option<(Vec<f32>, usize)>,
        produced: usize,
        emit: &mut dyn FnMut(FromCell) -> Result<(), CellError>,
    ) -> Result<(), CellError> {
        if let Some((logits, rivals)) = unchanged {
            let (own, top) = log_probabilities(&logits, token, rivals);
            let vocabulary = &self.prompter.vocabulary;
            let likelihood = |(id, logprob)| Likelihood {
                bytes: vocabulary.bytes(id).to_vec(),
                logprob,
            };
            let entry = TokenLogprob {
                chosen: likelihood((token, own)),
                top: top.into_iter().map(likelihood).collect(),
            };
            self.waiting.push((self.text.known(), entry));
        }
        let text = self.text.push(self.prompter.vocabulary.bytes(token));
        let shown = self.text.shown();
        self.send(text, shown, false, produced, emit)
    }

    /// The answer ended; says whether it called tools.
    fn finish(
        &mut self,
        produced: usize,
        emit: &mut dyn FnMut(FromCell) -> Result<(), CellError>,
    ) -> Result<bool, CellError> {
        let stopped = self.text.stopped();
        let text = self.text.finish();
        // behind a stop string nothing counts; otherwise tokens that stand for no text count too
        let until = if stopped {
            self.text.shown()
        } else {
            usize::MAX
        };
        self.send(text, until, true, produced, emit)?;
        Ok(self.tools.as_ref().is_some_and(ToolParser::called))
    }

    fn send(
        &mut self,
        text: String,
        until: usize,
        last: bool,
        produced: usize,
        emit: &mut dyn FnMut(FromCell) -> Result<(), CellError>,
    ) -> Result<(), CellError> {
        let count = self
            .waiting
            .iter()
            .take_while(|(start, _)| *start < until)
            .count();
        let logprobs: Vec<TokenLogprob> = self
            .waiting
            .drain(..count)
            .map(|(_, entry)| entry)
            .collect();
        let (mut text, mut tool_calls) = (text, Vec::new());
        if let Some(tools) = &mut self.tools {
            let mut parsed = tools.push(&text);
            if last {
                let rest = tools.finish();
                parsed.text.push_str(&rest.text);
                parsed.calls.extend(rest.calls);
            }
            (text, tool_calls) = (parsed.text, parsed.calls);
        }
        if text.is_empty() && tool_calls.is_empty() && logprobs.is_empty() {
            return Ok(());
        }
        let completion_tokens = u32::try_from(produced).unwrap_or(u32::MAX);
        emit(FromCell::Token(Token {
            id: self.id,
            text,
            tool_calls,
            logprobs,
            completion_tokens,
        }))
    }
}
