//! Curves over bins of data time, with gaps where nobody listened and lines where runs change.

use fathom_kernel::view::{Curve, Mark, Marker, Series};

use crate::bins::{Bins, Interval};
use crate::runs::Runs;

/// What a curve shows of a bin: value and error.
pub(crate) type Reading<'a, B> = Box<dyn Fn(&B) -> (f64, f64) + 'a>;

/// A curve to draw.
pub(crate) struct Wanted<'a, B> {
    pub(crate) name: &'a str,
    pub(crate) colour: &'a str,
    pub(crate) marker: Marker,
    pub(crate) reading: Reading<'a, B>,
}

/// Draws curves over the closed intervals before a time. A point stands at the end of its interval.
/// Where nobody listened the curves are interrupted and the gap is marked.
pub(crate) fn series<B: Interval>(
    (bins, runs): (&Bins<B>, &Runs),
    data_ms: i64,
    y_label: &str,
    wanted: &[Wanted<'_, B>],
) -> Series {
    let mut times_ms = Vec::new();
    let mut shown: Vec<Option<&B>> = Vec::new();
    let mut marks = Vec::new();
    let mut expected = None;
    for (index, bin) in bins.window(data_ms) {
        if let Some(missing) = expected.filter(|&next| next < index) {
            times_ms.push(bins.end_ms(missing));
            shown.push(None);
            let text = "GAP".to_owned();
            let at_ms = bins.end_ms(missing - 1);
            marks.push(Mark { at_ms, text });
        }
        times_ms.push(bins.end_ms(index));
        shown.push(Some(bin));
        expected = Some(index + 1);
    }
    if let (Some(&first), Some(&last)) = (times_ms.first(), times_ms.last()) {
        marks.extend(runs.marks(first - bins.interval_ms, last.max(data_ms)));
    }
    marks.sort_by_key(|mark| mark.at_ms);
    Series {
        y_label: y_label.to_owned(),
        times_ms,
        curves: wanted.iter().map(|w| curve(w, &shown)).collect(),
        marks,
        ..Series::default()
    }
}

fn curve<B>(wanted: &Wanted<'_, B>, shown: &[Option<&B>]) -> Curve {
    let readings = shown
        .iter()
        .map(|bin| bin.map_or((f64::NAN, f64::NAN), &wanted.reading));
    let (values, errors): (Vec<_>, Vec<_>) = readings.unzip();
    let has_errors = errors.iter().any(|e: &f64| e.is_finite());
    Curve {
        name: wanted.name.to_owned(),
        colour: wanted.colour.to_owned(),
        marker: wanted.marker,
        values,
        errors: if has_errors { errors } else { Vec::new() },
    }
}
