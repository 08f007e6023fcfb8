//! The supervisor: configuration, actors, control socket, command line.
//!
//! Floor 2 of the house. It knows every kind of service by the [`registry`], turns a configuration
//! file into a [`config::plan::Plan`], and runs that plan. Services themselves live in the crates
//! under `services/` and know nothing of this crate.

pub mod actors;
pub mod body;
pub mod checkpoints;
pub mod chronicle;
pub mod cli;
pub mod config;
pub mod control;
mod desk;
mod detector;
mod door;
mod files;
pub mod guard;
pub mod health;
pub mod host;
pub mod import;
pub mod incidents;
pub mod init;
mod lock;
pub mod logs;
pub mod reach;
pub mod registry;
mod signals;
pub mod stack;
pub mod telemetry;
