//! How one record looks: a line for people, or one JSON object.

use std::borrow::Cow;
use std::fmt::Write as _;

use fathom_kernel::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};

/// One record, taken from `tracing` into plain values.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    pub(super) at: Timestamp,
    pub(super) level: &'static str,
    /// The service in question: the one that wrote the record, or else the one it is about; empty
    /// for the supervisor's own affairs.
    pub(super) service: Cow<'a, str>,
    pub(super) target: &'static str,
    pub(super) message: String,
    /// In the order in which the code gives them.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl<'a> Record<'a> {
    /// Takes a record that this service wrote; the empty name is the supervisor's.
    pub(super) fn new(event: &Event<'_>, writer: &'a str, at: Timestamp) -> Self {
        let metadata: &'static Metadata<'static> = event.metadata();
        let mut values = Values::default();
        event.record(&mut values);
        let service = match values.service {
            Some(about) if writer.is_empty() => Cow::Owned(about),
            Some(about) if about != writer => {
                values.fields.push(("service", about.into()));
                Cow::Borrowed(writer)
            }
            Some(_) | None => Cow::Borrowed(writer),
        };
        Self {
            at,
            level: metadata.level().as_str(),
            service,
            target: metadata.target(),
            message: values.message,
            fields: values.fields,
        }
    }

    /// Returns level, message and fields: what the writer's own log shows.
    pub(super) fn text(&self, writer: &str) -> String {
        let about = match &self.service {
            service if **service == *writer => String::new(),
            service => format!("{service}: "),
        };
        format!("{} {about}{}", self.level, self.facts())
    }

    fn facts(&self) -> String {
        let mut text = self.message.clone();
        for (key, value) in &self.fields {
            // Writing to a String cannot fail.
            match value {
                Value::String(value) if value.contains(char::is_whitespace) => {
                    write!(text, " {key}={value:?}")
                }
                Value::String(value) => write!(text, " {key}={value}"),
                value => write!(text, " {key}={value}"),
            }
            .ok();
        }
        text
    }

    /// Returns the whole line for people, with colours or without.
    pub(super) fn human(&self, colour: bool) -> String {
        let who = match &*self.service {
            "" => "fathom",
            service => service,
        };
        let (at, level, facts) = (self.at, self.level, self.facts());
        if !colour {
            return format!("{at:.3} {level:5} {who}: {facts}\n");
        }
        let style = style(level);
        let dim = anstyle::Style::new().dimmed();
        format!("{dim}{at:.3}{dim:#} {style}{level:5}{style:#} {dim}{who}:{dim:#} {facts}\n")
    }

    /// Returns the record as one line of JSON.
    pub(super) fn json(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

fn as_map<S: Serializer>(fields: &[(&'static str, Value)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(fields.iter().map(|(key, value)| (key, value)))
}

fn style(level: &str) -> anstyle::Style {
    use anstyle::AnsiColor::{Blue, Green, Magenta, Red, Yellow};
    let colour = match level {
        "ERROR" => Red,
        "WARN" => Yellow,
        "INFO" => Green,
        "DEBUG" => Blue,
        _ => Magenta,
    };
    anstyle::Style::new().fg_color(Some(colour.into()))
}

#[derive(Default)]
struct Values {
    message: String,
    /// A field of this name says which service the record is about.
    service: Option<String>,
    fields: Vec<(&'static str, Value)>,
}

impl Values {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.push((field.name(), value.into()));
    }

    fn put_text(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            "service" => self.service = Some(text),
            _ => self.put(field, text),
        }
    }
}

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put_text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, fathom_kernel::chain(value));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record() -> Record<'static> {
        Record {
            at: Timestamp::UNIX_EPOCH,
            level: "WARN",
            service: "monitoring:dom_rates".into(),
            target: "fathom_monitors",
            message: "subscriber fell behind".to_owned(),
            fields: vec![("queue", json!("a b")), ("dropped", json!(7))],
        }
    }

    #[test]
    fn people_read_time_level_service_and_facts() {
        assert_eq!(
            record().human(false),
            "1970-01-01T00:00:00.000Z WARN  monitoring:dom_rates: subscriber fell behind queue=\"a b\" dropped=7\n"
        );
    }

    #[test]
    fn programs_read_one_object() {
        let value: Value = serde_json::from_str(&record().json()).expect("JSON");
        assert_eq!(value["service"], "monitoring:dom_rates");
        assert_eq!(value["fields"]["dropped"], 7);
    }
}
