//! Reads the output of a child until its end: into the log file, then line by line to whoever wants
//! lines. One thread per pipe, since both ends may block.

use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::{Clock, LogLine, LogStream};
use nix::poll::{PollFd, PollFlags, poll};
use regex::Regex;
use tokio::sync::watch;

use crate::logs::Outlet;
use crate::telemetry::Records;

/// Most bytes read at once.
const READ_MAX: usize = 64 << 10;

/// Time between two attempts to write what waits, while there is no new output [ms].
const RETRY_EVERY_MS: u16 = 500;

/// Longest wait at the end for a log that is written beside.
const SETTLE_MAX: Duration = Duration::from_secs(1);

/// A longer line is passed on in parts.
const LINE_MAX: usize = 64 << 10;

/// What is done with the output of one pipe.
pub(super) struct Capture {
    pub(super) service: Arc<str>,
    pub(super) stream: LogStream,
    pub(super) log: Arc<Outlet>,
    pub(super) records: Records,
    pub(super) clock: Clock,
    /// A line that means readiness.
    pub(super) ready: Option<(Regex, watch::Sender<bool>)>,
}

/// Reads a pipe in a thread of its own; the receiver closes when everything is written.
pub(super) fn capture(pipe: PipeReader, capture: Capture) -> std::io::Result<watch::Receiver<()>> {
    let (open, done) = watch::channel(());
    std::thread::Builder::new()
        .name("capture".to_owned())
        .spawn(move || {
            capture.read(pipe);
            drop(open);
        })?;
    Ok(done)
}

impl Capture {
    fn read(mut self, mut pipe: PipeReader) {
        let mut buffer = vec![0; READ_MAX];
        let mut unfinished = Vec::new();
        loop {
            self.wait_for_output(&pipe);
            let count = match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::warn!(service = %self.service, %error, "cannot read output");
                    break;
                }
            };
            let (output, _) = buffer.split_at(count);
            self.log.write(output);
            self.pass_on(output, &mut unfinished);
        }
        if !unfinished.is_empty() {
            self.tell(vec![unfinished]);
        }
        // What still cannot be written waits for the next incarnation.
        self.log.retry();
        self.log.settle(SETTLE_MAX);
    }

    /// Waits for output and, while some of it cannot be written, tries to write it now and then.
    fn wait_for_output(&self, pipe: &PipeReader) {
        while !self.log.retry() {
            let mut wanted = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
            // Output, its end, or an error: the read tells which.
            if poll(&mut wanted, RETRY_EVERY_MS) != Ok(0) {
                return;
            }
        }
    }

    /// Passes on the lines that are complete now.
    fn pass_on(&mut self, output: &[u8], unfinished: &mut Vec<u8>) {
        let mut lines = Vec::new();
        for part in output.split_inclusive(|byte| *byte == b'\n') {
            unfinished.extend_from_slice(part);
            if unfinished.last() == Some(&b'\n') {
                unfinished.pop();
                lines.push(std::mem::take(unfinished));
            } else if unfinished.len() >= LINE_MAX {
                lines.push(std::mem::take(unfinished));
            }
        }
        if !lines.is_empty() {
            self.tell(lines);
        }
    }

    fn tell(&mut self, lines: Vec<Vec<u8>>) {
        let at = self.clock.now();
        let lines = lines.into_iter().map(|line| LogLine {
            service: self.service.to_string(),
            stream: self.stream,
            line: String::from_utf8_lossy(&line).into_owned(),
            at,
        });
        let lines: Vec<LogLine> = lines.collect();
        if let Some((pattern, ready)) = &self.ready
            && lines.iter().any(|line| pattern.is_match(&line.line))
        {
            ready.send_replace(true);
            self.ready = None;
        }
        for line in lines {
            self.records.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use fathom_kernel::Bus;

    use crate::config::plan::LogPlan;
    use crate::logs::Logs;

    use super::*;

    #[tokio::test]
    async fn lines_come_whole_however_they_are_written_and_the_last_may_have_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path(), None).keep("a", &LogPlan::default());
        let path = logs.files()[0].path().to_owned();
        let records = Records::new(Bus::new());
        let (ready, mut is_ready) = watch::channel(false);
        let job = Capture {
            service: "a".into(),
            stream: LogStream::Stdout,
            log: logs.out,
            records: records.clone(),
            clock: Clock::system(),
            ready: Some((Regex::new("^list.*ing").unwrap(), ready)),
        };
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut done = capture(reader, job).unwrap();
        for part in ["on", "e\nlisten", "ing\n", "\u{e9} no end"] {
            writer.write_all(part.as_bytes()).unwrap();
        }
        is_ready.wait_for(|ready| *ready).await.unwrap();
        drop(writer);
        assert!(done.changed().await.is_err());
        let expected = ["one", "listening", "\u{e9} no end"];
        let lines = records.tail("a", 10).unwrap();
        let texts: Vec<&str> = lines.iter().map(|line| line.line.as_str()).collect();
        assert_eq!(texts, expected);
        assert!(
            std::fs::read_to_string(path)
                .unwrap()
                .starts_with("one\nlistening\n")
        );
    }
}
