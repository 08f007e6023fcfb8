//! Messages counted by class and level.

use fathom_formats::km3net::{LogMessage, LogSource};
use serde::{Deserialize, Serialize};

use crate::index::{CLASSES, Level};
use crate::line::split_line;

/// How many messages there were of each class and level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Counts([[u64; Level::ALL.len()]; CLASSES.len()]);

impl Counts {
    /// Counts a message.
    pub(super) fn add(&mut self, (class, level): (LogSource, Level)) {
        let row = CLASSES.iter().position(|&c| c == class);
        let column = Level::ALL.iter().position(|&l| l == level);
        if let (Some(row), Some(column)) = (row, column) {
            self.0[row][column] += 1;
        }
    }

    /// Adds other counts.
    pub(super) fn merge(&mut self, other: &Self) {
        let sums = self.0.iter_mut().flatten().zip(other.0.iter().flatten());
        sums.for_each(|(sum, count)| *sum += count);
    }

    /// Returns what is left when other counts are taken away.
    pub(super) fn without(mut self, other: &Self) -> Self {
        let left = self.0.iter_mut().flatten().zip(other.0.iter().flatten());
        left.for_each(|(count, other)| *count = count.saturating_sub(*other));
        self
    }

    /// Returns the count of a class and level.
    pub(super) fn of(&self, class: LogSource, level: Level) -> u64 {
        let row = CLASSES.iter().position(|&c| c == class);
        let column = Level::ALL.iter().position(|&l| l == level);
        row.zip(column)
            .map_or(0, |(row, column)| self.0[row][column])
    }

    /// Tells whether a class wrote anything that follows the convention.
    pub(super) fn has(&self, class: LogSource) -> bool {
        let matched = Level::ALL.into_iter().filter(|level| *level != Level::None);
        matched.map(|level| self.of(class, level)).sum::<u64>() > 0
    }
}

/// Reads a line of an archived file. What does not begin as one is of no class and follows no
/// convention.
pub(super) fn about_line(line: &str) -> (LogSource, Level) {
    let Some((class, text)) = split_line(line) else {
        return (LogSource::Other, Level::None);
    };
    let level = Level::of(&LogMessage::decode(text.as_bytes()));
    (class.unwrap_or(LogSource::Other), level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_the_one_in_brackets_whatever_the_text_says() {
        let line = "MSG.log [DataQueue]: 2021-09-01 12:00 10.0.0.1 host/F01 ERROR text W01";
        assert_eq!(about_line(line), (LogSource::DataQueue, Level::Error));
        for line in [
            "garbage",
            "x [DataQueue]: 1 10.0.0.1 F ERROR x",
            "MSG.log: no class",
            "",
        ] {
            assert_eq!(about_line(line), (LogSource::Other, Level::None), "{line}");
        }
        let alarm = "MSG.log [Other]: ALERT (MONITORING) Mon Jan 1: invalid";
        assert_eq!(about_line(alarm), (LogSource::Other, Level::Alert));
    }

    #[test]
    fn a_class_that_follows_no_convention_has_nothing_to_show() {
        let mut counts = Counts::default();
        counts.add((LogSource::Other, Level::None));
        assert!(!counts.has(LogSource::Other));
        counts.add((LogSource::Other, Level::Warning));
        assert!(counts.has(LogSource::Other) && !counts.has(LogSource::DataQueue));
    }
}
