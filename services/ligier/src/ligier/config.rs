//! Options of the broker.

use fathom_formats::controlhost::BODY_BYTES_MAX_DEFAULT;
use fathom_kernel::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::relay::{Budget, Limits, WhenFull};

/// Options of kind `ligier`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LigierConfig {
    /// Address to listen on, `HOST:PORT`; port 0 takes a free one.
    pub(crate) listen: String,
    /// Most clients at a time; further ones are turned away.
    pub(crate) clients_max: usize,
    /// Longest body accepted; a client that announces a longer one is disconnected.
    pub(crate) body_max: Size,
    /// Most messages waiting for one client, of tags subscribed in mode any (`w`). The oldest are
    /// dropped and counted.
    pub(crate) queue_messages: usize,
    /// Most memory of messages waiting for one client, of tags subscribed in mode any (`w`). The
    /// oldest are dropped and counted, sooner when half of `memory` is used up.
    pub(crate) queue_bytes: Size,
    /// Most memory of messages kept for one client, of tags subscribed in mode all (`a`).
    pub(crate) kept_bytes: Size,
    /// What happens when a client in mode all does not take its messages and `kept_bytes` or
    /// `memory` is used up: `wait` stops reading from all producers but those that are full themselves,
    /// and closes that client at twice `kept_bytes`; `disconnect` closes it at once.
    pub(crate) when_full: WhenFull,
    /// Most memory of all queues together.
    pub(crate) memory: Size,
    /// Whether a new subscription of a client replaces the one before or adds to it.
    pub(crate) subscriptions: Subscribing,
    /// Forward messages without a body; some clients take them for a dead line.
    pub(crate) forward_empty: bool,
    /// Obey `_StopDis` (stop the broker) and `_CloseAl` (close clients) from the network.
    pub(crate) remote_control: bool,
    /// Which way messages go between the clients and the bus of this process.
    pub(crate) bus: BusWay,
    /// How long waiting messages are still sent when the service stops.
    pub(crate) drain: Span,
    /// Time between two reports of clients and tags.
    pub(crate) report_interval: Span,
}

/// What a new subscription does to the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subscribing {
    /// It replaces it, as in the original dispatcher; km3pipe unsubscribes that way.
    #[default]
    Replace,
    /// It adds to it, for clients that send one subscription per tag.
    Add,
}

/// Which way messages go between clients and bus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BusWay {
    /// Both ways.
    #[default]
    Both,
    /// From the clients to the bus.
    Publish,
    /// From the bus to the clients.
    Subscribe,
    /// Not at all.
    None,
}

impl Default for LigierConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:5553".into(),
            clients_max: 1000,
            body_max: Size::from_bytes(BODY_BYTES_MAX_DEFAULT as u64),
            queue_messages: 1_000_000,
            queue_bytes: Size::from_mib(64),
            kept_bytes: Size::from_mib(256),
            when_full: WhenFull::default(),
            memory: Size::from_mib(1024),
            subscriptions: Subscribing::default(),
            forward_empty: false,
            remote_control: false,
            bus: BusWay::default(),
            drain: Span::from_millis(500),
            report_interval: Span::from_secs(5),
        }
    }
}

impl BusWay {
    pub(crate) fn publishes(self) -> bool {
        matches!(self, Self::Both | Self::Publish)
    }

    pub(crate) fn subscribes(self) -> bool {
        matches!(self, Self::Both | Self::Subscribe)
    }
}

impl LigierConfig {
    /// Checks what the types cannot.
    pub(crate) fn check(&self) -> Result<(), String> {
        let positive = [
            ("clients_max", self.clients_max as u64),
            ("queue_messages", self.queue_messages as u64),
            ("queue_bytes", self.queue_bytes.bytes()),
            ("kept_bytes", self.kept_bytes.bytes()),
            ("memory", self.memory.bytes()),
            ("body_max", self.body_max.bytes()),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{name} is 0, expected more"));
        }
        if self.report_interval.is_zero() {
            return Err("report_interval is 0s, expected more".into());
        }
        if self.body_max.bytes() > u64::from(i32::MAX.unsigned_abs()) {
            return Err("body_max is larger than the protocol can say, expected below 2GiB".into());
        }
        if !self.listen.contains(':') {
            return Err(format!("listen is `{}`, expected HOST:PORT", self.listen));
        }
        Ok(())
    }

    /// Returns the memory of all queues.
    pub(crate) fn budget(&self) -> Budget {
        let limits = Limits {
            messages: self.queue_messages,
            bytes: self.queue_bytes.len(),
        };
        Budget::new(
            limits,
            self.kept_bytes.len(),
            self.memory.len(),
            self.when_full,
        )
    }
}
