//! Carries out calls: finds the method, counts its parameters, and hands it to whom it concerns.

use dxr::Value;
use fathom_kernel::{Caller, Command, LogStream, Outcome, Reply, ServiceStatus, StackStatus};

use super::catalogue::{self, ENTRIES, Method};
use super::fault::{Code, Fault};
use super::names::{Name, process_of};
use super::params::Params;
use super::xml::Xml;
use super::{changes, daemon, info, inventory, logs, processes};
use crate::control::console::Console;

/// Most calls in one `system.multicall`.
const CALLS_MAX: usize = 1000;

/// Most bytes of the results of one `system.multicall`.
const RESULTS_BYTES_MAX: usize = 64 << 20;

/// Where the calls of one client are carried out.
pub(super) struct Desk {
    pub(super) console: Console,
    pub(super) caller: Caller,
}

impl Desk {
    /// Carries out a call.
    pub(super) async fn call(&self, name: &str, params: Vec<Value>) -> Result<Xml, Fault> {
        let (method, mut params) = accepted(name, params)?;
        match method {
            Method::Multicall => self.multicall(params.list()?).await,
            method => self.single(method, params).await,
        }
    }

    async fn multicall(&self, calls: Vec<Value>) -> Result<Xml, Fault> {
        if calls.len() > CALLS_MAX {
            let text = format!("{} calls at once, at most {CALLS_MAX} allowed", calls.len());
            return Err(Code::IncorrectParameters.about(text));
        }
        let mut results = Xml::default();
        for call in calls {
            let result = match self.one_of_many(call).await {
                Ok(result) if results.len() + result.len() > RESULTS_BYTES_MAX => {
                    Xml::of_fault(&Code::Failed.about("the answer gets too large"))
                }
                Ok(result) => result,
                Err(fault) => Xml::of_fault(&fault),
            };
            results.append(&result);
        }
        let mut xml = Xml::with_capacity(results.len() + 100);
        xml.array(|xml| xml.append(&results));
        Ok(xml)
    }

    async fn one_of_many(&self, call: Value) -> Result<Xml, Fault> {
        let Value::Struct(mut call) = call else {
            return Err(Code::IncorrectParameters.about("expected struct"));
        };
        let Some(Value::String(name)) = call.remove("methodName") else {
            return Err(Code::IncorrectParameters.about("No methodName"));
        };
        let params = match call.remove("params") {
            None => Vec::new(),
            Some(Value::Array(params)) => params,
            Some(_) => return Err(Code::IncorrectParameters.about("expected array")),
        };
        match accepted(&name, params)? {
            (Method::Multicall, _) => {
                let text = "Recursive system.multicall forbidden";
                Err(Code::IncorrectParameters.about(text))
            }
            (method, params) => self.single(method, params).await,
        }
    }

    async fn single(&self, method: Method, mut params: Params) -> Result<Xml, Fault> {
        use Method as M;
        match method {
            M::List => return Ok(Xml::of_texts(ENTRIES.iter().map(|entry| entry.name))),
            M::Help => return self.help(&params.text()?),
            M::Signature => return self.signature(&params.text()?),
            _ if self.console.parts().ending.is_cancelled() => {
                return Err(Code::ShutdownState.alone());
            }
            _ => {}
        }
        match method {
            M::ApiVersion | M::Version | M::Identification | M::State | M::Pid | M::Shutdown => {
                daemon::answer(self, method).await
            }
            M::AllInfo => info::all(self).await,
            M::Info => info::one(self, &params.text()?).await,
            M::AllConfig => inventory::all(self).await,
            M::StartOne | M::StartGroup | M::StartAll => {
                processes::start(self, method, params).await
            }
            M::StopOne | M::StopGroup | M::StopAll => processes::stop(self, method, params).await,
            M::SignalOne | M::SignalGroup | M::SignalAll => {
                processes::signal(self, method, params).await
            }
            method => self.rest(method, params).await,
        }
    }

