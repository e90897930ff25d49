//! Tokens: the file's vocabulary, text to ids and ids to bytes.
//!
//! Two kinds of text are told apart. What the *template* writes may contain special tokens; what a *caller* writes
//! never does. The caller's text carries an invisible guard after every character a special token could begin with
//! (see [`super::template`]), so no special token is ever found in it; [`Vocabulary::encode`] takes the guards out
//! again before the plain text is cut into tokens.

use std::collections::{HashMap, HashSet};

use candle_core::quantized::gguf_file::Value;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer, normalizers};
use wire::cell::FailureKind;

use crate::CellError;
use crate::gguf::Gguf;

/// `tokenizer.ggml.token_type` of tokens that steer the model and are not text.
const CONTROL: u64 = 3;
const UNKNOWN: u64 = 2;
/// Added after training: some are markers, some are runs of spaces.
const USER_DEFINED: u64 = 4;

/// Texts of control tokens that end a turn in one model family or another.
const ENDS: [&str; 8] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "</s>",
    "<end_of_turn>",
];

/// A model's tokens.
pub struct Vocabulary {
    plain: Tokenizer,
    /// Bytes each token stands for in an answer; control tokens stand for none.
    bytes: Vec<Box<[u8]>>,
    /// Special tokens by first character, longest first.
    specials: HashMap<char, Vec<(String, u32)>>,
    ends: HashSet<u32>,
    bos: Option<u32>,
    bos_text: String,
    eos_text: String,
    longest: usize,
}

