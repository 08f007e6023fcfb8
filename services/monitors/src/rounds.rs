//! When many things are asked for in rounds: all of them now and then, and soon again those that could
//! not be had.

/// Pause after the first round with a failure (ms); every further one in a row doubles it.
const FIRST_MS: i64 = 30_000;
/// Longest pause (ms).
const MOST_MS: i64 = 600_000;

/// When the next round begins; `T` names what is asked for.
#[derive(Debug)]
pub(crate) struct Rounds<T> {
    every_ms: i64,
    /// When all are asked for.
    due_ms: i64,
    /// What could not be had in this round, and when it is asked for again.
    failed: Vec<T>,
    again_ms: i64,
    /// Rounds in a row with a failure.
    failures: u32,
}

/// What a round asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Round<T> {
    All,
    Failed(Vec<T>),
}

impl<T> Rounds<T> {
    /// The first round is due at once; `every_ms` is the time between two for all.
    pub(crate) fn new(every_ms: i64) -> Self {
        Self {
            every_ms,
            due_ms: i64::MIN,
            failed: Vec::new(),
            again_ms: i64::MAX,
            failures: 0,
        }
    }

    /// Tells whether a round is due.
    pub(crate) fn is_due(&self, now_ms: i64) -> bool {
        self.due_ms <= now_ms || (self.again_ms <= now_ms && !self.failed.is_empty())
    }

    /// Returns the round that is due, and takes it as begun; the one before must have ended.
    pub(crate) fn begin(&mut self, now_ms: i64) -> Option<Round<T>> {
        if !self.is_due(now_ms) {
            return None;
        }
        let failed = std::mem::take(&mut self.failed);
        if now_ms < self.due_ms {
            return Some(Round::Failed(failed));
        }
        self.due_ms = now_ms.saturating_add(self.every_ms);
        Some(Round::All)
    }

    /// Something of this round could not be had.
    pub(crate) fn failed(&mut self, what: T) {
        self.failed.push(what);
    }

    /// The round has ended.
    pub(crate) fn end(&mut self, now_ms: i64) {
        if self.failed.is_empty() {
            self.failures = 0;
            return;
        }
        let pause_ms = FIRST_MS << self.failures.min(10);
        self.failures = self.failures.saturating_add(1);
        self.again_ms = now_ms.saturating_add(pause_ms.min(MOST_MS));
    }

    /// Makes a round for all due at once.
    pub(crate) fn hurry(&mut self) {
        self.due_ms = i64::MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn pauses_grow_to_ten_minutes_and_all_are_asked_for_every_hour_all_the_same() {
        let mut rounds = Rounds::new(HOUR_MS);
        let mut begun = Vec::new();
        for now_s in 0..=4300 {
            match rounds.begin(now_s * 1000) {
                None => continue,
                Some(Round::All) => begun.push(-now_s),
                Some(Round::Failed(failed)) => {
                    assert_eq!(failed, ["it"]);
                    begun.push(now_s);
                }
            }
            rounds.failed("it");
            rounds.end(now_s * 1000);
        }
        let expected = [
            0, 30, 90, 210, 450, 930, 1530, 2130, 2730, 3330, -3600, 4200,
        ];
        assert_eq!(begun, expected);
    }

    #[test]
    fn after_a_good_round_pauses_begin_anew() {
        let mut rounds = Rounds::new(HOUR_MS);
        for now_ms in [0, 30_000] {
            rounds.begin(now_ms).unwrap();
            rounds.failed(1);
            rounds.end(now_ms);
        }
        assert_eq!(rounds.begin(90_000), Some(Round::Failed(vec![1])));
        rounds.end(90_000);
        assert_eq!(rounds.begin(HOUR_MS - 1), None);
        assert_eq!(rounds.begin(HOUR_MS), Some(Round::All));
        rounds.failed(2);
        rounds.end(HOUR_MS);
        assert_eq!(rounds.begin(HOUR_MS + 30_000), Some(Round::Failed(vec![2])));
        rounds.hurry();
        assert_eq!(rounds.begin(HOUR_MS + 30_001), Some(Round::All));
    }
}
