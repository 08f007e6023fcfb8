//! A log file: rotated at line borders, and nothing lost when the disk is full.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fathom_kernel::Timestamp;
use memchr::{memchr, memrchr};
use tracing::{debug, warn};

use super::marks::Marks;
use super::past::Moment;
use super::shift;
use super::witness::Witness;
use crate::config::plan::LogPlan;

/// Longest line that is kept in one file.
const LINE_MAX: u64 = 1 << 20;

/// Output kept in memory while it cannot be written.
pub(super) const PENDING_MAX: usize = 4 << 20;

/// Time between two attempts to write to a full disk.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// Time between two complaints about the same file.
pub(super) const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Time between two attempts to rotate a file that cannot be.
const ROTATE_EVERY: Duration = Duration::from_secs(10);

/// One file is compressed at a time, so that logs never take more than one core.
static PACKER: Mutex<()> = Mutex::new(());

/// When a file is rotated, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// A file of this size is rotated after a complete line; 0 is never.
    pub max_bytes: u64,
    /// So is a file that was begun so long ago.
    pub age: Option<Duration>,
    /// Rotated files kept.
    pub backups: usize,
    /// Compress them.
    pub compress: bool,
}

impl Rotation {
    /// Takes what a plan says.
    pub fn of(plan: &LogPlan) -> Self {
        Self {
            max_bytes: plan.max.bytes(),
            age: plan.age,
            backups: plan.backups,
            compress: plan.compress,
        }
    }
}

/// A log file. Readers of several pipes, and of several incarnations, may write to it.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    state: Mutex<State>,
    /// Bytes written since the supervisor started.
    written: AtomicU64,
    /// Its rotation is not worth a record: the record would go into this very file.
    silent: bool,
}

#[derive(Debug)]
struct State {
    rotation: Rotation,
    file: Option<File>,
    bytes: u64,
    /// When the file was begun, as far as that is known.
    begun: Option<Instant>,
    /// Bytes of the line that is not complete yet.
    line_bytes: u64,
    /// What could not be written yet.
    pending: Vec<u8>,
    complained: Option<Instant>,
    /// When the last rotation failed, and how many have until one succeeded.
    stuck: Option<(Instant, u64)>,
    /// A thread compresses rotated files.
    packing: bool,
    /// Hears of rotations.
    witness: Option<Witness>,
    /// When it was written, for those who look back.
    marks: Marks,
}

impl LogFile {
    /// Makes the log file at a path; it is opened when first written to.
    pub fn new(path: PathBuf, rotation: Rotation) -> Arc<Self> {
        Self::made(path, rotation, false)
    }

    /// Makes the file of the supervisor's own records.
    pub fn own(path: PathBuf, rotation: Rotation) -> Arc<Self> {
        Self::made(path, rotation, true)
    }

    fn made(path: PathBuf, rotation: Rotation, silent: bool) -> Arc<Self> {
        Arc::new(Self {
            path,
            state: Mutex::new(State::new(rotation)),
            written: AtomicU64::new(0),
            silent,
        })
    }

    /// Returns where the file is, whether or not it exists yet.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many bytes were written since the supervisor started.
    pub fn written_bytes(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Tells of rotations from now on.
    pub(super) fn watched_by(self: Arc<Self>, witness: Witness) -> Arc<Self> {
        self.lock().witness = Some(witness);
        self
    }

    /// Rotates by other rules from now on.
    pub fn obey(&self, rotation: Rotation) {
        self.lock().rotation = rotation;
    }

    /// Writes output. While the disk takes nothing, some output waits in memory, then the caller
    /// waits, and with it whoever writes to the caller.
    pub fn write(self: &Arc<Self>, output: &[u8]) {
        let mut waiting = output;
        loop {
            let mut state = self.lock();
            let outcome = self.flush(&mut state).and_then(|()| {
                let taken = waiting;
                waiting = &[];
                self.append(&mut state, taken)
            });
            let Err(error) = outcome else {
                return;
            };
            // What `append` could not write is pending; what it never got still waits.
            state.complain(&self.path, &error);
            let room = PENDING_MAX.saturating_sub(state.pending.len());
            if waiting.len() <= room {
                state.pending.extend_from_slice(waiting);
                return;
            }
            drop(state);
            std::thread::sleep(RETRY_EVERY);
        }
    }

    /// Tries again to write what waits in memory; tells whether nothing waits any more.
    pub fn retry(self: &Arc<Self>) -> bool {
        let mut state = self.lock();
        match self.flush(&mut state) {
            Ok(()) => true,
            Err(error) => {
                state.complain(&self.path, &error);
                false
            }
        }
    }

    /// Tells whether so much more output finds room in memory, should it have to wait there.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.lock().pending.len() + bytes <= PENDING_MAX
    }

