//! Sends logs as they grow: `GET /logtail/NAME[/stdout|/stderr]` and `GET /mainlogtail`.

use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use fathom_kernel::{LogStream, Timestamp};
use futures_util::StreamExt as _;
use percent_encoding::percent_decode_str;

use super::desk::Desk;
use super::logs::path_of;
use crate::logs::{Grown, Growth, TRUNCATED};

/// Where the logs of services are.
const OF_SERVICE: &str = "/logtail/";

/// Where the supervisor's own log is.
const OWN: &str = "/mainlogtail";

/// What is sent of what was written before [bytes].
const PAST_BYTES: u64 = 1024;

/// Tells whether a path is one of a log.
pub(super) fn is_ours(path: &str) -> bool {
    path == OWN || path.starts_with(OF_SERVICE)
}

/// Answers a request for a log.
pub(super) async fn answer(desk: Desk, method: Method, path: &str) -> Response {
    if method != Method::GET {
        return (StatusCode::BAD_REQUEST, "logs are asked for by GET").into_response();
    }
    let Some((path, begun)) = wanted(&desk, path).await else {
        return (StatusCode::NOT_FOUND, "no such log").into_response();
    };
    let Some(place) = desk.console.follower() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many clients follow").into_response();
    };
    let changed = match changed(&path).await {
        Some(changed) => changed,
        None if begun => Timestamp::now(),
        None => return (StatusCode::NOT_FOUND, "no such log").into_response(),
    };
    let pieces = Growth::from_end(path, PAST_BYTES).stream();
    let pieces = pieces
        .map(move |grown| {
            // Held until the client is gone.
            let _place = &place;
            grown.map(|grown| match grown {
                Grown::By(bytes) => Bytes::from(bytes),
                Grown::Truncated => Bytes::from_static(TRUNCATED.as_bytes()),
            })
        })
        .take_until(desk.console.closing().clone().cancelled_owned());
    let mut response = Response::new(Body::from_stream(pieces));
    describe(response.headers_mut(), changed);
    response
}

/// Finds the log that a path means; tells whether something may be written into it at any time,
/// should it not be there.
async fn wanted(desk: &Desk, path: &str) -> Option<(PathBuf, bool)> {
    if path == OWN {
        return Some((desk.console.parts().logs.own()?.path().to_owned(), false));
    }
    let mut parts = path.strip_prefix(OF_SERVICE)?.split('/');
    let name = percent_decode_str(parts.next()?).decode_utf8().ok()?;
    let stream = match (parts.next(), parts.next()) {
        (None | Some("" | "stdout"), None) => LogStream::Stdout,
        (Some("stderr"), None) => LogStream::Stderr,
        _ => return None,
    };
    let service = desk.service(&name).await.ok()?;
    let path = path_of(desk, &service, stream)?;
    Some((path, service.started.is_some()))
}

/// Returns when a file was changed last; `None` when there is none.
async fn changed(path: &Path) -> Option<Timestamp> {
    let about = tokio::fs::metadata(path).await.ok()?;
    Timestamp::try_from(about.modified().ok()?).ok()
}

fn describe(headers: &mut HeaderMap, changed: Timestamp) {
    let text = HeaderValue::from_static("text/plain;charset=utf-8");
    headers.insert(header::CONTENT_TYPE, text);
    // Proxies shall pass on every piece at once.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    let changed = changed.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(changed) = HeaderValue::from_str(&changed) {
        headers.insert(header::LAST_MODIFIED, changed);
    }
}
