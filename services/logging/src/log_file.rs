//! A log file as messages: what was received on a day, from `MSG_2026-01-31.log` or its compressed
//! form, with the times of the index beside it.
//!
//! Without index all that is known is the day, of the name or else of the last change of the file: then
//! messages are a millisecond apart from midnight on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use fathom_formats::km3net::LogSource;
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::archive::day_of;
use crate::index::{ENTRY_BYTES, Entry};
use crate::line::read_line;

/// Endings of log files.
const ENDINGS: [&str; 2] = [".log", ".log.gz"];
/// Longest line kept; the rest of a longer one is skipped [bytes].
const LINE_MAX: u64 = 64 << 10;
/// Most bytes of a message; further lines of it are skipped.
const MESSAGE_MAX: usize = 1 << 20;
const DAY_MS: i64 = 86_400_000;

/// A message of a log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// When it was received, in milliseconds since 1970.
    pub received_ms: i64,
    /// Where its line begins in the text, uncompressed.
    pub offset: u64,
    /// Its text; behind the name of the file and the class where that is not what the text tells.
    pub body: Vec<u8>,
}

/// Reads the messages of a log file one after the other.
pub struct LogFile {
    text: BufReader<Box<dyn Read + Send>>,
    index: Option<BufReader<File>>,
    /// The entry that was read last and fits no line yet.
    entry: Option<Entry>,
    midnight_ms: i64,
    records: i64,
    offset: u64,
    /// The first line of the next message, and where it begins.
    next: Option<(u64, Vec<u8>)>,
}

impl LogFile {
    /// Tells whether a file is a log file, by its name.
    pub fn is_one(path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| ENDINGS.iter().any(|ending| name.ends_with(ending)))
    }

    /// Opens a file and the index beside it, if there is one.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let changed = file.metadata()?.modified().ok();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
        let stem = stem.unwrap_or(&name);
        let named = stem
            .rsplit_once('_')
            .and_then(|(_, day)| day.parse::<Date>().ok());
        let changed = changed
            .and_then(|at| Timestamp::try_from(at).ok())
            .map(day_of);
        let midnight = named
            .or(changed)
            .and_then(|day| day.to_zoned(TimeZone::UTC).ok());
        let beside = |ending: &str| path.with_file_name(format!("{stem}.{ending}"));
        // Of two files of a day the index tells nothing.
        let is_split = ["log", "log.gz"]
            .iter()
            .all(|ending| beside(ending).exists());
        let index = match File::open(beside("idx")) {
            Ok(index) if !is_split => Some(BufReader::new(index)),
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let text: Box<dyn Read + Send> = match name.ends_with(".gz") {
            true => Box::new(MultiGzDecoder::new(file)),
            false => Box::new(file),
        };
        Ok(Self {
            text: BufReader::new(text),
            index,
            entry: None,
            midnight_ms: midnight.map_or(0, |day| day.timestamp().as_millisecond()),
            records: 0,
            offset: 0,
            next: None,
        })
    }

    /// Reads a line, without its end; `None` at the end of the file.
    fn line(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let start = self.offset;
        let mut line = Vec::new();
        let read = self
            .text
            .by_ref()
            .take(LINE_MAX)
            .read_until(b'\n', &mut line)?;
        self.offset += read as u64;
        if read == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else {
            self.offset += self.text.skip_until(b'\n')? as u64;
        }
        Ok(Some((start, line)))
    }

    fn record(&mut self) -> io::Result<Option<LogRecord>> {
        let first = match self.next.take() {
            Some(first) => Some(first),
            None => self.line()?,
        };
        let Some((offset, line)) = first else {
            return Ok(None);
        };
        let mut body = text_of(line);
        // Lines that begin with a tab continue the message.
        while let Some((start, line)) = self.line()? {
            let Some(more) = line.strip_prefix(b"\t") else {
                self.next = Some((start, line));
                break;
            };
            if body.len() + more.len() < MESSAGE_MAX {
                body.push(b'\n');
                body.extend_from_slice(more);
            }
        }
        let unindexed_ms = self.midnight_ms + self.records.min(DAY_MS - 1);
        self.records += 1;
        Ok(Some(LogRecord {
            received_ms: self.indexed_ms(offset)?.unwrap_or(unindexed_ms),
            offset,
            body,
        }))
    }

    /// Returns the time that the index has for the message at a place.
    fn indexed_ms(&mut self, offset: u64) -> io::Result<Option<i64>> {
        while self.entry.is_none_or(|entry| entry.offset < offset) {
            let Some(index) = &mut self.index else {
                return Ok(None);
            };
            let mut bytes = [0; ENTRY_BYTES];
            match index.read_exact(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.index = None;
                    return Ok(None);
                }
                read => read?,
            }
            self.entry = Entry::read(&bytes).or(self.entry);
        }
        let entry = self.entry.filter(|entry| entry.offset == offset);
        Ok(entry.map(|entry| entry.received_ms))
    }
}

