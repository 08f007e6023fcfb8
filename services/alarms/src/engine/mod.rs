//! The alarm state machine: pure, from (state, input, now) to (state, notices).

mod book;
mod case;
mod mute;
mod pattern;
mod policy;
mod until;
#[cfg(test)]
mod walks;

pub(crate) use book::{Book, Bounds, House, Input, Pick, cut};
pub(crate) use case::{Case, Damping, Key, Phase};
pub(crate) use mute::Mute;
pub(crate) use pattern::Pattern;
pub(crate) use policy::{Policies, RuleEntry};
pub(crate) use until::Until;
