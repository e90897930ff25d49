//! Why the answer of an upstream could not be read.

use serde::de::DeserializeOwned;

use crate::json::{Strict, check_depth};

/// An upstream answered with something that is not the shape it should be. Holds nothing of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// Not JSON, cut off, or nested too deep.
    #[error(
        "the upstream's answer is not readable JSON; nothing of it was passed on; check what the upstream serves"
    )]
    Json,
    /// JSON of another shape.
    #[error(
        "the upstream's answer has another shape than this route's; nothing of it was passed on; check its kind"
    )]
    Shape,
    /// More choices, tool calls or items than any request can ask for.
    #[error(
        "the upstream's answer has more parts than could be asked for; nothing of it was passed on"
    )]
    TooMany,
}

/// Reads one JSON document of an upstream.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, BadAnswer> {
    check_depth(json).map_err(|_| BadAnswer::Json)?;
    let mut from = serde_json::Deserializer::from_slice(json);
    let parsed = T::deserialize(Strict(&mut from)).and_then(|parsed| from.end().map(|()| parsed));
    parsed.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => BadAnswer::Shape,
        _ => BadAnswer::Json,
    })
}

/// Refuses a list with more than `most` items.
pub(crate) fn at_most(most: usize, items: usize) -> Result<(), BadAnswer> {
    if items > most {
        Err(BadAnswer::TooMany)
    } else {
        Ok(())
    }
}

/// A field that always holds the same word, such as `object`.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident = $word:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name;

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str($word)
            }
        }
    };
}
pub(crate) use word;
