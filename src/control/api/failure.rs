//! The answer to a request that was not carried out.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fathom_kernel::ControlError;

use crate::control::wire::Problem;

/// A status code and the problem as JSON.
#[derive(Debug)]
pub(in crate::control) struct Failure {
    status: StatusCode,
    problem: Problem,
}

impl Failure {
    pub(in crate::control) fn new(
        status: StatusCode,
        error: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            problem: Problem {
                error: error.to_owned(),
                subject: None,
                faults: Vec::new(),
                message: message.into(),
            },
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// The supervisor answered something else than it was asked.
    pub(super) fn unexpected() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unexpected_reply",
            "the supervisor gave an answer to another question",
        )
    }

    fn about(mut self, subject: String) -> Self {
        self.problem.subject = Some(subject);
        self
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let message = error.to_string();
        match error {
            ControlError::NoSuchName(name) => {
                Self::new(StatusCode::NOT_FOUND, "no_such_name", message).about(name)
            }
            ControlError::NotRunning(name) => {
                Self::new(StatusCode::CONFLICT, "not_running", message).about(name)
            }
            ControlError::Refused(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", message)
            }
            ControlError::NoAnswer(name) => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "no_answer", message).about(name)
            }
            ControlError::NoSuchQuestion { name, .. } => {
                Self::new(StatusCode::NOT_FOUND, "no_such_question", message).about(name)
            }
            ControlError::NoIncident(id) => {
                Self::new(StatusCode::NOT_FOUND, "no_incident", message).about(id.to_string())
            }
            ControlError::NoLog(name) => {
                Self::new(StatusCode::NOT_FOUND, "no_log", message).about(name)
            }
            ControlError::AlreadyAdded(name) => {
                Self::new(StatusCode::CONFLICT, "already_added", message).about(name)
            }
            ControlError::StillRunning(name) => {
                Self::new(StatusCode::CONFLICT, "still_running", message).about(name)
            }
            ControlError::BadConfig(faults) => {
                let mut failure =
                    Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_config", message);
                failure.problem.faults = faults;
                failure
            }
            ControlError::Stale { .. } => Self::new(StatusCode::CONFLICT, "stale", message),
            ControlError::Busy(_) => Self::new(StatusCode::CONFLICT, "busy", message),
            ControlError::ShuttingDown => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message)
            }
            ControlError::Deaf => Self::new(StatusCode::GATEWAY_TIMEOUT, "deaf", message),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self.problem)).into_response()
    }
}
