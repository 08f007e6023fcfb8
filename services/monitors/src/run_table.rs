//! Which runs were taken when, from the table of runs of the data base: its tables of values are
//! asked for by runs, not by time.

use fathom_kernel::{Content, Fetch, Fetched, Location, Outputs};

use crate::stream_table::StreamTable;

/// What the answer to our wish is called.
pub(crate) const RUN_TABLE: &str = "run_table";
/// Time between two looks at the table (ms).
const EVERY_MS: i64 = 300_000;
/// The same after a failure (ms).
const EVERY_MS_FAILED: i64 = 60_000;
/// What is wrong when the table has no run of the time asked for.
pub(crate) const NO_RUN: &str = "the table of runs has no run of this time";
/// Largest table.
const BYTES_MAX: usize = 16 << 20;

/// The beginnings of all runs.
#[derive(Debug)]
pub(crate) struct RunTable {
    from: Location,
    /// Beginnings (ms) and runs, by time.
    starts: Vec<(i64, i32)>,
    version: Option<String>,
    is_read: bool,
    due_ms: i64,
}

impl RunTable {
    /// A table that is not read yet; `{detector}` in its place stands for the detector id.
    pub(crate) fn new(from: &Location, detector: i32) -> Self {
        let place = from
            .to_string()
            .replace("{detector}", &detector.to_string());
        Self {
            from: place.into(),
            starts: Vec::new(),
            version: None,
            is_read: false,
            due_ms: i64::MIN,
        }
    }

    /// Asks for the table when it is time.
    pub(crate) fn tick(&mut self, now_ms: i64, out: &mut Outputs) {
        if now_ms >= self.due_ms {
            self.due_ms = now_ms.saturating_add(EVERY_MS);
            let mut fetch = Fetch::new(RUN_TABLE, self.from.clone()).unless(self.version.clone());
            fetch.bytes_max = BYTES_MAX;
            out.fetch(fetch);
        }
    }

    /// Takes the table; after a failure what was known holds on.
    pub(crate) fn take(&mut self, fetched: Fetched, now_ms: i64) -> Result<(), String> {
        let taken = match fetched.content {
            Ok(Content::Unchanged) => return Ok(()),
            Ok(Content::Bytes(bytes, version)) => {
                let read = read(&String::from_utf8_lossy(&bytes));
                read.map(|starts| (starts, version))
                    .map_err(|why| format!("{}: {why}", self.from))
            }
            Err(error) => Err(error.to_string()),
        };
        match taken {
            Ok(taken) => {
                (self.starts, self.version) = taken;
                self.is_read = true;
            }
            Err(why) => {
                self.due_ms = now_ms.saturating_add(EVERY_MS_FAILED);
                return Err(why);
            }
        }
        Ok(())
    }

    /// Returns the lowest and the highest of the runs between two times; `None` when there was none,
    /// or the table is not read yet.
    pub(crate) fn between(&self, from_ms: i64, to_ms: i64) -> Option<(i32, i32)> {
        // The run that was going on at the beginning belongs to it.
        let first = self.starts.partition_point(|(start, _)| *start <= from_ms);
        let end = self.starts.partition_point(|(start, _)| *start < to_ms);
        let within = self.starts.get(first.saturating_sub(1)..end)?;
        let runs = within.iter().map(|(_, run)| *run);
        Some((runs.clone().min()?, runs.max()?))
    }

    /// Tells whether the table was read, so that a run that is not in it does not exist.
    pub(crate) fn is_read(&self) -> bool {
        self.is_read
    }

    /// Returns roughly how much memory the table takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.starts.len() * size_of::<(i64, i32)>()
    }
}

/// Reads when runs began; rows without it are runs that did not begin.
fn read(text: &str) -> Result<Vec<(i64, i32)>, String> {
    let table = StreamTable::read(text)?;
    let run = table.column("RUN", "runs")?;
    let start = table.column("UNIXSTARTTIME", "runs")?;
    let number = |row: &[&str], place: usize| row.get(place)?.parse::<i64>().ok();
    let begun = |row: Vec<&str>| {
        let run = i32::try_from(number(&row, run)?).ok()?;
        Some((number(&row, start)?, run))
    };
    let mut starts: Vec<_> = table.rows().filter_map(begun).collect();
    starts.sort_unstable();
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> RunTable {
        let from = Location::from("http://db/runs.txt?detid={detector}".to_owned());
        RunTable::new(&from, 44)
    }

    fn answer(text: &'static str) -> Fetched {
        Fetched {
            name: RUN_TABLE.into(),
            content: Ok(Content::Bytes(text.as_bytes().into(), Some("v1".into()))),
        }
    }

    #[test]
    fn the_run_that_was_going_on_belongs_to_the_time_asked_for() {
        let mut table = table();
        assert_eq!((table.between(0, 5000), table.is_read()), (None, false));
        let text = "RUN\tUNIXSTARTTIME\tJOB\n8\t2000\tx\n7\t1000\tx\n9\t3000\tx\n10\t\tx\nx\n";
        table.take(answer(text), 0).unwrap();
        assert_eq!(table.between(2500, 2600), Some((8, 8)));
        assert_eq!(table.between(2500, 3001), Some((8, 9)));
        assert_eq!(table.between(0, 9000), Some((7, 9)));
        assert_eq!((table.between(0, 900), table.is_read()), (None, true));
        assert_eq!(table.between(3000, 3000), None);
        // A detector whose run numbers were set back.
        table
            .take(answer("RUN\tUNIXSTARTTIME\n90\t1000\n3\t2000\n"), 0)
            .unwrap();
        assert_eq!(table.between(0, 9000), Some((3, 90)));
    }

    #[test]
    fn the_table_is_asked_for_again_and_a_refusal_leaves_what_was_known() {
        let (mut table, mut out) = (table(), Outputs::default());
        table.tick(0, &mut out);
        assert_eq!(
            out.fetches[0].from.to_string(),
            "http://db/runs.txt?detid=44"
        );
        table
            .take(answer("RUN\tUNIXSTARTTIME\n7\t1000\n"), 0)
            .unwrap();
        table.tick(EVERY_MS - 1, &mut out);
        assert_eq!(out.fetches.len(), 1);
        table.tick(EVERY_MS, &mut out);
        assert_eq!(out.fetches[1].known.as_deref(), Some("v1"));
        let why = table.take(answer("ERROR: closed\n"), EVERY_MS).unwrap_err();
        assert!(why.contains("\"ERROR: closed\""), "{why}");
        assert_eq!(table.between(0, 9000), Some((7, 7)));
        table.tick(EVERY_MS + EVERY_MS_FAILED, &mut out);
        assert_eq!(out.fetches.len(), 3);
    }
}
