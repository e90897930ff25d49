//! `/admin/v1/…`, health and metrics: the operator's side, on a listener and a runtime of its own, so that it neither
//! hurts traffic nor goes away with it.

mod deployment;
mod health;
mod tenants;

use std::{io, net::TcpListener, sync::Arc, thread::JoinHandle};

use axum::{Router, extract::RawPathParams, routing::get};
use compartment::{Administration, JournalView, Operator, Refused, TenantId};
use http::{HeaderMap, header};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use wire::openai::error;

use crate::{
    administration::{self, Exports, Office, part},
    app::Gateway,
    config::ListenLimits,
    data_plane::{unknown_path, wrong_method},
    listen,
    refusal::Refusal,
};

/// Connections of the control plane: few people and programs come here.
const MAX_CONNECTIONS: usize = 256;

/// Exports at once, of all tenants' journals.
const EXPORTS: usize = 16;

/// The operator's office: the tenant is named in the path.
#[derive(Clone)]
pub(crate) struct Control {
    gateway: Arc<Gateway>,
    exports: Arc<Exports>,
}

impl Control {
    fn operator(&self, headers: &HeaderMap) -> Result<Operator, Refusal> {
        let authorization = headers
            .get(header::AUTHORIZATION)
            .ok_or_else(error::missing_api_key)?;
        let authorization = authorization
            .to_str()
            .map_err(|_| error::invalid_api_key())?;
        Ok(self.gateway.house().operator(authorization)?)
    }
}

impl Office for Control {
    fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    async fn open(
        &self,
        headers: &HeaderMap,
        path: &RawPathParams,
        now: Timestamp,
    ) -> Result<Administration, Refusal> {
        let operator = self.operator(headers)?;
        Ok(operator.tenant(&tenant_id(path)?, now).await?)
    }

    async fn journal(
        &self,
        headers: &HeaderMap,
        path: &RawPathParams,
        now: Timestamp,
    ) -> Result<(JournalView, Arc<Exports>), Refusal> {
        let journal = self.open(headers, path, now).await?.journal();
        Ok((journal, Arc::clone(&self.exports)))
    }
}

fn tenant_id(path: &RawPathParams) -> Result<TenantId, Refusal> {
    TenantId::parse(part(path, "tenant")?).map_err(|_| Refused::NotFound { what: "tenant" }.into())
}

/// All routes of the control plane.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let admin = Router::new()
        .route("/tenants", get(tenants::list).post(tenants::create))
        .route(
            "/tenants/{tenant}",
            get(tenants::one).patch(tenants::change),
        )
        .nest("/tenants/{tenant}", administration::routes::<Control>())
        .route("/deployment/checkpoint", get(deployment::checkpoint))
        .route("/models", get(deployment::models));
    Router::new()
        .nest("/admin/v1", admin)
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .with_state(Control {
            gateway,
            exports: Arc::new(Exports::at_once(EXPORTS)),
        })
}

/// Serves the control plane on a thread of its own until `stop` is cancelled. Whether `listener` may be reached from
/// other machines is for the configuration to decide.
///
/// # Errors
/// The system refuses a thread, a runtime, or a listener that does not block.
pub fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    limits: ListenLimits,
    stop: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let limits = ListenLimits {
        max_connections: MAX_CONNECTIONS,
        ..limits
    };
    std::thread::Builder::new()
        .name("control-plane".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        listen::serve(listener, router(gateway), limits, stop).await;
                    }
                    Err(why) => tracing::error!(%why, "the control plane cannot serve"),
                }
            });
        })
}
