//! What every call of the process shares: the house, the models on offer, the upstreams, the limits.

use std::{collections::BTreeMap, sync::Arc};

use axum::body::Body;
use compartment::{Compartment, Gatehouse, House, Principal, Refused};
use http::{HeaderMap, header};
use jiff::Timestamp;
use policy::{Bounds, Catalogue, Pricing};
use wire::{
    admin::{ModelPrice, ModelRoute, ModelRouteObject},
    openai::{Extra, error},
};

use crate::{
    config::{CallLimits, ConfigError, DataPlane, Model, Tariff, UpstreamKind},
    intake::{self, BodyShare, Taken},
    metrics::Metrics,
    refusal::Refusal,
    upstream::{Cells, OpenAi, Upstream},
};

/// The data plane, ready to serve.
pub struct Gateway {
    house: Arc<House>,
    gatehouse: Gatehouse,
    limits: CallLimits,
    offers: BTreeMap<String, Offer>,
    upstreams: Vec<(String, Upstream)>,
    /// Every extra field that any upstream takes: which one it is for shows only once the body is parsed.
    extra_fields: Vec<String>,
    /// Unix time in seconds; what models say of when they were made.
    started: i64,
    /// What amounts are in.
    currency: String,
    metrics: Arc<Metrics>,
}

/// One model that callers may ask for.
struct Offer {
    bounds: Bounds,
    /// The upstream's name of it.
    upstream_model: String,
    upstream: usize,
}

impl Gateway {
    /// Puts the data plane together. A model whose price is not in `catalogue`, and that is not declared free, is
    /// offered without a price: its calls are refused.
    ///
    /// # Errors
    /// An upstream that cannot be used as configured.
    pub fn new(
        house: Arc<House>,
        config: DataPlane,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<Arc<Gateway>, ConfigError> {
        let count = config.upstreams.len();
        let mut extra_fields = Vec::new();
        let mut upstreams = Vec::with_capacity(count);
        for (index, upstream) in config.upstreams.into_iter().enumerate() {
            let made = match upstream.kind {
                UpstreamKind::OpenAi(settings) => {
                    extra_fields.extend(settings.extra_fields.iter().cloned());
                    Upstream::OpenAi(Box::new(OpenAi::new(
                        upstream.name.clone(),
                        index,
                        count,
                        settings,
                    )?))
                }
                UpstreamKind::Cell(settings) => Upstream::Cell(Cells::new(index, count, settings)),
            };
            upstreams.push((upstream.name, made));
        }
        extra_fields.sort_unstable();
        extra_fields.dedup();
        let offers = config
            .models
            .iter()
            .map(|model| (model.name.clone(), offer(model, catalogue)))
            .collect();
        Ok(Arc::new(Gateway {
            gatehouse: house.gatehouse(),
            house,
            limits: config.calls,
            offers,
            upstreams,
            extra_fields,
            started: now.as_second(),
            currency: catalogue.currency().to_owned(),
            metrics: Arc::new(Metrics::new()),
        }))
    }

    /// The house that all of this serves.
    pub fn house(&self) -> &Arc<House> {
        &self.house
    }

    /// Who asks, by the one `Authorization` header of the request.
    ///
    /// # Errors
    /// 401 without a valid credential, 403 for a suspended tenant, 503 while keys or store are not there.
    pub(crate) async fn admit(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<(Compartment, Principal), Refusal> {
        let authorization = headers
            .get(header::AUTHORIZATION)
            .ok_or_else(error::missing_api_key)?;
        let authorization = authorization.to_str().map_err(|_| Refused::Unauthorized)?;
        Ok(self.gatehouse.admit(authorization, now).await?)
    }

    /// The body of an admitted request.
    ///
    /// # Errors
    /// See [`intake::read`].
    pub(crate) async fn read(
        &self,
        compartment: &Compartment,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Taken, Refusal> {
        let share = compartment.resident(|| BodyShare::new(&self.limits));
        intake::read(headers, body, &share, &self.limits).await
    }

    /// Where calls for the model of exactly this name go.
    pub(crate) fn place(&self, model: &str) -> Place<'_> {
        Place(self.offers.get(model).and_then(|offer| {
            let (name, upstream) = self.upstreams.get(offer.upstream)?;
            Some(Found {
                offer,
                name,
                upstream,
            })
        }))
    }

    /// All models on offer, ordered by name.
    pub(crate) fn offered(&self) -> impl Iterator<Item = &str> {
        self.offers.keys().map(String::as_str)
    }

    /// Unix time in seconds at which the process started.
    pub(crate) fn started(&self) -> i64 {
        self.started
    }

    /// What amounts of money are in.
    pub(crate) fn currency(&self) -> &str {
        &self.currency
    }

    /// What the flows count.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Whether tenants may have credentials of their own for the upstream of this name.
    pub(crate) fn takes_credentials(&self, upstream: &str) -> bool {
        self.upstreams.iter().any(|(name, upstream_of)| {
            name == upstream && matches!(upstream_of, Upstream::OpenAi(_))
        })
    }

    /// The upstreams that are servers, and whether each is given a pause.
    pub(crate) fn resting(&self) -> impl Iterator<Item = (&str, bool)> {
        self.upstreams
            .iter()
            .filter_map(|(name, upstream)| match upstream {
                Upstream::OpenAi(server) => Some((name.as_str(), server.rests())),
                Upstream::Cell(_) => None,
            })
    }

    /// Where each model leads, and what it costs, for the operator.
    pub(crate) fn model_routes(&self) -> Vec<ModelRoute> {
        let route = |(name, offer): (&String, &Offer)| ModelRoute {
            id: name.clone(),
            object: ModelRouteObject,
            upstream: self
                .upstreams
                .get(offer.upstream)
                .map_or_else(String::new, |(name, _)| name.clone()),
            upstream_model: offer.upstream_model.clone(),
            free: offer.bounds.pricing == Pricing::Free,
            price: match &offer.bounds.pricing {
                Pricing::Priced(price) => Some(self.price(price)),
                Pricing::Free | Pricing::Unpriced => None,
            },
            max_output_tokens: Some(offer.bounds.max_output),
        };
        self.offers.iter().map(route).collect()
    }

    fn price(&self, price: &policy::Price) -> ModelPrice {
        let rates = price.rates(0);
        ModelPrice {
            input: rates.input.to_string(),
            cached_input: rates.cached_input.map(|amount| amount.to_string()),
            output: rates.output.to_string(),
            currency: self.currency.clone(),
        }
    }

    /// Every extra field that any upstream takes.
    pub(crate) fn extra_fields(&self) -> &[String] {
        &self.extra_fields
    }
}

/// Where a model leads, or that it leads nowhere: the permit refuses such a call, as it refuses one for a model that is
/// not this caller's, so that the two look alike.
pub(crate) struct Place<'a>(Option<Found<'a>>);

struct Found<'a> {
    offer: &'a Offer,
    name: &'a str,
    upstream: &'a Upstream,
}

