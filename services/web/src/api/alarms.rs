//! `/api/alarms/VERB`: what shifters do with alarms. The engine is asked, as `ctl alarms` and the
//! chatbot ask it, in the name of who is logged in.
//!
//! ```text
//! POST /api/alarms/acknowledge?id=12
//! POST /api/alarms/mute?rule=dom_inactive&subject=DU%203%20floor%207&for=2h&reason=known
//! POST /api/alarms/unmute?rule=dom_inactive&subject=DU%203%20floor%207
//! ```
//! A mute has an end, `for=2h` or `until=18:00 UTC`. Rule and subject are those of one alarm, not patterns.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use fathom_kernel::{Caller, Command, Reply};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Fault;
use super::status::{ask_status, unexpected};
use crate::access::Identity;
use crate::app::App;
use crate::options::Role;

/// Kind of the engine.
const ENGINE: &str = "alarms";
/// The engine writes an order down before it confirms it.
const DONE_WITHIN: Duration = Duration::from_secs(12);
/// Longest argument.
const TEXT_BYTES_MAX: usize = 2000;

/// What is to be done, and to which alarm.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wanted {
    id: Option<u64>,
    rule: Option<String>,
    subject: Option<String>,
    r#for: Option<String>,
    until: Option<String>,
    reason: Option<String>,
}

/// Acknowledges or mutes an alarm, or ends a mute.
pub(crate) async fn order(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    Path(verb): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Fault> {
    if identity.role < Role::Shifter {
        let text = match app.access.is_open() {
            true => "alarms are taken care of with an account of the role shifter or operator; \
                     none is configured"
                .to_owned(),
            false => format!("{} is neither shifter nor operator", identity.name()),
        };
        return Err(Fault::new(StatusCode::FORBIDDEN, text));
    }
    let args = wanted.args(&verb, identity.name())?;
    let services = ask_status(&app).await?.services;
    let is_engine = |kind: Option<&str>| kind == Some(ENGINE);
    let engine = services.into_iter().find(|s| is_engine(s.kind.as_deref()));
    let name = engine.map(|engine| engine.name).ok_or_else(|| {
        let text = "this stack has no service of kind `alarms`";
        Fault::new(StatusCode::NOT_FOUND, text)
    })?;
    let caller = Caller::new(identity.name(), &*app.service);
    tracing::info!(verb, caller = %caller, "order about alarms from the page");
    let command = Command::Request { name, verb, args };
    match tokio::time::timeout(DONE_WITHIN, app.control.ask(command, caller)).await {
        Ok(Ok(Reply::Answer(answer))) => Ok(Json(answer)),
        Ok(Ok(_)) => Err(unexpected()),
        Ok(Err(why)) => Err(why.into()),
        Err(_) => {
            let text = "the alarm engine does not answer";
            Err(Fault::new(StatusCode::GATEWAY_TIMEOUT, text))
        }
    }
}

impl Wanted {
    /// Makes the arguments of the engine's request, with the name of who wants it.
    fn args(self, verb: &str, by: &str) -> Result<Value, Fault> {
        let Self {
            id,
            rule,
            subject,
            r#for,
            until,
            reason,
        } = self;
        let one = |name: &'static str, text: Option<String>| match text {
            Some(text) if text.len() > TEXT_BYTES_MAX => {
                Err(Fault::bad_request(format!("{name} is too long")))
            }
            text => Ok(text.map(|text| (name, Value::from(text)))),
        };
        let names = [("rule", &rule), ("subject", &subject)];
        let mut args = Map::new();
        args.insert("by".to_owned(), by.into());
        match verb {
            "acknowledge" => {
                let id = id.ok_or_else(|| Fault::bad_request("id of an alarm expected"))?;
                args.insert("id".to_owned(), id.into());
            }
            "mute" | "unmute" => {
                for (name, text) in names {
                    let text = text.as_deref().map(literally);
                    // A mute is found by its own patterns, as they are written.
                    let text = match verb {
                        "unmute" => text.map(|text| literally(&text)),
                        _ => text,
                    };
                    let text = one(name, text)?;
                    let (name, text) =
                        text.ok_or_else(|| Fault::bad_request(format!("{name} expected")))?;
                    args.insert(name.to_owned(), text);
                }
            }
            _ => {
                let text = "acknowledge, mute or unmute expected";
                return Err(Fault::new(StatusCode::NOT_FOUND, text));
            }
        }
        if verb == "mute" {
            let further = [
                one("for", r#for)?,
                one("until", until)?,
                one("reason", reason)?,
            ];
            let further = further.into_iter().flatten();
            args.extend(further.map(|(name, text)| (name.to_owned(), text)));
        }
        Ok(Value::Object(args))
    }
}

/// Makes a pattern that fits this text only.
fn literally(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '*' | '?' | '[' => pattern.extend(['[', character, ']']),
            _ => pattern.push(character),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(query: &str) -> Wanted {
        let uri = format!("http://x/?{query}").parse().unwrap();
        Query::try_from_uri(&uri)
            .map(|Query(wanted)| wanted)
            .unwrap()
    }

    #[test]
    fn orders_name_one_alarm_and_who_gives_them() {
        let args = |verb, query| {
            wanted(query)
                .args(verb, "anna")
                .map_err(|fault| fault.text().to_owned())
        };
        assert_eq!(
            args("acknowledge", "id=12"),
            Ok(json!({ "id": 12, "by": "anna" }))
        );
        let query = "rule=r&subject=DU%201%20[*]&for=2h&reason=known";
        let expected = json!({
            "rule": "r", "subject": "DU 1 [[][*]]", "for": "2h", "reason": "known", "by": "anna",
        });
        assert_eq!(args("mute", query), Ok(expected));
        let expected = json!({ "rule": "r", "subject": "s", "by": "anna" });
        assert_eq!(args("unmute", "rule=r&subject=s&for=2h"), Ok(expected));
        let twice = args("unmute", "rule=r&subject=?").unwrap();
        assert_eq!(twice["subject"], "[[][?]]");
        assert_eq!(
            args("acknowledge", "rule=r"),
            Err("id of an alarm expected".into())
        );
        assert_eq!(args("mute", "rule=r"), Err("subject expected".into()));
        assert_eq!(
            args("test", "id=1"),
            Err("acknowledge, mute or unmute expected".into())
        );
        let long = format!("rule={}&subject=s", "x".repeat(3000));
        assert_eq!(args("mute", &long), Err("rule is too long".into()));
    }
}
