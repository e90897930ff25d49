//! The pinned token issuers of an open tenant.

use crate::{
    credential::IssuerPin, error::Refused, id::IssuerId, keyset::TenantKeys, principal::Models,
    seal::Kind,
};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

const SEALED_VERSION: u64 = 1;

/// An issuer as a tenant pinned it, and what its tokens may name.
#[derive(Clone)]
pub(crate) struct Pinned {
    pub(crate) pin: IssuerPin,
    pub(crate) models: Models,
}

#[derive(Serialize, Deserialize)]
struct Content {
    pin: IssuerPin,
    models: Option<Vec<String>>,
}

impl Pinned {
    pub(crate) fn seal(&self, keys: &TenantKeys, id: &IssuerId) -> Result<Vec<u8>, Refused> {
        let content = Content {
            pin: self.pin.clone(),
            models: self.models.list(),
        };
        let plain = serde_json::to_vec(&content).map_err(|_| Refused::Internal)?;
        Ok(keys.seal(Kind::Issuer, id.as_bytes(), SEALED_VERSION, &plain)?)
    }

    pub(crate) fn open(keys: &TenantKeys, id: &IssuerId, sealed: &[u8]) -> Result<Self, Refused> {
        let plain = keys.open(Kind::Issuer, id.as_bytes(), SEALED_VERSION, sealed)?;
        let content: Content = serde_json::from_slice(&plain).map_err(|_| Refused::Internal)?;
        Ok(Self {
            pin: content.pin,
            models: Models::from_list(content.models)?,
        })
    }
}

/// The issuers of one tenant, by id.
#[derive(Default)]
pub(crate) struct IssuerTable(RwLock<BTreeMap<IssuerId, Arc<Pinned>>>);

impl IssuerTable {
    pub(crate) fn new(all: impl IntoIterator<Item = (IssuerId, Pinned)>) -> Self {
        Self(RwLock::new(
            all.into_iter()
                .map(|(id, pinned)| (id, Arc::new(pinned)))
                .collect(),
        ))
    }

    pub(crate) fn get(&self, id: &IssuerId) -> Option<Arc<Pinned>> {
        self.0.read().get(id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<(IssuerId, Arc<Pinned>)> {
        self.0
            .read()
            .iter()
            .map(|(id, pinned)| (*id, Arc::clone(pinned)))
            .collect()
    }

    pub(crate) fn put(&self, id: IssuerId, pinned: Pinned) {
        self.0.write().insert(id, Arc::new(pinned));
    }

    pub(crate) fn remove(&self, id: &IssuerId) {
        self.0.write().remove(id);
    }
}
