//! supervisord's XML-RPC (`/RPC2`) on top of the same console: its clients work unchanged.
#![allow(dead_code, reason = "logs and reload follow")]

mod catalogue;
mod daemon;
mod desk;
mod door;
mod fault;
mod info;
mod inventory;
mod names;
mod params;
mod processes;
mod xml;

pub(super) use door::{answer, is_ours};
