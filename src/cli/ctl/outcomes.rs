//! What start, stop, restart, signal and hold have in common: carry out, report, exit code.

use fathom_kernel::{Outcome, Span, Verdict};

use super::CtlError;
use super::progress::Progress;
use super::session::{Session, no_such, set_aside};

/// What to do with services.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Start { wait: bool, dependencies: bool },
    Stop { wait: bool, dependents: bool },
    Kill { wait: bool },
    Restart { wait: bool },
    Roll { by_level: bool },
    Signal { signal: String },
    Hold { time: Option<Span> },
    Unhold,
    ClearLogs,
    RotateLogs,
}

/// Exit code when a name is unknown or a service did not do it in time.
const OTHER: u8 = 1;
/// Exit code when a group is unknown or no name is given.
const NO_GROUP: u8 = 2;
/// Exit code when a service could not be started, died, or has no process.
const DIED: u8 = 7;

/// Carries out an action on the targets that exist and reports what became of each service.
pub(super) async fn carry_out(
    session: &mut Session,
    action: Action,
    mut targets: Vec<String>,
) -> Result<u8, CtlError> {
    let mut progress = Progress::begin(session, &action, &targets).await?;
    let mut unknown = Vec::new();
    let outcomes = loop {
        if targets.is_empty() {
            break Vec::new();
        }
        let asked = progress.beside(ask(session, &action, &targets)).await;
        match asked {
            Ok(outcomes) => break outcomes,
            Err(error) => unknown.push(set_aside(&mut targets, error)?),
        }
    };
    progress.end();
    report(session, &outcomes, &unknown)?;
    session.suggest(&unknown).await;
    Ok(exit_code(&action, &outcomes, &unknown))
}

async fn ask(
    session: &Session,
    action: &Action,
    targets: &[String],
) -> Result<Vec<Outcome>, CtlError> {
    let client = &session.client;
    let outcomes = match action {
        Action::Start { wait, dependencies } => client.start(targets, *wait, *dependencies).await,
        Action::Stop { wait, dependents } => client.stop(targets, *wait, *dependents).await,
        Action::Kill { wait } => client.kill(targets, *wait).await,
        Action::Roll { by_level } => client.roll(targets, *by_level).await,
        Action::Restart { wait } => client.restart(targets, *wait).await,
        Action::Signal { signal } => client.signal(targets, signal).await,
        Action::Hold { time } => client.hold(targets, *time).await,
        Action::Unhold => client.unhold(targets).await,
        Action::ClearLogs => client.clear_logs(targets).await,
        Action::RotateLogs => client.rotate_logs(targets).await,
    };
    Ok(outcomes?)
}

fn report(session: &mut Session, outcomes: &[Outcome], unknown: &[String]) -> Result<(), CtlError> {
    if session.json {
        return session.value(&serde_json::json!({ "outcomes": outcomes, "unknown": unknown }));
    }
    for name in unknown {
        session.line(&no_such(name))?;
    }
    for outcome in outcomes {
        session.line(&line(outcome))?;
    }
    Ok(())
}

/// Says what became of a service, in the words of supervisorctl.
pub(super) fn line(outcome: &Outcome) -> String {
    let name = &outcome.name;
    let error = match outcome.result {
        Verdict::Started => return format!("{name}: started"),
        Verdict::Stopped => return format!("{name}: stopped"),
        Verdict::Signalled => return format!("{name}: signalled"),
        Verdict::Cleared => return format!("{name}: cleared"),
        Verdict::Rotated => return format!("{name}: rotated"),
        Verdict::Held => return format!("{name}: held"),
        Verdict::Released if outcome.message.is_empty() => return format!("{name}: released"),
        Verdict::Released => return format!("{name}: {}", outcome.message),
        Verdict::AlreadyStarted => return format!("{name}: ERROR (already started)"),
        Verdict::NotRunning => return format!("{name}: ERROR (not running)"),
        Verdict::Added => return format!("{name}: added"),
        Verdict::Removed => return format!("{name}: removed"),
        Verdict::Updated => return format!("{name}: updated"),
        Verdict::SpawnError => "spawn error",
        Verdict::AbnormalTermination => "abnormal termination",
        Verdict::TimedOut => "timed out",
        Verdict::BadSignal => "bad signal name",
        Verdict::Failed => "failed",
        Verdict::Untouched => return format!("{name}: left alone ({})", outcome.message),
    };
    if outcome.message.is_empty() {
        format!("{name}: ERROR ({error})")
    } else {
        format!("{name}: ERROR ({error}): {}", outcome.message)
    }
}

