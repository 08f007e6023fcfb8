//! Hits of time slices: genuine and random coincidences inside a module.

use fathom_formats::km3net::{CHANNELS, ChannelId, SliceHit};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore};

use crate::chance::{Purpose, Tables, below, generator, round_u32};
use crate::fault::DomFault;
use crate::layout::vector::dot;
use crate::layout::{Dom, Layout};
use crate::timeline::FRAME_S;

use super::k40::Pairs;
use super::pmts::{DomPmts, Pulse};
use super::rates::DomCounts;

/// Longest time between the two hits of a random coincidence that the data filter keeps (ns).
pub(crate) const WINDOW_NS: f64 = 25.0;
/// Each further PMT that sees a decay is this many times rarer.
const FURTHER_PMT: f64 = 0.1;
/// Coincidences of four and more PMTs, relative to pairs: two further ones.
const SUPERNOVA_SHARE: f64 = FURTHER_PMT * FURTHER_PMT;
/// Hits of a channel in a frame after which it goes into veto: 20 kHz.
const VETO_HITS: u32 = 2000;
/// Hits that follow each other this closely are one coincidence, PMT offsets included (ns).
const GROUP_NS: u32 = 300;
/// Most coincidences of one module in one frame; a saturated module sends no more.
const GROUPS_MAX: usize = 4000;
/// How often a channel is drawn before the sums are asked.
const TRIES_MAX: usize = 8;
const FRAME_NS: f64 = FRAME_S * 1e9;

/// Makes the hits of time slices.
#[derive(Debug, Clone)]
pub(crate) struct Coincidences {
    pairs: Pairs,
    rng: SmallRng,
    tables: Tables,
}

/// One module in one frame.
pub(crate) struct Module<'a> {
    pub(crate) index: usize,
    pub(crate) dom: &'a Dom,
    pub(crate) pmts: &'a DomPmts,
    pub(crate) counted: &'a DomCounts,
    pub(crate) fault: &'a DomFault,
}

impl Coincidences {
    pub(crate) fn new(layout: &Layout, pmts: &[DomPmts], seed: u64, purpose: Purpose) -> Self {
        Self {
            pairs: Pairs::of(&layout.doms, pmts),
            rng: generator(seed, purpose),
            tables: Tables::new(),
        }
    }

    /// Appends the coincidences of two and more PMTs: decays, and hits that meet by chance.
    pub(crate) fn pairs_and_more(&mut self, module: &Module<'_>, out: &mut Vec<SliceHit>) {
        let genuine_hz = self.pairs.rate_hz(module.index) * (1.0 + FURTHER_PMT);
        let heard = Channels::of(&module.counted.without_veto());
        let random_hz = random_rate_hz(heard.total);
        let first = out.len();
        let mut at_ns = 0.0;
        for _ in 0..GROUPS_MAX {
            at_ns += self.gap_ns(genuine_hz + random_hz);
            if at_ns >= FRAME_NS {
                break;
            }
            let newest = out.len();
            if self.rng.random::<f64>() * (genuine_hz + random_hz) < genuine_hz {
                let extra = u32::from(self.rng.random::<f64>() * (1.0 + FURTHER_PMT) > 1.0);
                self.decay(module, at_ns, extra, out);
            } else {
                self.chance(module, &heard, at_ns, out);
            }
            settle(out, first, newest);
        }
    }

    /// Appends all hits: decays seen by two PMTs, and beside them as many as each channel counts; in
    /// veto only those before it began.
    pub(crate) fn all_hits(&mut self, module: &Module<'_>, out: &mut Vec<SliceHit>) {
        let first = out.len();
        let genuine_hz = self.pairs.rate_hz(module.index);
        let mut at_ns = self.gap_ns(genuine_hz);
        while at_ns < FRAME_NS {
            self.decay(module, at_ns, 0, out);
            at_ns += self.gap_ns(genuine_hz);
        }
        let mut left = module.counted.counts;
        for hit in &out[first..] {
            let count = &mut left[usize::from(hit.channel().0)];
            *count = count.saturating_sub(1);
        }
        for (channel, count) in ChannelId::all().zip(left) {
            let is_vetoed = module.counted.hrv >> channel.0 & 1 == 1;
            let hits_max = if is_vetoed { VETO_HITS } else { u32::MAX };
            let rate_hz = f64::from(count) / FRAME_S;
            let mut at_ns = 0.0;
            for _ in 0..count.min(hits_max) {
                at_ns += self.gap_ns(rate_hz);
                let pulse = Pulse::draw(1, self.tables, &mut self.rng);
                if at_ns < FRAME_NS {
                    out.push(SliceHit::new(channel, round_u32(at_ns), pulse.tot_ns));
                }
            }
        }
        out[first..].sort_by_key(SliceHit::time_ns);
    }

