//! The front end: files built from `ui/` and kept in the binary.

use std::collections::HashMap;
use std::fmt::Write;
use std::io::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use fathom_kernel::Output;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::api::outputs::takes_gzip;
use crate::api::{ETag, Fault};
use crate::app::App;

/// What the build script made of `ui/`; empty when it could not be built.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/ui"]
#[allow_missing = true]
struct Built;

/// Vite puts files with a digest in their name here; they never change.
const HASHED: &str = "assets/";
const INDEX: &str = "index.html";

/// The files, ready to be sent.
pub(crate) struct Assets(HashMap<String, Asset>);

struct Asset {
    mime: HeaderValue,
    plain: Bytes,
    gzip: Option<Bytes>,
    tag: ETag,
}

impl Assets {
    /// Loads and compresses all files.
    pub(crate) fn load() -> Self {
        let files = Built::iter().filter_map(|path| {
            let file = Built::get(&path)?;
            Some((path.to_string(), Asset::new(&path, file.data.into_owned())))
        });
        Self(files.collect())
    }

    /// Tells whether there is a front end.
    pub(crate) fn has_page(&self) -> bool {
        self.0.contains_key(INDEX)
    }
}

impl Asset {
    fn new(path: &str, plain: Vec<u8>) -> Self {
        let mime = mime_guess::from_path(path).first_or_octet_stream();
        let is_text =
            matches!(mime.type_().as_str(), "text" | "application") || mime.subtype() == "svg";
        let mut digest = String::with_capacity(32);
        for byte in Sha256::digest(&plain).iter().take(16) {
            write!(digest, "{byte:02x}").expect("writing to a string does not fail");
        }
        let gzip = is_text.then(|| compress_well(&plain));
        Self {
            mime: HeaderValue::from_str(mime.as_ref())
                .unwrap_or(HeaderValue::from_static("application/octet-stream")),
            gzip: gzip
                .filter(|gzip| gzip.len() < plain.len())
                .map(Bytes::from),
            plain: plain.into(),
            tag: ETag::fixed(&digest),
        }
    }

    fn respond(&self, headers: &HeaderMap, cache: &'static str) -> Response {
        let common = [
            (header::ETAG, self.tag.value()),
            (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        ];
        if self.tag.is_known(headers) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let packed = self.gzip.as_ref().filter(|_| takes_gzip(headers));
        let body = packed.unwrap_or(&self.plain).clone();
        let mut response = (common, body).into_response();
        let set = response.headers_mut();
        set.insert(header::CONTENT_TYPE, self.mime.clone());
        set.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if packed.is_some() {
            set.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// Compresses once for many readers.
fn compress_well(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

/// Serves the page of the front end; it finds by itself what to show. Without one, the plain pages.
pub(crate) async fn index(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match app.assets.0.get(INDEX) {
        Some(page) => page.respond(&headers, "no-cache"),
        None => Redirect::temporary("/lite").into_response(),
    }
}

/// Serves a file of the front end. Names are looked up in a table, so no path leaves it.
pub(crate) async fn file(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    // The page of one plot as km3mon names it, in bookmarks and links.
    let plot = path.strip_prefix("plot_");
    if let Some(name) = plot.and_then(|rest| rest.strip_suffix(".html"))
        && Output::is_valid_name(name)
    {
        return Redirect::permanent(&format!("/plot/{name}")).into_response();
    }
    let cache = if path.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    match app.assets.0.get(path) {
        Some(asset) => asset.respond(&headers, cache),
        None => Fault::new(StatusCode::NOT_FOUND, "no such page").into_response(),
    }
}
