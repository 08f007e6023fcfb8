//! The texts a configuration is made of, laid end to end, so that one span names text and place.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// A range of bytes in the row of all texts.
pub(crate) type Place = Range<usize>;

/// All texts read so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sources(Vec<Source>);

/// One text.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Name for people: a path, an argument, a variable.
    pub(crate) name: String,
    /// The text.
    pub(crate) text: &'static str,
    /// Where it starts in the row.
    start: usize,
}

impl Sources {
    /// Adds a text and returns where it starts.
    ///
    /// Options keep borrowing from their text until a factory is made of them, so texts are [`kept`].
    pub(crate) fn add(&mut self, name: impl Into<String>, text: String) -> usize {
        // One byte between neighbours, so that the end of one is not the start of the next.
        let start = self
            .0
            .last()
            .map_or(0, |last| last.start + last.text.len() + 1);
        let (name, text) = (name.into(), kept(text));
        self.0.push(Source { name, text, start });
        start
    }

    /// Adds a TOML text and reads it; what is not TOML becomes problems and is left out.
    pub(crate) fn parse(
        &mut self,
        name: impl Into<String>,
        text: String,
        problems: &mut Vec<Problem>,
    ) -> DeTable<'static> {
        let start = self.add(name, text);
        let text = self.0.last().map_or("", |source| source.text);
        let (table, errors) = DeTable::parse_recoverable(text);
        let table = table.into_inner();
        for error in errors {
            let at = error.span().unwrap_or(0..0);
            let problem = Problem::error(error.message()).at(at.start + start..at.end + start);
            problems.push(match first_of(&table, text, &at) {
                Some(first) if error.message() == "duplicate key" => problem
                    .label("second time")
                    .also(first.start + start..first.end + start, "first time"),
                _ => problem,
            });
        }
        shifted(table, start)
    }

    /// Returns the text that a place lies in, and the place within it.
    pub(crate) fn locate(&self, place: &Place) -> Option<(&Source, Place)> {
        let next = self.0.partition_point(|source| source.start <= place.start);
        let source = self.0.get(next.checked_sub(1)?)?;
        let length = source.text.len();
        let local = |at: usize| at.saturating_sub(source.start).min(length);
        Some((source, local(place.start)..local(place.end)))
    }

    /// Returns the characters at a place.
    pub(crate) fn text(&self, place: &Place) -> &str {
        self.locate(place)
            .and_then(|(source, local)| source.text.get(local))
            .unwrap_or_default()
    }
}

/// Keeps a text as long as the program lives, each only once however often it is read: a supervisor
/// that reads its configuration again and again grows only with what was written anew.
pub(crate) fn kept(text: String) -> &'static str {
    static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    match texts.get(text.as_str()) {
        Some(known) => known,
        None => {
            let text = &*text.leak();
            texts.insert(text);
            text
        }
    }
}

impl Source {
    /// Returns line and column (in characters) of a byte, both from 1.
    pub(crate) fn line_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        (line, column)
    }
}

/// Returns where a key was written first, if it is clear which one is meant.
fn first_of(table: &DeTable<'_>, text: &str, second: &Place) -> Option<Place> {
    let mut found = Vec::new();
    keys(table, text.get(second.clone())?, &mut found);
    found.retain(|place| place.start < second.start);
    let first = found.pop()?;
    found.is_empty().then_some(first)
}

fn keys(table: &DeTable<'_>, name: &str, found: &mut Vec<Place>) {
    for (key, value) in table {
        if key.get_ref() == name {
            found.push(key.span());
        }
        if let DeValue::Table(inner) = value.get_ref() {
            keys(inner, name, found);
        }
    }
}

/// Moves every place in a table.
fn shifted(table: DeTable<'static>, by: usize) -> DeTable<'static> {
    let moved = |place: Place| place.start + by..place.end + by;
    table
        .into_iter()
        .map(|(key, value)| {
            let key = Spanned::new(moved(key.span()), key.into_inner());
            (key, shifted_value(value, by))
        })
        .collect()
}

fn shifted_value(value: Spanned<DeValue<'static>>, by: usize) -> Spanned<DeValue<'static>> {
    let place = value.span();
    let place = place.start + by..place.end + by;
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(shifted(table, by)),
        DeValue::Array(array) => {
            DeValue::Array(array.into_iter().map(|v| shifted_value(v, by)).collect())
        }
        other => other,
    };
    Spanned::new(place, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_read_again_is_kept_once() {
        let read = || kept("some text of a test".to_owned());
        assert!(std::ptr::eq(read(), read()));
    }
}
