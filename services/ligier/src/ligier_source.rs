//! Kind `ligier_source`: a broker elsewhere into the bus of this process.

use fathom_formats::controlhost::{BODY_BYTES_MAX_DEFAULT, Tag};
use fathom_kernel::{BoxFuture, FromConfig, Service, ServiceCx, ServiceError, Setup, Size, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::ligiermirror::{check_links, check_numbers, subscriptions};
use crate::links::{Endpoint, Mirroring, Plan, Words};
use crate::relay::{Budget, Limits, WhenFull};

/// Options of kind `ligier_source`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SourceConfig {
    /// Brokers to read from: `HOST:PORT` or `service:NAME`, one or several.
    from: Words<Endpoint>,
    /// Tags to read in mode any: the broker may drop messages when this side is slow.
    tags: Words<Tag>,
    /// Tags to read in mode all: the broker must not drop; a slow reader may stop it.
    tags_all: Words<Tag>,
    /// Longest body accepted; the link to a broker that announces a longer one is closed.
    body_max: Size,
    /// Longest wait for a connection.
    connect_timeout: Span,
    /// Wait after the first failure of a link; it doubles with each further one.
    retry_first: Span,
    /// Longest wait between two attempts.
    retry_most: Span,
    /// Time between two reports of the message rate.
    report_interval: Span,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            from: Words::default(),
            tags: Words::default(),
            tags_all: Words::default(),
            body_max: Size::from_bytes(BODY_BYTES_MAX_DEFAULT as u64),
            connect_timeout: Span::from_secs(10),
            retry_first: Span::from_secs(1),
            retry_most: Span::from_secs(30),
            report_interval: Span::from_secs(30),
        }
    }
}

impl SourceConfig {
    fn plan(&self) -> Plan {
        // Nothing waits here: the bus has its own queues.
        let nothing = Limits {
            messages: 1,
            bytes: 1,
        };
        Plan {
            sources: self.from.0.clone(),
            targets: Vec::new(),
            to_bus: true,
            tags: subscriptions(&self.tags, &self.tags_all),
            body_bytes_max: self.body_max.len(),
            forward_empty: false,
            budget: Budget::new(nothing, 1, 1, WhenFull::Wait),
            stop_on_stop: false,
            retry_first: self.retry_first.duration(),
            retry_most: self.retry_most.duration(),
            connect_timeout: self.connect_timeout.duration(),
            report_interval: self.report_interval.duration(),
        }
    }
}

/// One start of a source.
pub(crate) struct LigierSource {
    config: SourceConfig,
}

impl FromConfig<SourceConfig> for LigierSource {
    fn check(config: &SourceConfig, _setup: &Setup) -> Result<(), String> {
        check_links(&config.from, &config.tags, &config.tags_all)?;
        check_numbers(config.body_max, config.report_interval)
    }

    fn from_config(config: &SourceConfig, _setup: &Setup) -> Self {
        Self {
            config: config.clone(),
        }
    }
}

impl Service for LigierSource {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            let mirroring = Mirroring::new(self.config.plan(), &cx);
            mirroring.run(cx).await.map_err(ServiceError::new)
        })
    }
}
