//! The routes that tenants reach, each with and without `/v1`.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    middleware::map_response_with_state,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use wire::openai::error;

use crate::{app::Gateway, flow, refusal::Refusal, steward};

/// The data plane's router. The listener hands it only paths that need no normalisation.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let openai = Router::new()
        .route("/chat/completions", post(flow::chat))
        .route("/completions", post(flow::completions))
        .route("/embeddings", post(flow::embeddings))
        .route("/models", get(flow::models))
        .route("/models/{*id}", get(flow::model));
    Router::new()
        .merge(openai.clone())
        .nest("/v1", openai)
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .with_state(Arc::clone(&gateway))
        .nest("/tenant/v1", steward::router(Arc::clone(&gateway)))
        .layer(map_response_with_state(gateway, counted))
}

/// Refusals of every kind are seen here and nowhere else: most of them come before there is a call.
async fn counted(State(gateway): State<Arc<Gateway>>, response: Response) -> Response {
    gateway.metrics().responded(response.status().as_u16());
    response
}

/// The OpenAI-shaped 404 of every path that does not exist.
pub(crate) async fn unknown_path() -> Refusal {
    Refusal::unknown_path()
}

/// The OpenAI-shaped 405 of every path that exists with other methods.
pub(crate) async fn wrong_method() -> Response {
    Refusal::from(error::method_not_allowed()).into_response()
}
