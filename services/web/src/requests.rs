//! What other services ask of the web server: the number of its readers, an empty cache, a picture.
//!
//! Requests come through the control handle of the asker (`Command::Request` with this service's
//! name), or with `ctl request`:
//!
//! | verb | arguments | answer |
//! |---|---|---|
//! | `clients` | | `{"live": 3}`, the live pages |
//! | `reset` | | `{}`; forgets what is drawn |
//! | `picture` | `{"name": "dom_rates"}` | the output of this name, as it is on the board |
//! | `picture` | `{"view": {...}}` | an output given as JSON, which need not be on the board |
//! | `picture` | `{"event": "ztplot_..."}` | a stored event of `/event_selection`, `TABLE/ztplot_...` of another table |
//!
//! Pictures take `width` and `height` (pixels) as well, and are answered by
//! `{"name": "dom_rates", "title": "...", "media_type": "image/png", "base64": "..."}`.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fathom_kernel::{Output, Request};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::Fault;
use crate::api::plots::drawn;
use crate::app::App;
use crate::picture::{self, Size};
use crate::shelf::Form;

/// Most pictures that are drawn for services at a time; further requests are refused.
const PICTURES_MAX: usize = 8;

/// Arguments of the verb `picture`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    view: Option<Box<Output>>,
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    width: Option<u32>,
    #[serde(default)]
    height: Option<u32>,
}

/// Answers requests until told to stop.
pub(crate) async fn answer_until_stop(
    inbox: &mut mpsc::Receiver<Request>,
    stop: &CancellationToken,
    app: &Arc<App>,
) {
    // Dropping the set ends what is still drawn.
    let mut pictures = JoinSet::new();
    loop {
        let request = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(_) = pictures.join_next() => continue,
            request = inbox.recv() => request,
        };
        let Some(request) = request else {
            return stop.cancelled().await;
        };
        let answer = match request.verb.as_str() {
            "clients" => Ok(json!({ "live": app.hub.clients_now() })),
            "reset" => {
                app.shelf.clear();
                Ok(json!({}))
            }
            "picture" if pictures.len() >= PICTURES_MAX => {
                Err("too many pictures at a time; try again".to_owned())
            }
            "picture" => {
                let app = app.clone();
                pictures.spawn(async move {
                    let answer = answer(&app, request.args).await;
                    reply(request.reply, answer);
                });
                continue;
            }
            verb => Err(format!(
                "unknown request `{verb}`; known: clients, reset, picture"
            )),
        };
        reply(request.reply, answer);
    }
}

type Answer = Result<Value, String>;

fn reply(to: tokio::sync::oneshot::Sender<Answer>, answer: Answer) {
    if to.send(answer).is_err() {
        tracing::debug!("who asked is gone");
    }
}

async fn answer(app: &App, args: Value) -> Answer {
    let wanted: Wanted = serde_json::from_value(args).map_err(|error| error.to_string())?;
    picture(app, wanted)
        .await
        .map_err(|fault| fault.text().to_owned())
}

async fn picture(app: &App, wanted: Wanted) -> Result<Value, Fault> {
    let size = (wanted.width, wanted.height);
    let (name, title, png) = match (wanted.name, wanted.view, wanted.event) {
        (Some(name), None, None) => {
            let entry = app
                .board
                .entry(&name)
                .ok_or_else(|| Fault::no_output(&name))?;
            let title = entry.output.title.clone();
            let (png, _) = drawn(app, entry, size, Form::Png).await?;
            (name, title, png)
        }
        (None, Some(output), None) => {
            if let Some(why) = output.view.fault() {
                return Err(Fault::bad_request(why));
            }
            let (name, title) = (output.name.clone(), output.title.clone());
            let now = app.clock.now();
            let size = Size::wanted(&output.view, size);
            let draw = move || Ok::<_, Fault>(picture::draw(&output, now, now, size));
            (name, title, app.shelf.make(draw).await?.into())
        }
        (None, None, Some(event)) => {
            let (png, _) = crate::api::events::drawn(app, &event, size).await?;
            (event.clone(), event, png)
        }
        _ => {
            let expected = "one of `name`, `view` and `event` expected";
            return Err(Fault::bad_request(expected));
        }
    };
    Ok(json!({
        "name": name,
        "title": title,
        "media_type": "image/png",
        "base64": BASE64_STANDARD.encode(&png),
    }))
}
