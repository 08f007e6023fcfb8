//! `fathom replay`: recordings and dumps to a broker, or only counted.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anstream::{eprintln, println};
use anyhow::Context;
use clap::Args;
use fathom_kernel::{Addresses, Bus, Clock, Counters, Size, Span, Tag};
use fathom_simulator::{Feed, FileProblem, Outlet, OutletParts, Played, Player, Speed, Target};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::net::TcpStream;

use super::EXIT_ERROR;
use super::record::counts;

/// Most data waiting for the broker.
const QUEUE: Size = Size::from_mib(16);
/// Longest pause between two attempts to connect again.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Arguments of `fathom replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Recordings and raw dumps, also packed with gzip, played together in the order of their times
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// The broker to play to; without one the messages are only counted
    #[arg(long, value_name = "HOST:PORT")]
    to: Option<String>,

    /// Recorded seconds per second; 0 is as fast as the broker takes it
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,

    /// As fast as the broker takes it
    #[arg(long, conflicts_with = "speed")]
    full: bool,

    /// Tag of dumps whose name and first bytes do not tell it: IO_EVT
    #[arg(long)]
    tag: Option<Tag>,

    /// Start again at the end, for ever
    #[arg(long = "loop", requires = "to")]
    repeat: bool,

    /// Longer pauses in the recording are shortened to this
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    gap_max: Span,

    /// Print what was played as JSON
    #[arg(long)]
    json: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.0..=1e6).contains(&speed) => Ok(speed),
        _ => Err("expected a number from 0 to 1000000".to_owned()),
    }
}

impl Replay {
    /// Plays everything; exit code 1 when something could not be read or sent.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template(
            "{elapsed} {wide_bar} {percent}% {binary_bytes_per_sec} eta {eta}",
        )?);
        let mut played = Played::default();
        let dropped = match &self.to {
            None => {
                self.count(&bar, &mut played)?;
                0
            }
            Some(to) => {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(self.play(to, &bar, &mut played))?
            }
        };
        bar.finish_and_clear();
        self.summary(&played, dropped);
        Ok(match played.problems + dropped {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::from(EXIT_ERROR),
        })
    }

    fn count(&self, bar: &ProgressBar, played: &mut Played) -> anyhow::Result<()> {
        let mut feed = Feed::open(&self.files, self.tag)?;
        while let Some(timed) = feed.next() {
            *played.by_tag.entry(timed.message.tag).or_default() += 1;
            played.bytes += timed.message.body.len() as u64;
            if played.messages().is_multiple_of(1000) {
                show(bar, feed.progress());
            }
        }
        let problems = feed.take_problems();
        played.problems = problems.len() as u64;
        report(bar, &problems);
        Ok(())
    }

    /// Plays to a broker; returns the messages that were lost with a broken connection.
    async fn play(&self, to: &str, bar: &ProgressBar, played: &mut Played) -> anyhow::Result<u64> {
        // Tried here first: the outlet would try for ever.
        let connected = TcpStream::connect(to).await;
        drop(connected.with_context(|| format!("cannot connect to {to}"))?);
        let counters = Arc::new(Counters::default());
        let parts = OutletParts {
            name: "replay".into(),
            bus: Bus::new(),
            addresses: Addresses::default(),
            counters: counters.clone(),
            clock: Clock::system(),
            queue: QUEUE,
            pause_max: PAUSE_MAX,
        };
        let outlet = Outlet::open(Target::Address(to.to_owned()), parts);
        let speed = if self.full {
            Speed::Full
        } else {
            Speed::of(self.speed)
        };
        loop {
            let feed = Feed::open(&self.files, self.tag)?;
            let player = Player::new(feed, speed, self.gap_max.duration());
            let each = |played: &Played, problems: &[FileProblem]| {
                show(bar, played.progress);
                report(bar, problems);
            };
            player.play(&outlet, played, each).await;
            if !self.repeat {
                break;
            }
        }
        outlet.close().await;
        Ok(counters.snapshot().dropped)
    }

    fn summary(&self, played: &Played, dropped: u64) {
        let (messages, size) = (played.messages(), Size::from_bytes(played.bytes));
        if self.json {
            println!(
                "{}",
                json!({
                    "messages": messages,
                    "bytes": played.bytes,
                    "by_tag": played.by_tag,
                    "problems": played.problems,
                    "dropped": dropped,
                })
            );
            return;
        }
        println!("{messages} messages, {size}: {}", counts(&played.by_tag));
        if dropped > 0 {
            eprintln!("fathom: {dropped} messages were lost with a broken connection");
        }
    }
}

fn show(bar: &ProgressBar, (read, all): (u64, u64)) {
    bar.set_length(all);
    bar.set_position(read);
}

fn report(bar: &ProgressBar, problems: &[FileProblem]) {
    bar.suspend(|| problems.iter().for_each(|problem| eprintln!("{problem}")));
}
