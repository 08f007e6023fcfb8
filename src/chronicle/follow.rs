//! Follows the event log: first what is in the files, then what happens.

use std::sync::Arc;

use fathom_kernel::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::entry::{Entry, Subject, Subjects};
use super::memory::Inner;
use super::reader::Reader;

/// Most events read from the files at once.
const READ_MAX: usize = 512;

/// Where a follower begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// With what happens next.
    Now,
    /// Behind the event of this number.
    Number(u64),
    /// With the first event of this time or later.
    Time(Timestamp),
    /// With so many events of the past that are in memory.
    Last(usize),
}

/// What a follower gets at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events that were gone before this follower took them.
    pub missed: u64,
    /// Events of the wanted sorts, oldest first; may be none.
    pub entries: Vec<Arc<Entry>>,
}

/// Reads events as they come. A follower that is too slow misses the oldest ones, and nobody waits
/// for it.
pub struct Follow {
    log: Arc<Inner>,
    changes: watch::Receiver<u64>,
    of: Subjects,
    /// Number of the first event not taken.
    next: u64,
    /// Events before this time are passed over.
    from: Option<Timestamp>,
    source: Source,
}

type Read = (Reader<Entry>, std::io::Result<Vec<Entry>>);

/// Where the next events come from.
enum Source {
    /// From the files, until what is in memory is reached.
    Files(JoinHandle<Read>),
    Memory,
}

impl Follow {
    pub(super) fn new(
        log: Arc<Inner>,
        changes: watch::Receiver<u64>,
        since: Since,
        of: Subjects,
    ) -> Self {
        let (oldest, next) = log.bounds();
        let (first, from) = match since {
            Since::Now => (next, None),
            // A number that is not given yet is one of another log: then all is new.
            Since::Number(number) if number >= next => (next, None),
            Since::Number(number) => (number + 1, None),
            Since::Time(time) => (1, Some(time)),
            Since::Last(count) => (first_of_last(&log, count, &of).unwrap_or(next), None),
        };
        let folder = log.folder.as_ref().filter(|_| first < oldest);
        let (next, source) = match folder {
            Some(folder) => (first, read(Reader::new(folder, first))),
            None => (first.max(oldest), Source::Memory),
        };
        Self {
            log,
            changes,
            of,
            next,
            from,
            source,
        }
    }

