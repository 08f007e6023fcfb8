//! `alarm_chat`: alarms as messages in a channel of Rocket.Chat, or by a webhook.

use std::path::PathBuf;
use std::sync::Arc;

use fathom_kernel::{
    BoxFuture, Caller, Command, ControlHandle, FromConfig, Notice, Service, ServiceCx,
    ServiceError, Setup, Severity, Span, Stage,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::chat::{Account, Chat, Console, RocketChat, Senses, Transport, Webhook};
use crate::sink::{Only, Outlet, Parcel, QueueOptions, SendError, Taste, digest, run};
use crate::{ask, find, idle, web};

/// Kind of the service that knows who is on shift.
const CHATBOT: &str = "chatbot";

/// Options of `alarm_chat`; `enabled`, `botname`, `password` and `channel` stand in the section
/// `Alerts` of km3mon's pipeline.toml.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// User name on the server (`rocketchat`).
    pub(crate) botname: String,
    /// File with certificates (PEM) that are trusted beside those of the machine: those of authorities, or
    /// the server's own, such as a self-signed one, which must have the host name as a
    /// `subjectAltName`.
    pub(crate) ca_file: Option<PathBuf>,
    /// Channel (`rocketchat`).
    pub(crate) channel: String,
    /// Without, the service runs and says nothing.
    pub(crate) enabled: bool,
    /// The least severity passed on: `info`, `warning` or `alert`.
    pub(crate) least: Severity,
    /// Alarms of this severity and above that begin are said to those on shift, by the names that the
    /// `chatbot` of the stack has; `none` names nobody.
    pub(crate) mention: Mention,
    /// Which alarms are passed on.
    pub(crate) only: Only,
    /// Password on the server (`rocketchat`).
    pub(crate) password: String,
    /// Messages in an hour; further alarms wait and become one message. 0 is any number.
    /// While they wait the condition `sink_holding` holds and `status` says it; no sink passes that on.
    pub(crate) per_hour: usize,
    /// How outages are borne.
    pub(crate) queue: QueueOptions,
    /// An alarm that still fires is told again after this at the soonest; `0s` is never.
    pub(crate) repeat: Span,
    /// Changes to these stages are passed on.
    pub(crate) stages: Vec<Stage>,
    /// `rocketchat`, `webhook` (Mattermost, Slack, Rocket.Chat) or `console` (the log).
    pub(crate) transport: Transport,
    /// Address of the server, or of the webhook.
    pub(crate) url: String,
}

/// The least severity at which those on shift are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mention {
    /// Nobody is named.
    None,
    /// At any.
    Info,
    /// At warnings and alerts.
    Warning,
    /// At alerts.
    Alert,
}

impl Mention {
    fn least(self) -> Option<Severity> {
        match self {
            Self::None => None,
            Self::Info => Some(Severity::Info),
            Self::Warning => Some(Severity::Warning),
            Self::Alert => Some(Severity::Alert),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            botname: String::new(),
            ca_file: None,
            channel: String::new(),
            enabled: true,
            least: Severity::Warning,
            mention: Mention::Alert,
            only: Only::default(),
            password: String::new(),
            per_hour: 60,
            queue: QueueOptions::default(),
            repeat: Span::from_secs(1800),
            stages: vec![
                Stage::Firing,
                Stage::Acknowledged,
                Stage::Muted,
                Stage::Resolved,
            ],
            transport: Transport::Rocketchat,
            url: String::new(),
        }
    }
}

/// Makes the channel of a chat. Blocks on the disk.
pub(crate) fn channel(
    transport: Transport,
    account: Account,
    ca_file: Option<PathBuf>,
    senses: Senses,
) -> Result<Box<dyn Chat>, String> {
    let Senses { listening, ears } = senses;
    let client = || web::client(ca_file.as_deref());
    Ok(match transport {
        Transport::Rocketchat => Box::new(RocketChat::new(client()?, account, listening)),
        Transport::Webhook => Box::new(Webhook::new(client()?, account.url, ears)),
        Transport::Console => Box::new(Console),
    })
}

