//! What signals mean for a stack: SIGTERM and SIGINT end it, SIGHUP puts the configuration in force as
//! the files say now, SIGUSR2 opens the logs anew.

use std::io::IsTerminal as _;

use fathom_kernel::{
    Answer, Caller, Command, ControlError, ControlHandle, Expected, Outcome, Reply, Verdict,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::logs::Logs;

/// The signals that a stack listens to.
pub(crate) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
    usr2: Signal,
    /// We were started on a terminal; its end sends SIGHUP as well.
    on_terminal: bool,
    /// The update that SIGHUP asked for, and whether another one follows it.
    update: Option<JoinHandle<()>>,
    again: bool,
}

/// What a signal asks for.
enum Wish {
    End(&'static str),
    Update,
    Reopen,
    /// The update that was asked for is done.
    Updated,
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
            usr2: signal(SignalKind::user_defined2())?,
            on_terminal: std::io::stdout().is_terminal(),
            update: None,
            again: false,
        })
    }

    /// Does what signals say, until it is aborted. The first signal to end does so in order, the
    /// second one at once.
    pub(crate) async fn obey(mut self, control: ControlHandle, logs: Logs) {
        let mut now = false;
        loop {
            match self.next().await {
                Wish::End(name) => {
                    let caller = Caller::new(name, "signal");
                    if let Err(error) = control.ask(Command::Shutdown { now }, caller).await {
                        info!(%error, "the stack ends already");
                    }
                    now = true;
                }
                // One after the other, and any number that come meanwhile are one.
                Wish::Update if self.update.is_some() => self.again = true,
                Wish::Update => self.update = Some(tokio::spawn(update(control.clone()))),
                Wish::Updated => {
                    let again = std::mem::take(&mut self.again);
                    self.update = again.then(|| tokio::spawn(update(control.clone())));
                }
                Wish::Reopen => {
                    info!("logs are opened anew");
                    logs.reopen();
                }
            }
        }
    }

    async fn next(&mut self) -> Wish {
        let updated = async {
            match &mut self.update {
                // It logs its own end; a panic inside was recorded.
                Some(update) => drop(update.await),
                None => std::future::pending().await,
            }
        };
        // All branches are cancel-safe: signals stay pending, the task goes on by itself.
        tokio::select! {
            _ = self.term.recv() => Wish::End("SIGTERM"),
            _ = self.int.recv() => Wish::End("SIGINT"),
            _ = self.hup.recv() => match self.on_terminal && !std::io::stdout().is_terminal() {
                // Not sent by somebody: the terminal itself is gone.
                true => Wish::End("SIGHUP"),
                false => Wish::Update,
            },
            _ = self.usr2.recv() => Wish::Reopen,
            () = updated => Wish::Updated,
        }
    }
}

/// Puts the configuration in force as the files say now; what becomes of it is in the log.
async fn update(control: ControlHandle) {
    let command = Command::Update {
        targets: Vec::new(),
        expected: Expected::default(),
    };
    tell(control.ask(command, Caller::new("SIGHUP", "signal")).await);
}

fn tell(answer: Answer) {
    match answer {
        Ok(Reply::Done(outcomes)) => outcomes.iter().for_each(tell_one),
        Ok(_) => {}
        Err(ControlError::BadConfig(faults)) => {
            for fault in faults {
                error!(%fault, "the configuration cannot be used; nothing was changed");
            }
        }
        Err(error) => warn!(%error, "the configuration was not put in force"),
    }
}

fn tell_one(outcome: &Outcome) {
    let (service, message) = (&outcome.name, &outcome.message);
    match outcome.result {
        Verdict::Started
        | Verdict::AlreadyStarted
        | Verdict::Added
        | Verdict::Removed
        | Verdict::Updated => info!(service, result = outcome.result.word(), "updated"),
        _ => warn!(
            service,
            result = outcome.result.word(),
            message,
            "update failed for a service"
        ),
    }
}
