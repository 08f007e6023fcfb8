//! What a time over threshold says of a hit: how late it is, and how many photoelectrons it has.

/// Time slewing in ns, index = time over threshold in ns. Small pulses cross the threshold late.
#[rustfmt::skip]
const SLEW_NS: [f64; 256] = [
    8.01, 7.52, 7.05, 6.59, 6.15, 5.74, 5.33, 4.95, 4.58, 4.22, 3.89, 3.56, 3.25, 2.95, 2.66, 2.39,
    2.12, 1.87, 1.63, 1.4, 1.19, 0.98, 0.78, 0.6, 0.41, 0.24, 0.07, -0.1, -0.27, -0.43, -0.59,
    -0.75, -0.91, -1.08, -1.24, -1.41, -1.56, -1.71, -1.85, -1.98, -2.11, -2.23, -2.35, -2.47,
    -2.58, -2.69, -2.79, -2.89, -2.99, -3.09, -3.19, -3.28, -3.37, -3.46, -3.55, -3.64, -3.72, -3.8,
    -3.88, -3.96, -4.04, -4.12, -4.2, -4.27, -4.35, -4.42, -4.49, -4.56, -4.63, -4.7, -4.77, -4.84,
    -4.9, -4.97, -5.03, -5.1, -5.16, -5.22, -5.28, -5.34, -5.4, -5.46, -5.52, -5.58, -5.63, -5.69,
    -5.74, -5.8, -5.85, -5.91, -5.96, -6.01, -6.06, -6.11, -6.16, -6.21, -6.26, -6.31, -6.36, -6.41,
    -6.45, -6.5, -6.55, -6.59, -6.64, -6.68, -6.72, -6.77, -6.81, -6.85, -6.89, -6.93, -6.98, -7.02,
    -7.06, -7.09, -7.13, -7.17, -7.21, -7.25, -7.28, -7.32, -7.36, -7.39, -7.43, -7.46, -7.5, -7.53,
    -7.57, -7.6, -7.63, -7.66, -7.7, -7.73, -7.76, -7.79, -7.82, -7.85, -7.88, -7.91, -7.94, -7.97,
    -7.99, -8.02, -8.05, -8.07, -8.1, -8.13, -8.15, -8.18, -8.2, -8.23, -8.25, -8.28, -8.3, -8.32,
    -8.34, -8.37, -8.39, -8.41, -8.43, -8.45, -8.47, -8.49, -8.51, -8.53, -8.55, -8.57, -8.59,
    -8.61, -8.62, -8.64, -8.66, -8.67, -8.69, -8.7, -8.72, -8.74, -8.75, -8.76, -8.78, -8.79, -8.81,
    -8.82, -8.83, -8.84, -8.86, -8.87, -8.88, -8.89, -8.9, -8.92, -8.93, -8.94, -8.95, -8.96, -8.97,
    -8.98, -9.0, -9.01, -9.02, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04,
    -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04,
    -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04,
    -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04, -9.04,
    -9.04, -9.04, -9.04, -9.04, -9.04, -9.04,
];

/// Returns how much too late a hit of this time over threshold is, in ns: to be subtracted from its
/// time. Negative above 26 ns.
#[expect(
    clippy::indexing_slicing,
    reason = "the table has an entry for every byte"
)]
pub fn slew_ns(tot_ns: u8) -> f64 {
    SLEW_NS[usize::from(tot_ns)]
}

/// Returns the number of photoelectrons of a hit, as the line fit counts them: nothing up to 20 ns,
/// one up to 26 ns, then 0.28 per ns; from 170 ns on the pulse saturates.
pub fn photoelectrons(tot_ns: u8) -> f64 {
    let tot = f64::from(tot_ns);
    match tot_ns {
        0..=20 => 0.0,
        21..=26 => 1.0,
        27..170 => 1.0 + 0.28 * (tot - 26.0),
        170.. => 40.0 + 2.0 * (255.0 - tot),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slewing_falls_from_8_to_minus_9_ns() {
        assert_eq!(slew_ns(0), 8.01);
        assert_eq!(slew_ns(26), 0.07);
        assert_eq!(slew_ns(27), -0.1);
        assert_eq!(slew_ns(255), -9.04);
        assert!(SLEW_NS.windows(2).all(|pair| pair[0] >= pair[1]));
    }

    #[test]
    fn photoelectrons_change_their_law_at_20_26_and_170_ns() {
        let cases = [(0, 0.0), (20, 0.0), (21, 1.0), (26, 1.0), (27, 1.28)];
        for (tot_ns, expected) in cases {
            assert_eq!(photoelectrons(tot_ns), expected, "{tot_ns}");
        }
        assert!((photoelectrons(169) - 41.04).abs() < 1e-12);
        assert_eq!(photoelectrons(170), 210.0);
        assert_eq!(photoelectrons(255), 40.0);
    }
}
