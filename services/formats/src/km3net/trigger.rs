//! The bits of trigger masks.

use std::fmt;

/// A set of triggers, of an event or of one of its hits; bit *n* stands for trigger number *n*.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TriggerMask(pub u64);

impl TriggerMask {
    /// Bit of the 3D shower trigger.
    pub const SHOWER_3D_BIT: u32 = 1;
    /// Bit of the mixed shower trigger.
    pub const SHOWER_MX_BIT: u32 = 2;
    /// Bit of the 3D muon trigger.
    pub const MUON_3D_BIT: u32 = 4;
    /// Bit of the nano-beacon trigger.
    pub const NANO_BEACON_BIT: u32 = 5;
    /// Bit that says the event stopped at the largest number of hits.
    pub const FACTORY_LIMIT_BIT: u32 = 31;

    /// Returns whether trigger number `bit` is set.
    pub fn has(self, bit: u32) -> bool {
        self.0.checked_shr(bit).is_some_and(|rest| rest & 1 == 1)
    }

    /// Returns whether the 3D shower trigger fired.
    pub fn is_3d_shower(self) -> bool {
        self.has(Self::SHOWER_3D_BIT)
    }

    /// Returns whether the mixed shower trigger fired.
    pub fn is_mx_shower(self) -> bool {
        self.has(Self::SHOWER_MX_BIT)
    }

    /// Returns whether the 3D muon trigger fired.
    pub fn is_3d_muon(self) -> bool {
        self.has(Self::MUON_3D_BIT)
    }

    /// Returns whether the nano-beacon trigger fired.
    pub fn is_nano_beacon(self) -> bool {
        self.has(Self::NANO_BEACON_BIT)
    }

    /// Returns whether the event stopped at the largest number of hits.
    pub fn is_factory_limit(self) -> bool {
        self.has(Self::FACTORY_LIMIT_BIT)
    }
}

impl fmt::Debug for TriggerMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TriggerMask({:#x})", self.0)
    }
}

impl serde::Serialize for TriggerMask {
    /// A decimal string: 64 bits do not fit into a JSON number.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_0x12_is_3d_shower_and_3d_muon() {
        let mask = TriggerMask(0x12);
        assert!(mask.is_3d_shower() && mask.is_3d_muon());
        assert!(!mask.is_mx_shower() && !mask.is_nano_beacon() && !mask.is_factory_limit());
        assert!(TriggerMask(0x8000_0016).is_factory_limit());
        assert!(!TriggerMask(u64::MAX).has(64));
    }
}
