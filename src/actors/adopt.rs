//! How the supervisor goes over to another plan.

use std::sync::Arc;

use tracing::info;

use super::messages::{Amend, Retire};
use super::supervisor::{Row, Supervisor};
use super::target;
use crate::body::detector_text;
use crate::config::diff;
use crate::config::plan::Plan;

impl Supervisor {
    /// Goes by another plan. Services of both keep their keeper, their state and their counters, and
    /// hear of what is new; nothing may run any more of those that are gone. Everything that holds
    /// the place of a service in the plan follows here.
    pub(super) fn adopt(&mut self, plan: Plan) {
        let plan = Arc::new(plan);
        let old = std::mem::replace(&mut self.plan, plan.clone());
        let pairs = diff::pairs(&old.services, &plan.services);
        let mut before: Vec<Option<Row>> = self.rows.drain(..).map(Some).collect();
        for (index, service) in plan.services.iter().enumerate() {
            let known = pairs.get(&index).copied();
            let row = known.and_then(|index| before.get_mut(index)?.take());
            let row = row.unwrap_or_else(|| self.row(service));
            let awaited = target::is_awaited(&plan, &service.name);
            let is_new = |index: usize| {
                let before = &old.services[index];
                let same = diff::is_same(before, service);
                !same || awaited != target::is_awaited(&old, &before.name)
            };
            if known.is_some_and(is_new) {
                // Past the bound of the mailbox: one for each update, and updates wait for another.
                let plan = Arc::new(service.clone());
                row.keeper.do_send(Amend { plan, awaited });
            }
            self.rows.push(row);
        }
        for (row, service) in before.into_iter().zip(&old.services) {
            if let Some(row) = row {
                info!(service = %service.name, "service is no longer part of the stack");
                row.keeper.do_send(Retire);
                self.world.logs.forget(&service.name);
                self.world.records.forget(&service.name);
            }
        }
        let place = |old: usize| {
            let mut pairs = pairs.iter().filter(|(_, before)| **before == old);
            pairs.next().map(|(index, _)| *index)
        };
        for (order, _) in &mut self.orders {
            order.move_to(&old.services, place);
        }
        self.council.replan(&plan, place);
        self.dependents = self.council.kin().all_dependents();
        let detector = |plan: &Plan| plan.setup.detector.clone();
        let same = match (detector(&old), detector(&plan)) {
            (Some(a), Some(b)) => Arc::ptr_eq(&a, &b),
            (None, None) => true,
            _ => false,
        };
        if !same || self.world.detector.borrow().is_none() {
            self.world.detector.send_replace(detector_text(&plan));
        }
        if let Some(detector) = detector(&plan) {
            self.world.feed.publish(detector);
        }
        self.world.plans.send_replace(plan);
    }
}
