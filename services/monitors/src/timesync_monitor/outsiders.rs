//! Modules that the detector description does not place: their synchronisation counts all the same.

use std::collections::BTreeMap;

use super::dom::Dom;

/// Most modules watched; more are ids of damaged messages.
const WATCHED_MAX: usize = 1000;
/// A module that sent nothing for so long is forgotten, in data time (ms): one that will be described
/// goes on sending, and an id of a damaged message never comes again.
const FORGOTTEN_AFTER_MS: i64 = 600_000;
/// Where such a module is.
const PLACE: &str = "not an optical module of the detector description";
/// What is said of a module that is forgotten while it is out of sync.
const GONE: &str = "sends nothing any more";

/// The modules by id.
#[derive(Debug, Default)]
pub(super) struct Outsiders(BTreeMap<u32, Dom>);

impl Outsiders {
    /// Returns the state of a module, if there is room for it.
    pub(super) fn dom(&mut self, dom_id: u32) -> Option<&mut Dom> {
        if self.0.len() >= WATCHED_MAX && !self.0.contains_key(&dom_id) {
            return None;
        }
        Some(self.0.entry(dom_id).or_default())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Dom)> {
        self.0.iter().map(|(id, dom)| (*id, dom))
    }

    /// Judges all modules, and forgets those that are gone: ids, whether they are out of sync, and
    /// what is to be said.
    pub(super) fn judge(&mut self, recovery_ms: i64, data_ms: i64) -> Vec<(u32, bool, String)> {
        let mut said = Vec::new();
        self.0.retain(|id, dom| {
            let change = dom.judge(recovery_ms);
            let newest_ms = dom.newest_ms.or(dom.affected_ms);
            let is_gone =
                newest_ms.is_none_or(|at| data_ms.abs_diff(at) > FORGOTTEN_AFTER_MS.unsigned_abs());
            if is_gone && dom.lost_ms.is_some() {
                let text = format!("DOM {id} ({PLACE}) {GONE}");
                said.push((*id, false, text));
            } else if let Some(change) = change {
                said.push((*id, change.is_lost, change.text(*id, PLACE)));
            }
            !is_gone
        });
        said
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.0.len() * size_of::<(u32, Dom)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_gone_is_forgotten_and_its_alarm_ends() {
        let mut outsiders = Outsiders::default();
        for (id, in_sync) in [(7, false), (8, true)] {
            outsiders.dom(id).unwrap().add(in_sync, 1000);
        }
        let said = outsiders.judge(10_000, 1000);
        assert_eq!(said.len(), 1);
        assert_eq!((said[0].0, said[0].1), (7, true));
        assert!(outsiders.judge(10_000, 601_000).is_empty());
        let said = outsiders.judge(10_000, 601_001);
        assert_eq!((said.len(), said[0].0, said[0].1), (1, 7, false));
        assert!(said[0].2.ends_with(GONE), "{}", said[0].2);
        assert_eq!(outsiders.iter().count(), 0);
    }

    #[test]
    fn a_flood_of_ids_finds_no_room() {
        let mut outsiders = Outsiders::default();
        let found = (0..3000).filter(|id| outsiders.dom(*id).is_some());
        assert_eq!(found.count(), WATCHED_MAX);
        assert!(outsiders.dom(5).is_some());
    }
}
