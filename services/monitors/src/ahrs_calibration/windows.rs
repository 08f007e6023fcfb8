//! The readings of one module in ten seconds, of which the medians count.

use fathom_hist::median;

/// Length of a window, in data time (ms).
pub(super) const WINDOW_MS: i64 = 10_000;
/// Most readings of a window; a module sends 100.
const READINGS_MAX: usize = 250;

/// A reading: acceleration (g) and magnetic field (gauss).
pub(super) type Reading = [f32; 6];

/// The medians of a window that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Medians {
    /// Start of the window (ms).
    pub(super) start_ms: i64,
    /// Acceleration (g).
    pub(super) acceleration: [f64; 3],
    /// Magnetic field (gauss).
    pub(super) field: [f64; 3],
}

/// The window of one module that is being filled.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    start_ms: i64,
    readings: Vec<Reading>,
}

impl Window {
    /// Adds a reading and returns the window before, when this one begins a new one. `Err` when the
    /// reading is from before the window.
    pub(super) fn add(&mut self, data_ms: i64, reading: Reading) -> Result<Option<Medians>, ()> {
        let start_ms = data_ms.div_euclid(WINDOW_MS) * WINDOW_MS;
        if !self.readings.is_empty() && start_ms < self.start_ms {
            return Err(());
        }
        let done = (start_ms != self.start_ms).then(|| self.take()).flatten();
        self.start_ms = start_ms;
        if self.readings.len() < READINGS_MAX {
            self.readings.push(reading);
        }
        Ok(done)
    }

    /// Ends the window if it ended before a time.
    pub(super) fn close(&mut self, until_ms: i64) -> Option<Medians> {
        let ended = self.start_ms + WINDOW_MS <= until_ms;
        ended.then(|| self.take()).flatten()
    }

    /// Returns how many readings fit without more memory.
    pub(super) fn capacity(&self) -> usize {
        self.readings.capacity()
    }

    /// Ends the window; `None` without readings.
    pub(super) fn take(&mut self) -> Option<Medians> {
        let of = |component: usize| {
            let values = self.readings.iter();
            median(values.map(|reading| f64::from(reading[component])))
        };
        let [ax, ay, az, hx, hy, hz] = std::array::from_fn(of);
        let medians = Medians {
            start_ms: self.start_ms,
            acceleration: [ax?, ay?, az?],
            field: [hx?, hy?, hz?],
        };
        self.readings.clear();
        Some(medians)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_reading_in_ten_seconds_does_not_count() {
        let mut window = Window::default();
        for n in 0..9_u8 {
            let a = if n == 4 { 1e6 } else { 0.5 };
            let reading = [a, 0.0, 1.0, 0.25, f32::from(n), 0.5];
            assert_eq!(window.add(20_000 + 1000 * i64::from(n), reading), Ok(None));
        }
        assert_eq!(window.add(19_999, [0.0; 6]), Err(()), "too late");
        assert_eq!(window.close(29_999), None);
        let done = window.add(30_000, [0.0; 6]).unwrap().unwrap();
        assert_eq!(done.start_ms, 20_000);
        assert_eq!(done.acceleration, [0.5, 0.0, 1.0]);
        assert_eq!(done.field, [0.25, 4.0, 0.5]);
        assert!(window.close(40_000).is_some() && window.close(40_000).is_none());
    }
}
