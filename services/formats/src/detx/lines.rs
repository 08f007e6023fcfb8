//! The lines of a DETX file that hold data.

use std::iter::Enumerate;
use std::str::Lines;

use super::error::DetxError;

/// Longest word that an error repeats.
const WORD_SHOWN_MAX: usize = 40;

/// Iterates over the lines that are neither blank nor comment.
///
/// Some writers let a quoted argument with newlines into a comment. Its further lines carry no `#`
/// and look like data, so a comment line with exactly one double quote opens a comment that the
/// next line with exactly one double quote closes.
pub(super) struct DataLines<'a> {
    lines: Enumerate<Lines<'a>>,
    last: usize,
}

/// A line of data.
#[derive(Clone)]
pub(super) struct Line<'a> {
    /// Number in the file, from 1.
    pub(super) number: usize,
    words: Vec<&'a str>,
}

impl<'a> DataLines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            lines: text.lines().enumerate(),
            last: 0,
        }
    }

    /// Returns the next line, or the error that `expected` is missing.
    pub(super) fn expect(&mut self, expected: &'static str) -> Result<Line<'a>, DetxError> {
        self.next().ok_or(DetxError::End {
            line: self.last,
            expected,
        })
    }

    /// Returns the number of the last line read.
    pub(super) fn last_number(&self) -> usize {
        self.last
    }
}

impl<'a> Iterator for DataLines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let has_one_quote = |text: &str| text.bytes().filter(|&b| b == b'"').count() == 1;
        let mut inside_quotes = false;
        for (at, text) in self.lines.by_ref() {
            self.last = at + 1;
            if inside_quotes {
                inside_quotes = !has_one_quote(text);
                continue;
            }
            let text = text.trim();
            if text.starts_with('#') {
                inside_quotes = has_one_quote(text);
            } else if !text.is_empty() {
                return Some(Line {
                    number: at + 1,
                    words: text.split_whitespace().collect(),
                });
            }
        }
        None
    }
}

impl<'a> Line<'a> {
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Returns the word at a position, or an empty one.
    pub(super) fn word(&self, at: usize) -> &'a str {
        self.words.get(at).copied().unwrap_or_default()
    }

    /// Requires a number of words.
    pub(super) fn check(&self, words: usize, expected: &'static str) -> Result<(), DetxError> {
        if self.len() != words {
            return Err(DetxError::Words {
                line: self.number,
                expected,
                got: self.len(),
            });
        }
        Ok(())
    }

    /// Returns an integer; an explicit plus sign is accepted.
    pub(super) fn integer<T: TryFrom<i64>>(
        &self,
        at: usize,
        expected: &'static str,
    ) -> Result<T, DetxError> {
        let value = self
            .word(at)
            .parse::<i64>()
            .ok()
            .and_then(|v| T::try_from(v).ok());
        value.ok_or_else(|| self.wrong(at, expected))
    }

    /// Returns a finite number; an explicit plus sign is accepted.
    pub(super) fn float(&self, at: usize, expected: &'static str) -> Result<f64, DetxError> {
        let value = self.word(at).parse::<f64>().ok().filter(|v| v.is_finite());
        value.ok_or_else(|| self.wrong(at, expected))
    }

    /// Returns consecutive finite numbers.
    pub(super) fn floats<const N: usize>(
        &self,
        from: usize,
        expected: &'static str,
    ) -> Result<[f64; N], DetxError> {
        let mut values = [0.0; N];
        for (at, value) in values.iter_mut().enumerate() {
            *value = self.float(from + at, expected)?;
        }
        Ok(values)
    }

    pub(super) fn wrong(&self, at: usize, expected: &'static str) -> DetxError {
        let word = self.word(at).chars().take(WORD_SHOWN_MAX).collect();
        DetxError::Word {
            line: self.number,
            expected,
            word,
        }
    }
}