/// Says what an account lacks for a chat.
pub(crate) fn checked(transport: Transport, account: &Account) -> Result<(), String> {
    if transport == Transport::Console {
        return Ok(());
    }
    web::checked_url("url", &account.url)?;
    let Account {
        user,
        password,
        channel,
        ..
    } = account;
    if transport == Transport::Rocketchat {
        for (name, value) in [
            ("botname", user),
            ("password", password),
            ("channel", channel),
        ] {
            if value.is_empty() {
                return Err(format!(
                    "{name} is empty; transport = \"rocketchat\" needs it"
                ));
            }
        }
    }
    Ok(())
}

impl Options {
    fn account(&self) -> Account {
        Account {
            url: self.url.clone(),
            user: self.botname.clone(),
            password: self.password.clone(),
            channel: self.channel.clone(),
        }
    }
}

/// The service.
pub(crate) struct AlarmChat {
    options: Options,
}

impl FromConfig<Options> for AlarmChat {
    fn check(options: &Options, _: &Setup) -> Result<(), String> {
        if options.enabled {
            checked(options.transport, &options.account())?;
        }
        options.queue.problem().map_or(Ok(()), Err)
    }

    fn from_config(options: &Options, _: &Setup) -> Self {
        Self {
            options: options.clone(),
        }
    }
}

impl Service for AlarmChat {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        let options = self.options;
        if !options.enabled {
            return Box::pin(idle(cx));
        }
        let account = options.account();
        let taste = Taste {
            least: options.least,
            only: options.only,
            stages: options.stages,
            repeat: options.repeat.duration(),
            per_hour: options.per_hour,
            queue: options.queue,
        };
        Box::pin(async move {
            // Certificates are read from the disk.
            let senses = Senses::default();
            let make = move || channel(options.transport, account, options.ca_file, senses);
            let made = tokio::task::spawn_blocking(make).await;
            let chat = made
                .map_err(ServiceError::new)?
                .map_err(ServiceError::new)?;
            let room = Room {
                chat,
                mention: options.mention.least(),
                own: cx.name.clone(),
                control: cx.control.clone(),
            };
            run(cx, room, taste).await
        })
    }
}

/// Says alarms in a channel.
struct Room {
    chat: Box<dyn Chat>,
    mention: Option<Severity>,
    own: Arc<str>,
    control: ControlHandle,
}

impl Outlet for Room {
    fn send(&mut self, parcel: Parcel) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(async move {
            let mut text = digest(&parcel);
            if is_for_shifters(&parcel, self.mention) {
                text.insert_str(0, &shifters(&self.control, &self.own).await);
            }
            let said = self.chat.post(&text).await;
            said.map_err(|error| SendError(error.to_string()))
        })
    }
}

/// Returns how those on shift are addressed; empty when nobody is, or nobody knows.
async fn shifters(control: &ControlHandle, own: &str) -> String {
    let caller = || Caller::new(own, "service");
    let Some(name) = find(control, caller(), CHATBOT).await else {
        return String::new();
    };
    let question = Command::Request {
        name,
        verb: "shifters".to_owned(),
        args: Value::Null,
    };
    let names: Option<Vec<String>> = ask(control, caller(), question).await;
    match names.unwrap_or_default().as_slice() {
        [] => String::new(),
        names => format!("@{}: ", names.join(" @")),
    }
}

fn is_for_shifters(parcel: &Parcel, mention: Option<Severity>) -> bool {
    let begins = |notice: &Notice| notice.to == Stage::Firing && Some(notice.severity) >= mention;
    mention.is_some() && parcel.notices.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::example;

    fn parcel(severity: Severity, to: Stage) -> Parcel {
        let notice = Notice {
            severity,
            ..example(to)
        };
        Parcel {
            notices: vec![notice],
            dropped: 0,
        }
    }

    #[test]
    fn those_on_shift_are_named_when_something_bad_enough_begins() {
        let named = |severity, to, mention: Mention| {
            is_for_shifters(&parcel(severity, to), mention.least())
        };
        assert!(named(Severity::Alert, Stage::Firing, Mention::Alert));
        assert!(named(Severity::Alert, Stage::Firing, Mention::Info));
        assert!(!named(Severity::Warning, Stage::Firing, Mention::Alert));
        assert!(!named(Severity::Alert, Stage::Resolved, Mention::Alert));
        assert!(!named(Severity::Alert, Stage::Firing, Mention::None));
    }
}
