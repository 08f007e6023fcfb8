//! The queue of one client: what it may lose and what must be kept, in order of arrival.

use std::collections::VecDeque;

use fathom_formats::controlhost::{Mode, Tag};
use tokio::time::Instant;

use super::flight::Flight;
use super::lost::Lost;
use super::slab::Slab;

/// Part of a limit below which a slab is dropped as a whole instead of frame by frame.
const WHOLE_SLAB_PART: usize = 16;

/// Bounds of the messages that may be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most messages waiting.
    pub(crate) messages: usize,
    /// Most memory held. The newest message is kept even when it alone holds more.
    pub(crate) bytes: usize,
}

/// How many messages a client has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credit {
    /// One per `_Gime`.
    Messages(u64),
    /// All, after `_Always`.
    Unlimited,
}

impl Credit {
    /// Adds one message.
    pub(crate) fn add_one(&mut self) {
        if let Self::Messages(count) = self {
            *count = count.saturating_add(1);
        }
    }

    fn spend(&mut self, messages: usize) {
        if let Self::Messages(count) = self {
            *count = count.saturating_sub(messages as u64);
        }
    }

    fn allows(self) -> usize {
        match self {
            Self::Messages(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::Unlimited => usize::MAX,
        }
    }
}

/// Messages waiting for one client. Slabs carry turns, so that both lanes together leave in the
/// order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    any: Lane,
    all: Lane,
    turns: u64,
}

#[derive(Debug, Default)]
struct Lane {
    slabs: VecDeque<(u64, Slab)>,
    messages: usize,
    charge: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, mode: Mode, slab: Slab) {
        self.turns += 1;
        let turn = self.turns;
        self.lane(mode).push_back(turn, slab);
    }

    /// Puts an answer of the broker before everything else.
    pub(crate) fn push_first(&mut self, slab: Slab) {
        self.all.push_front(0, slab);
    }

    /// Drops the oldest messages that may be dropped until the limits hold; the newest one stays.
    /// `in_flight` is the memory of what is being written.
    pub(crate) fn shed(&mut self, limits: Limits, in_flight: usize, lost: &mut Lost) {
        let any = &mut self.any;
        while any.messages > 1
            && (any.messages > limits.messages || any.charge + in_flight > limits.bytes)
        {
            let surplus = Limits {
                messages: any.messages.saturating_sub(limits.messages),
                bytes: (any.charge + in_flight).saturating_sub(limits.bytes),
            };
            any.drop_oldest(surplus, limits, lost);
        }
    }

    /// Drops what is no longer wanted.
    pub(crate) fn discard(&mut self, mut wanted: impl FnMut(Tag) -> bool, lost: &mut Lost) {
        self.any.retain(&mut wanted, lost);
        self.all.retain(&mut wanted, lost);
    }

    /// Moves slabs into a flight until it has `bytes_max` or the credit is used up.
    pub(crate) fn take(&mut self, flight: &mut Flight, bytes_max: usize, credit: &mut Credit) {
        while flight.len() < bytes_max && !flight.is_full() && credit.allows() > 0 {
            let lane = self.next_lane();
            let Some((turn, mut slab)) = lane.pop_front() else {
                return;
            };
            let allowed = credit.allows();
            if slab.messages() > allowed {
                let front = slab.split_front(allowed);
                lane.push_front(turn, std::mem::replace(&mut slab, front));
            }
            credit.spend(slab.messages());
            flight.push(slab);
        }
    }

    /// Returns the number of messages waiting.
    pub(crate) fn messages(&self) -> usize {
        self.any.messages + self.all.messages
    }

    /// Returns the memory held by what waits.
    pub(crate) fn charge(&self) -> usize {
        self.any.charge + self.all.charge
    }

    /// Returns the memory held by messages that must be kept.
    pub(crate) fn kept(&self) -> usize {
        self.all.charge
    }

    /// Returns when the oldest message waiting came.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let front = |lane: &Lane| lane.slabs.front().map(|(_, slab)| slab.queued());
        front(&self.any).into_iter().chain(front(&self.all)).min()
    }

    fn lane(&mut self, mode: Mode) -> &mut Lane {
        match mode {
            Mode::Any => &mut self.any,
            Mode::All => &mut self.all,
        }
    }

    /// Returns the lane whose oldest slab came first.
    fn next_lane(&mut self) -> &mut Lane {
        let turn = |lane: &Lane| lane.slabs.front().map(|(turn, _)| *turn);
        match (turn(&self.any), turn(&self.all)) {
            (Some(any), Some(all)) if any < all => &mut self.any,
            (Some(_), None) => &mut self.any,
            _ => &mut self.all,
        }
    }
}

impl Lane {
    fn push_back(&mut self, turn: u64, slab: Slab) {
        self.messages += slab.messages();
        self.charge += slab.charge();
        self.slabs.push_back((turn, slab));
    }

    fn push_front(&mut self, turn: u64, slab: Slab) {
        self.messages += slab.messages();
        self.charge += slab.charge();
        self.slabs.push_front((turn, slab));
    }

    fn pop_front(&mut self) -> Option<(u64, Slab)> {
        let (turn, slab) = self.slabs.pop_front()?;
        self.messages -= slab.messages();
        self.charge -= slab.charge();
        Some((turn, slab))
    }

    /// Drops the oldest slab, or as much of its front as is too much.
    fn drop_oldest(&mut self, surplus: Limits, limits: Limits, lost: &mut Lost) {
        let Some((turn, mut slab)) = self.pop_front() else {
            return;
        };
        let is_newest = self.slabs.is_empty();
        let is_small = slab.messages() <= limits.messages / WHOLE_SLAB_PART
            && slab.charge() <= limits.bytes / WHOLE_SLAB_PART;
        // As if all messages of a slab were of the same size.
        let by_bytes = (surplus.bytes * slab.messages()).div_ceil(slab.charge());
        let dropped = surplus.messages.max(by_bytes).max(1);
        if !is_newest && (is_small || dropped >= slab.messages()) {
            slab.count_into(lost);
            return;
        }
        slab.split_front(dropped.min(slab.messages() - 1))
            .count_into(lost);
        self.push_front(turn, slab);
    }

    fn retain(&mut self, wanted: &mut impl FnMut(Tag) -> bool, lost: &mut Lost) {
        let kept = self
            .slabs
            .drain(..)
            .filter_map(|(turn, slab)| Some((turn, slab.retain(&mut *wanted, lost)?)))
            .collect();
        self.slabs = kept;
        self.messages = self.slabs.iter().map(|(_, slab)| slab.messages()).sum();
        self.charge = self.slabs.iter().map(|(_, slab)| slab.charge()).sum();
    }
}
