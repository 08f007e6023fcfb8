//! Starts, stops and signals services, one by one, by group, or all.

use fathom_kernel::{Command, Outcome, ServiceStatus, State, Verdict};

use super::catalogue::Method;
use super::desk::Desk;
use super::fault::{Code, Fault, SUCCESS};
use super::names::{Name, process_of, target_of};
use super::params::Params;
use super::xml::Xml;
use crate::actors::signal_of;
use crate::body::{self, Unrunnable};

/// What became of one service of several.
struct Entry {
    service: ServiceStatus,
    result: Result<(), Fault>,
}

/// Carries out the methods that start services.
pub(super) async fn start(desk: &Desk, method: Method, mut params: Params) -> Result<Xml, Fault> {
    let chosen = choose(desk, method, Method::StartOne, &mut params).await?;
    let wait = params.flag(true)?;
    match chosen {
        Chosen::One(service, name) => {
            let (hopeless, services) = sorted_out(desk, vec![*service]).await;
            if let Some(Err(fault)) = hopeless.into_iter().next().map(|entry| entry.result) {
                return Err(fault);
            }
            for service in &services {
                check_startable(service, &name)?;
            }
            only(&mut start_all(desk, services, wait).await?, &name)
        }
        Chosen::Several(mut services) => {
            services.retain(|service| !is_running(service.state));
            let (mut entries, services) = sorted_out(desk, services).await;
            // What cannot be run is known first.
            entries.extend(start_all(desk, services, wait).await?);
            Ok(results(&entries))
        }
    }
}

/// Carries out the methods that stop services.
pub(super) async fn stop(desk: &Desk, method: Method, mut params: Params) -> Result<Xml, Fault> {
    let chosen = choose(desk, method, Method::StopOne, &mut params).await?;
    let wait = params.flag(true)?;
    match chosen {
        Chosen::One(service, name) => {
            if !is_running(service.state) {
                return Err(Code::NotRunning.about(name));
            }
            let mut entries = stop_all(desk, vec![*service], wait).await?;
            only(&mut entries, &name)
        }
        Chosen::Several(mut services) => {
            services.retain(|service| is_running(service.state));
            Ok(results(&stop_all(desk, services, wait).await?))
        }
    }
}

/// Carries out the methods that send signals.
pub(super) async fn signal(desk: &Desk, method: Method, mut params: Params) -> Result<Xml, Fault> {
    let chosen = choose(desk, method, Method::SignalOne, &mut params).await?;
    let signal = params.text()?;
    match chosen {
        Chosen::One(service, name) => {
            if signal_of(&signal).is_none() {
                return Err(Code::BadSignal.about(signal));
            }
            if !is_signallable(service.state) {
                return Err(Code::NotRunning.about(name));
            }
            only(&mut signal_all(desk, vec![*service], &signal).await?, &name)
        }
        Chosen::Several(mut services) => {
            services.retain(|service| is_signallable(service.state));
            Ok(results(&signal_all(desk, services, &signal).await?))
        }
    }
}

/// The services that a call is about.
enum Chosen {
    /// One, as it was called.
    One(Box<ServiceStatus>, String),
    /// A group, or all.
    Several(Vec<ServiceStatus>),
}

/// Finds the services that a call is about; the method for one also takes `group:*`.
async fn choose(
    desk: &Desk,
    method: Method,
    for_one: Method,
    params: &mut Params,
) -> Result<Chosen, Fault> {
    if matches!(
        method,
        Method::StartAll | Method::StopAll | Method::SignalAll
    ) {
        return Ok(Chosen::Several(desk.services().await?));
    }
    let text = params.text()?;
    if method != for_one {
        let group = Name::Group(text.clone());
        return Ok(Chosen::Several(desk.named(&group, &text).await?));
    }
    let name = Name::read(&text);
    let mut found = desk.named(&name, &text).await?;
    Ok(match name {
        Name::Group(_) => Chosen::Several(found),
        Name::One { .. } => Chosen::One(Box::new(found.swap_remove(0)), text),
    })
}

