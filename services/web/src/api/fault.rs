//! An answer that says what went wrong.

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fathom_kernel::ControlError;
use serde_json::json;

use crate::hub::Full;
use crate::shelf::NotMade;

/// A refusal or failure, as `{"error": "..."}` with its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    status: StatusCode,
    text: Cow<'static, str>,
}

impl Fault {
    /// Makes a fault.
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    /// No output of this name.
    pub(crate) fn no_output(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("no output {name:?}"))
    }

    /// The asker is wrong.
    pub(crate) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// Returns the text for people.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.text }))).into_response()
    }
}

impl From<NotMade> for Fault {
    fn from(why: NotMade) -> Self {
        let status = match why {
            NotMade::Busy => StatusCode::SERVICE_UNAVAILABLE,
            NotMade::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, why.to_string())
    }
}

impl From<Full> for Fault {
    fn from(why: Full) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string())
    }
}

impl From<ControlError> for Fault {
    fn from(why: ControlError) -> Self {
        let status = match why {
            ControlError::NoSuchName(_)
            | ControlError::NoSuchQuestion { .. }
            | ControlError::NoLog(_)
            | ControlError::NoIncident(_) => StatusCode::NOT_FOUND,
            ControlError::NoAnswer(_) => StatusCode::GATEWAY_TIMEOUT,
            ControlError::NotRunning(_)
            | ControlError::Refused(_)
            | ControlError::AlreadyAdded(_)
            | ControlError::StillRunning(_)
            | ControlError::BadConfig(_)
            | ControlError::Stale { .. }
            | ControlError::Busy(_) => StatusCode::CONFLICT,
            ControlError::ShuttingDown | ControlError::Deaf => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, why.to_string())
    }
}