    /// Gives up what waits in memory and still cannot be written, since nobody will try again.
    /// Returns how many bytes are lost.
    pub(super) fn give_up(self: &Arc<Self>) -> usize {
        self.retry();
        std::mem::take(&mut self.lock().pending).len()
    }

    /// Rotates the file now; one that is empty or not there stays so.
    pub fn rotate_now(self: &Arc<Self>) -> io::Result<()> {
        let mut state = self.lock();
        match std::fs::metadata(&self.path) {
            Ok(file) if file.len() > 0 => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        state.stuck = None;
        self.rotate(&mut state)
    }

    /// Opens the log as it is now, with what of it was written since a time.
    pub(super) fn moment(&self, since: Option<Timestamp>) -> io::Result<Moment> {
        let state = self.lock();
        Moment::of(
            &self.path,
            (state.marks.clone(), self.written_bytes()),
            since,
        )
    }

    /// Empties the file; its rotated files stay.
    pub fn clear(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.pending.clear();
        match File::options().write(true).open(&self.path) {
            Ok(file) => file.set_len(0)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        state.bytes = 0;
        state.line_bytes = 0;
        Ok(())
    }

    /// Opens the file anew at the next write: somebody moved it away.
    pub fn reopen(&self) {
        self.lock().file = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        if state.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut state.pending);
        self.append(state, &pending)
    }

    /// Appends output, rotating at line borders; keeps what could not be written as pending.
    fn append(self: &Arc<Self>, state: &mut State, mut output: &[u8]) -> io::Result<()> {
        if state.file.as_ref().is_some_and(is_removed) {
            state.file = None;
        }
        if !output.is_empty() {
            state.marks.note(Timestamp::now(), self.written_bytes());
        }
        while !output.is_empty() {
            let (now, later) = output.split_at(state.until_border(output));
            let written = self
                .opened(state)
                .map_err(|error| (0, error))
                .and_then(|file| write_counted(file, now));
            let (count, failure) = match written {
                Ok(()) => (now.len(), None),
                Err((count, error)) => (count, Some(error)),
            };
            let (done, rest) = now.split_at(count);
            state.count(done);
            self.written.fetch_add(count as u64, Relaxed);
            if let Some(error) = failure {
                state.file = None;
                state.pending.extend_from_slice(rest);
                state.pending.extend_from_slice(later);
                return Err(error);
            }
            if state.is_due()
                && let Err(error) = self.rotate(state)
            {
                state.could_not_rotate(&self.path, &error);
            }
            output = later;
        }
        Ok(())
    }

    fn opened<'a>(&self, state: &'a mut State) -> io::Result<&'a mut File> {
        if state.file.is_none() {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let file = File::options().create(true).append(true).open(&self.path)?;
            let found = file.metadata()?;
            state.bytes = found.len();
            let age = found.created().ok().and_then(|at| at.elapsed().ok());
            state.begun = Instant::now().checked_sub(age.unwrap_or_default());
            state.file = Some(file);
        }
        Ok(state.file.as_mut().expect("opened above"))
    }

    /// Moves the file behind the rotated ones. When that fails, the file goes on growing and a line
    /// border some time later tries again. A file that somebody took away is begun anew.
    fn rotate(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        match shift::shift(&self.path, state.rotation.backups) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        if !self.silent {
            debug!(path = %self.path.display(), bytes = state.bytes, "rotated a log");
        }
        if let Some(witness) = &mut state.witness {
            let name = self.path.file_name().unwrap_or_default();
            witness.saw(&name.to_string_lossy(), state.bytes, Instant::now());
        }
        state.file = None;
        state.line_bytes = 0;
        state.stuck = None;
        if state.rotation.compress && !state.packing && state.rotation.backups > 0 {
            let log = self.clone();
            let thread = std::thread::Builder::new().name("log-packer".to_owned());
            state.packing = thread.spawn(move || log.pack()).is_ok();
        }
        Ok(())
    }

    /// Compresses rotated files until all are.
    fn pack(&self) {
        loop {
            let _turn = PACKER.lock().unwrap_or_else(PoisonError::into_inner);
            let backups = self.lock().rotation.backups;
            let packed = shift::pack_one(&self.path, backups);
            let mut state = self.lock();
            let outcome = match packed {
                Ok(Some(packing)) => packing.finish(&self.path, backups).map(|()| true),
                Ok(None) => Ok(false),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(true) => {}
                Ok(false) => {
                    state.packing = false;
                    return;
                }
                Err(error) => {
                    state.packing = false;
                    warn!(%error, path = %self.path.display(), "cannot compress a rotated log");
                    return;
                }
            }
        }
    }
}

