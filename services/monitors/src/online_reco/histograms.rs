//! The histograms of one run, and how they are drawn against those of another.

use fathom_formats::km3net::Fit;
use fathom_hist::H1;
use fathom_kernel::view::{Axis, AxisScale, Layer, Panel, Panels, Shape};
use serde::{Deserialize, Serialize};

use crate::runs::Run;

/// Kinds of fits, and the number of the first one.
pub(super) const KINDS: usize = 2;
pub(super) const TRACK: usize = 0;

const TITLES: [&str; KINDS] = ["JGandalf track", "shower"];
const ZENITH_BINS: usize = 180;
const QUALITY_BINS: usize = 100;

/// What is configured of the binning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ranges {
    pub(super) quality: [f64; 2],
}

/// Histograms of tracks and showers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Histograms {
    /// The run they are of, once known.
    pub(super) run: Option<Run>,
    zenith: [H1; KINDS],
    quality: [H1; KINDS],
}

impl Histograms {
    /// Memory of one set [bytes].
    pub(super) const BYTES: usize = KINDS * (ZENITH_BINS + QUALITY_BINS) * 8;

    pub(super) fn new(ranges: Ranges) -> Self {
        let [low, high] = ranges.quality;
        let zenith = H1::new(ZENITH_BINS, -1.0, 1.0);
        let zenith = zenith.expect("the range is a constant");
        let quality = H1::new(QUALITY_BINS, low, high).expect("the range was checked");
        Self {
            run: None,
            zenith: [zenith.clone(), zenith],
            quality: [quality.clone(), quality],
        }
    }

    pub(super) fn of(ranges: Ranges, run: Run) -> Self {
        Self {
            run: Some(run),
            ..Self::new(ranges)
        }
    }

    /// Reads them from a file; they must have the same bins.
    pub(super) fn read(bytes: &[u8], ranges: Ranges) -> Result<Self, String> {
        let read: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        match read.fits(&Self::new(ranges)) {
            true => Ok(read),
            false => Err("the histograms have other bins than configured".into()),
        }
    }

    /// Tells whether the bins are the same.
    pub(super) fn fits(&self, other: &Self) -> bool {
        let all = |h: &Self| {
            h.zenith
                .iter()
                .chain(&h.quality)
                .map(H1::edges)
                .collect::<Vec<_>>()
        };
        all(self) == all(other)
    }

    pub(super) fn fill(&mut self, kind: usize, cos_zenith: f64, quality: f64) {
        // Straight down belongs to the last bin, which does not include its upper edge.
        self.zenith[kind].fill(cos_zenith.min(1.0 - 1e-9), 1.0);
        self.quality[kind].fill(quality, 1.0);
    }

    /// Returns the number of fits of a kind.
    pub(super) fn entries(&self, kind: usize) -> f64 {
        total(&self.quality[kind])
    }

    pub(super) fn zenith(&self, reference: Option<&Self>) -> Panels {
        self.panels("cos(zenith)", reference, |h| &h.zenith)
    }

    pub(super) fn quality(&self, reference: Option<&Self>) -> Panels {
        self.panels("Quality", reference, |h| &h.quality)
    }

    /// Returns chi2 / ndf of tracks against the reference, for zenith angle and quality.
    pub(super) fn differences(&self, reference: Option<&Self>) -> [Option<f64>; 2] {
        let compare = |of: fn(&Self) -> &[H1; KINDS]| {
            let (a, b) = (of(self), of(reference?));
            chi2_per_ndf(a[TRACK].counts(), b[TRACK].counts())
        };
        [compare(|h| &h.zenith), compare(|h| &h.quality)]
    }

