//! `/v1/models`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One model a caller may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// The name to send in `model`.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// Unix time in seconds.
    pub created: i64,
    /// Who runs it.
    pub owned_by: String,
}

impl Model {
    /// A model of this gateway; `created` is Unix time in seconds.
    pub fn new(id: impl Into<String>, created: i64) -> Model {
        Model {
            id: id.into(),
            object: "model".to_owned(),
            created,
            owned_by: "cofferdam".to_owned(),
        }
    }

    /// As JSON.
    pub fn write(&self) -> Vec<u8> {
        crate::json::write(self)
    }
}

/// The models a caller may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// In the order of the configuration.
    pub data: Vec<Model>,
}

impl ModelList {
    /// A list of these models.
    pub fn new(data: Vec<Model>) -> ModelList {
        ModelList {
            object: "list".to_owned(),
            data,
        }
    }

    /// As JSON.
    pub fn write(&self) -> Vec<u8> {
        crate::json::write(self)
    }
}
