//! Options of the detector simulation.

use std::path::PathBuf;

use fathom_kernel::{Size, Span, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fault::FaultSpec;

/// Options of the kind `fake_detector`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FakeDetectorOptions {
    /// Where the data go: `bus`, `HOST:PORT` of a ligier, or `service:NAME` for a ligier of this
    /// stack.
    pub to: String,
    /// Seed of all random numbers. The same seed, detector, options and start give the same bytes.
    pub seed: u64,
    /// Start of the first run, such as `2026-01-01T00:00:00Z`; the current second when not given.
    #[schemars(with = "Option<String>")]
    pub start: Option<Timestamp>,
    /// Simulated seconds per second. Times in the data follow the simulation, not the clock.
    pub speed: f64,
    /// Number of the first run.
    pub first_run: i32,
    /// Length of a run, in whole seconds; zero never changes the run.
    pub run_length: Span,
    /// Spread of the times of PMTs against what the detector file says.
    #[schemars(extend("unit" = "ns"))]
    pub misalignment_ns: f64,
    /// Background rates of the PMTs.
    pub rates: RateOptions,
    /// Bioluminescence.
    pub bursts: BurstOptions,
    /// Triggered events (`IO_EVT`).
    pub io_evt: EventOptions,
    /// Summary slices (`IO_SUM`), ten per second.
    pub io_sum: SliceOptions,
    /// Monitoring packets (`IO_MONIT`), ten per second and module.
    pub io_monit: StreamOptions,
    /// Time slices of all hits (`IO_TSL0`), off when nothing is said of them: 140 kB per module and slice.
    pub io_tsl0: SliceOptions,
    /// Time slices of coincidences (`IO_TSL1`). Two ARCA blocks send 80 MB/s of them, with
    /// `every = 10` a tenth.
    pub io_tsl1: SliceOptions,
    /// Time slices of coincidences of PMTs that look the same way (`IO_TSL2`), off when nothing is said of
    /// them.
    pub io_tsl2: SliceOptions,
    /// Time slices of the supernova stream (`IO_TSSN`).
    pub io_tssn: SliceOptions,
    /// Reconstructed events (`IO_OLINE`), one per triggered event.
    pub io_oline: RecoOptions,
    /// Arrivals of the pings of acoustic beacons (`IO_TOA`).
    pub io_toa: AcousticOptions,
    /// Text messages of the DAQ programs (`MSG`).
    pub msg: MessageOptions,
    /// File with the constants of the compass boards, written at the start under `files` in the data
    /// folder, in the form that `ahrs_calibration` reads; none when not given.
    #[schemars(with = "Option<String>")]
    pub calibration_file: Option<PathBuf>,
    /// Faults that are on from the start or come later.
    pub faults: Vec<FaultSpec>,
    /// Most data waiting for a slow or absent ligier; the oldest are dropped and counted.
    pub queue: Size,
    /// Longest pause between two attempts to connect; the first pause is 100 ms.
    pub reconnect_max: Span,
}

impl Default for FakeDetectorOptions {
    fn default() -> Self {
        Self {
            to: "bus".to_owned(),
            seed: 1,
            start: None,
            speed: 1.0,
            first_run: 10_001,
            run_length: Span::from_secs(3600),
            misalignment_ns: 0.25,
            rates: RateOptions::default(),
            bursts: BurstOptions::default(),
            io_evt: EventOptions::default(),
            io_sum: SliceOptions::default(),
            io_monit: StreamOptions::default(),
            io_tsl0: SliceOptions {
                enabled: false,
                ..SliceOptions::default()
            },
            io_tsl1: SliceOptions::default(),
            io_tsl2: SliceOptions {
                enabled: false,
                ..SliceOptions::default()
            },
            io_tssn: SliceOptions::default(),
            io_oline: RecoOptions::default(),
            io_toa: AcousticOptions::default(),
            msg: MessageOptions::default(),
            calibration_file: None,
            faults: Vec::new(),
            queue: Size::from_mib(64),
            reconnect_max: Span::from_secs(5),
        }
    }
}

/// Background rates of the PMTs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateOptions {
    /// Singles rate from K40 decays in a PMT of efficiency 1.
    #[schemars(extend("unit" = "kHz"))]
    pub k40_khz: f64,
    /// Dark rate of a PMT.
    #[schemars(extend("unit" = "kHz"))]
    pub dark_khz: f64,
    /// Spread of the efficiencies from PMT to PMT; 0.1 is 10 %.
    pub spread: f64,
    /// Spread of the slow changes of a module's background; 0.02 is 2 %.
    pub drift: f64,
    /// Rate above which a channel goes into high-rate veto.
    #[schemars(extend("unit" = "kHz"))]
    pub hrv_khz: f64,
    /// Rate above which the FIFO of a channel gets almost full.
    #[schemars(extend("unit" = "kHz"))]
    pub fifo_khz: f64,
}

