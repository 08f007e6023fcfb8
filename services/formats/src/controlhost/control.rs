//! Tags by which a client talks to the broker itself.

use super::tag::{Tag, tags};

/// A message to the broker. Every tag that starts with an underscore is one; none is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Control {
    /// `_Subscri`: body is the complete list of tags wanted.
    Subscribe,
    /// `_Always`: send without asking from now on.
    Always,
    /// `_Gime`: send one more message.
    Gime,
    /// `_MyId`: body is the client's name.
    MyId,
    /// `_UniqueI`: body is the client's name, which nobody else may have.
    UniqueId,
    /// `_Version`: probes whether the line is alive.
    Version,
    /// `_WhereIs`: asks for the host of a named client, the only one that is answered.
    WhereIs,
    /// `_ShowSta`: asks for statistics.
    ShowStatistics,
    /// `_CloseAl`: asks to close clients.
    CloseAll,
    /// `_StopDis`: asks to stop the broker.
    StopDispatcher,
    /// `_SkipMod`: how to drop for slow clients, in the oldest package.
    SkipMode,
    /// Any other tag with an underscore: swallowed.
    Unknown,
}

impl Control {
    const NAMED: [(Tag, Self); 11] = [
        (tags::SUBSCRIBE, Self::Subscribe),
        (tags::ALWAYS, Self::Always),
        (Tag::of("_Gime"), Self::Gime),
        (Tag::of("_MyId"), Self::MyId),
        (Tag::of("_UniqueI"), Self::UniqueId),
        (Tag::of("_Version"), Self::Version),
        (Tag::of("_WhereIs"), Self::WhereIs),
        (Tag::of("_ShowSta"), Self::ShowStatistics),
        (Tag::of("_CloseAl"), Self::CloseAll),
        (Tag::of("_StopDis"), Self::StopDispatcher),
        (Tag::of("_SkipMod"), Self::SkipMode),
    ];

    /// Returns what a tag asks of the broker; `None` for a tag of data.
    pub fn of(tag: Tag) -> Option<Self> {
        let [first, ..] = tag.wire();
        if first != b'_' {
            return None;
        }
        let named = Self::NAMED.iter().find(|(known, _)| *known == tag);
        Some(named.map_or(Self::Unknown, |(_, control)| *control))
    }

    /// Returns the tag; `None` for [`Control::Unknown`].
    pub fn tag(self) -> Option<Tag> {
        Self::NAMED
            .iter()
            .find(|(_, known)| *known == self)
            .map(|(tag, _)| *tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_underscore_makes_a_control_tag() {
        assert_eq!(Control::of(tags::MSG), None);
        assert_eq!(Control::of(Tag::of("_Subscri")), Some(Control::Subscribe));
        assert_eq!(Control::of(Tag::of("_Whateve")), Some(Control::Unknown));
        assert_eq!(Control::Always.tag(), Some(Tag::of("_Always")));
    }
}
