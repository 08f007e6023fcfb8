//! What is written: services with their fields, and the blocks of the file.

use toml::Value;

/// One line of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) value: Value,
}

impl Field {
    /// Makes a field.
    pub(super) fn new(key: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        Self { key, value }
    }

    /// Makes a field of a table, unless nothing is in it.
    pub(super) fn table(key: &'static str, entries: Vec<(&str, Value)>) -> Option<Self> {
        let entries = entries.into_iter();
        let table: toml::Table = entries.map(|(k, value)| (k.to_owned(), value)).collect();
        (!table.is_empty()).then(|| Self::new(key, Value::Table(table)))
    }
}

/// One process of a program.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Service {
    /// Where it was read from.
    pub(super) section: String,
    /// Key of its table; no other service has it.
    pub(super) name: String,
    pub(super) group: String,
    /// It is a group of its own, and the only one in it.
    pub(super) alone: bool,
    /// Of its group, then its own; lower ones start first.
    pub(super) priority: (i64, i64),
    pub(super) fields: Vec<Field>,
}

impl Service {
    /// Returns `group:service`, or `service` when both are equal.
    pub(super) fn full_name(&self) -> String {
        match self.group == self.name {
            true => self.name.clone(),
            false => format!("{}:{}", self.group, self.name),
        }
    }
}

/// A line of the file as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    /// A comment; the text follows the mark.
    Comment(String),
    /// `[group.NAME]`: its parts.
    Header(Vec<String>),
    /// `key = value`.
    Field(Field),
    /// `#key = value`.
    Off(Field),
    /// `#[service.NAME]`.
    OffHeader(Vec<String>),
    /// An empty line.
    Gap,
}
