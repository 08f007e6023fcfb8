//! Looks back into a log and its rotated files: the lines since a time, or the last ones.
//!
//! A line has the time that stands in it, if its format has one. The lines of a raw log have the time
//! at which the supervisor wrote them, to a second or coarser; those of an earlier supervisor have
//! that at which their file was last written.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use fathom_kernel::{LogLine, LogStream, Timestamp};
use flate2::read::MultiGzDecoder;

use super::marks::Marks;
use super::shift;
use crate::config::plan::LineFormat;

/// Most bytes read for one answer; what is older is left out, and the answer says so.
const READ_MAX: usize = 16 << 20;

/// Bytes read at first to find some last lines; eight times as many at each further attempt.
const READ_FIRST: usize = 64 << 10;

/// Most rotated files that are looked at.
const BACKUPS_MAX: usize = 1000;

/// Length of a time in a log: `2026-01-31T12:00:00.000Z`.
const TIME_BYTES: usize = 24;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// Lines written at this time or later.
    pub since: Option<Timestamp>,
    /// At most so many, the last ones.
    pub lines: usize,
}

impl Question {
    /// Tells whether a line is among those asked for, by its time.
    pub(crate) fn wants(self, line: &LogLine) -> bool {
        self.since.is_none_or(|since| line.at >= since)
    }

    /// Tells whether the end of a log has all that is asked for, whatever was before.
    pub(crate) fn is_met_by(self, end: &[Arc<LogLine>]) -> bool {
        match self.since {
            Some(_) => end.first().is_some_and(|first| !self.wants(first)),
            None => end.len() >= self.lines,
        }
    }

    /// Returns those lines of the end of a log that are asked for.
    pub(crate) fn among(self, end: &[Arc<LogLine>]) -> Vec<LogLine> {
        let wanted = end.iter().filter(|line| self.wants(line));
        wanted.map(|line| (**line).clone()).collect()
    }
}

/// What was written, oldest first.
#[derive(Debug, Default)]
pub struct Past {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// There were more, which are left out.
    pub cut: bool,
}

/// Whose log it is.
pub(super) struct Owner<'a> {
    pub(super) service: &'a str,
    pub(super) stream: LogStream,
    pub(super) format: LineFormat,
}

/// A log as it is at one moment; what is written later does not disturb those who read it.
pub(super) struct Moment {
    pub(super) marks: Marks,
    /// Bytes written since the supervisor started.
    pub(super) written: u64,
    /// Newest first.
    parts: Vec<Part>,
}

struct Part {
    file: File,
    bytes: u64,
    packed: bool,
    modified: Timestamp,
}

impl Moment {
    /// Opens a log and those of its rotated files that were written since a time. Must not run beside
    /// a rotation.
    pub(super) fn of(
        path: &Path,
        (marks, written): (Marks, u64),
        since: Option<Timestamp>,
    ) -> io::Result<Self> {
        let mut parts = Vec::new();
        for number in 0..=BACKUPS_MAX {
            let Some(part) = Part::open(path, number)? else {
                // The present file may have been rotated a moment ago.
                if number == 0 {
                    continue;
                }
                break;
            };
            if since.is_some_and(|since| part.modified < since) {
                break;
            }
            parts.push(part);
        }
        Ok(Self {
            marks,
            written,
            parts,
        })
    }

    /// Returns the lines that are asked for. Reads files.
    pub(super) fn look(mut self, owner: &Owner<'_>, question: Question) -> io::Result<Past> {
        let from = question.since.and_then(|at| self.marks.position_by(at));
        let behind = from.map(|from| self.written.saturating_sub(from));
        let behind = behind.and_then(|bytes| usize::try_from(bytes).ok());
        let most = behind.unwrap_or(READ_MAX).min(READ_MAX);
        let mut bytes = match question.since {
            Some(_) => most,
            None => READ_FIRST,
        };
        loop {
            let (text, is_all) = self.end(bytes)?;
            let lines = memchr::memchr_iter(b'\n', &text).count();
            if is_all || bytes >= most || lines > question.lines {
                let is_whole = is_all || behind == Some(bytes);
                return Ok(self.lines(owner, question, &text, is_whole));
            }
            bytes = bytes.saturating_mul(8).min(most);
        }
    }