/// Sorts out the services whose program cannot be run, without changing their state.
async fn sorted_out(desk: &Desk, services: Vec<ServiceStatus>) -> (Vec<Entry>, Vec<ServiceStatus>) {
    let plan = desk.console.parts().plans.borrow().clone();
    let judge = move |service: ServiceStatus| {
        let checked = match plan.service(&service.name) {
            Some(own) => body::check(own, &plan.setup.config_dir),
            None => Ok(()),
        };
        let result = checked.map_err(|error| match error {
            Unrunnable::NotExecutable(_) => Code::NotExecutable.about(error.to_string()),
            Unrunnable::NoFile(_) | Unrunnable::NoFolder(_) => {
                Code::NoFile.about(error.to_string())
            }
        });
        Entry { service, result }
    };
    // The disk may be slow.
    let kept = services.clone();
    let judged = tokio::task::spawn_blocking(move || services.into_iter().map(judge).collect());
    let judged: Vec<Entry> = match judged.await {
        Ok(judged) => judged,
        // Unknown until they are started.
        Err(_) => return (Vec::new(), kept),
    };
    let (hopeless, well): (Vec<_>, Vec<_>) = judged.into_iter().partition(|e| e.result.is_err());
    (
        hopeless,
        well.into_iter().map(|entry| entry.service).collect(),
    )
}

fn check_startable(service: &ServiceStatus, name: &str) -> Result<(), Fault> {
    if is_running(service.state) {
        return Err(Code::AlreadyStarted.about(name));
    }
    if service.state == State::Unknown {
        let text = format!("{name} is in an unknown process state");
        return Err(Code::Failed.about(text));
    }
    Ok(())
}

async fn start_all(
    desk: &Desk,
    services: Vec<ServiceStatus>,
    wait: bool,
) -> Result<Vec<Entry>, Fault> {
    let Some(targets) = targets(&services) else {
        return Ok(Vec::new());
    };
    let command = Command::Start {
        targets: targets.clone(),
        dependencies: true,
        wait,
    };
    let outcomes = desk.outcomes(command).await?;
    let failed = outcomes
        .iter()
        .any(|o| o.result == Verdict::AbnormalTermination);
    // The state tells whether it never came up, or came up and was lost.
    let now = match failed {
        true => desk.status(targets).await?.services,
        false => Vec::new(),
    };
    let gave_up = |name: &str| {
        let state = now.iter().find(|s| s.name == name).map(|s| s.state);
        matches!(state, Some(State::Backoff | State::Fatal))
    };
    Ok(entries(services, &outcomes, |outcome| {
        started(outcome, gave_up(&outcome.name))
    }))
}

fn started(outcome: &Outcome, gave_up: bool) -> Result<(), Code> {
    match outcome.result {
        Verdict::Started | Verdict::AlreadyStarted => Ok(()),
        Verdict::SpawnError => Err(Code::SpawnError),
        Verdict::AbnormalTermination if gave_up => Err(Code::SpawnError),
        // supervisorctl knows no other failure of a start.
        Verdict::AbnormalTermination | Verdict::TimedOut | Verdict::Failed => {
            Err(Code::AbnormalTermination)
        }
        Verdict::Stopped
        | Verdict::Signalled
        | Verdict::NotRunning
        | Verdict::BadSignal
        | Verdict::Held
        | Verdict::Released
        | Verdict::Cleared
        | Verdict::Rotated
        | Verdict::Added
        | Verdict::Removed
        | Verdict::Updated
        | Verdict::Untouched => Err(Code::Failed),
    }
}

async fn stop_all(
    desk: &Desk,
    services: Vec<ServiceStatus>,
    wait: bool,
) -> Result<Vec<Entry>, Fault> {
    let Some(targets) = targets(&services) else {
        return Ok(Vec::new());
    };
    let outcomes = desk
        .outcomes(Command::Stop {
            targets,
            dependents: false,
            wait,
        })
        .await?;
    Ok(entries(services, &outcomes, |outcome| {
        reached(outcome, Verdict::Stopped)
    }))
}

