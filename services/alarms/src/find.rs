//! Finds the alarm engine of the stack: the service of kind `alarms`.

use std::time::Duration;

use fathom_kernel::{Caller, Command, ControlHandle, Reply};
use tokio::time::timeout;

/// Time that the supervisor has for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Returns the full name of the engine; `None` when there is none, or nobody answers.
pub(crate) async fn find_engine(control: &ControlHandle, caller: Caller) -> Option<String> {
    let status = Command::Status {
        targets: Vec::new(),
    };
    let answer = timeout(ANSWER_MAX, control.ask(status, caller)).await;
    let Ok(Ok(Reply::Status(status))) = answer else {
        return None;
    };
    let mut services = status.services.into_iter();
    let engine = services.find(|service| service.kind.as_deref() == Some("alarms"))?;
    Some(engine.name)
}
