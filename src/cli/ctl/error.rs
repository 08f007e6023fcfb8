//! Why a verb failed, and the exit code that says so.

use fathom_kernel::ConfigFault;

use crate::control::{ClientError, Problem};

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CtlError {
    /// The supervisor cannot be reached, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
    /// The stack has nothing that could do it.
    #[error("{0}")]
    Missing(String),
    /// The command line is not complete.
    #[error("{0}")]
    Usage(String),
}

impl CtlError {
    /// Exit codes of supervisorctl where it has them.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Client(error) => match error {
                ClientError::Refused(_) => 4,
                ClientError::NoSocket(_) => 7,
                ClientError::Permission { .. } => 5,
                ClientError::Problem(_)
                | ClientError::Late(_)
                | ClientError::Lost { .. }
                | ClientError::Garbled(_) => 1,
            },
            // Whoever read the output has enough, as in `ctl logs | head`.
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) | Self::Missing(_) => 1,
            Self::Usage(_) => 2,
        }
    }

    /// Tells whether there was nobody to talk to.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Client(
                ClientError::Refused(_)
                    | ClientError::NoSocket(_)
                    | ClientError::Late(_)
                    | ClientError::Lost { .. }
                    | ClientError::Garbled(_)
            )
        )
    }

    /// Returns the name nobody has, when that is the problem.
    pub(super) fn unknown_name(&self) -> Option<&str> {
        match self {
            Self::Client(ClientError::Problem(Problem { error, subject, .. }))
                if error == "no_such_name" =>
            {
                subject.as_deref()
            }
            _ => None,
        }
    }

    /// Returns what is wrong with the configuration, when that is the problem.
    pub(super) fn faults(&self) -> &[ConfigFault] {
        match self {
            Self::Client(ClientError::Problem(problem)) => &problem.faults,
            _ => &[],
        }
    }

    /// Returns the reason as one word, for programs.
    pub(super) fn word(&self) -> &str {
        match self {
            Self::Client(error) => match error {
                ClientError::Refused(_) => "refused_connection",
                ClientError::NoSocket(_) => "no_socket",
                ClientError::Permission { .. } => "permission",
                ClientError::Problem(problem) => &problem.error,
                ClientError::Late(_) => "late",
                ClientError::Lost { .. } => "lost_connection",
                ClientError::Garbled(_) => "garbled",
            },
            Self::Output(_) => "output",
            Self::Missing(_) => "missing",
            Self::Usage(_) => "usage",
        }
    }
}
