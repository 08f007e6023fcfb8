//! Runs a service inside this process; return, error, panic and abort become one [`Exit`].

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fathom_kernel::{Exit, Service, ServiceCx};
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::autopsy::Autopsy;
use crate::config::plan::{KindBody, Placement};
use crate::telemetry::last_backtrace;

type Factory = Arc<dyn Fn() -> Box<dyn Service> + Send + Sync>;

/// A running service of this process.
pub(super) enum Running {
    /// On the shared pool.
    Pool(JoinHandle<End>),
    /// On a thread of its own.
    Thread {
        /// Takes its future away at its next await.
        abort: CancellationToken,
        /// Its end.
        end: oneshot::Receiver<End>,
    },
}

/// How a task ended, and what is known beside.
type End = (Exit, Autopsy);

/// Starts the service of a kind; its records carry the span.
pub(super) fn run(body: &KindBody, cx: ServiceCx, span: Span) -> std::io::Result<Running> {
    let factory = body.factory.clone();
    match body.placement {
        Placement::Pool => {
            // Made inside the task, so that a panic while making it is caught as well.
            let run = until_end(factory, cx);
            Ok(Running::Pool(tokio::spawn(run.instrument(span))))
        }
        Placement::Thread => run_on_thread(factory, cx, span),
    }
}

fn run_on_thread(factory: Factory, cx: ServiceCx, span: Span) -> std::io::Result<Running> {
    let (tell, end) = oneshot::channel();
    let abort = CancellationToken::new();
    let aborted = abort.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // The kernel keeps 15 bytes of a thread's name; the end of ours tells more than its group.
    let name = cx.name.rsplit(':').next().unwrap_or("service").to_owned();
    std::thread::Builder::new().name(name).spawn(move || {
        let end = runtime.block_on(
            async move {
                tokio::select! {
                    end = until_end(factory, cx) => end,
                    () = aborted.cancelled() => (Exit::Aborted, Autopsy::default()),
                }
            }
            .instrument(span),
        );
        if tell.send(end).is_err() {
            tracing::debug!("nobody keeps this service any more");
        }
    })?;
    Ok(Running::Thread { abort, end })
}

impl Running {
    /// Ends it by force, at its next await.
    pub(super) fn abort(&self) {
        match self {
            Self::Pool(task) => task.abort(),
            Self::Thread { abort, .. } => abort.cancel(),
        }
    }

    /// Waits for its end. Cancel-safe; not to be called again after it returned.
    pub(super) async fn ended(&mut self) -> End {
        match self {
            Self::Pool(task) => task.await.unwrap_or_else(|error| {
                let exit = match error.try_into_panic() {
                    // While its parts were dropped.
                    Ok(panic) => Exit::Panicked(panic_text(&*panic)),
                    Err(_cancelled) => Exit::Aborted,
                };
                (exit, Autopsy::default())
            }),
            Self::Thread { end, .. } => {
                let aborted = || (Exit::Aborted, Autopsy::default());
                end.await.unwrap_or_else(|_| aborted())
            }
        }
    }
}

/// Runs a service to its end; a panic is caught where it happens, with its backtrace.
async fn until_end(factory: Factory, cx: ServiceCx) -> End {
    let counters = cx.counters.clone();
    let run = AssertUnwindSafe(counters.timed(async move { factory().run(cx).await }));
    let end = run.catch_unwind().await;
    let mut autopsy = Autopsy::default();
    let exit = match end {
        Ok(Ok(())) => Exit::Code(0),
        Ok(Err(error)) => Exit::Failed(error.chain()),
        Err(panic) => {
            // Caught in the same poll, so this is still the thread that panicked.
            autopsy.backtrace = last_backtrace();
            Exit::Panicked(panic_text(&*panic))
        }
    };
    (exit, autopsy)
}

/// Returns the text of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a value that is no text".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fathom_kernel::{BoxFuture, ServiceError};

    use super::*;

    /// Ends in the way its option says.
    struct Ends(End);

    #[derive(Debug, Clone, Copy)]
    enum End {
        Well,
        Badly,
        Panic,
        Never,
    }

    impl Service for Ends {
        fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
            Box::pin(async move {
                match self.0 {
                    End::Well => Ok(()),
                    End::Badly => Err(ServiceError::new("no light")),
                    End::Panic => panic!("boom {}", cx.name),
                    End::Never => std::future::pending().await,
                }
            })
        }
    }

    async fn exit(end: End, placement: Placement) -> Exit {
        let (cx, _outside) = ServiceCx::alone("t", "unused");
        let body = KindBody {
            kind: crate::registry::kinds().next().unwrap(),
            factory: Arc::new(move || Box::new(Ends(end))),
            options: String::new(),
            run: crate::config::plan::Run::Actor,
            placement,
        };
        let mut running = run(&body, cx, Span::none()).unwrap();
        if matches!(end, End::Never) {
            running.abort();
        }
        let end = tokio::time::timeout(Duration::from_secs(5), running.ended());
        end.await.unwrap().0
    }

    #[tokio::test]
    async fn every_end_has_its_exit_wherever_it_runs() {
        for placement in [Placement::Pool, Placement::Thread] {
            assert_eq!(exit(End::Well, placement).await, Exit::Code(0));
            let failed = Exit::Failed("no light".to_owned());
            assert_eq!(exit(End::Badly, placement).await, failed);
            let panicked = Exit::Panicked("boom t".to_owned());
            assert_eq!(exit(End::Panic, placement).await, panicked);
            assert_eq!(exit(End::Never, placement).await, Exit::Aborted);
        }
    }
}