    /// Appends the coincidences of PMTs that look into the same half of the sea.
    pub(crate) fn neighbours_and_more(&mut self, module: &Module<'_>, out: &mut Vec<SliceHit>) {
        let mut all = Vec::new();
        self.pairs_and_more(module, &mut all);
        let looks =
            |hit: &SliceHit| module.dom.pmts[usize::from(hit.channel().0)].map(|p| p.direction);
        let near = |a: &SliceHit, b: &SliceHit| {
            let (Some(one), Some(other)) = (looks(a), looks(b)) else {
                return false;
            };
            a.channel() != b.channel() && dot(one, other) > 0.0
        };
        let together = |a: &SliceHit, b: &SliceHit| b.time_ns() - a.time_ns() <= GROUP_NS;
        for group in all.chunk_by(together) {
            let fits = |hit: &&SliceHit| group.iter().any(|other| near(hit, other));
            out.extend(group.iter().filter(fits));
        }
    }

    /// Appends the coincidences of four and more PMTs, as the supernova filter keeps them.
    pub(crate) fn four_and_more(&mut self, module: &Module<'_>, out: &mut Vec<SliceHit>) {
        let rate_hz = self.pairs.rate_hz(module.index) * SUPERNOVA_SHARE;
        let first = out.len();
        let mut at_ns = self.gap_ns(rate_hz);
        while at_ns < FRAME_NS {
            let extra = 2 + u32::from(self.rng.random::<f64>() < FURTHER_PMT);
            let newest = out.len();
            self.decay(module, at_ns, extra, out);
            settle(out, first, newest);
            at_ns += self.gap_ns(rate_hz);
        }
    }

    fn gap_ns(&mut self, rate_hz: f64) -> f64 {
        self.tables.exponential(&mut self.rng) * 1e9 / rate_hz
    }

    /// A decay seen by two PMTs and `extra` further ones.
    fn decay(&mut self, module: &Module<'_>, at_ns: f64, extra: u32, out: &mut Vec<SliceHit>) {
        let (index, efficiency) = (module.index, &module.pmts.efficiency);
        let mut draw = || self.pairs.draw(index, efficiency, &mut self.rng);
        let Some((a, b)) = draw() else {
            return;
        };
        let mut seen = 1_u32 << a | 1 << b;
        for _ in 0..extra {
            // The partner in a drawn pair with one of the PMTs already hit is likely near them.
            let near = (0..8).find_map(|_| {
                let (c, d) = draw()?;
                let both = 1_u32 << c | 1 << d;
                ((seen & both).count_ones() == 1).then_some(both)
            });
            seen |= near.unwrap_or(0);
        }
        for channel in ChannelId::of_bits(seen) {
            self.hit(module, channel, at_ns, out);
        }
    }

    /// Two hits that meet by chance.
    fn chance(
        &mut self,
        module: &Module<'_>,
        heard: &Channels,
        at_ns: f64,
        out: &mut Vec<SliceHit>,
    ) {
        let a = heard.draw(&mut self.rng);
        let b = heard.draw(&mut self.rng);
        if a == b {
            return;
        }
        let apart_ns = self.rng.random_range(-WINDOW_NS..WINDOW_NS);
        self.hit(module, a, at_ns, out);
        self.hit(module, b, at_ns + apart_ns, out);
    }