impl Vocabulary {
    /// Builds the tokenizer a file describes.
    ///
    /// # Errors
    /// [`CellError::Model`] for a tokenizer that is not byte-level BPE or splits text in a way not known here.
    pub fn read(gguf: &Gguf) -> Result<Self, CellError> {
        let refuse = |detail: &str| {
            CellError::Model(format!("{detail}; nothing was loaded; use another model"))
        };
        if gguf.text("tokenizer.ggml.model") != Some("gpt2") {
            return Err(refuse("its tokenizer is not byte-level BPE (gpt2)"));
        }
        let tokens = texts(gguf, "tokenizer.ggml.tokens")
            .ok_or_else(|| refuse("its vocabulary is missing"))?;
        let merges =
            texts(gguf, "tokenizer.ggml.merges").ok_or_else(|| refuse("its merges are missing"))?;
        let kinds = kinds(gguf, tokens.len())
            .ok_or_else(|| refuse("its token types do not fit its tokens"))?;
        let merges = merges
            .iter()
            .map(|merge| {
                merge
                    .split_once(' ')
                    .map(|(left, right)| (left.to_owned(), right.to_owned()))
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| refuse("one of its merges is not a pair"))?;
        let split = TextSplit::of(gguf.text("tokenizer.ggml.pre").unwrap_or("default"))
            .ok_or_else(|| refuse("its pre-tokenizer (tokenizer.ggml.pre) is not known"))?;

        let vocab: Vocab = tokens.iter().cloned().zip(0..).collect();
        let model = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .ignore_merges(split.whole_words)
            .build()
            .map_err(|_| refuse("its merges do not fit its vocabulary"))?;
        let mut plain = Tokenizer::new(model);
        plain.with_pre_tokenizer(Some(split.steps));
        if split.compose {
            plain
                .with_normalizer(Some(normalizers::unicode::NFC))
                .map_err(|_| refuse("its normaliser cannot be built"))?;
        }
        let spaces: Vec<AddedToken> = tokens
            .iter()
            .zip(&kinds)
            .filter(|(text, kind)| **kind == USER_DEFINED && is_blank(text))
            .map(|(text, _)| AddedToken::from(text.as_str(), false).normalized(false))
            .collect();
        plain
            .add_tokens(spaces)
            .map_err(|_| refuse("its added tokens cannot be built"))?;

        let mut vocabulary = Self {
            plain,
            bytes: Vec::with_capacity(tokens.len()),
            specials: HashMap::new(),
            ends: HashSet::new(),
            bos: None,
            bos_text: String::new(),
            eos_text: String::new(),
            longest: 1,
        };
        vocabulary.sort_tokens(&tokens, &kinds);
        vocabulary.read_ends(gguf, &tokens);
        Ok(vocabulary)
    }

    fn sort_tokens(&mut self, tokens: &[String], kinds: &[u64]) {
        let table = byte_table();
        for ((text, kind), id) in tokens.iter().zip(kinds).zip(0..) {
            let special = match *kind {
                CONTROL | UNKNOWN => true,
                USER_DEFINED => !is_blank(text),
                _ => false,
            };
            // tool markers are control tokens in some files, and the caller's parser needs to see them
            let silent = matches!(*kind, CONTROL | UNKNOWN) && !super::tools::is_marker(text);
            let bytes: Vec<u8> = if silent {
                Vec::new()
            } else if special || *kind == USER_DEFINED {
                text.as_bytes().to_vec()
            } else {
                text.chars().flat_map(|c| spell(&table, c)).collect()
            };
            self.longest = self.longest.max(bytes.len()).max(text.len());
            self.bytes.push(bytes.into());
            if let (true, Some(first)) = (special, text.chars().next()) {
                self.specials
                    .entry(first)
                    .or_default()
                    .push((text.clone(), id));
            }
            if special && ENDS.contains(&text.as_str()) {
                self.ends.insert(id);
            }
        }
        for group in self.specials.values_mut() {
            group.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        }
    }

    fn read_ends(&mut self, gguf: &Gguf, tokens: &[String]) {
        let id = |key: &str| gguf.number(key).and_then(|id| u32::try_from(id).ok());
        let text = |id: u32| tokens.get(id as usize).cloned();
        for key in [
            "tokenizer.ggml.eos_token_id",
            "tokenizer.ggml.eot_token_id",
            "tokenizer.ggml.eom_token_id",
        ] {
            self.ends
                .extend(id(key).filter(|id| (*id as usize) < tokens.len()));
        }
        self.eos_text = id("tokenizer.ggml.eos_token_id")
            .and_then(text)
            .unwrap_or_default();
        let bos = id("tokenizer.ggml.bos_token_id").filter(|id| (*id as usize) < tokens.len());
        self.bos_text = bos.and_then(text).unwrap_or_default();
        self.bos = bos.filter(|_| gguf.flag("tokenizer.ggml.add_bos_token").unwrap_or(false));
    }

    /// Ids of a text in which special tokens count, except behind `guard`.
    ///
    /// # Errors
    /// [`CellError::Failed`] if the text cannot be cut into tokens.
    pub fn encode(&self, text: &str, guard: Option<char>) -> Result<Vec<u32>, CellError> {
        let mut ids = Vec::new();
        let (mut plain_from, mut at) = (0, 0);
        while let Some(rest) = text.get(at..) {
            let Some(first) = rest.chars().next() else {
                break;
            };
            let found = self
                .specials
                .get(&first)
                .and_then(|group| group.iter().find(|(s, _)| rest.starts_with(s)));
            match found {
                Some((special, id)) => {
                    self.encode_plain(
                        text.get(plain_from..at).unwrap_or_default(),
                        guard,
                        &mut ids,
                    )?;
                    ids.push(*id);
                    at += special.len();
                    plain_from = at;
                }
                None => at += first.len_utf8(),
            }
        }
        self.encode_plain(text.get(plain_from..).unwrap_or_default(), guard, &mut ids)?;
        Ok(self.with_bos(ids))
    }

    /// Ids of a text in which nothing is special.
    ///
    /// # Errors
    /// [`CellError::Failed`] if the text cannot be cut into tokens.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, CellError> {
        let mut ids = Vec::new();
        self.encode_plain(text, None, &mut ids)?;
        Ok(self.with_bos(ids))
    }

    fn with_bos(&self, mut ids: Vec<u32>) -> Vec<u32> {
        if let Some(bos) = self.bos
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        ids
    }

    fn encode_plain(
        &self,
        text: &str,
        guard: Option<char>,
        ids: &mut Vec<u32>,
    ) -> Result<(), CellError> {
        if text.is_empty() {
            return Ok(());
        }
        let encoded = match guard {
            Some(guard) => self.plain.encode_fast(text.replace(guard, ""), false),
            None => self.plain.encode_fast(text, false),
        };
        let encoded = encoded.map_err(|_| {
            CellError::failed(
                FailureKind::Internal,
                "the text could not be cut into tokens",
            )
        })?;
        ids.extend_from_slice(encoded.get_ids());
        Ok(())
    }

