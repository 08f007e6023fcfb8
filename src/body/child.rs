//! Runs a child process: own group, captured output, signal, grace, kill. It has ended only when
//! the process is reaped, its group is empty, no marked process is left and its output is written.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fathom_kernel::Exit;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::autopsy::Autopsy;
use super::cgroup::Cgroup;
use super::errand::Surroundings;
use super::launch::Launched;
use super::process::Process;
use super::remains::{Left, Remains, Whose};
use super::report::{News, Reporter, Urgency};
use super::strays;
use crate::config::plan::StopPlan;

/// Longest wait for output after the end of a child; a stray may hold the pipe open.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// First and longest time between two looks at a group that outlives its leader.
const LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// How the keeper speaks to a child.
pub(super) struct Orders {
    pub(super) urgency: watch::Receiver<Urgency>,
    pub(super) signals: mpsc::Receiver<Signal>,
    /// How it is asked to end; may change while it runs.
    pub(super) stop: watch::Receiver<StopPlan>,
    /// To its standard input.
    pub(super) texts: mpsc::Sender<Vec<u8>>,
}

/// The program that makes the child end; tells whether it did its work.
type Farewell = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Stays with a child until nothing of it is left.
pub(super) async fn attend(
    launched: std::io::Result<Launched>,
    orders: Orders,
    reporter: Reporter,
) {
    let launched = match launched {
        Ok(launched) => launched,
        Err(error) => {
            let exit = Exit::NotStarted(error.to_string());
            let autopsy = Autopsy::of_error(&error);
            return reporter.tell(News::Ended(exit, autopsy)).await;
        }
    };
    let group = launched.process.pid();
    reporter
        .tell(News::Spawned(group.as_raw().unsigned_abs()))
        .await;
    // Its socket stays as long as it may say something.
    let _notices = launched.notices;
    let mut outputs = launched.outputs;
    let (whose, remains) = launched.registration.remains();
    let mut attendance = Attendance {
        process: launched.process,
        group,
        whose,
        remains,
        cgroup: launched.cgroup,
        surroundings: launched.surroundings,
        farewell: None,
        orders,
        reporter,
    };
    let (exit, mut autopsy) = attendance.until_exit(launched.probe.ready()).await;
    attendance.until_empty(&exit).await;
    launched.registration.went();
    drop(launched.pass);
    if let Some(cgroup) = attendance.cgroup.take() {
        cgroup.look_at(&mut autopsy);
    }
    // Last words come before the news of the end.
    let drained = async {
        for output in &mut outputs {
            while output.changed().await.is_ok() {}
        }
    };
    if timeout(DRAIN_MAX, drained).await.is_err() {
        tracing::warn!(
            marker = attendance.whose.marker,
            "somebody keeps the output open"
        );
    }
    let said = launched
        .exit
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    // A hosted service tells more than its code; a signal tells more than a service that meant to
    // end otherwise.
    let exit = match (&exit, said) {
        (Exit::Code(code), Some(said)) if said.code() == *code => said,
        _ => exit,
    };
    attendance.reporter.tell(News::Ended(exit, autopsy)).await;
}

struct Attendance {
    process: Process,
    group: Pid,
    whose: Whose,
    remains: Remains,
    cgroup: Option<Cgroup>,
    surroundings: Arc<Surroundings>,
    /// What makes it end in place of the signal, while it runs.
    farewell: Option<Farewell>,
    orders: Orders,
    reporter: Reporter,
}

impl Attendance {
    /// Waits for the exit of the process, carrying out orders meanwhile.
    async fn until_exit(&mut self, ready: impl Future<Output = ()>) -> (Exit, Autopsy) {
        let mut ready = Box::pin(ready);
        let mut is_ready = false;
        loop {
            // All branches are cancel-safe; the readiness probe is polled on, not made anew.
            tokio::select! {
                biased;
                end = self.process.ended() => return end,
                Ok(()) = self.orders.urgency.changed() => self.end(),
                made_it = ended(&mut self.farewell), if self.farewell.is_some() => {
                    self.farewell = None;
                    if !made_it {
                        self.send_stop_signal();
                    }
                }
                Some(signal) = self.orders.signals.recv() => self.process.signal(signal),
                () = &mut ready, if !is_ready => {
                    is_ready = true;
                    self.reporter.tell(News::Ready).await;
                }
            }
        }
    }

