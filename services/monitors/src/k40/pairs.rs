//! Pairs of PMTs of one module: their order, angles and expected rates.

use fathom_formats::km3net::CHANNELS;

/// Pairs (i, j) of channels with i < j.
pub const PAIRS: usize = CHANNELS * (CHANNELS - 1) / 2;

/// Coefficients of the logarithm of the genuine rate over the cosine of the angle, in rising powers;
/// the parametrisation of KM3NeT for two 3" PMTs of efficiency 1.
const RATE_COEFFICIENTS: [f64; 4] = [-0.723_373_94, 2.591_963_35, -0.435_941_82, 1.105_149_14];

/// Where the pairs of each lower channel begin, so that `ROWS[i] + j - 1` is the index of (i, j).
pub(super) const ROWS: [u16; CHANNELS + 1] = rows();

/// All pairs in their order.
const LIST: [(u8, u8); PAIRS] = list();

/// Returns the index of a pair, the lower channel first: 30 i - i (i + 1) / 2 + j - 1.
pub fn pair_index(i: usize, j: usize) -> usize {
    usize::from(ROWS[i]) + j - 1
}

/// Returns the channels of all pairs in the order of [`pair_index`]: (0, 1), (0, 2) .. (29, 30).
pub fn pair_list() -> &'static [(u8, u8); PAIRS] {
    &LIST
}

/// Returns the cosine of the angle between the directions of each pair; NaN where a PMT has none.
pub fn cos_angles(directions: &[[f64; 3]; CHANNELS]) -> [f64; PAIRS] {
    let unit = directions.map(|[x, y, z]| {
        let length = (x * x + y * y + z * z).sqrt();
        [x / length, y / length, z / length]
    });
    LIST.map(|(i, j)| {
        let ([ax, ay, az], [bx, by, bz]) = (unit[usize::from(i)], unit[usize::from(j)]);
        (ax * bx + ay * by + az * bz).clamp(-1.0, 1.0)
    })
}

/// Returns the rate of genuine coincidences of two PMTs of efficiency 1 (Hz).
pub fn expected_rate_hz(cos_angle: f64) -> f64 {
    let [p1, p2, p3, p4] = RATE_COEFFICIENTS;
    (p1 + cos_angle * (p2 + cos_angle * (p3 + cos_angle * p4))).exp()
}

#[expect(clippy::cast_possible_truncation, reason = "below 465")]
const fn rows() -> [u16; CHANNELS + 1] {
    let mut rows = [0; CHANNELS + 1];
    let mut i = 0;
    while i < CHANNELS {
        rows[i] = ((CHANNELS - 1) * i - i * (i + 1) / 2) as u16;
        i += 1;
    }
    rows
}

#[expect(clippy::cast_possible_truncation, reason = "channels are below 31")]
const fn list() -> [(u8, u8); PAIRS] {
    let mut list = [(0, 0); PAIRS];
    let (mut at, mut i) = (0, 0);
    while i < CHANNELS {
        let mut j = i + 1;
        while j < CHANNELS {
            list[at] = (i as u8, j as u8);
            at += 1;
            j += 1;
        }
        i += 1;
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_numbered_row_by_row() {
        for (at, (i, j)) in pair_list().iter().enumerate() {
            assert_eq!(pair_index(usize::from(*i), usize::from(*j)), at);
        }
        assert_eq!(pair_list()[..2], [(0, 1), (0, 2)]);
        assert_eq!(pair_list()[464], (29, 30));
    }

    #[test]
    fn opposite_pmts_have_cosine_minus_one_and_8_mhz() {
        let mut directions = [[0.0, 0.0, 2.0]; CHANNELS];
        directions[3] = [0.0, 0.0, -0.5];
        directions[4] = [0.0; 3];
        let cosines = cos_angles(&directions);
        assert_eq!(cosines[pair_index(0, 3)], -1.0);
        assert_eq!(cosines[pair_index(0, 1)], 1.0);
        assert!(cosines[pair_index(4, 5)].is_nan());
        // By hand: exp(-0.72337394 - 2.59196335 - 0.43594182 - 1.10514914) = exp(-4.85642825).
        assert!((expected_rate_hz(-1.0) - 0.007_77).abs() < 1e-4);
    }
}
