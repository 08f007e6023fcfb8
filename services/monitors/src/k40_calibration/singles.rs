//! The singles rates of one module over a cycle: of every PMT the median of its rates.
//!
//! Packets come ten times a second. Ten of them are added up first, and their mean is one number of the
//! median: a tenth of the work, and the counts of a steady source have the same median, to less than a
//! thousandth. Bursts of light last for seconds, so that they weigh as much as before.

use fathom_formats::km3net::{CHANNELS, Tmch};
use fathom_hist::RunningMedian;

/// Packets whose mean is one number of the median.
const PACKETS: u8 = 10;

/// Counts of a packet are hits in a tenth of a second.
const HZ_PER_COUNT: f32 = 10.0;

/// The rates of all PMTs since the cycle began.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Singles {
    medians: [RunningMedian; CHANNELS],
    /// Counts of the packets that are no number yet, without those in veto.
    counts: [u32; CHANNELS],
    /// How many those are.
    seen: [u8; CHANNELS],
    packets: u8,
}

impl Singles {
    /// Takes what was kept over a restart.
    pub(super) fn of(medians: [RunningMedian; CHANNELS]) -> Self {
        Self {
            medians,
            ..Self::default()
        }
    }

    /// Returns what is kept over a restart: all but the last, unfinished second.
    pub(super) fn medians(&self) -> &[RunningMedian; CHANNELS] {
        &self.medians
    }

    /// Takes the rates of a packet, but for channels in veto.
    pub(super) fn add(&mut self, packet: &Tmch<'_>) {
        let open = !packet.hrv_bits();
        for (channel, count) in packet.rate_counts().into_iter().enumerate() {
            let is_open = open >> channel & 1;
            // No PMT counts more than a million in a tenth of a second; one that says so is cut there.
            self.counts[channel] += count.min(1 << 24) * is_open;
            self.seen[channel] += u8::from(is_open == 1);
        }
        self.packets += 1;
        if self.packets == PACKETS {
            self.close();
        }
    }

    /// Returns the median of each PMT (Hz); NaN without any packet outside of veto.
    pub(super) fn values_hz(&mut self) -> [f64; CHANNELS] {
        self.close();
        let value = |median: &RunningMedian| median.value().unwrap_or(f64::NAN);
        self.medians.each_ref().map(value)
    }

    /// Makes one number of what was added up.
    fn close(&mut self) {
        let sums = self.counts.iter().zip(&self.seen);
        for (median, (count, seen)) in self.medians.iter_mut().zip(sums) {
            if *seen > 0 {
                #[expect(clippy::cast_precision_loss, reason = "far below a millionth")]
                median.add(*count as f32 * HZ_PER_COUNT / f32::from(*seen));
            }
        }
        (self.counts, self.seen) = ([0; CHANNELS], [0; CHANNELS]);
        self.packets = 0;
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::km3net::TmchFields;

    use super::*;

    /// Gives packets in which all PMTs have the same counts, and these are in veto.
    fn give(singles: &mut Singles, packets: &[(u32, u32)]) {
        for &(count, hrv) in packets {
            let mut body = Vec::new();
            let rate_counts = [count; CHANNELS];
            let fields = TmchFields {
                rate_counts,
                hrv,
                ..TmchFields::default()
            };
            fields.encode(&mut body);
            singles.add(&Tmch::decode(&body).unwrap());
        }
    }

    #[test]
    fn the_median_is_that_of_seconds_and_leaves_out_what_is_in_veto() {
        let mut singles = Singles::default();
        // Seconds of 7, 9 and 5 kHz; channel 3 is in veto through the first, and half of the second.
        give(&mut singles, &[(700, 1 << 3); 10]);
        give(&mut singles, &[(800, 0); 5]);
        give(&mut singles, &[(1000, 1 << 3); 5]);
        give(&mut singles, &[(500, 0); 10]);
        let found = singles.values_hz();
        assert_eq!((found[0], found[3]), (7_000.0, 6_500.0));
        // A second that is not over counts as well when it is asked.
        give(&mut singles, &[(900, 0); 3]);
        assert_eq!(singles.values_hz()[0], 8_000.0);
        assert!(Singles::default().values_hz()[0].is_nan());
    }

    #[test]
    fn a_count_that_no_pmt_can_have_does_no_harm() {
        let mut singles = Singles::default();
        give(&mut singles, &[(u32::MAX, 0); 25]);
        assert!(singles.values_hz()[30].is_finite());
    }
}
