//! How the 31 PMTs sit in an optical module.

use crate::km3net::{CHANNEL_ROWS, CHANNELS};

/// Distance of the PMTs from the centre of the module, in m.
pub const DOM_RADIUS_M: f64 = 0.2;

/// Zenith angles of the rings B to F, in degrees; the one PMT of ring A looks straight down.
const RING_ZENITHS_DEG: [f64; 5] = [148.2, 123.7, 107.2, 72.8, 56.3];
/// Azimuth of the first PMT of rings B, D and F, in degrees.
const AZIMUTH_BDF_DEG: f64 = 165.0;
/// Azimuth of the first PMT of rings C and E, in degrees.
const AZIMUTH_CE_DEG: f64 = 135.0;

/// Returns where the PMTs of an unrotated module look, index = channel.
pub fn pmt_directions() -> [[f64; 3]; CHANNELS] {
    CHANNEL_ROWS.map(row_direction)
}

/// Returns the direction of a plot row: A1, then six PMTs per ring, each 60 degrees further.
fn row_direction(row: u8) -> [f64; 3] {
    let Some(behind_a) = row.checked_sub(1) else {
        return [0.0, 0.0, -1.0];
    };
    let (ring, number) = (behind_a / 6, behind_a % 6);
    let zenith_deg = RING_ZENITHS_DEG
        .get(usize::from(ring))
        .copied()
        .unwrap_or(180.0);
    let first_deg = if ring % 2 == 0 {
        AZIMUTH_BDF_DEG
    } else {
        AZIMUTH_CE_DEG
    };
    let azimuth = (first_deg - 60.0 * f64::from(number)).to_radians();
    let (sin_z, cos_z) = zenith_deg.to_radians().sin_cos();
    [sin_z * azimuth.cos(), sin_z * azimuth.sin(), cos_z]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_22_looks_down_and_higher_rows_look_higher() {
        let directions = pmt_directions();
        assert_eq!(directions[22], [0.0, 0.0, -1.0]);
        let mut by_row: Vec<(u8, f64)> = CHANNEL_ROWS
            .iter()
            .zip(&directions)
            .map(|(row, d)| (*row, d[2]))
            .collect();
        by_row.sort_by_key(|(row, _)| *row);
        assert!(by_row.is_sorted_by(|(_, low), (_, high)| low <= &(high + 1e-12)));
        assert!(
            directions
                .iter()
                .all(|d| (d.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-12)
        );
    }
}
