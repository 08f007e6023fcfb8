//! `/api/faulty/SERVICE`: the last messages that a monitor could not read, and their bytes.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Fault;
use super::ask::put;
use crate::access::Identity;
use crate::app::App;

/// The question that monitors answer.
const VERB: &str = "bad";
/// Longest part of a file name that comes from a message.
const PART_MAX: usize = 60;

/// What a monitor says of one message.
#[derive(Debug, Deserialize)]
struct Message {
    tag: String,
    reason: String,
    number: u64,
    bytes: usize,
    kept_bytes: usize,
    body_base64: String,
}

/// Lists the messages without their bodies, oldest first.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    Path(service): Path<String>,
) -> Result<Json<Value>, Fault> {
    let question = (service, VERB.to_owned());
    let messages = put(&app, &identity, question, Value::Null)
        .await?
        .map_err(|why| Fault::new(StatusCode::UNPROCESSABLE_ENTITY, why))?;
    Ok(Json(json!({ "messages": messages })))
}

/// Returns a message as it came.
pub(crate) async fn download(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    Path((service, number)): Path<(String, u64)>,
) -> Result<Response, Fault> {
    let question = (service, VERB.to_owned());
    let answer = put(&app, &identity, question, json!({ "number": number }))
        .await?
        .map_err(|why| Fault::new(StatusCode::NOT_FOUND, why))?;
    let message: Message = serde_json::from_value(answer).map_err(|_| unreadable())?;
    let name = file_name(&message);
    let decode = move || {
        let body = BASE64_STANDARD.decode(message.body_base64);
        body.map_err(|_| unreadable())
    };
    let mut response = app.shelf.make(decode).await?.into_response();
    let attachment = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let set = response.headers_mut();
    set.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    set.insert(
        header::CONTENT_DISPOSITION,
        attachment.map_err(|_| unreadable())?,
    );
    Ok(response)
}

fn unreadable() -> Fault {
    let text = "the service gave something else than a message";
    Fault::new(StatusCode::BAD_GATEWAY, text)
}

/// Returns the name of the file: which tag, what is wrong with it, which one.
fn file_name(message: &Message) -> String {
    let cut = match message.kept_bytes < message.bytes {
        true => "-beginning",
        false => "",
    };
    let (tag, reason) = (plain(&message.tag), plain(&message.reason));
    format!("{tag}-{reason}-{}{cut}.bin", message.number)
}

/// Makes a text fit for a file name anywhere.
fn plain(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let fitting = text.chars().map(|c| if fits(c) { c } else { '_' });
    fitting.take(PART_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_tag_and_reason_and_whether_it_is_all() {
        let mut message = Message {
            tag: "IO_EVT".into(),
            reason: "too short\"\r\n../x".into(),
            number: 3,
            bytes: 10,
            kept_bytes: 10,
            body_base64: String::new(),
        };
        assert_eq!(file_name(&message), "IO_EVT-too_short___.._x-3.bin");
        message.kept_bytes = 5;
        assert!(file_name(&message).ends_with("-3-beginning.bin"));
    }
}
