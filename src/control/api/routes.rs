//! Which path leads where; the description is made from the same list.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::get;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Failure, commands, events, incidents, logs, revision, status, streams};
use crate::control::console::Console;
use crate::control::rights::{self, Guard};
use crate::control::rpc;

/// Largest body of a request [bytes]; the largest real one is a service's request.
const BODY_BYTES_MAX: usize = 64 << 10;

#[derive(OpenApi)]
#[openapi(info(
    title = "fathom control",
    description = "Control of a running monitoring stack: over its Unix socket (rights by file \
                   mode) or, when configured, over TCP (writing with a bearer token)."
))]
struct Description;

/// Makes the router. `guard` holds the rights of peers on TCP; without one only the socket is served.
pub fn router(console: Console, guard: Option<Guard>) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .route("/api/openapi.json", get(|| async { Json(document()) }))
        .fallback(elsewhere)
        .method_not_allowed_fallback(|| async {
            Failure::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "see /api/openapi.json",
            )
        })
        .with_state(console)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(
            guard.map(Arc::new),
            rights::check,
        ))
        .layer(CatchPanicLayer::new())
}

/// Answers what no route is for: calls of supervisord's clients, which know paths by how they begin.
async fn elsewhere(State(console): State<Console>, request: Request) -> Response {
    if rpc::is_ours(request.uri().path()) {
        return rpc::answer(console, request).await;
    }
    let text = "see /api/openapi.json";
    Failure::new(StatusCode::NOT_FOUND, "no_such_path", text).into_response()
}

fn routes() -> OpenApiRouter<Console> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(status::stack))
        .routes(routes!(status::service))
        .routes(routes!(status::tree))
        .routes(routes!(status::addresses))
        .routes(routes!(status::usage))
        .routes(routes!(status::health))
        .routes(routes!(status::readiness))
        .routes(routes!(status::metrics))
        .routes(routes!(commands::start))
        .routes(routes!(commands::stop))
        .routes(routes!(commands::restart))
        .routes(routes!(commands::roll))
        .routes(routes!(commands::kill))
        .routes(routes!(commands::signal))
        .routes(routes!(commands::hold))
        .routes(routes!(commands::unhold))
        .routes(routes!(commands::request))
        .routes(routes!(logs::input))
        .routes(routes!(logs::clear))
        .routes(routes!(logs::rotate))
        .routes(routes!(commands::shutdown))
        .routes(routes!(revision::diff))
        .routes(routes!(revision::update))
        .routes(routes!(revision::reload))
        .routes(routes!(revision::available))
        .routes(routes!(revision::add))
        .routes(routes!(revision::remove))
        .routes(routes!(events::events))
        .routes(routes!(events::socket))
        .routes(routes!(incidents::list))
        .routes(routes!(incidents::one))
        .routes(routes!(streams::own_log))
        .routes(routes!(streams::log))
}

/// Returns the OpenAPI description.
pub fn document() -> Value {
    let mut description = serde_json::to_value(routes().into_openapi()).unwrap_or_default();
    // The types of the services' contract describe themselves by another crate.
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    schemas.subschema_for::<fathom_kernel::StackStatus>();
    schemas.subschema_for::<fathom_kernel::ServiceStatus>();
    schemas.subschema_for::<fathom_kernel::Outcome>();
    schemas.subschema_for::<fathom_kernel::Changes>();
    schemas.subschema_for::<fathom_kernel::Available>();
    schemas.subschema_for::<crate::chronicle::Entry>();
    schemas.subschema_for::<crate::incidents::Incident>();
    schemas.subschema_for::<crate::incidents::Summary>();
    let own = &mut description["components"]["schemas"];
    for (name, schema) in schemas.take_definitions(true) {
        own[name] = schema;
    }
    own["Outcomes"] = serde_json::json!({
        "type": "array",
        "items": { "$ref": "#/components/schemas/Outcome" },
    });
    own["Summaries"] = serde_json::json!({
        "type": "array",
        "items": { "$ref": "#/components/schemas/Summary" },
    });
    description["components"]["schemas"]["AvailableServices"] = serde_json::json!({
        "type": "array",
        "items": { "$ref": "#/components/schemas/Available" },
    });
    description
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every path with its method, as promised to users; the description must say the same.
    const PROMISED: [&str; 34] = [
        "get /api/status",
        "get /api/services/{name}",
        "get /api/tree",
        "get /api/addresses",
        "get /api/usage",
        "get /api/events",
        "get /api/events/ws",
        "get /api/incidents",
        "get /api/incidents/{id}",
        "get /api/logs",
        "get /api/logs/{name}",
        "get /healthz",
        "get /readyz",
        "get /metrics",
        "post /api/services/{name}/start",
        "post /api/services/{name}/stop",
        "post /api/services/{name}/restart",
        "post /api/services/{name}/roll",
        "post /api/services/{name}/signal",
        "post /api/services/{name}/kill",
        "post /api/services/{name}/hold",
        "post /api/services/{name}/unhold",
        "post /api/services/{name}/request",
        "post /api/services/{name}/input",
        "post /api/logs/{name}/clear",
        "post /api/logs/{name}/rotate",
        "post /api/shutdown",
        "get /api/diff",
        "post /api/update",
        "post /api/reload",
        "get /api/available",
        "post /api/groups/{name}/add",
        "post /api/groups/{name}/remove",
        "get /api/openapi.json",
    ];

    #[test]
    fn the_description_has_every_route() {
        let document = document();
        let paths = document["paths"].as_object().expect("paths");
        let mut described: BTreeSet<String> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().expect("methods");
                methods.keys().map(move |method| format!("{method} {path}"))
            })
            .collect();
        described.insert("get /api/openapi.json".to_owned());
        assert_eq!(described, PROMISED.map(str::to_owned).into());
    }

    #[test]
    fn every_reference_of_the_description_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        let known = document["components"]["schemas"]
            .as_object()
            .expect("schemas");
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().expect("a name");
            assert!(known.contains_key(name), "{name} is not described");
        }
        assert!(known.contains_key("StackStatus") && known.contains_key("State"));
    }
}
