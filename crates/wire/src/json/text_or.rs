//! Fields that hold a string or something else, read in one pass.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use utoipa::openapi::{OneOfBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// What else than a string a field may hold.
pub trait Shape: ToSchema {
    /// What it is in an error message, such as "an object".
    const WHAT: &'static str;
    /// Name of the field's schema, string included.
    const NAME: &'static str;

    /// Its schema where it stands.
    fn shape() -> RefOr<Schema> {
        Ref::from_schema_name(Self::name()).into()
    }

    /// The named schemas that [`Shape::shape`] leads to.
    fn named(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Self::name().into_owned(), Self::schema()));
        Self::schemas(schemas);
    }
}

impl Shape for Vec<String> {
    const WHAT: &'static str = "an array";
    const NAME: &'static str = "TextOrTexts";

    fn shape() -> RefOr<Schema> {
        Self::schema()
    }

    fn named(_: &mut Vec<(String, RefOr<Schema>)>) {}
}

/// A string, or an array or object that is a `T`.
///
/// Serde's untagged enums would buffer the value first, which costs a copy and loses the place of an error.
#[derive(Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TextOr<T> {
    /// A plain string.
    Text(String),
    /// Not a string.
    Other(T),
}

impl<T: Shape> PartialSchema for TextOr<T> {
    fn schema() -> RefOr<Schema> {
        let either = OneOfBuilder::new().item(String::schema()).item(T::shape());
        Schema::OneOf(either.build()).into()
    }
}

impl<T: Shape> ToSchema for TextOr<T> {
    fn name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::named(schemas);
    }
}

impl<T> fmt::Debug for TextOr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextOr::Text(text) => write!(f, "Text({} bytes)", text.len()),
            TextOr::Other(_) => f.write_str("Other"),
        }
    }
}

impl<'de, T: Deserialize<'de> + Shape> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Either(PhantomData))
    }
}

struct Either<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Shape> Visitor<'de> for Either<T> {
    type Value = TextOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string or {}", T::WHAT)
    }

    fn visit_str<E>(self, text: &str) -> Result<TextOr<T>, E> {
        Ok(TextOr::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<TextOr<T>, E> {
        Ok(TextOr::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<TextOr<T>, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(seq)).map(TextOr::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOr<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Other)
    }
}
