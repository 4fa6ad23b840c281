//! The routes: one file for each noun. A handler extracts, calls the archive once, and answers.

mod consent;
mod conversation;
mod coverage;
mod dispose;
mod event;
mod evidence;
mod export;
mod graph;
mod health;
mod import;
mod index;
mod journal;
mod ledger;
mod media;
mod metrics;
mod parameter;
mod person;
mod replica;
mod search;
mod sender;
mod template;
mod tlog;
mod token;
mod verify;
mod webhook;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};

#[derive(OpenApi)]
#[openapi(
    info(title = "Piperoll", description = "Write-once archive for WhatsApp Business traffic.", license(name = "Apache-2.0")),
    modifiers(&Bearer),
    components(schemas(crate::wire::ErrorBody))
)]
struct Description;

/// Says how a token is sent.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("prt_…").build();
        let components = openapi.components.get_or_insert_with(Default::default);
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// Writes `Server-Timing` (W3C): the projections alone, in milliseconds.
fn projections_took(took: Duration) -> String {
    format!("projections;dur={:.3}", took.as_secs_f64() * 1e3)
}

fn described() -> OpenApiRouter<Arc<Archive>> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(webhook::handshake, webhook::deliver))
        .routes(routes!(sender::deliver))
        .routes(routes!(graph::send))
        .routes(routes!(journal::hand_in))
        .routes(routes!(import::import))
        .routes(routes!(event::hand_in))
        .routes(routes!(event::show))
        .routes(routes!(event::raw))
        .routes(routes!(media::attachment))
        .routes(routes!(event::proof))
        .routes(routes!(search::search))
        .routes(routes!(conversation::show))
        .routes(routes!(person::show))
        .routes(routes!(consent::show))
        .routes(routes!(consent::record))
        .routes(routes!(template::show))
        .routes(routes!(evidence::send))
        .routes(routes!(coverage::list))
        .routes(routes!(coverage::show))
        .routes(routes!(ledger::describe))
        .routes(routes!(export::export))
        .routes(routes!(dispose::plan))
        .routes(routes!(dispose::execute))
        .routes(routes!(token::list, token::create))
        .routes(routes!(token::revoke))
        .routes(routes!(verify::verify))
        .routes(routes!(index::rebuild))
        .routes(routes!(replica::replica))
        .routes(routes!(replica::scrub, replica::status))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
        .routes(routes!(tlog::checkpoint))
        .routes(routes!(tlog::tile))
}

/// Returns the archive's interface.
pub fn router(archive: Arc<Archive>) -> Router {
    let (routes, _) = described().split_for_parts();
    routes
        .fallback(async || ApiError::new(ErrorCode::NotFound, "there is no such route"))
        .method_not_allowed_fallback(async || {
            ApiError::new(ErrorCode::MethodNotAllowed, "the route does not have this method")
        })
        .layer(CatchPanicLayer::custom(answer_panic))
        .with_state(archive)
}

/// Returns the description of the interface (OpenAPI, JSON), as in `schemas/openapi.json`.
#[must_use]
pub fn openapi() -> String {
    let (_, mut description) = described().split_for_parts();
    // A parameter of several segments has no spelling in OpenAPI; the star is the router's.
    if let Some(tile) = description.paths.paths.remove("/tile/{*path}") {
        let _ = description.paths.paths.insert("/tile/{path}".to_owned(), tile);
    }
    let mut text = description.to_pretty_json().expect("a description is always JSON");
    text.push('\n');
    text
}

fn answer_panic(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request ended in a panic");
    ApiError::new(ErrorCode::Internal, "the archive could not do this").into_response()
}
