//! The log file of a service: rotated at line borders, and nothing lost when the disk is full.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

/// Longest line that is kept in one file.
const LINE_MAX: u64 = 1 << 20;

/// Output kept in memory while it cannot be written.
const PENDING_MAX: usize = 4 << 20;

/// Time between two attempts to write to a full disk.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// Time between two complaints about the same file.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Time between two attempts to rotate a file that cannot be.
const ROTATE_EVERY: Duration = Duration::from_secs(10);

/// When a file is rotated, and what becomes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rotation {
    /// A file of this size is rotated after a complete line.
    pub(super) max_bytes: u64,
    /// So is a file that was begun so long ago.
    pub(super) age: Option<Duration>,
    /// Rotated files kept.
    pub(super) backups: usize,
}

/// A log file. Readers of several pipes, and of several incarnations, may write to it.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    bytes: u64,
    begun: Option<Instant>,
    /// Bytes of the line that is not complete yet.
    line_bytes: u64,
    /// What could not be written yet.
    pending: Vec<u8>,
    complained: Option<Instant>,
    /// When the last rotation failed, and how many have until one succeeded.
    stuck: Option<(Instant, u64)>,
}

impl LogFile {
    /// Makes the log file at a path; it is opened when first written to.
    pub(super) fn new(path: PathBuf, rotation: Rotation) -> Self {
        Self {
            path,
            rotation,
            state: Mutex::default(),
        }
    }

    /// Writes output. While the disk takes nothing, some output waits in memory, then the caller
    /// waits, and with it the child that writes.
    pub(super) fn write(&self, output: &[u8]) {
        let mut waiting = output;
        loop {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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
    pub(super) fn retry(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match self.flush(&mut state) {
            Ok(()) => true,
            Err(error) => {
                state.complain(&self.path, &error);
                false
            }
        }
    }

    fn flush(&self, state: &mut State) -> io::Result<()> {
        if state.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut state.pending);
        self.append(state, &pending)
    }

    /// Appends output, rotating at line borders; keeps what could not be written as pending.
    fn append(&self, state: &mut State, mut output: &[u8]) -> io::Result<()> {
        while !output.is_empty() {
            let (now, later) = output.split_at(self.until_border(state, output));
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
            if let Some(error) = failure {
                state.file = None;
                state.pending.extend_from_slice(rest);
                state.pending.extend_from_slice(later);
                return Err(error);
            }
            if self.is_due(state) {
                self.rotate(state);
            }
            output = later;
        }
        Ok(())
    }

    /// Returns how much of the output belongs into the present file.
    fn until_border(&self, state: &State, output: &[u8]) -> usize {
        if state.is_stuck() {
            return output.len();
        }
        let room = self.rotation.max_bytes.saturating_sub(state.bytes);
        let Ok(room) = usize::try_from(room) else {
            return output.len();
        };
        if output.len() < room {
            return output.len();
        }
        // The line that reaches the size belongs into the file as a whole.
        let from = room.saturating_sub(1);
        let end = output.iter().skip(from).position(|byte| *byte == b'\n');
        end.map_or(output.len(), |at| from + at + 1)
    }

    fn is_due(&self, state: &State) -> bool {
        let at_border = state.line_bytes == 0 || state.line_bytes >= LINE_MAX;
        let aged = match (self.rotation.age, state.begun) {
            (Some(age), Some(begun)) => begun.elapsed() >= age,
            (None, _) | (_, None) => false,
        };
        at_border && !state.is_stuck() && (state.bytes >= self.rotation.max_bytes || aged)
    }

    fn opened<'a>(&self, state: &'a mut State) -> io::Result<&'a mut File> {
        if state.file.is_none() {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let file = File::options().create(true).append(true).open(&self.path)?;
            state.bytes = file.metadata()?.len();
            state.begun = Some(Instant::now());
            state.file = Some(file);
        }
        Ok(state.file.as_mut().expect("opened above"))
    }

    /// Moves NAME to NAME.1, NAME.1 to NAME.2 and so on. When that fails, the file goes on growing
    /// and a line border some time later tries again. A file that somebody took away is begun anew.
    fn rotate(&self, state: &mut State) {
        let moved = (1..self.rotation.backups)
            .rev()
            .try_for_each(|n| move_if_there(&self.backup(n), &self.backup(n + 1)))
            .and_then(|()| match self.rotation.backups {
                0 => std::fs::remove_file(&self.path),
                _ => std::fs::rename(&self.path, self.backup(1)),
            });
        match moved {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                state.could_not_rotate(&self.path, &error);
            }
            Ok(()) | Err(_) => {
                state.file = None;
                state.line_bytes = 0;
                state.stuck = None;
            }
        }
    }

    fn backup(&self, number: usize) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{number}"));
        self.path.with_file_name(name)
    }
}

