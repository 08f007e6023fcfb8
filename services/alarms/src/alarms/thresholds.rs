//! Limits of outputs: single numbers, and the last points of curves.

use fathom_kernel::view::View;
use fathom_kernel::{Board, Output};

use super::options::Threshold;
use super::watch::{Finding, Verdict};

/// Most subjects of all limits together; a pattern may fit any number of curves.
const SUBJECTS_MAX: usize = 10_000;

/// Judges the outputs on the board.
pub(crate) fn outputs(board: &Board, thresholds: &[Threshold]) -> Vec<Finding> {
    if thresholds.is_empty() {
        return Vec::new();
    }
    let entries = board.entries();
    let findings = entries.iter().flat_map(|entry| {
        let fitting = thresholds.iter();
        let fitting = fitting.filter(|threshold| threshold.output.fits(&entry.output.name));
        fitting.flat_map(|threshold| judge(&entry.output, threshold))
    });
    findings.take(SUBJECTS_MAX).collect()
}

fn judge(output: &Output, threshold: &Threshold) -> Vec<Finding> {
    let judged = |subject: String, value: Option<f64>, unit: &str| Finding {
        rule: threshold.rule.clone(),
        verdict: verdict(&subject, value, unit, threshold),
        subject,
    };
    match &output.view {
        View::Scalar(scalar) => {
            let value = Some(scalar.value).filter(|value| value.is_finite());
            vec![judged(output.name.clone(), value, &scalar.unit)]
        }
        View::Series(series) => {
            let curves = series.curves.iter();
            let curves = curves.filter(|curve| threshold.curve.fits(&curve.name));
            curves
                .map(|curve| {
                    let last = curve.values.iter().rev().find(|value| value.is_finite());
                    let subject = format!("{} {}", output.name, curve.name);
                    judged(subject, last.copied(), &series.y_label)
                })
                .collect()
        }
        View::Map(_)
        | View::Image(_)
        | View::Histogram(_)
        | View::Table(_)
        | View::Panels(_)
        | View::HitMap(_) => Vec::new(),
    }
}

fn verdict(subject: &str, value: Option<f64>, unit: &str, threshold: &Threshold) -> Verdict {
    let Some(value) = value else {
        return Verdict::Unknown;
    };
    let above = threshold.above.filter(|limit| value > *limit);
    let below = threshold.below.filter(|limit| value < *limit);
    let outside = above.map(|limit| ("above", limit));
    match outside.or(below.map(|limit| ("below", limit))) {
        Some((side, limit)) => {
            let text = format!("{subject} is {value} {unit}, {side} {limit}");
            Verdict::Bad(threshold.severity, text)
        }
        None => Verdict::Good,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fathom_kernel::Severity;
    use fathom_kernel::view::{Curve, Scalar, Series};
    use jiff::Timestamp;

    use super::*;

    fn judged(view: impl Into<View>, threshold: &str) -> Vec<(String, Verdict)> {
        let board = Board::default();
        let output = Output::new("rate", "Rate", view);
        assert!(board.put(&Arc::from("m"), output, Timestamp::UNIX_EPOCH));
        let threshold: Threshold = serde_json::from_str(threshold).unwrap();
        let findings = outputs(&board, &[threshold]).into_iter();
        findings
            .map(|finding| (finding.subject, finding.verdict))
            .collect()
    }

    #[test]
    fn a_number_is_compared_with_both_limits() {
        let judge = |value| {
            let scalar = Scalar {
                value,
                unit: "Hz".into(),
            };
            let limits = r#"{"output": "ra*", "above": 5, "below": 1, "severity": "alert"}"#;
            judged(scalar, limits).remove(0).1
        };
        let above = "rate is 6 Hz, above 5".to_owned();
        assert_eq!(judge(6.0), Verdict::Bad(Severity::Alert, above));
        assert!(matches!(judge(0.5), Verdict::Bad(..)));
        assert_eq!(judge(5.0), Verdict::Good);
        assert_eq!(judge(f64::NAN), Verdict::Unknown);
    }

    #[test]
    fn the_last_known_point_of_each_curve_counts() {
        let curve = |name: &str, values: Vec<f64>| Curve {
            name: name.into(),
            values,
            ..Curve::default()
        };
        let series = Series {
            times_ms: vec![1, 2],
            curves: vec![
                curve("A", vec![9.0, 1.0]),
                curve("B", vec![9.0, f64::NAN]),
                curve("other", vec![9.0, 9.0]),
            ],
            ..Series::default()
        };
        let found = judged(series, r#"{"output": "rate", "curve": "?", "above": 5}"#);
        assert_eq!(found[0], ("rate A".to_owned(), Verdict::Good));
        assert!(matches!(&found[1], (name, Verdict::Bad(..)) if name == "rate B"));
        assert_eq!(found.len(), 2);
    }
}
