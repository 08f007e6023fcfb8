//! How far an event spreads: how many DUs and DOMs took part in its trigger, and who is unknown.

use fathom_formats::km3net::Event as Payload;
use fathom_kernel::Setup;

use crate::places::{Found, Places};

/// Counts without allocating: each DOM and DU remembers the last event that it took part in.
#[derive(Debug)]
pub(super) struct Gauge {
    places: Places,
    /// Index of the DU of each module.
    du_of: Vec<usize>,
    event: u64,
    last_of_dom: Vec<u64>,
    last_of_du: Vec<u64>,
}

/// What took part in the trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) dus: usize,
    pub(super) doms: usize,
}

impl Gauge {
    pub(super) fn new(setup: &Setup) -> Self {
        let places = Places::of(setup);
        let mut dus: Vec<i32> = places.list().iter().map(|place| place.du).collect();
        dus.dedup();
        let index = |du: i32| dus.partition_point(|&other| other < du);
        Self {
            du_of: places.list().iter().map(|place| index(place.du)).collect(),
            event: 0,
            last_of_dom: vec![0; places.list().len()],
            last_of_du: vec![0; dus.len()],
            places,
        }
    }

    /// Counts the distinct DUs and DOMs of the triggered hits; unknown DOMs have neither.
    pub(super) fn spread(&mut self, event: &Payload<'_>) -> Spread {
        self.event += 1;
        let mut spread = Spread { dus: 0, doms: 0 };
        for hit in event.triggered {
            let Found::Dom(rank) = self.places.find(hit.dom_id().0) else {
                continue;
            };
            let Some(last) = self.last_of_dom.get_mut(rank) else {
                continue;
            };
            if std::mem::replace(last, self.event) == self.event {
                continue;
            }
            spread.doms += 1;
            let last = &mut self.last_of_du[self.du_of[rank]];
            if std::mem::replace(last, self.event) != self.event {
                spread.dus += 1;
            }
        }
        spread
    }

    /// Names the DOM of every snapshot hit that is not in the detector description.
    pub(super) fn unknown(&mut self, event: &Payload<'_>, mut saw: impl FnMut(u32)) {
        for hit in event.snapshot {
            let dom_id = hit.dom_id().0;
            if !matches!(self.places.find(dom_id), Found::Dom(_)) {
                saw(dom_id);
            }
        }
    }
}
