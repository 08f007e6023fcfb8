//! From physics to payloads: one file per stream.

pub(crate) mod acoustics;
pub(crate) mod messages;
pub(crate) mod monitoring;
pub(crate) mod reconstruction;
pub(crate) mod slices;
pub(crate) mod summary;
pub(crate) mod timeslices;

use fathom_formats::km3net::FrameStatus;

use crate::fault::DomFault;
use crate::physics::rates::DomCounts;

/// Hits that fit into one UDP packet of a module.
const HITS_PER_PACKET: u32 = 1040;

/// Returns the status words of a module in a frame.
pub(crate) fn frame_status(counted: &DomCounts, fault: &DomFault) -> FrameStatus {
    let packets = u16::try_from(counted.total.div_ceil(HITS_PER_PACKET)).unwrap_or(u16::MAX);
    FrameStatus::complete(packets.max(1), counted.hrv, counted.fifo)
        .with_white_rabbit(!fault.unsynchronised)
}