    /// Waits until the group is empty and no marked process is left.
    async fn until_empty(&mut self, exit: &Exit) {
        let (mut pause, longest) = LOOKS;
        let mut told = false;
        let mut asked = false;
        loop {
            let urgency = *self.orders.urgency.borrow_and_update();
            let blow = match urgency {
                // Nobody stays behind a crash, and those who were asked have had their time.
                Urgency::None | Urgency::Kill => Some(Signal::SIGKILL),
                Urgency::Terminate if asked => None,
                Urgency::Terminate => self.signal_to_strays(),
            };
            match self.remains.of(&self.whose, blow).await {
                Left::Nothing => match &self.cgroup {
                    // Whatever hid its mark and left its group is still in there.
                    Some(cgroup) if cgroup.is_populated() => cgroup.kill(),
                    Some(_) | None => return,
                },
                Left::Group => {}
                Left::Marked(marked) => {
                    asked |= urgency == Urgency::Terminate;
                    if let Some(signal) = blow {
                        let marker = &self.whose.marker;
                        tracing::warn!(marker, marked, %signal, "signalled processes left behind");
                    }
                }
            }
            if urgency == Urgency::None && !told {
                told = true;
                self.reporter.tell(News::LeaderExited(exit.clone())).await;
            }
            // Looks again at once when the order comes to kill.
            timeout(pause, self.orders.urgency.changed()).await.ok();
            if *self.orders.urgency.borrow() == Urgency::Kill {
                strays::signal_group(self.group, Signal::SIGKILL);
            }
            pause = (pause * 2).min(longest);
        }
    }

    fn end(&mut self) {
        let urgency = *self.orders.urgency.borrow();
        match urgency {
            Urgency::None => {}
            Urgency::Terminate => self.ask_to_end(),
            Urgency::Kill => {
                strays::signal_group(self.group, Signal::SIGKILL);
                if let Some(cgroup) = &self.cgroup {
                    cgroup.kill();
                }
            }
        }
    }

    /// Asks it to end in the way its plan says; when that fails, by the signal.
    fn ask_to_end(&mut self) {
        let stop = self.orders.stop.borrow().clone();
        if let Some(text) = stop.stdin {
            match self.orders.texts.try_send(text.into_bytes()) {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "it does not read its standard input"),
            }
        } else if let Some(words) = stop.command {
            let farewell = farewell(self.surroundings.clone(), words, self.group);
            self.farewell = Some(Box::pin(farewell));
            return;
        }
        self.send_stop_signal();
    }

    /// Who left the group is asked to end as the group is.
    fn signal_to_strays(&self) -> Option<Signal> {
        let stop = self.orders.stop.borrow();
        stop.group.then_some(stop.signal)
    }

    fn send_stop_signal(&self) {
        let stop = self.orders.stop.borrow();
        match stop.group {
            true => strays::signal_group(self.group, stop.signal),
            false => self.process.signal(stop.signal),
        }
    }
}

/// Runs the program that makes a process end; tells whether it did its work.
async fn farewell(around: Arc<Surroundings>, words: Vec<String>, process: Pid) -> bool {
    match around
        .run(&words, &[("MAINPID", process.to_string())])
        .await
    {
        Ok(Exit::Code(0)) => return true,
        Ok(exit) => tracing::warn!(%exit, "the stop command has failed"),
        Err(error) => tracing::warn!(%error, "the stop command cannot be run"),
    }
    false
}

async fn ended(farewell: &mut Option<Farewell>) -> bool {
    match farewell {
        Some(farewell) => farewell.await,
        None => std::future::pending().await,
    }
}
