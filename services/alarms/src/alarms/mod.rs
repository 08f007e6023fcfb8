//! Kind `alarms`: the engine as a service, and what it watches itself.

mod looks;
mod options;
mod orders;
mod reconcile;
mod records;
mod service;
mod tables;
mod thresholds;
mod watch;

pub(crate) use options::Options;
pub(crate) use service::Alarms;
