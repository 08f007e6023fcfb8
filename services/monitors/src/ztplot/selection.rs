//! The best events of each category: of all time, and where wanted of each day and each run.

use std::collections::BTreeSet;

use super::row::{Category, Key, Row};

/// Days that have best events of their own; older ones keep only those of all time.
pub(super) const DAYS_MAX: usize = 30;
/// Runs that have best events of their own.
pub(super) const RUNS_MAX: usize = 30;

/// How many events are kept in each category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    /// Of all time.
    pub(super) all: usize,
    /// Of each day; 0 for none.
    pub(super) per_day: usize,
    /// Of each run; 0 for none.
    pub(super) per_run: usize,
}

/// How an event fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Others are better, or it is in already.
    Passed,
    /// Among the best of its day or run.
    OfItsTime,
    /// Among the best of all time, while places were still free.
    Filling,
    /// Among the best of all time, in place of another.
    Record,
    /// In already as a row that was found; what was found has no payload.
    Found,
}

/// The selected events, in the order in which they came.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    places: Places,
    rows: Vec<Row>,
    /// The least of the best values of all time, by category; an event must exceed it.
    limits: [i64; 3],
}

impl Selection {
    pub(super) fn new(places: Places) -> Self {
        Self {
            places,
            rows: Vec::new(),
            limits: [0; 3],
        }
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the limits in the order of [`Category::ALL`].
    pub(super) fn limits(&self) -> [i64; 3] {
        self.limits
    }

    pub(super) fn find(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.key.name() == name)
    }

    pub(super) fn has(&self, key: Key) -> bool {
        self.rows.iter().any(|row| row.key == key)
    }

    /// Says how an event fares; it is not taken in.
    pub(super) fn judge(&self, row: &Row) -> Verdict {
        let mut rows = self.rows.iter();
        if rows.any(|known| known.key == row.key && !known.has_files()) {
            return Verdict::Found;
        }
        let is_best = exceeds(row, self.limits);
        let Places {
            per_day, per_run, ..
        } = self.places;
        let of_day = || exceeds(row, self.limits_of(per_day, |r| r.day() == row.day()));
        let of_run = || exceeds(row, self.limits_of(per_run, |r| run_of(r) == run_of(row)));
        let is_in = is_best || (per_day > 0 && of_day()) || (per_run > 0 && of_run());
        if !is_in || self.has(row.key) {
            return Verdict::Passed;
        }
        match (is_best, self.rows.len() < self.places.all) {
            (false, _) => Verdict::OfItsTime,
            (true, true) => Verdict::Filling,
            (true, false) => Verdict::Record,
        }
    }

    /// Takes an event in, or what more is known of it, and returns those that have no place any more.
    pub(super) fn take(&mut self, row: Row) -> Vec<Row> {
        let mut rows = self.rows.iter_mut();
        match rows.find(|known| known.key == row.key) {
            Some(known) => *known = row,
            None => self.rows.push(row),
        }
        self.prune()
    }

    /// Takes in rows that were found, as if they had come before the others. An event that is in already
    /// stays as it is. Returns how many were new, and those of the others that have no place any more.
    pub(super) fn merge(&mut self, mut found: Vec<Row>) -> (usize, Vec<Row>) {
        let own: BTreeSet<Key> = self.rows.iter().map(|row| row.key).collect();
        let mut known = own.clone();
        found.retain(|row| known.insert(row.key));
        let added = found.len();
        found.append(&mut self.rows);
        self.rows = found;
        let mut gone = self.prune();
        gone.retain(|row| own.contains(&row.key));
        (added, gone)
    }

    /// Says that the files of a row that was found are here; tells whether there is such a row.
    pub(super) fn own(&mut self, name: &str) -> bool {
        let mut rows = self.rows.iter_mut();
        let found = rows.find(|row| !row.has_files() && row.key.name() == name);
        found.is_some_and(|row| row.found_as.take().is_some())
    }

    /// Tells whether an event is among the best of all time.
    pub(super) fn is_best(&self, key: Key) -> bool {
        let is_in = |category| self.best(category).iter().any(|row| row.key == key);
        Category::ALL.into_iter().any(is_in)
    }

    /// Puts back what was kept; more than there are places for is returned.
    pub(super) fn restore(&mut self, rows: Vec<Row>) -> Vec<Row> {
        self.rows = rows;
        self.prune()
    }

