//! Who wants which tag: an index that is replaced as a whole when a subscription changes.

use std::collections::HashMap;
use std::sync::Arc;

use fathom_formats::controlhost::{Mode, Subscriptions, Tag};

use super::batch::Wanted;
use super::client::Client;
use super::lost::TagCount;

/// One client with the subscription that the index was made from.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) client: Arc<Client>,
    pub(crate) wanted: Subscriptions,
    pub(crate) epoch: u64,
}

/// All clients, and for each tag those that want it.
#[derive(Default)]
pub(crate) struct Routes {
    routes: Vec<Route>,
    by_tag: HashMap<Tag, Vec<(usize, Mode)>>,
}

impl Routes {
    pub(crate) fn new(routes: Vec<Route>) -> Self {
        let mut by_tag: HashMap<Tag, Vec<(usize, Mode)>> = HashMap::new();
        for (at, route) in routes.iter().enumerate() {
            for subscription in route.wanted.iter() {
                let list = by_tag.entry(subscription.tag).or_default();
                list.push((at, subscription.mode));
            }
        }
        Self { routes, by_tag }
    }

    pub(crate) fn all(&self) -> &[Route] {
        &self.routes
    }

    /// Returns how many clients want a tag.
    pub(crate) fn subscribers(&self, tag: Tag) -> usize {
        self.by_tag.get(&tag).map_or(0, Vec::len)
    }

    /// Returns the clients that want any of these tags, with the bits of those they want.
    pub(crate) fn wanted<'r>(
        &'r self,
        tags: &[TagCount],
    ) -> impl Iterator<Item = (&'r Route, Wanted)> + use<'r> {
        let mut masks = Vec::new();
        for (bit, count) in tags.iter().enumerate() {
            for &(at, mode) in self.by_tag.get(&count.tag).into_iter().flatten() {
                if masks.is_empty() {
                    masks.resize(self.routes.len(), Wanted::default());
                }
                if let Some(mask) = masks.get_mut(at) {
                    mask.add(bit, mode);
                }
            }
        }
        let pairs = self.routes.iter().zip(masks);
        pairs.filter(|(_, wanted)| !wanted.is_nothing())
    }
}
