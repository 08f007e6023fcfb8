//! Identifiers that must not be mixed up, and the order of channels in plots.

use std::fmt;

use serde::{Deserialize, Serialize};

/// PMTs in an optical module.
pub const CHANNELS: usize = 31;

/// Plot row of each channel inside its DOM: 0 is the PMT that looks straight down, 30 the top.
///
/// The index is the channel. Rows follow the physical address A1, B1-B6, ... F1-F6.
pub const CHANNEL_ROWS: [u8; CHANNELS] = [
    28, 23, 22, 21, 27, 29, 20, 30, 26, 25, 19, 24, 13, 7, 1, 14, 18, 12, 6, 2, 11, 8, 0, 15, 4, 3,
    5, 17, 10, 9, 16,
];

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

id! {
    /// Identifier of an optical module (or of a base module), unique in a detector.
    DomId(u32)
}
id! {
    /// Readout channel of a PMT inside its DOM, 0 to 30 in intact data.
    ChannelId(u8)
}
id! {
    /// Number of a data-taking run.
    RunNumber(i32)
}
id! {
    /// Number of a detector configuration; negative for simulations.
    DetectorId(i32)
}

impl ChannelId {
    /// Returns whether a DOM has this channel.
    pub fn is_valid(self) -> bool {
        usize::from(self.0) < CHANNELS
    }

    /// Returns the plot row of the channel, 0 at the bottom; `None` for a channel no DOM has.
    pub fn row(self) -> Option<u8> {
        CHANNEL_ROWS.get(usize::from(self.0)).copied()
    }

    /// Iterates over the channels 0 to 30.
    pub fn all() -> impl ExactSizeIterator<Item = Self> + Clone {
        (0..31_u8).map(Self)
    }

    /// Iterates over the valid channels whose bit is set in a bitmap such as the veto word.
    pub fn of_bits(bits: u32) -> impl Iterator<Item = Self> + Clone {
        let mut left = bits & super::status::CHANNEL_BITS;
        std::iter::from_fn(move || {
            // 32 when no bit is left.
            let lowest = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            u8::try_from(lowest).ok().filter(|n| *n < 32).map(Self)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_a_permutation_and_channel_22_is_at_the_bottom() {
        let mut rows = CHANNEL_ROWS.to_vec();
        rows.sort_unstable();
        assert_eq!(rows, (0..31).collect::<Vec<u8>>());
        assert_eq!(ChannelId(22).row(), Some(0));
        assert_eq!(ChannelId(7).row(), Some(30));
        assert_eq!(ChannelId(31).row(), None);
    }
}
