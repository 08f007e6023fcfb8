//! A positive number in 16 bits with a constant relative step, for long histories.

use serde::{Deserialize, Serialize};

/// Numbers from 1 to 100 million in logarithmic steps of 0.028 %; 0 is exact, and there is a code
/// for "nothing".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogCode(pub u16);

/// Largest number that can be told apart.
const HIGH: f64 = 1.0e8;
/// Codes of numbers from 1 to [`HIGH`]: 1 to this one.
const STEPS: f64 = 65_533.0;

impl LogCode {
    /// Stands for "nothing known".
    pub const NOTHING: Self = Self(u16::MAX);

    /// Returns the nearest code; numbers below 1 become 0, what is no number becomes nothing.
    pub fn of(value: f64) -> Self {
        if value.is_nan() {
            return Self::NOTHING;
        }
        if value < 1.0 {
            return Self(0);
        }
        let step = (value.min(HIGH).ln() / HIGH.ln() * STEPS).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 65533 by the checks above"
        )]
        let code = step as u16;
        Self(code + 1)
    }

    /// Returns the number, NaN for nothing.
    pub fn value(self) -> f64 {
        match self {
            Self::NOTHING => f64::NAN,
            Self(0) => 0.0,
            Self(code) => ((f64::from(code) - 1.0) / STEPS * HIGH.ln()).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_are_kept() {
        assert_eq!(LogCode::of(0.0).value(), 0.0);
        assert_eq!(LogCode::of(1.0).value(), 1.0);
        assert_eq!(LogCode::of(1e12), LogCode::of(HIGH));
        assert!(LogCode::of(f64::NAN).value().is_nan());
        assert_ne!(LogCode::of(HIGH), LogCode::NOTHING);
    }

    proptest! {
        #[test]
        fn a_number_comes_back_within_its_step(value in 1.0..HIGH) {
            let back = LogCode::of(value).value();
            prop_assert!((back / value - 1.0).abs() < 1.5e-4, "{value} became {back}");
        }
    }
}
