//! The routes of the data API.

pub(crate) mod alarms;
pub(crate) mod ask;
pub(crate) mod config;
pub(crate) mod control;
mod etag;
pub(crate) mod events;
mod fault;
pub(crate) mod faulty;
mod head;
pub(crate) mod incidents;
pub(crate) mod live;
pub(crate) mod log_files;
pub(crate) mod logs;
pub(crate) mod messages;
pub(crate) mod metrics;
pub(crate) mod outputs;
pub(crate) mod plots;
pub(crate) mod status;

pub(crate) use etag::ETag;
pub(crate) use fault::Fault;
pub(crate) use head::{Head, age_s};
