//! The end of a stack within its time: when what still runs is killed.

use std::time::{Duration, Instant};

use super::policy::KILL_WAIT;
use super::supervisor::Ended;

/// A stack that comes to its end.
pub(super) struct Ending {
    pub(super) how: Ended,
    /// When each service is killed, unless it was already.
    kill_at: Vec<Option<Instant>>,
    /// What still exists then is left behind.
    pub(super) leave_at: Instant,
}

impl Ending {
    /// Plans the end: services stop step by step, and each may take its time to stop. Where these
    /// times together are longer than the limit, all are shortened by the same factor, so that
    /// everybody is asked before it is killed. A part of the limit is left for the killing.
    pub(super) fn new(
        how: Ended,
        steps: &[Vec<usize>],
        waits: &[Duration],
        limit: Duration,
        now: Instant,
    ) -> Self {
        let asking = limit - KILL_WAIT.min(limit / 5);
        let of_step = |step: &Vec<usize>| step.iter().map(|&index| waits[index]).max();
        let longest: Vec<Duration> = steps
            .iter()
            .map(|s| of_step(s).unwrap_or_default())
            .collect();
        let all: Duration = longest.iter().sum();
        let factor = match all > asking {
            true => asking.as_secs_f64() / all.as_secs_f64(),
            false => 1.0,
        };
        let mut kill_at = vec![None; waits.len()];
        let mut passed = Duration::ZERO;
        for (step, longest) in steps.iter().zip(longest) {
            passed += longest;
            let at = match factor < 1.0 {
                true => passed.mul_f64(factor),
                false => asking,
            };
            for &index in step {
                kill_at[index] = Some(now + at);
            }
        }
        Self {
            how,
            kill_at,
            leave_at: now + limit,
        }
    }

    /// Gives nobody any more time.
    pub(super) fn hasten(&mut self, now: Instant) {
        self.kill_at.iter_mut().flatten().for_each(|at| *at = now);
        self.leave_at = now + KILL_WAIT;
    }

    /// Returns whom it is time to kill, each once.
    pub(super) fn due(&mut self, now: Instant) -> Vec<usize> {
        let places = self.kill_at.iter_mut().enumerate();
        let due = places.filter_map(|(index, at)| at.take_if(|at| *at <= now).map(|_| index));
        due.collect()
    }

    /// Returns when there is something to do, whatever happens meanwhile.
    pub(super) fn moments(&self) -> Vec<Instant> {
        let mut moments: Vec<Instant> = self.kill_at.iter().flatten().copied().collect();
        moments.push(self.leave_at);
        moments.sort_unstable();
        moments.dedup();
        moments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn kills(waits: &[u32], limit: u32) -> Vec<Duration> {
        let now = Instant::now();
        let steps = [vec![2], vec![1, 3], vec![0]];
        let waits: Vec<Duration> = waits.iter().map(|&wait| S * wait).collect();
        let ending = Ending::new(Ended::Ordered, &steps, &waits, S * limit, now);
        assert_eq!(ending.leave_at, now + S * limit);
        ending.kill_at.iter().map(|at| at.unwrap() - now).collect()
    }

    #[test]
    fn times_that_fit_stay_and_others_are_shortened_alike() {
        assert_eq!(kills(&[5, 5, 5, 1], 30), [S * 25; 4]);
        // 30 s have to fit into 12.
        assert_eq!(kills(&[10, 10, 10, 1], 15), [S * 12, S * 8, S * 4, S * 8]);
        assert_eq!(kills(&[0; 4], 0), [Duration::ZERO; 4]);
    }

    #[test]
    fn everybody_is_killed_once() {
        let now = Instant::now();
        let steps = [vec![1], vec![0]];
        let mut ending = Ending::new(Ended::Ordered, &steps, &[S * 10; 2], S * 5, now);
        assert_eq!(ending.moments(), [now + S * 2, now + S * 4, now + S * 5]);
        assert!(ending.due(now + S).is_empty());
        assert_eq!(ending.due(now + S * 2), [1]);
        assert!(ending.due(now + S * 3).is_empty());
        ending.hasten(now + S * 3);
        assert_eq!(ending.due(now + S * 3), [0]);
        assert!(ending.due(now + S * 9).is_empty());
    }
}
