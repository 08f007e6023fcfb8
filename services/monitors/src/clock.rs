//! Times as monitors keep them: milliseconds since 1970 UTC.

use fathom_formats::km3net::Header;
use jiff::Timestamp;

use crate::timeline::TOLERANCE_MS;

/// Interval of outputs that change rarely: one without news is not stale for a year [s].
pub(crate) const RARELY_S: f64 = 365.0 * 86_400.0;

/// Returns the start of a frame.
pub(crate) fn ms_of_header(header: &Header) -> i64 {
    ms_of_ns(header.start_ns())
}

/// Returns nanoseconds since 1970 in milliseconds.
pub(crate) fn ms_of_ns(ns: u64) -> i64 {
    i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX)
}

/// Returns the newer of the newest time known and that of a datum. One far ahead of a datum that fits was
/// wrong: it does not stand there until the time has come.
pub(crate) fn newest(known_ms: Option<i64>, data_ms: i64) -> Option<i64> {
    let is_possible = |known: &i64| known.saturating_sub(data_ms) <= TOLERANCE_MS;
    known_ms.filter(is_possible).max(Some(data_ms))
}

/// Returns milliseconds since 1970 as a time, clamped to what a time can be.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// Returns a time for people.
pub(crate) fn text_of_ms(ms: i64) -> String {
    timestamp(ms).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns the milliseconds of a span, at least one.
pub(crate) fn ms_of(span: fathom_kernel::Span) -> i64 {
    i64::try_from(span.duration().as_millis())
        .unwrap_or(i64::MAX)
        .max(1)
}

/// Tells whether an interval of the host's clock has begun since something was done last. Intervals
/// start at whole multiples, so that the jitter of ticks does not add up.
pub(crate) fn is_due(interval: fathom_kernel::Span, done_ms: Option<i64>, now_ms: i64) -> bool {
    let number = |at_ms: i64| at_ms.div_euclid(ms_of(interval));
    done_ms.is_none_or(|at_ms| number(at_ms) != number(now_ms))
}

/// Returns milliseconds in seconds.
#[expect(clippy::cast_precision_loss, reason = "times stay far below 2^53 ms")]
pub(crate) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use fathom_kernel::Span;

    use super::is_due;

    #[test]
    fn ticks_that_come_a_little_early_do_not_skip_an_interval() {
        let mut done = None;
        let ticks = [1_000, 2_010, 3_005, 4_001, 5_000, 6_000, 7_002, 8_000];
        let drawn = ticks.into_iter().filter(|&now| {
            let due = is_due(Span::from_secs(2), done, now);
            done = if due { Some(now) } else { done };
            due
        });
        assert_eq!(
            drawn.collect::<Vec<_>>(),
            [1_000, 2_010, 4_001, 6_000, 8_000]
        );
    }
}
