//! Finds messages in the files: by the index where there is one, line by line where not.

mod scan;

use fathom_formats::km3net::LogSource;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use self::scan::Scan;
use crate::archive::{ArchiveError, Names, day_of};
use crate::index::{Entry, Level};

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
    /// Files that could not be read to their end, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unread: Vec<String>,
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

    /// Searches the files from the newest day back. One that is damaged is searched as far as it goes.
    ///
    /// # Errors
    /// When the folder cannot be listed.
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
                let room = scan_max.saturating_sub(answer.scanned_bytes);
                let mut scan = Scan::new(&self, day, room);
                if let Err(error) = scan.file(&text, index.as_deref()) {
                    let name = text.file_name().unwrap_or_default().to_string_lossy();
                    answer.unread.push(format!("{name}: {error}"));
                }
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use fathom_formats::km3net::LogMessage;

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

    fn archive_of(folder: &std::path::Path, now: Timestamp) -> Archive {
        let names = Names::new(folder.to_owned(), "MSG".into());
        Archive::open(names, now, 1 << 20).unwrap()
    }

    fn write(archive: &mut Archive, text: &str, now: Timestamp) {
        let message = LogMessage::decode(text.as_bytes());
        archive.take(&message, now).unwrap();
        archive.flush().unwrap();
    }

    #[test]
    fn messages_that_the_index_does_not_tell_of_are_found_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("MSG.log");
        let old = |number: u32| format!("MSG.log [DataQueue]: old {number}\n\tmore\n");
        std::fs::write(&text, old(1) + &old(2)).unwrap();
        let now: Timestamp = "2026-01-31T23:59:00Z".parse().unwrap();
        // The file is of the day on which it was changed.
        let open = || {
            let file = std::fs::File::options().append(true).open(&text).unwrap();
            file.set_modified(now.into()).unwrap();
            archive_of(folder.path(), now)
        };
        let mut archive = open();
        let find = |archive: &Archive, room| {
            let found = Wanted::newest(1000).search_within(archive.names(), day_of(now), room);
            found.unwrap()
        };
        let all = find(&archive, 1 << 20);
        assert_eq!(
            texts(&all),
            ["old 1\nmore", "old 2\nmore"],
            "no entry at all"
        );
        write(&mut archive, "new 1", now);
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&text)
            .unwrap();
        file.write_all(old(3).as_bytes()).unwrap();
        let mut archive = open();
        write(&mut archive, "new 2", now);
        file.write_all(old(4).as_bytes()).unwrap();
        let expected = [
            "old 1\nmore",
            "old 2\nmore",
            "new 1",
            "old 3\nmore",
            "new 2",
            "old 4\nmore",
        ];
        let all = find(&archive, 1 << 20);
        assert_eq!(texts(&all), expected);
        let timed: Vec<_> = all.messages.iter().map(|hit| hit.at.is_some()).collect();
        assert_eq!(timed, [false, false, true, false, true, false]);
        // From the middle of the second old message on.
        let room = std::fs::metadata(&text).unwrap().len() - old(1).len() as u64 - 5;
        assert_eq!(texts(&find(&archive, room)), expected[2..]);
        // Their class is the one in brackets.
        let of_queue = Wanted {
            class: vec![LogSource::DataQueue],
            ..Wanted::default()
        };
        let found = of_queue.search(archive.names(), day_of(now)).unwrap();
        assert_eq!(found.messages.len(), 4);
    }

    #[test]
    fn entries_written_during_a_search_were_hits_without_text() {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let mut archive = archive_of(folder.path(), now);
        for number in 0..4 {
            write(&mut archive, &format!("message {number}"), now);
        }
        let path = folder.path().join("MSG.log");
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let line = "MSG.log [Other]: message 0\n".len() as u64;
        // The last message, or the last two, are not in the text as long as it was at the start.
        for (length, expected) in [(3 * line, 3), (3 * line - 5, 2), (0, 0)] {
            file.set_len(length).unwrap();
            let found = Wanted::newest(1000).search(archive.names(), day_of(now));
            let found = found.unwrap();
            let whole = ["message 0", "message 1", "message 2"];
            assert_eq!(texts(&found), whole[..expected], "{length} bytes");
        }
    }

    #[test]
    fn a_damaged_file_hid_all_others_and_kept_the_service_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let line = |day: &str| format!("MSG.log [Other]: of {day}\n");
        std::fs::write(folder.path().join("MSG_2026-01-28.log"), line("28")).unwrap();
        let packed = folder.path().join("MSG_2026-01-29.log.gz");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        encoder
            .write_all(line("29").repeat(5000).as_bytes())
            .unwrap();
        let whole = encoder.finish().unwrap();
        std::fs::write(packed, &whole[..whole.len() / 2]).unwrap();
        let names = Names::new(folder.path().to_owned(), "MSG".into());
        let today = Date::constant(2026, 1, 31);
        let found = Wanted::newest(1000).search(&names, today).unwrap();
        assert_eq!(texts(&found), vec!["of 29"; 1000]);
        let wanted = Wanted {
            text: "of 28".into(),
            ..Wanted::default()
        };
        let found = wanted.search(&names, today).unwrap();
        assert_eq!(texts(&found), ["of 28"]);
        assert_eq!(found.unread.len(), 1);
        assert!(
            found.unread[0].starts_with("MSG_2026-01-29.log.gz: "),
            "{:?}",
            found.unread
        );
    }
}
