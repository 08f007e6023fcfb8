//! What a keeper shows the supervisor of its service: a state to look at, not a stream of messages,
//! so that nothing is lost when the supervisor's mailbox is full.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix::Addr;
use fathom_kernel::{Exit, Timestamp, Want};

use super::messages::Look;
use super::phase::Phase;
use super::supervisor::Supervisor;
use crate::body::Autopsy;

/// The observed state of one service.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    /// Where in its life it is.
    pub phase: Phase,
    /// What the operator wants.
    pub want: Want,
    /// Counts the starts.
    pub incarnation: u64,
    /// Failures that led to a restart.
    pub restarts: u64,
    /// Failures in a row.
    pub streak: u32,
    /// When the state was entered.
    pub since: Timestamp,
    /// When the last incarnation was started.
    pub started: Option<Timestamp>,
    /// When the last incarnation that has ended did so.
    pub ended: Option<Timestamp>,
    /// How the last incarnation ended.
    pub last_exit: Option<Exit>,
    /// What is known of that end.
    pub autopsy: Autopsy,
    /// Number of the report on the last failure.
    pub incident: Option<u64>,
    /// What that one is about.
    pub incident_reason: Option<String>,
    /// Text of the last failure.
    pub trouble: Option<String>,
    /// Number of the last order taken.
    pub order: u64,
    /// Name under which the incarnation was started, while the service has another one.
    pub alias: Option<Arc<str>>,
    /// It is ready and all rules on its data flow are fulfilled; the supervisor finds that out.
    pub flowing: bool,
    /// It is ready and has nothing to do; the supervisor finds that out.
    pub idle: bool,
    /// It failed for good and the stack shall end with it.
    pub ends_stack: bool,
}

/// The place where a keeper shows the state of its service.
#[derive(Clone)]
pub(super) struct Window(Arc<Mutex<Observed>>);

impl Window {
    /// Makes the window of a service that was never started.
    pub(super) fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Observed {
            phase: Phase::Idle,
            want: Want::Down,
            incarnation: 0,
            restarts: 0,
            streak: 0,
            since: now,
            started: None,
            ended: None,
            last_exit: None,
            autopsy: Autopsy::default(),
            incident: None,
            incident_reason: None,
            trouble: None,
            order: 0,
            alias: None,
            flowing: false,
            idle: false,
            ends_stack: false,
        })))
    }

    /// Returns what is shown now.
    pub(super) fn look(&self) -> Observed {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Shows something else.
    pub(super) fn show(&self, observed: Observed) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = observed;
    }
}

/// Makes the supervisor look, once for any number of changes.
#[derive(Clone)]
pub(super) struct Bell {
    supervisor: Addr<Supervisor>,
    rung: Arc<AtomicBool>,
}

impl Bell {
    /// Makes the bell of a supervisor.
    pub(super) fn new(supervisor: Addr<Supervisor>) -> Self {
        Self {
            supervisor,
            rung: Arc::default(),
        }
    }

    /// Rings, unless it was rung since the supervisor last looked. A full mailbox does no harm: the
    /// supervisor asks for the bell after every message it takes.
    pub(super) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel)
            && let Err(error) = self.supervisor.try_send(Look)
        {
            tracing::debug!(%error, "the supervisor looks a little later");
        }
    }

    /// Tells whether it was rung since the supervisor last looked.
    pub(super) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    /// Says that the supervisor is about to look.
    pub(super) fn answered(&self) {
        self.rung.store(false, Ordering::Release);
    }
}
