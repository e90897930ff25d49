//! The API keys of an open tenant: what is in here is admitted, what is not is refused.

use crate::{id::ApiKeyId, principal::Models};
use jiff::Timestamp;
use parking_lot::RwLock;
use policy::Rights;
use std::{collections::HashMap, sync::Arc};

/// A key that is not revoked.
pub(crate) struct LiveKey {
    pub(crate) hash: [u8; 32],
    pub(crate) scopes: Rights,
    pub(crate) models: Models,
    pub(crate) expires: Option<Timestamp>,
}

impl LiveKey {
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// The live keys of one tenant. INVARIANT: a revocation that was recorded is in force here before its caller hears of it.
#[derive(Default)]
pub(crate) struct KeyTable(RwLock<HashMap<ApiKeyId, Arc<LiveKey>>>);

impl KeyTable {
    pub(crate) fn new(all: impl IntoIterator<Item = (ApiKeyId, LiveKey)>) -> Self {
        Self(RwLock::new(
            all.into_iter()
                .map(|(id, key)| (id, Arc::new(key)))
                .collect(),
        ))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.read().len()
    }

    pub(crate) fn get(&self, id: &ApiKeyId) -> Option<Arc<LiveKey>> {
        self.0.read().get(id).cloned()
    }

    pub(crate) fn put(&self, id: ApiKeyId, key: LiveKey) {
        self.0.write().insert(id, Arc::new(key));
    }

    pub(crate) fn remove(&self, id: &ApiKeyId) {
        self.0.write().remove(id);
    }
}
