//! Why a method was not carried out: the codes and texts that supervisord's clients look for.

use fathom_kernel::ControlError;

/// A refusal: its code, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}{}", Detail(detail))]
pub(super) struct Fault {
    /// Why.
    pub(super) code: Code,
    /// What it is about: the name that is unknown.
    pub(super) detail: String,
}

/// The faults by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    UnknownMethod,
    IncorrectParameters,
    BadArguments,
    SignatureUnsupported,
    ShutdownState,
    BadName,
    BadSignal,
    NoFile,
    NotExecutable,
    Failed,
    AbnormalTermination,
    SpawnError,
    AlreadyStarted,
    NotRunning,
    AlreadyAdded,
    StillRunning,
    CantReread,
}

/// Status of what succeeded, in the results of a group.
pub(super) const SUCCESS: i64 = 80;

impl Code {
    /// Returns the number on the wire.
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::UnknownMethod => 1,
            Self::IncorrectParameters => 2,
            Self::BadArguments => 3,
            Self::SignatureUnsupported => 4,
            Self::ShutdownState => 6,
            Self::BadName => 10,
            Self::BadSignal => 11,
            Self::NoFile => 20,
            Self::NotExecutable => 21,
            Self::Failed => 30,
            Self::AbnormalTermination => 40,
            Self::SpawnError => 50,
            Self::AlreadyStarted => 60,
            Self::NotRunning => 70,
            Self::AlreadyAdded => 90,
            Self::StillRunning => 91,
            Self::CantReread => 92,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::UnknownMethod => "UNKNOWN_METHOD",
            Self::IncorrectParameters => "INCORRECT_PARAMETERS",
            Self::BadArguments => "BAD_ARGUMENTS",
            Self::SignatureUnsupported => "SIGNATURE_UNSUPPORTED",
            Self::ShutdownState => "SHUTDOWN_STATE",
            Self::BadName => "BAD_NAME",
            Self::BadSignal => "BAD_SIGNAL",
            Self::NoFile => "NO_FILE",
            Self::NotExecutable => "NOT_EXECUTABLE",
            Self::Failed => "FAILED",
            Self::AbnormalTermination => "ABNORMAL_TERMINATION",
            Self::SpawnError => "SPAWN_ERROR",
            Self::AlreadyStarted => "ALREADY_STARTED",
            Self::NotRunning => "NOT_RUNNING",
            Self::AlreadyAdded => "ALREADY_ADDED",
            Self::StillRunning => "STILL_RUNNING",
            Self::CantReread => "CANT_REREAD",
        }
    }

    /// Makes the fault about something.
    pub(super) fn about(self, detail: impl Into<String>) -> Fault {
        Fault {
            code: self,
            detail: detail.into(),
        }
    }

    /// Makes the fault that needs no detail.
    pub(super) fn alone(self) -> Fault {
        self.about("")
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

struct Detail<'a>(&'a str);

impl std::fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            "" => Ok(()),
            detail => write!(f, ": {detail}"),
        }
    }
}

impl From<ControlError> for Fault {
    fn from(error: ControlError) -> Self {
        let text = error.to_string();
        match error {
            ControlError::NoSuchName(name) => Code::BadName.about(name),
            ControlError::NotRunning(name) => Code::NotRunning.about(name),
            ControlError::NoLog(name) => Code::NoFile.about(name),
            ControlError::NoIncident(_) => Code::NoFile.about(text),
            ControlError::ShuttingDown => Code::ShutdownState.alone(),
            ControlError::AlreadyAdded(name) => Code::AlreadyAdded.about(name),
            ControlError::StillRunning(name) => Code::StillRunning.about(name),
            ControlError::BadConfig(faults) => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                Code::CantReread.about(faults.join("; "))
            }
            ControlError::Refused(_)
            | ControlError::NoAnswer(_)
            | ControlError::NoSuchQuestion { .. }
            | ControlError::Stale { .. }
            | ControlError::Busy(_)
            | ControlError::Deaf => Code::Failed.about(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_name_and_what_it_is_about() {
        let fault = Code::BadName.about("nosuch");
        assert_eq!(fault.to_string(), "BAD_NAME: nosuch");
        assert_eq!(Code::ShutdownState.alone().to_string(), "SHUTDOWN_STATE");
    }
}
