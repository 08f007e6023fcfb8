//! Counters of the broker by tag and by client.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use fathom_formats::controlhost::Tag;
use jiff::Timestamp;

/// Most tags counted apart; further ones share one row. A publisher can invent any number.
const TAGS_COUNTED_MAX: usize = 1024;

/// Messages and bytes.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Flow {
    pub(crate) fn add(&self, messages: u64, bytes: u64) {
        self.messages.fetch_add(messages, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

/// Counters of one tag.
#[derive(Debug, Default)]
pub(crate) struct TagTally {
    pub(crate) received: Flow,
    /// Put into queues of clients.
    pub(crate) queued: Flow,
    pub(crate) dropped: Flow,
    /// Taken out of queues because the connection ended or the tag was no longer wanted.
    pub(crate) discarded: Flow,
    /// Without body, not forwarded.
    pub(crate) empty: Flow,
    last_us: AtomicI64,
}

/// The counters of one tag at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TagRow {
    pub(crate) tag: String,
    pub(crate) received: u64,
    pub(crate) received_bytes: u64,
    /// Copies handed to clients, those that still wait included, those dropped not.
    pub(crate) sent: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) dropped: u64,
    /// Copies whose connection ended or that were no longer wanted.
    pub(crate) discarded: u64,
    pub(crate) empty: u64,
    pub(crate) last: Option<Timestamp>,
}

/// The counters of all tags.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    tags: RwLock<HashMap<Tag, Arc<TagTally>>>,
    others: Arc<TagTally>,
}

impl Tallies {
    pub(crate) fn of(&self, tag: Tag) -> Arc<TagTally> {
        let known = self
            .tags
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&tag)
            .cloned();
        known.unwrap_or_else(|| self.new_tag(tag))
    }

    fn new_tag(&self, tag: Tag) -> Arc<TagTally> {
        let mut tags = self.tags.write().unwrap_or_else(PoisonError::into_inner);
        if tags.len() >= TAGS_COUNTED_MAX && !tags.contains_key(&tag) {
            return self.others.clone();
        }
        tags.entry(tag).or_default().clone()
    }

    /// Returns the counters of all tags by name.
    pub(crate) fn rows(&self) -> Vec<TagRow> {
        let tags = self.tags.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<TagRow> = tags.iter().map(|(tag, t)| t.row(tag.as_str())).collect();
        rows.sort_by(|a, b| a.tag.cmp(&b.tag));
        if tags.len() >= TAGS_COUNTED_MAX {
            rows.push(self.others.row("(others)"));
        }
        rows
    }
}

impl TagTally {
    pub(crate) fn seen(&self, at: Timestamp) {
        self.last_us.store(at.as_microsecond(), Relaxed);
    }

    fn row(&self, tag: &str) -> TagRow {
        let dropped = self.dropped.messages();
        let discarded = self.discarded.messages();
        let unsent_bytes = self.dropped.bytes() + self.discarded.bytes();
        let last_us = self.last_us.load(Relaxed);
        TagRow {
            tag: tag.to_owned(),
            received: self.received.messages(),
            received_bytes: self.received.bytes(),
            sent: self.queued.messages().saturating_sub(dropped + discarded),
            sent_bytes: self.queued.bytes().saturating_sub(unsent_bytes),
            dropped,
            discarded,
            empty: self.empty.messages(),
            last: (last_us != 0)
                .then(|| Timestamp::from_microsecond(last_us).ok())
                .flatten(),
        }
    }
}
