//! The service: binds, announces its address, serves, and ends with all its tasks.

use std::sync::Arc;

use fathom_kernel::{BoxFuture, Caller, FromConfig, Service, ServiceCx, ServiceError, Setup};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::access::Access;
use crate::api::ask::ASKED_MAX;
use crate::api::events::FOLDER;
use crate::api::log_files::LogFiles;
use crate::app::{App, router};
use crate::assets::Assets;
use crate::conditions::Asker;
use crate::feed;
use crate::hub::Hub;
use crate::messages::Messages;
use crate::options::WebServerConfig;
use crate::requests::answer_until_stop;
use crate::serve::serve;
use crate::shelf::Shelf;

/// One start of the web server.
pub struct WebServer {
    config: WebServerConfig,
}

#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("cannot listen on {address}")]
    Listen {
        address: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot read the accounts: {0}")]
    Accounts(argon2::password_hash::Error),
}

impl FromConfig<WebServerConfig> for WebServer {
    fn check(config: &WebServerConfig, _setup: &Setup) -> Result<(), String> {
        config.problem().map_or(Ok(()), Err)
    }

    fn from_config(config: &WebServerConfig, _setup: &Setup) -> Self {
        Self {
            config: config.clone(),
        }
    }
}

impl Service for WebServer {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move { self.work(cx).await.map_err(ServiceError::new) })
    }
}

impl WebServer {
    async fn work(self, mut cx: ServiceCx) -> Result<(), StartError> {
        let events = cx.subscribe(feed::filter(), feed::limits());
        let access = Access::new(&self.config).map_err(StartError::Accounts)?;
        if self.config.password.is_some() {
            tracing::warn!("`password` stands in plain text; use `password_hash`");
        }
        let address = self.config.listen;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| StartError::Listen { address, source })?;
        let bound = listener.local_addr().unwrap_or(address);
        let connections_max = self.config.connections_max;
        let app = Arc::new(self.app(&cx, access));
        cx.addresses.announce(&cx.name, bound);

        // Dropping the set on any way out ends the tasks.
        let mut tasks = JoinSet::new();
        let halt = CancellationToken::new();
        tasks.spawn(
            cx.counters
                .timed(feed::feed(app.clone(), events, halt.clone()))
                .in_current_span(),
        );
        tasks.spawn(
            cx.counters
                .timed(feed::feed_status(app.clone(), halt.clone()))
                .in_current_span(),
        );
        let asker = Asker {
            control: cx.control.clone(),
            caller: Caller::new(&*cx.name, "service"),
            own: cx.name.to_string(),
        };
        tasks.spawn(
            cx.counters
                .timed(learn_until_stop(asker, app.clone(), halt.clone()))
                .in_current_span(),
        );
        let serving = serve(
            listener,
            router(app.clone()),
            connections_max,
            cx.counters.clone(),
            halt.clone(),
        );
        tasks.spawn(serving.in_current_span());
        tracing::info!(%bound, "serving");
        cx.ready();
        answer_until_stop(&mut cx.inbox, &cx.stop, &app).await;

        cx.addresses.withdraw(&cx.name);
        app.hub.close();
        app.messages.close();
        halt.cancel();
        while tasks.join_next().await.is_some() {}
        Ok(())
    }

    fn app(self, cx: &ServiceCx, access: Access) -> App {
        let config = self.config;
        App {
            service: cx.name.clone(),
            boot: format!("{:x}", cx.clock.now().as_microsecond()),
            board: cx.board.clone(),
            control: cx.control.clone(),
            clock: cx.clock.clone(),
            access,
            listens_on_loopback: config.listen.ip().is_loopback(),
            hosts: config.hosts,
            pages: config.pages,
            hub: Arc::new(Hub::new(cx.counters.clone(), config.live_max)),
            messages: Messages::new(cx.counters.clone(), config.live_max),
            shelf: Shelf::new(config.cache.len(), cx.counters.clone()),
            questions: Semaphore::new(ASKED_MAX),
            assets: Assets::load(),
            events: cx.data_dir.join("files").join(FOLDER),
            log_files: LogFiles {
                folder: cx.data_dir.join(config.log_directory),
                prefix: config.log_prefix,
            },
        }
    }
}

/// Learns what held before the server listened on the bus.
async fn learn_until_stop(asker: Asker, app: Arc<App>, stop: CancellationToken) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = asker.learn(&app.hub) => {}
    }
}
