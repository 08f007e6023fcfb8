//! Asks a service which of its conditions hold: whoever begins to listen to the bus has missed what was
//! said before.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::{Alarm, Caller, Command, ControlError, ControlHandle, Reply};

/// Time that a service has for its answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What became of the question.
#[derive(Debug, Clone, PartialEq)]
pub enum Conditions {
    /// These hold, in the name of the service.
    Said(Vec<Alarm>),
    /// The service does not know the question, or has ended: it need not be asked again.
    Nothing,
    /// It may know, but did not say it in time.
    Late,
}

impl ControlHandle {
    /// Asks a service which of its conditions hold.
    pub async fn conditions(&self, service: &str, caller: Caller) -> Conditions {
        let question = Command::Request {
            name: service.to_owned(),
            verb: "conditions".to_owned(),
            args: Value::Null,
        };
        match timeout(ANSWER_MAX, self.ask(question, caller)).await {
            Ok(Ok(Reply::Answer(said))) => read(service, said),
            Ok(Err(ControlError::NoAnswer(_))) | Err(_) => Conditions::Late,
            Ok(Ok(_) | Err(_)) => Conditions::Nothing,
        }
    }
}

/// Reads what a service says; another answer than conditions is none.
fn read(service: &str, said: Value) -> Conditions {
    let Ok(said) = serde_json::from_value::<Vec<Alarm>>(said) else {
        return Conditions::Nothing;
    };
    let held = said.into_iter().filter(|alarm| alarm.firing);
    let named = held.map(|alarm| Alarm {
        service: service.to_owned(),
        ..alarm
    });
    Conditions::Said(named.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Asks a supervisor that gives this answer, or none.
    async fn asked(answer: Option<Result<Reply, ControlError>>) -> Conditions {
        let (control, mut asks) = ControlHandle::channel();
        let supervisor = tokio::spawn(async move {
            let ask = asks.recv().await.unwrap();
            match answer {
                Some(answer) => ask.reply.send(answer).unwrap(),
                // Kept, and never answered.
                None => std::future::pending().await,
            }
        });
        let conditions = control.conditions("m", Caller::new("web", "service")).await;
        supervisor.abort();
        conditions
    }

    #[tokio::test(start_paused = true)]
    async fn what_holds_is_told_in_the_name_of_the_service() {
        let said = |subject: &str, firing: bool| {
            json!({
                "service": "?", "rule": "r", "subject": subject, "severity": "alert",
                "firing": firing, "text": "t", "at": "2026-01-01T00:00:00Z",
            })
        };
        let answer = json!([said("DU 1", true), said("DU 2", false)]);
        let Conditions::Said(held) = asked(Some(Ok(Reply::Answer(answer)))).await else {
            panic!("it was said")
        };
        let held: Vec<_> = held.iter().map(|a| (&*a.service, &*a.subject)).collect();
        assert_eq!(held, [("m", "DU 1")]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_know_is_late_and_who_does_not_is_not_asked_again() {
        let refused = ControlError::Refused("unknown request".into());
        assert_eq!(asked(Some(Err(refused))).await, Conditions::Nothing);
        let other = Reply::Answer(json!("what?"));
        assert_eq!(asked(Some(Ok(other))).await, Conditions::Nothing);
        let late = ControlError::NoAnswer("m".into());
        assert_eq!(asked(Some(Err(late))).await, Conditions::Late);
        assert_eq!(asked(None).await, Conditions::Late);
    }
}
