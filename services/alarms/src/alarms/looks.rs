//! What the engine asks beside its loop: the state of the stack and of the disks, and what services
//! say of their conditions.

use std::path::PathBuf;
use std::time::Duration;

use fathom_kernel::{
    Caller, Clock, Command, Conditions, ControlHandle, Reply, ServiceStatus, StackStatus,
};
use tokio::time::timeout;

use super::reconcile::Answered;
use super::watch::{self, Disk};

/// Time that the supervisor has to tell the state of the services.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What was seen of the stack.
pub(super) struct Look {
    /// `None` when the supervisor does not answer.
    pub(super) status: Option<StackStatus>,
    pub(super) disks: Vec<Disk>,
    /// Folders whose disk could not be looked at.
    pub(super) unknown: Vec<PathBuf>,
}

/// Looks at the stack, on behalf of a service.
pub(super) async fn look(control: ControlHandle, caller: Caller, folders: Vec<PathBuf>) -> Look {
    let status = Command::Status {
        targets: Vec::new(),
    };
    let status = match timeout(ANSWER_MAX, control.ask(status, caller)).await {
        Ok(Ok(Reply::Status(status))) => Some(status),
        Ok(Ok(_) | Err(_)) | Err(_) => None,
    };
    let asked = folders.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let (mut disks, mut unknown) = (Vec::new(), Vec::new());
        for folder in folders {
            match watch::look_at_disk(&folder) {
                Ok(disk) => disks.push(disk),
                Err(_) => unknown.push(folder),
            }
        }
        (disks, unknown)
    });
    let (disks, unknown) = looked.await.unwrap_or((Vec::new(), asked));
    Look {
        status,
        disks,
        unknown,
    }
}

/// Asks services which of their conditions hold; those that do not know the question are left out.
pub(super) async fn conditions(
    control: ControlHandle,
    caller: Caller,
    clock: Clock,
    services: Vec<ServiceStatus>,
) -> Vec<Answered> {
    let mut answers = Vec::new();
    for service in services {
        let asked = clock.now();
        let said = control.conditions(&service.name, caller.clone()).await;
        // Kinds that are no monitors do not know it; who is late is asked again in the next round.
        let Conditions::Said(conditions) = said else {
            continue;
        };
        answers.push(Answered {
            service: service.name,
            asked,
            conditions,
            started: service.started,
        });
    }
    answers
}
