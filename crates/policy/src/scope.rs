//! Whose limits stand on a call.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::PolicyError;

/// One holder of limits inside one tenant. Its text, such as `tenant` or `key:key_0a…`, is what a store keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The tenant as a whole.
    Tenant,
    /// One API key, by its id.
    Key(Box<str>),
    /// One end user, by the blinded name: this crate never sees the name itself.
    Subject(Box<str>),
    /// One model, by the name that callers use.
    Model(Box<str>),
}

impl Scope {
    /// `tenant`, `key`, `subject` or `model`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Scope::Tenant => "tenant",
            Scope::Key(_) => "key",
            Scope::Subject(_) => "subject",
            Scope::Model(_) => "model",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Tenant => f.write_str("tenant"),
            Scope::Key(name) | Scope::Subject(name) | Scope::Model(name) => {
                write!(f, "{}:{name}", self.kind())
            }
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Scope {
    type Err = PolicyError;

    /// Reads exactly what [`Scope`] writes.
    fn from_str(text: &str) -> Result<Scope, PolicyError> {
        match text.split_once(':') {
            None if text == "tenant" => Ok(Scope::Tenant),
            Some(("key", name)) => Ok(Scope::Key(name.into())),
            Some(("subject", name)) => Ok(Scope::Subject(name.into())),
            Some(("model", name)) => Ok(Scope::Model(name.into())),
            _ => Err(PolicyError::Stored { what: "scope" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back_as_it_was_written() {
        let scopes = [
            Scope::Tenant,
            Scope::Key("key_0a".into()),
            Scope::Subject("ff00".into()),
            Scope::Model("meta/llama:8b".into()),
        ];
        for scope in scopes {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for text in ["", "tenant:", "key", "user:x", ":"] {
            assert!(text.parse::<Scope>().is_err(), "{text:?}");
        }
    }
}
