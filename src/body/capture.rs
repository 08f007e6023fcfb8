//! Reads the output of a child until its end: into its log, and to whoever wants lines. A pipe has a
//! thread only while output comes, since both ends may block.

use std::io::{ErrorKind, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fathom_kernel::Clock;
use memchr::memrchr;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use regex::Regex;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use super::prepare;
use crate::config::plan::{LogPlan, LogTarget};
use crate::logs::{Outlet, Shaper};
use crate::telemetry::{Pen, Records, Voice};

/// Most bytes read at once.
const READ_MAX: usize = 64 << 10;

/// A longer line is passed on in parts.
const LINE_MAX: usize = 64 << 10;

/// Time between two attempts to write what waits, while there is no new output.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Output is read only while a log that cannot be written has so much room left in memory: with what
/// is added to each line, a read may become several times as long.
const ROOM: usize = 8 * READ_MAX;

/// How long a thread waits for more output before it goes (ms).
const LINGER_MS: u16 = 20;

/// After so long the pipes that wait for a thread have their turn.
const STINT_MAX: Duration = Duration::from_millis(200);

/// Longest wait at the end for a log that is written beside.
const SETTLE_MAX: Duration = Duration::from_secs(1);

/// A pipe that was found full so often in a row is made larger: its writer waits less.
const FULL_READS: u32 = 16;

/// Size of such a pipe; the kernel allows so much to everybody.
const PIPE_LARGE: i32 = 1 << 20;

/// Reads that bring less than this, and come faster than this one after the other, wait for more to
/// gather: to be woken for every line costs both sides more than the line.
const SMALL_READ: usize = 4 << 10;
const QUICK: Duration = Duration::from_micros(200);
const GATHER: Duration = Duration::from_micros(500);

/// What is done with the output of one pipe.
pub(super) struct Capture {
    log: Arc<Outlet>,
    shaper: Shaper,
    /// The log gets output as it comes; else whole lines.
    direct: bool,
    pen: Pen,
    all_on_bus: bool,
    clock: Clock,
    /// A line that means readiness.
    ready: Option<(Regex, watch::Sender<bool>)>,
}

/// Whose output it is.
pub(super) struct Source<'a> {
    pub(super) service: &'a Arc<str>,
    pub(super) voice: Voice,
    pub(super) plan: &'a LogPlan,
    pub(super) records: &'a Records,
    pub(super) clock: &'a Clock,
}

impl Capture {
    /// Makes the capture of one pipe; `ready` is a line that means readiness.
    pub(super) fn new(
        source: &Source<'_>,
        log: Arc<Outlet>,
        ready: Option<(Regex, watch::Sender<bool>)>,
    ) -> Self {
        let shaper = Shaper::new(source.service.clone(), source.voice, source.plan);
        Self {
            direct: shaper.is_plain() && !log.wants_lines(),
            log,
            shaper,
            pen: source.records.pen(source.service.clone(), source.voice),
            all_on_bus: source.plan.target == LogTarget::Bus,
            clock: source.clock.clone(),
            ready,
        }
    }

    /// Reads a pipe until its end; the receiver closes when everything is written. To be called on the
    /// runtime.
    pub(super) fn start(self, pipe: PipeReader) -> std::io::Result<watch::Receiver<()>> {
        let (open, done) = watch::channel(());
        let readable = prepare::watch(pipe.as_fd().try_clone_to_owned()?)?;
        let reading = Reading {
            capture: self,
            pipe,
            held: Vec::new(),
            unwritten: false,
            pace: Pace::default(),
        };
        tokio::spawn(async move {
            follow(reading, readable).await;
            drop(open);
        });
        Ok(done)
    }

    /// Takes output of which everything behind `held` is new; returns where the line begins that is not
    /// complete yet.
    fn take(&mut self, text: &[u8], held: usize) -> usize {
        let (_, new) = text.split_at(held);
        if self.direct {
            self.log.write(new);
        }
        let border = match memrchr(b'\n', new) {
            Some(at) => held + at + 1,
            None if text.len() >= LINE_MAX => text.len(),
            None => 0,
        };
        if border > 0 {
            let (lines, _) = text.split_at(border);
            self.pass_on(lines);
        }
        border
    }

    /// Passes on the last line, which has no end, and waits until all is written that can be.
    fn finish(&mut self, last: &[u8]) {
        if !last.is_empty() {
            self.pass_on(last);
        }
        if !self.direct {
            self.log.write(self.shaper.finish());
        }
        // What still cannot be written waits for the next incarnation.
        self.log.retry();
        self.log.settle(SETTLE_MAX);
    }

