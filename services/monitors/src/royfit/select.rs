//! Which hits of a string belong to a track: coincidences first, then what lies on their line.

use std::collections::BTreeMap;

use fathom_formats::km3net::CalibratedHit;

use crate::royfit::{LIGHT_M_PER_NS, REFRACTIVE_INDEX};

/// How hits are selected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// Longest time between neighbours of a coincidence; also how far from its expectation a hit
    /// may be (ns).
    pub window_ns: f64,
    /// Hits of one DOM that make a coincidence.
    pub multiplicity: usize,
    /// Floors with a coincidence that are needed; with fewer, the first triggered hit of each floor
    /// is taken.
    pub floors_min: usize,
    /// Height between two floors (m).
    pub floor_spacing_m: f64,
}

/// Indices of hits, by floor: at most one each.
type ByFloor = BTreeMap<u32, usize>;

/// Returns the first hit of each floor that has a coincidence, as indices, in order of time.
///
/// Hits are those of one string, sorted by DOM and time.
pub fn seed_hits(hits: &[CalibratedHit], selection: &Selection) -> Vec<usize> {
    in_time(hits, seeds(hits, selection))
}

/// Returns the hits of a track, at most one per floor, as indices, in order of time.
///
/// Hits are those of one string, sorted by DOM and time. Empty when there is no coincidence and no
/// triggered hit.
pub fn select_hits(hits: &[CalibratedHit], selection: &Selection) -> Vec<usize> {
    let mut selected = seeds(hits, selection);
    let mut pool = Pool::without(hits, &selected);
    let mut new: Vec<usize> = in_time(hits, selected.clone());
    while !new.is_empty() {
        let starts = std::mem::take(&mut new);
        for &start in &starts {
            for upwards in [true, false] {
                extend(
                    (hits, selection),
                    &selected,
                    &mut pool,
                    (start, upwards),
                    &mut new,
                );
            }
        }
        for &hit in &new {
            keep_earlier(hits, &mut selected, hit);
        }
    }
    in_time(hits, selected)
}

fn seeds(hits: &[CalibratedHit], selection: &Selection) -> ByFloor {
    let mut seeds = ByFloor::new();
    let mut from = 0;
    let joins = |a: &CalibratedHit, b: &CalibratedHit| {
        a.dom_id == b.dom_id && b.time_ns - a.time_ns <= selection.window_ns
    };
    for group in hits.chunk_by(joins) {
        if group.len() >= selection.multiplicity {
            keep_earlier(hits, &mut seeds, from);
        }
        from += group.len();
    }
    if seeds.len() < selection.floors_min {
        seeds.clear();
        let triggered = (0..hits.len()).filter(|&n| hits[n].is_triggered);
        triggered.for_each(|n| keep_earlier(hits, &mut seeds, n));
    }
    seeds
}

/// Takes a hit unless its floor has an earlier one.
fn keep_earlier(hits: &[CalibratedHit], by_floor: &mut ByFloor, hit: usize) {
    let place = by_floor.entry(hits[hit].place.floor).or_insert(hit);
    if hits[hit].time_ns < hits[*place].time_ns {
        *place = hit;
    }
}

fn in_time(hits: &[CalibratedHit], by_floor: ByFloor) -> Vec<usize> {
    let mut list: Vec<usize> = by_floor.into_values().collect();
    list.sort_by(|&a, &b| hits[a].time_ns.total_cmp(&hits[b].time_ns));
    list
}

/// The hits that are not used yet, by floor and in order of time.
struct Pool(BTreeMap<u32, Vec<usize>>);

impl Pool {
    fn without(hits: &[CalibratedHit], used: &ByFloor) -> Self {
        let mut pool = BTreeMap::<u32, Vec<usize>>::new();
        for (n, hit) in hits.iter().enumerate() {
            if used.get(&hit.place.floor) != Some(&n) {
                pool.entry(hit.place.floor).or_default().push(n);
            }
        }
        for floor in pool.values_mut() {
            floor.sort_by(|&a, &b| hits[a].time_ns.total_cmp(&hits[b].time_ns));
        }
        Self(pool)
    }

    /// Returns the first hit of a floor in a time range, and forgets it with all later ones.
    fn take(
        &mut self,
        hits: &[CalibratedHit],
        floor: u32,
        (from_ns, to_ns): (f64, f64),
    ) -> Option<usize> {
        let list = self.0.get_mut(&floor)?;
        let at = list.partition_point(|&n| hits[n].time_ns < from_ns);
        let found = *list.get(at).filter(|n| hits[**n].time_ns <= to_ns)?;
        list.truncate(at);
        Some(found)
    }
}

