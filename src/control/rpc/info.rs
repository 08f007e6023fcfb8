//! What clients are told of the state of services.

use fathom_kernel::{LogStream, ServiceStatus, State, Timestamp};

use super::desk::Desk;
use super::fault::Fault;
use super::names::process_of;
use super::xml::Xml;
use crate::control::console::Console;
use crate::logs::Logs;

/// About as many bytes as one service takes.
const BYTES_EACH: usize = 1500;

/// Returns the state of every service.
pub(super) async fn all(desk: &Desk) -> Result<Xml, Fault> {
    let services = desk.services().await?;
    let view = View::new(&desk.console);
    let mut xml = Xml::with_capacity(services.len() * BYTES_EACH + 100);
    xml.array(|xml| services.iter().for_each(|service| view.write(xml, service)));
    Ok(xml)
}

/// Returns the state of one service.
pub(super) async fn one(desk: &Desk, name: &str) -> Result<Xml, Fault> {
    let service = desk.service(name).await?;
    let mut xml = Xml::with_capacity(BYTES_EACH);
    View::new(&desk.console).write(&mut xml, &service);
    Ok(xml)
}

/// What all services are looked at with.
struct View {
    now: Timestamp,
    logs: Logs,
}

impl View {
    fn new(console: &Console) -> Self {
        Self {
            now: Timestamp::now(),
            logs: console.parts().logs.clone(),
        }
    }

    fn log(&self, service: &ServiceStatus, stream: LogStream) -> String {
        let file = self.logs.file(&service.name, stream);
        file.map_or_else(String::new, |file| file.path().display().to_string())
    }

    fn write(&self, xml: &mut Xml, service: &ServiceStatus) {
        let seconds = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_second);
        let out = self.log(service, LogStream::Stdout);
        let err = self.log(service, LogStream::Stderr);
        xml.structure(|xml| {
            xml.string_member("name", process_of(service));
            xml.string_member("group", &service.group);
            xml.int_member("start", seconds(service.started));
            xml.int_member("stop", seconds(service.ended));
            xml.int_member("now", self.now.as_second());
            xml.int_member("state", service.state.code().into());
            xml.string_member("statename", service.state.name());
            xml.string_member("spawnerr", trouble(service));
            xml.int_member("exitstatus", exit_status(service));
            xml.string_member("logfile", &out);
            xml.string_member("stdout_logfile", &out);
            xml.string_member("stderr_logfile", &err);
            xml.int_member("pid", service.pid.into());
            match description(service) {
                Some(text) => xml.string_member("description", &text),
                None => xml.string_member("description", &service.description),
            }
        });
    }
}

/// Tells whether an incarnation is there, or about to be; what the one before left is forgotten then,
/// as supervisord does it.
fn is_under_way(service: &ServiceStatus) -> bool {
    match service.state {
        State::Starting | State::Running | State::Stopping => true,
        State::Stopped | State::Backoff | State::Exited | State::Fatal | State::Unknown => false,
    }
}

/// Returns why it does not run.
fn trouble(service: &ServiceStatus) -> &str {
    let trouble = service.trouble.as_deref();
    trouble
        .filter(|_| !is_under_way(service))
        .unwrap_or_default()
}

/// Returns the exit code of the last incarnation: 0 while one runs, -1 when it was killed.
fn exit_status(service: &ServiceStatus) -> i64 {
    let exit = service.last_exit.as_deref();
    let Some(exit) = exit.filter(|_| !is_under_way(service)) else {
        return 0;
    };
    match exit.split_once(':') {
        Some(("exit", code)) => code.parse().unwrap_or(0),
        Some(("signal", _)) => -1,
        // The codes of a child that ends so.
        Some(("panic", _)) => 101,
        Some(("error", _)) => 1,
        Some(("spawn", _)) => 127,
        // Aborted.
        _ => -1,
    }
}

/// Returns the text beside the state where it differs from the one of our own clients.
fn description(service: &ServiceStatus) -> Option<String> {
    match service.state {
        State::Fatal | State::Backoff if service.description.is_empty() => Some(format!(
            "unknown error (try \"tail {}\")",
            process_of(service)
        )),
        State::Stopped
        | State::Starting
        | State::Running
        | State::Backoff
        | State::Stopping
        | State::Exited
        | State::Fatal
        | State::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(state: State, exit: &str) -> ServiceStatus {
        let text = serde_json::json!({
            "name": "a", "group": "a", "kind": "dom_rates", "run": "actor", "state": state,
            "description": "", "want": "up", "health": "ok", "pid": 0, "incarnation": 2,
            "restarts": 1, "since": "1970-01-01T00:00:09Z", "last_exit": exit,
            "trouble": "Bad exit code 3", "after": [], "counters": {
                "received": 0, "received_bytes": 0, "sent": 0, "sent_bytes": 0, "dropped": 0,
                "dropped_bytes": 0, "outputs": 0, "last_output": null, "bad": {},
            }, "queues": [],
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn what_runs_again_has_neither_the_exit_code_nor_the_trouble_of_before() {
        let told = |state, exit| {
            let service = service(state, exit);
            (exit_status(&service), trouble(&service).to_owned())
        };
        for state in [State::Starting, State::Running, State::Stopping] {
            assert_eq!(told(state, "exit:3"), (0, String::new()), "{state}");
        }
        let bad = |code| (code, "Bad exit code 3".to_owned());
        assert_eq!(told(State::Backoff, "exit:3"), bad(3));
        assert_eq!(told(State::Fatal, "signal:9"), bad(-1));
    }
}
