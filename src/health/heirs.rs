//! Who goes on under which name when the plan changes.

use std::collections::HashMap;
use std::sync::Arc;

/// The services that live on, with their names before and now. One that was removed and added again
/// is another service, even under the same name.
#[derive(Debug, Default)]
pub struct Heirs(HashMap<Arc<str>, Arc<str>>);

impl Heirs {
    /// Notes one that lives on.
    pub fn put(&mut self, before: Arc<str>, now: Arc<str>) {
        self.0.insert(before, now);
    }

    /// Returns the present name of a service; `None` when it is gone.
    pub fn of(&self, before: &str) -> Option<Arc<str>> {
        self.0.get(before).cloned()
    }

    /// Puts what is kept of services under their present names, and drops what is kept of those that
    /// are gone.
    pub fn carry<T>(&self, kept: &mut HashMap<Arc<str>, T>) {
        let before = std::mem::take(kept).into_iter();
        kept.extend(before.filter_map(|(name, value)| Some((self.of(&name)?, value))));
    }
}