    /// Waits for events. Cancel-safe: nothing is taken before it returns.
    pub async fn next(&mut self) -> Batch {
        loop {
            self.changes.borrow_and_update();
            while !self.is_up_to_date() {
                let batch = self.more().await;
                if batch.missed > 0 || !batch.entries.is_empty() {
                    return batch;
                }
            }
            // The sender lives as long as the log, which is held here.
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Tells whether all that happened up to now was taken.
    pub fn is_up_to_date(&self) -> bool {
        matches!(self.source, Source::Memory) && self.next >= self.log.bounds().1
    }

    /// Takes a part of what there is, which may have nothing of the wanted sorts. Cancel-safe.
    pub async fn more(&mut self) -> Batch {
        if let Source::Files(reading) = &mut self.source {
            let lines = reading.await;
            self.source = Source::Memory;
            return match lines {
                Ok((reader, Ok(lines))) if !lines.is_empty() => self.take_read(reader, lines),
                Ok((_, Ok(_))) => self.give_up_reading(),
                Ok((_, Err(error))) => {
                    tracing::warn!(%error, "cannot read events");
                    self.give_up_reading()
                }
                Err(_) => self.give_up_reading(),
            };
        }
        let taken = self.log.take(self.next);
        self.next = taken.next;
        Batch {
            missed: taken.missed,
            entries: self.wanted(taken.entries),
        }
    }

    /// Takes lines of the files, and reads on while there is more than is in memory.
    fn take_read(&mut self, reader: Reader<Entry>, lines: Vec<Entry>) -> Batch {
        let first = lines.first().map_or(self.next, |first| first.sequence);
        // Gaps stand in the files as events; what is missing in front was removed as too old. Who
        // asks by time does not ask for these.
        let is_gap = |entry: &Entry| entry.what.subject() == Subject::Gap;
        let missed = match (self.from, lines.first().is_some_and(is_gap)) {
            (None, false) => first.saturating_sub(self.next),
            (Some(_), _) | (_, true) => 0,
        };
        self.next = lines.last().map_or(self.next, |last| last.sequence + 1);
        if self.next < self.log.bounds().0 {
            self.source = read(reader);
        }
        Batch {
            missed,
            entries: self.wanted(lines.into_iter().map(Arc::new).collect()),
        }
    }

    /// Goes on with what is in memory; what was to be read before that is missed.
    fn give_up_reading(&mut self) -> Batch {
        let oldest = self.log.bounds().0;
        let missed = match self.from {
            None => oldest.saturating_sub(self.next),
            Some(_) => 0,
        };
        self.next = self.next.max(oldest);
        Batch {
            missed,
            entries: Vec::new(),
        }
    }

    fn wanted(&self, entries: Vec<Arc<Entry>>) -> Vec<Arc<Entry>> {
        let late_enough = |entry: &Entry| match (self.from, entry.what.at()) {
            (Some(from), Some(at)) => at >= from,
            (None, _) | (_, None) => true,
        };
        let wanted = entries.into_iter();
        wanted
            .filter(|entry| self.of.contains(&entry.what.subject()) && late_enough(entry))
            .collect()
    }
}

fn read(mut reader: Reader<Entry>) -> Source {
    Source::Files(tokio::task::spawn_blocking(move || {
        let lines = reader.read(READ_MAX);
        (reader, lines)
    }))
}

/// Returns the number of the first of the last events of some sorts.
fn first_of_last(log: &Inner, count: usize, of: &Subjects) -> Option<u64> {
    let kept = log.take(0).entries;
    let wanted = kept.iter().rev();
    let wanted = wanted.filter(|entry| of.contains(&entry.what.subject()));
    wanted.take(count).last().map(|entry| entry.sequence)
}

#[cfg(test)]
mod tests {
    use fathom_kernel::{Bus, Clock};

    use super::super::journal::Kept;
    use super::super::{Chronicle, What};
    use super::*;

    fn all() -> Subjects {
        Subject::ALL.into()
    }

    fn numbers(batch: &Batch) -> Vec<u64> {
        batch.entries.iter().map(|entry| entry.sequence).collect()
    }

    async fn everything(follow: &mut Follow) -> (u64, Vec<u64>) {
        let (mut missed, mut found) = (0, Vec::new());
        while !follow.is_up_to_date() {
            let batch = follow.more().await;
            missed += batch.missed;
            found.extend(numbers(&batch));
        }
        (missed, found)
    }

    #[tokio::test]
    async fn a_follower_begins_in_the_files_and_goes_on_with_what_happens() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let open = || Chronicle::open(folder.path(), clock.clone(), Kept::default()).unwrap();
        let log = open();
        for second in 0..6000 {
            clock.set(Timestamp::from_second(second).unwrap());
            log.notice("a", "test", "one of many");
            if second % 1000 == 0 {
                // The writer shall not fall behind in this test.
                log.close();
            }
        }
        log.close();
        let mut by_number = log.follow(Since::Number(10), all());
        assert_eq!(everything(&mut by_number).await, (0, (11..=6000).collect()));
        let time = Timestamp::from_second(100).unwrap();
        let mut by_time = log.follow(Since::Time(time), all());
        assert_eq!(everything(&mut by_time).await, (0, (101..=6000).collect()));
        log.notice("a", "test", "news");
        assert_eq!(numbers(&by_number.next().await), [6001]);
        log.close();
        // The next run goes on with the numbers, and knows the end of the past.
        let log = open();
        let mut last = log.follow(Since::Last(2), all());
        assert_eq!(numbers(&last.next().await), [6000, 6001]);
        assert_eq!(log.notice("a", "test", "after the restart"), 6002);
        assert_eq!(numbers(&last.next().await), [6002]);
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_what_it_missed() {
        let log = Chronicle::in_memory(Clock::system());
        let mut follow = log.follow(Since::Now, all());
        for _ in 0..5000 {
            log.notice("", "test", "x");
        }
        let batch = follow.next().await;
        assert_eq!(batch.missed, 5000 - 4096);
        assert_eq!(batch.entries.len(), 4096);
        assert_eq!(batch.entries[0].sequence, batch.missed + 1);
    }

    #[tokio::test]
    async fn a_filter_leaves_out_and_a_number_from_elsewhere_is_no_reason_to_wait() {
        let log = Chronicle::in_memory(Clock::system());
        let mut follow = log.follow(Since::Number(77), [Subject::Boot].into());
        log.notice("", "test", "x");
        log.boot("b", String::new());
        let batch = follow.next().await;
        assert_eq!(numbers(&batch), [2]);
        assert_eq!(batch.missed, 0);
        assert!(matches!(batch.entries[0].what, What::Boot(_)));
    }

    #[tokio::test]
    async fn alarms_of_the_bus_are_written_down() {
        let log = Chronicle::in_memory(Clock::system());
        let bus = Bus::new();
        let taking = tokio::spawn(log.take_alarms(&bus));
        bus.publish(fathom_kernel::Event::Alarm(fathom_kernel::Alarm {
            service: "m".to_owned(),
            rule: "r".to_owned(),
            subject: "s".to_owned(),
            severity: fathom_kernel::Severity::Info,
            firing: true,
            text: "t".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }));
        let mut follow = log.follow(Since::Number(0), all());
        assert_eq!(numbers(&follow.next().await), [1]);
        taking.abort();
    }
}
