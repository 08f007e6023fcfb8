//! Counts events of the topics that nobody counts: alarms, changes of state, log lines.

use std::collections::{HashMap, VecDeque};

use fathom_kernel::{Bus, Event, Filter, Limits, Subscription, Topic};

/// Name under which the counting subscribes.
const NAME: &str = "supervisor/health";

/// What is not counted within a second may be dropped; that something came is known all the same.
const LIMITS: Limits = Limits {
    messages: 4096,
    bytes: 1 << 20,
};

/// Most services counted apart; events come with any name.
const SERVICES_MAX: usize = 4096;

/// Counts events of one topic by service.
pub(super) struct Tap {
    events: Subscription,
    counts: HashMap<String, u64>,
    total: u64,
}

impl Tap {
    /// Begins to count.
    pub(super) fn new(bus: &Bus, topic: Topic) -> Self {
        Self {
            events: bus.subscribe(NAME, Filter::none().and(topic), LIMITS),
            counts: HashMap::new(),
            total: 0,
        }
    }

    /// Counts what has come.
    pub(super) fn drain(&mut self) {
        let mut batch = VecDeque::new();
        self.events.try_batch(&mut batch);
        for event in batch {
            let service = match &*event {
                Event::Alarm(alarm) => &alarm.service,
                Event::Notice(notice) => &notice.service,
                Event::Life(life) => &life.service,
                Event::Log(line) => &line.service,
                Event::Frame(_) | Event::Output(_) => continue,
            };
            self.total += 1;
            if let Some(count) = self.counts.get_mut(service) {
                *count += 1;
            } else if self.counts.len() < SERVICES_MAX {
                self.counts.insert(service.clone(), 1);
            }
        }
    }

    /// Returns the events of a service.
    pub(super) fn by(&self, service: &str) -> u64 {
        self.counts.get(service).copied().unwrap_or(0)
    }

    /// Returns the events of everybody.
    pub(super) fn total(&self) -> u64 {
        self.total
    }
}
