//! Messages of several files in the order of their times.

use std::path::PathBuf;

use fathom_formats::controlhost::Tag;

use crate::input::{FileMessage, FileProblem, InputFile, OpenError};

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
    last_ns: i64,
}

/// A message with the time at which it is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    /// Nanoseconds since 1970; that of the message before for those without a time.
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
                last_ns: 0,
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
        while let Some(message) = self.file.next_message() {
            match message {
                Ok(message) => {
                    self.last_ns = message.time_ns().unwrap_or(self.last_ns);
                    self.next = Some(Timed {
                        time_ns: self.last_ns,
                        file: self.index,
                        message,
                    });
                    return;
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
}
