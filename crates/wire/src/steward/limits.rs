//! Limits.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{Body, check_name};
use crate::json::Pairs;
use crate::openai::{BadRequest, check, word};

/// Most keys or models with limits of their own.
const MAX_NAMED: usize = 1024;

/// Limits of one scope. An absent field is no limit; limits of every scope that a call falls under hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Limits {
    /// Calls begun in any minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub requests_per_minute: Option<NonZeroU32>,
    /// Tokens in any minute: input and output as reserved, all choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub tokens_per_minute: Option<NonZeroU32>,
    /// Calls at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub concurrent_calls: Option<NonZeroU32>,
    /// Money in one day, UTC, such as `"2.50"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money_per_day: Option<String>,
    /// Money in one month, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money_per_month: Option<String>,
    /// Money ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money_total: Option<String>,
}

impl Limits {
    /// Refuses money that is not a decimal such as `12.50`: at most ten digits, a point, at most nine digits.
    pub(crate) fn check(&self, path: &str) -> Result<(), BadRequest> {
        let money = [
            ("money_per_day", &self.money_per_day),
            ("money_per_month", &self.money_per_month),
            ("money_total", &self.money_total),
        ];
        money
            .iter()
            .filter_map(|(field, value)| value.as_deref().map(|value| (field, value)))
            .try_for_each(|(field, value)| {
                let (whole, part) = value.split_once('.').unwrap_or((value, "0"));
                let digits = |text: &str, most| {
                    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
                };
                if digits(whole, 10) && digits(part, 9) {
                    return Ok(());
                }
                let param = format!("{path}.{field}");
                let message =
                    format!("Invalid '{param}': expected a decimal string such as \"12.50\".");
                Err(BadRequest::new("invalid_value", param, message))
            })
    }
}

/// Limits of every kind of scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct LimitSet {
    /// Of the tenant as a whole.
    #[serde(default)]
    pub tenant: Limits,
    /// Of each API key that `keys` does not name, each for itself.
    #[serde(default)]
    pub each_key: Limits,
    /// Of each end user, each for itself.
    #[serde(default)]
    pub each_subject: Limits,
    /// Of single API keys, by id. A field that is absent here is taken from `each_key`.
    #[serde(default, deserialize_with = "each_once")]
    pub keys: BTreeMap<String, Limits>,
    /// Of single models.
    #[serde(default, deserialize_with = "each_once")]
    pub models: BTreeMap<String, Limits>,
}

fn each_once<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Limits>, D::Error> {
    Ok(Pairs::deserialize(from)?.into_iter().collect())
}

impl Body for LimitSet {
    fn check(&self) -> Result<(), BadRequest> {
        self.tenant.check("tenant")?;
        self.each_key.check("each_key")?;
        self.each_subject.check("each_subject")?;
        for (param, named) in [("keys", &self.keys), ("models", &self.models)] {
            check::items(param, named.len(), 0, MAX_NAMED)?;
            named.iter().try_for_each(|(name, limits)| {
                check_name(param, name)?;
                limits.check(param)
            })?;
        }
        Ok(())
    }
}

word!(
    /// `limits`.
    LimitsObject = "limits"
);

/// The limits of a tenant. Steward's limits only tighten the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitsView {
    /// Always `limits`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: LimitsObject,
    /// Set by the operator.
    pub operator: LimitSet,
    /// Set by the steward.
    pub steward: LimitSet,
    /// What holds: the smaller one of each.
    pub effective: LimitSet,
}
