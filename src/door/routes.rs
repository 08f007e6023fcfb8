//! Which path leads where, and who may go there.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use fathom_kernel::{Alarm, Event, Output, Severity};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use super::fault::Fault;
use super::follow::{filter_of, follow};
use super::guests::{Guest, Guests};

/// Largest body of a request [bytes]: an image of a whole detector as JSON.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Longest pause between two pieces of a body.
const BODY_PAUSE_MAX: Duration = Duration::from_secs(10);

/// A comment goes out after so much silence, so that a dead stream is noticed.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Most reasons for unreadable messages of one service, and their longest name [bytes].
const REASONS_MAX: usize = 64;
const REASON_BYTES_MAX: usize = 64;

/// Time between two outputs that a program may promise [s]: up to a month.
const INTERVAL_S: RangeInclusive<f64> = 0.001..=2_678_400.0;

/// Longest texts of an alarm [bytes].
const ALARM_BYTES_MAX: usize = 4096;

/// What all requests share.
#[derive(Clone)]
struct Door {
    guests: Guests,
    closing: CancellationToken,
}

/// Makes the router. Its streams end when `closing` is cancelled.
pub(crate) fn router(guests: Guests, closing: CancellationToken) -> Router {
    Router::new()
        .route("/self", get(about))
        .route("/ready", post(ready))
        .route("/outputs", post(output))
        .route("/alarms", post(alarm))
        .route("/counters", post(counters))
        .route("/bus", get(bus))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(Door { guests, closing })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE_MAX))
        .layer(CatchPanicLayer::new())
}

/// The guest that makes a request, by its token.
struct Known(Arc<Guest>);

impl FromRequestParts<Door> for Known {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Response> {
        let shown = parts.headers.get(header::AUTHORIZATION);
        let token = shown
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        token
            .and_then(|token| door.guests.find(token.trim()))
            .map(Self)
            .ok_or_else(|| {
                let why =
                    "expected `Authorization: Bearer $FATHOM_DOOR_TOKEN` of a running service";
                let fault = Fault(StatusCode::UNAUTHORIZED, why.to_owned());
                ([(header::WWW_AUTHENTICATE, "Bearer")], fault).into_response()
            })
    }
}

/// A JSON body; the type of the content is not asked for.
struct Body<T>(T);

impl<T: for<'de> Deserialize<'de>> axum::extract::FromRequest<Door> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: axum::extract::Request, door: &Door) -> Result<Self, Fault> {
        let bytes = bytes::Bytes::from_request(request, door)
            .await
            .map_err(|error| Fault(error.status(), error.body_text()))?;
        match Json::from_bytes(&bytes) {
            Ok(Json(value)) => Ok(Self(value)),
            Err(error @ JsonRejection::JsonDataError(_)) => Err(Fault::bad(error.body_text())),
            Err(error) => Err(Fault(error.status(), error.body_text())),
        }
    }
}

async fn no_such_path() -> Fault {
    Fault(StatusCode::NOT_FOUND, "no such path".to_owned())
}

async fn no_such_method() -> Fault {
    let why = "not by this method";
    Fault(StatusCode::METHOD_NOT_ALLOWED, why.to_owned())
}

/// Tells a program who it is.
async fn about(Known(guest): Known) -> Json<Value> {
    Json(json!({
        "name": &*guest.cx.name,
        "incarnation": guest.incarnation,
        "data_dir": guest.cx.data_dir,
        "addresses": &*guest.cx.addresses.watch().borrow(),
        "now": guest.cx.clock.now().to_string(),
    }))
}

/// Takes the word of a program that it is ready, for `ready = "notify"`. A body says nothing, but is
/// read all the same: an answer before it came would end the connection while the program writes.
async fn ready(Known(guest): Known, _all_that_was_sent: Bytes) -> StatusCode {
    guest.cx.ready();
    StatusCode::NO_CONTENT
}

