//! Rates and vetoes of all PMTs summed over the time steps that are still open.

use std::collections::VecDeque;

use fathom_formats::km3net::{CHANNELS, HZ_PER_COUNT, Tmch};

use crate::timeline::TOLERANCE_MS;

/// Steps open at a time: the present one and those that wait for late packets. One more closes the
/// oldest.
const OPEN_MAX: usize = 3;
/// Bytes of a DOM in an open step that is kept.
const DOM_BYTES: usize = 4 + CHANNELS * 12;
/// Empty steps made at once when the clock runs ahead of the data.
const EMPTY_MAX: i64 = 1000;

/// What one DOM sent in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dom {
    pub(super) packets: u32,
    /// Counts per channel, in units of 10 Hz.
    counts: [u64; CHANNELS],
    /// Packets in which a channel was in high-rate veto.
    vetoes: [u32; CHANNELS],
}

impl Dom {
    const NONE: Self = Self {
        packets: 0,
        counts: [0; CHANNELS],
        vetoes: [0; CHANNELS],
    };

    /// Makes what a DOM sent in a step that was kept as mean rates (Hz) and fractions of veto, of so
    /// many packets.
    pub(super) fn of_means(packets: u32, means: impl Fn(usize) -> (f64, f64)) -> Self {
        let mut dom = Self {
            packets,
            ..Self::NONE
        };
        for channel in 0..CHANNELS {
            let (rate_hz, veto) = means(channel);
            let counts = f64::from(packets) * rate_hz / f64::from(HZ_PER_COUNT);
            let vetoes = f64::from(packets) * veto;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a float saturates"
            )]
            let (counts, vetoes) = (counts.round() as u64, vetoes.round() as u32);
            (dom.counts[channel], dom.vetoes[channel]) = (counts, vetoes);
        }
        dom
    }

    /// Adds a packet.
    pub(super) fn add(&mut self, packet: &Tmch<'_>) {
        self.packets += 1;
        for (sum, count) in self.counts.iter_mut().zip(packet.rate_counts()) {
            *sum += u64::from(count);
        }
        let mut bits = packet.hrv_bits();
        while bits != 0 {
            self.vetoes[bits.trailing_zeros() as usize] += 1;
            bits &= bits - 1;
        }
    }

    /// Writes it down exactly: packets, then sum and vetoes of each channel.
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.packets.to_le_bytes());
        for (counts, vetoes) in self.counts.iter().zip(self.vetoes) {
            bytes.extend(counts.to_le_bytes());
            bytes.extend(vetoes.to_le_bytes());
        }
    }

    /// Reads it again; `None` when it is damaged.
    fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut dom = Self::NONE;
        dom.packets = u32::from_le_bytes(*bytes.split_off(..4)?.first_chunk()?);
        for channel in 0..CHANNELS {
            let counts = bytes.split_off(..8)?.first_chunk()?;
            let vetoes = bytes.split_off(..4)?.first_chunk()?;
            dom.counts[channel] = u64::from_le_bytes(*counts);
            dom.vetoes[channel] = u32::from_le_bytes(*vetoes);
        }
        Some(dom)
    }

    fn merge(&mut self, other: &Self) {
        self.packets += other.packets;
        for channel in 0..CHANNELS {
            self.counts[channel] += other.counts[channel];
            self.vetoes[channel] += other.vetoes[channel];
        }
    }

    /// Returns the mean rate of a channel (Hz), NaN without packets.
    #[expect(
        clippy::cast_precision_loss,
        reason = "sums of one step stay below 2^53"
    )]
    pub(super) fn rate_hz(&self, channel: usize) -> f64 {
        (self.counts[channel] * u64::from(HZ_PER_COUNT)) as f64 / f64::from(self.packets)
    }

    /// Returns the fraction of packets with this channel in veto, NaN without packets.
    pub(super) fn veto_fraction(&self, channel: usize) -> f64 {
        f64::from(self.vetoes[channel]) / f64::from(self.packets)
    }
}

/// One time step of all DOMs, by rank.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) start_ms: i64,
    pub(super) doms: Vec<Dom>,
}

