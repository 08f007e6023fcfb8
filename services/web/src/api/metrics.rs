//! `/metrics`: counters of the services for Prometheus. The control API has the same and those of the
//! supervisor itself.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::Fault;
use super::status::ask_status;
use crate::app::App;
use crate::exposition::of_services;

const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Returns the counters in the text format of Prometheus (OpenMetrics).
pub(crate) async fn show(State(app): State<Arc<App>>) -> Result<Response, Fault> {
    let status = ask_status(&app).await?;
    let mut registry = Registry::with_prefix("fathom");
    of_services(&mut registry, &status, app.clock.now());
    let mut text = String::new();
    // Writing to a String cannot fail.
    encode(&mut text, &registry).ok();
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}
