//! Hits as they stand on the wire; the time is big-endian, everything else little-endian.
//!
//! ```text
//! snapshot hit   | dom u32 | channel u8 | time u32 BE | tot u8 |                 10 bytes
//! triggered hit  | snapshot hit                                | mask u64 |      18 bytes
//! slice hit                | channel u8 | time u32 BE | tot u8 |                  6 bytes
//! ```

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use zerocopy::byteorder::{big_endian, little_endian};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::ids::{ChannelId, DomId};
use super::trigger::TriggerMask;

/// A hit of an event's snapshot.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct SnapshotHit {
    dom: little_endian::U32,
    channel: u8,
    time: big_endian::U32,
    tot: u8,
}

/// A hit that took part in a trigger: a snapshot hit and the triggers it took part in.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct TriggeredHit {
    hit: SnapshotHit,
    mask: little_endian::U64,
}

/// A hit of a time slice; its DOM is that of the super frame.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct SliceHit {
    channel: u8,
    time: big_endian::U32,
    tot: u8,
}

impl SnapshotHit {
    /// Makes a hit; `time_ns` counts from the frame start, `tot_ns` is the time over threshold.
    pub fn new(dom_id: DomId, channel: ChannelId, time_ns: u32, tot_ns: u8) -> Self {
        Self {
            dom: dom_id.0.into(),
            channel: channel.0,
            time: time_ns.into(),
            tot: tot_ns,
        }
    }

    /// Returns the DOM.
    pub fn dom_id(&self) -> DomId {
        DomId(self.dom.get())
    }

    /// Returns the channel; above 30 only in damaged data.
    pub fn channel(&self) -> ChannelId {
        ChannelId(self.channel)
    }

    /// Returns the time since the frame start, in ns.
    pub fn time_ns(&self) -> u32 {
        self.time.get()
    }

    /// Returns the time over threshold, in ns.
    pub fn tot_ns(&self) -> u8 {
        self.tot
    }
}

impl TriggeredHit {
    /// Makes a triggered hit.
    pub fn new(hit: SnapshotHit, mask: TriggerMask) -> Self {
        Self {
            hit,
            mask: mask.0.into(),
        }
    }

    /// Returns the hit as it also occurs in the snapshot.
    pub fn hit(&self) -> &SnapshotHit {
        &self.hit
    }

    /// Returns the DOM.
    pub fn dom_id(&self) -> DomId {
        self.hit.dom_id()
    }

    /// Returns the channel; above 30 only in damaged data.
    pub fn channel(&self) -> ChannelId {
        self.hit.channel()
    }

    /// Returns the time since the frame start, in ns.
    pub fn time_ns(&self) -> u32 {
        self.hit.time_ns()
    }

    /// Returns the time over threshold, in ns.
    pub fn tot_ns(&self) -> u8 {
        self.hit.tot_ns()
    }

    /// Returns the triggers that this hit took part in.
    pub fn trigger_mask(&self) -> TriggerMask {
        TriggerMask(self.mask.get())
    }
}

impl SliceHit {
    /// Makes a hit; `time_ns` counts from the frame start, `tot_ns` is the time over threshold.
    pub fn new(channel: ChannelId, time_ns: u32, tot_ns: u8) -> Self {
        Self {
            channel: channel.0,
            time: time_ns.into(),
            tot: tot_ns,
        }
    }

    /// Returns the channel; above 30 only in damaged data.
    pub fn channel(&self) -> ChannelId {
        ChannelId(self.channel)
    }

    /// Returns the time since the frame start, in ns.
    pub fn time_ns(&self) -> u32 {
        self.time.get()
    }

    /// Returns the time over threshold, in ns.
    pub fn tot_ns(&self) -> u8 {
        self.tot
    }
}

impl Serialize for SnapshotHit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("SnapshotHit", 4)?;
        map.serialize_field("dom_id", &self.dom_id())?;
        map.serialize_field("channel", &self.channel())?;
        map.serialize_field("time_ns", &self.time_ns())?;
        map.serialize_field("tot_ns", &self.tot_ns())?;
        map.end()
    }
}

impl Serialize for TriggeredHit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("TriggeredHit", 5)?;
        map.serialize_field("dom_id", &self.dom_id())?;
        map.serialize_field("channel", &self.channel())?;
        map.serialize_field("time_ns", &self.time_ns())?;
        map.serialize_field("tot_ns", &self.tot_ns())?;
        map.serialize_field("trigger_mask", &self.trigger_mask())?;
        map.end()
    }
}

impl Serialize for SliceHit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("SliceHit", 3)?;
        map.serialize_field("channel", &self.channel())?;
        map.serialize_field("time_ns", &self.time_ns())?;
        map.serialize_field("tot_ns", &self.tot_ns())?;
        map.end()
    }
}
