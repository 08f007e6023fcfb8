//! What clients are told of the state of services.

use fathom_kernel::{LogStream, ServiceStatus, State, Timestamp};
use jiff::tz::TimeZone;

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
            xml.string_member("spawnerr", service.trouble.as_deref().unwrap_or_default());
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

/// Returns the exit code of the last incarnation: 0 while one runs, -1 when it was killed.
fn exit_status(service: &ServiceStatus) -> i64 {
    let Some(exit) = service.last_exit.as_deref().filter(|_| service.pid == 0) else {
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

/// Returns the text beside the state where it differs from the one of our own clients: times are
/// those of the local clock, as supervisord's users expect.
fn description(service: &ServiceStatus) -> Option<String> {
    match service.state {
        State::Stopped | State::Exited => Some(match (service.started, service.ended) {
            (None, _) => "Not started".to_owned(),
            (Some(_), ended) => local(ended.unwrap_or(service.since)),
        }),
        State::Fatal | State::Backoff if service.description.is_empty() => Some(format!(
            "unknown error (try \"tail {}\")",
            process_of(service)
        )),
        State::Starting
        | State::Running
        | State::Backoff
        | State::Stopping
        | State::Fatal
        | State::Unknown => None,
    }
}

/// Returns a time as in `Nov 21 12:19 AM`.
fn local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system())
        .strftime("%b %d %I:%M %p")
        .to_string()
}
