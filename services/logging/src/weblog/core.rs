//! The log page's data without a page: recorded messages in, the last ones out.

use std::time::Duration;

use fathom_kernel::{ByHand, Event, Fetched, Filter, Outputs, Persist, Saved, Timestamp};

use super::{Config, GATHER, Lines, highlights, wants};

/// Keeps messages as they come.
pub(crate) struct Core {
    config: Config,
    lines: Lines,
    /// The highlights were put.
    is_begun: bool,
}

impl From<Config> for Core {
    fn from(config: Config) -> Self {
        Self {
            lines: Lines::new(&config, 0),
            config,
            is_begun: false,
        }
    }
}

impl ByHand for Core {
    fn wants(&self) -> Filter {
        wants()
    }

    fn tick_period(&self) -> Duration {
        GATHER
    }

    fn event(&mut self, event: &Event, out: &mut Outputs) {
        if let Event::Frame(frame) = event {
            out.bad.extend(self.lines.saw(frame));
        }
    }

    fn tick(&mut self, now: Timestamp, out: &mut Outputs) {
        if !std::mem::replace(&mut self.is_begun, true) {
            out.put(highlights(&self.config.highlights).at(Some(now)));
        }
        out.outputs.extend(self.lines.output_if_changed());
    }

    fn fetched(&mut self, _: Fetched, _: &mut Outputs) {}

    fn forget(&mut self) {
        self.lines.forget();
    }

    fn take_back(&mut self, _: &Saved) -> Result<(), String> {
        Ok(())
    }

    fn keep(&mut self, _: &mut Persist) {}

    fn size_bytes(&self) -> usize {
        self.lines.memory_bytes()
    }
}
