//! Angles: circular mean and median, and a compact form for long histories.

use fathom_hist::median;

/// Returns the shortest way from one angle to another, -180 to 180 (deg).
pub(super) fn difference_deg(to_deg: f64, from_deg: f64) -> f64 {
    let turn = (to_deg - from_deg).rem_euclid(360.0);
    if turn > 180.0 { turn - 360.0 } else { turn }
}

/// Returns the median of angles along the circle, cut opposite to their mean (deg).
pub(super) fn median_deg(angles_deg: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    let mut circle = Circle::default();
    angles_deg.clone().for_each(|angle| circle.add(angle));
    let mean_deg = circle.mean_deg()?;
    let turns = angles_deg.map(|angle| difference_deg(angle, mean_deg));
    Some((mean_deg + median(turns)?).rem_euclid(360.0))
}

/// Angles summed as unit vectors.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Circle {
    sin: f64,
    cos: f64,
    count: u32,
}

impl Circle {
    /// Adds an angle (deg).
    pub(super) fn add(&mut self, angle_deg: f64) {
        let (sin, cos) = angle_deg.to_radians().sin_cos();
        self.sin += sin;
        self.cos += cos;
        self.count += 1;
    }

    /// Returns the direction of the mean vector, `None` without angles (deg).
    pub(super) fn mean_deg(&self) -> Option<f64> {
        let mean = self.sin.atan2(self.cos).to_degrees();
        (self.count > 0).then_some(mean)
    }

    /// Returns the mean in its compact form.
    pub(super) fn code(&self) -> AngleCode {
        self.mean_deg().map_or(AngleCode::NOTHING, AngleCode::of)
    }
}

/// An angle in 16 bits, in steps of 0.0055 degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AngleCode(pub(super) u16);

/// Codes of a whole turn.
const CODES: f64 = 65_535.0;

impl AngleCode {
    /// Stands for "nothing known".
    pub(super) const NOTHING: Self = Self(u16::MAX);

    /// Returns the nearest code of an angle (deg).
    pub(super) fn of(angle_deg: f64) -> Self {
        if !angle_deg.is_finite() {
            return Self::NOTHING;
        }
        let turn = angle_deg.rem_euclid(360.0) / 360.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 65534 by the remainder"
        )]
        let code = ((turn * CODES).round() % CODES) as u16;
        Self(code)
    }

    /// Returns the angle, 0 to 360, NaN for nothing (deg).
    pub(super) fn deg(self) -> f64 {
        match self {
            Self::NOTHING => f64::NAN,
            Self(code) => f64::from(code) / CODES * 360.0,
        }
    }

    /// Returns the angle, -180 to 180, NaN for nothing (deg).
    pub(super) fn signed_deg(self) -> f64 {
        let deg = self.deg();
        if deg > 180.0 { deg - 360.0 } else { deg }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_medians_of_yaw_do_not_fall_for_the_north() {
        let mut circle = Circle::default();
        assert_eq!(circle.mean_deg(), None);
        [350.0, 10.0, 3.0]
            .iter()
            .for_each(|angle| circle.add(*angle));
        assert!((circle.mean_deg().unwrap() - 1.0).abs() < 0.05);
        let median = median_deg([350.0, 10.0, 3.0].into_iter()).unwrap();
        assert!((median - 3.0).abs() < 1e-9, "{median}");
        assert_eq!(difference_deg(2.0, 358.0), 4.0);
        assert_eq!(difference_deg(358.0, 2.0), -4.0);
        assert_eq!(difference_deg(180.0, 0.0), 180.0);
        // From 0 to 360 whatever the mean is.
        let median = median_deg([358.0, 359.0, 1.0].into_iter()).unwrap();
        assert!((median - 359.0).abs() < 1e-9, "{median}");
    }

    #[test]
    fn an_angle_comes_back_within_its_step() {
        for angle in [0.0, 0.004, 179.99, 180.0, 359.999, -7.790_457, 720.5] {
            let code = AngleCode::of(angle);
            assert!(difference_deg(code.deg(), angle).abs() < 0.003, "{angle}");
        }
        assert_eq!(AngleCode::of(359.999_9), AngleCode(0));
        assert!(AngleCode::of(f64::NAN).deg().is_nan());
        assert!((AngleCode::of(-5.0).signed_deg() + 5.0).abs() < 0.003);
        assert!((AngleCode::of(180.5).signed_deg() + 179.5).abs() < 0.003);
    }
}
