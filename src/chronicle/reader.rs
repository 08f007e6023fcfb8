//! Reads the files of a journal, beginning at a number or a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::journal::Numbered;

/// Longest line; a longer one is not ours and is skipped.
const LINE_MAX: u64 = 1 << 20;

/// How much of the end of the last file is looked at when a journal is opened.
const END_MAX: u64 = 1 << 20;

/// The end of a journal as it was found.
#[derive(Debug)]
pub struct Found {
    /// Number of the next line.
    pub next: u64,
    /// The last lines, oldest first.
    pub lines: Vec<String>,
}

/// Reads lines one after the other, from file to file.
pub struct Reader<T> {
    folder: PathBuf,
    next: u64,
    open: Option<(u64, BufReader<File>)>,
    lines: PhantomData<T>,
}

#[derive(serde::Deserialize)]
struct Number {
    sequence: u64,
}

impl<T: Numbered + DeserializeOwned> Reader<T> {
    /// Makes the reader of a folder; it begins with the first line of at least this number.
    pub fn new(folder: &Path, from: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            next: from,
            open: None,
            lines: PhantomData,
        }
    }

    /// Returns further lines, oldest first; none at the end. A later call goes on with what was
    /// written meanwhile. Blocks.
    pub fn read(&mut self, count_max: usize) -> io::Result<Vec<T>> {
        let mut lines = Vec::new();
        while lines.len() < count_max {
            let Some(line) = self.line()? else { break };
            // What is not ours, or was damaged, is not shown.
            let Ok(line) = serde_json::from_slice::<T>(&line) else {
                continue;
            };
            if line.number() >= self.next {
                self.next = line.number() + 1;
                lines.push(line);
            }
        }
        Ok(lines)
    }

    /// Returns the next whole line, of whichever number.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(line) = self.line_of_file()? {
                return Ok(Some(line));
            }
            let Some((first, path)) = self.following()? else {
                return Ok(None);
            };
            // The writer may have added to the former file before it began the next one.
            if let Some(line) = self.line_of_file()? {
                return Ok(Some(line));
            }
            match File::open(&path) {
                Ok(file) => self.open = Some((first, BufReader::new(file))),
                // Taken away just now: the next look finds what follows it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    fn line_of_file(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some((_, file)) = &mut self.open else {
            return Ok(None);
        };
        let at = file.stream_position()?;
        let mut line = Vec::new();
        file.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        if line.last() == Some(&b'\n') || line.len() as u64 == LINE_MAX {
            return Ok(Some(line));
        }
        // The writer is in the midst of it, or this is the end.
        file.seek(SeekFrom::Start(at))?;
        Ok(None)
    }

    /// Finds the file behind the open one, or the one with the first wanted number.
    fn following(&self) -> io::Result<Option<(u64, PathBuf)>> {
        let files = files(&self.folder)?;
        Ok(match &self.open {
            Some((open, _)) => files.into_iter().find(|(first, _)| first > open),
            None => {
                let at = files.iter().rposition(|(first, _)| *first <= self.next);
                files.into_iter().nth(at.unwrap_or(0))
            }
        })
    }
}

/// Returns the files of a folder with the number of their first line, in order.
pub(super) fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files: Vec<(u64, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let first = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
            Some((first.parse().ok()?, path))
        })
        .collect();
    files.sort_unstable();
    Ok(files)
}

/// Returns the name of the file that begins with a number.
pub(super) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:012}.jsonl"))
}

