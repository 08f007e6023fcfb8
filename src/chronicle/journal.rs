//! Numbered lines of JSON in files of limited size, written by a thread of their own.
//!
//! A file is named by the number of its first line, so a reader finds a number without looking into
//! the files. A line that the disk does not take is lost, and the next one that it takes is preceded
//! by one that tells how many are missing.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use serde::Serialize;
use tracing::warn;

use super::reader::{self, Found};

/// Most lines waiting for the disk; further ones are not written.
const WAITING_MAX: usize = 4096;

/// Most lines written at once.
const BATCH_MAX: usize = 512;

/// Time between two complaints about the disk.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Longest wait for the disk at the end.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Time between two attempts to get a place in a full queue at the end.
const CLOSE_LOOK: Duration = Duration::from_millis(10);

/// A line of a journal.
pub trait Numbered: Serialize + Send + Sync + 'static {
    /// Returns its number; each line's is one more than that of the line before.
    fn number(&self) -> u64;

    /// Makes the line that stands for missing ones, the last of which has this number.
    fn gap(number: u64, missed: u64) -> Self;
}

/// How much is kept on disk.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// A file of this size is followed by a new one [bytes].
    pub bytes_max: u64,
    /// Files kept.
    pub files_max: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            bytes_max: 8 << 20,
            files_max: 8,
        }
    }
}

/// The writing end of a journal. Clones write to the same files.
pub struct Journal<T> {
    to: SyncSender<Job<T>>,
    lost: Arc<AtomicU64>,
}

enum Job<T> {
    Line(Arc<T>),
    Close(SyncSender<()>),
}

impl<T> Clone for Journal<T> {
    fn clone(&self) -> Self {
        Self {
            to: self.to.clone(),
            lost: self.lost.clone(),
        }
    }
}

impl<T: Numbered> Journal<T> {
    /// Opens the journal in a folder; what a former run left half written is cut off. Returns the
    /// last lines it holds as well.
    pub fn open(folder: &Path, kept: Kept) -> io::Result<(Self, Found)> {
        std::fs::create_dir_all(folder)?;
        let found = reader::last_lines(folder)?;
        let (to, jobs) = sync_channel(WAITING_MAX);
        let lost = Arc::<AtomicU64>::default();
        let pen = Pen {
            folder: folder.to_owned(),
            kept,
            file: None,
            next: found.next,
            lost: lost.clone(),
            complained: None,
        };
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || pen.write(&jobs))?;
        Ok((Self { to, lost }, found))
    }

    /// Writes a line by and by; never waits.
    pub fn push(&self, line: Arc<T>) {
        if self.to.try_send(Job::Line(line)).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// Returns how many lines the disk did not take.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Waits until everything is written, for a limited time. Blocks.
    pub fn close(&self) {
        let (tell, told) = sync_channel(1);
        let deadline = Instant::now() + CLOSE_MAX;
        // A disk that takes nothing leaves no place in the queue, and must not hold us up.
        while let Err(TrySendError::Full(_)) = self.to.try_send(Job::Close(tell.clone())) {
            if Instant::now() >= deadline {
                return warn!("events were not written in time");
            }
            std::thread::sleep(CLOSE_LOOK);
        }
        drop(tell);
        if told.recv_timeout(CLOSE_MAX) == Err(RecvTimeoutError::Timeout) {
            warn!("events were not written in time");
        }
    }
}

/// The thread that writes.
struct Pen {
    folder: PathBuf,
    kept: Kept,
    /// The file and how much of it is whole lines.
    file: Option<(File, u64)>,
    /// Number of the line that should come next.
    next: u64,
    lost: Arc<AtomicU64>,
    complained: Option<Instant>,
}

impl Pen {
    fn write<T: Numbered>(mut self, jobs: &Receiver<Job<T>>) {
        while let Ok(job) = jobs.recv() {
            let mut batch = vec![job];
            batch.extend(jobs.try_iter().take(BATCH_MAX));
            let mut lines = Vec::new();
            let mut done = Vec::new();
            for job in batch {
                match job {
                    Job::Line(line) => lines.push(line),
                    Job::Close(tell) => done.push(tell),
                }
            }
            if let Err(error) = self.put(&lines) {
                self.lost.fetch_add(lines.len() as u64, Relaxed);
                self.complain(&error);
            }
            for tell in done {
                // Whoever asked has waited long enough.
                tell.send(()).ok();
            }
        }
    }

    /// Writes lines, and before them what is missing; either all of them or none.
    fn put<T: Numbered>(&mut self, lines: &[Arc<T>]) -> io::Result<()> {
        let Some(last) = lines.last() else {
            return Ok(());
        };
        let mut text = Vec::new();
        let mut next = self.next;
        for line in lines {
            let missed = line.number().saturating_sub(next);
            if missed > 0 {
                put_line(&mut text, &T::gap(line.number() - 1, missed))?;
            }
            put_line(&mut text, &**line)?;
            next = line.number() + 1;
        }
        let first = self.next.min(last.number());
        let (file, whole) = self.opened(first)?;
        if let Err(error) = file.write_all(&text) {
            // Half a line must not stay before the next one.
            let cut = file.set_len(*whole);
            self.file = None;
            return cut.and(Err(error));
        }
        *whole += text.len() as u64;
        self.next = next;
        Ok(())
    }

    fn opened(&mut self, first: u64) -> io::Result<&mut (File, u64)> {
        let full = |(_, whole): &(File, u64)| *whole >= self.kept.bytes_max;
        if self.file.as_ref().is_some_and(full) {
            self.file = None;
        }
        if self.file.is_none() {
            std::fs::create_dir_all(&self.folder)?;
            let files = reader::files(&self.folder)?;
            let newest = files.last().map(|(_, path)| path.clone());
            let room = |path: &PathBuf| {
                std::fs::metadata(path).is_ok_and(|about| about.len() < self.kept.bytes_max)
            };
            let path = newest
                .filter(room)
                .unwrap_or_else(|| reader::path(&self.folder, first));
            let spare = (files.len() + 1).saturating_sub(self.kept.files_max);
            for (_, old) in files.iter().take(spare).filter(|(_, old)| *old != path) {
                std::fs::remove_file(old)?;
            }
            let file = File::options().create(true).append(true).open(&path)?;
            let whole = file.metadata()?.len();
            self.file = Some((file, whole));
        }
        Ok(self.file.as_mut().expect("opened above"))
    }

    fn complain(&mut self, error: &io::Error) {
        let lately = |at: Instant| at.elapsed() < COMPLAIN_EVERY;
        if !self.complained.is_some_and(lately) {
            self.complained = Some(Instant::now());
            let lost = self.lost.load(Relaxed);
            warn!(%error, lost, folder = %self.folder.display(), "cannot write events");
        }
    }
}

fn put_line(text: &mut Vec<u8>, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *text, line)?;
    text.push(b'\n');
    Ok(())
}
