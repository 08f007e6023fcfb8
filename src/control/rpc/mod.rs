//! supervisord's XML-RPC (`/RPC2`) on top of the same console: its clients work unchanged.

mod catalogue;
mod changes;
mod daemon;
mod desk;
mod door;
mod fault;
mod info;
mod inventory;
mod logs;
mod names;
mod params;
mod processes;
mod tails;
mod xml;

pub(super) use door::{answer, is_ours};
