//! Kind `replay`: recorded files as a source of this stack.

use std::path::PathBuf;

use fathom_formats::controlhost::Tag;
use fathom_kernel::{
    BoxFuture, FromConfig, Request, Service, ServiceCx, ServiceError, Setup, Size, Span,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::warn;

use crate::outlet::{Outlet, OutletParts, Target};

use super::feed::Feed;
use super::play::{Played, Player, Speed};

/// Options of the kind `replay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayOptions {
    /// Recordings and raw dumps (`IO_EVT.dat`), played together in the order of their times; also packed
    /// with gzip, where a recording is unpacked once to its end before it begins.
    pub files: Vec<PathBuf>,
    /// Tag of dumps whose name and first bytes do not tell it.
    #[schemars(with = "Option<String>")]
    pub tag: Option<Tag>,
    /// Where the messages go: `bus`, `HOST:PORT` of a ligier, or `service:NAME`.
    pub to: String,
    /// Recorded seconds per second; 0 is as fast as possible. The bus does not wait for slow
    /// subscribers: they lose messages at full speed.
    pub speed: f64,
    /// Start again at the end; otherwise the service ends when all is played.
    #[serde(rename = "loop")]
    pub repeat: bool,
    /// Longer pauses in the recording are shortened to this.
    pub gap_max: Span,
    /// Most data waiting for a slow or absent ligier.
    pub queue: Size,
    /// Longest pause between two attempts to connect.
    pub reconnect_max: Span,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            tag: None,
            to: "bus".to_owned(),
            speed: 1.0,
            repeat: false,
            gap_max: Span::from_secs(10),
            queue: Size::from_mib(64),
            reconnect_max: Span::from_secs(5),
        }
    }
}

/// The kind `replay`.
pub struct Replay {
    options: ReplayOptions,
}

impl FromConfig<ReplayOptions> for Replay {
    fn check(options: &ReplayOptions, _: &Setup) -> Result<(), String> {
        if options.files.is_empty() {
            return Err("files is empty, expected at least one".to_owned());
        }
        if !(0.0..=1e6).contains(&options.speed) {
            return Err(format!("speed is {}, expected 0 to 1000000", options.speed));
        }
        Target::parse(&options.to).map(drop)
    }

    fn from_config(options: &ReplayOptions, setup: &Setup) -> Self {
        let files = options.files.iter();
        let files = files.map(|file| setup.config_dir.join(file)).collect();
        let options = ReplayOptions {
            files,
            ..options.clone()
        };
        Self { options }
    }
}

impl Service for Replay {
    fn run(self: Box<Self>, mut cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            let target = Target::parse(&self.options.to).map_err(ServiceError::new)?;
            let parts = OutletParts::of(&cx, self.options.queue, self.options.reconnect_max);
            let outlet = Outlet::open(target, parts);
            let mut played = Played::default();
            let mut first = true;
            while first || self.options.repeat {
                first = false;
                let feed = self.open().await?;
                cx.ready();
                if !pass(&self.options, feed, &outlet, &mut played, &mut cx).await {
                    break;
                }
            }
            outlet.close().await;
            Ok(())
        })
    }
}

impl Replay {
    async fn open(&self) -> Result<Feed, ServiceError> {
        let (files, tag) = (self.options.files.clone(), self.options.tag);
        let open = tokio::task::spawn_blocking(move || Feed::open(&files, tag));
        let feed = open.await.map_err(ServiceError::new)?;
        feed.map_err(ServiceError::new)
    }
}

/// Plays everything once; returns whether it got to the end.
async fn pass(
    options: &ReplayOptions,
    feed: Feed,
    outlet: &Outlet,
    played: &mut Played,
    cx: &mut ServiceCx,
) -> bool {
    let counters = cx.counters.clone();
    let (seen, show) = tokio::sync::watch::channel(position(played));
    let speed = Speed::of(options.speed);
    let player = Player::new(feed, speed, options.gap_max.duration());
    let each = |played: &Played, problems: &[crate::input::FileProblem]| {
        for problem in problems {
            counters.bad(problem.reason);
            warn!(%problem, "part of a file cannot be read");
        }
        seen.send_replace(position(played));
    };
    let play = player.play(outlet, played, each);
    tokio::pin!(play);
    loop {
        tokio::select! {
            biased;
            () = cx.stop.cancelled() => return false,
            Some(request) = cx.inbox.recv() => answer(request, &show.borrow()),
            () = &mut play => return true,
        }
    }
}

fn position(played: &Played) -> Value {
    let (read, all) = played.progress;
    json!({ "messages": played.messages(), "bytes_read": read, "bytes": all })
}

fn answer(request: Request, position: &Value) {
    let answer = match request.verb.as_str() {
        "position" => Ok(position.clone()),
        "reset" => Ok(Value::Null),
        other => Err(format!("unknown request {other:?}, expected position")),
    };
    if request.reply.send(answer).is_err() {
        tracing::info!("nobody waits for the answer any more");
    }
}
