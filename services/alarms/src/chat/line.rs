//! One connection to the websocket of Rocket.Chat, from the handshake until it breaks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::Counters;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Client, StatusCode, Upgraded};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::ddp::{self, Told};
use super::message::Message;
use crate::web;

/// Longest message that is read; with a longer one the connection ends, and what it told is asked for
/// by REST.
const FRAME_BYTES_MAX: usize = 1 << 20;
/// News that wait to be heard. When they are too many the socket waits, and the server with it.
const NEWS_MAX: usize = 100;
/// From the handshake to the subscription.
const OPEN_WITHIN: Duration = Duration::from_secs(20);
/// After so long without a word the server is asked whether it is there, and after as long again the
/// connection is dead. Servers ask by themselves about every 20 seconds.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// Where a line leads, and as whom.
pub(super) struct Number {
    pub(super) client: Client,
    pub(super) url: String,
    /// What the log-in by REST gave.
    pub(super) token: String,
    pub(super) room: String,
}

/// What comes over a line.
#[derive(Debug)]
pub(super) enum News {
    /// The first: from now on messages come.
    Opened,
    Said(Message),
    /// The last.
    Ended(LineError),
}

/// Why a line has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    /// No answer.
    #[error("{0}")]
    Unreachable(String),
    /// It speaks HTTP only, or a proxy before it does.
    #[error("answer {0} instead of a websocket")]
    NoWebsocket(u16),
    /// It speaks other versions of DDP.
    #[error("the server speaks another version of DDP")]
    OtherVersion,
    /// It does not take the token.
    #[error("log-in by the websocket refused: {0}")]
    LogIn(String),
    /// It does not tell of this channel.
    #[error("messages of the channel refused: {0}")]
    Subscription(String),
    /// It was not open in time.
    #[error("no subscription within {OPEN_WITHIN:?}")]
    Slow,
    /// It said nothing, also when it was asked.
    #[error("no word for {:?}", 2 * QUIET_MAX)]
    Silent,
    /// It said too much at a time.
    #[error("message of {0} bytes exceeds limit {FRAME_BYTES_MAX}")]
    TooLong(usize),
    /// The server, or something in between, has closed it.
    #[error("connection closed")]
    Closed,
    /// It does not speak the protocol of websockets.
    #[error("{0}")]
    Broken(String),
}

impl LineError {
    /// Returns the name under which such an end is counted.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NoWebsocket(_) | Self::OtherVersion | Self::LogIn(_) | Self::Subscription(_) => {
                "websocket refused"
            }
            Self::Unreachable(_)
            | Self::Slow
            | Self::Silent
            | Self::TooLong(_)
            | Self::Closed
            | Self::Broken(_) => "websocket lost",
        }
    }
}

/// A line; it is cut when it is dropped.
pub(super) struct Line {
    news: mpsc::Receiver<News>,
    /// The task that holds the socket; it ends with the set.
    _held: JoinSet<()>,
}

impl Line {
    /// Begins to open a line.
    pub(super) fn open(number: Number, counters: Arc<Counters>) -> Self {
        let (tell, news) = mpsc::channel(NEWS_MAX);
        let mut held = JoinSet::new();
        held.spawn(async move {
            let Err(error) = hold(&number, &tell, counters).await;
            // Whoever listened may have hung up.
            tell.send(News::Ended(error)).await.unwrap_or_default();
        });
        Self { news, _held: held }
    }

    /// Returns what came next, if anything did.
    pub(super) fn next(&mut self) -> Option<News> {
        match self.news.try_recv() {
            Ok(news) => Some(news),
            Err(mpsc::error::TryRecvError::Empty) => None,
            // The task broke without a word.
            Err(mpsc::error::TryRecvError::Disconnected) => Some(News::Ended(LineError::Closed)),
        }
    }
}