impl State {
    fn new(rotation: Rotation) -> Self {
        Self {
            rotation,
            file: None,
            bytes: 0,
            begun: None,
            line_bytes: 0,
            pending: Vec::new(),
            complained: None,
            stuck: None,
            packing: false,
            witness: None,
            marks: Marks::default(),
        }
    }

    /// Returns how much of the output belongs into the present file.
    fn until_border(&self, output: &[u8]) -> usize {
        if self.is_stuck() {
            return output.len();
        }
        let room = match self.is_aged() {
            true => 0,
            false if self.rotation.max_bytes == 0 => return output.len(),
            false => self.rotation.max_bytes.saturating_sub(self.bytes),
        };
        let Ok(room) = usize::try_from(room) else {
            return output.len();
        };
        if output.len() < room {
            return output.len();
        }
        // The line that reaches the size belongs into the file as a whole.
        let from = room.saturating_sub(1);
        let end = output.get(from..).and_then(|rest| memchr(b'\n', rest));
        end.map_or(output.len(), |at| from + at + 1)
    }

    fn is_due(&self) -> bool {
        let at_border = self.line_bytes == 0 || self.line_bytes >= LINE_MAX;
        let max = self.rotation.max_bytes;
        let full = max > 0 && self.bytes >= max;
        at_border && (full || self.is_aged()) && !self.is_stuck()
    }

    fn is_aged(&self) -> bool {
        match (self.rotation.age, self.begun) {
            (Some(age), Some(begun)) => begun.elapsed() >= age,
            (None, _) | (_, None) => false,
        }
    }

    fn count(&mut self, written: &[u8]) {
        self.bytes += written.len() as u64;
        match memrchr(b'\n', written) {
            Some(at) => self.line_bytes = (written.len() - at - 1) as u64,
            None => self.line_bytes += written.len() as u64,
        }
    }

    /// Tells whether a rotation failed lately.
    fn is_stuck(&self) -> bool {
        self.stuck
            .is_some_and(|(at, _)| at.elapsed() < ROTATE_EVERY)
    }

    fn could_not_rotate(&mut self, path: &Path, error: &io::Error) {
        let failed = self.stuck.map_or(1, |(_, failed)| failed + 1);
        self.stuck = Some((Instant::now(), failed));
        warn!(%error, path = %path.display(), failed, "cannot rotate a log, it goes on growing");
    }

    fn complain(&mut self, path: &Path, error: &io::Error) {
        let lately = |at: Instant| at.elapsed() < COMPLAIN_EVERY;
        if !self.complained.is_some_and(lately) {
            self.complained = Some(Instant::now());
            warn!(%error, path = %path.display(), "cannot write a log, its output waits");
        }
    }
}

/// Tells whether somebody removed a file that is still open.
fn is_removed(file: &File) -> bool {
    file.metadata().is_ok_and(|file| file.nlink() == 0)
}

/// Writes everything; an error tells how much was written before it.
fn write_counted(file: &mut File, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err((done, ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err((done, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