    /// Reads the last bytes, from the begin of a line on; tells whether that is all there is.
    fn end(&mut self, bytes: usize) -> io::Result<(Vec<u8>, bool)> {
        // One more, to see whether it begins with a line.
        let wanted = bytes.saturating_add(1);
        let mut pieces = Vec::new();
        let mut found = 0;
        for part in &mut self.parts {
            let piece = part.end(wanted - found)?;
            found += piece.len();
            pieces.push(piece);
            if found >= wanted {
                break;
            }
        }
        pieces.reverse();
        let mut text = pieces.concat();
        if found < wanted {
            return Ok((text, true));
        }
        let border = memchr::memchr(b'\n', &text).map_or(text.len(), |at| at + 1);
        text.drain(..border);
        Ok((text, false))
    }

    fn lines(&self, owner: &Owner<'_>, asked: Question, text: &[u8], is_whole: bool) -> Past {
        // Before the beginning: written by an earlier supervisor, or by others.
        let mut position = i128::from(self.written) - text.len() as i128;
        let mut lines = Vec::new();
        let mut is_wanted = true;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let written = u64::try_from(position).map(|at| self.marks.written_at(at));
            let written = written.ok().flatten().unwrap_or_else(|| self.begin());
            position += line.len() as i128;
            let (line, has_time) = owner.line(line, written);
            // What has no time goes with what stands before: a record may have several lines.
            if has_time {
                is_wanted = asked.wants(&line);
            }
            if is_wanted {
                lines.push(line);
            }
        }
        let surplus = lines.len().saturating_sub(asked.lines);
        lines.drain(..surplus);
        Past {
            cut: asked.since.is_some() && (surplus > 0 || !is_whole),
            lines,
        }
    }

    /// Returns the time by which everything was written that was there before the supervisor.
    fn begin(&self) -> Timestamp {
        let modified = self.parts.first().map(|part| part.modified);
        let first = self.marks.first().or(modified);
        first.unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl Part {
    /// Opens the file of a log, or a rotated one, which may be compressed.
    fn open(path: &Path, number: usize) -> io::Result<Option<Self>> {
        let (plain, packed) = match number {
            0 => (path.to_owned(), None),
            number => (
                shift::backup(path, number),
                Some(shift::packed(path, number)),
            ),
        };
        for (path, packed) in [(Some(plain), false), (packed, true)] {
            let Some(path) = path else { continue };
            let file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            let found = file.metadata()?;
            return Ok(Some(Self {
                bytes: found.len(),
                modified: Timestamp::try_from(found.modified()?).unwrap_or(Timestamp::MAX),
                file,
                packed,
            }));
        }
        Ok(None)
    }

    /// Reads at most so many bytes from its end.
    fn end(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let skip = self.bytes.saturating_sub(most as u64);
        if self.packed {
            self.file.seek(SeekFrom::Start(0))?;
            return last_of(MultiGzDecoder::new(&self.file), most);
        }
        self.file.seek(SeekFrom::Start(skip))?;
        let mut text = Vec::new();
        (&self.file)
            .take(self.bytes - skip)
            .read_to_end(&mut text)?;
        Ok(text)
    }
}

/// Reads to the end, and keeps the last bytes.
fn last_of(mut from: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut chunk = vec![0; READ_FIRST];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if text.len() / 2 > most.max(READ_FIRST) {
            text.drain(..text.len() - most);
        }
    }
    text.drain(..text.len().saturating_sub(most));
    Ok(text)
}

impl Owner<'_> {
    /// Reads a line of the file; tells whether it has a time of its own.
    fn line(&self, text: &[u8], written: Timestamp) -> (LogLine, bool) {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        if self.format == LineFormat::Json
            && let Ok(line) = serde_json::from_slice(text)
        {
            return (line, true);
        }
        let text = String::from_utf8_lossy(text);
        let own = text.split_at_checked(TIME_BYTES).and_then(|(time, rest)| {
            let rest = rest.strip_prefix(' ')?;
            Some((time.parse().ok()?, rest))
        });
        let (at, line, has_time) = match own {
            Some((at, rest)) => (at, rest, true),
            None => (written, &*text, false),
        };
        let stream = match (has_time, self.format) {
            (true, LineFormat::Raw) => LogStream::Record,
            (true, LineFormat::Ts | LineFormat::Json) | (false, _) => self.stream,
        };
        let line = LogLine {
            service: self.service.to_owned(),
            // Not written there.
            incarnation: 0,
            stream,
            line: line.to_owned(),
            at,
        };
        (line, has_time)
    }
}

#[cfg(test)]
mod tests;