impl Step {
    /// Returns roughly how much memory the step takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.doms.len() * size_of::<Dom>()
    }

    pub(super) fn new(start_ms: i64, doms: usize) -> Self {
        Self {
            start_ms,
            doms: vec![Dom::NONE; doms],
        }
    }

    /// Writes the DOMs down, in order of their ranks.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        self.doms.iter().for_each(|dom| dom.write(bytes));
    }

    /// Reads DOMs again that were written in the order of `ranks`.
    pub(super) fn read(start_ms: i64, bytes: &[u8], ranks: &[Option<usize>]) -> Self {
        let mut step = Self::new(start_ms, 0);
        for (bytes, rank) in bytes.chunks(DOM_BYTES).zip(ranks) {
            if let (Some(rank), Some(dom)) = (*rank, Dom::read(bytes)) {
                step.make_room(rank + 1);
                step.doms[rank] = dom;
            }
        }
        step
    }

    /// Adds a finer step.
    pub(super) fn merge(&mut self, other: &Self) {
        self.make_room(other.doms.len());
        for (sum, dom) in self.doms.iter_mut().zip(&other.doms) {
            if dom.packets > 0 {
                sum.merge(dom);
            }
        }
    }

    fn make_room(&mut self, doms: usize) {
        if self.doms.len() < doms {
            self.doms.resize(doms, Dom::NONE);
        }
    }
}

/// The open steps, oldest first, without holes.
#[derive(Debug)]
pub(super) struct Steps {
    width_ms: i64,
    open: VecDeque<Step>,
    /// Steps that are complete and wait to be drawn.
    done: VecDeque<Step>,
    /// A step to be used again, so that a new one costs no allocation.
    spare: Option<Step>,
    /// What is open was open before a restart, and nothing has come since.
    is_restored: bool,
    pub(super) late: u64,
}

impl Steps {
    /// Returns roughly how much memory the steps take.
    pub(super) fn memory_bytes(&self) -> usize {
        let steps = self.open.iter().chain(&self.done).chain(&self.spare);
        steps.map(Step::memory_bytes).sum()
    }

    pub(super) fn new(width_ms: i64) -> Self {
        Self {
            width_ms,
            open: VecDeque::new(),
            done: VecDeque::new(),
            spare: None,
            is_restored: false,
            late: 0,
        }
    }

    /// Returns where a packet of a DOM is to be added. What comes too late for its step counts for
    /// the oldest open one.
    pub(super) fn dom(&mut self, rank: usize, data_ms: i64) -> &mut Dom {
        self.cover(data_ms);
        let found = self.open.iter().rposition(|step| step.start_ms <= data_ms);
        self.late += u64::from(found.is_none());
        let step = &mut self.open[found.unwrap_or(0)];
        step.make_room(rank + 1);
        &mut step.doms[rank]
    }

    /// Returns where a packet with an unusable time is to be added: the newest step.
    pub(super) fn newest_dom(&mut self, rank: usize, data_ms: i64) -> &mut Dom {
        let newest_ms = self.open.back().map_or(data_ms, |step| step.start_ms);
        self.dom(rank, newest_ms)
    }

    /// Iterates over the open steps.
    pub(super) fn open(&self) -> impl Iterator<Item = &Step> {
        self.open.iter()
    }

    /// Opens the steps again that were open before a restart; those of another width are left out.
    pub(super) fn resume(&mut self, open: Vec<Step>) {
        self.open = open.into();
        self.open.retain(|step| step.start_ms % self.width_ms == 0);
        self.is_restored = true;
    }

    /// After a restart: when a time goes on where the open steps are, they stay open; otherwise they are
    /// complete, and nobody saw the time in between.
    fn go_on(&mut self, data_ms: i64) {
        if !std::mem::take(&mut self.is_restored) {
            return;
        }
        let ends = self.open.front().zip(self.open.back());
        let is_near = ends.is_some_and(|(first, last)| {
            (first.start_ms..last.start_ms + 2 * self.width_ms).contains(&data_ms)
        });
        if !is_near {
            self.done.append(&mut self.open);
        }
    }

