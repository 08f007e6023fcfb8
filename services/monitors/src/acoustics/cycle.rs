//! What all modules heard in one cycle, and the cycles of a day.

use std::collections::{BTreeMap, BTreeSet};

use fathom_hist::Ring;
use serde_json::{Value, json};

use super::beacons::{Class, hear};
use super::ms_of_seconds;
use super::pending::Pending;
use crate::places::{Found, Places, Strangers};

/// Most emitters of one module and cycle; others are noise.
const EMITTERS_MAX: usize = 32;

/// What one module heard of one emitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Result {
    /// Rank of the module.
    pub(super) rank: u32,
    pub(super) emitter: i32,
    pub(super) pings: u32,
    /// Largest quality of the pings; NaN without any.
    pub(super) quality: f32,
}

impl Result {
    pub(super) fn class(&self) -> Class {
        Class::of(self.pings as usize)
    }
}

/// One cycle.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cycle {
    pub(super) number: i64,
    /// Anything arrived at all.
    pub(super) has_data: bool,
    /// We listened all the time; otherwise silence means nothing.
    pub(super) is_whole: bool,
    /// By rank, and for each module by emitter without sign.
    pub(super) results: Vec<Result>,
    /// Modules heard that have no place.
    pub(super) unknown: u32,
}

impl Cycle {
    /// Judges the arrivals between two times (s).
    pub(super) fn judge(
        (number, is_whole): (i64, bool),
        window: (f64, f64),
        pending: &Pending,
        (places, strangers): (&mut Places, &mut Strangers),
    ) -> Self {
        let mut cycle = Self {
            number,
            has_data: false,
            is_whole,
            results: Vec::new(),
            unknown: 0,
        };
        for (dom_id, arrivals) in pending.between(window) {
            cycle.has_data = true;
            let Found::Dom(rank) = places.find(dom_id) else {
                cycle.unknown += 1;
                strangers.saw(dom_id, ms_of_seconds(window.1));
                continue;
            };
            for heard in hear(&arrivals, window).into_iter().take(EMITTERS_MAX) {
                #[expect(clippy::cast_possible_truncation, reason = "shown with few digits")]
                let quality = heard.quality().map_or(f32::NAN, |quality| quality as f32);
                cycle.results.push(Result {
                    rank: u32::try_from(rank).unwrap_or(u32::MAX),
                    emitter: heard.emitter,
                    pings: u32::try_from(heard.pings()).unwrap_or(u32::MAX),
                    quality,
                });
            }
        }
        // A stable sort: emitters keep their order.
        cycle.results.sort_by_key(|result| result.rank);
        cycle
    }

    /// Returns what a module heard.
    pub(super) fn of(&self, rank: usize) -> &[Result] {
        let rank = u32::try_from(rank).unwrap_or(u32::MAX);
        let from = self.results.partition_point(|result| result.rank < rank);
        let to = self.results.partition_point(|result| result.rank <= rank);
        self.results.get(from..to).unwrap_or_default()
    }

    /// Returns the number of modules that heard an emitter with more than 3 pings.
    pub(super) fn doms_that_heard(&self, emitter: i32) -> usize {
        let heard = |result: &&Result| result.emitter == emitter && result.class() >= Class::Some;
        self.results.iter().filter(heard).count()
    }

    /// Returns the number of modules per emitter that heard it with more than 3 pings.
    fn doms_by_emitter(&self) -> BTreeMap<i32, usize> {
        let mut doms = BTreeMap::new();
        for result in self
            .results
            .iter()
            .filter(|result| result.class() >= Class::Some)
        {
            *doms.entry(result.emitter).or_default() += 1;
        }
        doms
    }

    /// Returns the pings of all modules together of an emitter.
    pub(super) fn pings(&self, emitter: i32) -> u32 {
        let own = self
            .results
            .iter()
            .filter(|result| result.emitter == emitter);
        own.map(|result| result.pings).sum()
    }
}

/// The cycles that are kept.
#[derive(Debug)]
pub(super) struct History {
    cycles: Ring<Cycle>,
}

impl History {
    pub(super) fn new(cycles: usize) -> Self {
        Self {
            cycles: Ring::new(cycles),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.cycles.capacity()
    }

    pub(super) fn push(&mut self, cycle: Cycle) {
        self.cycles.push(cycle);
    }

    pub(super) fn newest(&self) -> Option<&Cycle> {
        self.cycles.newest()
    }

    /// Iterates from the oldest to the newest.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Cycle> {
        self.cycles.iter()
    }

    /// Returns the emitters that were heard by at least one module with more than 3 pings.
    pub(super) fn beacons(&self) -> BTreeSet<i32> {
        let all = self.cycles.iter().flat_map(Cycle::doms_by_emitter);
        all.map(|(emitter, _)| emitter).collect()
    }

    /// Returns the beacons that so many modules heard at one time, but not in this cycle. Those that
    /// were lost `before` stay so until they are heard: the cycles in which they were are forgotten
    /// after a day.
    pub(super) fn lost(&self, now: &Cycle, before: &BTreeSet<i32>, doms: usize) -> BTreeSet<i32> {
        let cycles = self.cycles.iter().filter(|_| now.is_whole);
        let known = cycles.flat_map(Cycle::doms_by_emitter);
        let known = known.filter(|&(_, heard)| heard >= doms);
        known
            .map(|(emitter, _)| emitter)
            .chain(before.iter().copied())
            .filter(|emitter| now.doms_that_heard(*emitter) < doms)
            .collect()
    }

    /// Returns in how many cycles with data a module heard an emitter with more than 3 pings.
    pub(super) fn times_heard(&self, rank: usize, emitter: i32) -> usize {
        let heard = |cycle: &&Cycle| {
            let mut own = cycle.of(rank).iter();
            own.any(|result| result.emitter == emitter && result.class() >= Class::Some)
        };
        self.cycles.iter().filter(heard).count()
    }

    /// Returns all that a module heard; `end_ms` tells when a cycle ended.
    pub(super) fn of(&self, rank: usize, end_ms: impl Fn(i64) -> i64) -> Value {
        let cycle = |cycle: &Cycle| {
            let heard: Vec<_> = cycle
                .of(rank)
                .iter()
                .map(|r| json!({ "emitter": r.emitter, "pings": r.pings, "quality": r.quality }))
                .collect();
            json!({
                "cycle": cycle.number,
                "end_ms": end_ms(cycle.number),
                "has_data": cycle.has_data,
                "heard": heard,
            })
        };
        self.cycles.iter().map(cycle).collect()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let results: usize = self.cycles.iter().map(|cycle| cycle.results.len()).sum();
        results * size_of::<Result>()
    }
}
