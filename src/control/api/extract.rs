//! Reads path, query and body of a request; what cannot be read becomes a [`Failure`].

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{StatusCode, request::Parts};
use fathom_kernel::Caller;
use serde::de::DeserializeOwned;

use super::Failure;

/// Time for a client to send its body.
const BODY_MAX: Duration = Duration::from_secs(10);

/// The query of the address.
pub(super) struct Query<T>(pub(super) T);

/// A path parameter.
pub(super) struct Target(pub(super) String);

/// A JSON body; an empty one is `{}`.
pub(super) struct Body<T>(pub(super) T);

/// Who asks, as the rights decided.
pub(super) struct Who(pub(super) Caller);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
            .map_err(|error| Failure::bad_request(error.body_text()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|error| Failure::bad_request(error.body_text()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller
            .map(Self)
            .ok_or_else(|| Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", "unknown caller"))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = tokio::time::timeout(BODY_MAX, bytes::Bytes::from_request(request, state))
            .await
            .map_err(|_| {
                let late = "the body did not come in time";
                Failure::new(StatusCode::REQUEST_TIMEOUT, "late_body", late)
            })?
            .map_err(|error| Failure::new(error.status(), "bad_request", error.body_text()))?;
        // No content type is asked for: writing needs the socket or a token, so a browser's form of
        // another site cannot get here.
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| Failure::bad_request(format!("body: {error}")))
    }
}