    /// Bytes a token adds to an answer; none for control tokens and unknown ids.
    #[must_use]
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// Tokens in the vocabulary.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no token at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether a token ends the model's turn.
    #[must_use]
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    /// Whether a special token could begin with this character.
    #[must_use]
    pub fn begins_special(&self, c: char) -> bool {
        self.specials.contains_key(&c)
    }

    /// Text of the begin and end tokens, for templates.
    #[must_use]
    pub fn bos_eos(&self) -> (&str, &str) {
        (&self.bos_text, &self.eos_text)
    }

    /// Bytes of the longest token: a text of `n` bytes takes at least `n` divided by this many tokens.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
    }
}

fn is_blank(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_whitespace() || c == '\u{120}' || c == '\u{10a}' || c == '\u{109}')
}

fn texts(gguf: &Gguf, key: &str) -> Option<Vec<String>> {
    gguf.list(key)?
        .iter()
        .map(|value| value.to_string().ok().cloned())
        .collect()
}

fn kinds(gguf: &Gguf, count: usize) -> Option<Vec<u64>> {
    let Some(list) = gguf.list("tokenizer.ggml.token_type") else {
        return Some(vec![1; count]);
    };
    let kinds: Vec<u64> = list
        .iter()
        .map(|value| match value {
            Value::I32(n) => u64::try_from(*n).ok(),
            value => value.to_u64().ok(),
        })
        .collect::<Option<_>>()?;
    (kinds.len() == count).then_some(kinds)
}

/// How a model family cuts text before pairs are merged.
struct TextSplit {
    steps: PreTokenizerWrapper,
    /// A word that is itself in the vocabulary is taken whole, whatever the merges say.
    whole_words: bool,
    /// Characters are composed first (NFC).
    compose: bool,
}

impl TextSplit {
    /// The split `tokenizer.ggml.pre` names, as llama.cpp and the models' own tokenizers do it; `None` if unknown.
    fn of(name: &str) -> Option<Self> {
        const GPT2: &str =
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
        let bytes = |words: bool| PreTokenizerWrapper::from(ByteLevel::new(false, false, words));
        let regex = |pattern: &str| {
            let pattern = SplitPattern::Regex(pattern.to_owned());
            Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                .ok()
                .map(PreTokenizerWrapper::from)
        };
        let words = |digits: &str| {
            regex(&format!(
                r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            ))
        };
        let (steps, whole_words, compose) = match name {
            "smollm" => (vec![Digits::new(true).into(), bytes(true)], false, false),
            "gpt-2" => (vec![bytes(true)], false, false),
            "default" => {
                let steps = [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"];
                let mut steps = steps.into_iter().map(regex).collect::<Option<Vec<_>>>()?;
                steps.push(bytes(false));
                (steps, false, false)
            }
            "llama-bpe" | "llama3" | "llama-v3" => {
                (vec![words(r"\p{N}{1,3}")?, bytes(false)], true, false)
            }
            "qwen2" | "deepseek-r1-qwen" => (vec![words(r"\p{N}")?, bytes(false)], false, true),
            _ => return None,
        };
        Some(Self {
            steps: Sequence::new(steps).into(),
            whole_words,
            compose,
        })
    }
}

/// GPT-2's printable stand-ins for bytes: printable Latin-1 stands for itself, the rest counts up from U+0100.
fn byte_table() -> HashMap<char, u8> {
    let plain = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let odd = (0..=255u8).filter(|byte| !plain(*byte)).zip('\u{100}'..);
    (0..=255u8)
        .filter(|byte| plain(*byte))
        .map(|byte| (char::from(byte), byte))
        .chain(odd.map(|(byte, c)| (c, byte)))
        .collect()
}

/// Bytes of one character of a token's text.
fn spell(table: &HashMap<char, u8>, c: char) -> Vec<u8> {
    match table.get(&c) {
        Some(byte) => vec![*byte],
        None => c.to_string().into_bytes(),
    }
}