fn exit_code(action: &Action, outcomes: &[Outcome], unknown: &[String]) -> u8 {
    let codes = outcomes
        .iter()
        .map(|outcome| match (action, outcome.result) {
            (
                _,
                Verdict::Started
                | Verdict::Stopped
                | Verdict::Signalled
                | Verdict::AlreadyStarted
                | Verdict::Cleared
                | Verdict::Rotated
                | Verdict::Added
                | Verdict::Removed
                | Verdict::Updated
                | Verdict::Held
                | Verdict::Released,
            ) => 0,
            (Action::Signal { .. }, Verdict::NotRunning) => DIED,
            // What was left alone is no reason of its own: the failure before it is.
            (_, Verdict::NotRunning | Verdict::Untouched) => 0,
            (Action::Roll { .. }, _) => OTHER,
            (Action::Start { .. } | Action::Restart { .. }, Verdict::SpawnError) => DIED,
            (Action::Start { .. } | Action::Restart { .. }, Verdict::AbnormalTermination) => DIED,
            (_, Verdict::SpawnError | Verdict::AbnormalTermination) => OTHER,
            (_, Verdict::TimedOut | Verdict::BadSignal | Verdict::Failed) => OTHER,
        });
    let starts = matches!(
        action,
        Action::Start { .. } | Action::Restart { .. } | Action::Roll { .. }
    );
    let names = unknown.iter().map(|name| match name.ends_with(":*") {
        true if starts => NO_GROUP,
        _ => OTHER,
    });
    // What happened to a service weighs more than a name that was mistyped.
    codes
        .max()
        .filter(|code| *code > 0)
        .or(names.max())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(result: Verdict) -> Outcome {
        Outcome {
            name: "a:b".to_owned(),
            result,
            message: String::new(),
        }
    }

    #[test]
    fn exit_codes_are_those_of_supervisorctl() {
        let start = Action::Start {
            wait: true,
            dependencies: true,
        };
        let stop = Action::Stop {
            wait: true,
            dependents: false,
        };
        let roll = Action::Roll { by_level: false };
        let signal = Action::Signal {
            signal: "HUP".to_owned(),
        };
        let table = [
            (&start, Verdict::Started, 0),
            (&start, Verdict::AlreadyStarted, 0),
            (&start, Verdict::SpawnError, 7),
            (&start, Verdict::AbnormalTermination, 7),
            (&start, Verdict::TimedOut, 1),
            (&stop, Verdict::Stopped, 0),
            (&stop, Verdict::NotRunning, 0),
            (&stop, Verdict::TimedOut, 1),
            (&roll, Verdict::AbnormalTermination, 1),
            (&roll, Verdict::Untouched, 0),
            (&signal, Verdict::Signalled, 0),
            (&signal, Verdict::BadSignal, 1),
            (&signal, Verdict::NotRunning, 7),
        ];
        for (action, verdict, code) in table {
            assert_eq!(
                exit_code(action, &[outcome(verdict)], &[]),
                code,
                "{verdict:?}"
            );
        }
        assert_eq!(exit_code(&start, &[], &["x:*".to_owned()]), 2);
        assert_eq!(exit_code(&start, &[], &["x".to_owned()]), 1);
        assert_eq!(exit_code(&stop, &[], &["x:*".to_owned()]), 1);
    }
}
