//! Starts one incarnation and stays with it until nothing of it is left.

use std::sync::Arc;

use fathom_kernel::{Counters, Exit, Request};
use nix::sys::signal::Signal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::task::{self, Running};
use super::world::{Line, World};
use super::{News, Reporter, Urgency};
use crate::config::plan::{Body, ServicePlan};

/// Most signals waiting to be sent to one child; further ones are refused.
const SIGNALS_MAX: usize = 16;

/// The keeper's hold on a running incarnation.
pub struct Handle {
    urgency: watch::Sender<Urgency>,
    signals: mpsc::Sender<Signal>,
    inbox: Option<mpsc::Sender<Request>>,
    nurse: JoinHandle<()>,
}

impl Handle {
    /// Makes it end with this urgency, or a greater one that was asked for before.
    pub fn end(&self, urgency: Urgency) {
        self.urgency.send_if_modified(|now| {
            let grows = urgency > *now;
            *now = urgency.max(*now);
            grows
        });
    }

    /// Sends a signal to the process; `false` when there is none or too many wait.
    pub fn signal(&self, signal: Signal) -> bool {
        self.signals.try_send(signal).is_ok()
    }

    /// Asks the service; gives the question back when it cannot be asked.
    pub fn ask(&self, request: Request) -> Result<(), Request> {
        match &self.inbox {
            Some(inbox) => inbox.try_send(request).map_err(|error| error.into_inner()),
            None => Err(request),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.nurse.abort();
    }
}

/// Starts an incarnation of a service.
pub fn start(
    plan: &ServicePlan,
    world: &World,
    counters: &Arc<Counters>,
    reporter: Reporter,
) -> Handle {
    let (urgency, urgency_seen) = watch::channel(Urgency::None);
    let (signals, signals_seen) = mpsc::channel(SIGNALS_MAX);
    let mut inbox = None;
    let nurse = match &plan.body {
        Body::Kind(body) => {
            let (cx, line) = world.context(&plan.name, counters);
            inbox = Some(line.inbox.clone());
            drop(signals_seen);
            tokio::spawn(in_process(
                task::run(body, cx),
                line,
                urgency_seen,
                reporter,
            ))
        }
        Body::Command(_) => tokio::spawn(async move {
            reporter
                .tell(News::Ended(Exit::NotStarted("not yet".to_owned())))
                .await;
        }),
    };
    Handle {
        urgency,
        signals,
        inbox,
        nurse,
    }
}

/// Stays with a service of this process.
async fn in_process(
    running: std::io::Result<Running>,
    mut line: Line,
    mut urgency: watch::Receiver<Urgency>,
    reporter: Reporter,
) {
    let mut running = match running {
        Ok(running) => running,
        Err(error) => {
            let exit = Exit::NotStarted(error.to_string());
            return reporter.tell(News::Ended(exit)).await;
        }
    };
    reporter.tell(News::Spawned(0)).await;
    let mut ready = false;
    let exit = loop {
        // All branches are cancel-safe: each only looks at a state that stays.
        tokio::select! {
            biased;
            exit = running.ended() => break exit,
            Ok(()) = urgency.changed() => match *urgency.borrow() {
                Urgency::None => {}
                Urgency::Terminate => line.stop.cancel(),
                Urgency::Kill => running.abort(),
            },
            true = said_ready(&mut line.ready), if !ready => {
                ready = true;
                reporter.tell(News::Ready).await;
            }
        }
    };
    reporter.tell(News::Ended(exit)).await;
}

/// Waits until a service says that it is ready; `false` when it never will.
async fn said_ready(ready: &mut watch::Receiver<bool>) -> bool {
    ready.wait_for(|ready| *ready).await.is_ok()
}
