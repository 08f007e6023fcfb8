//! What the engine is asked: `list`, `history`, `acknowledge`, `resolve`, `mute`, `unmute`, `test`.

use std::time::Duration;

use fathom_kernel::{Alarm, Severity, Span};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::{Book, Case, Input, Pattern, Pick, Until};

/// Longest mute.
const MUTE_MAX: Duration = Duration::from_secs(30 * 86_400);
/// Most rows of the history in one answer.
const ROWS_MAX: usize = 5000;

/// Something to do or to tell.
#[derive(Debug)]
pub(crate) enum Order {
    /// Tell all alarms and mutes.
    List,
    /// Tell rows of the history behind a number.
    History { after: u64, count: usize },
    /// Change something.
    Change(Input),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryArgs {
    #[serde(default)]
    after: u64,
    #[serde(default = "rows_max")]
    count: usize,
}

fn rows_max() -> usize {
    ROWS_MAX
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PickArgs {
    id: Option<u64>,
    rule: Option<Pattern>,
    subject: Option<Pattern>,
    by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MuteArgs {
    #[serde(default)]
    rule: Pattern,
    #[serde(default)]
    subject: Pattern,
    r#for: Option<Span>,
    until: Option<Until>,
    by: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestArgs {
    #[serde(default = "test_severity")]
    severity: Severity,
    by: String,
}

fn test_severity() -> Severity {
    Severity::Alert
}

impl Order {
    /// Reads a request; the error says what was expected. `own` is the name of the engine.
    pub(crate) fn read(
        verb: &str,
        args: Value,
        (own, now): (&str, Timestamp),
    ) -> Result<Self, String> {
        match verb {
            "list" => Ok(Self::List),
            "history" => {
                // Nothing said is everything.
                let args = if args.is_null() { json!({}) } else { args };
                let HistoryArgs { after, count } = from(args)?;
                let count = count.min(ROWS_MAX);
                Ok(Self::History { after, count })
            }
            "acknowledge" => {
                let (pick, by) = from::<PickArgs>(args)?.pick()?;
                Ok(Self::Change(Input::Acknowledge { pick, by }))
            }
            "resolve" => {
                let (pick, by) = from::<PickArgs>(args)?.pick()?;
                Ok(Self::Change(Input::Close { pick, by }))
            }
            "unmute" => {
                let (pick, by) = from::<PickArgs>(args)?.pick()?;
                Ok(Self::Change(Input::Unmute { pick, by }))
            }
            "mute" => from::<MuteArgs>(args)?.order(now).map(Self::Change),
            "test" => {
                let TestArgs { severity, by } = from(args)?;
                Ok(Self::Change(Input::Said(test(own, severity, &by, now))))
            }
            _ => Err(format!(
                "unknown request {verb:?}, expected list, history, acknowledge, resolve, mute, \
                 unmute or test"
            )),
        }
    }
}

fn from<T: for<'a> Deserialize<'a>>(args: Value) -> Result<T, String> {
    serde_json::from_value(args).map_err(|error| error.to_string())
}

/// Makes the alarm that tries whether notices arrive.
fn test(own: &str, severity: Severity, by: &str, now: Timestamp) -> Alarm {
    Alarm {
        service: own.to_owned(),
        rule: "test".to_owned(),
        subject: "test".to_owned(),
        severity,
        firing: true,
        text: format!("{by} tries whether alarms arrive; nothing is wrong"),
        at: now,
    }
}

impl PickArgs {
    fn pick(self) -> Result<(Pick, String), String> {
        let by = named(self.by)?;
        let pick = match (self.id, self.rule, self.subject) {
            (Some(id), None, None) => Pick::Id(id),
            (None, None, None) => return Err("expected `id`, or `rule` and `subject`".to_owned()),
            (None, rule, subject) => Pick::Fitting {
                rule: rule.unwrap_or_default(),
                subject: subject.unwrap_or_default(),
            },
            (Some(_), ..) => return Err("expected either `id`, or `rule` and `subject`".to_owned()),
        };
        Ok((pick, by))
    }
}

impl MuteArgs {
    fn order(self, now: Timestamp) -> Result<Input, String> {
        let by = named(self.by)?;
        let until = match (self.r#for, self.until) {
            (Some(time), None) => now + time.duration().min(MUTE_MAX * 2),
            (None, Some(until)) => until
                .after(now)
                .ok_or_else(|| format!("there is no {until} any more"))?,
            _ => return Err("expected `for` or `until`: a mute has an end".to_owned()),
        };
        if until <= now || until > now + MUTE_MAX {
            let most = Span::from(MUTE_MAX);
            return Err(format!("a mute ends in the future, within {most}"));
        }
        Ok(Input::Mute {
            rule: self.rule,
            subject: self.subject,
            until,
            by,
            reason: self.reason,
        })
    }
}

fn named(by: String) -> Result<String, String> {
    match by.trim().is_empty() {
        true => Err("`by` is empty, expected a name".to_owned()),
        false => Ok(by),
    }
}

/// Tells all alarms and mutes.
pub(crate) fn list(book: &Book) -> Value {
    let alarm = |case: &Case| {
        let mut told = json!(case);
        if let Value::Object(told) = &mut told {
            told.remove("onsets");
            told.insert("stage".to_owned(), json!(case.phase.stage()));
        }
        told
    };
    json!({
        "alarms": book.cases().map(alarm).collect::<Vec<_>>(),
        "mutes": book.mutes(),
        "refused": book.refused(),
    })
}

/// Tells the oldest rows of the history behind a number, and the number of the newest.
pub(crate) fn history(book: &Book, after: u64, count: usize) -> Value {
    let rows = book.history().filter(|row| row.entry > after);
    json!({
        "notices": rows.take(count).collect::<Vec<_>>(),
        "last": book.last_entry(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn read(verb: &str, args: Value) -> Result<Order, String> {
        Order::read(verb, args, ("alarms", at(1000)))
    }

    #[test]
    fn orders_are_read() {
        let order = read(
            "mute",
            json!({ "rule": "dom_*", "for": "2h", "by": "anna" }),
        )
        .unwrap();
        let Order::Change(Input::Mute { until, subject, .. }) = order else {
            panic!("{order:?}")
        };
        assert_eq!((until, subject.as_str()), (at(8200), "*"));
        let order = read("mute", json!({ "until": "02:00 UTC", "by": "anna" }));
        assert!(matches!(
            order,
            Ok(Order::Change(Input::Mute { until, .. })) if until == at(7200)
        ));
        let order = read("acknowledge", json!({ "id": 3, "by": "anna" }));
        assert!(matches!(
            order,
            Ok(Order::Change(Input::Acknowledge {
                pick: Pick::Id(3),
                ..
            }))
        ));
        assert!(matches!(
            read("history", Value::Null),
            Ok(Order::History { after: 0, .. })
        ));
    }

    #[test]
    fn what_is_wrong_with_an_order_is_said() {
        for (verb, args, expected) in [
            ("dance", json!({}), "unknown request"),
            ("acknowledge", json!({ "by": "anna" }), "expected `id`"),
            ("acknowledge", json!({ "id": 1 }), "missing field `by`"),
            (
                "acknowledge",
                json!({ "id": 1, "by": " " }),
                "`by` is empty",
            ),
            (
                "acknowledge",
                json!({ "id": 1, "rule": "r", "by": "a" }),
                "either `id`",
            ),
            ("mute", json!({ "by": "anna" }), "has an end"),
            ("mute", json!({ "for": "40d", "by": "anna" }), "within 30d"),
            (
                "mute",
                json!({ "until": "1970-01-01T00:00:01Z", "by": "a" }),
                "in the future",
            ),
            (
                "mute",
                json!({ "until": "tonight", "by": "a" }),
                "\"tonight\" is no time; expected such as \"18:00 UTC\"",
            ),
            (
                "mute",
                json!({ "for": "tonight", "by": "a" }),
                "`tonight` is not a number with a unit",
            ),
            (
                "mute",
                json!({ "for": "1h", "by": "a", "rule": "[" }),
                "pattern \"[\"",
            ),
        ] {
            let error = read(verb, args).unwrap_err();
            assert!(error.contains(expected), "{verb}: {error}");
        }
    }
}