    /// Takes events out, for example those of runs that should not take part.
    pub(super) fn remove(&mut self, is_out: impl Fn(&Row) -> bool) -> Vec<Row> {
        let gone = self.rows.extract_if(.., |row| is_out(row)).collect();
        self.limits = self.limits_of(self.places.all, |_| true);
        gone
    }

    /// Returns the best of all time in a category, the best first, the earlier of equals first.
    pub(super) fn best(&self, category: Category) -> Vec<&Row> {
        let all: Vec<usize> = (0..self.rows.len()).collect();
        let best = self.ranked(all, category, self.places.all);
        best.into_iter().map(|at| &self.rows[at]).collect()
    }

    fn prune(&mut self) -> Vec<Row> {
        let mut keep = vec![false; self.rows.len()];
        let all = (0..self.rows.len()).collect();
        self.mark(all, self.places.all, &mut keep);
        self.mark_groups(Row::day, self.places.per_day, DAYS_MAX, &mut keep);
        self.mark_groups(newest_run_last, self.places.per_run, RUNS_MAX, &mut keep);
        let gone: BTreeSet<Key> = (self.rows.iter().zip(&keep))
            .filter(|(_, keep)| !**keep)
            .map(|(row, _)| row.key)
            .collect();
        self.remove(|row| gone.contains(&row.key))
    }

    /// Marks the best of each of the last groups.
    fn mark_groups<G: Ord + Copy>(
        &self,
        group_of: impl Fn(&Row) -> G,
        places: usize,
        groups_max: usize,
        keep: &mut [bool],
    ) {
        if places == 0 {
            return;
        }
        let groups: BTreeSet<G> = self.rows.iter().map(&group_of).collect();
        for group in groups.into_iter().rev().take(groups_max) {
            let members = (0..self.rows.len()).filter(|&at| group_of(&self.rows[at]) == group);
            self.mark(members.collect(), places, keep);
        }
    }

    fn mark(&self, members: Vec<usize>, places: usize, keep: &mut [bool]) {
        for category in Category::ALL {
            for at in self.ranked(members.clone(), category, places) {
                keep[at] = true;
            }
        }
    }

    fn ranked(&self, mut members: Vec<usize>, category: Category, places: usize) -> Vec<usize> {
        members.sort_by_key(|&at| std::cmp::Reverse(self.rows[at].value(category)));
        members.truncate(places);
        members
    }

    /// Returns the value of the last place in each category, 0 while there are free ones.
    fn limits_of(&self, places: usize, is_member: impl Fn(&Row) -> bool) -> [i64; 3] {
        Category::ALL.map(|category| {
            let members = self.rows.iter().filter(|row| is_member(row));
            let mut values: Vec<i64> = members.map(|row| row.value(category)).collect();
            values.sort_unstable_by(|a, b| b.cmp(a));
            let last = places.checked_sub(1).and_then(|at| values.get(at));
            last.copied().unwrap_or(0)
        })
    }
}

/// An event is in when it exceeds the limit of any category.
fn exceeds(row: &Row, limits: [i64; 3]) -> bool {
    let mut pairs = Category::ALL.into_iter().zip(limits);
    pairs.any(|(category, limit)| row.value(category) > limit)
}

fn run_of(row: &Row) -> (i32, i32) {
    (row.key.det_id, row.key.run_id)
}

