//! `fathom record`: a broker's stream into a file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anstream::eprintln;
use anyhow::Context;
use clap::{Args, ValueEnum};
use fathom_formats::controlhost::Mode;
use fathom_kernel::{Clock, Size, Span, Tag, tags};
use fathom_simulator::{RecordOptions, Recorded, RecordingWriter, record};
use indicatif::{ProgressBar, ProgressStyle};

use super::EXIT_ERROR;

/// Arguments of `fathom record`.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// File to make; one that exists is not overwritten
    file: PathBuf,

    /// The broker
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5553")]
    from: String,

    /// Tags to record, separated by commas; all that a shore station has when not given
    #[arg(long, value_delimiter = ',')]
    tags: Vec<Tag>,

    /// Whether the broker may skip messages for us (any) or must keep them (all)
    #[arg(long, value_enum, default_value_t = RecordMode::Any)]
    mode: RecordMode,

    /// End after so long, such as 10m
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<Span>,

    /// End after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// What the broker does when we are slow.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RecordMode {
    /// Skips messages.
    Any,
    /// Keeps them, and may hold up everybody else.
    All,
}

impl Record {
    /// Records until told to end by the limits or a signal.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let cannot = || format!("cannot record to {}", self.file.display());
        let writer = RecordingWriter::create(&self.file).with_context(cannot)?;
        let options = self.options();
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {elapsed} {msg}")?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let (recorded, end) = runtime.block_on(async {
            let stop = async {
                if tokio::signal::ctrl_c().await.is_err() {
                    // Without a handler for it, the signal ends the program by itself.
                    std::future::pending::<()>().await;
                }
            };
            let each = |recorded: &Recorded| {
                bar.set_message(counts(&recorded.by_tag));
                bar.tick();
            };
            record(&options, writer, Clock::system(), stop, each).await
        });
        bar.finish_and_clear();
        let size = Size::from_bytes(recorded.bytes);
        let messages = recorded.messages();
        eprintln!("{messages} messages, {size}: {}", counts(&recorded.by_tag));
        match end {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => {
                eprintln!("fathom: {:#}", anyhow::Error::from(error));
                Ok(ExitCode::from(EXIT_ERROR))
            }
        }
    }

    fn options(&self) -> RecordOptions {
        let tags = match self.tags.as_slice() {
            [] => tags::STATION.to_vec(),
            given => given.to_vec(),
        };
        RecordOptions {
            from: self.from.clone(),
            tags,
            mode: match self.mode {
                RecordMode::Any => Mode::Any,
                RecordMode::All => Mode::All,
            },
            duration: self.duration.map(Span::duration),
            messages_max: self.count,
        }
    }
}

/// Returns the messages by tag as people read them.
pub(super) fn counts(by_tag: &BTreeMap<Tag, u64>) -> String {
    let counts: Vec<String> = by_tag.iter().map(|(tag, n)| format!("{tag} {n}")).collect();
    counts.join(", ")
}
