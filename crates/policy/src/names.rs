//! Bounds on the names that limits are given to.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The most keys, and the most models, that one [`crate::LimitSet`] names.
pub const MAX_NAMED: usize = 1_000;
/// The longest name of a key, subject or model, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// Reads a map of at most [`MAX_NAMED`] names, each once: a second entry that silently wins could loosen a limit.
pub(crate) fn each_once<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Named<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Named<T> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX_NAMED} names with limits")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut named = BTreeMap::new();
            while let Some(name) = map.next_key::<String>()? {
                if name.is_empty() || name.len() > MAX_NAME_BYTES {
                    return Err(A::Error::custom(format_args!(
                        "a name has 1 to {MAX_NAME_BYTES} bytes"
                    )));
                }
                if named.contains_key(&name) {
                    return Err(A::Error::custom(format_args!("{name:?} is named twice")));
                }
                if named.len() == MAX_NAMED {
                    return Err(A::Error::custom(format_args!(
                        "more than {MAX_NAMED} names"
                    )));
                }
                named.insert(name, map.next_value()?);
            }
            Ok(named)
        }
    }

    deserializer.deserialize_map(Named(PhantomData))
}
