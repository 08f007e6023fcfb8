//! `alarm_elog`: alarms as entries of an ELOG logbook, with pictures of the plots they are about.
//!
//! An entry is one multipart form to `<url>/<logbook>`, as a browser would send it. The password goes
//! as ELOG wants it: crypted (SHA-256, no salt, 5000 rounds), without the four characters in front.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fathom_kernel::{
    BoxFuture, Caller, Command, ControlHandle, FromConfig, Notice, Output, Reply, Service,
    ServiceCx, ServiceError, Setup, Severity, Span, Stage,
};
use reqwest::header::LOCATION;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha_crypt::{Sha256Params, sha256_crypt_b64};
use tokio::time::timeout;
use tracing::warn;

use crate::engine::Pattern;
use crate::sink::{
    Only, Outlet, Parcel, QueueOptions, SendError, Taste, digest, one_line, run, subject,
};
use crate::web;

/// Rounds of the crypted password, as ELOG takes them.
const ROUNDS: usize = 5000;
/// Stands for the subject of the alarm in the name of a picture.
const SUBJECT: &str = "{subject}";
/// Before the name of a stored event.
const EVENT: &str = "event:";
/// Most pictures of one entry.
const PICTURES_MAX: usize = 5;
/// Largest picture.
const PICTURE_BYTES_MAX: usize = 16 << 20;
/// Time to draw a picture.
const PICTURE_WAIT: Duration = Duration::from_secs(15);

/// Options of `alarm_elog`; `username`, `password` and `url` stand in the section `ELOGService` of
/// km3mon's pipeline.toml, `logbook` in `ZTPlot`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Author of the entries.
    pub(crate) author: String,
    /// File with certificates (PEM) that are trusted beside those of the machine: those of authorities, or
    /// the server's own, such as a self-signed one, which must have the host name as a
    /// `subjectAltName`.
    pub(crate) ca_file: Option<PathBuf>,
    /// The least severity passed on: `info`, `warning` or `alert`.
    pub(crate) least: Severity,
    /// Logbook, as in its address.
    pub(crate) logbook: String,
    /// Rules that are not passed on, even when they stand in `rules`.
    pub(crate) not_rules: Vec<Pattern>,
    /// Password of the account.
    pub(crate) password: String,
    /// Entries in an hour; further alarms wait and become one entry. 0 is any number.
    /// While they wait the condition `sink_holding` holds and `status` says it; no sink passes that on.
    pub(crate) per_hour: usize,
    /// Picture that is attached, by rule: the name of an output, or `event:NAME` for a stored event;
    /// `{subject}` stands for the subject of the alarm.
    pub(crate) pictures: BTreeMap<String, String>,
    /// How outages are borne.
    pub(crate) queue: QueueOptions,
    /// An alarm that still fires is told again after this at the soonest; `0s` is never.
    pub(crate) repeat: Span,
    /// Rules that are passed on; `*` stands for any characters.
    pub(crate) rules: Vec<Pattern>,
    /// Changes to these stages are passed on.
    pub(crate) stages: Vec<Stage>,
    /// Subjects (of alarms) that are passed on.
    pub(crate) subjects: Vec<Pattern>,
    /// Subject of the entry, by rule; without, the text of the alarm.
    pub(crate) titles: BTreeMap<String, String>,
    /// Type of the entries.
    pub(crate) r#type: String,
    /// Address of the server.
    pub(crate) url: String,
    /// User name of the account.
    pub(crate) username: String,
}

impl Default for Options {
    fn default() -> Self {
        let by_rule = |rule: &str, value: &str| (rule.to_owned(), value.to_owned());
        Self {
            author: "monitoring".to_owned(),
            ca_file: None,
            least: Severity::Info,
            logbook: "Individual+Logbooks".to_owned(),
            not_rules: Vec::new(),
            password: String::new(),
            per_hour: 20,
            pictures: BTreeMap::from([by_rule("top10_event", "event:{subject}")]),
            queue: QueueOptions::default(),
            repeat: Span::ZERO,
            rules: vec![Pattern::new("top10_event").unwrap_or_default()],
            stages: vec![Stage::Firing],
            subjects: vec![Pattern::any()],
            titles: BTreeMap::from([by_rule("top10_event", "New massive event!")]),
            r#type: "Monitoring".to_owned(),
            url: String::new(),
            username: "km3net".to_owned(),
        }
    }
}

/// The service.
pub(crate) struct AlarmElog {
    options: Options,
}

