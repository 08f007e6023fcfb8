//! The websocket of a channel, opened again whenever it breaks.

use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::Counters;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Hearing;
use super::line::{Line, LineError, News, Number};
use crate::retry;

/// Wait after the first failure; it doubles with each further one.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// Longest wait between two attempts.
const RETRY_MOST: Duration = Duration::from_secs(300);
/// A line that held for so long was a good one: its end counts as the first failure.
const GOOD_AFTER: Duration = Duration::from_secs(60);

/// The websocket.
pub(super) struct Realtime {
    state: State,
    /// Failures since the last good line.
    failures: u32,
    /// Why the last line has ended, until another one is open.
    trouble: Option<LineError>,
    counters: Arc<Counters>,
}

enum State {
    /// It is tried again from then on.
    Waiting(Instant),
    Opening(Line),
    /// Since when.
    Open(Line, Instant),
}

impl Realtime {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self {
            state: State::Waiting(Instant::now()),
            failures: 0,
            trouble: None,
            counters,
        }
    }

    /// Tells whether a line is to be opened.
    pub(super) fn is_due(&self) -> bool {
        matches!(self.state, State::Waiting(until) if until <= Instant::now())
    }

    /// Begins to open a line.
    pub(super) fn open(&mut self, number: Number) {
        self.state = State::Opening(Line::open(number, self.counters.clone()));
    }

    /// Tells whether messages come by themselves.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(..))
    }

    /// Returns what came next, if anything did.
    pub(super) fn next(&mut self) -> Option<News> {
        let (State::Opening(line) | State::Open(line, _)) = &mut self.state else {
            return None;
        };
        let news = line.next()?;
        match &news {
            News::Opened => self.opened(),
            News::Ended(error) => self.ended(error),
            News::Said(_) => {}
        }
        Some(news)
    }

    fn opened(&mut self) {
        let now = Instant::now();
        self.state = match std::mem::replace(&mut self.state, State::Waiting(now)) {
            State::Opening(line) => State::Open(line, now),
            other => other,
        };
        self.trouble = None;
        info!("the chat is heard by its websocket");
    }

    /// An outage is logged once, however many attempts it takes; each is counted.
    fn ended(&mut self, error: &LineError) {
        self.counters.bad(error.reason());
        if matches!(self.state, State::Open(_, since) if since.elapsed() >= GOOD_AFTER) {
            self.failures = 0;
        }
        if self.failures == 0 {
            warn!(%error, "the chat is not heard by its websocket, polling instead");
        }
        let wait = retry::wait(RETRY_FIRST, RETRY_MOST, self.failures);
        self.failures = self.failures.saturating_add(1);
        self.trouble = Some(error.clone());
        self.state = State::Waiting(Instant::now() + wait);
    }

    /// Returns how the chat is heard.
    pub(super) fn hearing(&self) -> Hearing {
        match self.is_open() {
            true => Hearing::by("websocket"),
            false => Hearing {
                by: "polling",
                trouble: self.trouble.as_ref().map(LineError::to_string),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::web;

    /// Returns after how long a line is opened again.
    async fn pause(realtime: &Realtime) -> Duration {
        let begun = Instant::now();
        while !realtime.is_due() {
            advance(Duration::from_millis(100)).await;
        }
        begun.elapsed()
    }

    fn open_line() -> State {
        let number = Number {
            client: web::client(None).unwrap(),
            url: "http://127.0.0.1:1/websocket".to_owned(),
            token: String::new(),
            room: String::new(),
        };
        State::Open(Line::open(number, Arc::default()), Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_a_line_was_good() {
        let counters: Arc<Counters> = Arc::default();
        let mut realtime = Realtime::new(counters.clone());
        assert_eq!(pause(&realtime).await, Duration::ZERO);
        let mut expected = RETRY_FIRST;
        for _ in 0..12 {
            // It opens each time, and breaks at once.
            realtime.state = open_line();
            assert_eq!(realtime.hearing(), Hearing::by("websocket"));
            realtime.ended(&LineError::Closed);
            assert_eq!(realtime.hearing().by, "polling");
            assert_eq!(pause(&realtime).await, expected);
            expected = (2 * expected).min(RETRY_MOST);
        }
        assert_eq!(expected, RETRY_MOST);
        realtime.state = open_line();
        advance(GOOD_AFTER).await;
        realtime.ended(&LineError::Silent);
        assert_eq!(pause(&realtime).await, RETRY_FIRST);
        let trouble = realtime.hearing().trouble;
        assert_eq!(trouble.as_deref(), Some("no word for 60s"));
        assert_eq!(counters.snapshot().bad.get("websocket lost"), Some(&13));
    }
}
