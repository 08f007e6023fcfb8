//! What a monitor produces: a named value with everything a page needs to show its age and losses.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::view::View;

/// A named value of a service. Values, not pictures: the web draws them, files store them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Name, unique in the stack: letters, digits, `_`, `-`, `.`; also the name of its picture.
    pub name: String,
    /// Heading for people.
    pub title: String,
    /// Time of the newest datum inside; `None` before the first one.
    pub datum: Option<Timestamp>,
    /// Expected time between two new data (s); older than three of these is stale.
    pub interval_s: f64,
    /// What the service received and lost until now.
    #[serde(default)]
    pub losses: Losses,
    /// The value.
    pub view: View,
}

/// What a service received and lost since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Messages that reached the service.
    pub received: u64,
    /// Messages dropped from its queue because it was too slow.
    pub dropped: u64,
    /// Messages it could not decode.
    pub bad: u64,
}

impl Output {
    /// A value is stale when its newest datum is older than so many of its intervals.
    pub const STALE_AFTER: f64 = 3.0;

    /// Makes an output without data yet.
    pub fn new(name: impl Into<String>, title: impl Into<String>, view: impl Into<View>) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            datum: None,
            interval_s: 60.0,
            losses: Losses::default(),
            view: view.into(),
        }
    }

    /// Sets the time of the newest datum.
    #[must_use]
    pub fn at(mut self, datum: Option<Timestamp>) -> Self {
        self.datum = datum;
        self
    }

    /// Sets the expected time between two new data (s).
    #[must_use]
    pub fn every(mut self, interval_s: f64) -> Self {
        self.interval_s = interval_s;
        self
    }

    /// Tells whether the newest datum is older than [`Output::STALE_AFTER`] intervals, or absent.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.datum.is_none_or(|at| {
            now.duration_since(at).as_secs_f64() > Self::STALE_AFTER * self.interval_s
        })
    }

    /// Tells whether a name is fit for an output: it becomes a path of the web page.
    pub fn is_valid_name(name: &str) -> bool {
        (1..=100).contains(&name.len())
            && !name.starts_with('.')
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    }

    /// Returns roughly how much memory the value holds on to (bytes).
    pub fn cost_bytes(&self) -> usize {
        self.name.len() + self.title.len() + self.view.cost_bytes()
    }
}