    /// Opens the steps up to a time; there is at least one open afterwards.
    pub(super) fn cover(&mut self, data_ms: i64) {
        self.go_on(data_ms);
        let wanted_ms = data_ms.div_euclid(self.width_ms) * self.width_ms;
        let next_ms = match self.open.back() {
            Some(step) if step.start_ms >= wanted_ms => return,
            Some(step) => step.start_ms + self.width_ms,
            None => wanted_ms,
        };
        let mut start_ms = next_ms.max(wanted_ms - EMPTY_MAX * self.width_ms);
        while start_ms <= wanted_ms {
            let step = self.fresh(start_ms);
            self.open.push_back(step);
            start_ms += self.width_ms;
            if self.open.len() > OPEN_MAX {
                self.done.extend(self.open.pop_front());
            }
        }
        while self.done.len() > usize::try_from(EMPTY_MAX).unwrap_or(usize::MAX) {
            self.done.pop_front();
        }
    }

    /// Ends the steps that ended before a time.
    pub(super) fn close(&mut self, until_ms: i64) {
        let ended = |step: &Step| step.start_ms + self.width_ms <= until_ms;
        while self.open.front().is_some_and(ended) {
            self.done.extend(self.open.pop_front());
        }
    }

    /// The clock was set to another time: everything open is complete, unless the clock was only set
    /// because of a restart.
    pub(super) fn jump(&mut self, data_ms: i64) {
        match self.is_restored {
            true => self.go_on(data_ms),
            false => {
                // What is of a time just ahead was believed of a clock that is wrong.
                let wrong_ms = data_ms + 2 * self.width_ms..=data_ms.saturating_add(TOLERANCE_MS);
                self.open.retain(|step| !wrong_ms.contains(&step.start_ms));
                self.done.append(&mut self.open);
            }
        }
    }

    /// Takes the oldest complete step; give it back by [`Steps::recycle`].
    pub(super) fn next_done(&mut self) -> Option<Step> {
        self.done.pop_front()
    }

    pub(super) fn recycle(&mut self, step: Step) {
        self.spare = Some(step);
    }

    fn fresh(&mut self, start_ms: i64) -> Step {
        let Some(mut step) = self.spare.take() else {
            let doms = self.open.back().map_or(0, |step| step.doms.len());
            return Step::new(start_ms, doms);
        };
        step.start_ms = start_ms;
        step.doms.fill(Dom::NONE);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(steps: &mut Steps) -> Vec<i64> {
        std::iter::from_fn(|| steps.next_done())
            .map(|step| step.start_ms)
            .collect()
    }

    #[test]
    fn steps_follow_each_other_without_holes() {
        let mut steps = Steps::new(10);
        steps.dom(0, 5).packets = 1;
        steps.dom(0, 47).packets = 1;
        assert_eq!(starts(&mut steps), [0, 10]);
        steps.close(39);
        assert_eq!(starts(&mut steps), [20]);
        steps.jump(47);
        assert_eq!(starts(&mut steps), [30, 40]);
    }

    #[test]
    fn steps_that_were_open_at_a_restart_go_on_or_end_without_a_trail_of_empty_ones() {
        let kept = || {
            let mut step = Step::new(20, 2);
            step.doms[1].packets = 3;
            step.doms[1].counts[30] = u64::MAX;
            let mut bytes = Vec::new();
            step.write(&mut bytes);
            // Meanwhile the DOM has another rank, and the other one is gone.
            let read = Step::read(20, &bytes, &[None, Some(0)]);
            assert_eq!(read.doms, [step.doms[1]]);
            assert!(Step::read(20, &bytes[1..], &[Some(0), Some(1)]).doms.len() <= 1);
            read
        };
        for (next_ms, expected) in [(25, vec![]), (39, vec![]), (45, vec![20]), (5000, vec![20])] {
            let mut steps = Steps::new(10);
            steps.resume(vec![kept()]);
            steps.jump(next_ms);
            steps.cover(next_ms);
            assert_eq!(starts(&mut steps), expected, "{next_ms}");
        }
        let mut steps = Steps::new(7);
        steps.resume(vec![kept()]);
        assert_eq!(steps.open().count(), 0);
    }

    #[test]
    fn a_late_packet_counts_for_the_oldest_open_step() {
        let mut steps = Steps::new(10);
        steps.cover(100);
        steps.dom(3, 1).packets += 1;
        assert_eq!(steps.late, 1);
        assert_eq!(steps.open[0].doms[3].packets, 1);
    }

    #[test]
    fn a_leap_of_years_makes_a_bounded_number_of_steps() {
        let mut steps = Steps::new(10);
        steps.cover(0);
        steps.cover(1_000_000_000_000);
        assert!(steps.done.len() <= 1000 && steps.open.len() <= OPEN_MAX);
    }
}
