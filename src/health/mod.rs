//! Liveness by data flow: which services work, which rest because there is nothing to do, and which
//! are to be restarted. Pure rules, and the senses that feed them.

mod brokers;
mod check;
mod checks;
mod engine;
mod feelers;
mod flow;
mod graph;
mod heartbeats;
mod heirs;
mod pulse;
mod reading;
mod record;
mod senses;
mod taps;

pub use brokers::Asker;
pub use check::CheckResult;
pub use checks::Checks;
pub(crate) use checks::Setting;
pub use engine::{Engine, Judgement, Moment, View};
pub use heartbeats::{Heartbeat, Heartbeats};
pub use heirs::Heirs;
pub use reading::{FlowReading, Mark, Reading};
pub use record::{Activity, News, Stage};
pub use senses::{Names, Places, Senses};