/// Finds the end of a journal, and cuts off what was left half written there.
pub(super) fn last_lines(folder: &Path) -> io::Result<Found> {
    let mut next = 1;
    for (first, path) in files(folder)?.into_iter().rev() {
        let mut file = File::options().read(true).write(true).open(&path)?;
        let length = file.metadata()?.len();
        let from = length.saturating_sub(END_MAX);
        file.seek(SeekFrom::Start(from))?;
        let mut end = Vec::new();
        file.by_ref().take(END_MAX).read_to_end(&mut end)?;
        let whole = end.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if whole < end.len() {
            file.set_len(from + whole as u64)?;
        }
        end.truncate(whole);
        let text = String::from_utf8_lossy(&end);
        // A line that was cut in front is not whole either.
        let lines = text.lines().skip(usize::from(from > 0));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        let number = |line: &String| serde_json::from_str::<Number>(line).ok();
        next = next.max(first);
        if let Some(last) = lines.iter().rev().find_map(number) {
            let next = next.max(last.sequence + 1);
            return Ok(Found { next, lines });
        }
    }
    Ok(Found {
        next,
        lines: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fathom_kernel::Timestamp;

    use super::super::journal::{Journal, Kept};
    use super::super::{Entry, Notice, What};
    use super::*;

    fn entry(sequence: u64) -> Arc<Entry> {
        Arc::new(Entry {
            sequence,
            what: What::Notice(Notice {
                at: Timestamp::UNIX_EPOCH,
                service: String::new(),
                what: "test".to_owned(),
                text: "x".repeat(50),
            }),
        })
    }

    fn write(folder: &Path, kept: Kept, numbers: impl Iterator<Item = u64>) -> u64 {
        let (journal, found) = Journal::<Entry>::open(folder, kept).unwrap();
        for number in numbers {
            journal.push(entry(number));
            // One batch per line, so that files end where they are full.
            journal.close();
        }
        found.next
    }

    fn read(folder: &Path, from: u64) -> Vec<u64> {
        let mut reader = Reader::<Entry>::new(folder, from);
        let lines = reader.read(usize::MAX).unwrap();
        lines.iter().map(|entry| entry.sequence).collect()
    }

    const SMALL: Kept = Kept {
        bytes_max: 1000,
        files_max: 3,
    };

    #[test]
    fn numbers_go_on_over_restarts_and_old_files_go() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(write(folder.path(), SMALL, 1..=20), 1);
        assert_eq!(write(folder.path(), SMALL, 21..=40), 21);
        let kept = read(folder.path(), 1);
        assert_eq!(files(folder.path()).unwrap().len(), 3);
        assert_eq!(kept.last(), Some(&40));
        assert!(
            kept.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{kept:?}"
        );
        assert_eq!(read(folder.path(), 35), (35..=40).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_that_was_being_written_at_the_end_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), Kept::default(), 1..=3);
        let file = path(folder.path(), 1);
        let whole = std::fs::read_to_string(&file).unwrap();
        for cut in 1..whole.lines().last().unwrap().len() {
            std::fs::write(&file, &whole.as_bytes()[..whole.len() - cut]).unwrap();
            let found = last_lines(folder.path()).unwrap();
            assert_eq!(found.next, 3, "{cut}");
            assert_eq!(found.lines.len(), 2);
        }
        write(folder.path(), Kept::default(), 3..=4);
        assert_eq!(read(folder.path(), 1), [1, 2, 3, 4]);
    }

    #[test]
    fn missing_numbers_are_told() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), Kept::default(), [1, 2, 6].into_iter());
        let lines = Reader::<Entry>::new(folder.path(), 1).read(10).unwrap();
        let gap = lines.iter().find_map(|entry| match &entry.what {
            What::Gap(gap) => Some((entry.sequence, gap.missed)),
            _ => None,
        });
        assert_eq!(gap, Some((5, 3)));
    }

    #[test]
    fn a_reader_goes_on_with_what_was_written_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), SMALL, 1..=2);
        let mut reader = Reader::<Entry>::new(folder.path(), 0);
        assert_eq!(reader.read(10).unwrap().len(), 2);
        assert!(reader.read(10).unwrap().is_empty());
        write(folder.path(), SMALL, 3..=20);
        let more = reader.read(100).unwrap();
        assert_eq!(more.len(), 18);
    }
}
