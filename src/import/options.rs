//! The options of a section: read with their defaults, and each one accounted for.

use std::collections::BTreeMap;

use super::expand::{ExpandError, Names, Text, expand};
use super::note::{Gravity, Notes, Subject};
use super::reader::{Entry, Section};
use super::value::{self, ValueError};

/// Options of a section with those of `[DEFAULT]` behind them.
#[derive(Debug, Clone)]
pub(super) struct Options<'a> {
    pub(super) section: &'a Section,
    by_key: BTreeMap<&'a str, &'a Entry>,
}

impl<'a> Options<'a> {
    /// Looks at a section.
    pub(super) fn of(section: &'a Section, defaults: &'a [Entry]) -> Self {
        let entries = defaults.iter().chain(&section.entries);
        let by_key = entries.map(|entry| (entry.key.as_str(), entry)).collect();
        Self { section, by_key }
    }

    /// Returns the same options with one of another value.
    pub(super) fn with(&self, entry: &'a Entry) -> Self {
        let mut changed = self.clone();
        changed.by_key.insert(&entry.key, entry);
        changed
    }

    /// Returns an option.
    pub(super) fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.by_key.get(key).copied()
    }

    /// Says something of an option, at its line.
    pub(super) fn say(
        &self,
        notes: &mut Notes,
        gravity: Gravity,
        key: &str,
        message: impl Into<String>,
    ) {
        let at = self.entry(key).map_or(self.section.at, |entry| entry.at);
        let of = Subject {
            at,
            section: &self.section.name,
            option: Some(key),
        };
        notes.add(gravity, of, message);
    }

    /// Says something of the section.
    pub(super) fn say_of_all(&self, notes: &mut Notes, gravity: Gravity, message: &str) {
        let of = Subject {
            at: self.section.at,
            section: &self.section.name,
            option: None,
        };
        notes.add(gravity, of, message);
    }
}

/// Reads values of options and reports those that cannot be read.
pub(super) struct Reading<'a, 'b> {
    pub(super) options: &'b Options<'a>,
    pub(super) names: Names<'b>,
    pub(super) notes: &'b mut Notes,
}

impl Reading<'_, '_> {
    /// Returns a value with the variables in it.
    pub(super) fn text(&mut self, key: &str) -> Option<Text> {
        let entry = self.options.entry(key)?;
        match expand(&entry.value, &self.names) {
            Ok(text) => Some(text),
            Err(error) => {
                self.wrong(key, &error);
                None
            }
        }
    }

    /// Returns a value as fathom reads it.
    pub(super) fn for_fathom(&mut self, key: &str) -> Option<String> {
        let text = self.text(key)?;
        self.kept(key, &text)
    }

    /// Returns a text as fathom reads it.
    pub(super) fn kept(&mut self, key: &str, text: &Text) -> Option<String> {
        text.for_fathom()
            .inspect_err(|error| self.wrong(key, error))
            .ok()
    }

    /// Returns a truth; `None` when it is not given.
    pub(super) fn truth(&mut self, key: &str) -> Option<bool> {
        self.value(key, value::truth)
    }

    /// Returns a whole number.
    pub(super) fn number(&mut self, key: &str) -> Option<i64> {
        self.value(key, value::number)
    }

    /// Returns a number that counts something.
    pub(super) fn count(&mut self, key: &str) -> Option<u64> {
        self.value(key, |text| {
            let number = value::number(text)?;
            u64::try_from(number).map_err(|_| ValueError::Number(text.to_owned()))
        })
    }

    /// Returns a size in bytes.
    pub(super) fn bytes(&mut self, key: &str) -> Option<u64> {
        self.value(key, value::bytes)
    }

    /// Returns a value that must be known now, whatever the environment says later.
    pub(super) fn value<T>(
        &mut self,
        key: &str,
        read: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        let text = self.text(key)?;
        let now = match text.now(self.names.environment) {
            Ok(now) => now,
            Err(error) => {
                self.wrong(key, &error);
                return None;
            }
        };
        match read(&now) {
            Ok(value) => {
                if text.varies() {
                    let message = format!("`{now}` of the present environment is written down");
                    self.say(Gravity::Changed, key, message);
                }
                Some(value)
            }
            Err(error) => {
                self.wrong(key, &error);
                None
            }
        }
    }

    /// Says something of an option.
    pub(super) fn say(&mut self, gravity: Gravity, key: &str, message: impl Into<String>) {
        self.options.say(self.notes, gravity, key, message);
    }

    /// Says that an option cannot be read.
    pub(super) fn wrong(&mut self, key: &str, error: &impl Refusal) {
        self.say(error.gravity(), key, error.to_string());
    }
}

/// Why a value is left out.
pub(super) trait Refusal: std::error::Error {
    /// Tells whether supervisord would refuse it as well.
    fn gravity(&self) -> Gravity {
        Gravity::Wrong
    }
}

impl Refusal for ValueError {}

impl Refusal for ExpandError {
    fn gravity(&self) -> Gravity {
        match self {
            // Good for supervisord; only fathom cannot write it.
            Self::Dollar => Gravity::Dropped,
            Self::Unknown(_) | Self::Percent | Self::Form { .. } | Self::Unset(_) => Gravity::Wrong,
        }
    }
}
