//! Gives a monitor the messages of log files.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use fathom_kernel::tags;
use fathom_logging::LogFiles;
use fathom_simulator::{FileMessage, FileProblem};

use super::player::Player;

/// Nanoseconds of a millisecond.
const NS_PER_MS: i64 = 1_000_000;

/// Opens log files.
pub(super) fn open(files: &[PathBuf]) -> anyhow::Result<LogFiles> {
    LogFiles::open(files).map_err(|(path, error)| {
        let shown = path.display().to_string();
        anyhow::Error::new(error).context(format!("cannot open {shown}"))
    })
}

/// Plays all messages; what cannot be read of a file is told, and the next one goes on.
pub(super) fn play<W: Write, R: FnMut(&FileProblem)>(
    logs: &mut LogFiles,
    player: &mut Player<W, R>,
    settle: Duration,
) -> io::Result<()> {
    for (path, record) in logs {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                player.results.unreadable(vec![FileProblem {
                    file: path.clone(),
                    offset: 0,
                    reason: "not_readable",
                    text: error.to_string(),
                }]);
                continue;
            }
        };
        let time_ns = record.received_ms.saturating_mul(NS_PER_MS);
        let message = FileMessage {
            offset: record.offset,
            tag: tags::MSG,
            received_ns: Some(time_ns),
            body: record.body,
        };
        player.message(time_ns, message, Some((&path, record.offset)))?;
    }
    player.finish(settle)
}
