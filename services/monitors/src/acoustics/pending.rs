//! Arrivals of the cycles that are not judged yet, each once.

use std::collections::BTreeMap;

use fathom_formats::km3net::{Arrival, DomId};

/// Most arrivals waiting per module; a beacon makes some dozens per cycle, noise some hundreds.
const PER_DOM_MAX: usize = 20_000;
/// Most modules with arrivals; a two-block detector has 4,370 with its base modules.
const DOMS_MAX: usize = 10_000;
/// Memory of one arrival in its map [bytes].
const ARRIVAL_BYTES: usize = 64;

/// What tells an arrival from others: time base and time of arrival by their bits, which sort like
/// the numbers when these are positive, and the emitter.
type Key = (u64, u64, i32);

/// The arrivals by module.
#[derive(Debug, Default)]
pub(super) struct Pending {
    doms: BTreeMap<u32, BTreeMap<Key, f64>>,
    /// Arrivals that came since they were kept last.
    pub(super) fresh: Vec<Arrival>,
    /// Arrivals that found no room.
    pub(super) refused: u64,
}

impl Pending {
    /// Adds an arrival; `false` when it is there already or cannot be used.
    pub(super) fn add(&mut self, arrival: &Arrival) -> bool {
        if arrival.time_base_s < 0.0 {
            return false;
        }
        let has_room = self.doms.len() < DOMS_MAX || self.doms.contains_key(&arrival.dom_id.0);
        if !has_room {
            self.refused += 1;
            return false;
        }
        let own = self.doms.entry(arrival.dom_id.0).or_default();
        if own.len() >= PER_DOM_MAX {
            self.refused += 1;
            return false;
        }
        let key = (
            arrival.time_base_s.to_bits(),
            arrival.toa_s.to_bits(),
            arrival.emitter,
        );
        let is_new = own.insert(key, arrival.quality).is_none();
        if is_new {
            self.fresh.push(*arrival);
        }
        is_new
    }

    /// Iterates over the modules that have any between two times (s), with these.
    pub(super) fn between(
        &self,
        (from_s, to_s): (f64, f64),
    ) -> impl Iterator<Item = (u32, Vec<Arrival>)> {
        let range =
            (from_s.max(0.0).to_bits(), 0, i32::MIN)..(to_s.max(0.0).to_bits(), 0, i32::MIN);
        self.doms.iter().filter_map(move |(&dom_id, own)| {
            let arrivals: Vec<_> = own
                .range(range.clone())
                .map(|entry| arrival(dom_id, entry))
                .collect();
            (!arrivals.is_empty()).then_some((dom_id, arrivals))
        })
    }

    /// Tells whether there are any between two times (s).
    pub(super) fn any(&self, (from_s, to_s): (f64, f64)) -> bool {
        let key = |time_s: f64| (time_s.max(0.0).to_bits(), 0, i32::MIN);
        let mut doms = self.doms.values();
        doms.any(|own| own.range(key(from_s)..key(to_s)).next().is_some())
    }

    /// Iterates over all.
    pub(super) fn all(&self) -> impl Iterator<Item = Arrival> {
        let of = |(&dom_id, own): (&u32, &'_ BTreeMap<Key, f64>)| {
            own.iter()
                .map(move |entry| arrival(dom_id, entry))
                .collect::<Vec<_>>()
        };
        self.doms.iter().flat_map(of)
    }

    /// Returns the oldest time base (s).
    pub(super) fn oldest_s(&self) -> Option<f64> {
        let firsts = self.doms.values().filter_map(|own| own.first_key_value());
        firsts
            .map(|((base, ..), _)| f64::from_bits(*base))
            .min_by(f64::total_cmp)
    }

    /// Forgets what came before a time (s).
    pub(super) fn forget_before(&mut self, time_s: f64) {
        let key = (time_s.max(0.0).to_bits(), 0, i32::MIN);
        for own in self.doms.values_mut() {
            *own = own.split_off(&key);
        }
        self.doms.retain(|_, own| !own.is_empty());
    }

    pub(super) fn clear(&mut self) {
        self.doms.clear();
        self.fresh.clear();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.doms.values().map(BTreeMap::len).sum::<usize>() * ARRIVAL_BYTES
            + self.fresh.len() * size_of::<Arrival>()
    }
}

fn arrival(dom_id: u32, (&(base, toa, emitter), &quality): (&Key, &f64)) -> Arrival {
    Arrival {
        dom_id: DomId(dom_id),
        emitter,
        quality,
        time_base_s: f64::from_bits(base),
        toa_s: f64::from_bits(toa),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping(dom_id: u32, time_base_s: f64) -> Arrival {
        Arrival {
            dom_id: DomId(dom_id),
            emitter: 11,
            quality: 100.0,
            time_base_s,
            toa_s: 0.5,
        }
    }

    #[test]
    fn a_table_read_twice_adds_nothing_and_old_arrivals_go() {
        let mut pending = Pending::default();
        for _ in 0..2 {
            for n in 0..10 {
                pending.add(&ping(1 + n % 2, 1000.0 + f64::from(n)));
            }
        }
        assert_eq!(pending.all().count(), 10);
        assert_eq!(pending.oldest_s(), Some(1000.0));
        let between: Vec<_> = pending
            .between((1002.0, 1005.0))
            .map(|(d, a)| (d, a.len()))
            .collect();
        assert_eq!(between, [(1, 2), (2, 1)]);
        pending.forget_before(1008.0);
        assert_eq!(pending.all().count(), 2);
        assert!(!pending.add(&ping(1, -5.0)));
    }

    #[test]
    fn a_flood_is_refused_and_counted() {
        let mut pending = Pending::default();
        for n in 0..30_000 {
            pending.add(&ping(1, f64::from(n)));
        }
        assert_eq!(
            (pending.all().count(), pending.refused),
            (PER_DOM_MAX, 10_000)
        );
    }
}
