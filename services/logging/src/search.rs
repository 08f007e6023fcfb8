//! Finds messages in the files: by the index where there is one, line by line where not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use fathom_formats::km3net::{LogMessage, LogSource};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::archive::{ArchiveError, Names, day_of};
use crate::index::{ENTRY_BYTES, Entry, Level};

/// Most messages of one answer.
const LIMIT_MAX: usize = 1000;
/// Most text read for one answer [bytes].
const SCAN_MAX: u64 = 512 << 20;
/// Longest record of a file without index [bytes].
const RECORD_MAX: u64 = 1 << 20;

/// What is looked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wanted {
    /// Levels, such as `ERROR`; empty for all.
    level: Vec<Level>,
    /// Classes, such as `DataFilter`; empty for all.
    class: Vec<LogSource>,
    /// Part of the text, in upper or lower case.
    text: String,
    /// Regular expression that the text fits, in upper or lower case.
    regex: Option<Pattern>,
    /// Arrival, from and to (included).
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// Most messages in the answer; the newest ones.
    limit: Option<usize>,
}

/// Most memory of a regular expression [bytes].
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A regular expression.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(regex::Regex);

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, regex::Error> {
        let mut builder = regex::RegexBuilder::new(&text);
        builder.case_insensitive(true).size_limit(PATTERN_BYTES_MAX);
        builder.build().map(Self)
    }
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer {
    /// Oldest first.
    pub(crate) messages: Vec<Hit>,
    /// There are older ones that were not looked at or did not fit.
    truncated: bool,
    scanned_bytes: u64,
}

/// A message that fits.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Hit {
    /// Arrival; unknown in files without index.
    pub(crate) at: Option<Timestamp>,
    day: Date,
    pub(crate) level: Level,
    pub(crate) class: LogSource,
    pub(crate) text: String,
}

impl Wanted {
    /// Wants the newest messages of any sort.
    pub(crate) fn newest(messages: usize) -> Self {
        Self {
            limit: Some(messages),
            ..Self::default()
        }
    }

    /// Searches the files from the newest day back.
    pub(crate) fn search(self, names: &Names, today: Date) -> Result<Answer, ArchiveError> {
        self.search_within(names, today, SCAN_MAX)
    }

    /// Searches so many bytes: the newest ones.
    fn search_within(
        mut self,
        names: &Names,
        today: Date,
        scan_max: u64,
    ) -> Result<Answer, ArchiveError> {
        let _hold = names.hold();
        let limit = self.limit.unwrap_or(200).clamp(1, LIMIT_MAX);
        self.text = self.text.to_lowercase();
        let mut days = names
            .days()
            .map_err(ArchiveError::of("list folder", &names.folder))?;
        days.push(today);
        let mut answer = Answer::default();
        for (newest, &day) in days.iter().rev().enumerate() {
            if !self.covers(day) {
                continue;
            }
            let wanted = limit - answer.messages.len();
            if wanted == 0 || answer.scanned_bytes >= scan_max {
                answer.truncated = true;
                break;
            }
            let files = match newest {
                0 => vec![(names.today("log"), Some(names.today("idx")))],
                _ => past_files(names, day),
            };
            let mut hits = Vec::new();
            // What was compressed already is the older part of a day.
            for (text, index) in files.into_iter().rev() {
                let mut scan = Scan {
                    wanted: &self,
                    day,
                    hits: Vec::new(),
                    read: 0,
                    room: scan_max.saturating_sub(answer.scanned_bytes),
                    cut: false,
                };
                scan.file(&text, index.as_deref())
                    .map_err(ArchiveError::of("search", &text))?;
                answer.scanned_bytes += scan.read;
                answer.truncated |= scan.cut;
                scan.hits.append(&mut hits);
                hits = scan.hits;
            }
            answer.truncated |= hits.len() > wanted;
            hits.drain(..hits.len().saturating_sub(wanted));
            hits.append(&mut answer.messages);
            answer.messages = hits;
        }
        Ok(answer)
    }

    fn covers(&self, day: Date) -> bool {
        // Messages near midnight may stand in the file of the next day.
        let after = |at: Timestamp| day_of(at) > day.tomorrow().unwrap_or(day);
        let before = |at: Timestamp| day_of(at) < day.yesterday().unwrap_or(day);
        !self.from.is_some_and(after) && !self.to.is_some_and(before)
    }

    fn fits_entry(&self, entry: &Entry) -> bool {
        let at_ms = entry.received_ms;
        self.from.is_none_or(|from| at_ms >= from.as_millisecond())
            && self.to.is_none_or(|to| at_ms <= to.as_millisecond())
            && self.fits(entry.level, entry.class)
    }

    fn fits(&self, level: Level, class: LogSource) -> bool {
        (self.level.is_empty() || self.level.contains(&level))
            && (self.class.is_empty() || self.class.contains(&class))
    }

    fn fits_text(&self, text: &str) -> bool {
        let has_words = self.text.is_empty() || text.to_lowercase().contains(&self.text);
        let fits_pattern = |pattern: &Pattern| pattern.0.is_match(text);
        has_words && self.regex.as_ref().is_none_or(fits_pattern)
    }
}

