//! Decodes the body of any tag.

use crate::controlhost::{Tag, tags};

use super::error::PayloadError;
use super::event::Event;
use super::header::{Header, Versioning};
use super::msg::LogMessage;
use super::oline::OnlineReco;
use super::summary::SummarySlice;
use super::timeslice::{SliceLevel, TimeSlice};
use super::tmch::Tmch;
use super::toa::Arrival;

/// A decoded body.
#[derive(Debug, Clone)]
pub enum Payload<'a> {
    /// `IO_EVT`
    Event(Event<'a>),
    /// `IO_SUM`
    Summary(SummarySlice<'a>),
    /// `IO_TSL0`, `IO_TSL1`, `IO_TSL2`, `IO_TSSN`
    TimeSlice(TimeSlice<'a>),
    /// `IO_MONIT`
    Monitoring(Tmch<'a>),
    /// `IO_OLINE`
    Online(OnlineReco),
    /// `IO_TOA`
    Arrivals(Vec<Arrival>),
    /// `MSG`
    Message(LogMessage<'a>),
    /// A tag whose format is not known.
    Opaque(&'a [u8]),
}

impl<'a> Payload<'a> {
    /// Decodes a body of today's form by its tag.
    pub fn decode(tag: Tag, body: &'a [u8]) -> Result<Self, PayloadError> {
        Self::decode_with(tag, body, Versioning::Current)
    }

    /// Decodes a body of the forms asked for by its tag.
    pub fn decode_with(
        tag: Tag,
        body: &'a [u8],
        versioning: Versioning,
    ) -> Result<Self, PayloadError> {
        if let Some(level) = SliceLevel::of_tag(tag) {
            return TimeSlice::decode_with(level, body, versioning).map(Self::TimeSlice);
        }
        match tag {
            tags::IO_EVT => Event::decode_with(body, versioning).map(Self::Event),
            tags::IO_SUM => SummarySlice::decode(body).map(Self::Summary),
            tags::IO_MONIT => Tmch::decode(body).map(Self::Monitoring),
            tags::IO_OLINE => OnlineReco::decode(body).map(Self::Online),
            tags::IO_TOA => Arrival::decode(body).map(Self::Arrivals),
            tags::MSG => Ok(Self::Message(LogMessage::decode(body))),
            _ => Ok(Self::Opaque(body)),
        }
    }

    /// Returns the digest over the values; `None` for payloads that have none.
    pub fn digest(&self) -> Option<String> {
        match self {
            Self::Event(event) => Some(event.digest()),
            Self::Summary(slice) => Some(slice.digest()),
            Self::TimeSlice(slice) => Some(slice.digest()),
            Self::Monitoring(_)
            | Self::Online(_)
            | Self::Arrivals(_)
            | Self::Message(_)
            | Self::Opaque(_) => None,
        }
    }

    /// Returns the common header of events and slices.
    pub fn header(&self) -> Option<&Header> {
        match self {
            Self::Event(event) => Some(&event.header),
            Self::Summary(slice) => Some(&slice.header),
            Self::TimeSlice(slice) => Some(&slice.header),
            Self::Monitoring(_)
            | Self::Online(_)
            | Self::Arrivals(_)
            | Self::Message(_)
            | Self::Opaque(_) => None,
        }
    }
}
