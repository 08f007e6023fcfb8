//! What all routes share, and the table of routes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use fathom_kernel::{Board, Clock, ControlHandle};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::access::{Access, guard};
use crate::api::log_files::LogFiles;
use crate::api::{
    alarms, ask, config, control, events, faulty, incidents, live, log_files, logs, messages,
    metrics, outputs, plots, status,
};
use crate::assets::{self, Assets};
use crate::hub::Hub;
use crate::lite;
use crate::messages::Messages;
use crate::options::PageConfig;
use crate::shelf::Shelf;

/// No route reads a body; a client that sends one is wrong or hostile.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Longest time until an answer begins. Commands have their own limit below it.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// What all routes share.
pub(crate) struct App {
    /// Full name of this service.
    pub(crate) service: Arc<str>,
    /// Tells one start of the server from the next: versions of the board may begin anew.
    pub(crate) boot: String,
    pub(crate) board: Board,
    pub(crate) control: ControlHandle,
    pub(crate) clock: Clock,
    pub(crate) access: Access,
    pub(crate) listens_on_loopback: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) pages: Vec<PageConfig>,
    pub(crate) hub: Arc<Hub>,
    /// Those who follow the detector's log.
    pub(crate) messages: Messages,
    pub(crate) shelf: Shelf,
    /// One permit for each question that services are asked at a time.
    pub(crate) questions: Semaphore,
    pub(crate) assets: Assets,
    /// Folder of the stored events.
    pub(crate) events: PathBuf,
    /// The files of the detector's log.
    pub(crate) log_files: LogFiles,
}

/// Makes the table of routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let mut routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/api/config", get(config::show))
        .route("/api/outputs", get(outputs::list))
        .route("/api/outputs/{name}", get(outputs::show))
        .route("/api/live", get(live::stream))
        .route("/api/status", get(status::show))
        .route("/api/alarms", get(status::alarms))
        .route("/api/alarms/{verb}", post(alarms::order))
        .route("/api/life", get(status::life))
        .route("/api/messages", get(messages::search))
        .route("/api/messages/live", get(messages::follow))
        .route("/api/logs/{name}", get(logs::tail))
        .route("/api/incidents/{id}", get(incidents::text))
        .route("/api/ask", get(ask::list))
        .route("/api/ask/{service}/{verb}", get(ask::ask))
        .route("/api/faulty/{service}", get(faulty::list))
        .route("/api/faulty/{service}/{number}", get(faulty::download))
        .route("/api/services/{name}/{verb}", post(control::command))
        .route("/api/{*rest}", get(outputs::no_such_route))
        .route("/plots/{file}", get(plots::picture))
        .route("/event_selection/{*event}", get(events::show))
        .route("/logs", get(log_files::list))
        .route("/logs/{file}", get(log_files::file))
        .route("/metrics", get(metrics::show))
        .route("/lite", get(lite::overview))
        .route("/lite/{page}", get(lite::page))
        .route("/plot/{name}", get(assets::index));
    for page in &app.pages {
        routes = routes.route(&page.path, get(assets::index));
    }
    if app.pages.iter().all(|page| page.path != "/") {
        routes = routes.route("/", get(assets::index));
    }
    let guarded = routes
        .fallback(assets::file)
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app);
    guarded.layer(
        ServiceBuilder::new()
            .layer(set("content-security-policy", POLICY))
            .layer(set("x-content-type-options", "nosniff"))
            .layer(set("referrer-policy", "no-referrer"))
            .layer(set("x-frame-options", "SAMEORIGIN"))
            .layer(set("cross-origin-resource-policy", "same-origin"))
            .layer(SetResponseHeaderLayer::if_not_present(
                header::CACHE_CONTROL,
                HeaderValue::from_static("no-cache"),
            ))
            .layer(CatchPanicLayer::new())
            .layer(CompressionLayer::new())
            .layer(TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                ANSWER_WITHIN,
            ))
            .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX)),
    )
}

/// Nothing from elsewhere, nothing inline; pictures may also be made in the page.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

fn set(name: &'static str, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    )
}
