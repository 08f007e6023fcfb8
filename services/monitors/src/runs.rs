//! Run changes, as labelled lines of curves.

use std::collections::VecDeque;

use fathom_formats::km3net::Header;
use fathom_kernel::view::Mark;
use serde::{Deserialize, Serialize};

/// Most run changes remembered.
const MARKS_MAX: usize = 500;

/// A run as a detector takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) detector: i32,
    pub(crate) run: i32,
}

impl Run {
    pub(crate) fn of(header: &Header) -> Self {
        Self {
            detector: header.detector_id.0,
            run: header.run.0,
        }
    }
}

/// The changes of run, up or down, and of detector.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Runs {
    current: Option<Run>,
    newest_ms: i64,
    changes: VecDeque<(i64, Run)>,
}

impl Runs {
    /// Takes the run of an event; returns whether it is a change. Late events change nothing.
    pub(crate) fn saw(&mut self, run: Run, data_ms: i64) -> bool {
        if self.current.is_some() && data_ms < self.newest_ms {
            return false;
        }
        self.newest_ms = data_ms;
        if self.current == Some(run) {
            return false;
        }
        self.current = Some(run);
        if self.changes.len() >= MARKS_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back((data_ms, run));
        true
    }

    /// The clock was set to another time; what was newest does not count any more.
    pub(crate) fn jump(&mut self) {
        self.newest_ms = i64::MIN;
    }

    /// Returns the newest run.
    pub(crate) fn current(&self) -> Option<Run> {
        self.current
    }

    /// Returns the changes between two times as labelled lines.
    pub(crate) fn marks(&self, from_ms: i64, to_ms: i64) -> Vec<Mark> {
        let mut before = None;
        let mut marks = Vec::new();
        for &(at_ms, run) in &self.changes {
            let Run { detector, run } = run;
            let text = match before {
                Some(old) if old != detector => format!("DET {detector} RUN {run}"),
                _ => format!("RUN {run}"),
            };
            before = Some(detector);
            if (from_ms..=to_ms).contains(&at_ms) {
                marks.push(Mark { at_ms, text });
            }
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(detector: i32, run: i32) -> Run {
        Run { detector, run }
    }

    #[test]
    fn runs_may_go_down_and_detectors_may_change() {
        let mut runs = Runs::default();
        let steps = [
            (10, 44, 7),
            (20, 44, 7),
            (30, 44, 5),
            (25, 44, 7),
            (40, 43, 9),
        ];
        let changed = steps.map(|(ms, d, r)| runs.saw(run(d, r), ms));
        assert_eq!(changed, [true, false, true, false, true]);
        let texts: Vec<_> = runs.marks(0, 100).into_iter().map(|m| m.text).collect();
        assert_eq!(texts, ["RUN 7", "RUN 5", "DET 43 RUN 9"]);
        assert_eq!(runs.marks(35, 100).len(), 1);
    }
}
