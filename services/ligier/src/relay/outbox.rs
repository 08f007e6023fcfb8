//! The queue of one client: what it may lose and what must be kept, in order of arrival.

use std::collections::VecDeque;

use fathom_formats::controlhost::{Mode, Tag};
use tokio::time::Instant;

use super::flight::Flight;
use super::lost::Lost;
use super::slab::Slab;

/// Part of a limit below which a slab is dropped as a whole instead of frame by frame.
const WHOLE_SLAB_PART: usize = 16;

/// Most answers of the broker waiting for one client; they are not subject to its limits.
const ANSWERS_MAX: usize = 64;

/// The turn of answers: before that of every message.
const ANSWER_TURN: u64 = 0;

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

    /// Puts an answer of the broker before everything else, behind earlier answers. Returns `false`
    /// when so many wait that the client obviously does not read them.
    pub(crate) fn push_answer(&mut self, slab: Slab) -> bool {
        let is_answer = |(turn, _): &&(u64, Slab)| *turn == ANSWER_TURN;
        let waiting = self.all.slabs.iter().take_while(is_answer).count();
        if waiting < ANSWERS_MAX {
            self.all.insert(waiting, ANSWER_TURN, slab);
        }
        waiting < ANSWERS_MAX
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
        self.insert(0, turn, slab);
    }

    fn insert(&mut self, at: usize, turn: u64, slab: Slab) {
        self.messages += slab.messages();
        self.charge += slab.charge();
        self.slabs.insert(at, (turn, slab));
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

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use fathom_formats::controlhost::{encode_frame, tags};
    use proptest::prelude::*;

    use super::*;
    use crate::relay::slab::{SLAB_OVERHEAD_BYTES, walk};

    /// Makes a slab of numbered messages; mode any has the tag MSG, mode all IO_EVT.
    fn slab(mode: Mode, numbers: std::ops::Range<u32>, body_bytes: usize) -> Slab {
        let tag = match mode {
            Mode::Any => tags::MSG,
            Mode::All => tags::IO_EVT,
        };
        let mut bytes = BytesMut::new();
        let messages = numbers.len();
        for number in numbers {
            let mut body = vec![0; body_bytes.max(4)];
            body[..4].copy_from_slice(&number.to_le_bytes());
            encode_frame(tag, &body, &mut bytes).unwrap();
        }
        let bytes = bytes.freeze();
        let held = bytes.len();
        Slab::new(bytes, messages, held, Instant::now())
    }

    fn numbers(bytes: &Bytes) -> Vec<(Tag, u32)> {
        let number = |body: &[u8]| u32::from_le_bytes(body[..4].try_into().unwrap());
        walk(bytes)
            .map(|frame| (frame.tag, number(&bytes[frame.body()])))
            .collect()
    }

    fn taken(outbox: &mut Outbox, bytes_max: usize, credit: &mut Credit) -> Vec<(Tag, u32)> {
        let mut flight = Flight::default();
        outbox.take(&mut flight, bytes_max, credit);
        let mut all = Vec::new();
        let mut slices = [std::io::IoSlice::new(&[]); crate::relay::flight::SLICES_MAX];
        for slice in flight.slices(&mut slices) {
            all.extend(numbers(&Bytes::copy_from_slice(slice)));
        }
        all
    }

    fn of_tag(tag: Tag, numbers: std::ops::Range<u32>) -> Vec<(Tag, u32)> {
        numbers.map(|n| (tag, n)).collect()
    }

    #[test]
    fn the_oldest_of_a_slab_are_dropped_one_by_one() {
        let mut outbox = Outbox::default();
        outbox.push(Mode::Any, slab(Mode::Any, 0..10, 4));
        let mut lost = Lost::default();
        let limits = Limits {
            messages: 3,
            bytes: usize::MAX,
        };
        outbox.shed(limits, 0, &mut lost);
        assert_eq!((lost.messages(), lost.bytes()), (7, 140));
        let rest = taken(&mut outbox, usize::MAX, &mut Credit::Unlimited);
        assert_eq!(rest, of_tag(tags::MSG, 7..10));
    }

    #[test]
    fn memory_that_a_slice_holds_is_charged_until_it_is_copied_out() {
        let mut outbox = Outbox::default();
        let part = slab(Mode::Any, 0..10, 1000);
        let held = part.len() * 2;
        let sliced = Slab::new(part.bytes().clone(), 10, held, Instant::now());
        outbox.push(Mode::Any, sliced);
        assert_eq!(outbox.charge(), held + SLAB_OVERHEAD_BYTES);
        let limits = Limits {
            messages: usize::MAX,
            bytes: 3000,
        };
        outbox.shed(limits, 0, &mut Lost::default());
        assert!(outbox.charge() <= 3000, "{}", outbox.charge());
        let rest = taken(&mut outbox, usize::MAX, &mut Credit::Unlimited);
        assert_eq!(rest.last(), Some(&(tags::MSG, 9)));
    }

    #[test]
    fn credit_cuts_a_slab_and_keeps_the_order_of_both_modes() {
        let mut outbox = Outbox::default();
        outbox.push(Mode::Any, slab(Mode::Any, 0..3, 4));
        outbox.push(Mode::All, slab(Mode::All, 3..5, 4));
        outbox.push(Mode::Any, slab(Mode::Any, 5..6, 4));
        let mut credit = Credit::Messages(2);
        assert_eq!(
            taken(&mut outbox, 1000, &mut credit),
            of_tag(tags::MSG, 0..2)
        );
        assert_eq!(credit, Credit::Messages(0));
        let rest = taken(&mut outbox, 1000, &mut Credit::Unlimited);
        let order: Vec<u32> = rest.iter().map(|(_, n)| *n).collect();
        assert_eq!(order, [2, 3, 4, 5]);
    }

    #[test]
    fn answers_come_first_in_order_and_are_bounded() {
        let mut outbox = Outbox::default();
        outbox.push(Mode::All, slab(Mode::All, 1000..1001, 4));
        let most = u32::try_from(ANSWERS_MAX).unwrap();
        for number in 0..most {
            assert!(outbox.push_answer(slab(Mode::Any, number..number + 1, 4)));
        }
        assert!(!outbox.push_answer(slab(Mode::Any, most..most + 1, 4)));
        let mut got = Vec::new();
        while outbox.messages() > 0 {
            got.extend(taken(&mut outbox, usize::MAX, &mut Credit::Unlimited));
        }
        let mut expected = of_tag(tags::MSG, 0..most);
        expected.extend(of_tag(tags::IO_EVT, 1000..1001));
        assert_eq!(got, expected);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push {
            is_all: bool,
            messages: u32,
            body_bytes: usize,
        },
        Take {
            bytes_max: usize,
            credit: Option<u64>,
        },
        DiscardAny,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (any::<bool>(), 1..40_u32, 4..300_usize).prop_map(|(is_all, messages, body_bytes)| {
                Step::Push { is_all, messages, body_bytes }
            }),
            3 => (1..5000_usize, prop::option::of(0..10_u64)).prop_map(|(bytes_max, credit)| {
                Step::Take { bytes_max, credit }
            }),
            1 => Just(Step::DiscardAny),
        ]
    }

    proptest! {
        #[test]
        fn every_message_is_sent_lost_or_waits(
            steps in prop::collection::vec(step(), 1..60),
            messages in 1..100_usize,
            bytes in 1..20_000_usize,
        ) {
            let limits = Limits { messages, bytes };
            let (mut outbox, mut lost) = (Outbox::default(), Lost::default());
            let (mut next, mut got) = (0, Vec::new());
            let mut pushed_all = 0;
            for step in steps {
                match step {
                    Step::Push { is_all, messages, body_bytes } => {
                        let mode = if is_all { Mode::All } else { Mode::Any };
                        outbox.push(mode, slab(mode, next..next + messages, body_bytes));
                        next += messages;
                        pushed_all += if is_all { messages } else { 0 };
                        outbox.shed(limits, 0, &mut lost);
                        let any = &outbox.any;
                        prop_assert!(any.messages <= limits.messages.max(1));
                        prop_assert!(any.charge <= limits.bytes || any.messages == 1);
                    }
                    Step::Take { bytes_max, credit } => {
                        let mut credit = credit.map_or(Credit::Unlimited, Credit::Messages);
                        got.extend(taken(&mut outbox, bytes_max, &mut credit));
                    }
                    Step::DiscardAny => outbox.discard(|tag| tag != tags::MSG, &mut lost),
                }
                let waiting = outbox.messages() as u64;
                prop_assert_eq!(u64::from(next), got.len() as u64 + lost.messages() + waiting);
                let slabs = || outbox.any.slabs.iter().chain(&outbox.all.slabs);
                let held: usize = slabs().map(|(_, slab)| slab.charge()).sum();
                prop_assert_eq!(outbox.charge(), held);
                prop_assert!(slabs().all(|(_, slab)| slab.charge() > slab.len()));
            }
            while outbox.messages() > 0 {
                got.extend(taken(&mut outbox, usize::MAX, &mut Credit::Unlimited));
            }
            prop_assert!(got.is_sorted_by_key(|(_, number)| *number));
            let kept = got.iter().filter(|(tag, _)| *tag == tags::IO_EVT).count();
            prop_assert_eq!(kept, pushed_all as usize);
        }
    }
}
