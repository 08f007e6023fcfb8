//! The text file of today and its index: appends, survives a full disk, is renamed at midnight.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fathom_formats::km3net::LogMessage;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::index::{ENTRY_BYTES, Entry, Level};

/// What went wrong, and with which file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}")]
pub(crate) struct ArchiveError {
    what: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl ArchiveError {
    pub(crate) fn of(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { what, path, source }
    }
}

/// Names of the files of a folder.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) folder: PathBuf,
    pub(crate) prefix: String,
    /// Written while files get other names, read while they are searched.
    moving: Arc<RwLock<()>>,
}

impl Names {
    pub(crate) fn new(folder: PathBuf, prefix: String) -> Self {
        Self {
            folder,
            prefix,
            moving: Arc::default(),
        }
    }

    /// Keeps the files where they are.
    pub(crate) fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.moving.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody needs the files where they are.
    pub(crate) fn free(&self) -> RwLockWriteGuard<'_, ()> {
        self.moving.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the file of today: `MSG.log`, or `MSG.idx`.
    pub(crate) fn today(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.prefix))
    }

    /// Returns the file of a day: `MSG_2026-01-31.log`.
    pub(crate) fn of_day(&self, day: Date, ending: &str) -> PathBuf {
        let day = day.strftime("%Y-%m-%d");
        self.folder.join(format!("{}_{day}.{ending}", self.prefix))
    }

    /// Returns the archived days, oldest first, whatever their endings.
    pub(crate) fn days(&self) -> io::Result<Vec<Date>> {
        let mut days = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let name = file?.file_name();
            let day = name
                .to_str()
                .and_then(|name| name.strip_prefix(&*self.prefix)?.strip_prefix('_'))
                .and_then(|rest| rest.split_once('.'))
                .filter(|(_, ending)| ["log", "log.gz"].contains(ending))
                .and_then(|(day, _)| day.parse::<Date>().ok());
            days.extend(day);
        }
        days.sort_unstable();
        days.dedup();
        Ok(days)
    }
}

/// Returns the UTC day of a time.
pub(crate) fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The files that are written to.
#[derive(Debug)]
pub(crate) struct Archive {
    names: Names,
    day: Date,
    text: Waiting,
    index: Waiting,
    /// Where the next message starts in the text file.
    offset: u64,
    waiting_max: usize,
    /// Messages that found no room while the disk was full.
    pub(crate) lost: u64,
    lost_unsaid: u64,
}

/// Bytes on their way into a file. After a failed write the rest waits for the next try.
#[derive(Debug)]
struct Waiting {
    path: PathBuf,
    bytes: Vec<u8>,
    file: Option<File>,
}

impl Archive {
    /// Opens the folder. A file that was last written on another day is archived under that day.
    pub(crate) fn open(
        names: Names,
        now: Timestamp,
        waiting_max: usize,
    ) -> Result<Self, ArchiveError> {
        fs::create_dir_all(&names.folder)
            .map_err(ArchiveError::of("create folder", &names.folder))?;
        let path = names.today("log");
        let written = match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > 0 => {
                let modified = metadata.modified();
                let modified = modified.map_err(ArchiveError::of("read the age of", &path))?;
                Timestamp::try_from(modified).ok().map(day_of)
            }
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(ArchiveError::of("look at", &path)(error)),
        };
        let mut archive = Self {
            text: Waiting::new(path),
            index: Waiting::new(names.today("idx")),
            names,
            day: written.unwrap_or(day_of(now)),
            offset: 0,
            waiting_max,
            lost: 0,
            lost_unsaid: 0,
        };
        archive.turn(now)?;
        archive.offset = archive.text.open()?;
        archive.index.open()?;
        Ok(archive)
    }

    /// Takes a message; it is in the file after the next [`Archive::flush`]. Refused and counted when
    /// too much is waiting already, because the disk is full.
    pub(crate) fn take(&mut self, message: &LogMessage<'_>, received: Timestamp) -> Option<Entry> {
        if self.text.bytes.len() + message.text().len() > self.waiting_max {
            self.lost += 1;
            self.lost_unsaid += 1;
            return None;
        }
        if self.lost_unsaid > 0 {
            let lost = std::mem::take(&mut self.lost_unsaid);
            let text = format!("ALERT {lost} messages were lost because the disk was full");
            self.add(&LogMessage::decode(text.as_bytes()), received);
        }
        Some(self.add(message, received))
    }

    fn add(&mut self, message: &LogMessage<'_>, received: Timestamp) -> Entry {
        let line = line_of(&self.names.prefix, message);
        let entry = Entry {
            offset: self.offset,
            length: u32::try_from(line.len() - 1).unwrap_or(u32::MAX),
            received_ms: received.as_millisecond(),
            level: Level::of(message),
            class: message.source(),
        };
        self.offset += line.len() as u64;
        self.text.bytes.extend(line.as_bytes());
        self.index.bytes.extend(entry.bytes());
        entry
    }

    /// Writes what is waiting. An error leaves the rest for the next try.
    pub(crate) fn flush(&mut self) -> Result<(), ArchiveError> {
        if self.text.is_elsewhere() {
            self.begin_anew()?;
        }
        self.text.write()?;
        self.index.write()
    }

    /// Goes on in a new file after somebody took the old one away: its index tells of nothing any
    /// more.
    fn begin_anew(&mut self) -> Result<(), ArchiveError> {
        let names = self.names.clone();
        let _free = names.free();
        match fs::remove_file(&self.index.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed.map_err(ArchiveError::of("remove", &self.index.path))?,
        }
        self.index.file = None;
        self.text.file = None;
        let start = self.text.open()?;
        self.restart_waiting(start);
        Ok(())
    }

    /// Archives the file under its day when another day has begun.
    pub(crate) fn turn(&mut self, now: Timestamp) -> Result<bool, ArchiveError> {
        let today = day_of(now);
        if today <= self.day {
            return Ok(false);
        }
        // What cannot be written now goes to the file of today rather than nowhere.
        let flushed = self.flush();
        let names = self.names.clone();
        let _free = names.free();
        let shift = move_behind(&self.text.path, &self.names.of_day(self.day, "log"))?;
        let index = self.names.of_day(self.day, "idx");
        shift_entries(&self.index.path, shift)?;
        move_behind(&self.index.path, &index)?;
        self.text.file = None;
        self.index.file = None;
        self.day = today;
        self.offset = self.text.open()?;
        self.index.open()?;
        if flushed.is_err() {
            let start = self.offset;
            self.restart_waiting(start);
        }
        Ok(true)
    }

    /// Makes the waiting entries fit the new file, which is so long already. A line that was cut by
    /// the full disk continues there without an entry of its own.
    fn restart_waiting(&mut self, file_bytes: u64) {
        let waiting = std::mem::take(&mut self.index.bytes);
        let (entries, _) = waiting.as_chunks::<ENTRY_BYTES>();
        let mut end = self.text.bytes.len() as u64;
        let mut kept = Vec::new();
        for mut entry in entries.iter().rev().filter_map(Entry::read) {
            let Some(start) = end.checked_sub(u64::from(entry.length) + 1) else {
                break;
            };
            entry.offset = file_bytes + start;
            kept.push(entry);
            end = start;
        }
        kept.reverse();
        self.index.bytes = kept.iter().flat_map(Entry::bytes).collect();
        self.offset = file_bytes + self.text.bytes.len() as u64;
    }

    /// Returns the bytes that wait for the disk.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.text.bytes.len()
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn day(&self) -> Date {
        self.day
    }
}

