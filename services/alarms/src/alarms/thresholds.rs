//! Limits of outputs: single numbers, and the last points of curves.

use std::collections::BTreeSet;

use fathom_kernel::view::View;
use fathom_kernel::{Board, Output, Severity};

use super::options::Threshold;
use super::watch::{Finding, Verdict};

/// Most subjects of all limits together; a pattern may fit any number of curves.
const SUBJECTS_MAX: usize = 10_000;

/// Rule of limits that no output is held against.
const UNUSED: &str = "threshold_unused";

/// Judges the outputs on the board. `held` are the rules and subjects that are bad so far. `is_early`
/// says that monitors may not have shown their outputs yet: what cannot be judged may be later.
pub(crate) fn outputs(
    board: &Board,
    thresholds: &[Threshold],
    held: &BTreeSet<(String, String)>,
    is_early: bool,
) -> Vec<Finding> {
    if thresholds.is_empty() {
        return Vec::new();
    }
    let entries = board.entries();
    let mut findings = Vec::new();
    for threshold in thresholds {
        let fitting = entries.iter().map(|entry| &*entry.output);
        let fitting: Vec<&Output> = fitting
            .filter(|output| threshold.output.fits(&output.name))
            .collect();
        let judged: Vec<Finding> = fitting
            .iter()
            .flat_map(|output| judge(output, threshold))
            .collect();
        findings.push(Finding {
            rule: UNUSED.to_owned(),
            subject: about(threshold),
            verdict: unused(threshold, &fitting, judged.is_empty(), is_early),
        });
        findings.extend(judged);
    }
    findings.truncate(SUBJECTS_MAX);
    if is_early {
        let names = |finding: &Finding| (finding.rule.clone(), finding.subject.clone());
        let judged: BTreeSet<_> = findings.iter().map(names).collect();
        let is_limit = |rule: &str| thresholds.iter().any(|threshold| threshold.rule == rule);
        let waiting = held.difference(&judged).filter(|(rule, _)| is_limit(rule));
        findings.extend(waiting.map(|(rule, subject)| Finding {
            rule: rule.clone(),
            subject: subject.clone(),
            verdict: Verdict::Unknown,
        }));
    }
    findings
}

fn about(threshold: &Threshold) -> String {
    let Threshold { output, curve, .. } = threshold;
    match curve.as_str() {
        "*" => output.to_string(),
        curve => format!("{output} {curve}"),
    }
}

/// Says that a limit is of no use: a typing error would go unnoticed otherwise.
fn unused(threshold: &Threshold, fitting: &[&Output], is_unused: bool, is_early: bool) -> Verdict {
    let Threshold { output, curve, .. } = threshold;
    let is_curves = |output: &&&Output| matches!(output.view, View::Series(_));
    let has_none_yet = |output: &&Output| match &output.view {
        View::Series(series) => series.curves.is_empty() && curve.as_str() == "*",
        _ => false,
    };
    let text = match (fitting, fitting.iter().find(is_curves)) {
        _ if !is_unused => return Verdict::Good,
        _ if is_early || fitting.iter().any(has_none_yet) => return Verdict::Unknown,
        ([], _) => format!("no output fits {output}"),
        (_, Some(series)) => format!("{} has no curve that fits {curve}", series.name),
        ([first, ..], None) => {
            let name = &first.name;
            format!("{name} is neither a number nor curves, and has no limits")
        }
    };
    Verdict::Bad(Severity::Info, text)
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
        let findings = outputs(&board, &[threshold], &BTreeSet::new(), false).into_iter();
        findings
            .filter(|finding| finding.rule != UNUSED)
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
        assert_eq!(judge(1.0), Verdict::Good);
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

    fn found(
        board: &Board,
        thresholds: &[&str],
        held: &[(&str, &str)],
        is_early: bool,
    ) -> Vec<Finding> {
        let read = |text: &&str| serde_json::from_str(text).unwrap();
        let thresholds: Vec<Threshold> = thresholds.iter().map(read).collect();
        let owned = |(rule, subject): &(&str, &str)| ((*rule).to_owned(), (*subject).to_owned());
        let held = held.iter().map(owned).collect();
        outputs(board, &thresholds, &held, is_early)
    }

    #[test]
    fn a_limit_of_no_output_was_taken_in_silence() {
        let board = Board::default();
        for (name, view) in [
            ("table", View::from(fathom_kernel::view::Table::default())),
            ("curves", View::from(Series::default())),
        ] {
            let output = Output::new(name, name, view);
            assert!(board.put(&Arc::from("m"), output, Timestamp::UNIX_EPOCH));
        }
        let thresholds = [
            r#"{"output": "tabel", "above": 5}"#,
            r#"{"output": "table", "above": 5}"#,
            r#"{"output": "curves", "curve": "A", "above": 5}"#,
        ];
        let found_late = found(&board, &thresholds, &[], false);
        let texts: Vec<_> = found_late
            .iter()
            .map(|finding| match &finding.verdict {
                Verdict::Bad(Severity::Info, text) => (&*finding.subject, &**text),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            texts,
            [
                ("tabel", "no output fits tabel"),
                (
                    "table",
                    "table is neither a number nor curves, and has no limits"
                ),
                ("curves A", "curves has no curve that fits A"),
            ]
        );
        let early = found(&board, &thresholds, &[], true);
        assert!(
            early
                .iter()
                .all(|finding| finding.verdict == Verdict::Unknown)
        );
    }

    #[test]
    fn an_alarm_was_over_when_the_stack_started_anew_and_the_output_was_not_there_yet() {
        let (board, limit) = (Board::default(), [r#"{"output": "rate", "above": 5}"#]);
        let held = [("output_outside", "rate"), ("disk_full", "/")];
        let subjects = |is_early| {
            let found = found(&board, &limit, &held, is_early).into_iter();
            let ours = found.filter(|finding| finding.rule != UNUSED);
            ours.map(|finding| (finding.subject, finding.verdict))
                .collect::<Vec<_>>()
        };
        assert_eq!(subjects(true), [("rate".to_owned(), Verdict::Unknown)]);
        assert_eq!(subjects(false), []);
    }
}