    fn hit(
        &mut self,
        module: &Module<'_>,
        channel: ChannelId,
        at_ns: f64,
        out: &mut Vec<SliceHit>,
    ) {
        if module.counted.hrv >> channel.0 & 1 == 1 {
            return;
        }
        let at = usize::from(channel.0);
        let offset_ns = module.pmts.raw_offset_ns[at] + module.fault.late_ns[at];
        let pulse = Pulse::draw(1, self.tables, &mut self.rng);
        let time_ns = at_ns + offset_ns + pulse.delay_ns;
        if (0.0..FRAME_NS).contains(&time_ns) {
            out.push(SliceHit::new(channel, round_u32(time_ns), pulse.tot_ns));
        }
    }
}

/// Returns how often two hits of a module meet in the window (Hz). Two of the same channel are
/// included: they are drawn as often, and then left out.
fn random_rate_hz(total: u32) -> f64 {
    let rate_hz = f64::from(total) / FRAME_S;
    rate_hz * rate_hz * WINDOW_NS * 1e-9
}

/// The channels of a module, to be drawn as often as they count.
pub(crate) struct Channels {
    counts: [u32; CHANNELS],
    total: u32,
    most: u32,
}

impl Channels {
    pub(crate) fn of(counted: &DomCounts) -> Self {
        Self {
            counts: counted.counts,
            total: counted.total,
            most: counted.counts.iter().copied().max().unwrap_or(0),
        }
    }

    /// Draws a channel: any one, which is taken as often as its count is of the highest one. Channels that
    /// count about the same are mostly taken at once; if none is, one is drawn along their sums.
    pub(crate) fn draw(&self, rng: &mut SmallRng) -> ChannelId {
        for _ in 0..TRIES_MAX {
            let bits = rng.next_u64();
            let channel = below(bits, CHANNELS);
            let taken = u64::from(self.counts[channel]) << 32;
            if (bits & u64::from(u32::MAX)) * u64::from(self.most) < taken {
                return channel_id(channel);
            }
        }
        let mut left = rng.random_range(0..self.total.max(1));
        for (channel, count) in ChannelId::all().zip(self.counts) {
            match left.checked_sub(count) {
                Some(rest) => left = rest,
                None => return channel,
            }
        }
        ChannelId(0)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "channels are below 31")]
fn channel_id(channel: usize) -> ChannelId {
    ChannelId(channel as u8)
}

