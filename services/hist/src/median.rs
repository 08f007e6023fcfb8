//! Order statistics of a handful of numbers.

/// Returns the median of the finite numbers, or `None` without any.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted = finite(values);
    let middle = sorted.len().checked_sub(1)? / 2;
    let even = sorted.len().is_multiple_of(2);
    let (_, &mut low, above) = sorted.select_nth_unstable_by(middle, f64::total_cmp);
    let next = above.iter().copied().min_by(f64::total_cmp);
    Some(match next {
        Some(high) if even => low.midpoint(high),
        _ => low,
    })
}

/// Returns the number below which a fraction (0 to 1) of the finite numbers lies, by nearest rank.
pub fn quantile(values: impl IntoIterator<Item = f64>, fraction: f64) -> Option<f64> {
    let mut sorted = finite(values);
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank within the list"
    )]
    let rank = (fraction.clamp(0.0, 1.0) * last as f64).round() as usize;
    let (_, &mut value, _) = sorted.select_nth_unstable_by(rank.min(last), f64::total_cmp);
    Some(value)
}

fn finite(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    values.into_iter().filter(|v| v.is_finite()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median([]), None);
        assert_eq!(median([5.0]), Some(5.0));
        assert_eq!(median([9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median([4.0, 1.0, f64::NAN, 2.0, 9.0]), Some(3.0));
        assert_eq!(median([f64::INFINITY, 1.0, 3.0]), Some(2.0));
    }

    #[test]
    fn the_90_percent_quantile_of_eleven_numbers_is_the_tenth() {
        assert_eq!(quantile((0..=10).map(f64::from), 0.9), Some(9.0));
        // The nearest rank: 0.26 of ten steps are 2.6.
        assert_eq!(quantile((0..=10).map(f64::from), 0.26), Some(3.0));
        assert_eq!(quantile([], 0.5), None);
    }
}
