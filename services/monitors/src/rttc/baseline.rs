//! The round-trip time of a cable and what is normal for it.

use fathom_hist::median;

use super::Given;

/// The five values of a DU: the round-trip time, and the delays TX and RX of slave and master (ps).
pub(super) type Values = [f64; 5];

/// Returns the round-trip time of the cable alone (ps); NaN when a value is missing.
pub fn rttc_ps([mu, deltas @ ..]: &[f64; 5]) -> f64 {
    mu - deltas.iter().sum::<f64>()
}

/// Where it is known from what is normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Options,
    DataBase,
    OwnHistory,
}

impl Origin {
    /// Names it for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Options => "options",
            Self::DataBase => "data base",
            Self::OwnHistory => "own history",
        }
    }
}

/// What is normal for a DU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Baseline {
    pub(super) median_ps: f64,
    pub(super) sigma_ps: f64,
    /// Samples it was made from; `None` when it was given.
    pub(super) samples: Option<usize>,
    pub(super) origin: Origin,
}

impl Baseline {
    pub(super) fn given(given: &Given) -> Self {
        Self {
            median_ps: given.median_ps,
            sigma_ps: given.sigma_ps,
            samples: None,
            origin: Origin::Options,
        }
    }

    /// Makes it from own samples; `None` without any.
    pub(super) fn of(samples: &[Values]) -> Option<Self> {
        let of = |k: usize| samples.iter().map(move |values| values[k]);
        Self::made(of, samples.len(), Origin::OwnHistory)
    }

    /// Makes it from the values that the data base has of each parameter; `None` when it has none of
    /// one. It has as many samples as the parameter with the fewest.
    pub(super) fn of_parameters(values: &[Vec<f64>; 5]) -> Option<Self> {
        let of = |k: usize| values[k].iter().copied();
        let samples = values.iter().map(Vec::len).min().unwrap_or(0);
        Self::made(of, samples, Origin::DataBase)
    }

    /// The spreads of the five values add in quadrature: their difference, as the original takes it,
    /// can be negative.
    fn made<I: Iterator<Item = f64> + Clone>(
        of: impl Fn(usize) -> I,
        samples: usize,
        origin: Origin,
    ) -> Option<Self> {
        let medians: Option<Vec<f64>> = (0..5).map(|k| median(of(k))).collect();
        let variances = (0..5).map(|k| variance(of(k)));
        Some(Self {
            median_ps: rttc_ps(&medians?.try_into().ok()?),
            sigma_ps: variances.sum::<f64>().sqrt(),
            samples: Some(samples),
            origin,
        })
    }
}

/// Returns the variance of a whole population.
#[expect(clippy::cast_precision_loss, reason = "a day has few samples")]
fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    values.map(|value| (value - mean).powi(2)).sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_add_in_quadrature_and_never_become_negative() {
        // The delays spread more than the round-trip time: 1, 2, 0, 0, 0.
        let samples = [[99.0, 8.0, 1.0, 1.0, 1.0], [101.0, 12.0, 1.0, 1.0, 1.0]];
        let baseline = Baseline::of(&samples).unwrap();
        assert_eq!(baseline.median_ps, 100.0 - 10.0 - 3.0);
        assert!((baseline.sigma_ps - 5.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(Baseline::of(&[]), None);
    }

    #[test]
    fn there_are_as_many_samples_as_of_the_parameter_with_the_fewest() {
        let values = [20, 20, 7, 20, 20].map(|number| vec![1.0; number]);
        let baseline = Baseline::of_parameters(&values).unwrap();
        assert_eq!(baseline.samples, Some(7));
    }
}
