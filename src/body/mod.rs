//! What a keeper keeps: one incarnation of a service, in this process or in a child.

mod autopsy;
mod capture;
mod child;
mod executable;
mod fifo;
pub(crate) mod knock;
mod launch;
mod ledger;
mod limits;
mod notices;
mod nurse;
pub(crate) mod orphans;
mod prepare;
mod probe;
mod process;
mod registration;
mod remains;
mod report;
mod spawner;
mod stdin;
pub(crate) mod strays;
mod task;
mod world;

pub use autopsy::{Autopsy, Spent};
pub use executable::{Unrunnable, check};
pub use ledger::Ledger;
pub use limits::raise_own;
pub use nurse::{Handle, start};
pub use orphans::Adoptable;
pub use remains::Remains;
pub use report::{News, Reporter, Urgency};
pub use spawner::Spawner;
pub(crate) use task::panic_text;
pub use world::World;
pub(crate) use world::detector_text;
