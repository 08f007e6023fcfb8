//! Runs a child process: own group, captured output, signal, grace, kill. It has ended only when
//! the process is reaped, its group is empty, no marked process is left and its output is written.

use std::sync::PoisonError;
use std::time::Duration;

use fathom_kernel::Exit;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::autopsy::Autopsy;
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
}

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
        orders,
        reporter,
    };
    let (exit, autopsy) = attendance.until_exit(launched.probe.ready()).await;
    attendance.until_empty(&exit).await;
    launched.registration.went();
    drop(launched.pass);
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
        loop {
            let urgency = *self.orders.urgency.borrow_and_update();
            match self.remains.of(&self.whose).await {
                Left::Nothing => return,
                Left::Group => {}
                Left::Marked(marked) => {
                    let marker = &self.whose.marker;
                    tracing::warn!(marker, marked, ?urgency, "killed processes left behind");
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

    fn end(&self) {
        let (signal, group) = {
            let stop = self.orders.stop.borrow();
            (stop.signal, stop.group)
        };
        match *self.orders.urgency.borrow() {
            Urgency::None => {}
            Urgency::Terminate if group => strays::signal_group(self.group, signal),
            Urgency::Terminate => self.process.signal(signal),
            Urgency::Kill => strays::signal_group(self.group, Signal::SIGKILL),
        }
    }
}