/// Returns the line of a message. Further lines of the same message begin with a tab.
pub(crate) fn line_of(prefix: &str, message: &LogMessage<'_>) -> String {
    let text = message
        .text()
        .replace("\r\n", "\n")
        .replace(['\n', '\r'], "\n\t");
    format!("{prefix}.log [{}]: {text}\n", message.source())
}

impl Waiting {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            bytes: Vec::new(),
            file: None,
        }
    }

    /// Opens the file and returns its length.
    fn open(&mut self) -> Result<u64, ArchiveError> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(ArchiveError::of("open", &self.path))?;
        let length = file.seek(SeekFrom::End(0));
        let length = length.map_err(ArchiveError::of("seek in", &self.path))?;
        self.file = Some(file);
        Ok(length)
    }

    /// Tells whether the open file is not the one at the path any more.
    fn is_elsewhere(&self) -> bool {
        let inode = |file: io::Result<fs::Metadata>| file.ok().map(|file| file.ino());
        let open = self.file.as_ref().map(|file| inode(file.metadata()));
        open.is_some_and(|open| open != inode(fs::metadata(&self.path)))
    }

    fn write(&mut self) -> Result<(), ArchiveError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        // Opened anew after an error, and when somebody took the file away.
        if self.file.is_none() || !self.path.exists() {
            self.open()?;
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let (written, result) = write_some(file, &self.bytes);
        self.bytes.drain(..written);
        if result.is_err() {
            self.file = None;
        }
        result.map_err(ArchiveError::of("write to", &self.path))
    }
}

/// Writes as much as goes and says how much that was.
fn write_some(file: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Renames a file; when the target is there already, appends to it. Returns where the moved bytes
/// start in the target.
fn move_behind(from: &Path, to: &Path) -> Result<u64, ArchiveError> {
    if !from.exists() {
        return Ok(0);
    }
    let there = match fs::metadata(to) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(ArchiveError::of("look at", to)(error)),
    };
    if there == 0 {
        return match fs::rename(from, to) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            renamed => renamed
                .map(|()| 0)
                .map_err(ArchiveError::of("rename", from)),
        };
    }
    let append = || -> io::Result<()> {
        let mut source = File::open(from)?;
        let mut target = File::options().append(true).open(to)?;
        io::copy(&mut source, &mut target)?;
        target.sync_all()?;
        fs::remove_file(from)
    };
    append().map_err(ArchiveError::of("append to", to))?;
    Ok(there)
}

/// Moves the offsets of an index file.
fn shift_entries(path: &Path, shift: u64) -> Result<(), ArchiveError> {
    if shift == 0 || !path.exists() {
        return Ok(());
    }
    let rewrite = || -> io::Result<()> {
        let mut bytes = Vec::new();
        File::open(path)?.read_to_end(&mut bytes)?;
        let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
        let moved = entries.iter().filter_map(Entry::read).map(|entry| Entry {
            offset: entry.offset + shift,
            ..entry
        });
        let moved: Vec<u8> = moved.flat_map(|entry| entry.bytes()).collect();
        fs::write(path, moved)
    };
    rewrite().map_err(ArchiveError::of("rewrite", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk of a few bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.0).min(3);
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.0 -= count;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_takes_a_part_and_the_rest_waits() {
        let (written, result) = write_some(&mut Full(7), b"0123456789");
        assert_eq!(written, 7);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::StorageFull);
        let (written, result) = write_some(&mut Full(100), b"789");
        assert!(written == 3 && result.is_ok());
    }

    #[test]
    fn several_lines_of_one_message_are_one_record() {
        let message = LogMessage::decode(b"one F0\ntwo\r\nthree\n\0");
        assert_eq!(
            line_of("MSG", &message),
            "MSG.log [DataFilter]: one F0\n\ttwo\n\tthree\n"
        );
    }
}
