//! Takes messages from several brokers to several others, to the bus, or both.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fathom_formats::controlhost::Subscriptions;
use fathom_kernel::{Addresses, ServiceCx};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{Instrument as _, info};

use super::backoff::Backoff;
use super::endpoint::Endpoint;
use super::report::Reporter;
use super::{inward, outward};
use crate::relay::{Budget, BusDoor, Client, Closing, Credit, Flow, Hub, HubParts};

/// How long waiting messages are still sent when the mirror ends.
const DRAIN: Duration = Duration::from_millis(500);

/// What a mirror does; both kinds make one from their options.
pub(crate) struct Plan {
    pub(crate) sources: Vec<Endpoint>,
    /// Targets other than the bus.
    pub(crate) targets: Vec<Endpoint>,
    pub(crate) to_bus: bool,
    pub(crate) tags: Subscriptions,
    pub(crate) body_bytes_max: usize,
    pub(crate) forward_empty: bool,
    pub(crate) budget: Budget,
    pub(crate) stop_on_stop: bool,
    pub(crate) retry_first: Duration,
    pub(crate) retry_most: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) report_interval: Duration,
}

/// Why a mirror ends.
#[derive(Debug)]
pub(crate) enum End {
    /// A message with the body `stop`, where that is obeyed.
    Stop,
    /// A source is one of the targets.
    Loop {
        /// The source.
        source: Endpoint,
        /// The target.
        target: Endpoint,
    },
}

/// Why a mirror fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MirrorError {
    /// A source is one of the targets.
    #[error("source {source_end} and target {target} are the same broker")]
    Loop {
        /// The source.
        source_end: Endpoint,
        /// The target.
        target: Endpoint,
    },
    /// A link panicked.
    #[error("a link ended by a panic")]
    Panicked(#[from] JoinError),
}

/// What all links of a mirror share.
pub(crate) struct Shared {
    pub(crate) plan: PlanOfLinks,
    pub(crate) hub: Hub,
    pub(crate) addresses: Addresses,
}

/// The part of a plan that links need.
pub(crate) struct PlanOfLinks {
    pub(crate) targets: Vec<Endpoint>,
    pub(crate) tags: Subscriptions,
    pub(crate) body_bytes_max: usize,
    pub(crate) stop_on_stop: bool,
    pub(crate) connect_timeout: Duration,
    retry_first: Duration,
    retry_most: Duration,
}

/// A link, as others see it.
pub(crate) struct LinkStatus {
    pub(crate) end: Endpoint,
    /// `Some` for a target.
    pub(crate) client: Option<Arc<Client>>,
    /// What came from a source.
    pub(crate) flow: Flow,
    failures: AtomicU64,
    seen_busy: AtomicU64,
    state: Mutex<LinkState>,
}

#[derive(Default)]
struct LinkState {
    peer: Option<SocketAddr>,
    last_error: Option<String>,
}

/// A mirror, ready to work.
pub(crate) struct Mirroring {
    shared: Arc<Shared>,
    links: Vec<Arc<LinkStatus>>,
    report_interval: Duration,
}

impl PlanOfLinks {
    pub(crate) fn backoff(&self, to: &Endpoint) -> Backoff {
        Backoff::new(self.retry_first, self.retry_most, &to.to_string())
    }
}

impl LinkStatus {
    fn new(end: Endpoint, client: Option<Arc<Client>>) -> Arc<Self> {
        Arc::new(Self {
            end,
            client,
            flow: Flow::default(),
            failures: AtomicU64::new(0),
            seen_busy: AtomicU64::new(0),
            state: Mutex::default(),
        })
    }

    pub(crate) fn set_connected(&self, peer: Option<SocketAddr>) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .peer = peer;
    }

    pub(crate) fn count_failure(&self, error: &impl std::fmt::Display) {
        self.failures.fetch_add(1, Relaxed);
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last_error = Some(error.to_string());
    }

    /// Tells whether messages came since this was asked last.
    pub(crate) fn take_was_busy(&self) -> bool {
        let now = self.flow.messages();
        self.seen_busy.swap(now, Relaxed) != now
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Returns the peer when the link stands, and the last error.
    pub(crate) fn state(&self) -> (Option<SocketAddr>, Option<String>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.peer, state.last_error.clone())
    }
}

