//! Starts one incarnation and stays with it until nothing of it is left.

use std::sync::Arc;

use fathom_kernel::{Counters, Exit, Request, ServiceCx};
use nix::sys::signal::Signal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::autopsy::Autopsy;
use super::child::{self, Orders};
use super::errand::Surroundings;
use super::launch::Launch;
use super::probe::Probe;
use super::stdin;
use super::task::{self, Running};
use super::world::World;
use super::{News, Reporter, Urgency};
use crate::config::plan::{Body, Ready, Run, ServicePlan, StopPlan};

/// Most signals waiting to be sent to one child; further ones are refused.
const SIGNALS_MAX: usize = 16;

/// The keeper's hold on a running incarnation.
pub struct Handle {
    urgency: watch::Sender<Urgency>,
    signals: mpsc::Sender<Signal>,
    stop: watch::Sender<StopPlan>,
    inbox: Option<mpsc::Sender<Request>>,
    /// To the standard input of a program.
    texts: Option<mpsc::Sender<Vec<u8>>>,
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

    /// Takes over how it is ended from a new plan; the rest of it is for the next incarnation.
    pub fn amend(&self, plan: &ServicePlan) {
        self.stop.send_replace(plan.stop.clone());
    }

    /// Sends a signal to the process; `false` when there is none or too many wait.
    pub fn signal(&self, signal: Signal) -> bool {
        self.signals.try_send(signal).is_ok()
    }

    /// Writes to the standard input of a program; gives the text back when it has none, or has
    /// closed it, or does not read it.
    pub fn feed(&self, text: Vec<u8>) -> Result<(), Vec<u8>> {
        match &self.texts {
            Some(texts) => texts.try_send(text).map_err(|error| error.into_inner()),
            None => Err(text),
        }
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
    plan: &Arc<ServicePlan>,
    world: &World,
    counters: &Arc<Counters>,
    (incarnation, news): (u64, mpsc::Sender<(u64, News)>),
) -> Handle {
    let (urgency, urgency_seen) = watch::channel(Urgency::None);
    let (stop, stop_seen) = watch::channel(plan.stop.clone());
    let (signals, signals_seen) = mpsc::channel(SIGNALS_MAX);
    let reporter = Reporter::new(incarnation, news);
    let (mut inbox, mut texts) = (None, None);
    let nurse = match &plan.body {
        Body::Kind(body) if body.run == Run::Actor => {
            let (cx, line) = world.context(&plan.name, counters);
            inbox = Some(line.inbox.clone());
            let probe = probe_of(plan, (world, incarnation), counters, line.ready);
            let patient = Patient {
                running: task::run(body, cx, world.records.span(&plan.name, incarnation)),
                stop: line.stop,
                urgency: urgency_seen,
                probe,
            };
            tokio::spawn(in_process(patient, reporter))
        }
        Body::Kind(_) | Body::Command(_) => {
            let (inbox_to, questions) = mpsc::channel(ServiceCx::INBOX_MAX);
            if matches!(plan.body, Body::Kind(_)) {
                inbox = Some(inbox_to);
            }
            let (texts_to, texts_seen) = mpsc::channel(stdin::WAITING_MAX);
            if matches!(plan.body, Body::Command(_)) {
                texts = Some(texts_to.clone());
            }
            let (plan, world, counters) = (plan.clone(), world.clone(), counters.clone());
            let orders = Orders {
                urgency: urgency_seen,
                signals: signals_seen,
                stop: stop_seen,
                texts: texts_to,
            };
            tokio::spawn(async move {
                let launch = Launch {
                    plan: &plan,
                    world: &world,
                    counters: &counters,
                    incarnation,
                };
                let launched = match (world.adoptable.take(&plan.name), &plan.body) {
                    (Some(entry), _) => launch.adopt(entry),
                    (None, Body::Command(body)) => launch.program(body, texts_seen).await,
                    (None, Body::Kind(body)) => launch.host(body, questions).await,
                };
                child::attend(launched, orders, reporter).await;
            })
        }
    };
    Handle {
        urgency,
        signals,
        stop,
        inbox,
        texts,
        nurse,
    }
}

/// A service of this process and what watches over it.
struct Patient {
    running: std::io::Result<Running>,
    stop: CancellationToken,
    urgency: watch::Receiver<Urgency>,
    probe: Probe,
}

/// Makes the probe of a service of this process.
fn probe_of(
    plan: &ServicePlan,
    (world, incarnation): (&World, u64),
    counters: &Arc<Counters>,
    said: watch::Receiver<bool>,
) -> Probe {
    match &plan.ready {
        Ready::Spawn | Ready::Secs(_) => Probe::None,
        // It has neither output nor descriptors of its own: it says so itself.
        Ready::Notify | Ready::Fd(_) | Ready::Log(_) => Probe::Told(said),
        Ready::Tcp(address) => Probe::Tcp(address.clone()),
        Ready::Http(url) => Probe::Http(url.clone()),
        Ready::Exec(argv) => match Surroundings::of(plan, world, incarnation) {
            Ok(around) => Probe::Exec(argv.clone(), around),
            // Only a program has a user or a folder of its own that may be missing.
            Err(_) => Probe::None,
        },
        Ready::File(path) => Probe::file(world.data_dir.join(path)),
        // The supervisor sees it by the rules.
        Ready::Flow if !plan.flow.is_empty() => Probe::None,
        Ready::Flow => Probe::flow(counters),
    }
}

/// Stays with a service of this process.
async fn in_process(patient: Patient, reporter: Reporter) {
    let mut urgency = patient.urgency;
    let mut running = match patient.running {
        Ok(running) => running,
        Err(error) => {
            let exit = Exit::NotStarted(error.to_string());
            let autopsy = Autopsy::of_error(&error);
            return reporter.tell(News::Ended(exit, autopsy)).await;
        }
    };
    reporter.tell(News::Spawned(0)).await;
    let mut ready = Box::pin(patient.probe.ready());
    let mut is_ready = false;
    let (exit, autopsy) = loop {
        // All branches are cancel-safe: a state that stays, or a future that is polled on.
        tokio::select! {
            biased;
            end = running.ended() => break end,
            Ok(()) = urgency.changed() => match *urgency.borrow() {
                Urgency::None => {}
                Urgency::Terminate => patient.stop.cancel(),
                Urgency::Kill => running.abort(),
            },
            () = &mut ready, if !is_ready => {
                is_ready = true;
                reporter.tell(News::Ready).await;
            }
        }
    };
    reporter.tell(News::Ended(exit, autopsy)).await;
}
