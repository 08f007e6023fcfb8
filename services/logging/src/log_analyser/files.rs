//! Counts the messages of files: by the index where there is one, line by line where not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use fathom_formats::km3net::LogSource;
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::Date;

use super::counts::{Counts, read_line};
use crate::archive::{ArchiveError, Names};
use crate::index::{ENTRY_BYTES, Entry, Level};
use crate::search::past_files;

/// Longest line looked at; the rest of a longer one is skipped [bytes].
const LINE_MAX: u64 = 64 << 10;
/// Lines between two questions whether to stop.
const LINES_AT_ONCE: usize = 4096;

/// One message of today.
pub(super) type Dated = (Timestamp, (LogSource, Level));

/// Returns the messages of today's index that came before a time.
pub(super) fn today_until(names: &Names, until: Timestamp) -> Result<Vec<Dated>, ArchiveError> {
    let path = names.today("idx");
    let mut messages = Vec::new();
    let day = crate::archive::day_of(until);
    let read = by_index(&path, |entry| {
        if let Ok(at) = Timestamp::from_millisecond(entry.received_ms)
            && at < until
            && crate::archive::day_of(at) == day
        {
            messages.push((at, (entry.class, entry.level)));
        }
    });
    match read {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(ArchiveError::of("read", &path)(error))
        }
        _ => Ok(messages),
    }
}

/// Which archived days are to be counted: the newest ones that are not known yet. Those that would
/// be forgotten at once are left alone, or they would be counted again with every look.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) known: BTreeSet<Date>,
    /// So many days find room, this one and later ones.
    pub(super) days_max: usize,
    pub(super) oldest: Option<Date>,
}

impl Wanted {
    /// Returns those of the listed days, newest first.
    pub(super) fn of(&self, listed: Vec<Date>) -> impl Iterator<Item = Date> {
        let newest = listed.into_iter().rev().take(self.days_max);
        newest
            .take_while(|day| self.oldest.is_none_or(|oldest| *day >= oldest))
            .filter(|day| !self.known.contains(day))
    }
}

/// Counts the archived days that are wanted. Ends early, with what is done, when told to.
pub(super) fn days(
    names: &Names,
    wanted: &Wanted,
    is_stopped: &dyn Fn() -> bool,
) -> Result<BTreeMap<Date, Counts>, ArchiveError> {
    let listed = match names.days() {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(ArchiveError::of("list folder", &names.folder))?,
    };
    let mut counted = BTreeMap::new();
    for day in wanted.of(listed) {
        let Some(counts) = count_day(names, day, is_stopped)? else {
            break;
        };
        counted.insert(day, counts);
    }
    Ok(counted)
}

/// Counts one day; `None` when told to stop.
fn count_day(
    names: &Names,
    day: Date,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Option<Counts>, ArchiveError> {
    let _hold = names.hold();
    let mut counts = Counts::default();
    for (text, index) in past_files(names, day) {
        if is_stopped() {
            return Ok(None);
        }
        let mut own = Counts::default();
        let indexed =
            index.map(|path| by_index(&path, |entry| own.add((entry.class, entry.level))));
        if let Some(Ok(1..)) = indexed {
            counts.merge(&own);
            continue;
        }
        own = Counts::default();
        match by_line(&text, is_stopped, |line| own.add(read_line(line))) {
            // A day that was begun twice has a compressed file and a plain one.
            Ok(true) => counts.merge(&own),
            Ok(false) => return Ok(None),
            // Compressed or deleted meanwhile: the next look finds it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ArchiveError::of("read", &text)(error)),
        }
    }
    Ok(Some(counts))
}

/// Goes through an index; returns how many entries it has.
fn by_index(path: &Path, mut saw: impl FnMut(&Entry)) -> io::Result<u64> {
    let mut index = BufReader::new(File::open(path)?);
    let mut bytes = [0; ENTRY_BYTES];
    let mut entries = 0;
    loop {
        match index.read_exact(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(entries),
            read => read?,
        }
        if let Some(entry) = Entry::read(&bytes) {
            saw(&entry);
            entries += 1;
        }
    }
}

/// Goes through the lines of a file, compressed or not; lines that begin with a tab continue a message.
/// Returns `false` when told to stop.
fn by_line(
    path: &Path,
    is_stopped: &dyn Fn() -> bool,
    mut saw: impl FnMut(&str),
) -> io::Result<bool> {
    let file = File::open(path)?;
    let packed = path.extension().is_some_and(|ending| ending == "gz");
    let reader: Box<dyn Read> = match packed {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    // The line that is read continues one that was too long.
    let mut within = false;
    for number in 1_usize.. {
        line.clear();
        if reader
            .by_ref()
            .take(LINE_MAX)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return Ok(true);
        }
        let begins = !std::mem::replace(&mut within, line.last() != Some(&b'\n'));
        if begins && line.first() != Some(&b'\t') {
            let text = String::from_utf8_lossy(&line);
            saw(text.trim_end_matches(['\n', '\r']));
        }
        if number.is_multiple_of(LINES_AT_ONCE) && is_stopped() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn the_plain_and_the_compressed_file_of_a_day_count_together() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::new(folder.path().to_owned(), "MSG".into());
        let day = Date::constant(2021, 9, 2);
        let line = |level: &str| format!("MSG.log [DataFilter]: x 10.0.0.1 F001 {level} y\n");
        let packed = File::create(names.of_day(day, "log.gz")).unwrap();
        let mut encoder = GzEncoder::new(packed, Compression::fast());
        let early = line("ERROR").repeat(3) + &line("WARNING");
        encoder.write_all(early.as_bytes()).unwrap();
        encoder.finish().unwrap();
        std::fs::write(names.of_day(day, "log"), line("ERROR").repeat(2)).unwrap();
        let counts = count_day(&names, day, &|| false).unwrap().unwrap();
        let of = |level| counts.of(LogSource::DataFilter, level);
        assert_eq!((of(Level::Error), of(Level::Warning)), (5, 1));
    }
}
