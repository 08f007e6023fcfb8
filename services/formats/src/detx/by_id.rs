//! Finds modules by their id: an event asks for some thousand, so that a search by halves would cost more
//! than all else that is done with its hits.

use crate::km3net::DomId;

/// Marks a slot that is empty.
const EMPTY: u32 = u32::MAX;

/// Modules by their id, each in the slot that its id spreads to or in one of the next.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ById {
    /// Id and index; at least half of them are empty. A power of two.
    slots: Box<[(DomId, u32)]>,
    /// What is left of the bits of the product after those of a slot are taken off its front.
    shift: u32,
}

impl ById {
    /// Lists modules in their order; of those with the same id the first is found.
    pub(super) fn of(ids: impl ExactSizeIterator<Item = DomId>) -> Self {
        let slots = (2 * ids.len()).next_power_of_two().max(2);
        let mut table = Self {
            slots: vec![(DomId(0), EMPTY); slots].into(),
            shift: u32::BITS - slots.ilog2(),
        };
        for (id, at) in ids.zip(0..EMPTY) {
            let slot = table.slot(id);
            if let Some(entry) = table.slots.get_mut(slot)
                && entry.1 == EMPTY
            {
                *entry = (id, at);
            }
        }
        table
    }

    /// Returns the index of a module.
    pub(super) fn find(&self, id: DomId) -> Option<usize> {
        let (_, at) = *self.slots.get(self.slot(id))?;
        (at != EMPTY).then_some(at as usize)
    }

    /// Returns the slot of an id, or the empty one where it would be.
    fn slot(&self, id: DomId) -> usize {
        let mut slot = (id.0.wrapping_mul(0x9e37_79b9) >> self.shift) as usize;
        while let Some((other, at)) = self.slots.get(slot) {
            if *at == EMPTY || *other == id {
                break;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[u32]) -> ById {
        ById::of(ids.iter().map(|id| DomId(*id)))
    }

    #[test]
    fn every_module_is_found_and_no_other() {
        let ids: Vec<u32> = (0..4370).map(|n| 806_451_572 + n * 701).collect();
        let table = of(&ids);
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(table.find(DomId(*id)), Some(at));
            assert_eq!(table.find(DomId(*id + 1)), None);
        }
        assert_eq!(of(&[]).find(DomId(0)), None);
        assert_eq!(of(&[0]).find(DomId(0)), Some(0));
    }

    #[test]
    fn of_two_with_the_same_id_the_first_is_found_and_a_full_row_of_slots_goes_on_at_the_front() {
        assert_eq!(of(&[5, 7, 5]).find(DomId(5)), Some(0));
        // All of these spread to the last of 8 slots.
        let last = |id: &u32| id.wrapping_mul(0x9e37_79b9) >> 29 == 7;
        let ids: Vec<u32> = (0..1000).filter(last).take(4).collect();
        let table = of(&ids);
        let found: Vec<_> = ids.iter().map(|id| table.find(DomId(*id))).collect();
        assert_eq!(found, [Some(0), Some(1), Some(2), Some(3)]);
    }
}
