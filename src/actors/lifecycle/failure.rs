//! What a life makes of failures: again, later, or not any more.

use std::time::Instant;

use fathom_kernel::Exit;
use rand::Rng as _;

use super::Life;
use crate::actors::phase::{Effect, Phase};
use crate::actors::policy;
use crate::config::plan::{OnFatal, Restart};

impl Life {
    pub(super) fn judge(&mut self, exit: &Exit, was_ready: bool, now: Instant) {
        let accepted = matches!(exit, Exit::Code(code) if self.policy.exit_ok.contains(code));
        let over = match self.policy.restart {
            Restart::Always => false,
            // Done before it was ready is success only for what is there to be done.
            Restart::OnFailure => accepted && (was_ready || self.policy.awaited),
            Restart::Never => accepted || was_ready,
        };
        if !(over && accepted) {
            self.effects.push(Effect::Incident(None));
        }
        if over {
            return self.enter(Phase::Done, exit.to_string());
        }
        self.trouble = Some(match exit {
            Exit::NotStarted(why) => why.clone(),
            Exit::Panicked(text) => format!("Panicked: {text}"),
            Exit::Failed(why) => format!("Failed: {why}"),
            Exit::Code(_) | Exit::Signal(_) | Exit::Aborted | Exit::Unknown if !was_ready => {
                "Exited too quickly (process log may have details)".to_owned()
            }
            Exit::Code(code) if accepted => format!("Exited with code {code}"),
            Exit::Code(code) => format!("Bad exit code {code}"),
            Exit::Signal(signal) => format!("Ended by signal {signal}"),
            Exit::Aborted => "Aborted".to_owned(),
            Exit::Unknown => "Ended, nobody saw how".to_owned(),
        });
        self.fail(exit.to_string(), was_ready, now);
    }

    pub(super) fn fail(&mut self, reason: String, was_ready: bool, now: Instant) {
        self.streak = self.streak.saturating_add(1);
        self.failures.push_back(now);
        self.prune(now);
        let budget = self.policy.budget.restarts as usize;
        if self.policy.restart == Restart::Never && was_ready {
            self.enter(Phase::Done, reason);
        } else if self.policy.restart == Restart::Never {
            self.give_up(reason, now);
        } else if budget > 0 && self.failures.len() > budget {
            self.give_up(format!("{reason}, restart budget used up"), now);
        } else {
            self.restarts += 1;
            self.delay(reason, now);
        }
    }

    pub(super) fn delay(&mut self, reason: String, now: Instant) {
        let chance = self.chance.random_range(-1.0..=1.0);
        let delay = policy::delay(&self.policy.backoff, self.streak, chance);
        if delay.is_zero() {
            return self.wait(reason);
        }
        let retry_at = now + delay;
        self.enter(Phase::Delay { retry_at }, reason);
    }

    pub(super) fn give_up(&mut self, reason: String, now: Instant) {
        let retry_at = match self.policy.on_fatal {
            OnFatal::Retry(time) => Some(now + time),
            OnFatal::Keep | OnFatal::Shutdown => None,
        };
        self.enter(Phase::Fatal { retry_at }, reason);
        if self.policy.on_fatal == OnFatal::Shutdown {
            self.effects.push(Effect::EndStack);
        }
    }

    /// Starts with a clean slate: an operator, or the time set for it, says so.
    pub(super) fn fresh_start(&mut self, why: String) {
        self.streak = 0;
        self.failures.clear();
        self.trouble = None;
        self.wait(why);
    }

    pub(super) fn prune(&mut self, now: Instant) {
        let period = self.policy.budget.period.duration();
        while let Some(oldest) = self.failures.front() {
            let aged = now.saturating_duration_since(*oldest) > period;
            let spare = self.failures.len() > self.policy.budget.restarts as usize + 1;
            if !aged && !spare {
                break;
            }
            self.failures.pop_front();
        }
    }
}
