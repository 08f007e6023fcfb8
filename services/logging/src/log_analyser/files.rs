//! Counts the messages of files: by the index where there is one, line by line where not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use fathom_formats::km3net::LogSource;
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::Date;

use super::counts::{Counts, about_line};
use crate::archive::{ArchiveError, Names};
use crate::index::{ENTRY_BYTES, Entry, Level};
use crate::search::past_files;

/// Longest line looked at; the rest of a longer one is skipped [bytes].
const LINE_MAX: u64 = 64 << 10;
/// Lines between two questions whether to stop.
const LINES_AT_ONCE: usize = 4096;

/// The messages of today from before the service started.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Those that the index tells of, by arrival.
    pub(super) dated: Vec<(Timestamp, (LogSource, Level))>,
    /// Those of which only the day is known.
    pub(super) undated: Counts,
}

/// Returns the messages of today's file that came before a time.
pub(super) fn today_until(names: &Names, until: Timestamp) -> Result<Before, ArchiveError> {
    let text = names.today("log");
    let bytes = match std::fs::metadata(&text) {
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        file => file.map_err(ArchiveError::of("look at", &text))?.len(),
    };
    today_within(names, until, bytes)
}

/// Looks at the beginning of the text only. Its length is measured before the index is read, and what
/// is written meanwhile is left alone: whoever listens since a time hears of it as well.
fn today_within(names: &Names, until: Timestamp, bytes: u64) -> Result<Before, ArchiveError> {
    let (text, index) = (names.today("log"), names.today("idx"));
    let mut before = Before::default();
    let day = crate::archive::day_of(until);
    let mut indexed = Counts::default();
    let told = by_index(&index, |entry| {
        if entry.offset < bytes {
            indexed.add((entry.class, entry.level));
        }
        if let Ok(at) = Timestamp::from_millisecond(entry.received_ms)
            && at < until
            && crate::archive::day_of(at) == day
        {
            before.dated.push((at, (entry.class, entry.level)));
        }
    });
    match told {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(ArchiveError::of("read", &index)(error));
        }
        Ok(told) if told.is_all_of(bytes) => return Ok(before),
        _ => {}
    }
    let changed = std::fs::metadata(&text).and_then(|file| file.modified());
    let changed = changed.ok().and_then(|at| Timestamp::try_from(at).ok());
    if changed.map(crate::archive::day_of) != Some(day) {
        return Ok(before);
    }
    let mut all = Counts::default();
    File::open(&text)
        .and_then(|file| {
            by_line(file.take(bytes), &|| false, |line| {
                all.add(about_line(line))
            })
        })
        .map_err(ArchiveError::of("read", &text))?;
    before.undated = all.without(&indexed);
    Ok(before)
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

/// The counts of a day, and why they are not all, where a file is damaged.
pub(super) type Counted = (Counts, Option<ArchiveError>);

/// What a look at the archived days found.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) counted: BTreeMap<Date, Counted>,
    /// Why days could not be counted this time; the next look tries them again.
    pub(super) failed: Vec<ArchiveError>,
}

