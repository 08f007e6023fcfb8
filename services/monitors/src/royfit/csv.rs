//! `reco_timeres.csv`: one line per selected hit, in a file that does not grow for ever.

use std::path::PathBuf;

use fathom_formats::km3net::{CalibratedHit, Header};
use fathom_kernel::{FileEdit, FileLine, Outputs};

const FILE: &str = "reco_timeres.csv";
/// What was in the file before it got too large.
const BEFORE: &str = "reco_timeres.1.csv";
/// km3mon's columns, and behind them the residual corrected for slewing.
const HEADER: &str = "run,timestamp,du,floor,dom_id,t_res,Q,t_res_slew";

/// The file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Csv {
    /// Size at which a new file is begun (bytes).
    size_max: u64,
    /// Bytes written to the present one.
    pub(super) written: u64,
    /// Bytes of this call that are on their way.
    waiting: u64,
}

impl Csv {
    pub(super) fn new(size_max: u64) -> Self {
        Self {
            size_max,
            written: 0,
            waiting: 0,
        }
    }

    /// Appends the line of a hit with its residuals (ns): as it is, and corrected for slewing.
    pub(super) fn line(
        &mut self,
        (header, hit): (&Header, &CalibratedHit),
        (residual_ns, corrected_ns): (f64, f64),
        q: f64,
        out: &mut Outputs,
    ) {
        let line = format!(
            "{},{},{},{},{},{residual_ns:.3},{q:.3},{corrected_ns:.3}",
            header.run, header.utc_seconds, hit.place.du, hit.place.floor, hit.dom_id,
        );
        self.waiting += line.len() as u64 + 1;
        out.line(FileLine {
            file: FILE,
            header: HEADER,
            line,
        });
    }

    /// Puts the file aside when it is large enough; to be called after the lines of a call.
    pub(super) fn turn_over(&mut self, out: &mut Outputs) {
        if self.waiting == 0 {
            return;
        }
        self.written += std::mem::take(&mut self.waiting);
        if self.written >= self.size_max {
            self.written = 0;
            out.file(FileEdit::Rename {
                from: PathBuf::from(FILE),
                to: PathBuf::from(BEFORE),
            });
        }
    }
}
