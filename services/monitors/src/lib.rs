//! Monitoring processes, one file each: pure state machines from messages and time to outputs.
//!
//! Every monitor takes every message of its tags; one that cannot be read is counted by its reason,
//! kept for a look (`request NAME bad`) and skipped. Times are data times in UTC. The supervisor runs
//! them through `fathom_kernel::Driver`; they draw nothing and know no socket, file or clock.

mod acoustics;
mod ahrs_calibration;
mod bins;
mod clock;
mod columns;
mod curves;
mod dom_activity;
mod dom_rates;
mod faulty;
pub mod k40;
mod k40_calibration;
mod online_reco;
mod places;
mod pmt_rates;
mod rounds;
mod royfit;
mod rttc;
mod run_table;
mod runs;
mod stream_table;
mod timeline;
mod timeslice_rates;
mod timesync_monitor;
mod trigger_rates;
mod triggermap;
mod ztplot;

use fathom_kernel::Kind;

// Exported for tests and benchmarks, which feed them messages without a supervisor.
pub use acoustics::{Acoustics, Config as AcousticsConfig};
pub use ahrs_calibration::{
    AhrsCalibration, BoardFile, BoardFileError, BoardTest, Config as AhrsCalibrationConfig,
    Constants, Orientation, TestError, Uncalibrated,
};
pub use dom_activity::{Config as DomActivityConfig, DomActivity, Reference};
pub use dom_rates::{Config as DomRatesConfig, DomRates};
pub use k40_calibration::{
    Background as K40Background, Config as K40CalibrationConfig, K40Calibration, Mask as K40Mask,
    Stream as K40Stream, Times as K40Times, Weights as K40Weights,
};
pub use online_reco::{Config as OnlineRecoConfig, OnlineReco};
pub use pmt_rates::{Config as PmtRatesConfig, PmtRates};
pub use royfit::{
    Config as RoyfitConfig, LineFit, LineTrack, Royfit, Selection, first_guess, fit_line, q_sum,
    seed_hits, select_hits,
};
pub use rttc::{Config as RttcConfig, Given, Rttc, rttc_ps};
pub use timeslice_rates::{Config as TimesliceRatesConfig, TimesliceRates};
pub use timesync_monitor::{Config as TimesyncMonitorConfig, TimesyncMonitor};
pub use trigger_rates::{Config as TriggerRatesConfig, TriggerRates};
pub use triggermap::{Config as TriggerMapConfig, TriggerMap};
pub use ztplot::{Config as ZtPlotConfig, ZtPlot};

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[
    Kind::monitor::<TriggerRates>(
        "trigger_rates",
        "events per second by trigger, lost events, hit multiplicities (IO_EVT)",
    )
    .in_section("TriggerRate"),
    Kind::monitor::<TimesliceRates>(
        "timeslice_rates",
        "time slices per second, completeness and missing frames (IO_TSL0, IO_TSL1, IO_TSL2, IO_TSSN)",
    ),
    Kind::monitor::<TriggerMap>(
        "triggermap",
        "DOMs with hits and triggered hits in the last events, dead and hot DOMs (IO_EVT)",
    )
    .in_section("TriggerMap"),
    Kind::monitor::<OnlineReco>(
        "online_reco",
        "zenith angle and quality of the online reconstruction, against a reference (IO_OLINE)",
    ),
    Kind::monitor::<Acoustics>(
        "acoustics",
        "autonomous beacons that every module heard (IO_TOA, a file or the data base)",
    ),
    Kind::monitor::<DomRates>(
        "dom_rates",
        "light rate of every DOM with its history (IO_SUM)",
    )
    .in_section("DOMRates"),
    Kind::monitor::<DomActivity>(
        "dom_activity",
        "time since every DOM was last heard of (IO_SUM)",
    ),
    Kind::monitor::<PmtRates>(
        "pmt_rates",
        "rate and high-rate veto of every PMT of all DUs over time (IO_MONIT)",
    )
    .in_section("PMTRates"),
    Kind::monitor::<AhrsCalibration>(
        "ahrs_calibration",
        "yaw, pitch and roll of every DOM from its compass (IO_MONIT)",
    )
    .in_section("CalibrateAHRS"),
    Kind::monitor::<Rttc>(
        "rttc",
        "round-trip time of the cable to every DU (Detector Manager)",
    ),
    Kind::monitor::<TimesyncMonitor>(
        "timesync_monitor",
        "DOMs that lost their time synchronisation (IO_TSSN, IO_SUM)",
    ),
    Kind::monitor::<ZtPlot>(
        "ztplot",
        "light of events over time and height, and the best events of all time (IO_EVT)",
    )
    .in_section("ZTPlot"),
    Kind::monitor::<Royfit>(
        "royfit",
        "fits muons to the hits of each DU, and keeps the time residuals of every DOM (IO_EVT)",
    ),
    Kind::monitor::<K40Calibration>(
        "k40_calibration",
        "time offset and efficiency of every PMT from K40 coincidences (IO_TSL1, IO_MONIT)",
    ),
];

/// The example of the page about adding a monitor, compiled and run as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/adding-a-monitor.md")]
pub struct AddingAMonitor;