/// Counts the archived days that are wanted. Ends early, with what is done, when told to.
///
/// # Errors
/// When the folder cannot be listed.
pub(super) fn days(
    names: &Names,
    wanted: &Wanted,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Look, ArchiveError> {
    let listed = match names.days() {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(ArchiveError::of("list folder", &names.folder))?,
    };
    let mut look = Look::default();
    for day in wanted.of(listed) {
        match count_day(names, day, is_stopped) {
            Some(Ok(counted)) => drop(look.counted.insert(day, counted)),
            Some(Err(error)) => look.failed.push(error),
            None => break,
        }
    }
    Ok(look)
}

/// Counts one day, as far as its files can be read; `None` when told to stop.
///
/// # Errors
/// When a file cannot be read for a reason that may pass, such as too many open files.
fn count_day(
    names: &Names,
    day: Date,
    is_stopped: &dyn Fn() -> bool,
) -> Option<Result<Counted, ArchiveError>> {
    let _hold = names.hold();
    let (mut counts, mut damage) = (Counts::default(), None);
    for (text, index) in past_files(names, day) {
        if is_stopped() {
            return None;
        }
        let mut own = Counts::default();
        let told = index.map(|path| by_index(&path, |entry| own.add((entry.class, entry.level))));
        if let Some(Ok(told)) = told
            && known_bytes(&text).is_ok_and(|bytes| told.is_all_of(bytes))
        {
            counts.merge(&own);
            continue;
        }
        own = Counts::default();
        let read = open(&text)
            .and_then(|text| by_line(text, is_stopped, |line| own.add(about_line(line))));
        match read {
            Ok(true) => {}
            // Compressed or deleted meanwhile: the next look finds it.
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Ok(false) => return None,
            Err(error) => {
                let is_damage = is_damage(&error);
                let error = ArchiveError::of("read all of", &text)(error);
                if !is_damage {
                    return Some(Err(error));
                }
                damage = Some(error);
            }
        }
        // A day that was begun twice has a compressed file and a plain one.
        counts.merge(&own);
    }
    Some(Ok((counts, damage)))
}

/// Tells whether a file will be unreadable with every further look as well: what the decompression
/// says of a file that is cut or changed.
fn is_damage(error: &io::Error) -> bool {
    let kinds = [
        ErrorKind::UnexpectedEof,
        ErrorKind::InvalidData,
        ErrorKind::InvalidInput,
    ];
    kinds.contains(&error.kind())
}

/// What an index tells of a text.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// It has an entry for all from the beginning to the end of the last one.
    has_no_gap: bool,
    /// End of the last one [bytes].
    end: u64,
}

impl Told {
    /// Tells whether the index knows all messages of a text that is so long.
    fn is_all_of(self, bytes: u64) -> bool {
        self.has_no_gap && self.end > 0 && bytes <= self.end
    }
}

/// Returns how long a text is at least. How long a compressed one is shows only when it is read; there
/// the end that the index tells of is trusted.
fn known_bytes(text: &Path) -> io::Result<u64> {
    match is_packed(text) {
        true => Ok(0),
        false => std::fs::metadata(text).map(|file| file.len()),
    }
}

fn is_packed(text: &Path) -> bool {
    text.extension().is_some_and(|ending| ending == "gz")
}

/// Opens a text, compressed or not.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    Ok(match is_packed(path) {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    })
}

/// Goes through an index.
fn by_index(path: &Path, mut saw: impl FnMut(&Entry)) -> io::Result<Told> {
    let mut index = BufReader::new(File::open(path)?);
    let mut bytes = [0; ENTRY_BYTES];
    let mut told = Told {
        has_no_gap: true,
        end: 0,
    };
    loop {
        match index.read_exact(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(told),
            read => read?,
        }
        if let Some(entry) = Entry::read(&bytes) {
            saw(&entry);
            told.has_no_gap &= entry.offset <= told.end;
            told.end = told.end.max(entry.end());
        }
    }
}

