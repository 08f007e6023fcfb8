//! `IO_TSL0`, `IO_TSL1`, `IO_TSL2` and `IO_TSSN`: hits of all modules in one frame, made module by module.

use std::ops::Range;

use fathom_formats::km3net::{Header, SliceHit, SliceLevel, SuperFrame, encode_time_slice};

use crate::batch::Chunk;
use crate::fault::DomFault;
use crate::physics::coincidences::{Coincidences, Module};

use super::frame_status;
use super::slices::Filters;

/// Collects a time slice over the parts of a frame, because its hits take long to make.
#[derive(Debug)]
pub(crate) struct TimeSlices {
    pub(crate) filters: Filters,
    level: SliceLevel,
    hits: Vec<SliceHit>,
    /// Modules with their hits.
    frames: Vec<(usize, Range<usize>)>,
}

impl TimeSlices {
    pub(crate) fn new(level: SliceLevel, filters: Filters) -> Self {
        Self {
            filters,
            level,
            hits: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// Adds the hits of one module.
    pub(crate) fn add(&mut self, module: &Module<'_>, makes: &mut Coincidences) {
        let first = self.hits.len();
        match self.level {
            SliceLevel::L0 => makes.all_hits(module, &mut self.hits),
            SliceLevel::L2 => makes.neighbours_and_more(module, &mut self.hits),
            SliceLevel::SN => makes.four_and_more(module, &mut self.hits),
            SliceLevel::L1 => makes.pairs_and_more(module, &mut self.hits),
        }
        self.frames.push((module.index, first..self.hits.len()));
    }

    /// Makes the slice from what was added since the last one.
    pub(crate) fn finish<'a>(
        &mut self,
        header: &Header,
        doms: usize,
        module: impl Fn(usize) -> Module<'a>,
        faults: &[DomFault],
    ) -> Chunk {
        let bytes = size_of_val(self.hits.as_slice()) + self.frames.len() * 56;
        let mut chunk = Chunk::with_capacity(bytes + 64);
        for part in self.filters.parts(doms) {
            let members = self.frames.iter().filter(|(at, _)| part.contains(at));
            let frames: Vec<_> = members
                .map(|(at, hits)| {
                    let module = module(*at);
                    SuperFrame {
                        header: *header,
                        dom_id: module.dom.id,
                        status: frame_status(module.counted, &faults[*at]),
                        hits: &self.hits[hits.clone()],
                    }
                })
                .collect();
            chunk.push(self.level.tag(), |out| {
                encode_time_slice(self.level, header, &frames, out)
                    .expect("a slice of one detector is shorter than 2 GiB");
            });
        }
        self.hits.clear();
        self.frames.clear();
        chunk
    }
}
