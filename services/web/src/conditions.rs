//! The conditions that hold when the server starts: what was said on the bus before it listened.
//!
//! An alarm engine knows them all and is asked for them; without one, or when it does not answer, each
//! service that runs is asked itself, as an engine does; what the supervisor said itself is missing
//! then. What is heard on the bus meanwhile is newer and wins; whoever starts later says on the bus
//! what holds.

use std::time::Duration;

use fathom_kernel::{
    Alarm, Caller, Command, Conditions, ControlError, ControlHandle, Reply, ServiceStatus,
    Severity, State, Timestamp,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::hub::Hub;

/// Kind of the engine.
const ENGINE: &str = "alarms";
/// Time that the supervisor, and the engine, has for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Who gave no answer is asked again after this time.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How often a service is asked at most.
const ROUNDS_MAX: usize = 6;

/// Who asks, and by which way.
pub(crate) struct Asker {
    pub(crate) control: ControlHandle,
    pub(crate) caller: Caller,
    /// Full name of this service, which is not asked.
    pub(crate) own: String,
}

/// What the engine tells of its alarms.
#[derive(Deserialize)]
struct Told {
    alarms: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    key: Key,
    severity: Severity,
    text: String,
    since: Timestamp,
    holds: bool,
}

#[derive(Deserialize)]
struct Key {
    service: String,
    rule: String,
    subject: String,
}

impl From<Case> for Alarm {
    fn from(case: Case) -> Self {
        Self {
            service: case.key.service,
            rule: case.key.rule,
            subject: case.key.subject,
            severity: case.severity,
            firing: case.holds,
            text: case.text,
            at: case.since,
        }
    }
}

impl Asker {
    /// Asks for what holds and tells the hub. Returns when all have answered, or are not worth waiting
    /// for.
    pub(crate) async fn learn(&self, hub: &Hub) {
        let services = self.services().await;
        let of_engine = services.iter().find(|s| s.kind.as_deref() == Some(ENGINE));
        let told = match of_engine {
            Some(engine) => self.of_engine(&engine.name).await,
            None => None,
        };
        match told {
            Some(conditions) => hub.learn(conditions),
            None => self.of_all(services, hub).await,
        }
        hub.learned();
    }

    /// Returns the services that run and may know conditions.
    async fn services(&self) -> Vec<ServiceStatus> {
        loop {
            let targets = Vec::new();
            let status = self.ask(Command::Status { targets }).await;
            if let Some(Ok(Reply::Status(status))) = status {
                let runs = |service: &ServiceStatus| {
                    let is_other = service.name != self.own;
                    is_other && service.kind.is_some() && service.state == State::Running
                };
                return status.services.into_iter().filter(runs).collect();
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    /// Returns what the engine holds, which includes what it found itself.
    async fn of_engine(&self, name: &str) -> Option<Vec<Alarm>> {
        let request = Command::Request {
            name: name.to_owned(),
            verb: "list".to_owned(),
            args: Value::Null,
        };
        let Some(Ok(Reply::Answer(said))) = self.ask(request).await else {
            return None;
        };
        let told: Told = serde_json::from_value(said).ok()?;
        let held = told.alarms.into_iter().filter(|case| case.holds);
        Some(held.map(Alarm::from).collect())
    }

    /// Asks each service for its own conditions.
    async fn of_all(&self, services: Vec<ServiceStatus>, hub: &Hub) {
        let mut left: Vec<String> = services.into_iter().map(|service| service.name).collect();
        for round in 0..ROUNDS_MAX {
            if round > 0 {
                sleep(AGAIN_AFTER).await;
            }
            let mut late = Vec::new();
            for name in left {
                match self.control.conditions(&name, self.caller.clone()).await {
                    Conditions::Said(held) => hub.learn(held),
                    Conditions::Nothing => {}
                    Conditions::Late => late.push(name),
                }
            }
            left = late;
            if left.is_empty() {
                return;
            }
        }
        warn!(services = ?left, "conditions that held before this start are not known");
    }

    async fn ask(&self, command: Command) -> Option<Result<Reply, ControlError>> {
        let answer = self.control.ask(command, self.caller.clone());
        timeout(ANSWER_MAX, answer).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fathom_kernel::{Ask, ServiceCx};
    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;

    /// Services by name and kind, all of them running.
    fn stack(services: &[(&str, &str)]) -> Reply {
        let service = |(name, kind): &(&str, &str)| {
            json!({
                "name": name, "group": "g", "kind": kind, "run": "actor", "state": "RUNNING",
                "description": "", "want": "up", "health": "ok", "pid": 0, "incarnation": 1,
                "restarts": 0, "since": "2026-01-01T00:00:00Z", "last_exit": null, "after": [],
                "counters": fathom_kernel::CountersSnapshot::default(), "queues": [],
            })
        };
        let services: Vec<Value> = services.iter().map(service).collect();
        let status = json!({
            "version": "0", "pid": 1, "started": "2026-01-01T00:00:00Z", "stack": "t", "events": 0,
            "services": services,
        });
        Reply::Status(serde_json::from_value(status).unwrap())
    }

    fn held(service: &str, subject: &str, firing: bool) -> Value {
        json!({
            "service": service, "rule": "r", "subject": subject, "severity": "alert",
            "firing": firing, "text": "t", "at": "2026-01-01T00:00:00Z",
        })
    }

    /// Answers like a supervisor; requests are answered by the list, in its order, and `None` is none
    /// in time. Returns who was asked what.
    async fn supervise(
        mut asks: mpsc::Receiver<Ask>,
        stack: Reply,
        answers: Vec<(&'static str, Option<Result<Value, ControlError>>)>,
    ) -> Vec<String> {
        let mut asked = Vec::new();
        let mut silent = Vec::new();
        let mut answers = answers.into_iter();
        while let Some(ask) = asks.recv().await {
            let Command::Request { name, verb, .. } = &ask.command else {
                ask.reply.send(Ok(stack.clone())).unwrap();
                continue;
            };
            asked.push(format!("{name} {verb}"));
            let (expected, answer) = answers.next().unwrap();
            assert_eq!(name, expected);
            match answer {
                Some(answer) => ask.reply.send(answer.map(Reply::Answer)).unwrap(),
                None => silent.push(ask),
            }
        }
        asked
    }

    /// Learns and returns the conditions then known, and who was asked what.
    async fn learn(
        services: &[(&str, &str)],
        answers: Vec<(&'static str, Option<Result<Value, ControlError>>)>,
    ) -> (Vec<String>, Vec<String>) {
        let (cx, outside) = ServiceCx::alone("webserver", "/nowhere");
        let supervisor = tokio::spawn(supervise(outside.asks, stack(services), answers));
        let hub = Hub::new(Arc::default(), 1);
        let asker = Asker {
            control: cx.control.clone(),
            caller: Caller::new("webserver", "service"),
            own: "webserver".to_owned(),
        };
        asker.learn(&hub).await;
        drop((asker, cx));
        let known = hub.firing().0.into_iter();
        let known = known.map(|alarm| format!("{}: {}", alarm.service, alarm.subject));
        (known.collect(), supervisor.await.unwrap())
    }

    fn refused() -> Option<Result<Value, ControlError>> {
        Some(Err(ControlError::Refused("unknown request".into())))
    }

    /// After a restart of the server the page said that no condition holds.
    #[tokio::test(start_paused = true)]
    async fn without_an_engine_each_service_is_asked() {
        let services = [("webserver", "webserver"), ("a", "dom_rates"), ("b", "log")];
        let of_a = json!([held("?", "DU 1", true), held("?", "DU 2", false)]);
        let (known, asked) = learn(&services, vec![("a", Some(Ok(of_a))), ("b", refused())]).await;
        assert_eq!(known, ["a: DU 1"]);
        assert_eq!(asked, ["a conditions", "b conditions"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_knows_what_holds() {
        let case = |subject: &str, holds: bool| {
            json!({
                "id": 1, "key": { "service": "a", "rule": "r", "subject": subject },
                "severity": "warning", "text": "t", "since": "2026-01-01T00:00:00Z",
                "holds": holds, "stage": "firing",
            })
        };
        let list = json!({ "alarms": [case("DU 1", true), case("DU 2", false)], "mutes": [] });
        let services = [("a", "dom_rates"), ("engine", "alarms")];
        let (known, asked) = learn(&services, vec![("engine", Some(Ok(list)))]).await;
        assert_eq!(known, ["a: DU 1"]);
        assert_eq!(asked, ["engine list"]);
    }

    #[tokio::test(start_paused = true)]
    async fn services_are_asked_when_the_engine_is_silent_and_late_ones_again() {
        let services = [("engine", "alarms"), ("a", "dom_rates"), ("b", "dom_rates")];
        let late = Some(Err(ControlError::NoAnswer("a".into())));
        let held = |service| Some(Ok(json!([held(service, "DU 1", true)])));
        let answers = vec![
            ("engine", None),
            ("engine", refused()),
            ("a", late),
            ("b", held("b")),
            ("a", None),
            ("a", held("a")),
        ];
        let (known, _) = learn(&services, answers).await;
        assert_eq!(known, ["a: DU 1", "b: DU 1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_never_answers_does_not_hold_up_the_others() {
        let services = [("a", "dom_rates"), ("b", "dom_rates")];
        let mut answers = vec![("a", None), ("b", Some(Ok(json!([held("b", "x", true)]))))];
        answers.extend((1..ROUNDS_MAX).map(|_| ("a", None)));
        let (known, asked) = learn(&services, answers).await;
        assert_eq!(known, ["b: x"]);
        assert_eq!(asked.len(), ROUNDS_MAX + 1);
    }
}
