//! Carries out an order in the name of who gave it, and says what became of it.

use std::time::Duration;

use fathom_kernel::{
    Answer, Caller, Command, ControlError, ControlHandle, Outcome, Reply, ServiceStatus,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::order::{End, Meant, Order};
use crate::find_engine;
use crate::sink::one_line;

/// Longest wait for services to start or stop.
const WAIT_MAX: Duration = Duration::from_secs(180);
/// Most alarms in one answer.
const ALARMS_MAX: usize = 50;

/// Carries out an order; the text is for the chat.
pub(super) async fn carry_out(
    control: ControlHandle,
    order: Order,
    user: String,
) -> Result<String, String> {
    let hand = Hand {
        control,
        caller: Caller::new(&user, "chat"),
        user,
    };
    let doing = timeout(WAIT_MAX, hand.carry_out(order)).await;
    doing.unwrap_or_else(|_| Err(format!("not done within {} s", WAIT_MAX.as_secs())))
}

struct Hand {
    control: ControlHandle,
    caller: Caller,
    user: String,
}

impl Hand {
    async fn carry_out(&self, order: Order) -> Result<String, String> {
        match order {
            Order::Status(targets) => self.status(targets).await,
            Order::Start(targets) => {
                let start = Command::Start {
                    targets,
                    dependencies: true,
                    wait: true,
                };
                self.done(start).await
            }
            Order::Stop(targets) => {
                let stop = Command::Stop {
                    targets,
                    dependents: false,
                    wait: true,
                };
                self.done(stop).await
            }
            Order::Restart(targets) => {
                let wait = true;
                self.done(Command::Restart { targets, wait }).await
            }
            Order::Alarms => self.alarms().await,
            Order::Acknowledge(meant) => {
                let answer = self.engine("acknowledge", args(&meant, &self.user)).await?;
                Ok(format!("acknowledged: {}", numbers(&answer)))
            }
            Order::Unmute(meant) => {
                self.engine("unmute", args(&meant, &self.user)).await?;
                Ok("no longer muted".to_owned())
            }
            Order::Mute {
                rule,
                subject,
                end,
                reason,
            } => {
                let (how, end) = match end {
                    End::For(time) => ("for", time.to_string()),
                    End::Until(time) => ("until", time.to_string()),
                };
                let mute = json!({
                    "rule": rule.as_str(), "subject": subject.as_str(), how: end,
                    "by": self.user, "reason": reason,
                });
                self.engine("mute", mute).await?;
                Ok(format!("muted {rule} of {subject} {how} {end}"))
            }
            Order::Hello | Order::Help | Order::Who | Order::Shifters(_) | Order::Unclear(_) => {
                Err("nothing to carry out".to_owned())
            }
        }
    }

    async fn ask(&self, command: Command) -> Answer {
        self.control.ask(command, self.caller.clone()).await
    }

    async fn status(&self, targets: Vec<String>) -> Result<String, String> {
        match self.ask(Command::Status { targets }).await {
            Ok(Reply::Status(status)) => Ok(table(&status.services)),
            Ok(_) => Err("an answer of another kind".to_owned()),
            Err(error) => Err(told(&error)),
        }
    }

    async fn done(&self, command: Command) -> Result<String, String> {
        match self.ask(command).await {
            Ok(Reply::Done(outcomes)) => {
                let lines: Vec<String> = outcomes.iter().map(outcome).collect();
                Ok(lines.join("\n"))
            }
            Ok(_) => Err("an answer of another kind".to_owned()),
            Err(error) => Err(told(&error)),
        }
    }

    async fn engine(&self, verb: &str, args: Value) -> Result<Value, String> {
        let engine = find_engine(&self.control, self.caller.clone()).await;
        let name = engine.ok_or("there is no alarm engine in this stack")?;
        let verb = verb.to_owned();
        match self.ask(Command::Request { name, verb, args }).await {
            Ok(Reply::Answer(answer)) => Ok(answer),
            Ok(_) => Err("an answer of another kind".to_owned()),
            Err(error) => Err(told(&error)),
        }
    }

    async fn alarms(&self) -> Result<String, String> {
        let answer = self.engine("list", Value::Null).await?;
        let list = List::deserialize(&answer).map_err(|error| error.to_string())?;
        let alarms = list.alarms.iter();
        let open: Vec<&Alarm> = alarms.filter(|alarm| alarm.stage != "resolved").collect();
        if open.is_empty() {
            return Ok("no alarms".to_owned());
        }
        let line = |alarm: &&Alarm| {
            let Alarm {
                id,
                stage,
                severity,
                key,
                text,
            } = alarm;
            let (rule, subject) = (&key.rule, &key.subject);
            one_line(&format!(
                "#{id} {severity} {stage} {rule} {subject}: {text}"
            ))
        };
        let mut lines: Vec<String> = open.iter().take(ALARMS_MAX).map(line).collect();
        if open.len() > ALARMS_MAX {
            lines.push(format!("... and {} more", open.len() - ALARMS_MAX));
        }
        Ok(lines.join("\n"))
    }
}

#[derive(Deserialize)]
struct List {
    alarms: Vec<Alarm>,
}

#[derive(Deserialize)]
struct Alarm {
    id: u64,
    stage: String,
    severity: String,
    key: AlarmKey,
    text: String,
}

#[derive(Deserialize)]
struct AlarmKey {
    rule: String,
    subject: String,
}

fn args(meant: &Meant, by: &str) -> Value {
    match meant {
        Meant::Number(id) => json!({ "id": id, "by": by }),
        Meant::Fitting { rule, subject } => {
            json!({ "rule": rule.as_str(), "subject": subject.as_str(), "by": by })
        }
    }
}

fn numbers(answer: &Value) -> String {
    let ids = answer.get("alarms").and_then(Value::as_array);
    let ids = ids.map(Vec::as_slice).unwrap_or_default();
    let ids: Vec<String> = ids.iter().map(|id| format!("#{id}")).collect();
    ids.join(", ")
}

fn table(services: &[ServiceStatus]) -> String {
    let width = services.iter().map(|service| service.name.chars().count());
    let width = width.max().unwrap_or(0);
    let lines = services.iter().map(|service| {
        let ServiceStatus {
            name,
            state,
            description,
            ..
        } = service;
        format!("{name:width$}  {state:8}  {description}")
    });
    let lines: Vec<String> = lines.collect();
    match lines.is_empty() {
        true => "no services".to_owned(),
        false => lines.join("\n"),
    }
}

fn outcome(outcome: &Outcome) -> String {
    let Outcome { name, message, .. } = outcome;
    let result = outcome.result.word().replace('_', " ");
    match message.is_empty() {
        true => format!("{name}: {result}"),
        false => one_line(&format!("{name}: {result} ({message})")),
    }
}

fn told(error: &ControlError) -> String {
    one_line(&error.to_string())
}
