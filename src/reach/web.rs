//! Gets a web page within limits, or learns that it is still the one that is known.

use bytes::{Bytes, BytesMut};
use fathom_kernel::{Content, Fetch, FetchError, chain};
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio::sync::OnceCell;

/// Most redirects followed.
const REDIRECTS_MAX: usize = 5;

/// By what a server recognises a version: the header that tells it, the header that asks for another
/// one, and what our version begins with. The first is better: times have whole seconds.
const VALIDATORS: [(HeaderName, HeaderName, &str); 2] = [
    (ETAG, IF_NONE_MATCH, "etag:"),
    (LAST_MODIFIED, IF_MODIFIED_SINCE, "modified:"),
];

/// Returns the client of all fetches. It goes straight to the address, whatever proxy is set.
pub(super) async fn client() -> Result<&'static Client, String> {
    static CLIENT: OnceCell<Client> = OnceCell::const_new();
    // Certificates are read from the disk.
    let made = CLIENT.get_or_try_init(async || {
        let made = tokio::task::spawn_blocking(|| client_with(super::tls::config())).await;
        made.map_err(|error| error.to_string())?
    });
    made.await
}

/// Makes a client that speaks TLS in this way.
pub(super) fn client_with(tls: rustls::ClientConfig) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(Policy::custom(|attempt| {
            let was_secret = attempt.previous().iter().any(|url| url.scheme() == "https");
            if attempt.previous().len() > REDIRECTS_MAX {
                attempt.error("too many redirects")
            } else if was_secret && attempt.url().scheme() != "https" {
                attempt.error("redirected from https to http")
            } else {
                attempt.follow()
            }
        }))
        .user_agent(concat!("fathom/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| chain(&error))
}

/// Gets what is at an address, however long that takes.
pub(super) async fn get(client: &Client, url: &str, what: &Fetch) -> Result<Content, FetchError> {
    let location = || what.from.to_string();
    let failed = |error: reqwest::Error| FetchError::Failed {
        location: location(),
        why: chain(&error.without_url()),
    };
    let mut request = client.get(url);
    let known = what.known.as_deref();
    for (_, asks, prefix) in VALIDATORS {
        if let Some(value) = known.and_then(|known| known.strip_prefix(prefix)) {
            request = request.header(asks, value);
        }
    }
    let answer = request.send().await.map_err(failed)?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Content::Unchanged),
        status => {
            return Err(FetchError::Status {
                location: location(),
                status: status.as_u16(),
            });
        }
    }
    let version = version(answer.headers());
    if version.is_some() && version.as_deref() == known {
        // A server that does not heed what was asked.
        return Ok(Content::Unchanged);
    }
    match body(answer, what.bytes_max).await {
        Ok(Some(bytes)) => Ok(Content::Bytes(bytes, version)),
        Ok(None) => Err(FetchError::TooLong {
            location: location(),
            limit: what.bytes_max,
        }),
        Err(error) => Err(failed(error)),
    }
}

/// Returns the body of an answer; `None` for one that is longer than the limit.
async fn body(mut answer: Response, limit: usize) -> Result<Option<Bytes>, reqwest::Error> {
    let told = answer.content_length().unwrap_or(0);
    if usize::try_from(told).map_or(true, |told| told > limit) {
        return Ok(None);
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        if chunk.len() > limit - bytes.len() {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.freeze()))
}

fn version(headers: &HeaderMap) -> Option<String> {
    VALIDATORS.into_iter().find_map(|(tells, _, prefix)| {
        let value = headers.get(tells)?.to_str().ok()?;
        Some(format!("{prefix}{value}"))
    })
}