    fn panels(
        &self,
        x_label: &str,
        reference: Option<&Self>,
        of: impl Fn(&Self) -> &[H1; KINDS],
    ) -> Panels {
        let name = |run: Option<Run>, else_: &str| {
            run.map_or(else_.to_owned(), |r| format!("run {}", r.run))
        };
        let panel = |kind: usize| {
            let reference = reference.map(|reference| {
                let name = format!("{} (reference)", name(reference.run, "file"));
                steps(&of(reference)[kind], "#ABABAB").named(name)
            });
            let own = steps(&of(self)[kind], "#006BA4").named(name(self.run, "now"));
            let histogram = &of(self)[kind];
            let mut title = format!("{}, {} entries", TITLES[kind], total(histogram));
            let outside = [
                (histogram.underflow(), "below"),
                (histogram.overflow(), "above"),
            ];
            for (count, side) in outside.into_iter().filter(|(count, _)| *count > 0.0) {
                title += &format!(", {count} {side} the range");
            }
            Panel {
                title,
                layers: reference.into_iter().chain([own]).collect(),
                guides: Vec::new(),
            }
        };
        Panels {
            columns: 2,
            x: Axis {
                label: x_label.into(),
                ..Axis::default()
            },
            y: Axis {
                label: "share per bin".into(),
                scale: AxisScale::Log,
                ..Axis::default()
            },
            panels: (0..KINDS).map(panel).collect(),
        }
    }
}

/// Returns the outline of a histogram; what fell outside counts for the norm.
fn steps(histogram: &H1, colour: &str) -> Layer {
    let norm = total(histogram).max(1.0);
    let shares = histogram.counts().iter().map(|count| count / norm);
    Layer::new(Shape::Steps, colour, histogram.edges(), shares.collect())
}

fn total(histogram: &H1) -> f64 {
    histogram.counts().iter().sum::<f64>() + histogram.underflow() + histogram.overflow()
}

/// Compares the shapes of two histograms of counts: 1 is what chance makes. `None` when one is empty.
fn chi2_per_ndf(a: &[f64], b: &[f64]) -> Option<f64> {
    let (sum_a, sum_b): (f64, f64) = (a.iter().sum(), b.iter().sum());
    let filled = a.iter().zip(b).filter(|(a, b)| **a + **b > 0.0);
    let mut bins = 0.0;
    let mut chi2 = 0.0;
    for (a, b) in filled {
        bins += 1.0;
        chi2 += (a * (sum_b / sum_a).sqrt() - b * (sum_a / sum_b).sqrt()).powi(2) / (a + b);
    }
    (sum_a > 0.0 && sum_b > 0.0 && bins > 1.0).then(|| chi2 / (bins - 1.0))
}

/// Returns the cosine of the angle between the direction and straight down: +1 is a particle from
/// above. `None` without a direction.
pub(super) fn cos_zenith(fit: &Fit) -> Option<f64> {
    let [dx, dy, dz] = fit.direction;
    let length = (dx * dx + dy * dy + dz * dz).sqrt();
    let cos = -dz / length;
    // Rounding may lead out of the range.
    cos.is_finite().then(|| cos.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_shape_is_no_difference_and_another_one_is() {
        assert_eq!(chi2_per_ndf(&[2.0, 4.0], &[20.0, 40.0]), Some(0.0));
        // By hand: (10 - 0)^2 / 10 + (0 - 10)^2 / 10 with one degree of freedom.
        assert_eq!(chi2_per_ndf(&[10.0, 0.0], &[0.0, 10.0]), Some(20.0));
        assert_eq!(chi2_per_ndf(&[0.0, 0.0], &[0.0, 10.0]), None);
    }

    #[test]
    fn qualities_outside_of_the_range_are_told() {
        let ranges = Ranges {
            quality: [0.0, 10.0],
        };
        let mut h = Histograms::new(ranges);
        for quality in [-1.0, 5.0, 10.5, 99.0] {
            h.fill(TRACK, 0.5, quality);
        }
        let title = |panels: Panels| panels.panels[TRACK].title.clone();
        assert_eq!(
            title(h.quality(None)),
            "JGandalf track, 4 entries, 1 below the range, 2 above the range"
        );
        assert_eq!(title(h.zenith(None)), "JGandalf track, 4 entries");
    }

    #[test]
    fn straight_down_is_inside_and_other_bins_are_refused() {
        let ranges = Ranges {
            quality: [0.0, 10.0],
        };
        let mut h = Histograms::new(ranges);
        h.fill(TRACK, 1.0, 3.0);
        h.fill(TRACK, -1.0, 3.0);
        let counts = h.zenith[TRACK].counts();
        assert_eq!((counts[0], counts[ZENITH_BINS - 1]), (1.0, 1.0));
        let text = serde_json::to_vec(&h).unwrap();
        assert_eq!(Histograms::read(&text, ranges).unwrap(), h);
        let other = Ranges {
            quality: [0.0, 20.0],
        };
        assert!(Histograms::read(&text, other).is_err());
    }
}
