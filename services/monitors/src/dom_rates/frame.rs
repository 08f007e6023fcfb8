//! The rates of one DOM in one summary slice.

use fathom_formats::km3net::{CHANNELS, SummaryFrame, rate_table};

#[expect(clippy::cast_possible_truncation, reason = "31 channels")]
pub(super) const ALL_CHANNELS: u32 = CHANNELS as u32;

/// The rates of one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FrameRates {
    /// Sum over all channels (kHz).
    pub(super) all_khz: f64,
    /// Sum over the channels in neither veto nor FIFO-full (kHz).
    pub(super) live_khz: f64,
    /// How many channels those are.
    pub(super) live_channels: u32,
    /// Sum over the channels that the detector description does not say to be off, scaled to all
    /// channels (kHz).
    pub(super) used_khz: f64,
}

impl FrameRates {
    /// Sums the rates of a frame; `off` has a bit for every channel that nobody is to use, which does
    /// not count as live.
    pub(super) fn of(frame: &SummaryFrame, off: u32) -> Self {
        let table = rate_table();
        let rate_hz = |code: u8| table[usize::from(code)];
        let all_hz: f64 = frame.codes().iter().map(|&code| rate_hz(code)).sum();
        let sum_hz = |excluded: u32| match excluded {
            0 => all_hz,
            _ => {
                let counts = |channel: &(usize, &u8)| excluded >> channel.0 & 1 == 0;
                let codes = frame.codes().iter().enumerate().filter(counts);
                codes.map(|(_, &code)| rate_hz(code)).sum()
            }
        };
        let excluded = frame.status().hrv_bits() | frame.status().fifo_bits() | off;
        Self {
            all_khz: all_hz / 1000.0,
            live_khz: sum_hz(excluded) / 1000.0,
            live_channels: ALL_CHANNELS - excluded.count_ones(),
            used_khz: match off {
                0 => all_hz / 1000.0,
                _ => {
                    let used = f64::from(ALL_CHANNELS - off.count_ones());
                    sum_hz(off) / 1000.0 * f64::from(ALL_CHANNELS) / used
                }
            },
        }
    }
}
