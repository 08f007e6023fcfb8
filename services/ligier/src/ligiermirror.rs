//! Kind `ligiermirror`: copies messages from brokers to other brokers, unchanged.

use fathom_formats::controlhost::{BODY_BYTES_MAX_DEFAULT, Mode, Subscriptions, Tag};
use fathom_kernel::{BoxFuture, FromConfig, Service, ServiceCx, ServiceError, Setup, Size, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::links::{Endpoint, Mirroring, Plan, Words};
use crate::relay::{Budget, Limits, WhenFull};

/// Options of kind `ligiermirror`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MirrorConfig {
    /// Brokers to read from: `HOST:PORT` or `service:NAME`, one or several.
    source: Words<Endpoint>,
    /// Where the messages go: `HOST:PORT`, `service:NAME` or `bus`, one or several.
    target: Words<Endpoint>,
    /// Tags to mirror in mode any: messages may be dropped when the mirror is slow.
    tags: Words<Tag>,
    /// Tags to mirror in mode all: no message is dropped; a slow mirror may stop the source.
    tags_all: Words<Tag>,
    /// End when a message has the body `stop`, as the original mirror does.
    stop_on_stop: bool,
    /// Forward messages without a body; some clients take them for a dead line.
    forward_empty: bool,
    /// Longest body accepted; the link to a source that announces a longer one is closed.
    body_max: Size,
    /// Most messages waiting for one target in mode any. The oldest are dropped and counted.
    queue_messages: usize,
    /// Most memory of messages waiting for one target in mode any. The oldest are dropped and counted.
    queue_bytes: Size,
    /// Most memory of messages kept for one target in mode all; then the sources are not read.
    kept_bytes: Size,
    /// Longest wait for a connection.
    connect_timeout: Span,
    /// Wait after the first failure of a link; it doubles with each further one.
    retry_first: Span,
    /// Longest wait between two attempts.
    retry_most: Span,
    /// Time between two reports of the message rate.
    report_interval: Span,
}

impl Default for MirrorConfig {
    fn default() -> Self {
        Self {
            source: Words::default(),
            target: Words::default(),
            tags: Words::default(),
            tags_all: Words::default(),
            stop_on_stop: false,
            forward_empty: false,
            body_max: Size::from_bytes(BODY_BYTES_MAX_DEFAULT as u64),
            queue_messages: 1_000_000,
            queue_bytes: Size::from_mib(64),
            kept_bytes: Size::from_mib(256),
            connect_timeout: Span::from_secs(10),
            retry_first: Span::from_secs(1),
            retry_most: Span::from_secs(30),
            report_interval: Span::from_secs(30),
        }
    }
}

impl MirrorConfig {
    fn check(&self) -> Result<(), String> {
        check_links(&self.source, &self.tags, &self.tags_all)?;
        if self.target.0.is_empty() {
            return Err("target is missing, expected HOST:PORT, service:NAME or bus".into());
        }
        if let Some(both) = self.source.0.iter().find(|s| self.target.0.contains(s)) {
            return Err(format!(
                "{both} is source and target, expected different ones"
            ));
        }
        check_numbers(self.body_max, self.report_interval)?;
        for (name, value) in [
            ("queue_messages", self.queue_messages),
            ("queue_bytes", self.queue_bytes.len()),
            ("kept_bytes", self.kept_bytes.len()),
        ] {
            if value == 0 {
                return Err(format!("{name} is 0, expected more"));
            }
        }
        Ok(())
    }

    fn plan(&self) -> Plan {
        let limits = Limits {
            messages: self.queue_messages,
            bytes: self.queue_bytes.len(),
        };
        let targets = self.target.0.iter().filter(|t| **t != Endpoint::Bus);
        let targets: Vec<Endpoint> = targets.cloned().collect();
        let kept = self.kept_bytes.len();
        // Every target may fill its queue; half of the memory is for each mode.
        let memory = (limits.bytes.max(kept)).saturating_mul(2 * targets.len().max(1));
        Plan {
            sources: self.source.0.clone(),
            to_bus: self.target.0.contains(&Endpoint::Bus),
            targets,
            tags: subscriptions(&self.tags, &self.tags_all),
            body_bytes_max: self.body_max.len(),
            forward_empty: self.forward_empty,
            budget: Budget::new(limits, kept, memory, WhenFull::Wait),
            stop_on_stop: self.stop_on_stop,
            retry_first: self.retry_first.duration(),
            retry_most: self.retry_most.duration(),
            connect_timeout: self.connect_timeout.duration(),
            report_interval: self.report_interval.duration(),
        }
    }
}

/// Checks the sources and tags of a mirror or source.
pub(crate) fn check_links(
    sources: &Words<Endpoint>,
    tags: &Words<Tag>,
    tags_all: &Words<Tag>,
) -> Result<(), String> {
    if sources.0.is_empty() {
        return Err("no broker to read from, expected HOST:PORT or service:NAME".into());
    }
    if sources.0.contains(&Endpoint::Bus) {
        return Err("bus is no broker to read from, expected HOST:PORT or service:NAME".into());
    }
    if tags.0.is_empty() && tags_all.0.is_empty() {
        return Err("no tags, expected tags = \"IO_EVT IO_SUM\"".into());
    }
    Ok(())
}

/// Checks numbers of a mirror or source.
pub(crate) fn check_numbers(body_max: Size, report_interval: Span) -> Result<(), String> {
    if body_max.is_empty() || body_max.bytes() > u64::from(i32::MAX.unsigned_abs()) {
        return Err(format!(
            "body_max is {body_max}, expected more than 0B and below 2GiB"
        ));
    }
    if report_interval.is_zero() {
        return Err("report_interval is 0s, expected more".into());
    }
    Ok(())
}

/// Makes the subscription of both lists.
pub(crate) fn subscriptions(tags: &Words<Tag>, tags_all: &Words<Tag>) -> Subscriptions {
    let any = tags.0.iter().map(|tag| (*tag, Mode::Any));
    any.chain(tags_all.0.iter().map(|tag| (*tag, Mode::All)))
        .collect()
}

/// One start of a mirror.
pub(crate) struct LigierMirror {
    config: MirrorConfig,
}

impl FromConfig<MirrorConfig> for LigierMirror {
    fn check(config: &MirrorConfig, _setup: &Setup) -> Result<(), String> {
        config.check()
    }

    fn from_config(config: &MirrorConfig, _setup: &Setup) -> Self {
        Self {
            config: config.clone(),
        }
    }
}

impl Service for LigierMirror {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            let mirroring = Mirroring::new(self.config.plan(), &cx);
            mirroring.run(cx).await.map_err(ServiceError::new)
        })
    }
}
