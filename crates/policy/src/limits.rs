//! What a tenant, its keys, its end users and its models may use.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::{Nanos, Scope, Window, names};

/// The limits of one scope; an absent field is no limit.
///
/// Rates and concurrency start at one: to shut a key or a tenant, revoke or suspend it. Money may be zero, which
/// refuses every call that costs anything.
///
/// In JSON, money is a decimal string in the catalogue's currency: `{"requests_per_minute":60,"money_per_day":"2.50"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Calls begun in any minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// Tokens in any minute: input and output as reserved, all choices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<NonZeroU32>,
    /// Calls in flight at one moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_calls: Option<NonZeroU32>,
    /// Money in one day, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money_per_day: Option<Nanos>,
    /// Money in one month, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money_per_month: Option<Nanos>,
    /// Money ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money_total: Option<Nanos>,
}

impl Limits {
    /// Nothing is limited.
    pub const NONE: Limits = Limits {
        requests_per_minute: None,
        tokens_per_minute: None,
        concurrent_calls: None,
        money_per_day: None,
        money_per_month: None,
        money_total: None,
    };

    /// The money limit of a window, if there is one.
    pub const fn money(&self, window: Window) -> Option<Nanos> {
        match window {
            Window::Day(_) => self.money_per_day,
            Window::Month(_) => self.money_per_month,
            Window::Total => self.money_total,
        }
    }

    /// Field by field the smaller of the two.
    pub fn tightened_by(&self, other: &Limits) -> Limits {
        self.field_by_field(other, tighter, tighter)
    }

    /// Field by field this one's, and `default`'s where this one has none.
    fn or(&self, default: &Limits) -> Limits {
        self.field_by_field(default, Option::or, Option::or)
    }

    fn field_by_field(
        &self,
        other: &Limits,
        count: fn(Option<NonZeroU32>, Option<NonZeroU32>) -> Option<NonZeroU32>,
        money: fn(Option<Nanos>, Option<Nanos>) -> Option<Nanos>,
    ) -> Limits {
        Limits {
            requests_per_minute: count(self.requests_per_minute, other.requests_per_minute),
            tokens_per_minute: count(self.tokens_per_minute, other.tokens_per_minute),
            concurrent_calls: count(self.concurrent_calls, other.concurrent_calls),
            money_per_day: money(self.money_per_day, other.money_per_day),
            money_per_month: money(self.money_per_month, other.money_per_month),
            money_total: money(self.money_total, other.money_total),
        }
    }
}

fn tighter<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// All limits of one tenant, as its operator or its steward writes them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSet {
    /// Of the tenant as a whole.
    pub tenant: Limits,
    /// Of each API key that `keys` does not name, each for itself.
    pub each_key: Limits,
    /// Of each end user, each for itself.
    pub each_subject: Limits,
    /// Of single API keys, by id. A field that is absent here is taken from `each_key`. At most [`crate::MAX_NAMED`].
    #[serde(
        deserialize_with = "names::each_once",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub keys: BTreeMap<String, Limits>,
    /// Of single models, over all keys and end users. At most [`crate::MAX_NAMED`].
    #[serde(
        deserialize_with = "names::each_once",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub models: BTreeMap<String, Limits>,
}

impl LimitSet {
    /// The limits that hold when both sets do, such as a steward's below an operator's: the smaller one everywhere.
    /// Neither side can loosen the other, whatever it names.
    pub fn tightened_by(&self, other: &LimitSet) -> LimitSet {
        let named = |a: &BTreeMap<String, Limits>,
                     b: &BTreeMap<String, Limits>,
                     of: &dyn Fn(&str) -> Limits| {
            a.keys()
                .chain(b.keys())
                .map(|name| (name.clone(), of(name)))
                .collect()
        };
        LimitSet {
            tenant: self.tenant.tightened_by(&other.tenant),
            each_key: self.each_key.tightened_by(&other.each_key),
            each_subject: self.each_subject.tightened_by(&other.each_subject),
            keys: named(&self.keys, &other.keys, &|name| {
                self.key(name).tightened_by(&other.key(name))
            }),
            models: named(&self.models, &other.models, &|name| {
                self.model(name).tightened_by(&other.model(name))
            }),
        }
    }

    /// The limits of one API key.
    pub fn key(&self, key: &str) -> Limits {
        self.keys
            .get(key)
            .map_or(self.each_key, |named| named.or(&self.each_key))
    }

    /// The limits of one model.
    pub fn model(&self, model: &str) -> Limits {
        self.models.get(model).copied().unwrap_or_default()
    }

    /// Every scope that a call belongs to, with its limits: tenant, key and subject if the caller is one, model.
    ///
    /// A scope without limits is in it too, because what it spends is counted all the same: a limit set later knows
    /// what was spent before.
    pub fn effective(
        &self,
        key: Option<&str>,
        subject: Option<&str>,
        model: &str,
    ) -> Vec<(Scope, Limits)> {
        let mut scopes = vec![(Scope::Tenant, self.tenant)];
        if let Some(key) = key {
            scopes.push((Scope::Key(key.into()), self.key(key)));
        }
        if let Some(subject) = subject {
            scopes.push((Scope::Subject(subject.into()), self.each_subject));
        }
        scopes.push((Scope::Model(model.into()), self.model(model)));
        scopes
    }
}