async fn hold(
    number: &Number,
    tell: &mpsc::Sender<News>,
    counters: Arc<Counters>,
) -> Result<Infallible, LineError> {
    let opening = async {
        let socket = shake_hands(&number.client, &number.url).await?;
        let mut talk = Talk {
            socket,
            room: number.room.clone(),
            counters,
        };
        talk.begin(&number.token).await?;
        Ok(talk)
    };
    let opened = timeout(OPEN_WITHIN, opening).await;
    opened.map_err(|_| LineError::Slow)??.pass_on(tell).await
}

/// Asks for a websocket by the client that speaks to the server anyway: with whom it trusts.
async fn shake_hands(client: &Client, url: &str) -> Result<WebSocketStream<Upgraded>, LineError> {
    let unreachable = |error| LineError::Unreachable(web::failed(error));
    let key = generate_key();
    let request = client
        .get(url)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    let answer = request.send().await.map_err(unreachable)?;
    let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT);
    let is_accepted = accepted.is_some_and(|told| *told == *derive_accept_key(key.as_bytes()));
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS || !is_accepted {
        return Err(LineError::NoWebsocket(answer.status().as_u16()));
    }
    let raw = answer.upgrade().await.map_err(unreachable)?;
    Ok(WebSocketStream::from_raw_socket(raw, Role::Client, Some(limits())).await)
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
}

/// The conversation on a socket.
struct Talk<S> {
    socket: WebSocketStream<S>,
    room: String,
    counters: Arc<Counters>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    /// Says who we are and what we want to hear. Messages that come before all is agreed on are
    /// asked for by REST.
    async fn begin(&mut self, token: &str) -> Result<(), LineError> {
        self.say(&ddp::connect()).await?;
        while !matches!(self.next().await?, Told::Connected) {}
        self.say(&ddp::log_in(token)).await?;
        while !matches!(self.next().await?, Told::LoggedIn) {}
        self.say(&ddp::subscribe(&self.room)).await?;
        while !matches!(self.next().await?, Told::Subscribed) {}
        Ok(())
    }

    async fn pass_on(mut self, tell: &mpsc::Sender<News>) -> Result<Infallible, LineError> {
        let hung_up = |_| LineError::Closed;
        tell.send(News::Opened).await.map_err(hung_up)?;
        loop {
            if let Told::Said(message) = self.next().await? {
                tell.send(News::Said(message)).await.map_err(hung_up)?;
            }
        }
    }

    async fn say(&mut self, words: &Value) -> Result<(), LineError> {
        let saying = self.socket.send(Frame::text(words.to_string()));
        let said = timeout(QUIET_MAX, saying).await;
        said.map_err(|_| LineError::Silent)?.map_err(broken)
    }

    /// Returns what the server tells next. Its questions whether we are there are answered, and what is
    /// no message of the protocol is counted and passed over.
    async fn next(&mut self) -> Result<Told, LineError> {
        let mut is_asked = false;
        loop {
            let Ok(frame) = timeout(QUIET_MAX, self.socket.next()).await else {
                if is_asked {
                    return Err(LineError::Silent);
                }
                is_asked = true;
                self.say(&ddp::ping()).await?;
                continue;
            };
            is_asked = false;
            let told = match frame.ok_or(LineError::Closed)?.map_err(broken)? {
                Frame::Text(text) => ddp::read(&text, &self.room).ok(),
                Frame::Binary(_) => None,
                // The library answers these.
                Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) | Frame::Frame(_) => continue,
            };
            match told {
                Some(Told::Ping(id)) => self.say(&ddp::pong(id.as_deref())).await?,
                Some(Told::OtherVersion) => return Err(LineError::OtherVersion),
                Some(Told::LogInRefused(why)) => return Err(LineError::LogIn(why)),
                Some(Told::NotSubscribed(why)) => return Err(LineError::Subscription(why)),
                Some(told) => return Ok(told),
                None => self.counters.bad("websocket message not read"),
            }
        }
    }
}

fn broken(error: Error) -> LineError {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { size, .. }) => LineError::TooLong(size),
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_) => LineError::Closed,
        error => LineError::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