/// Orders runs by when they were taken as far as their numbers tell.
fn newest_run_last(row: &Row) -> (i32, i32) {
    (row.key.run_id, row.key.det_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: Places = Places {
        all: 2,
        per_day: 0,
        per_run: 0,
    };

    fn row(counter: u64, values: [i64; 3], day: i64, run_id: i32) -> Row {
        Row {
            key: Key {
                det_id: 1,
                run_id,
                frame_index: 1,
                trigger_counter: counter,
            },
            overlays: values[0],
            n_hits: values[1],
            n_triggered_hits: values[2],
            n_dus: 1,
            utc_timestamp: day * 86_400,
            found_as: None,
            was_found: false,
        }
    }

    #[test]
    fn the_best_of_the_newest_thirty_days_and_runs_stay() {
        for (per_day, per_run) in [(1, 0), (0, 1)] {
            let mut selection = Selection::new(Places {
                all: 1,
                per_day,
                per_run,
            });
            // The first one is the best of all time; the others are the best of their day and run.
            let mut gone = Vec::new();
            for n in 0..=31_u32 {
                let value = if n == 0 { 100 } else { 10 };
                let mut row = row(n.into(), [value; 3], n.into(), n.cast_signed());
                // A detector of a high number does not make an old run a new one.
                row.key.det_id = if n == 1 { 2 } else { 1 };
                gone.extend(offer(&mut selection, row).1);
            }
            assert_eq!(gone, [1], "{per_day} {per_run}");
            assert_eq!(selection.rows().len(), 31);
        }
    }

    #[test]
    fn of_equal_events_the_one_found_in_the_file_stays() {
        let mut selection = Selection::new(Places { all: 1, ..PLACES });
        offer(&mut selection, row(1, [5; 3], 0, 1));
        let (added, gone) = selection.merge(vec![row(2, [5; 3], 0, 1)]);
        assert_eq!((added, counters(&gone)), (1, vec![1]));
    }

    fn counters(rows: &[Row]) -> Vec<u64> {
        rows.iter().map(|row| row.key.trigger_counter).collect()
    }

    fn offer(selection: &mut Selection, row: Row) -> (Verdict, Vec<u64>) {
        let verdict = selection.judge(&row);
        let gone = match verdict {
            Verdict::Passed => Vec::new(),
            _ => selection.take(row),
        };
        (verdict, counters(&gone))
    }

    #[test]
    fn a_record_exceeds_a_limit_and_pushes_out_what_is_best_in_nothing() {
        let mut selection = Selection::new(PLACES);
        let mut offer = |counter, values| offer(&mut selection, row(counter, values, 0, 1));
        assert_eq!(offer(1, [0, 0, 0]).0, Verdict::Passed);
        assert_eq!(offer(2, [1, 10, 5]), (Verdict::Filling, vec![]));
        assert_eq!(offer(3, [2, 20, 6]), (Verdict::Filling, vec![]));
        // Equal to the limits everywhere.
        assert_eq!(offer(4, [1, 10, 5]).0, Verdict::Passed);
        assert_eq!(offer(5, [0, 11, 0]), (Verdict::Record, vec![]));
        assert_eq!(offer(6, [9, 9, 9]), (Verdict::Record, vec![2]));
        // The same event again.
        assert_eq!(offer(6, [9, 9, 9]).0, Verdict::Passed);
        let best = selection.best(Category::Hits);
        let best: Vec<_> = best.iter().map(|row| row.key.trigger_counter).collect();
        assert_eq!(best, [3, 5]);
        assert_eq!(selection.limits(), [2, 11, 6]);
    }

    #[test]
    fn of_equals_the_earlier_stays() {
        let mut selection = Selection::new(Places { all: 1, ..PLACES });
        offer(&mut selection, row(1, [3, 3, 3], 0, 1));
        let second = offer(&mut selection, row(2, [4, 3, 3], 0, 1));
        assert_eq!(second, (Verdict::Record, vec![]));
        assert_eq!(selection.best(Category::Hits)[0].key.trigger_counter, 1);
    }

    #[test]
    fn days_and_runs_have_their_own_best_where_wanted() {
        let places = Places {
            all: 1,
            per_day: 1,
            per_run: 1,
        };
        let mut selection = Selection::new(places);
        let mut offer =
            |counter, value, day, run| offer(&mut selection, row(counter, [value; 3], day, run));
        assert_eq!(offer(1, 50, 0, 1), (Verdict::Filling, vec![]));
        assert_eq!(offer(2, 5, 0, 1).0, Verdict::Passed);
        assert_eq!(offer(3, 5, 1, 1), (Verdict::OfItsTime, vec![]));
        assert_eq!(offer(4, 6, 1, 2), (Verdict::OfItsTime, vec![3]));
        assert_eq!(offer(5, 60, 2, 3), (Verdict::Record, vec![]));
        // Far later days take the places of the early ones, but not those of the best of all time.
        for day in 0..40 {
            let counter = 100 + u64::try_from(day).unwrap();
            offer(counter, 1, 100 + day, 100);
        }
        assert!(selection.rows().len() <= 1 + DAYS_MAX + RUNS_MAX);
        assert_eq!(selection.best(Category::Overlays)[0].key.trigger_counter, 5);
    }

    #[test]
    fn fewer_places_after_a_restart_let_rows_go() {
        let rows = (1..=5).map(|n| row(n, [i64::try_from(n).unwrap(); 3], 0, 1));
        let mut selection = Selection::new(PLACES);
        let gone = selection.restore(rows.collect());
        assert_eq!(counters(&gone), [1, 2, 3]);
        assert_eq!(selection.limits(), [4; 3]);
        selection.remove(|row| row.key.trigger_counter == 5);
        assert_eq!(selection.limits(), [0; 3]);
    }
}
