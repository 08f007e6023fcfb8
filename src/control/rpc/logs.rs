//! Reads, follows by polling and empties logs, and writes to the standard input of programs.

use std::path::PathBuf;

use fathom_kernel::{
    Command, ControlError, LogLine, LogStream, ServiceStatus, State, Timestamp, Verdict,
};

use super::desk::Desk;
use super::fault::{Code, Fault};
use super::names::target_of;
use super::params::Params;
use super::processes::write_result;
use super::xml::Xml;
use crate::logs::{ReadError, read, tail};

/// Returns a part of the log of a service.
pub(super) async fn read_of(
    desk: &Desk,
    stream: LogStream,
    mut params: Params,
) -> Result<Xml, Fault> {
    let service = desk.service(&params.text()?).await?;
    let path = path_of(desk, &service, stream).ok_or_else(|| Code::NoFile.about(&*service.name))?;
    let (offset, length) = (params.number()?, params.number()?);
    match part(path, offset, length).await {
        // Its log begins with its first word; for clients it does with its start.
        Err(fault) if fault.code == Code::NoFile && service.started.is_some() => {
            Ok(Xml::of_text(""))
        }
        part => part,
    }
}

/// Returns a part of the supervisor's own log.
pub(super) async fn read_own(desk: &Desk, mut params: Params) -> Result<Xml, Fault> {
    let own = desk.console.parts().logs.own();
    let path = own.map(|file| file.path().to_owned());
    let path = path.ok_or_else(|| Code::NoFile.alone())?;
    part(path, params.number()?, params.number()?).await
}

/// Returns the end of the log of a service, for clients that poll.
pub(super) async fn tail_of(
    desk: &Desk,
    stream: LogStream,
    mut params: Params,
) -> Result<Xml, Fault> {
    let service = desk.service(&params.text()?).await?;
    let (offset, length) = (params.number()?, params.number()?);
    let found = match path_of(desk, &service, stream) {
        Some(path) => blocking(move || tail(&path, offset, length)).await?,
        None => Ok(Default::default()),
    };
    let found = found.map_err(|error| Code::Failed.about(error.to_string()))?;
    let mut xml = Xml::with_capacity(found.data.len() + 200);
    xml.array(|xml| {
        xml.string(&String::from_utf8_lossy(&found.data));
        xml.int(i64::try_from(found.offset).unwrap_or(i64::MAX));
        xml.boolean(found.overflow);
    });
    Ok(xml)
}

/// Empties the logs of a service.
pub(super) async fn clear(desk: &Desk, mut params: Params) -> Result<Xml, Fault> {
    let name = params.text()?;
    let service = desk.service(&name).await?;
    let results = cleared(desk, vec![service]).await?;
    match results.into_iter().next() {
        Some((_, Ok(()))) => Ok(Xml::yes()),
        Some((_, Err(fault))) => Err(fault),
        None => Err(Code::BadName.about(name)),
    }
}

/// Empties the logs of all services.
pub(super) async fn clear_all(desk: &Desk) -> Result<Xml, Fault> {
    let services = desk.services().await?;
    let results = match services.is_empty() {
        true => Vec::new(),
        false => cleared(desk, services).await?,
    };
    let mut xml = Xml::default();
    xml.array(|xml| {
        for (service, result) in &results {
            write_result(xml, service, result);
        }
    });
    Ok(xml)
}

/// Empties the supervisor's own log.
pub(super) async fn clear_own(desk: &Desk) -> Result<Xml, Fault> {
    if desk.console.parts().logs.own().is_none() {
        return Err(Code::NoFile.alone());
    }
    let targets = Vec::new();
    for outcome in desk.outcomes(Command::Clear { targets }).await? {
        if outcome.result != Verdict::Cleared {
            return Err(Code::Failed.about(outcome.message));
        }
    }
    Ok(Xml::yes())
}

/// Writes to the standard input of a program.
pub(super) async fn input(desk: &Desk, mut params: Params) -> Result<Xml, Fault> {
    let (name, text) = (params.text()?, params.text()?);
    let service = desk.service(&name).await?;
    if service.pid == 0 || service.state == State::Stopping {
        return Err(Code::NotRunning.about(name));
    }
    let command = Command::Input {
        name: target_of(&service),
        text,
    };
    match desk.console.ask(command, desk.caller.clone()).await {
        Ok(_) => Ok(Xml::yes()),
        Err(ControlError::NotRunning(_)) => Err(Code::NotRunning.about(name)),
        // It does not read.
        Err(ControlError::Refused(_)) => Err(Code::NoFile.about(name)),
        Err(error) => Err(error.into()),
    }
}

/// Puts a message onto the bus, as a line of the supervisor's own log.
pub(super) fn remote_event(desk: &Desk, mut params: Params) -> Result<Xml, Fault> {
    let (kind, data) = (params.text()?, params.text()?);
    desk.console.parts().records.push(LogLine {
        service: String::new(),
        incarnation: 0,
        stream: LogStream::Record,
        line: format!("remote event {kind}: {data}"),
        at: Timestamp::now(),
    });
    Ok(Xml::yes())
}

/// Returns where the log of a service is.
pub(super) fn path_of(desk: &Desk, service: &ServiceStatus, stream: LogStream) -> Option<PathBuf> {
    let file = desk.console.parts().logs.file(&service.name, stream)?;
    Some(file.path().to_owned())
}

async fn part(path: PathBuf, offset: i64, length: i64) -> Result<Xml, Fault> {
    let shown = path.display().to_string();
    let found = blocking(move || read(&path, offset, length)).await?;
    let bytes = found.map_err(|error| match error {
        ReadError::NoFile => Code::NoFile.about(shown),
        ReadError::Arguments { .. } => Code::BadArguments.alone(),
        ReadError::Failed(_) => Code::Failed.alone(),
    })?;
    Ok(Xml::of_text(&String::from_utf8_lossy(&bytes)))
}

/// Reads files apart from the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Code::Failed.about("the log could not be read"))
}

async fn cleared(
    desk: &Desk,
    services: Vec<ServiceStatus>,
) -> Result<Vec<(ServiceStatus, Result<(), Fault>)>, Fault> {
    let targets = services.iter().map(target_of).collect();
    let outcomes = desk.outcomes(Command::Clear { targets }).await?;
    let result = |service: &ServiceStatus| {
        let outcome = outcomes.iter().find(|outcome| outcome.name == service.name);
        match outcome.map(|outcome| outcome.result) {
            Some(Verdict::Cleared) => Ok(()),
            _ => Err(Code::Failed.about(&*service.name)),
        }
    };
    let results = services.into_iter().map(|service| {
        let result = result(&service);
        (service, result)
    });
    Ok(results.collect())
}
