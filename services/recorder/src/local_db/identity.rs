//! What makes a row what it is, as far as this process remembers: spares asking the file for rows
//! that were written from the version of the table before.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

/// The rows of the newest version of a table that are known to be in the file, by a hash of their
/// keys. Two keys of one hash would lose a row: the chance is below 10^-9 for 100,000 rows.
#[derive(Debug, Default)]
pub(super) struct Identities(HashSet<u64>);

impl Identities {
    /// Tells whether a row of this identity is in the file.
    pub(super) fn contains(&self, identity: u64) -> bool {
        self.0.contains(&identity)
    }

    /// Remembers the rows of the newest version, and those only.
    pub(super) fn replace(&mut self, identities: impl Iterator<Item = u64>) {
        self.0 = identities.collect();
    }
}

/// Returns the identity of a row: a hash of the cells of its key.
pub(super) fn identity(row: &[Value], key: &[usize]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for &at in key {
        row.get(at).map(Value::to_string).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_number_1_and_the_text_1_are_different_rows() {
        let key = [1];
        let of = |value: Value| identity(&[json!("x"), value], &key);
        assert_eq!(of(json!(1)), of(json!(1)));
        assert_ne!(of(json!(1)), of(json!("1")));
        assert_ne!(of(json!(1)), of(json!(null)));
        let mut known = Identities::default();
        known.replace([of(json!(1))].into_iter());
        assert!(known.contains(of(json!(1))) && !known.contains(of(json!(2))));
    }
}
