//! Runs a service inside this process; return, error, panic and abort become one [`Exit`].

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fathom_kernel::{Exit, Service, ServiceCx, ServiceError};
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::config::plan::{KindBody, Placement};

type Factory = Arc<dyn Fn() -> Box<dyn Service> + Send + Sync>;

/// A running service of this process.
pub(super) enum Running {
    /// On the shared pool.
    Pool(JoinHandle<Result<(), ServiceError>>),
    /// On a thread of its own.
    Thread {
        /// Takes its future away at its next await.
        abort: CancellationToken,
        /// Its end.
        end: oneshot::Receiver<Exit>,
    },
}

/// Starts the service of a kind; its records carry the span.
pub(super) fn run(body: &KindBody, cx: ServiceCx, span: Span) -> std::io::Result<Running> {
    let factory = body.factory.clone();
    match body.placement {
        Placement::Pool => {
            // Made inside the task, so that a panic while making it is caught as well.
            let run = async move { factory().run(cx).await };
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
        let run = AssertUnwindSafe(async move { factory().run(cx).await }).catch_unwind();
        let exit = runtime.block_on(
            async move {
                tokio::select! {
                    end = run => match end {
                        Ok(result) => exit_of(result),
                        Err(panic) => Exit::Panicked(panic_text(&*panic)),
                    },
                    () = aborted.cancelled() => Exit::Aborted,
                }
            }
            .instrument(span),
        );
        if tell.send(exit).is_err() {
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
    pub(super) async fn ended(&mut self) -> Exit {
        match self {
            Self::Pool(task) => match task.await {
                Ok(result) => exit_of(result),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => Exit::Panicked(panic_text(&*panic)),
                    Err(_cancelled) => Exit::Aborted,
                },
            },
            Self::Thread { end, .. } => end.await.unwrap_or(Exit::Aborted),
        }
    }
}

fn exit_of(result: Result<(), ServiceError>) -> Exit {
    match result {
        Ok(()) => Exit::Code(0),
        Err(error) => Exit::Failed(error.chain()),
    }
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

    use fathom_kernel::BoxFuture;

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
        tokio::time::timeout(Duration::from_secs(5), running.ended())
            .await
            .unwrap()
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
