//! Who is calling: what the credential may do, and for whom.

use crate::id::{ApiKeyId, IssuerId, TenantId};
use jiff::Timestamp;
use policy::Rights;
use std::{fmt, sync::Arc};

/// The models a credential may name: all of the deployment's, or those of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Models {
    /// Whatever the deployment routes.
    #[default]
    All,
    /// These alone.
    Only(Arc<[String]>),
}

/// The most models in one allow-list.
pub const MAX_MODELS: usize = 256;
/// The longest model name, in bytes.
pub const MAX_MODEL_BYTES: usize = 128;

impl Models {
    /// Whether `model` may be named.
    #[must_use]
    pub fn allow(&self, model: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => list.iter().any(|name| name == model),
        }
    }

    /// Whether every model of `self` may be named under `other` too.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::All) => true,
            (Self::All, Self::Only(_)) => false,
            (Self::Only(these), Self::Only(those)) => these.iter().all(|name| those.contains(name)),
        }
    }

    /// The models that both allow.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, one) | (one, Self::All) => one.clone(),
            (Self::Only(these), Self::Only(those)) => Self::Only(
                these
                    .iter()
                    .filter(|name| those.contains(name))
                    .cloned()
                    .collect(),
            ),
        }
    }

    /// The list, or `None` where there is none.
    #[must_use]
    pub fn list(&self) -> Option<Vec<String>> {
        match self {
            Self::All => None,
            Self::Only(list) => Some(list.to_vec()),
        }
    }

    /// Takes a list as it comes over a socket; `None` is [`Models::All`].
    ///
    /// # Errors
    ///
    /// [`crate::Refused::Invalid`] above [`MAX_MODELS`] names, or where one is empty or above [`MAX_MODEL_BYTES`].
    pub fn from_list(list: Option<Vec<String>>) -> Result<Self, crate::Refused> {
        let Some(mut list) = list else {
            return Ok(Self::All);
        };
        list.sort();
        list.dedup();
        let fits = |name: &String| (1..=MAX_MODEL_BYTES).contains(&name.len());
        if list.len() > MAX_MODELS || !list.iter().all(fits) {
            return Err(crate::Refused::invalid(
                "models",
                "the list of models has at most 256 names of 1 to 128 bytes; nothing was changed; shorten it",
            ));
        }
        Ok(Self::Only(list.into()))
    }
}

/// An end user or a session of one, blinded under the tenant's key: once for the store, once for the journal, so that
/// the two cannot be linked without that key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BlindName {
    pub(crate) stored: [u8; 16],
    pub(crate) journalled: [u8; 16],
}

impl fmt::Debug for BlindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlindName(16 bytes)")
    }
}

/// The kinds of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// An API key.
    Key,
    /// A session token that a key minted.
    Session,
    /// A token of one of the tenant's own issuers.
    Issuer,
}

/// What the caller showed at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// An API key.
    Key(ApiKeyId),
    /// A session token, which lives no longer than the key that minted it.
    Session { minted_by: ApiKeyId },
    /// A token of one of the tenant's own issuers.
    Issuer(IssuerId),
}

/// An authenticated caller. Only the gatehouse makes one; everything in it is private, and it is worth something only
/// at the compartment it came with.
#[derive(Clone)]
pub struct Principal {
    pub(crate) home: TenantId,
    pub(crate) shown: Shown,
    pub(crate) scopes: Rights,
    pub(crate) models: Models,
    pub(crate) subject: Option<BlindName>,
    pub(crate) session: Option<BlindName>,
    pub(crate) expires: Option<Timestamp>,
}

impl Principal {
    /// What kind of credential it is.
    #[must_use]
    pub fn kind(&self) -> CredentialKind {
        match self.shown {
            Shown::Key(_) => CredentialKind::Key,
            Shown::Session { .. } => CredentialKind::Session,
            Shown::Issuer(_) => CredentialKind::Issuer,
        }
    }

    /// What the credential may do.
    #[must_use]
    pub fn scopes(&self) -> Rights {
        self.scopes
    }

    /// The id of the credential as records show it: of the key, of the key that minted the session, or of the issuer.
    #[must_use]
    pub fn credential(&self) -> String {
        match &self.shown {
            Shown::Key(id) | Shown::Session { minted_by: id } => id.to_string(),
            Shown::Issuer(id) => id.to_string(),
        }
    }

    /// Whether the caller stands for one end user and reaches that end user's things alone.
    #[must_use]
    pub fn is_subject_bound(&self) -> bool {
        self.subject.is_some()
    }

    /// The allow-list of models.
    #[must_use]
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// When the credential ends, where it does.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("credential", &self.credential())
            .field("scopes", &self.scopes)
            .field("subject_bound", &self.is_subject_bound())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allow_list_can_only_be_narrowed() {
        let only = |names: &[&str]| {
            Models::from_list(Some(names.iter().map(|&n| n.to_owned()).collect())).unwrap()
        };
        assert!(only(&["a"]).within(&Models::All));
        assert!(!Models::All.within(&only(&["a"])));
        assert!(only(&["a"]).within(&only(&["a", "b"])));
        assert!(!only(&["a", "c"]).within(&only(&["a", "b"])));
        assert_eq!(only(&["a", "c"]).and(&only(&["a", "b"])), only(&["a"]));
        assert!(!only(&[]).allow("a"));
        assert!(Models::from_list(Some(vec![String::new()])).is_err());
    }
}
