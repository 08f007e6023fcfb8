//! THE list of kinds: one line per family.

use fathom_kernel::Kind;

/// Families of kinds, in the order in which they are listed.
const FAMILIES: &[&[Kind]] = &[
    fathom_ligier::KINDS,
    fathom_simulator::KINDS,
    fathom_logging::KINDS,
    fathom_alarms::KINDS,
    fathom_monitors::KINDS,
    #[cfg(feature = "sqlite")]
    fathom_recorder::KINDS,
    fathom_web::KINDS,
];

/// Returns every built-in kind.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// Returns the kind of a name.
pub fn find(name: &str) -> Option<&'static Kind> {
    kinds().find(|kind| kind.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: BTreeSet<_> = kinds().map(|kind| kind.name).collect();
        assert_eq!(names.len(), kinds().count());
    }
}
