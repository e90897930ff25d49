//! Lists, and the end of things.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::openai::word;

word!(
    /// `list`.
    ListObject = "list"
);

/// Things in order, perhaps not all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// Always `list`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: ListObject,
    /// The things.
    pub data: Vec<T>,
    /// There are more after the last one.
    pub has_more: bool,
}

impl<T> List<T> {
    /// A list that is whole.
    pub fn whole(data: Vec<T>) -> List<T> {
        List {
            object: ListObject,
            data,
            has_more: false,
        }
    }

    /// A page of a list. `data` may hold one thing more than `limit`, which then is the sign that there are more.
    pub fn page(mut data: Vec<T>, limit: usize) -> List<T> {
        let has_more = data.len() > limit;
        data.truncate(limit);
        List {
            object: ListObject,
            data,
            has_more,
        }
    }
}

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Id of the last thing of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Most things on the page, 1 to 1000; 100 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl ListQuery {
    /// Most things on the page, within its bounds.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, 1000) as usize
    }
}

/// Something was deleted, removed or revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// What it was called.
    pub id: String,
    /// What it was, such as `api_key`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}

impl Deleted {
    /// `id` of the kind `object` is gone.
    pub fn new(id: impl Into<String>, object: impl Into<String>) -> Deleted {
        Deleted {
            id: id.into(),
            object: object.into(),
            deleted: true,
        }
    }
}