/// Brings the hits from `newest` on into time order with those from `first` on, which are in order.
fn settle(hits: &mut [SliceHit], first: usize, newest: usize) {
    // Offsets of 250 ns and coincidences every 600 us: hits move by a few places at most.
    for end in newest..hits.len() {
        let mut at = end;
        while at > first && hits[at - 1].time_ns() > hits[at].time_ns() {
            hits.swap(at - 1, at);
            at -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::{Detector, Layout as Geometry};

    use super::*;
    use crate::physics::k40::pair_rate_hz;

    /// Counts pairs of two hits within 20 ns, times corrected, by channel pair.
    fn count_pairs(hits: &[SliceHit], pmts: &DomPmts, counts: &mut [[u32; CHANNELS]; CHANNELS]) {
        let channel = |hit: &SliceHit| usize::from(hit.channel().0);
        let time = |hit: &SliceHit| f64::from(hit.time_ns()) - pmts.raw_offset_ns[channel(hit)];
        let mut sorted: Vec<_> = hits.to_vec();
        sorted.sort_by(|a, b| time(a).total_cmp(&time(b)));
        for pair in sorted.windows(2) {
            let (a, b) = (channel(&pair[0]), channel(&pair[1]));
            if time(&pair[1]) - time(&pair[0]) < 20.0 && a != b {
                counts[a.min(b)][a.max(b)] += 1;
            }
        }
    }

    #[test]
    fn neighbours_coincide_as_often_as_k40_says_and_opposite_pmts_only_by_chance() {
        let layout = Layout::new(&Detector::generated(&Geometry::orca(1)));
        let pmts = DomPmts::of(&layout, 5, 0.0, 1.0);
        let mut makes = Coincidences::new(&layout, &pmts, 5, Purpose::Slices);
        // 1 kHz in every channel: 1e6 * 40e-9 = 0.04 Hz of chance in a window of 20 ns to each side.
        let counted = DomCounts {
            counts: [100; CHANNELS],
            total: 3100,
            ..DomCounts::default()
        };
        let module = Module {
            index: 0,
            dom: &layout.doms[0],
            pmts: &pmts[0],
            counted: &counted,
            fault: &DomFault::default(),
        };
        let frames = 4000;
        let mut counts = [[0; CHANNELS]; CHANNELS];
        for _ in 0..frames {
            let mut hits = Vec::new();
            makes.pairs_and_more(&module, &mut hits);
            count_pairs(&hits, &pmts[0], &mut counts);
        }
        let live_s = f64::from(frames) * FRAME_S;
        let mut checked = [0; 2];
        for (i, a) in module.dom.channels() {
            for (j, b) in module.dom.channels().filter(|(j, _)| *j > i) {
                let cos = dot(a.direction, b.direction);
                let found = f64::from(counts[i][j]);
                let expected = (pair_rate_hz(cos) + 0.04) * live_s;
                if cos > 0.75 {
                    // Triples add up to a tenth and more to near pairs.
                    let allowed = 5.0 * expected.sqrt();
                    assert!(found > expected - allowed, "{i} {j}: {found} of {expected}");
                    assert!(
                        found < 1.45 * expected + allowed,
                        "{i} {j}: {found} of {expected}"
                    );
                    checked[0] += 1;
                } else if cos < -0.9 {
                    assert!(found < 0.6 * live_s, "{i} {j}: {found}");
                    checked[1] += 1;
                }
            }
        }
        assert!(checked.iter().all(|n| *n >= 10), "{checked:?}");
    }

    #[test]
    fn channels_are_drawn_as_often_as_they_count_even_if_one_counts_most() {
        let mut counts = [0; CHANNELS];
        (counts[3], counts[4], counts[30]) = (1000, 3, 1);
        let counted = DomCounts {
            counts,
            total: 1004,
            ..DomCounts::default()
        };
        let channels = Channels::of(&counted);
        let mut rng = generator(5, Purpose::Slices);
        let mut drawn = [0_u32; CHANNELS];
        for _ in 0..1_004_000 {
            drawn[usize::from(channels.draw(&mut rng).0)] += 1;
        }
        // 3000 and 1000 of them, within five sigma.
        assert_eq!(drawn.iter().filter(|n| **n > 0).count(), 3);
        assert!((2726..3274).contains(&drawn[4]), "{}", drawn[4]);
        assert!((842..1158).contains(&drawn[30]), "{}", drawn[30]);
        let silent = Channels::of(&DomCounts::default());
        assert_eq!(silent.draw(&mut rng), ChannelId(0));
    }

    #[test]
    fn hits_come_in_time_order_and_vetoed_channels_are_silent() {
        let layout = Layout::new(&Detector::generated(&Geometry::arca(1)));
        let pmts = DomPmts::of(&layout, 9, 0.1, 1.0);
        let mut makes = Coincidences::new(&layout, &pmts, 9, Purpose::Slices);
        let mut counts = [750; CHANNELS];
        counts[4] = 50_000;
        let counted = DomCounts {
            counts,
            hrv: 1 << 4,
            fifo: 0,
            total: counts.iter().sum(),
        };
        let module = Module {
            index: 3,
            dom: &layout.doms[3],
            pmts: &pmts[3],
            counted: &counted,
            fault: &DomFault::default(),
        };
        let (mut hits, mut rare) = (Vec::new(), Vec::new());
        for _ in 0..50 {
            let first = hits.len();
            makes.pairs_and_more(&module, &mut hits);
            makes.four_and_more(&module, &mut rare);
            assert!(hits[first..].is_sorted_by_key(SliceHit::time_ns));
            assert!(
                hits[first..]
                    .iter()
                    .all(|hit| hit.channel() != ChannelId(4))
            );
        }
        // 30 channels at 7.5 kHz: 870 * 7500^2 * 25e-9 = 1223 Hz of chance and some 500 of K40.
        let rate_hz = hits.len() as f64 / 2.0 / 5.0;
        assert!((1100.0..2300.0).contains(&rate_hz), "{rate_hz}");
        assert!(!rare.is_empty());
    }
}
