//! What was dropped, by tag.

use fathom_formats::controlhost::Tag;

/// Messages and bytes of one tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TagCount {
    pub(crate) tag: Tag,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// Messages that were dropped. A list, because a client has few tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lost(Vec<TagCount>);

impl Lost {
    pub(crate) fn add(&mut self, tag: Tag, bytes: usize) {
        let bytes = bytes as u64;
        match self.0.iter_mut().find(|count| count.tag == tag) {
            Some(count) => {
                count.messages += 1;
                count.bytes += bytes;
            }
            None => self.0.push(TagCount {
                tag,
                messages: 1,
                bytes,
            }),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn messages(&self) -> u64 {
        self.0.iter().map(|count| count.messages).sum()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.iter().map(|count| count.bytes).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &TagCount> {
        self.0.iter()
    }
}
