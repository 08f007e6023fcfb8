//! `/api/outputs`: the list of outputs and the value of each.

use std::io::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fathom_kernel::Entry;
use fathom_kernel::view::View;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::{ETag, Fault, Head, age_s};
use crate::app::App;
use crate::shelf::{Edition, Key, Variant};

#[derive(Serialize)]
struct List<'a> {
    now_ms: i64,
    boot: &'a str,
    version: u64,
    outputs: Vec<Row<'a>>,
}

/// A head with its state at the moment of asking.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    stale: bool,
    age_s: Option<f64>,
}

/// Lists all outputs without their values.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Response {
    let now = app.clock.now();
    let version = app.board.version();
    let entries = app.board.entries();
    let row = |entry| Row {
        head: Head::of(entry),
        stale: entry.output.is_stale(now),
        age_s: age_s(entry, now),
    };
    Json(List {
        now_ms: now.as_millisecond(),
        boot: &app.boot,
        version,
        outputs: entries.iter().map(row).collect(),
    })
    .into_response()
}

/// Query of [`show`].
#[derive(Debug, Deserialize)]
pub(crate) struct Since {
    /// Of an image only columns after this time (ms), of a hit map only those after this number.
    since: Option<i64>,
}

/// Returns one output with its value.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(query): Query<Since>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let entry = app
        .board
        .entry(&name)
        .ok_or_else(|| Fault::no_output(&name))?;
    let stale = entry.output.is_stale(app.clock.now());
    let edition = Edition {
        version: entry.version,
        staleness: u64::from(stale),
    };
    let tag = ETag::of(&app.boot, edition);
    if tag.is_known(&headers) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag.value())]).into_response());
    }
    let has_columns = matches!(entry.output.view, View::Image(_) | View::HitMap(_));
    let since = query.since.filter(|_| has_columns);
    let gzip = takes_gzip(&headers);
    let variant = Variant::Json { since, gzip };
    let boot = app.boot.clone();
    let make = move || serialise(&entry, &boot, since, stale, gzip);
    let body = app
        .shelf
        .fetch(Key { name, variant }, edition, make)
        .await?;
    let mut response = body.into_response();
    let set = response.headers_mut();
    set.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    set.insert(header::ETAG, tag.value());
    set.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if gzip {
        set.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// Answers for paths below `/api` that do not exist.
pub(crate) async fn no_such_route() -> Fault {
    Fault::new(StatusCode::NOT_FOUND, "no such route")
}

#[derive(Serialize)]
struct Full<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    stale: bool,
    boot: &'a str,
    since: Option<i64>,
    view: &'a View,
}

fn serialise(entry: &Entry, boot: &str, since: Option<i64>, stale: bool, gzip: bool) -> Vec<u8> {
    let cut;
    let view = match (&entry.output.view, since) {
        (View::Image(image), Some(since)) => {
            cut = View::Image(image.newer_than(since));
            &cut
        }
        (View::HitMap(map), Some(since)) => {
            // Numbers begin at 0; before that there is nothing to leave out.
            let Ok(number) = u64::try_from(since) else {
                return serialise(entry, boot, None, stale, gzip);
            };
            cut = View::HitMap(map.newer_than(number));
            &cut
        }
        (view, _) => view,
    };
    let full = Full {
        head: Head::of(entry),
        stale,
        boot,
        since,
        view,
    };
    let json = serde_json::to_vec(&full).expect("views have text keys and finite numbers");
    if gzip { compress(&json) } else { json }
}

/// Compresses a body for `content-encoding: gzip`.
pub(crate) fn compress(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

/// Tells whether the asker takes gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next() == Some("gzip") && !parts.any(|q| matches!(q, "q=0" | "q=0.0"))
        })
}