impl Iterator for LogFile {
    type Item = io::Result<LogRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        self.record().transpose()
    }
}

/// Returns the message of a line, which has the name of the file and the class before it.
fn text_of(line: Vec<u8>) -> Vec<u8> {
    let read = std::str::from_utf8(&line).ok().and_then(read_line);
    match read {
        Some((class, text)) if class == LogSource::of(text) => text.as_bytes().to_vec(),
        _ => line,
    }
}

/// Log files of several days as one stream, day by day.
pub struct LogFiles {
    /// The next one last.
    files: Vec<(PathBuf, LogFile)>,
}

impl LogFiles {
    /// Opens all files; an error says which one cannot be.
    ///
    /// # Errors
    /// When a file is not there or may not be read.
    pub fn open(paths: &[PathBuf]) -> Result<Self, (PathBuf, io::Error)> {
        let open = |path: &PathBuf| match LogFile::open(path) {
            Ok(file) => Ok((path.clone(), file)),
            Err(error) => Err((path.clone(), error)),
        };
        let mut files = paths.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        files.sort_by_key(|(_, file)| std::cmp::Reverse(file.midnight_ms));
        Ok(Self { files })
    }
}

impl Iterator for LogFiles {
    type Item = (PathBuf, io::Result<LogRecord>);

    /// Returns the next message and its file; after an error the rest of its file is left out.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (path, file) = self.files.last_mut()?;
            let path = path.clone();
            match file.next() {
                Some(Ok(record)) => return Some((path, Ok(record))),
                Some(Err(error)) => {
                    self.files.pop();
                    return Some((path, Err(error)));
                }
                None => {
                    self.files.pop();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use fathom_formats::km3net::LogSource;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::index::Level;

    const TEXT: &str =
        "MSG.log [DataFilter]: one F0\n\tmore of it\nMSG.log [Other]: two\nno class\n";

    fn records(path: &Path) -> Vec<(i64, String)> {
        let records = LogFile::open(path).unwrap().map(Result::unwrap);
        let shown =
            |record: LogRecord| (record.received_ms, String::from_utf8(record.body).unwrap());
        records.map(shown).collect()
    }

    #[test]
    fn messages_come_with_the_times_of_the_index_or_of_the_day() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("MSG_1970-01-02.log");
        std::fs::write(&plain, TEXT).unwrap();
        let expected = |times: [i64; 3]| {
            let texts = ["one F0\nmore of it", "two", "no class"];
            times
                .into_iter()
                .zip(texts.map(str::to_owned))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            records(&plain),
            expected([86_400_000, 86_400_001, 86_400_002])
        );
        // The index does not know the second message.
        let entry = |offset, received_ms| Entry {
            offset,
            length: 1,
            received_ms,
            level: Level::None,
            class: LogSource::Other,
        };
        let last = TEXT.find("no class").unwrap() as u64;
        let index = [entry(0, 90_000_000), entry(last, 91_000_000)].map(|entry| entry.bytes());
        std::fs::write(folder.path().join("MSG_1970-01-02.idx"), index.concat()).unwrap();
        let times = [90_000_000, 86_400_001, 91_000_000];
        assert_eq!(records(&plain), expected(times));
        // Compressed it is the same.
        let packed = folder.path().join("MSG_1970-01-02.log.gz");
        let mut encoder = GzEncoder::new(File::create(&packed).unwrap(), Compression::fast());
        encoder.write_all(TEXT.as_bytes()).unwrap();
        encoder.finish().unwrap();
        std::fs::remove_file(&plain).unwrap();
        assert_eq!(records(&packed), expected(times));
        assert!(LogFile::is_one(&packed) && !LogFile::is_one(Path::new("x.rec")));
    }

    #[test]
    fn the_class_stays_in_front_where_the_text_tells_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("MSG.log");
        let lines = "MSG.log [DataFilter]: of F0 F001\nMSG.log [DataWriter]: of nobody\n";
        std::fs::write(&path, lines).unwrap();
        let texts: Vec<_> = records(&path).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["of F0 F001", "MSG.log [DataWriter]: of nobody"]);
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("MSG.log");
        let long = format!(
            "MSG.log [Other]: {}\nMSG.log [Other]: next\n",
            "x".repeat(200_000)
        );
        std::fs::write(&path, long).unwrap();
        let read = records(&path);
        assert_eq!((read.len(), &*read[1].1), (2, "next"));
        assert!(read[0].1.len() < 70_000);
    }
}
