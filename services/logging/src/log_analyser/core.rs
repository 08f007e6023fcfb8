//! The analyser without its files: recorded messages in, counts out.

use std::time::Duration;

use fathom_kernel::{ByHand, Event, Fetched, Filter, Outputs, Persist, Saved, Timestamp};

use super::stats::Stats;
use super::{Config, TICK, wants};
use crate::reading::Reading;

/// Counts messages as they come. The first one says when counting begins.
pub(crate) struct Core {
    config: Config,
    stats: Option<Stats>,
}

impl From<Config> for Core {
    fn from(config: Config) -> Self {
        Self {
            config,
            stats: None,
        }
    }
}

impl Core {
    fn stats(&mut self, now: Timestamp) -> &mut Stats {
        let config = &self.config;
        self.stats.get_or_insert_with(|| Stats::new(config, now))
    }
}

impl ByHand for Core {
    fn wants(&self) -> Filter {
        wants()
    }

    fn tick_period(&self) -> Duration {
        TICK
    }

    fn event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        let reading = Reading::of(frame);
        out.bad.extend(reading.fault());
        self.stats(frame.received)
            .saw(frame.received, reading.about());
    }

    fn tick(&mut self, now: Timestamp, out: &mut Outputs) {
        let stats = self.stats(now);
        out.alarms.extend(stats.tick(now));
        out.outputs.extend(stats.outputs_if_changed(now));
    }

    fn fetched(&mut self, _: Fetched, _: &mut Outputs) {}

    fn forget(&mut self) {
        self.stats = None;
    }

    fn take_back(&mut self, saved: &Saved) -> Result<(), String> {
        self.stats(Timestamp::UNIX_EPOCH).restore(saved)
    }

    fn keep(&mut self, keep: &mut Persist) {
        if let Some(stats) = &self.stats {
            keep.snapshot(stats.kept());
        }
    }

    fn size_bytes(&self) -> usize {
        self.stats.as_ref().map_or(0, Stats::memory_bytes)
    }
}