/// Looks for hits on the two floors that follow a hit in one direction, where the hits on the two
/// floors behind it say that they should be.
fn extend(
    (hits, selection): (&[CalibratedHit], &Selection),
    selected: &ByFloor,
    pool: &mut Pool,
    (start, upwards): (usize, bool),
    new: &mut Vec<usize>,
) {
    let floor = hits[start].place.floor;
    let ahead = |steps: u32| match upwards {
        true => floor.checked_add(steps),
        false => floor.checked_sub(steps),
    };
    let behind = |steps: u32| match upwards {
        true => floor.checked_sub(steps),
        false => floor.checked_add(steps),
    };
    let time_of = |floor: Option<u32>| Some(hits[*selected.get(&floor?)?].time_ns);
    let time_ns = hits[start].time_ns;
    let expected = match (time_of(behind(1)), time_of(behind(2))) {
        (Some(a), Some(b)) => (a + 2.0 * (a - b), a + 3.0 * (a - b)),
        (Some(a), None) => (2.0 * time_ns - a, time_ns + 2.0 * (time_ns - a)),
        (None, Some(b)) => (time_ns + (time_ns - b) / 2.0, 2.0 * time_ns - b),
        (None, None) => return,
    };
    // Light that goes straight from floor to floor.
    let light_ns = selection.floor_spacing_m * REFRACTIVE_INDEX / LIGHT_M_PER_NS;
    let slack_ns = selection.window_ns;
    for (steps, factor, expected_ns) in [(1, 1.0, expected.0), (2, 2.0, expected.1)] {
        let straight_ns = time_ns + factor * light_ns + slack_ns;
        let latest_ns = straight_ns.max(expected_ns + factor * slack_ns);
        let window_ns = (expected_ns - factor * slack_ns, latest_ns);
        let Some(floor) = ahead(steps) else { continue };
        let Some(found) = pool.take(hits, floor, window_ns) else {
            continue;
        };
        let earlier = time_of(Some(floor)).is_some_and(|t| t < hits[found].time_ns);
        if !earlier {
            new.push(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::Place;

    use super::*;

    const SELECTION: Selection = Selection {
        window_ns: 10.0,
        multiplicity: 3,
        floors_min: 1,
        floor_spacing_m: 9.0,
    };

    fn hit(dom_id: u32, floor: u32, time_ns: f64) -> CalibratedHit {
        CalibratedHit {
            dom_id: dom_id.into(),
            place: Place { du: 1, floor },
            channel: 0.into(),
            tot_ns: 26,
            is_triggered: false,
            multiplicity: 1,
            group: 0,
            time_ns,
            position_m: [0.0; 3],
            direction: [0.0, 0.0, -1.0],
        }
    }

    #[test]
    fn the_last_coincidence_of_a_dom_is_not_forgotten() {
        let times = [0.0, 100.0, 105.0, 112.0];
        let hits: Vec<_> = times.map(|t| hit(7, 4, t)).to_vec();
        assert_eq!(seed_hits(&hits, &SELECTION), [1]);
    }

    #[test]
    fn the_hits_of_two_doms_do_not_make_one_coincidence() {
        let hits = [hit(7, 4, 100.0), hit(7, 4, 104.0), hit(8, 5, 106.0)];
        assert_eq!(seed_hits(&hits, &SELECTION), Vec::<usize>::new());
    }

    #[test]
    fn seeds_do_not_depend_on_which_dom_comes_first() {
        // Two DOMs of one floor: the earlier coincidence counts, whatever their ids.
        for (first, second) in [(7, 8), (8, 7)] {
            let early = [100.0, 101.0, 102.0].map(|t| hit(first, 4, t));
            let late = [300.0, 301.0, 302.0].map(|t| hit(second, 4, t));
            let mut hits = [early, late].concat();
            hits.sort_by_key(|hit| hit.dom_id);
            let seeds = seed_hits(&hits, &SELECTION);
            let times: Vec<_> = seeds.iter().map(|&n| hits[n].time_ns).collect();
            assert_eq!(times, [100.0]);
        }
    }

    #[test]
    fn without_coincidences_the_first_triggered_hit_of_each_floor_is_taken() {
        let mut hits = [
            hit(7, 4, 1.0),
            hit(7, 4, 50.0),
            hit(7, 4, 90.0),
            hit(8, 5, 5.0),
        ];
        (hits[1].is_triggered, hits[2].is_triggered) = (true, true);
        assert_eq!(select_hits(&hits, &SELECTION), [1]);
    }

    #[test]
    fn a_hit_is_added_where_the_line_of_two_floors_goes() {
        // Floors 1 and 2 at 0 and 30 ns, so floor 3 is expected from 50 ns on: seen from floor 2,
        // with only floor 1 behind it, at 30 + 30 = 60 ns, 10 ns more or less.
        let coincidence = |dom, floor, t| [0.0, 1.0, 2.0].map(|late| hit(dom, floor, t + late));
        let mut hits = [coincidence(1, 1, 0.0), coincidence(2, 2, 30.0)].concat();
        hits.extend([hit(3, 3, 49.9), hit(3, 3, 50.0)]);
        let selected = select_hits(&hits, &SELECTION);
        assert_eq!(selected, [0, 3, 7]);
        // Light straight from floor 2 takes 9 m * 1.38009 / c = 41.43 ns: until 81.43 ns.
        hits.truncate(6);
        hits.extend([hit(3, 3, 81.4)]);
        assert_eq!(select_hits(&hits, &SELECTION).len(), 3);
        hits[6].time_ns = 81.5;
        assert_eq!(select_hits(&hits, &SELECTION).len(), 2);
    }

    /// Floors and times of coincidences.
    type Seeds<'a> = &'a [(u32, f64)];

    /// Tells whether a lone hit joins coincidences at these floors and times.
    fn joins(seeds: Seeds<'_>, floor: u32, time_ns: f64) -> bool {
        let coincidence =
            |&(floor, t): &(u32, f64)| [0.0, 1.0, 2.0].map(|n| hit(floor, floor, t + n));
        let mut hits: Vec<_> = seeds.iter().flat_map(coincidence).collect();
        hits.push(hit(floor, floor, time_ns));
        select_hits(&hits, &SELECTION).contains(&(hits.len() - 1))
    }

    #[test]
    fn a_lone_hit_joins_within_the_window_of_its_floor_and_not_a_tenth_of_a_nanosecond_beyond() {
        let slow = [(1, 0.0), (2, 100.0), (3, 150.0)];
        let fast = [(1, 0.0), (2, 5.0)];
        let far = [(1, 0.0), (3, 100.0)];
        let down = [(9, 0.0), (8, 100.0), (7, 150.0)];
        let windows: [(Seeds<'_>, u32, [f64; 2]); 8] = [
            // From floor 2, one floor behind: 100 + 2 * 100, twice 10 ns more or less.
            (&slow, 4, [280.0, 320.0]),
            // From floor 3, two floors behind: 100 + 3 * 100.
            (&slow, 5, [380.0, 420.0]),
            (&down, 6, [280.0, 320.0]),
            (&down, 5, [380.0, 420.0]),
            // 5 + 5 less 10 ns, until light that goes straight: 5 + 41.43 + 10.
            (&fast, 3, [0.0, 56.43]),
            // 5 + 2 * 5 less 20 ns, and two floors of light: 5 + 82.86 + 10.
            (&fast, 4, [-5.0, 97.86]),
            // From floor 3 with floor 1 behind: 100 + 50, and 100 + 100.
            (&far, 4, [140.0, 160.0]),
            (&far, 5, [180.0, 220.0]),
        ];
        for (seeds, floor, [from_ns, to_ns]) in windows {
            let joined =
                [from_ns - 0.1, from_ns, to_ns, to_ns + 0.1].map(|t| joins(seeds, floor, t));
            assert_eq!(
                joined,
                [false, true, true, false],
                "{seeds:?} floor {floor}"
            );
        }
        // Where the line of floors 1 and 2 passed floor 3, not floor 4.
        assert!(!joins(&slow, 4, 195.0));
    }

    #[test]
    fn hits_ten_nanoseconds_apart_are_a_chain_and_a_tenth_more_is_none() {
        let chain = |step_ns: f64| [0.0, 1.0, 2.0].map(|n| hit(7, 4, step_ns * n));
        assert_eq!(seed_hits(&chain(10.0), &SELECTION), [0]);
        assert!(seed_hits(&chain(10.1), &SELECTION).is_empty());
    }
}
