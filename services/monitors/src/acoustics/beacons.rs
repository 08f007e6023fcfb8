//! Which beacons a module heard in a window of time: pings against noise.
//!
//! A beacon sends series of pings 5.05 s apart; the filter gives every sound that looks like one a
//! quality. The rules are those of the collaboration's shift tool, so that shifters see the same.

use fathom_formats::km3net::Arrival;

/// Length of a series of pings (s).
const SERIES_S: f64 = 160.0;
/// Most pings of a series that count.
const PINGS_MAX: usize = 11;
/// Time between two pings of a beacon (s), as its clock keeps it.
pub(super) const PING_GAP_S: f64 = 5.048_729_896_545_41;
/// The same, rounded, by which pings that are out of step are found.
const STEP_S: f64 = 5.0;
/// Two series whose pings come together to this are one beacon (s).
const TOGETHER_S: f64 = 1e-3;
/// A ping is louder than the loudest noise by so many standard deviations of the noise.
const NOISE_SIGMAS: f64 = 10.0;

/// How well a beacon was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// No data of anybody.
    NoData,
    /// No pings.
    Silent,
    /// 1 to 3 pings.
    Few,
    /// 4 to 7 pings.
    Some,
    /// More than 7 pings.
    Good,
}

impl Class {
    pub(super) fn of(pings: usize) -> Self {
        match pings {
            0 => Self::Silent,
            1..=3 => Self::Few,
            4..=7 => Self::Some,
            _ => Self::Good,
        }
    }
}

/// What a module heard of one emitter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heard {
    pub(super) emitter: i32,
    /// Pings that passed all rules, the loudest first.
    pings: Vec<Arrival>,
}

impl Heard {
    /// Returns the number of pings.
    pub(super) fn pings(&self) -> usize {
        self.pings.len()
    }

    /// Returns the largest quality.
    pub(super) fn quality(&self) -> Option<f64> {
        self.pings.first().map(|ping| ping.quality)
    }

    fn first_s(&self) -> Option<f64> {
        self.pings
            .iter()
            .map(|ping| ping.time_base_s)
            .min_by(f64::total_cmp)
    }
}

/// Judges the pings of one module between two times (s), both excluded: one entry per emitter, in the
/// order of their numbers without sign.
pub(super) fn hear(arrivals: &[Arrival], (from_s, to_s): (f64, f64)) -> Vec<Heard> {
    let mut emitters: Vec<i32> = arrivals.iter().map(|arrival| arrival.emitter).collect();
    emitters.sort_unstable_by_key(|emitter| (emitter.unsigned_abs(), *emitter));
    emitters.dedup();
    let inside = |arrival: &Arrival| from_s < arrival.time_base_s && arrival.time_base_s < to_s;
    let mut heard: Vec<Heard> = emitters
        .into_iter()
        .map(|emitter| {
            let own = arrivals
                .iter()
                .filter(|a| a.emitter == emitter && inside(a));
            Heard {
                emitter,
                pings: series(own.copied().collect(), (from_s, to_s)),
            }
        })
        .collect();
    one_beacon_once(&mut heard);
    heard
}

/// Finds the series of pings among the arrivals of one emitter.
fn series(arrivals: Vec<Arrival>, (from_s, to_s): (f64, f64)) -> Vec<Arrival> {
    let loudest = arrivals
        .iter()
        .max_by(|a, b| a.quality.total_cmp(&b.quality));
    let Some(centre_s) = loudest.map(|a| a.time_base_s) else {
        return Vec::new();
    };
    let half_s = SERIES_S / 2.0;
    let (low_s, high_s) = (centre_s - half_s, centre_s + half_s);
    // A series that sticks out of the window goes on at its other end.
    let in_series = |at_s: f64| {
        low_s < at_s && at_s < high_s
            || low_s < from_s && at_s > to_s - half_s
            || high_s > to_s && at_s < from_s + half_s
    };
    let (mut signal, noise): (Vec<_>, Vec<_>) =
        arrivals.into_iter().partition(|a| in_series(a.time_base_s));
    let noise = Noise::of(
        noise
            .iter()
            .map(|a| a.quality)
            .filter(|quality| *quality != 0.0),
    );
    signal.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    drop_same_time(&mut signal);
    signal.truncate(PINGS_MAX);
    if let Some(noise) = &noise {
        signal.retain(|a| a.quality > noise.max + NOISE_SIGMAS * noise.sigma);
    }
    let Some(strongest) = signal.first().copied() else {
        return signal;
    };
    signal.retain(|a| {
        let off_s = (a.time_base_s - strongest.time_base_s).rem_euclid(STEP_S);
        !(off_s > 2.0 && off_s < 4.0)
    });
    if let Some(noise) = &noise {
        let nearer_to_signal = |a: &Arrival| {
            2.0 * (a.quality - strongest.quality).abs() < (a.quality - noise.max).abs()
        };
        signal.retain(nearer_to_signal);
    }
    signal
}

