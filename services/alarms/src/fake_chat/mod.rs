//! `fake_chat`: a Rocket.Chat server that is not there, for trying out and for tests.
//!
//! It knows the calls that bots and people's scripts use, and keeps the last messages in memory:
//! `login`, `me`, `channels.list`, `channels.info`, `channels.history`, `chat.postMessage`,
//! `chat.update`, and `/hooks/CHANNEL` for `{"text": ...}` as incoming webhooks take it. On
//! `/websocket` it speaks DDP: `login` with a token or a hashed password, `rooms/get`, `sendMessage`,
//! and the stream `stream-room-messages`.

mod call;
mod ddp;
mod server;
mod state;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use fathom_kernel::{BoxFuture, FromConfig, Request, Service, ServiceCx, ServiceError, Setup};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use server::Server;
use state::State;

use crate::small_http;

/// Options of `fake_chat`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Names of the channels.
    pub(crate) channels: Vec<String>,
    /// Address to listen on; port 0 takes a free one. Only a loopback address is allowed.
    pub(crate) listen: SocketAddr,
    /// Tells of messages on `/websocket`, at once; the request `realtime` with `false` cuts all such
    /// connections and refuses further ones, until one with `true`.
    pub(crate) realtime: bool,
    /// Users with their passwords.
    pub(crate) users: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            channels: vec!["operations".to_owned()],
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            realtime: true,
            users: BTreeMap::from([("bot".to_owned(), "secret".to_owned())]),
        }
    }
}

/// The service.
pub(crate) struct FakeChat {
    options: Options,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
struct ListenError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

impl FromConfig<Options> for FakeChat {
    fn check(options: &Options, _: &Setup) -> Result<(), String> {
        match options.listen.ip().is_loopback() {
            true => Ok(()),
            false => Err("listen: a fake with plain passwords stays on this machine".to_owned()),
        }
    }

    fn from_config(options: &Options, _: &Setup) -> Self {
        Self {
            options: options.clone(),
        }
    }
}

impl Service for FakeChat {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(work(self.options, cx))
    }
}

async fn work(options: Options, mut cx: ServiceCx) -> Result<(), ServiceError> {
    let address = options.listen;
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| ServiceError::new(ListenError { address, source }))?;
    let bound = listener.local_addr().map_err(ServiceError::new)?;
    let state = Arc::new(Mutex::new(State::new(options.users, options.channels)));
    let realtime = watch::Sender::new(options.realtime);
    cx.addresses.announce(&cx.name, bound);
    cx.ready();
    let server = Server {
        state: state.clone(),
        realtime: realtime.subscribe(),
        clock: cx.clock.clone(),
    };
    let serving = small_http::serve(listener, server);
    tokio::pin!(serving);
    let stop = cx.stop.clone();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(request) = cx.inbox.recv() => answer(request, &state, &realtime),
            () = &mut serving => break,
        }
    }
    cx.addresses.withdraw(&cx.name);
    Ok(())
}

/// Answers `messages` with everything said, oldest first; `logout` forgets all log-ins; `realtime` with
/// `false` cuts and refuses websockets, and with `true` takes them.
fn answer(request: Request, state: &Mutex<State>, realtime: &watch::Sender<bool>) {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = match &*request.verb {
        "messages" => Ok(state.said()),
        "logout" => {
            state.forget_log_ins();
            Ok(Value::Null)
        }
        "realtime" => match request.args.as_bool() {
            Some(is_open) => {
                realtime.send_replace(is_open);
                Ok(Value::Null)
            }
            None => Err("realtime: expected true or false".to_owned()),
        },
        verb => Err(format!(
            "unknown request {verb:?}, expected messages, logout or realtime"
        )),
    };
    // Whoever asked may have gone; then nobody needs the answer.
    request.reply.send(answer).unwrap_or_default();
}