    /// Carries out what concerns logs and the configuration.
    async fn rest(&self, method: Method, mut params: Params) -> Result<Xml, Fault> {
        use Method as M;
        match method {
            M::ReadOut => logs::read_of(self, LogStream::Stdout, params).await,
            M::ReadErr => logs::read_of(self, LogStream::Stderr, params).await,
            M::ReadOwnLog => logs::read_own(self, params).await,
            M::TailOut => logs::tail_of(self, LogStream::Stdout, params).await,
            M::TailErr => logs::tail_of(self, LogStream::Stderr, params).await,
            M::ClearLogs => logs::clear(self, params).await,
            M::ClearAllLogs => logs::clear_all(self).await,
            M::ClearOwnLog => logs::clear_own(self).await,
            M::Stdin => logs::input(self, params).await,
            M::RemoteEvent => logs::remote_event(self, params),
            M::Reload => changes::reread(self).await,
            M::AddGroup => changes::add(self, params.text()?).await,
            M::RemoveGroup => changes::remove(self, params.text()?).await,
            M::Restart => changes::restart(self).await,
            _ => Err(Code::UnknownMethod.alone()),
        }
    }

    fn help(&self, name: &str) -> Result<Xml, Fault> {
        match catalogue::find(name) {
            Some(entry) => Ok(Xml::of_text(entry.help)),
            None => Err(Code::SignatureUnsupported.alone()),
        }
    }

    fn signature(&self, name: &str) -> Result<Xml, Fault> {
        match catalogue::find(name) {
            Some(entry) => Ok(Xml::of_texts(entry.signature())),
            None => Err(Code::SignatureUnsupported.alone()),
        }
    }

    /// Asks the supervisor.
    pub(super) async fn ask(&self, command: Command) -> Result<Reply, Fault> {
        Ok(self.console.ask(command, self.caller.clone()).await?)
    }

    /// Returns the state of the services that some targets mean; of all when there are none.
    pub(super) async fn status(&self, targets: Vec<String>) -> Result<StackStatus, Fault> {
        match self.ask(Command::Status { targets }).await? {
            Reply::Status(status) => Ok(status),
            _ => Err(unexpected()),
        }
    }

    /// Returns all services, sorted by group and name.
    pub(super) async fn services(&self) -> Result<Vec<ServiceStatus>, Fault> {
        let mut services = self.status(Vec::new()).await?.services;
        services.sort_by(|a, b| (&a.group, process_of(a)).cmp(&(&b.group, process_of(b))));
        Ok(services)
    }

    /// Returns the services that a name means, sorted; there is at least one.
    pub(super) async fn named(&self, name: &Name, text: &str) -> Result<Vec<ServiceStatus>, Fault> {
        let mut services = self.services().await?;
        services.retain(|service| name.means(service));
        if services.is_empty() {
            return Err(Code::BadName.about(text));
        }
        Ok(services)
    }

    /// Returns the one service that a name means.
    pub(super) async fn service(&self, text: &str) -> Result<ServiceStatus, Fault> {
        match Name::read(text) {
            Name::Group(_) => Err(Code::BadName.about(text)),
            one => self
                .named(&one, text)
                .await
                .map(|mut found| found.swap_remove(0)),
        }
    }

    /// Carries out a command and returns what became of each service.
    pub(super) async fn outcomes(&self, command: Command) -> Result<Vec<Outcome>, Fault> {
        match self.ask(command).await? {
            Reply::Done(outcomes) => Ok(outcomes),
            _ => Err(unexpected()),
        }
    }
}

/// Finds the method of a name, with the right number of parameters.
fn accepted(name: &str, params: Vec<Value>) -> Result<(Method, Params), Fault> {
    let Some(entry) = catalogue::find(name) else {
        return Err(Code::UnknownMethod.alone());
    };
    if !(entry.needs..=entry.takes()).contains(&params.len()) {
        return Err(Code::IncorrectParameters.alone());
    }
    Ok((entry.method, Params::new(params)))
}

/// The supervisor answered something else than it was asked.
pub(super) fn unexpected() -> Fault {
    Code::Failed.about("the supervisor gave an answer to another question")
}
