//! What a keeper keeps: one incarnation of a service, in this process or in a child.

mod nurse;
mod report;
mod task;
mod world;

pub use nurse::{Handle, start};
pub use report::{News, Reporter, Urgency};
pub use world::World;