    /// Passes on lines that are complete, or too long to wait for.
    fn pass_on(&mut self, lines: &[u8]) {
        let at = self.clock.now();
        if !self.direct && self.log.is_open() {
            self.log.write(self.shaper.shape(at, lines));
        }
        self.pen.write(at, lines, self.all_on_bus);
        if let Some((pattern, ready)) = &self.ready {
            let mut texts = lines.split(|byte| *byte == b'\n');
            if texts.any(|line| pattern.is_match(&String::from_utf8_lossy(line))) {
                ready.send_replace(true);
                self.ready = None;
            }
        }
    }
}

/// Waits for output and has it read, by a thread of the pool only while there is some: most children
/// are silent most of the time.
async fn follow(mut reading: Reading, readable: AsyncFd<OwnedFd>) {
    loop {
        let next = readable.readable();
        let guard = if reading.unwritten {
            tokio::time::timeout(RETRY_EVERY, next).await.ok()
        } else {
            Some(next.await)
        };
        let mut guard = match guard.transpose() {
            Ok(guard) => guard,
            Err(error) => {
                tracing::warn!(%error, "cannot wait for output");
                return;
            }
        };
        let stint = tokio::task::spawn_blocking(move || {
            let found = reading.stint();
            (reading, found)
        });
        let found;
        (reading, found) = match stint.await {
            Ok(stint) => stint,
            Err(error) => {
                tracing::error!(%error, "output is not read any more");
                return;
            }
        };
        match found {
            Found::More => {}
            // What came meanwhile has rung again, and is not forgotten by this.
            Found::Nothing => {
                if let Some(guard) = &mut guard {
                    guard.clear_ready();
                }
            }
            // Without a thread: all those of the pool could come to wait for the same disk.
            Found::Full => tokio::time::sleep(RETRY_EVERY).await,
            Found::End => return,
        }
    }
}

/// What a stint of reading found at its end.
enum Found {
    /// There may be more at once.
    More,
    /// Nothing came for a while.
    Nothing,
    /// The log takes nothing more, so the writer has to wait.
    Full,
    /// The pipe is read to its end, and everything is passed on.
    End,
}

/// A pipe that is being read.
struct Reading {
    capture: Capture,
    pipe: PipeReader,
    /// The begin of a line whose end has not come yet.
    held: Vec<u8>,
    /// Something waits until it can be written.
    unwritten: bool,
    pace: Pace,
}

impl Reading {
    /// Reads until nothing comes for a while, or others shall have their turn. Blocks.
    fn stint(&mut self) -> Found {
        let until = Instant::now() + STINT_MAX;
        // Before what is read stands the begin of its first line, as far as it came already.
        let mut buffer = vec![0; LINE_MAX + READ_MAX];
        let mut held = self.held.len();
        if let Some(begin) = buffer.get_mut(..held) {
            begin.copy_from_slice(&self.held);
        }
        let found = loop {
            self.unwritten = !self.capture.log.retry();
            if self.unwritten && !self.capture.log.has_room(ROOM) {
                break Found::Full;
            }
            if !has_output(&self.pipe) {
                break Found::Nothing;
            }
            let Some(room) = buffer.get_mut(held..held + READ_MAX) else {
                break Found::End;
            };
            let count = match (&self.pipe).read(room) {
                Ok(0) => break Found::End,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::warn!(%error, "cannot read output");
                    break Found::End;
                }
            };
            let (text, _) = buffer.split_at(held + count);
            let border = self.capture.take(text, held);
            buffer.copy_within(border..held + count, 0);
            held = held + count - border;
            self.pace.after(count, &self.pipe);
            if Instant::now() >= until {
                break Found::More;
            }
        };
        let (rest, _) = buffer.split_at(held);
        if matches!(found, Found::End) {
            self.capture.finish(rest);
        } else {
            self.held.clear();
            self.held.extend_from_slice(rest);
        }
        found
    }
}

/// Waits a little for output, its end, or an error; the read tells which.
fn has_output(pipe: &PipeReader) -> bool {
    let mut wanted = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    poll(&mut wanted, LINGER_MS) != Ok(0)
}

/// How fast output comes, and what is done about it.
struct Pace {
    last: Instant,
    full: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            last: Instant::now(),
            full: 0,
        }
    }
}

impl Pace {
    fn after(&mut self, count: usize, pipe: &PipeReader) {
        let now = Instant::now();
        if count < SMALL_READ && now.duration_since(self.last) < QUICK {
            std::thread::sleep(GATHER);
        }
        self.last = now;
        self.full = if count == READ_MAX { self.full + 1 } else { 0 };
        if self.full == FULL_READS
            && let Err(error) = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(PIPE_LARGE))
        {
            tracing::debug!(%error, "a pipe stays as it is");
        }
    }
}

#[cfg(test)]
mod tests;