/// A past day has its text plain or compressed; both, when the service was stopped in between.
pub(crate) fn past_files(
    names: &Names,
    day: Date,
) -> Vec<(std::path::PathBuf, Option<std::path::PathBuf>)> {
    let (plain, packed) = (names.of_day(day, "log"), names.of_day(day, "log.gz"));
    let index = Some(names.of_day(day, "idx")).filter(|path| path.exists());
    match (packed.exists(), plain.exists()) {
        (true, true) => vec![(packed, None), (plain, None)],
        (true, false) => vec![(packed, index)],
        _ => vec![(plain, index)],
    }
}

/// The search in one file.
struct Scan<'a> {
    wanted: &'a Wanted,
    day: Date,
    hits: Vec<Hit>,
    read: u64,
    /// Bytes that may be read: those at the end of the file.
    room: u64,
    /// There was more before them.
    cut: bool,
}

impl Scan<'_> {
    fn file(&mut self, text: &Path, index: Option<&Path>) -> io::Result<()> {
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
                Box::new(file)
            }
        };
        let reader = BufReader::new(reader);
        match index {
            Some(mut index) => {
                index.seek(SeekFrom::Start(0))?;
                self.by_index(reader, BufReader::new(index), start)
            }
            None => self.by_line(reader),
        }
    }

    /// Reads only the texts whose entries fit, from a place in the text on.
    fn by_index(
        &mut self,
        mut text: impl BufRead,
        mut index: impl Read,
        start: u64,
    ) -> io::Result<()> {
        let mut at = start;
        let mut bytes = [0; ENTRY_BYTES];
        while read_whole(&mut index, &mut bytes)? {
            let Some(entry) = Entry::read(&bytes) else {
                continue;
            };
            if !self.wanted.fits_entry(&entry) || entry.offset < at {
                continue;
            }
            at += skip(&mut text, entry.offset - at)?;
            let mut line = Vec::new();
            let length = u64::from(entry.length);
            at += text.by_ref().take(length).read_to_end(&mut line)? as u64;
            self.read = at - start;
            let line = String::from_utf8_lossy(&line);
            let received = Timestamp::from_millisecond(entry.received_ms).ok();
            self.judge(&line, received, entry.level, entry.class);
        }
        Ok(())
    }

    /// Reads everything; lines that begin with a tab continue the one before.
    fn by_line(&mut self, mut text: impl BufRead) -> io::Result<()> {
        // What began before the place where reading begins is no whole record.
        let mut within_cut = self.cut;
        let mut record = String::new();
        loop {
            let mut line = Vec::new();
            let count = text
                .by_ref()
                .take(RECORD_MAX)
                .read_until(b'\n', &mut line)?;
            let first = self.read == 0;
            self.read += count as u64;
            let ended = count == 0;
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
                return Ok(());
            }
        }
    }

    fn judge_line(&mut self, line: &str) {
        if line.is_empty() {
            return;
        }
        let text = line.split_once("]: ").map_or(line, |(_, text)| text);
        let message = LogMessage::decode(text.as_bytes());
        let start = self.day.to_zoned(TimeZone::UTC).map(|day| day.timestamp());
        let (level, class) = (Level::of(&message), message.source());
        let fits_day = start.is_ok_and(|start| {
            let end = start + jiff::SignedDuration::from_hours(24);
            self.wanted.from.is_none_or(|from| from < end)
                && self.wanted.to.is_none_or(|to| to >= start)
        });
        if fits_day && self.wanted.fits(level, class) {
            self.judge(line, None, level, class);
        }
    }

    fn judge(&mut self, line: &str, at: Option<Timestamp>, level: Level, class: LogSource) {
        let text = line.split_once("]: ").map_or(line, |(_, text)| text);
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
    Ok(entry.map_or(0, |entry| entry.offset + u64::from(entry.length) + 1))
}

fn skip(reader: &mut impl Read, count: u64) -> io::Result<u64> {
    io::copy(&mut reader.take(count), &mut io::sink())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Archive;

    fn texts(answer: &Answer) -> Vec<&str> {
        answer
            .messages
            .iter()
            .map(|hit| hit.text.as_str())
            .collect()
    }

    #[test]
    fn what_is_too_much_to_read_is_searched_from_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::new(folder.path().to_owned(), "MSG".into());
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let mut archive = Archive::open(names.clone(), now, 1 << 20).unwrap();
        for number in 0..100 {
            let text = format!("message {number:02}\nmore");
            archive
                .take(&LogMessage::decode(text.as_bytes()), now)
                .unwrap();
        }
        archive.flush().unwrap();
        let today = day_of(now);
        let line = "MSG.log [Other]: message 00\n\tmore\n".len() as u64;
        let search = |room: u64| {
            let found = Wanted::newest(1000).search_within(&names, today, room);
            let found = found.unwrap();
            assert!(found.scanned_bytes <= room);
            found
        };
        let expected = ["message 98\nmore", "message 99\nmore"];
        for indexed in [true, false] {
            if !indexed {
                std::fs::remove_file(folder.path().join("MSG.idx")).unwrap();
            }
            let some = search(2 * line + 10);
            assert_eq!(texts(&some), expected, "{indexed}");
            assert!(some.truncated);
            let all = search(1 << 20);
            assert_eq!((all.messages.len(), all.truncated), (100, false));
        }
    }
}
