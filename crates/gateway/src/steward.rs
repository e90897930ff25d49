//! `/tenant/v1/…`: a tenant's own administration, on the data plane. The credential alone says which tenant it is; no path,
//! field or header names one.

mod calls;
mod credentials;
mod sessions;

use std::sync::Arc;

use axum::{
    Router,
    extract::RawPathParams,
    routing::{get, post, put},
};
use compartment::{Administration, JournalView};
use http::HeaderMap;
use jiff::Timestamp;

use crate::{
    administration::{self, Exports, Office},
    app::Gateway,
    data_plane::wrong_method,
    refusal::Refusal,
};

/// Exports of one tenant's journal at once.
const EXPORTS: usize = 2;

/// The steward's office: the administration of the tenant that the credential belongs to.
#[derive(Clone)]
pub(crate) struct Steward(Arc<Gateway>);

impl Office for Steward {
    fn gateway(&self) -> &Arc<Gateway> {
        &self.0
    }

    async fn open(
        &self,
        headers: &HeaderMap,
        _: &RawPathParams,
        now: Timestamp,
    ) -> Result<Administration, Refusal> {
        let (compartment, principal) = self.0.admit(headers, now).await?;
        Ok(compartment.steward(&principal, now)?)
    }

    async fn journal(
        &self,
        headers: &HeaderMap,
        _: &RawPathParams,
        now: Timestamp,
    ) -> Result<(JournalView, Arc<Exports>), Refusal> {
        let (compartment, principal) = self.0.admit(headers, now).await?;
        let journal = compartment.auditor(&principal, now)?;
        Ok((journal, compartment.resident(|| Exports::at_once(EXPORTS))))
    }
}

/// The routes below `/tenant/v1`.
pub(crate) fn router(gateway: Arc<Gateway>) -> Router {
    administration::routes::<Steward>()
        .route("/self", get(sessions::myself))
        .route("/sessions", post(sessions::mint))
        .route("/calls/{id}", get(calls::one))
        .route("/credentials", get(credentials::list))
        .route(
            "/credentials/{upstream}",
            put(credentials::set).delete(credentials::remove),
        )
        .method_not_allowed_fallback(wrong_method)
        .with_state(Steward(gateway))
}
