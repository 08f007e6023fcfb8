//! Messages of several files in the order of their times.

use std::collections::VecDeque;
use std::path::PathBuf;

use fathom_formats::controlhost::Tag;

use crate::input::{FileMessage, FileProblem, InputFile, OpenError};

/// A message this far from the one before may have a wrong time [ns].
const LEAP_NS: u64 = 3_600_000_000_000;

/// The last message of a file, which has none after it to be judged by, may be this far from the one
/// before [ns].
const LAST_LEAP_NS: u64 = 24 * LEAP_NS;

/// Most messages read ahead to find one with a time.
const AHEAD_MAX: usize = 16;

/// Several files as one stream.
pub struct Feed {
    files: Vec<Head>,
    problems: Vec<FileProblem>,
}

/// A file with its next message.
struct Head {
    index: usize,
    file: InputFile,
    next: Option<Timed>,
    /// Time of the last message that had one.
    last_ns: Option<i64>,
    /// Messages read to judge the time of one before them, with what could not be read in between.
    ahead: VecDeque<Result<FileMessage, FileProblem>>,
}

/// A message with the time at which it is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    /// Nanoseconds since 1970; that of the message before for those without a time (of the next one
    /// that has a time, for the first ones), and for one whose time is far off while that of the next
    /// one is not (a simulated event, a broken clock).
    pub time_ns: i64,
    /// Which of the files it is from.
    pub file: usize,
    /// The message.
    pub message: FileMessage,
}

impl Feed {
    /// Opens all files.
    pub fn open(paths: &[PathBuf], tag: Option<Tag>) -> Result<Self, OpenError> {
        let mut feed = Self {
            files: Vec::new(),
            problems: Vec::new(),
        };
        for (index, path) in paths.iter().enumerate() {
            let mut head = Head {
                index,
                file: InputFile::open(path, tag)?,
                next: None,
                last_ns: None,
                ahead: VecDeque::new(),
            };
            head.advance(&mut feed.problems);
            feed.files.push(head);
        }
        Ok(feed)
    }

    /// Returns the bytes read, and of all files.
    pub fn progress(&self) -> (u64, u64) {
        let files = self.files.iter().map(|head| head.file.progress());
        files.fold((0, 0), |(read, all), (r, a)| (read + r, all + a))
    }

    /// Returns what could not be read since the last call.
    pub fn take_problems(&mut self) -> Vec<FileProblem> {
        std::mem::take(&mut self.problems)
    }
}

impl Iterator for Feed {
    type Item = Timed;

    fn next(&mut self) -> Option<Timed> {
        let waiting = self.files.iter_mut().filter(|head| head.next.is_some());
        let earliest = waiting.min_by_key(|head| head.next.as_ref().map(|next| next.time_ns))?;
        let next = earliest.next.take();
        earliest.advance(&mut self.problems);
        next
    }
}

impl Head {
    fn advance(&mut self, problems: &mut Vec<FileProblem>) {
        while let Some(message) = self.read() {
            match message {
                Ok(message) => {
                    let time_ns = message.time_ns();
                    let is_stray = message.received_ns.is_none()
                        && time_ns.is_some_and(|time_ns| self.is_stray(time_ns));
                    if !is_stray {
                        self.last_ns = time_ns.or(self.last_ns);
                    }
                    if self.last_ns.is_none() {
                        self.last_ns = self.time_after();
                    }
                    self.next = Some(Timed {
                        time_ns: self.last_ns.unwrap_or(0),
                        file: self.index,
                        message,
                    });
                    return;
                }
                Err(problem) => problems.push(problem),
            }
        }
    }

    fn read(&mut self) -> Option<Result<FileMessage, FileProblem>> {
        let ahead = self.ahead.pop_front();
        ahead.or_else(|| self.file.next_message())
    }

    /// Tells whether a time stands alone: far from the one before, to which the next one is nearer.
    fn is_stray(&mut self, time_ns: i64) -> bool {
        let Some(last_ns) = self.last_ns else {
            return false;
        };
        let leap_ns = time_ns.abs_diff(last_ns);
        if leap_ns <= LEAP_NS {
            return false;
        }
        match self.time_after() {
            Some(next_ns) => next_ns.abs_diff(last_ns) < next_ns.abs_diff(time_ns),
            None => leap_ns > LAST_LEAP_NS,
        }
    }

    /// Returns the time of the message that comes next, which stays to be read.
    fn time_after(&mut self) -> Option<i64> {
        let known = self.ahead.iter().flatten().find_map(FileMessage::time_ns);
        while known.is_none() && self.ahead.len() < AHEAD_MAX {
            let message = self.file.next_message()?;
            let time_ns = message.as_ref().ok().and_then(FileMessage::time_ns);
            self.ahead.push_back(message);
            if time_ns.is_some() {
                return time_ns;
            }
        }
        known
    }
}
