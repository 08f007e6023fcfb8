//! `IO_SUM`: the rates of all modules in one frame.

use fathom_formats::controlhost::tags;
use fathom_formats::km3net::{Header, SummaryFrame, SummarySlice};

use crate::batch::Chunk;
use crate::fault::DomFault;
use crate::layout::Layout;
use crate::physics::rates::{Codes, DomCounts};

use super::frame_status;
use super::slices::Filters;

/// Makes summary slices.
#[derive(Debug)]
pub(crate) struct Summaries {
    pub(crate) filters: Filters,
    codes: Codes,
    frames: Vec<SummaryFrame>,
}

impl Summaries {
    pub(crate) fn new(filters: Filters) -> Self {
        Self {
            filters,
            codes: Codes::new(),
            frames: Vec::new(),
        }
    }

    /// Makes the slice of a frame.
    pub(crate) fn slice(
        &mut self,
        header: &Header,
        layout: &Layout,
        counts: &[DomCounts],
        faults: &[DomFault],
    ) -> Chunk {
        let mut chunk = Chunk::with_capacity(64 + layout.doms.len() * 56);
        for part in self.filters.parts(layout.doms.len()) {
            self.frames.clear();
            for at in part {
                let (counted, fault) = (&counts[at], &faults[at]);
                if !fault.dead {
                    let codes = counted.counts.map(|count| self.codes.of(count));
                    let status = frame_status(counted, fault);
                    self.frames
                        .push(SummaryFrame::new(layout.doms[at].id, status, codes));
                }
            }
            let slice = SummarySlice {
                header: *header,
                frames: &self.frames,
            };
            chunk.push(tags::IO_SUM, |out| {
                slice
                    .encode(out)
                    .expect("a slice of one detector is shorter than 2 GiB");
            });
        }
        chunk
    }
}
