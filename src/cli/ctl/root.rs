//! The verbs of `ctl`, and where the supervisor is.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::session::Session;
use super::{
    CtlError, add, addresses, alarms, avail, clear, deps, diff, events, hold, incident, incidents,
    kill, logs, pid, reload, remove, request, reread, restart, rolling, rotate, shutdown, signal,
    start, status, stop, tail, tree, unhold, update, version, wait,
};
use crate::control::{Client, Place};

/// Command a running stack.
#[derive(Debug, Args)]
#[command(after_help = "\
Targets are `service`, `group:service`, `group:*`, `group` or `all`.
Exit codes beside those of each verb: 2 usage, 4 connection refused, 5 no permission, 7 no socket.")]
pub(crate) struct Ctl {
    #[command(flatten)]
    door: Door,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

/// Where the supervisor is.
#[derive(Debug, Args)]
pub(crate) struct Door {
    /// Unix socket, or address (`http://HOST:PORT`) of the supervisor.
    #[arg(
        short,
        long,
        global = true,
        value_name = "SOCKET|URL",
        env = "FATHOM_SOCKET",
        default_value = "fathom-data/fathom.sock"
    )]
    socket: String,
    /// File with the token that an address needs (the socket needs none).
    #[arg(long, global = true, value_name = "FILE", env = "FATHOM_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the state of services.
    Status(status::Status),
    /// Start services in dependency order.
    Start(start::Start),
    /// Stop services in reverse dependency order.
    Stop(stop::Stop),
    /// Stop services, then start them.
    Restart(restart::Restart),
    /// Restart services one after the other, each when the one before is ready.
    Rolling(rolling::Rolling),
    /// Kill services at once; they stay down.
    Kill(kill::Kill),
    /// Send a signal to child processes.
    Signal(signal::Signal),
    /// Do nothing about the health of services for some time.
    Hold(hold::Hold),
    /// Let the health of services count again.
    Unhold(unhold::Unhold),
    /// Show the end of one log.
    Tail(tail::Tail),
    /// Empty the logs of services.
    Clear(clear::Clear),
    /// Rotate the logs of services now.
    Rotate(rotate::Rotate),
    /// Show the ends of several logs, merged.
    Logs(logs::Logs),
    /// Show what happened, and what happens.
    Events(events::Events),
    /// List failures of services.
    Incidents(incidents::Incidents),
    /// Show all that is known of a failure.
    Incident(incident::Incident),
    /// List alarms; acknowledge, mute and resolve them.
    Alarms(alarms::Alarms),
    /// Wait until services reached a state.
    Wait(wait::Wait),
    /// Ask a running service itself.
    Request(request::Request),
    /// Show where services listen.
    Addresses(addresses::Addresses),
    /// Show the process id of the supervisor or of services.
    Pid(pid::Pid),
    /// Show the groups with their services.
    Tree(tree::Tree),
    /// Show what a service depends on and what depends on it.
    Deps(deps::Deps),
    /// Show the version of the running supervisor.
    Version(version::Version),
    /// Read the configuration anew and say what differs.
    Reread(reread::Reread),
    /// Show what the configuration files would change, key by key.
    Diff(diff::Diff),
    /// Put the configuration in force as the files say now.
    Update(update::Update),
    /// Add a group of the configuration that was read last.
    Add(add::Add),
    /// Drop a group of which nothing runs.
    Remove(remove::Remove),
    /// Show all services of the configuration that was read last.
    Avail(avail::Avail),
    /// Stop everything, then start with the configuration as it is now.
    Reload(reload::Reload),
    /// End the whole stack.
    Shutdown(shutdown::Shutdown),
}

impl Door {
    /// Returns where the supervisor is.
    pub(crate) fn place(&self) -> Place {
        Place::of(&self.socket)
    }

    /// Makes the client of this supervisor.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let token = match &self.token_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the token in {}", path.display()))?;
                Some(text.trim().to_owned())
            }
            None => None,
        };
        Ok(Client::new(self.place(), token)?)
    }
}

impl Ctl {
    /// Carries out the verb.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut session = Session::new(self.door.client()?, self.json);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let result = runtime.block_on(async {
            let result = self.verb.run(&mut session).await;
            if let Err(Some(name)) = result.as_ref().map_err(CtlError::unknown_name) {
                session.suggest(&[name.to_owned()]).await;
            }
            result
        });
        Ok(session.end(result))
    }
}

impl Verb {
    async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        match self {
            Self::Status(verb) => verb.run(session).await,
            Self::Start(verb) => verb.run(session).await,
            Self::Stop(verb) => verb.run(session).await,
            Self::Restart(verb) => verb.run(session).await,
            Self::Rolling(verb) => verb.run(session).await,
            Self::Kill(verb) => verb.run(session).await,
            Self::Signal(verb) => verb.run(session).await,
            Self::Hold(verb) => verb.run(session).await,
            Self::Unhold(verb) => verb.run(session).await,
            Self::Tail(verb) => verb.run(session).await,
            Self::Clear(verb) => verb.run(session).await,
            Self::Rotate(verb) => verb.run(session).await,
            Self::Logs(verb) => verb.run(session).await,
            Self::Events(verb) => verb.run(session).await,
            Self::Incidents(verb) => verb.run(session).await,
            Self::Incident(verb) => verb.run(session).await,
            Self::Alarms(verb) => verb.run(session).await,
            Self::Wait(verb) => verb.run(session).await,
            Self::Request(verb) => verb.run(session).await,
            Self::Addresses(verb) => verb.run(session).await,
            Self::Pid(verb) => verb.run(session).await,
            Self::Tree(verb) => verb.run(session).await,
            Self::Deps(verb) => verb.run(session).await,
            Self::Version(verb) => verb.run(session).await,
            Self::Reread(verb) => verb.run(session).await,
            Self::Diff(verb) => verb.run(session).await,
            Self::Update(verb) => verb.run(session).await,
            Self::Add(verb) => verb.run(session).await,
            Self::Remove(verb) => verb.run(session).await,
            Self::Avail(verb) => verb.run(session).await,
            Self::Reload(verb) => verb.run(session).await,
            Self::Shutdown(verb) => verb.run(session).await,
        }
    }
}