/// Goes through the lines of a text; lines that begin with a tab continue a message. Returns `false`
/// when told to stop.
fn by_line(
    text: impl Read,
    is_stopped: &dyn Fn() -> bool,
    mut saw: impl FnMut(&str),
) -> io::Result<bool> {
    let mut reader = BufReader::new(text);
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

    use fathom_formats::km3net::LogMessage;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn changed(path: &Path, at: Timestamp) {
        let file = File::options().append(true).open(path).unwrap();
        file.set_modified(at.into()).unwrap();
    }

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
        let counted = count_day(&names, day, &|| false).unwrap();
        let (counts, damage) = counted.unwrap();
        assert!(damage.is_none());
        let of = |level| counts.of(LogSource::DataFilter, level);
        assert_eq!((of(Level::Error), of(Level::Warning)), (5, 1));
    }

    #[test]
    fn a_damaged_file_left_all_other_days_uncounted() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::new(folder.path().to_owned(), "MSG".into());
        let line = "MSG.log [DataFilter]: x 10.0.0.1 F001 ERROR y\n";
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(line.repeat(5000).as_bytes()).unwrap();
        let whole = encoder.finish().unwrap();
        std::fs::write(
            names.of_day(Date::constant(2021, 9, 3), "log.gz"),
            &whole[..whole.len() / 2],
        )
        .unwrap();
        std::fs::write(names.of_day(Date::constant(2021, 9, 2), "log"), line).unwrap();
        let wanted = Wanted {
            known: BTreeSet::new(),
            days_max: 10,
            oldest: None,
        };
        let look = days(&names, &wanted, &|| false).unwrap();
        assert!(look.failed.is_empty(), "{:?}", look.failed);
        let errors: Vec<_> = look
            .counted
            .values()
            .map(|(counts, damage)| {
                (
                    counts.of(LogSource::DataFilter, Level::Error),
                    damage.is_some(),
                )
            })
            .collect();
        assert_eq!(errors[0], (1, false));
        assert!(
            (1000..5000).contains(&errors[1].0) && errors[1].1,
            "{errors:?}"
        );
    }

    #[test]
    fn a_passing_fault_left_a_day_counted_as_damaged_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::new(folder.path().to_owned(), "MSG".into());
        let line = "MSG.log [DataFilter]: x 10.0.0.1 F001 ERROR y\n";
        let (early, late) = (Date::constant(2021, 9, 2), Date::constant(2021, 9, 3));
        std::fs::write(names.of_day(early, "log"), line).unwrap();
        // A folder can be opened, but not read, whoever tries.
        let path = names.of_day(late, "log");
        std::fs::create_dir(&path).unwrap();
        let wanted = Wanted {
            known: BTreeSet::new(),
            days_max: 10,
            oldest: None,
        };
        let look = || {
            let look = days(&names, &wanted, &|| false).unwrap();
            let counted: Vec<Date> = look.counted.into_keys().collect();
            (counted, look.failed.len())
        };
        assert_eq!(look(), (vec![early], 1));
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, line).unwrap();
        assert_eq!(look(), (vec![early, late], 0));
    }

    #[test]
    fn a_message_written_while_today_was_counted_counted_twice() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::new(folder.path().to_owned(), "MSG".into());
        let line = "MSG.log [DataFilter]: x 10.0.0.1 F001 ERROR y\n";
        let path = names.today("log");
        std::fs::write(&path, line.repeat(5)).unwrap();
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        changed(&path, now);
        let mut archive = crate::archive::Archive::open(names.clone(), now, 1 << 20).unwrap();
        let mut say = |at| {
            let message = LogMessage::decode(b"x 10.0.0.1 F001 ERROR F01 y");
            archive.take(&message, at).unwrap();
            archive.flush().unwrap();
        };
        say(now);
        let bytes = std::fs::metadata(&path).unwrap().len();
        let until = now + std::time::Duration::from_secs(1);
        let seen = || {
            changed(&path, until);
            let before = today_within(&names, until, bytes).unwrap();
            let undated = before.undated.of(LogSource::DataFilter, Level::Error);
            (before.dated.len(), undated)
        };
        // One whose entry is there already, and one whose entry is not.
        say(until);
        assert_eq!(seen(), (1, 5));
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
        assert_eq!(seen(), (1, 5));
    }

    #[test]
    fn messages_that_the_index_does_not_tell_of_were_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::new(folder.path().to_owned(), "MSG".into());
        let line = "MSG.log [DataFilter]: x 10.0.0.1 F001 ERROR y\n";
        std::fs::write(names.today("log"), line.repeat(5)).unwrap();
        let now: Timestamp = "2026-01-31T23:59:00Z".parse().unwrap();
        let errors = |counts: &Counts| counts.of(LogSource::DataFilter, Level::Error);
        let undated = |names: &Names| {
            changed(&names.today("log"), now);
            let before = today_until(names, now + std::time::Duration::from_secs(1)).unwrap();
            (before.dated.len(), errors(&before.undated))
        };
        assert_eq!(undated(&names), (0, 5));
        let mut archive = crate::archive::Archive::open(names.clone(), now, 1 << 20).unwrap();
        let message = LogMessage::decode(b"x 10.0.0.1 F001 ERROR F01 y");
        archive.take(&message, now).unwrap();
        archive.flush().unwrap();
        assert_eq!(undated(&names), (1, 5));
        let day = crate::archive::day_of(now);
        archive
            .turn(now + std::time::Duration::from_secs(86_400))
            .unwrap();
        let counted = count_day(&names, day, &|| false).unwrap();
        let (counts, damage) = counted.unwrap();
        let all: u64 = crate::index::CLASSES
            .iter()
            .map(|class| counts.of(*class, Level::Error))
            .sum();
        assert!(damage.is_none());
        assert_eq!(all, 6);
    }
}
