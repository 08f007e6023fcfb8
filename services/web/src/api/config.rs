//! `/api/config`: pages, colours and who is asking.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use fathom_kernel::Output;
use serde_json::{Map, Value, json};

use super::status::ask_status;
use crate::access::Identity;
use crate::app::App;
use crate::options::Role;
use crate::picture::{MAPS, MARK_COLOUR, PALETTE};

/// Returns what the page needs once.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
) -> Response {
    // Without the supervisor the page still shows its plots.
    let stack = ask_status(&app).await.ok().map(|status| status.stack);
    let maps: Map<String, Value> = MAPS
        .iter()
        .map(|map| (map.name().to_owned(), Value::String(map.hex())))
        .collect();
    Json(json!({
        "stack": stack.unwrap_or_else(|| "fathom".to_owned()),
        "version": env!("CARGO_PKG_VERSION"),
        "boot": app.boot,
        "now_ms": app.clock.now().as_millisecond(),
        "service": &*app.service,
        "user": identity.user.as_deref(),
        "role": identity.role,
        "can_control": identity.role >= Role::Operator,
        "can_acknowledge": identity.role >= Role::Shifter,
        "stale_after": Output::STALE_AFTER,
        "pages": app.pages,
        "palette": PALETTE,
        "mark_colour": MARK_COLOUR,
        "colour_maps": maps,
    }))
    .into_response()
}