/// Judges an outcome by the one that was wanted.
fn reached(outcome: &Outcome, wanted: Verdict) -> Result<(), Code> {
    match outcome.result {
        verdict if verdict == wanted => Ok(()),
        Verdict::NotRunning => Err(Code::NotRunning),
        Verdict::Started
        | Verdict::Stopped
        | Verdict::Signalled
        | Verdict::AlreadyStarted
        | Verdict::SpawnError
        | Verdict::AbnormalTermination
        | Verdict::TimedOut
        | Verdict::BadSignal
        | Verdict::Held
        | Verdict::Released
        | Verdict::Cleared
        | Verdict::Rotated
        | Verdict::Failed
        | Verdict::Added
        | Verdict::Removed
        | Verdict::Updated
        | Verdict::Untouched => Err(Code::Failed),
    }
}

async fn signal_all(
    desk: &Desk,
    services: Vec<ServiceStatus>,
    signal: &str,
) -> Result<Vec<Entry>, Fault> {
    let Some(targets) = targets(&services) else {
        return Ok(Vec::new());
    };
    if signal_of(signal).is_none() {
        let refused = |service| Entry {
            service,
            result: Err(Code::BadSignal.about(signal)),
        };
        return Ok(services.into_iter().map(refused).collect());
    }
    let command = Command::Signal {
        targets,
        signal: signal.to_owned(),
    };
    let outcomes = desk.outcomes(command).await?;
    Ok(entries(services, &outcomes, |outcome| {
        reached(outcome, Verdict::Signalled)
    }))
}

/// Returns the names of services; `None` when there are none, which would mean all.
fn targets(services: &[ServiceStatus]) -> Option<Vec<String>> {
    let names = services.iter().map(target_of);
    Some(names.collect::<Vec<_>>()).filter(|names| !names.is_empty())
}

/// Joins services with what became of them, in the order in which it did.
fn entries(
    services: Vec<ServiceStatus>,
    outcomes: &[Outcome],
    judge: impl Fn(&Outcome) -> Result<(), Code>,
) -> Vec<Entry> {
    let place = |name: &str| outcomes.iter().position(|outcome| outcome.name == name);
    let mut placed: Vec<(usize, ServiceStatus)> = services
        .into_iter()
        .filter_map(|service| Some((place(&service.name)?, service)))
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    let entry = |(place, service): (usize, ServiceStatus)| {
        let outcome = &outcomes[place];
        let result = judge(outcome).map_err(|code| match (code, outcome.message.as_str()) {
            (Code::Failed, text) if !text.is_empty() => code.about(text),
            _ => code.about(&*service.name),
        });
        Entry { service, result }
    };
    placed.into_iter().map(entry).collect()
}

/// Makes the answer about the one service that was named.
fn only(entries: &mut Vec<Entry>, name: &str) -> Result<Xml, Fault> {
    match entries.pop().map(|entry| entry.result) {
        Some(Ok(())) => Ok(Xml::yes()),
        Some(Err(fault)) if fault.code == Code::Failed => Err(fault),
        // The name as the client wrote it.
        Some(Err(fault)) => Err(fault.code.about(name)),
        None => Err(Code::BadName.about(name)),
    }
}

/// Makes the answer about several services.
fn results(entries: &[Entry]) -> Xml {
    let mut xml = Xml::default();
    xml.array(|xml| {
        for Entry { service, result } in entries {
            write_result(xml, service, result);
        }
    });
    xml
}

/// Writes what became of a service.
pub(super) fn write_result(xml: &mut Xml, service: &ServiceStatus, result: &Result<(), Fault>) {
    let (status, text) = match result {
        Ok(()) => (SUCCESS, "OK".to_owned()),
        Err(fault) => (fault.code.number(), fault.to_string()),
    };
    xml.structure(|xml| {
        xml.string_member("name", process_of(service));
        xml.string_member("group", &service.group);
        xml.int_member("status", status);
        xml.string_member("description", &text);
    });
}

fn is_running(state: State) -> bool {
    matches!(state, State::Starting | State::Running | State::Backoff)
}

fn is_signallable(state: State) -> bool {
    matches!(state, State::Starting | State::Running | State::Stopping)
}
