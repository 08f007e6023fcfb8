//! The files of a cycle: `k40calib.json` and `k40calib.csv`.

use std::fmt::Write;

use fathom_formats::km3net::CHANNELS;
use fathom_kernel::FileEdit;
use serde_json::{Value, json};

use super::dom::{Dom, Done};
use crate::clock::timestamp;
use crate::k40::PairState;
use crate::places::Place;

const CSV_HEAD: &str = "timestamp,dom_id,tdc_channel,t0s,t0s_error,sigma,qe,qe_error,shift,shift_error,t0_file,t0_new\n";

/// Both files while a round goes from module to module.
#[derive(Debug, Clone)]
pub(super) struct Export {
    csv: String,
    json: String,
}

impl Export {
    /// Begins both files.
    pub(super) fn new(detector_id: Option<i32>, until_ms: i64) -> Self {
        let head = json!({
            "detector_id": detector_id,
            "timestamp": timestamp(until_ms).to_string(),
            "units": {"t0s": "ns", "sigma": "ns", "shift": "ns", "livetime": "s", "rms_means": "ns", "rms_rates": "Hz"},
        });
        let mut json = head.to_string();
        // Open for the list of modules, which ends it.
        json.pop();
        json.push_str(",\"doms\":[");
        Self {
            csv: CSV_HEAD.to_owned(),
            json,
        }
    }

    /// Adds a module.
    pub(super) fn add(&mut self, place: &Place, dom: &Dom, done: &Done) {
        if !self.json.ends_with('[') {
            self.json.push(',');
        }
        self.json.push('\n');
        self.json.push_str(&of_dom(place, dom, done).to_string());
        let stamp = done.until_ms / 1000;
        for (channel, pmt) in done.calibration.pmts.iter().enumerate() {
            if dom.known.live.channels() >> channel & 1 == 0 {
                continue;
            }
            let file_ns = dom.known.file_ns[channel];
            let numbers = [
                pmt.t0_ns,
                pmt.t0_error_ns,
                pmt.sigma_ns,
                pmt.efficiency,
                pmt.efficiency_error,
                pmt.shift_ns,
                pmt.shift_error_ns,
                file_ns,
                file_ns - pmt.shift_ns,
            ];
            // Writing to a string cannot fail.
            write!(self.csv, "{stamp},{},{channel}", place.dom_id).unwrap_or_default();
            for number in numbers {
                match number.is_finite() {
                    true => write!(self.csv, ",{number:.4}").unwrap_or_default(),
                    false => self.csv.push(','),
                }
            }
            self.csv.push('\n');
        }
    }

    /// Ends both files.
    pub(super) fn files(mut self) -> [FileEdit; 2] {
        self.json.push_str("\n]}\n");
        [("k40calib.json", self.json), ("k40calib.csv", self.csv)].map(|(path, text)| {
            FileEdit::Write {
                path: path.into(),
                bytes: text.into_bytes(),
            }
        })
    }
}

/// Returns the result of a module as JSON; what is not known is `null`.
pub(super) fn of_dom(place: &Place, dom: &Dom, done: &Done) -> Value {
    let calibration = &done.calibration;
    let of_pmts = |number: fn(&crate::k40::PmtResult) -> f64| -> Value {
        calibration
            .pmts
            .iter()
            .map(|pmt| json!(rounded(number(pmt))))
            .collect()
    };
    let file: Value = dom.known.file_ns.iter().map(|ns| json!(ns)).collect();
    let new: Vec<f64> = (0..CHANNELS)
        .map(|c| rounded(dom.known.file_ns[c] - calibration.pmts[c].shift_ns))
        .collect();
    json!({
        "dom_id": place.dom_id,
        "du": place.du,
        "floor": place.floor,
        "from": timestamp(done.from_ms).to_string(),
        "until": timestamp(done.until_ms).to_string(),
        "livetime": calibration.livetime_s,
        "coincidences": calibration.coincidences,
        "counts_full": done.was_full,
        "scale": rounded(calibration.scale),
        "t0s": of_pmts(|pmt| pmt.t0_ns),
        "t0s_error": of_pmts(|pmt| pmt.t0_error_ns),
        "sigma": of_pmts(|pmt| pmt.sigma_ns),
        "qe": of_pmts(|pmt| pmt.efficiency),
        "qe_error": of_pmts(|pmt| pmt.efficiency_error),
        "shift": of_pmts(|pmt| pmt.shift_ns),
        "shift_error": of_pmts(|pmt| pmt.shift_error_ns),
        "t0_file": file,
        "t0_new": new,
        "rms_means": calibration.rms_ns.map(rounded),
        "rms_rates": calibration.rms_hz.map(rounded),
        "chi2_per_ndf": rounded(calibration.chi2_per_ndf),
        "pairs_used": calibration.count(PairState::Good),
        "pairs_failed": calibration.count(PairState::Failed),
        "pairs_weak": calibration.count(PairState::Weak),
    })
}

/// Rounds to 0.1 ps, so that files stay short.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}
