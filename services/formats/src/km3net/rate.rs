//! The one-byte logarithmic rate code of summary slices.

use std::sync::LazyLock;

/// Rates up to this one have code 0, in Hz.
pub const RATE_MIN_HZ: f64 = 2.0e3;
/// Rates from this one on have code 255, in Hz.
pub const RATE_MAX_HZ: f64 = 2.0e6;

static RATES_HZ: LazyLock<[f64; 256]> = LazyLock::new(|| {
    let mut table = [0.0; 256];
    for (code, rate) in table.iter_mut().enumerate().skip(1) {
        *rate = RATE_MIN_HZ * (code as f64 * 1000.0_f64.ln() / 255.0).exp();
    }
    table
});

/// Returns the table of all rates, in Hz, index = code.
pub fn rate_table() -> &'static [f64; 256] {
    &RATES_HZ
}

/// Returns the rate of a code, in Hz; 0 for code 0, which means "not above 2 kHz".
pub fn rate_hz(code: u8) -> f64 {
    of_table(&RATES_HZ, code)
}

/// Looks a code up in the table, for those who look up many.
pub(super) fn of_table(table: &[f64; 256], code: u8) -> f64 {
    table.get(usize::from(code)).copied().unwrap_or_default()
}

/// Returns the code nearest to a rate, in Hz; 0 for what is no number.
pub fn rate_code(rate_hz: f64) -> u8 {
    if rate_hz.is_nan() || rate_hz <= RATE_MIN_HZ {
        return 0;
    }
    if rate_hz >= RATE_MAX_HZ {
        return 255;
    }
    let step = 1000.0_f64.ln() / 255.0;
    let code = ((rate_hz / RATE_MIN_HZ).ln() / step + 0.5).floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 255 by the checks above"
    )]
    let code = code as u8;
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_round_trip() {
        for code in 0..=255 {
            assert_eq!(rate_code(rate_hz(code)), code);
        }
    }

    #[test]
    fn rates_outside_the_range_take_the_end_codes() {
        assert_eq!(rate_code(-1.0), 0);
        assert_eq!(rate_code(2000.0), 0);
        assert_eq!(rate_code(f64::NAN), 0);
        assert_eq!(rate_code(f64::INFINITY), 255);
    }
}
