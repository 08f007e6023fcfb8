//! The routes of the control API and their OpenAPI description.

mod commands;
mod events;
mod extract;
mod failure;
mod incidents;
mod logs;
mod revision;
mod routes;
mod status;
mod streams;

pub(super) use failure::Failure;
pub use routes::{document, router};
