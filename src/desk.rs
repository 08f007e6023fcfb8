//! Takes commands from everywhere, writes down who asked for what and what became of it, and hands
//! them to the supervisor.

use actix::Addr;
use fathom_kernel::{Answer, Ask, ControlError, Reply, Timestamp};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::actors::{Supervisor, Take};
use crate::chronicle::{Chronicle, CommandDone, CommandTaken, What};

/// Hands commands to the supervisor; while its mailbox is full, callers wait.
pub(crate) async fn pass_on(
    mut asks: mpsc::Receiver<Ask>,
    supervisor: Addr<Supervisor>,
    chronicle: Chronicle,
) {
    // Not aborted with this task: an answer on its way still reaches whoever waits for it.
    let answers = TaskTracker::new();
    while let Some(ask) = asks.recv().await {
        let ask = match ask.command.changes() {
            true => write_down(ask, &chronicle, &answers),
            false => ask,
        };
        if supervisor.send(Take(ask)).await.is_err() {
            return;
        }
    }
}

/// Writes a command down, and its outcome when that is known.
fn write_down(ask: Ask, chronicle: &Chronicle, answers: &TaskTracker) -> Ask {
    let number = chronicle.record(What::Command(taken(&ask, chronicle.now())));
    let (reply, answer) = oneshot::channel();
    let (to, chronicle) = (ask.reply, chronicle.clone());
    answers.spawn(async move {
        let answer = answer.await.unwrap_or(Err(ControlError::Deaf));
        chronicle.record(What::Outcome(done(number, &answer, chronicle.now())));
        if to.send(answer).is_err() {
            tracing::debug!("nobody waits for the answer any more");
        }
    });
    Ask { reply, ..ask }
}

fn taken(ask: &Ask, at: Timestamp) -> CommandTaken {
    let mut fields = match serde_json::to_value(&ask.command) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let verb = fields.remove("do").map(text).unwrap_or_default();
    let targets = match (fields.remove("targets"), fields.remove("name")) {
        (Some(Value::Array(targets)), _) => targets.into_iter().map(text).collect(),
        (_, Some(name)) => vec![text(name)],
        (_, None) => Vec::new(),
    };
    let rest = fields.into_iter();
    let rest: Vec<String> = rest
        .map(|(key, value)| match &value {
            // What a service is given to read may be a secret.
            Value::String(input) if key == "text" => format!("text of {} bytes", input.len()),
            _ => format!("{key}={}", text(value)),
        })
        .collect();
    CommandTaken {
        at,
        who: ask.caller.who.clone(),
        via: ask.caller.via.clone(),
        verb,
        targets,
        detail: rest.join(" "),
    }
}

fn done(command: u64, answer: &Answer, at: Timestamp) -> CommandDone {
    let (outcomes, refused) = match answer {
        Ok(Reply::Done(outcomes)) => (outcomes.clone(), None),
        Ok(_) => (Vec::new(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    CommandDone {
        at,
        command,
        outcomes,
        refused,
    }
}

#[cfg(test)]
mod tests {
    use fathom_kernel::{Caller, Command};

    use super::*;

    #[test]
    fn a_command_is_told_by_verb_targets_and_the_rest() {
        let command = |command| {
            let (reply, _) = oneshot::channel();
            let caller = Caller::new("uid 0", "socket");
            let ask = Ask {
                command,
                caller,
                reply,
            };
            let taken = taken(&ask, Timestamp::UNIX_EPOCH);
            format!("{} {:?} {}", taken.verb, taken.targets, taken.detail)
        };
        let start = Command::Start {
            targets: vec!["a".to_owned(), "b:*".to_owned()],
            dependencies: true,
            wait: false,
        };
        assert_eq!(
            command(start),
            "start [\"a\", \"b:*\"] dependencies=true wait=false"
        );
        let request = Command::Request {
            name: "a".to_owned(),
            verb: "reset".to_owned(),
            args: serde_json::json!({ "hard": true }),
        };
        assert_eq!(
            command(request),
            "request [\"a\"] args={\"hard\":true} verb=reset"
        );
        let input = Command::Input {
            name: "a".to_owned(),
            text: "secret".to_owned(),
        };
        assert_eq!(command(input), "input [\"a\"] text of 6 bytes");
    }
}