/// Puts an output on the board, and so on the web page.
async fn output(Known(guest): Known, Body(output): Body<Output>) -> Result<StatusCode, Fault> {
    let refused = match output.view.fault() {
        _ if !Output::is_valid_name(&output.name) => {
            Some("name: expected 1 to 100 letters, digits, `_`, `-`, `.`".to_owned())
        }
        _ if !INTERVAL_S.contains(&output.interval_s) => {
            let (least, most) = (INTERVAL_S.start(), INTERVAL_S.end());
            Some(format!("interval_s: expected {least} to {most}"))
        }
        fault => fault.map(|why| format!("view: {why}")),
    };
    if let Some(why) = refused {
        guest.cx.counters.bad("output refused");
        return Err(Fault::bad(why));
    }
    match guest.cx.put(output) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Fault(
            StatusCode::INSUFFICIENT_STORAGE,
            "the board is full".to_owned(),
        )),
    }
}

/// An alarm as a program raises or clears it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlarmBody {
    rule: String,
    subject: String,
    severity: Severity,
    firing: bool,
    text: String,
}

/// Raises or clears an alarm.
async fn alarm(Known(guest): Known, Body(body): Body<AlarmBody>) -> Result<StatusCode, Fault> {
    if body.rule.is_empty() {
        return Err(Fault::bad(
            "rule is empty, expected a name such as `dom_inactive`",
        ));
    }
    if body.rule.len() + body.subject.len() + body.text.len() > ALARM_BYTES_MAX {
        return Err(Fault::bad(format!(
            "an alarm has at most {ALARM_BYTES_MAX} bytes of text"
        )));
    }
    guest.cx.bus.publish(Event::Alarm(Alarm {
        service: guest.cx.name.to_string(),
        rule: body.rule,
        subject: body.subject,
        severity: body.severity,
        firing: body.firing,
        text: body.text,
        at: guest.cx.clock.now(),
    }));
    Ok(StatusCode::NO_CONTENT)
}

/// What is added to the counters of a service.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct CountersBody {
    received: u64,
    received_bytes: u64,
    sent: u64,
    sent_bytes: u64,
    dropped: u64,
    dropped_bytes: u64,
    bad: BTreeMap<String, u64>,
}

/// Adds to the counters of the service.
async fn counters(
    Known(guest): Known,
    Body(body): Body<CountersBody>,
) -> Result<StatusCode, Fault> {
    let counters = &guest.cx.counters;
    let known = counters.snapshot().bad;
    let new = body
        .bad
        .keys()
        .filter(|reason| !known.contains_key(*reason));
    let is_long = |reason: &String| reason.len() > REASON_BYTES_MAX;
    if new.count() + known.len() > REASONS_MAX || body.bad.keys().any(is_long) {
        return Err(Fault::bad(format!(
            "at most {REASONS_MAX} reasons of at most {REASON_BYTES_MAX} bytes"
        )));
    }
    counters.received(body.received, body.received_bytes);
    counters.sent(body.sent, body.sent_bytes);
    counters.dropped(body.dropped, body.dropped_bytes);
    for (reason, count) in &body.bad {
        counters.bad_many(reason, *count);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What of the bus is followed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct BusQuery {
    tags: String,
    topics: String,
}

/// Follows the bus.
async fn bus(
    State(door): State<Door>,
    Known(guest): Known,
    Query(query): Query<BusQuery>,
) -> Result<Response, Fault> {
    let filter = filter_of(&query.tags, &query.topics).map_err(Fault::bad)?;
    let place = guest.streams.clone().try_acquire_owned().map_err(|_| {
        let why = "this service follows too many streams already";
        Fault(StatusCode::TOO_MANY_REQUESTS, why.to_owned())
    })?;
    let events = follow(&guest, filter, place)
        .take_until(door.closing.cancelled_owned())
        .map(Ok::<_, Infallible>);
    let alive = KeepAlive::new().interval(ALIVE_EVERY);
    Ok(Sse::new(events).keep_alive(alive).into_response())
}