impl<'a> Place<'a> {
    pub(crate) fn bounds(&self) -> Option<Bounds> {
        self.0.as_ref().map(|found| found.offer.bounds)
    }

    /// The upstream's name; for a model that leads nowhere one that no upstream has.
    pub(crate) fn upstream_name(&self) -> &'a str {
        self.0.as_ref().map_or("none", |found| found.name)
    }

    /// The upstream and its name of the model, for a permitted call.
    ///
    /// # Errors
    /// 400 for an extra field that only another upstream takes, or for a feature that costs something else than tokens
    /// where tokens have a price; the uniform 404 for a model that leads nowhere.
    pub(crate) fn upstream(
        &self,
        extra: &Extra,
        unpriced_feature: Option<&str>,
    ) -> Result<(&'a Upstream, &'a str), Refusal> {
        let found = self.0.as_ref().ok_or_else(error::model_not_found)?;
        let takes = found.upstream.extra_fields();
        if let Some((name, _)) = extra
            .iter()
            .find(|(name, _)| !takes.iter().any(|taken| taken == name))
        {
            let message = format!("Unrecognized request argument supplied: {name}");
            return Err(Refusal::of(400, "unknown_parameter", message));
        }
        match unpriced_feature {
            Some(field) if found.offer.bounds.pricing != Pricing::Free => Err(Refusal::of(
                400,
                "feature_not_priced",
                format!(
                    "'{field}' costs something else than tokens, which has no price here; nothing was sent; leave it out"
                ),
            )),
            _ => Ok((found.upstream, &found.offer.upstream_model)),
        }
    }
}

fn offer(model: &Model, catalogue: &Catalogue) -> Offer {
    let pricing = match &model.tariff {
        Tariff::Free => Pricing::Free,
        Tariff::Catalogue(entry) => catalogue
            .price(entry)
            .map_or(Pricing::Unpriced, Pricing::Priced),
    };
    Offer {
        bounds: Bounds {
            task: model.task,
            pricing,
            max_output: model.max_output_tokens,
        },
        upstream_model: model.upstream_model.clone(),
        upstream: model.upstream,
    }
}
