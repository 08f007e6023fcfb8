//! The broker as a service: listens, starts a session per client, reports.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::{
    BoxFuture, Filter, FromConfig, Limits, Service, ServiceCx, ServiceError, Setup,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info, warn};

use super::bus;
use super::config::{LigierConfig, Subscribing};
use super::report::Reporter;
use super::session::{Broker, Rules, serve};
use crate::relay::{BusDoor, Hub, HubParts};

/// Pause after a connection could not be accepted, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the broker cannot work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LigierError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address.
        listen: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Messages of the bus no longer reach the clients.
    #[error("forwarding from the bus ended by a panic")]
    Forwarding(#[source] JoinError),
}

/// One start of the broker.
pub(crate) struct Ligier {
    config: LigierConfig,
}

impl FromConfig<LigierConfig> for Ligier {
    fn check(config: &LigierConfig, _setup: &Setup) -> Result<(), String> {
        config.check()
    }

    fn from_config(config: &LigierConfig, _setup: &Setup) -> Self {
        Self {
            config: config.clone(),
        }
    }
}

impl Service for Ligier {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move { self.work(cx).await.map_err(ServiceError::new) })
    }
}

impl Ligier {
    async fn work(self, mut cx: ServiceCx) -> Result<(), LigierError> {
        let (listener, address) = self.listen().await?;
        let broker = Arc::new(self.broker(&cx));
        let (mut sessions, mut forwarding) = (JoinSet::new(), JoinSet::new());
        if self.config.bus.subscribes() {
            let filter = Filter::all_frames().not_from(cx.name.clone());
            let events = cx.subscribe(filter, Limits::default());
            let forwarded = bus::forward(broker.clone(), events);
            forwarding.spawn(cx.counters.timed(forwarded).in_current_span());
        }
        cx.addresses.announce(&cx.name, address);
        info!(%address, "listening");
        cx.ready();
        let every = self.config.report_interval.duration();
        let mut reporter = Reporter::new(every, Instant::now());
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let result = loop {
            // All branches are cancel-safe: an accepted connection or a request is never lost.
            tokio::select! {
                biased;
                () = cx.stop.cancelled() => break Ok(()),
                () = broker.quit.cancelled() => break Ok(()),
                now = ticks.tick() => reporter.report(&broker, &cx, now),
                Some(request) = cx.inbox.recv() => broker.answer(request),
                Some(ended) = sessions.join_next() => note_panic(&cx, ended),
                Some(Err(panic)) = forwarding.join_next() => {
                    break Err(LigierError::Forwarding(panic));
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) if broker.hub.clients().len() < self.config.clients_max => {
                        let session = serve(broker.clone(), stream, peer);
                        sessions.spawn(cx.counters.timed(session).in_current_span());
                    }
                    Ok((stream, _)) => turn_away(stream, &cx),
                    Err(error) => {
                        error!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        };
        drop(listener);
        cx.addresses.withdraw(&cx.name);
        broker.stop.cancel();
        while sessions.join_next().await.is_some() {}
        forwarding.shutdown().await;
        result
    }

    async fn listen(&self) -> Result<(TcpListener, std::net::SocketAddr), LigierError> {
        let failed = |cause| LigierError::Listen {
            listen: self.config.listen.clone(),
            cause,
        };
        let listener = TcpListener::bind(&self.config.listen)
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok((listener, address))
    }

    fn broker(&self, cx: &ServiceCx) -> Broker {
        let config = &self.config;
        let door = BusDoor {
            bus: cx.bus.clone(),
            source: cx.name.clone(),
        };
        Broker {
            hub: Hub::new(HubParts {
                budget: Arc::new(config.budget()),
                bus: config.bus.publishes().then_some(door),
                counters: cx.counters.clone(),
                clock: cx.clock.clone(),
                forward_empty: config.forward_empty,
            }),
            rules: Rules {
                body_bytes_max: config.body_max.len(),
                replace: config.subscriptions == Subscribing::Replace,
                remote_control: config.remote_control,
                drain: config.drain.duration(),
            },
            stop: CancellationToken::new(),
            quit: CancellationToken::new(),
        }
    }
}

/// A panic ends one session only, but it is a bug.
fn note_panic(cx: &ServiceCx, ended: Result<(), JoinError>) {
    if let Err(panic) = ended {
        cx.counters.bad("session panicked");
        error!(%panic, "a client's session ended by a panic");
    }
}

fn turn_away(stream: TcpStream, cx: &ServiceCx) {
    cx.counters.bad("turned away");
    let peer = stream.peer_addr().ok();
    warn!(?peer, "too many clients, connection closed");
}
