//! `/plots/NAME.png` and `.svg`: outputs as pictures.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use fathom_kernel::{Entry, Timestamp};
use serde::Deserialize;

use super::{ETag, Fault};
use crate::app::App;
use crate::picture::{self, Size};
use crate::shelf::{Edition, Form, Key, Variant};

/// Query of pictures.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    w: Option<u32>,
    h: Option<u32>,
}

impl Wanted {
    /// Returns width and height, where they are given.
    pub(crate) fn size(&self) -> (Option<u32>, Option<u32>) {
        (self.w, self.h)
    }
}

/// Draws an output.
pub(crate) async fn picture(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let (name, form) = match file.rsplit_once('.') {
        Some((name, "png")) => (name, Form::Png),
        Some((name, "svg")) => (name, Form::Svg),
        _ => {
            return Err(Fault::new(
                StatusCode::NOT_FOUND,
                "NAME.png or .svg expected",
            ));
        }
    };
    let entry = app
        .board
        .entry(name)
        .ok_or_else(|| Fault::no_output(name))?;
    let tag = ETag::of(&app.boot, edition(&entry, app.clock.now()));
    if tag.is_known(&headers) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag.value())]).into_response());
    }
    let (body, edition) = drawn(&app, entry, wanted.size(), form).await?;
    let tag = ETag::of(&app.boot, edition);
    let media_type = match form {
        Form::Png => "image/png",
        Form::Svg => "image/svg+xml",
    };
    let mut response = body.into_response();
    let set = response.headers_mut();
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    set.insert(header::ETAG, tag.value());
    Ok(response)
}

/// Returns the picture of an entry of the board, drawn now unless that was done already.
pub(crate) async fn drawn(
    app: &App,
    entry: Entry,
    wanted: (Option<u32>, Option<u32>),
    form: Form,
) -> Result<(Bytes, Edition), Fault> {
    let now = app.clock.now();
    let edition = edition(&entry, now);
    let size = Size::wanted(&entry.output.view, wanted);
    let key = Key {
        name: entry.output.name.clone(),
        variant: Variant::Picture {
            width: size.width,
            height: size.height,
            form,
        },
    };
    let make = move || match form {
        Form::Png => picture::draw(&entry.output, entry.updated, now, size),
        Form::Svg => picture::draw_svg(&entry.output, entry.updated, now, size),
    };
    let body = app.shelf.fetch(key, edition, make).await?;
    Ok((body, edition))
}

fn edition(entry: &Entry, now: Timestamp) -> Edition {
    Edition {
        version: entry.version,
        staleness: staleness(entry, now),
    }
}

/// A picture tells its age once it is stale; it is drawn again when that age changes visibly.
fn staleness(entry: &Entry, now: Timestamp) -> u64 {
    if !entry.output.is_stale(now) {
        return 0;
    }
    let Some(datum) = entry.output.datum else {
        return 1;
    };
    // Every minute for an hour, then every hour.
    match now.duration_since(datum).as_mins().max(0).unsigned_abs() {
        minutes @ 0..60 => 2 + minutes,
        minutes => 62 + minutes / 60,
    }
}