impl FromConfig<Options> for AlarmElog {
    fn check(options: &Options, _: &Setup) -> Result<(), String> {
        web::checked_url("url", &options.url)?;
        for (name, value) in [
            ("password", &options.password),
            ("logbook", &options.logbook),
        ] {
            if value.is_empty() {
                return Err(format!("{name} is empty"));
            }
        }
        if options.logbook.contains(['/', '?', '#']) {
            return Err(format!("logbook is {:?}, expected a name", options.logbook));
        }
        for picture in options.pictures.values() {
            let example = picture.replace(SUBJECT, "x");
            let name = example.strip_prefix(EVENT).unwrap_or(&example);
            if !Output::is_valid_name(name) {
                return Err(format!("pictures: {picture:?} is no name of an output"));
            }
        }
        options.queue.problem().map_or(Ok(()), Err)
    }

    fn from_config(options: &Options, _: &Setup) -> Self {
        Self {
            options: options.clone(),
        }
    }
}

impl Service for AlarmElog {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        let options = self.options;
        let taste = Taste {
            least: options.least,
            only: Only {
                rules: options.rules.clone(),
                not_rules: options.not_rules.clone(),
                subjects: options.subjects.clone(),
            },
            stages: options.stages.clone(),
            repeat: options.repeat.duration(),
            per_hour: options.per_hour,
            queue: options.queue.clone(),
        };
        Box::pin(async move {
            let (control, name) = (cx.control.clone(), cx.name.to_string());
            // Certificates are read from the disk, and 5000 rounds take their time.
            let make = move || Logbook::new(options, control, name);
            let made = tokio::task::spawn_blocking(make).await;
            let logbook = made
                .map_err(ServiceError::new)?
                .map_err(ServiceError::new)?;
            run(cx, logbook, taste).await
        })
    }
}

/// Writes entries.
struct Logbook {
    client: Client,
    options: Options,
    crypted: String,
    control: ControlHandle,
    name: String,
}

/// Crypts a password as ELOG wants it.
fn crypted(password: &str) -> Result<String, String> {
    let rounds = Sha256Params::new(ROUNDS).map_err(|error| format!("{error:?}"))?;
    // Of `$5$$...` only what follows the four characters is sent, and that is this text.
    sha256_crypt_b64(password.as_bytes(), b"", &rounds).map_err(|error| format!("{error:?}"))
}

impl Logbook {
    fn new(options: Options, control: ControlHandle, name: String) -> Result<Self, String> {
        Ok(Self {
            client: web::client(options.ca_file.as_deref())?,
            crypted: crypted(&options.password)?,
            options,
            control,
            name,
        })
    }

    async fn write(&self, parcel: &Parcel) -> Result<(), String> {
        let options = &self.options;
        let mut form = self.form(parcel);
        for (index, (name, png)) in self.pictures(parcel).await.into_iter().enumerate() {
            let part = Part::bytes(png).file_name(format!("{name}.png"));
            let part = part.mime_str("image/png").map_err(web::failed)?;
            form = form.part(format!("attfile{}", index + 1), part);
        }
        let address = format!("{}/{}", options.url.trim_end_matches('/'), options.logbook);
        let sent = self.client.post(address).multipart(form).send().await;
        let answer = sent.map_err(web::failed)?;
        let status = answer.status();
        let location = answer.headers().get(LOCATION);
        let location = location.and_then(|to| to.to_str().ok()).unwrap_or_default();
        let to_login = location.contains("fail=");
        match status {
            StatusCode::FOUND if !to_login => Ok(()),
            StatusCode::OK => {
                let page = web::body(answer).await?;
                let page = String::from_utf8_lossy(&page).to_lowercase();
                match page.contains("type=\"password\"") || page.contains("type=password") {
                    true => Err(format!("log-in as {} refused", options.username)),
                    false => Ok(()),
                }
            }
            StatusCode::FOUND => Err(format!("log-in as {} refused", options.username)),
            other => Err(format!("answer {}, expected 200 or 302", other.as_u16())),
        }
    }

    /// The title for all that is in a parcel, when there is one for it.
    fn title(&self, parcel: &Parcel) -> Option<&str> {
        let title = |notice: &Notice| self.options.titles.get(&notice.rule);
        let first = title(parcel.notices.first()?)?;
        let is_same = |notice| title(notice) == Some(first);
        parcel.notices.iter().all(is_same).then_some(first)
    }