/// Of arrivals at the very same time the loudest stays; they are sorted by loudness.
fn drop_same_time(arrivals: &mut Vec<Arrival>) {
    let mut seen = Vec::with_capacity(arrivals.len());
    arrivals.retain(|arrival| {
        let at_s = arrival.time_base_s + arrival.toa_s;
        let is_new = !seen.contains(&at_s.to_bits());
        if is_new {
            seen.push(at_s.to_bits());
        }
        is_new
    });
}

/// Qualities of what is no ping.
struct Noise {
    max: f64,
    sigma: f64,
}

impl Noise {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand sounds")]
    fn of(qualities: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let number = qualities.clone().count();
        let max = qualities.clone().max_by(f64::total_cmp)?;
        let mean = qualities.clone().sum::<f64>() / number as f64;
        let squares: f64 = qualities.map(|quality| (quality - mean).powi(2)).sum();
        Some(Self {
            max,
            sigma: (squares / number as f64).sqrt(),
        })
    }
}

/// Two emitters whose pings come together are the same beacon: only the louder one was heard.
/// Neighbours in the list are compared first.
fn one_beacon_once(heard: &mut [Heard]) {
    for distance in 1..heard.len() {
        for first in 0..heard.len() - distance {
            let second = first + distance;
            let (a, b) = (&heard[first], &heard[second]);
            let (Some(a_s), Some(b_s)) = (a.first_s(), b.first_s()) else {
                continue;
            };
            let apart_s = (a_s - b_s).rem_euclid(PING_GAP_S);
            if !(TOGETHER_S..=STEP_S).contains(&apart_s) {
                let weaker = if a.quality() < b.quality() {
                    first
                } else {
                    second
                };
                heard[weaker].pings.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::km3net::DomId;

    use super::*;

    /// Pings of a beacon from a time on.
    fn pings(emitter: i32, quality: f64, from_s: f64, number: u32) -> Vec<Arrival> {
        let ping = |n: u32| Arrival {
            dom_id: DomId(1),
            emitter,
            quality: quality - f64::from(n),
            time_base_s: from_s + f64::from(n) * PING_GAP_S,
            toa_s: 0.5,
        };
        (0..number).map(ping).collect()
    }

    fn counts(arrivals: &[Arrival]) -> Vec<(i32, usize)> {
        let heard = hear(arrivals, (0.0, 600.0));
        heard.iter().map(|h| (h.emitter, h.pings())).collect()
    }

    #[test]
    fn the_same_beacon_under_two_numbers_counts_for_the_louder_one() {
        let mut all = pings(11, 9000.0, 100.0, 9);
        all.extend(pings(-12, 8000.0, 100.0 + 3.0 * PING_GAP_S, 9));
        all.extend(pings(14, 7000.0, 102.0, 9));
        assert_eq!(counts(&all), [(11, 9), (-12, 0), (14, 9)]);
    }

    #[test]
    fn a_series_that_sticks_out_of_the_window_goes_on_at_the_other_end() {
        let mut all = pings(11, 9000.0, 590.0, 2);
        all.extend(pings(11, 8000.0, 590.0 + 2.0 * PING_GAP_S - 600.0, 5));
        assert_eq!(counts(&all), [(11, 7)]);
    }

    #[test]
    fn pings_near_the_noise_and_out_of_step_do_not_count() {
        let mut all = pings(11, 9000.0, 100.0, 5);
        all[4].quality = 4000.0;
        all[3].time_base_s += 3.0;
        all.extend(pings(11, 300.0, 400.0, 3));
        assert_eq!(counts(&all), [(11, 3)]);
        // The same sound twice is one.
        all.push(all[0]);
        assert_eq!(counts(&all), [(11, 3)]);
        assert_eq!(counts(&pings(11, 9000.0, 700.0, 5)), [(11, 0)]);
    }
}
