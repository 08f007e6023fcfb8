//! The supervisor: pure life cycles, and the actors that carry out what they say.

mod clearance;
mod command;
mod health;
mod keeper;
pub mod lifecycle;
mod logs;
mod messages;
mod observed;
mod order;
pub mod phase;
pub mod policy;
mod status;
mod supervisor;
mod target;

pub(crate) use command::signal_of;
pub use messages::{Ping, Take};
pub use supervisor::{Ended, Supervisor};