impl Default for RateOptions {
    fn default() -> Self {
        Self {
            k40_khz: 7.0,
            dark_khz: 0.5,
            spread: 0.1,
            drift: 0.02,
            hrv_khz: 20.0,
            fifo_khz: 60.0,
        }
    }
}

/// Bioluminescence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BurstOptions {
    /// Bursts per module and hour; each lights up the modules around it.
    pub per_dom_and_hour: f64,
    /// Median of the rate that a PMT 5 m away counts at the peak.
    #[schemars(extend("unit" = "kHz"))]
    pub peak_khz: f64,
    /// Mean time in which a burst fades.
    pub decay: Span,
}

impl Default for BurstOptions {
    fn default() -> Self {
        Self {
            per_dom_and_hour: 4.0,
            peak_khz: 60.0,
            decay: Span::from_secs(6),
        }
    }
}

/// Triggered events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventOptions {
    /// Send this stream.
    pub enabled: bool,
    /// Events per second; when not given, 0.5 per detection unit.
    #[schemars(extend("unit" = "Hz"))]
    pub rate_hz: Option<f64>,
    /// Share of showers; the others are muons.
    pub showers: f64,
    /// Share of muons that come from below.
    pub upgoing: f64,
    /// Cosine of the zenith angle of all muons: 1 is straight down, -1 straight up. When not given,
    /// muons come as in the atmosphere, the more the steeper.
    pub cos_zenith: Option<f64>,
    /// Time around the first and last triggered hit whose hits go into the snapshot.
    pub margin: Span,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            rate_hz: None,
            showers: 0.1,
            upgoing: 0.02,
            cos_zenith: None,
            margin: Span::from(std::time::Duration::from_micros(1)),
        }
    }
}

/// Reconstructed events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecoOptions {
    /// Send this stream.
    pub enabled: bool,
    /// Spread of the fitted direction of a track in each of two planes.
    #[schemars(extend("unit" = "deg"))]
    pub track_spread_deg: f64,
    /// Share of the tracks whose fit converges.
    pub converged: f64,
}

impl Default for RecoOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            track_spread_deg: 2.0,
            converged: 0.95,
        }
    }
}

/// Acoustic beacons around the detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AcousticOptions {
    /// Send this stream.
    pub enabled: bool,
    /// Beacons around the detector, numbered from 11.
    pub beacons: u32,
    /// Time from one series of pings of a beacon to the next, from a minute to an hour.
    pub cycle: Span,
    /// Sounds per module and minute that look like pings.
    pub noise_per_minute: f64,
}

impl Default for AcousticOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            beacons: 3,
            cycle: Span::from_secs(600),
            noise_per_minute: 1.0,
        }
    }
}

/// A stream of slices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SliceOptions {
    /// Send this stream.
    pub enabled: bool,
    /// Send one frame in so many.
    pub every: u32,
    /// Data filters that take turns; with more than one, slices arrive out of order.
    pub filters: u32,
    /// Messages into which each slice is cut, each with a part of the modules.
    pub parts: u32,
}

impl Default for SliceOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            every: 1,
            filters: 1,
            parts: 1,
        }
    }
}

/// A stream without further choices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StreamOptions {
    /// Send this stream.
    pub enabled: bool,
    /// Send one frame in so many.
    pub every: u32,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            every: 1,
        }
    }
}

/// Text messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MessageOptions {
    /// Send this stream.
    pub enabled: bool,
    /// Routine messages per second, beside those about runs and faults.
    #[schemars(extend("unit" = "Hz"))]
    pub rate_hz: f64,
}

impl Default for MessageOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            rate_hz: 0.5,
        }
    }
}

