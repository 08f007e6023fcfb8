//! The supervisor: pure life cycles, and the actors that carry out what they say.

mod adopt;
mod change;
mod clearance;
mod command;
mod council;
mod ending;
mod group;
mod health;
mod keeper;
mod kin;
pub mod lifecycle;
mod logs;
mod membership;
mod messages;
mod observed;
mod order;
mod overview;
pub mod phase;
pub mod policy;
mod regroup;
mod revision;
mod status;
mod supervisor;
mod target;

pub(crate) use command::signal_of;
pub use messages::{Ping, Take};
pub use supervisor::{Ended, Supervisor};
