//! Text or tokens, one or many: `prompt` of completions, `input` of embeddings.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::texts::texts;
use super::{BadRequest, check};

/// Most texts or token lists of one request.
pub const MAX_INPUTS: usize = 2048;
/// Most tokens of one list.
pub const MAX_TOKENS: usize = 2_097_152;

/// Text or tokens, one or many.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Input {
    /// One text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// One text as token numbers.
    Tokens(Vec<u32>),
    /// Several texts as token numbers.
    TokenLists(Vec<Vec<u32>>),
}

impl Input {
    /// How many texts there are.
    pub fn count(&self) -> usize {
        match self {
            Input::Text(_) | Input::Tokens(_) => 1,
            Input::Texts(texts) => texts.len(),
            Input::TokenLists(lists) => lists.len(),
        }
    }

    /// Upper bound of its tokens.
    pub(crate) fn token_bound(&self) -> u64 {
        // Two for the marks at the beginning and the end of each text.
        let tokens: usize = match self {
            Input::Text(text) => text.len(),
            Input::Texts(texts) => texts.iter().map(String::len).sum(),
            Input::Tokens(tokens) => tokens.len(),
            Input::TokenLists(lists) => lists.iter().map(Vec::len).sum(),
        };
        tokens as u64 + 2 * self.count() as u64
    }

    pub(crate) fn check(&self, param: &str) -> Result<(), BadRequest> {
        check::items(param, self.count(), 1, MAX_INPUTS)?;
        match self {
            Input::Text(_) | Input::Texts(_) => Ok(()),
            Input::Tokens(tokens) => check::items(param, tokens.len(), 1, MAX_TOKENS),
            Input::TokenLists(lists) => lists
                .iter()
                .try_for_each(|list| check::items(param, list.len(), 1, MAX_TOKENS)),
        }
    }
}

texts!(enum Input:
    Input::Text(text) => [text],
    Input::Texts(texts) => [texts],
    Input::Tokens(_) | Input::TokenLists(_) => [],
);

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Input, D::Error> {
        from.deserialize_any(AnyInput)
    }
}

struct AnyInput;

impl<'de> Visitor<'de> for AnyInput {
    type Value = Input;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, an array of strings, or token numbers")
    }

    fn visit_str<E>(self, text: &str) -> Result<Input, E> {
        Ok(Input::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Input, E> {
        Ok(Input::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Input, A::Error> {
        let mut input = match seq.next_element()? {
            None => return Ok(Input::Texts(Vec::new())),
            Some(Item::Text(text)) => Input::Texts(vec![text]),
            Some(Item::Token(token)) => Input::Tokens(vec![token]),
            Some(Item::Tokens(tokens)) => Input::TokenLists(vec![tokens]),
        };
        loop {
            match (&mut input, seq.next_element()?) {
                (_, None) => return Ok(input),
                (Input::Texts(texts), Some(Item::Text(text))) => texts.push(text),
                (Input::Tokens(tokens), Some(Item::Token(token))) => tokens.push(token),
                (Input::TokenLists(lists), Some(Item::Tokens(tokens))) => lists.push(tokens),
                _ => return Err(A::Error::custom("expected an array with items of one type")),
            }
        }
    }
}

/// One item of an array.
enum Item {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Item, D::Error> {
        from.deserialize_any(AnyItem)
    }
}

struct AnyItem;

impl<'de> Visitor<'de> for AnyItem {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a token number, or an array of token numbers")
    }

    fn visit_str<E>(self, text: &str) -> Result<Item, E> {
        Ok(Item::Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, token: u64) -> Result<Item, E> {
        u32::try_from(token)
            .map(Item::Token)
            .map_err(|_| E::custom("expected a token number below 4294967296"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Item, A::Error> {
        let mut tokens = Vec::new();
        while let Some(token) = seq.next_element()? {
            tokens.push(token);
        }
        Ok(Item::Tokens(tokens))
    }
}
