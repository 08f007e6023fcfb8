//! The log shown below the tree: its last lines, without what would disturb a terminal.

use std::collections::VecDeque;

/// Most lines kept.
const LINES_MAX: usize = 1000;

/// Longest line kept, in characters.
const LINE_MAX: usize = 2000;

/// Width of a tab stop.
const TAB: usize = 8;

/// The end of one log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Whose; empty for the supervisor's own, `None` while there is none.
    pub(super) of: Option<String>,
    lines: VecDeque<String>,
    /// Lines back from the end.
    back: usize,
}

impl Log {
    /// Begins the log of another service.
    pub(super) fn begin(&mut self, of: Option<String>) {
        *self = Self {
            of,
            ..Self::default()
        };
    }

    /// Adds a line; the oldest goes when there are too many.
    pub(super) fn push(&mut self, line: &str) {
        self.lines.push_back(harmless(line));
        if self.back > 0 {
            // What is being read stays where it is.
            self.back += 1;
        }
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
        self.back = self.back.min(self.lines.len());
    }

    /// Moves by so many lines, back when it is positive.
    pub(super) fn scroll(&mut self, lines: isize) {
        let last = self.lines.len().saturating_sub(1);
        self.back = self.back.saturating_add_signed(lines).min(last);
    }

    /// Returns to the end.
    pub(super) fn follow(&mut self) {
        self.back = 0;
    }

    /// Returns how many lines stand behind what is shown.
    pub(super) fn back(&self) -> usize {
        self.back
    }

    /// Returns the lines that fit into so many.
    pub(super) fn shown(&self, height: usize) -> impl Iterator<Item = &str> {
        let end = self.lines.len() - self.back;
        // At the very beginning the pane stays full.
        let end = end.max(height.min(self.lines.len()));
        let start = end.saturating_sub(height);
        self.lines.range(start..end).map(String::as_str)
    }
}

/// Takes away colours and everything else that moves a cursor.
pub(super) fn harmless(line: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for letter in console::strip_ansi_codes(line).chars().take(LINE_MAX) {
        match letter {
            '\t' => {
                let to = (column / TAB + 1) * TAB;
                text.extend(std::iter::repeat_n(' ', to - column));
                column = to;
            }
            _ => {
                text.push(if letter.is_control() {
                    '\u{fffd}'
                } else {
                    letter
                });
                column += 1;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_move_the_cursor() {
        assert_eq!(
            harmless("a\u{1b}[31mb\u{1b}[0m\tc\u{7}\r"),
            "ab      c\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn reading_back_is_not_disturbed_by_new_lines() {
        let mut log = Log::default();
        (0..10).for_each(|n| log.push(&n.to_string()));
        let shown = |log: &Log| log.shown(3).collect::<Vec<_>>().join(" ");
        assert_eq!(shown(&log), "7 8 9");
        log.scroll(2);
        assert_eq!(shown(&log), "5 6 7");
        log.push("10");
        assert_eq!(shown(&log), "5 6 7");
        log.scroll(100);
        assert_eq!(shown(&log), "0 1 2");
        log.scroll(-100);
        assert_eq!(shown(&log), "8 9 10");
        (0..2 * LINES_MAX).for_each(|n| log.push(&n.to_string()));
        assert_eq!(log.shown(usize::MAX).count(), LINES_MAX);
    }
}
