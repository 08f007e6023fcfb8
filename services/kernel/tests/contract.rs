//! The trial of the contract finds what is not kept. Alone in its file: it counts the open files of
//! its process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use fathom_kernel::contract::{Subject, Went};
use fathom_kernel::{Addresses, BoxFuture, Service, ServiceCx, ServiceError};

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    NeverReady,
    FailsAtStart,
    EndsEarly,
    DoesNotStop,
    LeavesTask,
    LeavesFile,
    PanicsAtReset,
}

struct Faulty(Fault);

impl Service for Faulty {
    fn run(self: Box<Self>, mut cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            match self.0 {
                Fault::NeverReady => std::future::pending::<()>().await,
                Fault::FailsAtStart => return Err(ServiceError::new("no light")),
                Fault::EndsEarly => return Ok(()),
                Fault::LeavesTask => drop(tokio::spawn(std::future::pending::<()>())),
                Fault::LeavesFile => {
                    std::mem::forget(std::fs::File::open("/proc/self/status"));
                }
                Fault::None | Fault::DoesNotStop | Fault::PanicsAtReset => {}
            }
            cx.ready();
            loop {
                tokio::select! {
                    biased;
                    () = cx.stop.cancelled(), if self.0 != Fault::DoesNotStop => return Ok(()),
                    Some(_) = cx.inbox.recv() => {
                        assert!(self.0 != Fault::PanicsAtReset, "no reset");
                    }
                }
            }
        })
    }
}

fn try_out(fault: Fault) -> Result<Went, String> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let subject = Subject {
        name: "faulty".to_owned(),
        factory: Box::new(move || Box::new(Faulty(fault))),
        monitor: None,
        data_dir: std::env::temp_dir(),
        addresses: Addresses::default(),
        start_max: Duration::from_millis(200),
        grace: Duration::from_millis(200),
    };
    runtime.block_on(subject.try_out())
}

#[test]
fn what_is_not_kept_is_told() {
    assert_eq!(try_out(Fault::None), Ok(Went::Ready));
    let failed = Went::Failed("no light".to_owned());
    assert_eq!(try_out(Fault::FailsAtStart), Ok(failed));
    for (fault, expected) in [
        (Fault::NeverReady, "neither ready nor failed"),
        (Fault::EndsEarly, "ended well before"),
        (Fault::DoesNotStop, "did not stop within its grace"),
        (Fault::LeavesTask, "tasks after 3 restarts"),
        (Fault::LeavesFile, "open files after 3 restarts"),
        (Fault::PanicsAtReset, "panicked"),
    ] {
        let why = try_out(fault).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
}
