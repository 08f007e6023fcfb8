//! What all sinks share: what they want to hear, the queue that bears outages, the words, the loop.

mod feed;
mod options;
mod outbox;
mod service;
mod words;

pub(crate) use options::{Only, QueueOptions, Taste};
pub(crate) use outbox::Parcel;
pub(crate) use service::{Outlet, SendError, run};
#[cfg(test)]
pub(crate) use words::example;
pub(crate) use words::{digest, one_line, subject, words};
