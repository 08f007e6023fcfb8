//! Installs logging for the process: standard error, and a rotated file.

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

use super::rendering::Record;
use super::tagging::Tagging;
use crate::config::plan::{LogFormat, OwnLog};
use crate::logs::{LogFile, Rotation};

/// How records look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line for people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Where records go and which.
#[derive(Debug, Clone)]
pub struct Options {
    /// Filter in the syntax of `tracing`: `info`, `fathom_ligier=debug,info`.
    pub level: String,
    /// How records look.
    pub format: Format,
    /// Log file; rotated files stand beside it as `NAME.1`, `NAME.2`, …
    pub file: Option<PathBuf>,
    /// Size at which the file is rotated [bytes].
    pub max_bytes: u64,
    /// Rotated files kept.
    pub backups: usize,
    /// Whether records go to standard error as well.
    pub stderr: bool,
}

impl Options {
    /// Takes the options of a configuration; the file stands in the data directory.
    pub fn of(log: &OwnLog, data_dir: &Path) -> Self {
        Self {
            level: log.level.clone(),
            format: match log.format {
                LogFormat::Text => Format::Text,
                LogFormat::Json => Format::Json,
            },
            file: Some(data_dir.join("logs").join("fathom.log")),
            max_bytes: log.max.bytes(),
            backups: log.backups,
            stderr: true,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: Format::Text,
            file: None,
            max_bytes: 50 << 20,
            backups: 10,
            stderr: true,
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("log level {level:?}")]
    Level {
        /// As given.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The file cannot be written.
    #[error("log file {}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Logging as installed; what still waits is written when it is dropped.
#[must_use = "dropping it ends the writers"]
pub struct Telemetry {
    drops: Vec<ErrorCounter>,
    file: Option<Arc<LogFile>>,
    _writers: Vec<WorkerGuard>,
}

/// One place for records, with its own writer thread: no logger ever waits for a disk or terminal.
pub(super) struct Sink {
    to: NonBlocking,
    format: Format,
    colour: bool,
}

/// Most records waiting for a writer; further ones are dropped and counted.
const WAITING_MAX: usize = 16_384;

/// Whether this process has logging; a second one would only open its files again.
static INSTALLED: AtomicBool = AtomicBool::new(false);

impl Telemetry {
    /// Installs logging and the panic hook. In a process that has logging already (a second stack of
    /// a test), that one stays and nothing is written twice.
    pub fn install(options: &Options) -> Result<Self, TelemetryError> {
        let filter =
            EnvFilter::try_new(&options.level).map_err(|source| TelemetryError::Level {
                level: options.level.clone(),
                source,
            })?;
        // The mark of a service must pass whatever the filter says of records.
        let filter = match "fathom::service=error".parse() {
            Ok(marks) => filter.add_directive(marks),
            Err(_) => filter,
        };
        let mut telemetry = Self {
            drops: Vec::new(),
            file: None,
            _writers: Vec::new(),
        };
        if INSTALLED.load(Relaxed) {
            return Ok(telemetry);
        }
        let mut sinks = Vec::new();
        if options.stderr {
            let colour = std::io::stderr().is_terminal()
                && anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
            sinks.push(telemetry.sink(std::io::stderr(), "log-stderr", options.format, colour));
        }
        if let Some(path) = &options.file {
            let file = rotated(path, options)?;
            let writer = Writer(file.clone());
            sinks.push(telemetry.sink(writer, "log-file", options.format, false));
            telemetry.file = Some(file);
        }
        let subscriber = tracing_subscriber::registry()
            .with(filter)
            .with(Tagging { sinks });
        if tracing::subscriber::set_global_default(subscriber).is_ok() {
            INSTALLED.store(true, Relaxed);
            super::panics::install();
        }
        Ok(telemetry)
    }

    /// Returns how many records were dropped because a disk or terminal was too slow.
    pub fn dropped(&self) -> u64 {
        self.drops
            .iter()
            .map(|counter| counter.dropped_lines() as u64)
            .sum()
    }

    /// Returns the file that records go to.
    pub fn file(&self) -> Option<Arc<LogFile>> {
        self.file.clone()
    }

    /// Returns the counters behind [`Telemetry::dropped`], for metrics.
    pub fn drop_counters(&self) -> Vec<ErrorCounter> {
        self.drops.clone()
    }

    fn sink(
        &mut self,
        to: impl Write + Send + 'static,
        thread: &str,
        format: Format,
        colour: bool,
    ) -> Sink {
        let (to, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(WAITING_MAX)
            .thread_name(thread)
            .finish(to);
        self.drops.push(to.error_counter());
        self._writers.push(guard);
        Sink { to, format, colour }
    }
}

impl Sink {
    pub(super) fn write(&self, record: &Record<'_>) {
        let line = match self.format {
            Format::Text => record.human(self.colour),
            Format::Json => record.json(),
        };
        // A full queue is counted by the writer; there is nobody to tell of anything else.
        self.to.clone().write_all(line.as_bytes()).ok();
    }
}

/// Writes records into the file.
struct Writer(Arc<LogFile>);

impl Write for Writer {
    fn write(&mut self, records: &[u8]) -> std::io::Result<usize> {
        self.0.write(records);
        Ok(records.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn rotated(path: &PathBuf, options: &Options) -> Result<Arc<LogFile>, TelemetryError> {
    let failed = |source| TelemetryError::File {
        path: path.clone(),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // The log opens it when it first writes, and then only waits and complains; so find out here.
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed)?;
    let rotation = Rotation {
        max_bytes: options.max_bytes,
        age: None,
        backups: options.backups,
        compress: false,
    };
    Ok(LogFile::own(path.clone(), rotation))
}
