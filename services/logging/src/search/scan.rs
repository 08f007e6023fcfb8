//! The search in one file of messages: by its index, and line by line where that tells nothing.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use fathom_formats::km3net::{LogMessage, LogSource};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Hit, LIMIT_MAX, RECORD_MAX, Wanted};
use crate::index::{ENTRY_BYTES, Entry, Level};
use crate::line::split_line;

/// The search in one file.
pub(super) struct Scan<'a> {
    wanted: &'a Wanted,
    day: Date,
    /// Bytes that may be read: those at the end of the file.
    room: u64,
    /// What fits, oldest first, also when the file could not be read to its end.
    pub(super) hits: Vec<Hit>,
    pub(super) read: u64,
    /// There was more before what was read.
    pub(super) cut: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(wanted: &'a Wanted, day: Date, room: u64) -> Self {
        Self {
            wanted,
            day,
            room,
            hits: Vec::new(),
            read: 0,
            cut: false,
        }
    }

    /// Searches a file, by its index where it has one.
    ///
    /// # Errors
    /// When it cannot be read to its end.
    pub(super) fn file(&mut self, text: &Path, index: Option<&Path>) -> io::Result<()> {
        let mut file = match File::open(text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let index = match index.map(File::open) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Some(Ok(index)) => Some(index),
            Some(Err(_)) | None => None,
        };
        let packed = text.extension().is_some_and(|ending| ending == "gz");
        let length = match (packed, &index) {
            (false, _) => file.metadata()?.len(),
            (true, Some(index)) => indexed_bytes(index)?,
            // Its length shows only when all of it is read; it has to be.
            (true, None) => 0,
        };
        let start = length.saturating_sub(self.room);
        self.cut = start > 0;
        let reader: Box<dyn Read> = match packed {
            true => {
                let mut reader = MultiGzDecoder::new(file);
                skip(&mut reader, start)?;
                Box::new(reader)
            }
            false => {
                file.seek(SeekFrom::Start(start))?;
                // What is written meanwhile is left for the next search.
                Box::new(file.take(length - start))
            }
        };
        let reader = BufReader::new(reader);
        match index {
            Some(mut index) => {
                index.seek(SeekFrom::Start(0))?;
                self.by_index(reader, BufReader::new(index), start..length)
            }
            None => self.by_line(reader, self.cut).map(drop),
        }
    }

    /// Reads only the texts whose entries fit, between two places in the text. Text without entries, which
    /// another program wrote or which is from before a crash, is read line by line.
    fn by_index(
        &mut self,
        mut text: impl BufRead,
        mut index: impl Read,
        Range { start, end }: Range<u64>,
    ) -> io::Result<()> {
        let mut at = start;
        // End of what the entries so far tell of.
        let mut told = 0;
        let mut bytes = [0; ENTRY_BYTES];
        while read_whole(&mut index, &mut bytes)? {
            let Some(entry) = Entry::read(&bytes) else {
                continue;
            };
            let untold = told.max(at)..entry.offset;
            told = told.max(entry.end());
            if !untold.is_empty() {
                at += skip(&mut text, untold.start - at)?;
                let gap = text.by_ref().take(untold.end - untold.start);
                at += self.by_line(gap, untold.start == start && self.cut)?;
            }
            if !self.wanted.fits_entry(&entry) || entry.offset < at {
                continue;
            }
            at += skip(&mut text, entry.offset - at)?;
            let mut line = Vec::new();
            let length = u64::from(entry.length);
            at += text.by_ref().take(length).read_to_end(&mut line)? as u64;
            self.read = at - start;
            // The index is read later than the length of the text: it may tell of what came meanwhile.
            if (line.len() as u64) < length {
                break;
            }
            let line = String::from_utf8_lossy(&line);
            let received = Timestamp::from_millisecond(entry.received_ms).ok();
            let (_, text) = split(&line);
            self.judge(text, received, entry.level, entry.class);
        }
        // How long a compressed text is without any entry shows only when it is read: `end` is zero.
        if told < end || told == 0 {
            at += skip(&mut text, told.saturating_sub(at))?;
            at += self.by_line(text, told <= start && self.cut)?;
        }
        self.read = at - start;
        Ok(())
    }

    /// Reads everything; lines that begin with a tab continue the one before. Returns the bytes read.
    fn by_line(&mut self, mut text: impl BufRead, is_cut: bool) -> io::Result<u64> {
        // What began before the place where reading begins is no whole record.
        let mut within_cut = is_cut;
        let mut record = String::new();
        let mut read = 0;
        loop {
            let mut line = Vec::new();
            let count = text.by_ref().take(RECORD_MAX).read_until(b'\n', &mut line);
            let failed = count.as_ref().is_err();
            let first = read == 0;
            read += *count.as_ref().unwrap_or(&0) as u64;
            let ended = failed || matches!(count, Ok(0));
            if within_cut && !ended && (first || line.starts_with(b"\t")) {
                continue;
            }
            within_cut = false;
            let room = (record.len() as u64) < RECORD_MAX;
            if line.starts_with(b"\t") && room {
                record.push_str(&String::from_utf8_lossy(&line));
            } else {
                let done = std::mem::replace(&mut record, String::from_utf8_lossy(&line).into());
                self.judge_line(done.trim_end_matches('\n'));
            }
            if ended {
                self.read += read;
                return count.map(|_| read);
            }
        }
    }

    fn judge_line(&mut self, line: &str) {
        if line.is_empty() {
            return;
        }
        let (class, text) = split(line);
        let message = LogMessage::decode(text.as_bytes());
        let start = self.day.to_zoned(TimeZone::UTC).map(|day| day.timestamp());
        let (level, class) = (
            Level::of(&message),
            class.unwrap_or_else(|| message.source()),
        );
        let fits_day = start.is_ok_and(|start| {
            let end = start + jiff::SignedDuration::from_hours(24);
            self.wanted.from.is_none_or(|from| from < end)
                && self.wanted.to.is_none_or(|to| to >= start)
        });
        if fits_day && self.wanted.fits(level, class) {
            self.judge(text, None, level, class);
        }
    }

    fn judge(&mut self, text: &str, at: Option<Timestamp>, level: Level, class: LogSource) {
        if !self.wanted.fits_text(text) {
            return;
        }
        // Twice the limit, so that dropping the older half is rare.
        if self.hits.len() >= 2 * LIMIT_MAX {
            self.hits.drain(..LIMIT_MAX - 1);
        }
        self.hits.push(Hit {
            at,
            day: self.day,
            level,
            class,
            text: text.replace("\n\t", "\n"),
        });
    }
}

/// Splits a line into its class, if it is of one that we know, and the message.
fn split(line: &str) -> (Option<LogSource>, &str) {
    split_line(line).unwrap_or((None, line))
}

/// Fills a buffer; `false` at the end of the file.
fn read_whole(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// Returns the length of the text that an index tells of.
fn indexed_bytes(mut index: &File) -> io::Result<u64> {
    let size = ENTRY_BYTES as u64;
    let Some(last) = (index.metadata()?.len() / size).checked_sub(1) else {
        return Ok(0);
    };
    let mut bytes = [0; ENTRY_BYTES];
    index.seek(SeekFrom::Start(last * size))?;
    let whole = read_whole(&mut index, &mut bytes)?;
    let entry = Entry::read(&bytes).filter(|_| whole);
    Ok(entry.as_ref().map_or(0, Entry::end))
}

fn skip(reader: &mut impl Read, count: u64) -> io::Result<u64> {
    io::copy(&mut reader.take(count), &mut io::sink())
}
