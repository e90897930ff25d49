//! JSON with bounds: nesting, opaque values, maps without repeated keys, "a string or something else".

mod guard;
mod opaque;
mod pairs;
mod strict;
mod text_or;

pub use guard::{MAX_DEPTH, TooDeep, check_depth};
pub use opaque::Opaque;
pub(crate) use opaque::TWO_MEANINGS;
pub use pairs::Pairs;
pub(crate) use strict::Strict;
pub use text_or::{Shape, TextOr};

use serde::Serialize;

/// Writes a shape of this crate as JSON.
#[expect(
    clippy::expect_used,
    reason = "to_vec fails only for maps with keys that are not strings or for a failing Serialize; this crate has neither"
)]
pub(crate) fn write(shape: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(shape).expect("shapes of this crate always serialise")
}

/// Reads `null` like an absent field, for answers of upstreams that write `null` where a list belongs.
pub(crate) fn null_as_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    <Option<T> as serde::Deserialize>::deserialize(from).map(Option::unwrap_or_default)
}

/// Reads whatever is there and takes a value of ours instead: for fields of answers that the gateway writes itself. Unlike
/// `skip_deserializing` it leaves the field in the schema.
pub(crate) fn ours<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default,
{
    <serde::de::IgnoredAny as serde::Deserialize>::deserialize(from).map(|_| T::default())
}

/// For fields of requests that never go to an upstream. Unlike `skip_serializing` it leaves the field in the schema.
pub(crate) fn always<T>(_: &T) -> bool {
    true
}

/// True where a list is empty or absent, so that it is not written.
pub(crate) fn none_or_empty<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}