    /// The fields of the entry, in the order in which a browser sends them.
    fn form(&self, parcel: &Parcel) -> Form {
        let options = &self.options;
        let title = self.title(parcel);
        let is_whole = parcel.dropped == 0 && (title.is_some() || parcel.notices.len() == 1);
        let texts = parcel.notices.iter().map(|notice| &*notice.text);
        let text = match is_whole {
            true => texts.collect::<Vec<_>>().join("\n\n"),
            false => digest(parcel),
        };
        let title = title.map_or_else(|| subject(parcel), one_line);
        let when = parcel
            .notices
            .first()
            .map_or(0, |notice| notice.at.as_second());
        Form::new()
            .text("exp", options.logbook.clone())
            .text("cmd", "Submit")
            .text("Subject", title)
            .text("Author", options.author.clone())
            .text("Type", options.r#type.clone())
            .text("unm", options.username.clone())
            .text("upwd", self.crypted.clone())
            .text("When", when.to_string())
            .text("Text", text)
    }

    /// Returns the pictures that belong to the rules. One that cannot be had is left out: an entry
    /// without it is better than none.
    async fn pictures(&self, parcel: &Parcel) -> Vec<(String, Vec<u8>)> {
        let named = |notice: &Notice| {
            let picture = self.options.pictures.get(&notice.rule)?;
            Some(picture.replace(SUBJECT, &notice.subject))
        };
        let names: BTreeSet<String> = parcel.notices.iter().filter_map(named).collect();
        if names.is_empty() {
            return Vec::new();
        }
        let Some(webserver) = self.webserver().await else {
            warn!("no web server in this stack that could draw a picture");
            return Vec::new();
        };
        let mut pictures = Vec::new();
        for name in names.into_iter().take(PICTURES_MAX) {
            match self.picture(&webserver, &name).await {
                Ok(png) => {
                    let file = name.strip_prefix(EVENT).unwrap_or(&name);
                    // An event of another table is called `TABLE/NAME`.
                    pictures.push((file.replace('/', "_"), png));
                }
                Err(reason) => warn!(output = %name, reason, "entry without a picture"),
            }
        }
        pictures
    }

    fn caller(&self) -> Caller {
        Caller::new(&self.name, "service")
    }

    async fn webserver(&self) -> Option<String> {
        let status = Command::Status {
            targets: Vec::new(),
        };
        let answer = timeout(PICTURE_WAIT, self.control.ask(status, self.caller())).await;
        let Ok(Ok(Reply::Status(status))) = answer else {
            return None;
        };
        let mut services = status.services.into_iter();
        let found = services.find(|service| service.kind.as_deref() == Some("webserver"))?;
        Some(found.name)
    }

    async fn picture(&self, webserver: &str, name: &str) -> Result<Vec<u8>, String> {
        let request = Command::Request {
            name: webserver.to_owned(),
            verb: "picture".to_owned(),
            args: match name.strip_prefix(EVENT) {
                Some(event) => json!({ "event": event }),
                None => json!({ "name": name }),
            },
        };
        let answer = timeout(PICTURE_WAIT, self.control.ask(request, self.caller())).await;
        let drawn = match answer {
            Ok(Ok(Reply::Answer(drawn))) => drawn,
            Ok(Ok(_)) => return Err("an answer of another kind".to_owned()),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("not drawn within {} s", PICTURE_WAIT.as_secs())),
        };
        decoded(&drawn)
    }
}

/// Reads the picture of an answer.
fn decoded(drawn: &Value) -> Result<Vec<u8>, String> {
    let text = drawn.get("base64").and_then(Value::as_str);
    let text = text.ok_or("an answer without a picture")?;
    if text.len() > PICTURE_BYTES_MAX / 3 * 4 {
        return Err(format!(
            "the picture exceeds limit {PICTURE_BYTES_MAX} bytes"
        ));
    }
    BASE64_STANDARD
        .decode(text)
        .map_err(|error| error.to_string())
}

impl Outlet for Logbook {
    fn send(&mut self, parcel: Parcel) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(async move { self.write(&parcel).await.map_err(SendError) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_crypted_as_others_do() {
        // By glibc: crypt("secret", "$5$$") is "$5$$" and this.
        assert_eq!(
            crypted("secret").unwrap(),
            "o1w7HPzHt8gHmL5zUzDkRqt6Az.BjDfkvuDNNLWnXx5"
        );
    }

    #[test]
    fn a_picture_comes_as_base64() {
        assert_eq!(decoded(&json!({ "base64": "aGk=" })).unwrap(), b"hi");
        let nothing = decoded(&json!({})).unwrap_err();
        assert!(nothing.contains("without a picture"));
        assert!(decoded(&json!({ "base64": "-" })).is_err());
    }
}
