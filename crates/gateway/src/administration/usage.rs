//! `…/usage`

use axum::{
    extract::{RawPathParams, State},
    response::Response,
};
use compartment::administration as deeds;
use http::{HeaderMap, Uri};
use jiff::{Timestamp, ToSpan as _, tz::Offset};
use wire::steward::{ListObject, UsageBy, UsageList, UsageQuery, UsageRow};

use super::{Office, ok, query};
use crate::refusal::Refusal;

/// Days that are shown where none are named.
const DAYS: i64 = 30;

pub(super) async fn show<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let admin = office.open(&headers, &path, now).await?;
    let wish: UsageQuery = query(&uri)?;
    let to = wish
        .to
        .unwrap_or_else(|| Offset::UTC.to_datetime(now).date());
    let usage = admin
        .usage(deeds::UsageQuery {
            from: wish.from.unwrap_or_else(|| to.saturating_sub(DAYS.days())),
            to,
            credential: wish.key,
            model: wish.model,
            by: match wish.by.unwrap_or(UsageBy::Each) {
                UsageBy::Day => deeds::UsageBy::Day,
                UsageBy::Key => deeds::UsageBy::Credential,
                UsageBy::Model => deeds::UsageBy::Model,
                UsageBy::Each => deeds::UsageBy::Each,
            },
        })
        .await?;
    Ok(ok(&UsageList {
        object: ListObject,
        data: usage.rows.iter().map(row).collect(),
        has_more: usage.has_more,
        total: row(&usage.total),
        currency: office.gateway().currency().to_owned(),
    }))
}

fn row(row: &deeds::UsageRow) -> UsageRow {
    UsageRow {
        day: row.day,
        key: row.credential.clone(),
        model: row.model.clone(),
        calls: row.calls,
        input_tokens: row.input_tokens,
        cached_input_tokens: row.cached_input_tokens,
        output_tokens: row.output_tokens,
        cost: row.cost.to_string(),
    }
}