impl FakeDetectorOptions {
    /// Says what is wrong with the numbers; the text names the option and what was expected.
    pub fn check(&self) -> Result<(), String> {
        in_range("speed", self.speed, 0.01, 1000.0)?;
        in_range("misalignment_ns", self.misalignment_ns, 0.0, 100.0)?;
        in_range("rates.k40_khz", self.rates.k40_khz, 0.0, 2000.0)?;
        in_range("rates.dark_khz", self.rates.dark_khz, 0.0, 2000.0)?;
        in_range("rates.spread", self.rates.spread, 0.0, 0.5)?;
        in_range("rates.drift", self.rates.drift, 0.0, 0.5)?;
        in_range("rates.hrv_khz", self.rates.hrv_khz, 1.0, 2000.0)?;
        in_range("rates.fifo_khz", self.rates.fifo_khz, 1.0, 2000.0)?;
        let per_hour = self.bursts.per_dom_and_hour;
        in_range("bursts.per_dom_and_hour", per_hour, 0.0, 3600.0)?;
        in_range("bursts.peak_khz", self.bursts.peak_khz, 0.0, 20_000.0)?;
        in_range(
            "io_evt.rate_hz",
            self.io_evt.rate_hz.unwrap_or(0.0),
            0.0,
            1e5,
        )?;
        in_range("io_evt.showers", self.io_evt.showers, 0.0, 1.0)?;
        in_range("io_evt.upgoing", self.io_evt.upgoing, 0.0, 1.0)?;
        let cos_zenith = self.io_evt.cos_zenith.unwrap_or(0.0);
        in_range("io_evt.cos_zenith", cos_zenith, -1.0, 1.0)?;
        in_range("io_evt.margin", self.io_evt.margin.seconds(), 0.0, 1e-3)?;
        let spread = self.io_oline.track_spread_deg;
        in_range("io_oline.track_spread_deg", spread, 0.0, 90.0)?;
        in_range("io_oline.converged", self.io_oline.converged, 0.0, 1.0)?;
        let (cycle_s, noise) = (self.io_toa.cycle.seconds(), self.io_toa.noise_per_minute);
        in_range("io_toa.cycle", cycle_s, 60.0, 3600.0)?;
        in_range("io_toa.noise_per_minute", noise, 0.0, 600.0)?;
        in_range("io_toa.beacons", self.io_toa.beacons.into(), 0.0, 100.0)?;
        in_range("msg.rate_hz", self.msg.rate_hz, 0.0, 10_000.0)?;
        let run_length_s = self.run_length.seconds();
        if run_length_s.fract() != 0.0 {
            return Err(format!(
                "run_length is {run_length_s} s, expected whole seconds: runs start at a full second"
            ));
        }
        if self.start.is_some_and(|start| start.as_second() < 0) {
            return Err("start is before 1970".to_owned());
        }
        for (name, slices) in [
            ("io_sum", &self.io_sum),
            ("io_tsl0", &self.io_tsl0),
            ("io_tsl1", &self.io_tsl1),
            ("io_tsl2", &self.io_tsl2),
            ("io_tssn", &self.io_tssn),
        ] {
            slices.check(name)?;
        }
        self.faults.iter().try_for_each(FaultSpec::check)?;
        crate::outlet::Target::parse(&self.to).map(drop)
    }
}

impl SliceOptions {
    fn check(&self, name: &str) -> Result<(), String> {
        for (option, value, most) in [
            ("filters", self.filters, 64),
            ("parts", self.parts, 1000),
            ("every", self.every, u32::MAX),
        ] {
            if !(1..=most).contains(&value) {
                return Err(format!("{name}.{option} is {value}, expected 1 to {most}"));
            }
        }
        Ok(())
    }
}

fn in_range(name: &str, value: f64, low: f64, high: f64) -> Result<(), String> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(format!("{name} is {value}, expected {low} to {high}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_right_and_wrong_values_say_what_was_expected() {
        assert_eq!(FakeDetectorOptions::default().check(), Ok(()));
        let wrong = FakeDetectorOptions {
            speed: 0.0,
            ..FakeDetectorOptions::default()
        };
        assert_eq!(
            wrong.check(),
            Err("speed is 0, expected 0.01 to 1000".to_owned())
        );
        let wrong = FakeDetectorOptions {
            run_length: Span::from_millis(1500),
            ..FakeDetectorOptions::default()
        };
        assert!(wrong.check().unwrap_err().contains("whole seconds"));
    }
    /// The frames of `IO_TSL1` came one in ten as long as nothing was said of them, and all of them as soon
    /// as anything was: the example raised an alarm.
    #[test]
    fn a_stream_of_which_something_is_said_has_the_same_defaults_as_before() {
        let defaults = FakeDetectorOptions::default();
        let with = |stream: &str| {
            let said = serde_json::json!({ stream: { "enabled": true } });
            serde_json::from_value::<FakeDetectorOptions>(said).unwrap()
        };
        for stream in ["io_sum", "io_tsl1", "io_tssn"] {
            assert_eq!(with(stream), defaults, "{stream}");
        }
        // Those are off until something is said of them, and differ in nothing else.
        for stream in ["io_tsl0", "io_tsl2"] {
            let mut on = with(stream);
            on.io_tsl0.enabled = false;
            on.io_tsl2.enabled = false;
            assert_eq!(on, defaults, "{stream}");
        }
    }
}
