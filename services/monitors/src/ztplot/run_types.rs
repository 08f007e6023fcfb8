//! Which runs take part in the selection, by the name of their setup in a table of runs.

use std::collections::HashMap;

use fathom_kernel::{Content, Fetch, Fetched, Location};

/// What the answer to our wish is called.
pub(super) const FETCH: &str = "runs";
/// Time between two looks at the table (ms).
const EVERY_MS: i64 = 300_000;
/// The same while a run is not in it (ms).
const EVERY_MS_UNLISTED: i64 = 60_000;
/// Largest table.
const BYTES_MAX: usize = 16 << 20;
const RUN_COLUMN: &str = "RUN";
const SETUP_COLUMN: &str = "RUNSETUPNAME";

/// The cut on run types.
#[derive(Debug)]
pub(super) struct RunTypes {
    from: Option<Location>,
    /// Beginnings of setup names; empty lets all runs take part.
    wanted: Vec<String>,
    excluded: HashMap<i32, bool>,
    version: Option<String>,
    asked_ms: Option<i64>,
    is_unlisted: bool,
}

impl RunTypes {
    pub(super) fn new(from: Option<Location>, wanted: Vec<String>) -> Self {
        Self {
            from,
            wanted,
            excluded: HashMap::new(),
            version: None,
            asked_ms: None,
            is_unlisted: false,
        }
    }

    /// Tells whether events of a run take part. A run that is not in the table takes part until the
    /// table says otherwise.
    pub(super) fn allow(&mut self, run: i32) -> bool {
        if self.wanted.is_empty() {
            return true;
        }
        let excluded = self.excluded.get(&run);
        self.is_unlisted |= excluded.is_none();
        !excluded.copied().unwrap_or(false)
    }

    /// Tells whether the table says that a run takes no part.
    pub(super) fn excludes(&self, run: i32) -> bool {
        self.excluded.get(&run).copied().unwrap_or(false)
    }

    /// Wishes for the table when it is time.
    pub(super) fn fetch(&mut self, now_ms: i64) -> Option<Fetch> {
        let from = self.from.as_ref().filter(|_| !self.wanted.is_empty())?;
        let every_ms = match self.is_unlisted {
            true => EVERY_MS_UNLISTED,
            false => EVERY_MS,
        };
        if self
            .asked_ms
            .is_some_and(|at| now_ms.abs_diff(at) < every_ms.unsigned_abs())
        {
            return None;
        }
        self.asked_ms = Some(now_ms);
        let mut fetch = Fetch::new(FETCH, from.clone()).unless(self.version.clone());
        fetch.bytes_max = BYTES_MAX;
        Some(fetch)
    }

    /// Takes the table; the answer tells whether it is a new one.
    pub(super) fn take(&mut self, fetched: Fetched) -> Result<bool, String> {
        match fetched.content {
            Ok(Content::Unchanged) => Ok(false),
            Ok(Content::Bytes(bytes, version)) => {
                self.excluded = self.read(&String::from_utf8_lossy(&bytes))?;
                self.version = version;
                self.is_unlisted = false;
                Ok(true)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn read(&self, text: &str) -> Result<HashMap<i32, bool>, String> {
        let mut lines = text.lines();
        let head: Vec<_> = lines.next().unwrap_or("").split('\t').collect();
        let column = |name: &str| {
            let place = head.iter().position(|cell| cell.trim() == name);
            place.ok_or_else(|| format!("no column {name} in the table of runs"))
        };
        let (run, setup) = (column(RUN_COLUMN)?, column(SETUP_COLUMN)?);
        let rows = lines.filter_map(|line| {
            let cells: Vec<_> = line.split('\t').map(str::trim).collect();
            let name = cells.get(setup)?;
            let is_wanted = self.wanted.iter().any(|wanted| name.starts_with(&**wanted));
            Some((cells.get(run)?.parse().ok()?, !is_wanted))
        });
        Ok(rows.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &'static str) -> Fetched {
        Fetched {
            name: FETCH.into(),
            content: Ok(Content::Bytes(text.as_bytes().into(), Some("v1".into()))),
        }
    }

    #[test]
    fn runs_of_other_types_take_no_part_once_the_table_says_so() {
        let from = Location::from("runs.tsv".to_owned());
        let mut runs = RunTypes::new(Some(from.clone()), vec!["PHYS".into()]);
        assert!(runs.allow(7) && runs.allow(8));
        let fetch = runs.fetch(0).unwrap();
        assert_eq!(fetch.from, from);
        assert!(runs.fetch(59_999).is_none());
        let table = "RUN\tUNIXSTARTTIME\tRUNSETUPNAME\n7\t1\tPHYS.v5\n8\t2\tCALIB.led\nx\n9\n";
        assert_eq!(runs.take(answer(table)), Ok(true));
        assert!(runs.allow(7) && !runs.allow(8) && runs.allow(9));
        assert!(runs.excludes(8) && !runs.excludes(9));
        // Run 9 is not in the table: look again soon.
        assert_eq!(runs.fetch(60_000).unwrap().known.as_deref(), Some("v1"));
        assert!(
            runs.take(answer("RUN\tNAME\n"))
                .unwrap_err()
                .contains("RUNSETUPNAME")
        );
        assert!(!runs.allow(8));
    }

    #[test]
    fn without_wanted_types_all_runs_take_part_and_nothing_is_fetched() {
        let mut runs = RunTypes::new(Some("x".to_owned().into()), Vec::new());
        assert!(runs.allow(1));
        assert!(runs.fetch(0).is_none());
    }
}
