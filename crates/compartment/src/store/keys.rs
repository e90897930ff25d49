//! API keys: a keyed hash and a sealed description each.

use jiff::Timestamp;

use crate::id::ApiKeyId;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyRow {
    pub(crate) id: ApiKeyId,
    pub(crate) hash: [u8; 32],
    pub(crate) sealed: Vec<u8>,
    pub(crate) created: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) revoked: Option<Timestamp>,
}