impl State {
    fn count(&mut self, written: &[u8]) {
        self.bytes += written.len() as u64;
        match written.iter().rposition(|byte| *byte == b'\n') {
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
            warn!(%error, path = %path.display(), "cannot write a log, its service will wait");
        }
    }
}

/// Writes everything; an error tells how much was written before it.
fn write_counted(file: &mut File, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err((done, io::ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((done, error)),
        }
    }
    Ok(())
}

fn move_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(folder: &Path, max_bytes: u64, backups: usize) -> LogFile {
        let rotation = Rotation {
            max_bytes,
            age: None,
            backups,
        };
        LogFile::new(folder.join("a.log"), rotation)
    }

    fn read(folder: &Path, name: &str) -> String {
        std::fs::read_to_string(folder.join(name)).unwrap_or_default()
    }

    #[test]
    fn a_file_is_rotated_after_the_line_that_fills_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), 11, 2);
        log.write(b"one\ntwo\nthree\nfo");
        log.write(b"ur\nfive\nsix\nseven\n");
        assert_eq!(read(folder.path(), "a.log"), "seven\n");
        assert_eq!(read(folder.path(), "a.log.1"), "four\nfive\nsix\n");
        assert_eq!(read(folder.path(), "a.log.2"), "one\ntwo\nthree\n");
        log.write(b"eight and more\n");
        assert_eq!(read(folder.path(), "a.log.1"), "seven\neight and more\n");
        assert_eq!(read(folder.path(), "a.log.3"), "");
    }

    #[test]
    fn any_cut_of_the_output_gives_the_same_files() {
        let text: Vec<u8> = (0..200)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect();
        for step in [1, 7, 64, 5000] {
            let folder = tempfile::tempdir().unwrap();
            let log = log(folder.path(), 100, 100);
            text.chunks(step).for_each(|chunk| log.write(chunk));
            let mut all = String::new();
            for n in (1..100).rev() {
                let part = read(folder.path(), &format!("a.log.{n}"));
                assert!(part.is_empty() || part.ends_with('\n'), "{step} {n}");
                all.push_str(&part);
            }
            all.push_str(&read(folder.path(), "a.log"));
            assert_eq!(all.as_bytes(), text, "{step}");
        }
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), 1000, 3);
        for _ in 0..40 {
            log.write(&[b'x'; 64 << 10]);
        }
        let first = std::fs::metadata(folder.path().join("a.log.1")).unwrap();
        assert_eq!(first.len(), LINE_MAX);
    }

    #[test]
    fn a_log_whose_folder_was_removed_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        let log = log(&logs, 11, 2);
        log.write(b"one\n");
        std::fs::remove_dir_all(&logs).unwrap();
        log.write(b"two\nthree\nfour\n");
        assert_eq!(read(&logs, "a.log"), "four\n");
    }

    #[test]
    fn a_rotation_that_fails_is_not_tried_again_for_every_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), 5, 1);
        // A file cannot take the place of a folder.
        std::fs::create_dir(folder.path().join("a.log.1")).unwrap();
        for _ in 0..100 {
            log.write(b"line\n");
        }
        assert_eq!(read(folder.path(), "a.log"), "line\n".repeat(100));
        let stuck = log.state.lock().unwrap().stuck;
        assert_eq!(stuck.map(|(_, failed)| failed), Some(1));
    }

    #[test]
    fn output_waits_in_memory_while_it_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("logs");
        std::fs::write(&blocked, "a file where the folder should be").unwrap();
        let log = log(&blocked, 1000, 1);
        log.write(b"first\n");
        log.write(b"second\n");
        std::fs::remove_file(&blocked).unwrap();
        log.write(b"third\n");
        assert_eq!(read(&blocked, "a.log"), "first\nsecond\nthird\n");
    }
}
