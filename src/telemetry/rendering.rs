//! How one record looks: a line for people, or one JSON object.

use std::fmt::Write as _;

use fathom_kernel::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};

/// One record, taken from `tracing` into plain values.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    pub(super) at: Timestamp,
    pub(super) level: &'static str,
    pub(super) service: &'a str,
    pub(super) target: &'static str,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) fields: Map<String, Value>,
}

impl<'a> Record<'a> {
    pub(super) fn new(event: &Event<'_>, service: &'a str, at: Timestamp) -> Self {
        let metadata: &'static Metadata<'static> = event.metadata();
        let mut values = Values::default();
        event.record(&mut values);
        Self {
            at,
            level: metadata.level().as_str(),
            service,
            target: metadata.target(),
            message: values.message,
            fields: values.fields,
        }
    }

    /// Returns level, message and fields: what a service's own log shows.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{} {}", self.level, self.message);
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
        let who = if self.service.is_empty() {
            "fathom"
        } else {
            self.service
        };
        let text = self.text();
        let rest = text.strip_prefix(self.level).unwrap_or(&text);
        if !colour {
            return format!("{:.3} {:5} {who}:{rest}\n", self.at, self.level);
        }
        let style = style(self.level);
        let dim = anstyle::Style::new().dimmed();
        format!(
            "{dim}{:.3}{dim:#} {style}{:5}{style:#} {dim}{who}:{dim:#}{rest}\n",
            self.at, self.level
        )
    }

    /// Returns the record as one line of JSON.
    pub(super) fn json(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
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
    fields: Map<String, Value>,
}

impl Values {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, text);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value);
        }
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
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.put(field, text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record() -> Record<'static> {
        let Value::Object(fields) = json!({"dropped": 7, "queue": "a b"}) else {
            unreachable!("an object literal");
        };
        Record {
            at: Timestamp::UNIX_EPOCH,
            level: "WARN",
            service: "monitoring:dom_rates",
            target: "fathom_monitors",
            message: "subscriber fell behind".to_owned(),
            fields,
        }
    }

    #[test]
    fn people_read_time_level_service_and_facts() {
        assert_eq!(
            record().human(false),
            "1970-01-01T00:00:00.000Z WARN  monitoring:dom_rates: subscriber fell behind dropped=7 queue=\"a b\"\n"
        );
    }

    #[test]
    fn programs_read_one_object() {
        let value: Value = serde_json::from_str(&record().json()).expect("JSON");
        assert_eq!(value["service"], "monitoring:dom_rates");
        assert_eq!(value["fields"]["dropped"], 7);
    }
}
