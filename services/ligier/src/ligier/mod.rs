//! Kind `ligier`: the ControlHost broker.

mod bus;
mod config;
mod control;
mod report;
mod requests;
mod service;
mod session;

pub(crate) use config::LigierConfig;
pub(crate) use service::Ligier;