impl Mirroring {
    pub(crate) fn new(plan: Plan, cx: &ServiceCx) -> Self {
        let door = BusDoor {
            bus: cx.bus.clone(),
            source: cx.name.clone(),
        };
        let hub = Hub::new(HubParts {
            budget: Arc::new(plan.budget),
            bus: plan.to_bus.then_some(door),
            counters: cx.counters.clone(),
            clock: cx.clock.clone(),
            forward_empty: plan.forward_empty,
        });
        let mut links = Vec::new();
        for target in &plan.targets {
            let client = hub.join(target.to_string(), Credit::Unlimited);
            hub.subscribe(&client, plan.tags.clone(), true);
            links.push(LinkStatus::new(target.clone(), Some(client)));
        }
        for source in plan.sources {
            links.push(LinkStatus::new(source, None));
        }
        let plan_of_links = PlanOfLinks {
            targets: plan.targets,
            tags: plan.tags,
            body_bytes_max: plan.body_bytes_max,
            stop_on_stop: plan.stop_on_stop,
            connect_timeout: plan.connect_timeout,
            retry_first: plan.retry_first,
            retry_most: plan.retry_most,
        };
        Self {
            shared: Arc::new(Shared {
                plan: plan_of_links,
                hub,
                addresses: cx.addresses.clone(),
            }),
            links,
            report_interval: plan.report_interval,
        }
    }

    /// Works until told to stop.
    pub(crate) async fn run(self, mut cx: ServiceCx) -> Result<(), MirrorError> {
        let (mut sources, mut targets) = self.start();
        cx.ready();
        let mut ticks = interval(self.report_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reporter = Reporter::new(self.report_interval, Instant::now());
        let result = loop {
            // All branches are cancel-safe.
            tokio::select! {
                biased;
                () = cx.stop.cancelled() => break Ok(()),
                now = ticks.tick() => reporter.report(&self.shared.hub, &self.links, &cx, now),
                Some(request) = cx.inbox.recv() => {
                    reporter.answer(&self.shared.hub, &self.links, request);
                }
                Some(end) = sources.join_next() => match end {
                    Ok(End::Stop) => {
                        info!("ending on a message with the body stop");
                        break Ok(());
                    }
                    Ok(End::Loop { source, target }) => {
                        break Err(MirrorError::Loop { source_end: source, target });
                    }
                    Err(panic) => break Err(panic.into()),
                },
            }
        };
        sources.shutdown().await;
        self.drain(&mut targets).await;
        result
    }

    fn start(&self) -> (JoinSet<End>, JoinSet<()>) {
        let (mut sources, mut targets) = (JoinSet::new(), JoinSet::new());
        let counters = &self.shared.hub.counters;
        for link in &self.links {
            let (shared, end) = (self.shared.clone(), link.end.clone());
            match &link.client {
                Some(client) => {
                    let kept = outward::keep(shared, end, client.clone(), link.clone());
                    targets.spawn(counters.timed(kept).in_current_span());
                }
                None => {
                    let kept = inward::keep(shared, end, link.clone());
                    sources.spawn(counters.timed(kept).in_current_span());
                }
            }
        }
        (sources, targets)
    }

    /// Sends what waits, as far as it goes within a time, then ends all links.
    async fn drain(&self, targets: &mut JoinSet<()>) {
        let clients = self.links.iter().filter_map(|link| link.client.as_ref());
        for client in clients.clone() {
            client.close(Closing::Drained);
        }
        let all = async { while targets.join_next().await.is_some() {} };
        if timeout(DRAIN, all).await.is_err() {
            for client in clients.clone() {
                self.shared.hub.discarded(&client.close(Closing::AtFrame));
            }
            let all = async { while targets.join_next().await.is_some() {} };
            let _cut = timeout(DRAIN, all).await;
            targets.shutdown().await;
        }
        clients.for_each(|client| self.shared.hub.leave(client));
    }
}
