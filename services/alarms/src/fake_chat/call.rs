//! A call to the fake server, out of what came by HTTP.

use std::collections::HashMap;

use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use serde_json::Value;

/// A call as it arrived.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: HashMap<String, String>,
    /// Number of the user and token, as the headers say them.
    pub(super) log_in: Option<(String, String)>,
    pub(super) body: Value,
}

impl Call {
    pub(super) fn of(head: &Parts, body: &[u8]) -> Self {
        let query = head.uri.query().unwrap_or_default();
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            log_in: log_in(&head.headers),
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
        }
    }
}

fn log_in(headers: &HeaderMap) -> Option<(String, String)> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    Some((text("x-user-id")?, text("x-auth-token")?))
}
