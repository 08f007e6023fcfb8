//! Events with hits of unknown DOMs, kept as files for a look: the newest ones, and not too often.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;

use fathom_formats::km3net::Event as Payload;
use fathom_kernel::{FileEdit, Frame, Outputs};
use serde::{Deserialize, Serialize};

use crate::clock::{ms_of_header, timestamp};

/// Shortest time between two files, unless a DOM is new (ms).
const BETWEEN_MS: i64 = 60_000;
/// Most unknown DOMs remembered.
const SEEN_MAX: usize = 1000;

/// The files.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Dumps {
    #[serde(skip)]
    max: usize,
    files: VecDeque<PathBuf>,
    seen: BTreeSet<u32>,
    written_ms: Option<i64>,
}

impl Dumps {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            ..Self::default()
        }
    }

    /// Takes over the files of an earlier start; what is too much goes with the next event.
    pub(super) fn take_back(&mut self, kept: Self) {
        let max = self.max;
        *self = Self { max, ..kept };
    }

    /// Returns the number of files.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// Writes an event with hits of an unknown DOM and takes the oldest file away.
    pub(super) fn keep(
        &mut self,
        frame: &Frame,
        payload: &Payload<'_>,
        (dom_id, hits): (u32, u64),
        out: &mut Outputs,
    ) {
        let now_ms = frame.received.as_millisecond();
        let is_new = self.seen.len() < SEEN_MAX && self.seen.insert(dom_id);
        let is_due = self
            .written_ms
            .is_none_or(|at_ms| now_ms.abs_diff(at_ms) >= BETWEEN_MS.unsigned_abs());
        if self.max == 0 || !(is_new || is_due) {
            return;
        }
        self.written_ms = Some(now_ms);
        let time = timestamp(ms_of_header(&payload.header)).strftime("%Y-%m-%dT%H-%M-%S");
        let (run, counter) = (payload.header.run.0, payload.trigger_counter);
        let name = format!("IO_EVT_{time}_run{run}_counter{counter}_dom{dom_id}_hits{hits}.dat");
        let path = PathBuf::from("triggermap").join(name);
        out.file(FileEdit::Write {
            path: path.clone(),
            bytes: frame.body.to_vec(),
        });
        self.files.retain(|file| *file != path);
        self.files.push_back(path);
        while self.files.len() > self.max {
            let Some(path) = self.files.pop_front() else {
                return;
            };
            out.file(FileEdit::Remove { path });
        }
    }
}
