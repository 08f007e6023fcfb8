//! `fathom run-monitor`: recorded data through one monitor, as fast as it goes.

mod choose;
mod detector_id;
mod logs;
mod player;
mod results;

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::eprintln;
use anyhow::{Context as _, bail};
use clap::Args;
use fathom_formats::km3net::DetectorId;
use fathom_kernel::{Span, Tag};
use fathom_logging::{LogFile, LogFiles};
use fathom_simulator::{Feed, FileProblem};
use indicatif::{ProgressBar, ProgressStyle};

use self::player::Player;
use self::results::Results;
use super::{EXIT_CONFIG, EXIT_ERROR, print_report};

/// Messages between two looks at the progress.
const BETWEEN_SHOWS: u64 = 1000;

/// Run one monitor over recordings, raw dumps or log files, and print what it says as JSON lines.
///
/// Time comes from the data: the monitor sees the time of each message, and ticks in between. The
/// same files give the same output, byte for byte. Lines are {"at": TIME, "output": {...}} and
/// {"at": TIME, "alarm": {...}}. A lone message whose time is far off moves no clock. What the
/// monitor has begun when the files end, such as a calibration, it finishes. The exit code is 1 when messages could not be read, or when the
/// files have none that the monitor takes, and 2 when its options are wrong.
#[derive(Debug, Args)]
pub(crate) struct RunMonitor {
    /// A kind of monitor, or the name of a service in the file of --config
    name: String,

    /// Recordings and raw dumps, taken together in the order of their times; or files of msg_dumper
    /// (MSG_2026-01-31.log), day by day; all of them also packed with gzip
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// Configuration of a stack: take the options and the detector from there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Set an option of the monitor: lowest_rate=150
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Detector file
    #[arg(long, value_name = "FILE", conflicts_with = "geometry")]
    detector: Option<PathBuf>,

    /// Generated detector with the id of the data: orca, arca_block or arca_2blocks
    #[arg(long)]
    geometry: Option<String>,

    /// Detection units of a generated detector; all when not given
    #[arg(long, value_name = "N", requires = "geometry")]
    dus: Option<u16>,

    /// Tag of dumps whose name and first bytes do not tell it: IO_EVT
    #[arg(long)]
    tag: Option<Tag>,

    /// Print what changed each time so much data time has passed, not only at the end
    #[arg(long, value_name = "DURATION")]
    every: Option<Span>,

    /// Let so much time pass after the last message, so that what is put up now and then shows the
    /// end of the data
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    settle: Span,

    /// Draw the outputs into this folder
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,

    /// Keep the files that the monitor writes in this folder, a new or empty one
    #[arg(long = "files", value_name = "DIR")]
    files_to: Option<PathBuf>,

    /// Report what cannot be read as JSON lines too
    #[arg(long)]
    json: bool,
}

impl RunMonitor {
    /// Runs the monitor over everything.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let choice = choose::Choice {
            name: &self.name,
            config: self.config.as_deref(),
            set: &self.set,
            detector: self.detector.as_deref(),
            geometry: self.geometry.as_deref(),
            dus: self.dus,
            id: self.geometry_id(),
        };
        let chosen = match choice.made()? {
            Ok(chosen) => chosen,
            Err(report) => {
                print_report(&report);
                return Ok(ExitCode::from(EXIT_CONFIG));
            }
        };
        if let Some(folder) = &self.files_to {
            empty(folder).with_context(|| format!("cannot use {}", folder.display()))?;
        }
        let mut source = self.source()?;
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template(
            "{elapsed} {wide_bar} {percent}% {binary_bytes_per_sec} eta {eta}",
        )?);
        let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let report = |problem: &FileProblem| bar.suspend(|| report(problem, self.json));
        let results = Results::new(out, report, self.every, self.files_to.clone());
        let mut player = Player::new(chosen, results)?;
        let played = match &mut source {
            Source::Feed(feed) => self.play(feed, &mut player, &bar),
            Source::Logs(logs) => logs::play(logs, &mut player, self.settle.duration()),
        };
        bar.finish_and_clear();
        match played {
            Ok(()) => {}
            // Whoever read along has seen enough, as `head` does.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(error.into()),
        }
        if let Some(folder) = &self.plots {
            let drawn = player.results.draw(folder);
            drawn.with_context(|| format!("cannot draw into {}", folder.display()))?;
        }
        Ok(match summary(&player) {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(EXIT_ERROR),
        })
    }

    /// A generated detector stands for the one of the data.
    fn geometry_id(&self) -> Option<DetectorId> {
        self.geometry.as_ref()?;
        detector_id::detector_id(&self.files, self.tag)
    }

    /// Opens the files: all are log files, or none is.
    fn source(&self) -> anyhow::Result<Source> {
        let logs = self.files.iter().filter(|file| LogFile::is_one(file));
        match logs.count() {
            0 => Ok(Source::Feed(Feed::open(&self.files, self.tag)?)),
            count if count == self.files.len() => Ok(Source::Logs(logs::open(&self.files)?)),
            _ => bail!("log files and other files cannot be taken together"),
        }
    }

    fn play<W: Write, R: FnMut(&FileProblem)>(
        &self,
        feed: &mut Feed,
        player: &mut Player<W, R>,
        bar: &ProgressBar,
    ) -> io::Result<()> {
        let mut messages = 0_u64;
        while let Some(timed) = feed.next() {
            player.results.unreadable(feed.take_problems());
            let file = self.files.get(timed.file);
            let place = file.map(|file| (file.as_path(), timed.message.offset));
            player.message(timed.time_ns, timed.message, place)?;
            messages += 1;
            if messages.is_multiple_of(BETWEEN_SHOWS) {
                let (read, all) = feed.progress();
                bar.set_length(all);
                bar.set_position(read);
            }
        }
        player.results.unreadable(feed.take_problems());
        player.finish(self.settle.duration())
    }
}

/// Where messages come from.
enum Source {
    Feed(Feed),
    Logs(LogFiles),
}

/// Makes sure of a folder without files: lines are appended to what is there, and would be doubled.
fn empty(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    match std::fs::read_dir(folder)?.next() {
        Some(_) => Err(io::Error::other("it is not empty")),
        None => Ok(()),
    }
}

fn report(problem: &FileProblem, json: bool) {
    match serde_json::to_string(problem) {
        Ok(line) if json => eprintln!("{line}"),
        _ => eprintln!("{problem}"),
    }
}

/// Tells people how it went; returns whether it went well.
fn summary<W: Write, R: FnMut(&FileProblem)>(player: &Player<W, R>) -> bool {
    let (received, results) = (player.received, &player.results);
    let span_s = player.span().as_secs_f64();
    let (bad, outputs) = (results.bad(), results.outputs());
    eprintln!("{received} messages of {span_s:.1} s, {bad} bad, {outputs} outputs");
    for alarm in results.alarms() {
        let (rule, subject, text) = (&alarm.rule, &alarm.subject, &alarm.text);
        eprintln!("alarm {rule} on {subject} since {}: {text}", alarm.at);
    }
    if results.kept_back() > 0 {
        let count = results.kept_back();
        eprintln!("{count} changes of files were not kept, see --files");
    }
    if player.is_unfinished {
        eprintln!(
            "fathom: the monitor was still at work long after the end: its last results are missing"
        );
    }
    if received == 0 {
        eprintln!("fathom: the files have no message that the monitor takes");
    }
    bad == 0 && received > 0
}
