//! Round numbers and times for axes, and how they are written.

use fathom_kernel::Timestamp;

/// Most ticks of one axis, whatever the range.
const TICKS_MAX: usize = 100;

/// A place on an axis with its text; minor ticks have none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) text: String,
}

/// Returns about `wanted` round numbers within a range.
pub(super) fn linear(low: f64, high: f64, wanted: f64) -> Vec<Tick> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return Vec::new();
    }
    let step = round_step(span / wanted.max(1.0));
    // Writing an integer multiple avoids sums of rounding errors.
    let first = (low / step - 1e-9).ceil();
    let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize;
    (0..TICKS_MAX)
        .map(|n| (first + n as f64) * step)
        .take_while(|at| *at <= high + step * 1e-9)
        .map(|at| Tick {
            at,
            text: number(at, step, decimals),
        })
        .collect()
}

/// Returns all multiples of a step within a range; `None` when there are none, or too many.
pub(super) fn every(low: f64, high: f64, step: f64) -> Option<Vec<Tick>> {
    let first = (low / step - 1e-9).ceil();
    let count = (high / step + 1e-9).floor() - first + 1.0;
    if !(1.0..=TICKS_MAX as f64).contains(&count) {
        return None;
    }
    // As many decimals as the step has.
    let decimals = (0..=12).find(|n| {
        let scaled = step * 10f64.powi(*n);
        (scaled - scaled.round()).abs() < 1e-6 * scaled
    });
    let decimals = usize::try_from(decimals?).unwrap_or(0);
    let tick = |n: usize| {
        let at = (first + n as f64) * step;
        let text = number(at, step, decimals);
        Tick { at, text }
    };
    Some((0..count as usize).map(tick).collect())
}

/// Returns 1, 2 or 5 times a power of ten, at least as large as the step asked for.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let digit = rough / power;
    let round = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|r| digit <= r * (1.0 + 1e-9));
    round.unwrap_or(10.0) * power
}

fn number(at: f64, step: f64, decimals: usize) -> String {
    // A zero that is a rounding error of the step must not read "-0".
    let at = if at.abs() < step * 1e-6 { 0.0 } else { at };
    // Three digits must tell neighbours apart.
    let are_told_apart = at.abs() < 200.0 * step;
    if at != 0.0 && (at.abs() >= 1e7 || step < 1e-6) && are_told_apart {
        return format!("{at:.2e}");
    }
    format!("{at:.decimals$}").replace('-', "\u{2212}")
}

/// Returns the powers of ten within a range, and 2 and 5 times these where there are few.
pub(super) fn logarithmic(low: f64, high: f64) -> Vec<Tick> {
    if !(low > 0.0 && high > low && high.is_finite()) {
        return Vec::new();
    }
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = last - first;
    let every = (decades / 12 + 1) as usize;
    let digits: &[u32] = if high / low <= 300.0 {
        &[1, 2, 5]
    } else {
        &[1]
    };
    (first..=last)
        .step_by(every)
        .flat_map(|power| digits.iter().map(move |digit| (*digit, power)))
        .map(|(digit, power)| Tick {
            at: f64::from(digit) * 10f64.powi(power),
            text: power_text(digit, power),
        })
        .filter(|tick| (low * 0.999_999..=high * 1.000_001).contains(&tick.at))
        .take(TICKS_MAX)
        .collect()
}

/// Returns 2 to 9 times each power of ten within a range, without texts.
pub(super) fn logarithmic_minor(low: f64, high: f64) -> Vec<f64> {
    if !(low > 0.0 && high > low && high.is_finite()) || high / low > 1e8 {
        return Vec::new();
    }
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    (first..=last)
        .flat_map(|power| (2..10).map(move |digit| f64::from(digit) * 10f64.powi(power)))
        .filter(|at| (low..=high).contains(at))
        .collect()
}

fn power_text(digit: u32, power: i32) -> String {
    if (-3..=4).contains(&power) {
        let decimals = usize::try_from(-power).unwrap_or(0);
        return format!("{:.decimals$}", f64::from(digit) * 10f64.powi(power));
    }
    let raised = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => char::from_u32(0x2070 + c.to_digit(10).unwrap_or(0)).unwrap_or(c),
    };
    let exponent: String = power.to_string().chars().map(raised).collect();
    if digit == 1 {
        format!("10{exponent}")
    } else {
        format!("{digit}·10{exponent}")
    }
}

/// Steps of time axes (s), and how many minor steps each has.
const TIME_STEPS: [(i64, i64); 20] = [
    (1, 5),
    (2, 2),
    (5, 5),
    (10, 5),
    (15, 3),
    (30, 3),
    (60, 4),
    (120, 2),
    (300, 5),
    (600, 5),
    (900, 3),
    (1_800, 3),
    (3_600, 4),
    (7_200, 4),
    (10_800, 3),
    (21_600, 6),
    (43_200, 6),
    (86_400, 4),
    (172_800, 2),
    (604_800, 7),
];

/// Ticks of a time axis.
#[derive(Debug, Default)]
pub(super) struct TimeTicks {
    pub(super) major: Vec<Tick>,
    pub(super) minor: Vec<f64>,
}

