//! Options of `chatbot`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use fathom_kernel::{Counters, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::roles::names;
use crate::alarm_chat::checked;
use crate::chat::{Account, Hook, Listening, Transport};

/// A shorter secret can be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// Options of `chatbot`; `enabled`, `botname`, `password`, `channel`, `operators` and `shifters`
/// stand in the section `Alerts` of km3mon's pipeline.toml.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// User name of the bot; it heeds what begins with `@` and this name.
    pub(crate) botname: String,
    /// File with certificates (PEM) that are trusted beside those of the machine: those of authorities, or
    /// the server's own, such as a self-signed one, which must have the host name as a
    /// `subjectAltName`.
    pub(crate) ca_file: Option<PathBuf>,
    /// Channel that it listens to; what is said elsewhere is not heard.
    pub(crate) channel: String,
    /// Without, the service runs and heeds nobody.
    pub(crate) enabled: bool,
    /// Address on which the outgoing webhook of the chat is heard (`webhook`); port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// Exact user names of those who may do everything.
    pub(crate) operators: Vec<String>,
    /// Password of the bot (`rocketchat`).
    pub(crate) password: String,
    /// Most orders of one user in a minute.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) per_minute: usize,
    /// Time between two looks at the channel (`rocketchat`) while its websocket is not open. A server may
    /// allow no more than ten calls in a minute to accounts that are not marked as bots.
    pub(crate) poll: Span,
    /// Hears by the websocket of the server, at once (`rocketchat`). While that is refused or broken, the
    /// channel is looked at every `poll`, and the table `chatbot_hearing` tells why.
    pub(crate) realtime: bool,
    /// Exact user names of the shifters, such as `anna and ben`, until an operator names others in the
    /// chat; those are kept over restarts.
    pub(crate) shifters: String,
    /// Secret of the outgoing webhook, as the chat made it (`webhook`).
    pub(crate) token: String,
    /// `rocketchat`, `webhook` (an outgoing and an incoming webhook of Mattermost, Slack or
    /// Rocket.Chat) or `console` (orders come by the request `say`).
    pub(crate) transport: Transport,
    /// Address of the server, or of the incoming webhook.
    pub(crate) url: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            botname: String::new(),
            ca_file: None,
            channel: String::new(),
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 9003)),
            operators: Vec::new(),
            password: String::new(),
            per_minute: 20,
            poll: Span::from_secs(7),
            realtime: true,
            shifters: String::new(),
            token: String::new(),
            transport: Transport::Rocketchat,
            url: String::new(),
        }
    }
}

impl Options {
    /// Says what is wrong with them, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        if !(1..=1000).contains(&self.per_minute) {
            return Some(format!(
                "per_minute is {}, expected 1 to 1000",
                self.per_minute
            ));
        }
        if self.poll.is_zero() {
            return Some("poll is 0s, expected some time".to_owned());
        }
        if !self.enabled {
            return None;
        }
        if self.botname.is_empty() {
            return Some("botname is empty".to_owned());
        }
        if self.transport == Transport::Webhook && self.channel.is_empty() {
            return Some("channel is empty; transport = \"webhook\" needs it".to_owned());
        }
        if self.transport == Transport::Webhook && self.token.len() < TOKEN_BYTES_MIN {
            return Some(format!(
                "token has {} characters, expected the secret of an outgoing webhook, {TOKEN_BYTES_MIN} or more",
                self.token.len()
            ));
        }
        let named = names(&self.shifters).err();
        named.or_else(|| checked(self.transport, &self.account()).err())
    }

    /// Returns where an outgoing webhook is heard, and what it must say.
    pub(crate) fn hook(&self) -> Hook {
        Hook {
            listen: self.listen,
            token: self.token.clone(),
            channel: self.channel.clone(),
        }
    }

    /// Returns how a channel is followed.
    pub(crate) fn listening(&self, counters: Arc<Counters>) -> Listening {
        Listening {
            poll: self.poll.duration(),
            realtime: self.realtime,
            counters,
        }
    }

    /// Returns who speaks, and where.
    pub(crate) fn account(&self) -> Account {
        Account {
            url: self.url.clone(),
            user: self.botname.clone(),
            password: self.password.clone(),
            channel: self.channel.clone(),
        }
    }
}
