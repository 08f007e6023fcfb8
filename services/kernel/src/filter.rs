//! Which events a subscriber wants: by topic, and frames also by tag and by source.

use std::sync::Arc;

use fathom_formats::controlhost::Tag;
use serde::{Deserialize, Serialize};

use crate::Event;

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// DAQ messages.
    Frame,
    /// New versions of outputs.
    Output,
    /// Conditions that monitors say.
    Alarm,
    /// Life-cycle changes.
    Life,
    /// Log lines.
    Log,
    /// Changes of alarms.
    Notice,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 6] = [
        Self::Frame,
        Self::Output,
        Self::Alarm,
        Self::Life,
        Self::Log,
        Self::Notice,
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of topics and frame tags, usable in constants.
#[derive(Debug, Clone, Copy)]
pub struct Topics {
    /// Frames with these tags are wanted.
    pub tags: &'static [Tag],
    /// Other events wanted.
    pub others: &'static [Topic],
}

impl Topics {
    /// Frames with these tags and nothing else.
    pub const fn frames(tags: &'static [Tag]) -> Self {
        Self { tags, others: &[] }
    }
}

/// What a subscriber wants to receive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    topics: u8,
    tags: Tags,
    not_from: Option<Arc<str>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Tags {
    #[default]
    Every,
    Only(Vec<Tag>),
}

impl Filter {
    /// Wants nothing; add with the other methods.
    pub fn none() -> Self {
        Self::default()
    }

    /// Wants every event.
    pub fn everything() -> Self {
        Topic::ALL.into_iter().fold(Self::none(), Self::and)
    }

    /// Wants all frames.
    pub fn all_frames() -> Self {
        Self::none().and(Topic::Frame)
    }

    /// Wants frames with one of these tags (none, when the list is empty).
    pub fn frames(tags: impl IntoIterator<Item = Tag>) -> Self {
        let tags: Vec<Tag> = tags.into_iter().collect();
        let topics = if tags.is_empty() {
            0
        } else {
            Topic::Frame.bit()
        };
        Self {
            topics,
            tags: Tags::Only(tags),
            not_from: None,
        }
    }

    /// Wants a whole topic as well.
    #[must_use]
    pub fn and(mut self, topic: Topic) -> Self {
        self.topics |= topic.bit();
        self
    }

    /// Does not want frames that this service brought to the bus itself.
    #[must_use]
    pub fn not_from(mut self, service: Arc<str>) -> Self {
        self.not_from = Some(service);
        self
    }

    /// Wants everything that either filter wants, and perhaps more: what only one of them refuses
    /// from a source passes.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        match (
            self.wants_topic(Topic::Frame),
            other.wants_topic(Topic::Frame),
        ) {
            (true, true) => {
                match (&mut self.tags, &other.tags) {
                    (Tags::Only(mine), Tags::Only(theirs)) => {
                        let new = theirs.iter().filter(|tag| !mine.contains(tag));
                        let new: Vec<Tag> = new.copied().collect();
                        mine.extend(new);
                    }
                    _ => self.tags = Tags::Every,
                }
                if self.not_from != other.not_from {
                    self.not_from = None;
                }
            }
            (false, true) => {
                self.tags = other.tags.clone();
                self.not_from = other.not_from.clone();
            }
            (_, false) => {}
        }
        self.topics |= other.topics;
        self
    }

    /// Tells whether an event passes.
    pub fn wants(&self, event: &Event) -> bool {
        if self.topics & event.topic().bit() == 0 {
            return false;
        }
        let Event::Frame(frame) = event else {
            return true;
        };
        self.wants_frame(frame.tag, &frame.source)
    }

    /// Tells whether frames with this tag from this source pass.
    pub fn wants_frame(&self, tag: Tag, source: &str) -> bool {
        self.wants_tag(tag) && self.not_from.as_ref().is_none_or(|s| **s != *source)
    }

    /// Tells whether frames with this tag can pass.
    pub fn wants_tag(&self, tag: Tag) -> bool {
        self.wants_topic(Topic::Frame)
            && match &self.tags {
                Tags::Every => true,
                Tags::Only(tags) => tags.contains(&tag),
            }
    }

    /// Tells whether any event of this topic can pass.
    pub fn wants_topic(&self, topic: Topic) -> bool {
        self.topics & topic.bit() != 0
    }
}

impl From<Topics> for Filter {
    fn from(topics: Topics) -> Self {
        topics
            .others
            .iter()
            .fold(Self::frames(topics.tags.iter().copied()), |f, &t| f.and(t))
    }
}