/// Returns about `wanted` round times within a range (ms). With `dates` each text has its date;
/// otherwise a text has the date only where the day changes.
pub(super) fn time(low_ms: f64, high_ms: f64, wanted: f64, dates: bool) -> TimeTicks {
    let span_s = (high_ms - low_ms) / 1_000.0;
    if !span_s.is_finite() || span_s <= 0.0 {
        return TimeTicks::default();
    }
    let rough = span_s / wanted.max(1.0);
    let fits = TIME_STEPS
        .into_iter()
        .find(|(step, _)| *step as f64 >= rough);
    // Beyond weeks: whole multiples of a week.
    let weeks = (
        604_800 * (rough / 604_800.0).ceil().clamp(1.0, 1e6) as i64,
        1,
    );
    let (step_s, parts) = fits.unwrap_or(weeks);
    let multiples = |step_ms: f64| {
        let first = (low_ms / step_ms).ceil();
        (0..TICKS_MAX * 8)
            .map(move |n| (first + n as f64) * step_ms)
            .take_while(move |at| *at <= high_ms)
    };
    let mut day = None;
    let major = multiples(step_s as f64 * 1_000.0).filter_map(|at| {
        let stamp = Timestamp::from_millisecond(at as i64).ok()?;
        let today = (at / 86_400_000.0).floor() as i64;
        let new_day = day.replace(today) != Some(today);
        let text = stamp
            .strftime(time_format(step_s, dates, new_day))
            .to_string();
        Some(Tick { at, text })
    });
    TimeTicks {
        major: major.collect(),
        minor: multiples(step_s as f64 * 1_000.0 / parts as f64).collect(),
    }
}

fn time_format(step_s: i64, dates: bool, new_day: bool) -> &'static str {
    match (step_s, dates || new_day) {
        (86_400.., _) => "%Y-%m-%d",
        (60.., true) => "%Y-%m-%d %H:%M",
        (60.., false) => "%H:%M",
        (_, true) => "%m-%d %H:%M:%S",
        (_, false) => "%H:%M:%S",
    }
}

/// Writes a count with thin gaps between thousands.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// Writes a value with four digits that matter.
pub(super) fn value(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = match size {
        s if s >= 1_000.0 => 0,
        s if s >= 100.0 => 1,
        s if s >= 10.0 => 2,
        s if s >= 1.0 || s == 0.0 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_within_the_range() {
        assert_eq!(
            texts(&linear(0.0, 1.0, 5.0)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(texts(&linear(-3.0, 3.0, 3.0)), ["−2", "0", "2"]);
        assert_eq!(
            texts(&linear(150.0, 350.0, 4.0)),
            ["150", "200", "250", "300", "350"]
        );
        // Round-trip times in ps: only the last digits of a large number change.
        let near = texts(&linear(503_494_450.0, 503_494_650.0, 4.0)).join(" ");
        assert_eq!(near, "503494450 503494500 503494550 503494600 503494650");
        assert_eq!(texts(&linear(0.0, 4e8, 4.0))[1], "1.00e8");
        assert!(linear(1.0, 1.0, 5.0).is_empty());
        assert!(linear(f64::NAN, 1.0, 5.0).is_empty());
        assert!(linear(0.0, f64::INFINITY, 5.0).is_empty());
    }

    #[test]
    fn told_ticks_are_multiples_of_their_step() {
        let every = |low, high, step| every(low, high, step).map(|ticks| texts(&ticks).join(" "));
        assert_eq!(every(-10.0, 60.0, 25.0).unwrap(), "0 25 50");
        assert_eq!(every(0.9, 2.0, 0.25).unwrap(), "1.00 1.25 1.50 1.75 2.00");
        assert_eq!(every(1.0, 2.0, 25.0), None);
        assert_eq!(every(0.0, 1e9, 25.0), None);
        assert_eq!(every(0.0, f64::INFINITY, 25.0), None);
        assert_eq!(every(f64::NAN, 1.0, 25.0), None);
    }

    #[test]
    fn logarithmic_ticks_are_powers_of_ten() {
        assert_eq!(
            texts(&logarithmic(0.01, 100.0)),
            ["0.01", "0.1", "1", "10", "100"]
        );
        assert_eq!(texts(&logarithmic(1.0, 10.0)), ["1", "2", "5", "10"]);
        assert_eq!(texts(&logarithmic(1e5, 1e9)).first(), Some(&"10⁵"));
        assert!(logarithmic(0.0, 1.0).is_empty());
    }

    #[test]
    fn time_ticks_are_full_hours_and_name_the_day_when_it_changes() {
        let start = 1_700_000_000_000.0; // 2023-11-14 22:13:20
        let ticks = time(start, start + 4.0 * 3_600_000.0, 4.0, false);
        let expected = ["2023-11-14 23:00", "2023-11-15 00:00", "01:00", "02:00"];
        assert_eq!(texts(&ticks.major), expected);
        assert_eq!(ticks.minor.len(), 16);
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(grouped(1_234_567), "1\u{a0}234\u{a0}567");
        assert_eq!(grouped(0), "0");
        assert_eq!(
            (value(6.54321), value(12_345.6)),
            ("6.543".into(), "12346".into())
        );
        assert_eq!(value(f64::NAN), "–");
    }
}
