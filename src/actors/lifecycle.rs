//! The life cycle of one service: a pure step from state, input and time to state and effects.
//!
//! There is no clock, no process and no actor in here. Every deadline stands inside the phase it
//! belongs to, so leaving the phase takes the timer away: a timer from before a stop can never start
//! anything. What is wanted and what is observed are two fields; only orders change the first.

use std::collections::VecDeque;
use std::time::Instant;

use fathom_kernel::{Exit, State, Want};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::phase::{After, Effect, Input, Phase};
use super::policy::{self, Policy, Readiness};
use crate::config::plan::{OnFatal, Restart};

/// The life of one service.
#[derive(Debug, Clone)]
pub struct Life {
    policy: Policy,
    want: Want,
    phase: Phase,
    incarnation: u64,
    /// Failures in a row without a stable time between them.
    streak: u32,
    /// Times of the failures inside the budget's window; never more than the budget plus one.
    failures: VecDeque<Instant>,
    restarts: u64,
    last_exit: Option<Exit>,
    /// Text of the last failure, as supervisord's users know it.
    trouble: Option<String>,
    chance: SmallRng,
    effects: Vec<Effect>,
}

impl Life {
    /// Makes the life of a service that was never started. The seed makes its jitter repeatable.
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self {
            policy,
            want: Want::Down,
            phase: Phase::Idle,
            incarnation: 0,
            streak: 0,
            failures: VecDeque::new(),
            restarts: 0,
            last_exit: None,
            trouble: None,
            chance: SmallRng::seed_from_u64(seed),
            effects: Vec::new(),
        }
    }

    /// Takes one input and returns what is to be done, in order.
    pub fn step(&mut self, input: Input, now: Instant) -> Vec<Effect> {
        match input {
            Input::Start(why) => self.start(why, now),
            Input::Stop(why) => self.stop(why, now),
            Input::Restart(why) => self.restart(why, now),
            Input::Rebind(why) => self.rebind(why, now),
            Input::Cleared => self.cleared(now),
            Input::Blocked(name) => self.blocked(name),
            Input::Spawned(incarnation, pid) if incarnation == self.incarnation => {
                self.spawned(pid, now);
            }
            Input::Ready(incarnation) if incarnation == self.incarnation => self.ready(now),
            Input::LeaderExited(incarnation, exit) if incarnation == self.incarnation => {
                self.leader_exited(exit, now);
            }
            Input::Ended(incarnation, exit) if incarnation == self.incarnation => {
                self.ended(exit, now);
            }
            // News of an incarnation that is no more.
            Input::Spawned(..) | Input::Ready(_) | Input::LeaderExited(..) | Input::Ended(..) => {}
            Input::Elapsed => self.elapsed(now),
            Input::GroupExhausted => self.group_exhausted(now),
            Input::Kill(why) => self.kill(why, now),
        }
        std::mem::take(&mut self.effects)
    }

    /// Returns when [`Input::Elapsed`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Idle | Phase::Waiting(_) | Phase::Lost { .. } | Phase::Done => None,
            Phase::Spawning { ready_by } => Some(*ready_by),
            Phase::Warming {
                ready_by, ready_at, ..
            } => Some(ready_at.map_or(*ready_by, |at| at.min(*ready_by))),
            Phase::Up { stable_at, .. } => *stable_at,
            Phase::Delay { retry_at } => Some(*retry_at),
            Phase::Term { kill_at, .. } => Some(*kill_at),
            Phase::Kill { lost_at, .. } => Some(*lost_at),
            Phase::Fatal { retry_at } => *retry_at,
        }
    }

    /// Returns the phase.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Returns the state.
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// Returns what the operator wants.
    pub fn want(&self) -> Want {
        self.want
    }

    /// Returns the number of starts.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Returns the number of failures that led to a restart.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Returns the number of failures in a row.
    pub fn streak(&self) -> u32 {
        self.streak
    }

    /// Returns how the last incarnation ended.
    pub fn last_exit(&self) -> Option<&Exit> {
        self.last_exit.as_ref()
    }

    /// Returns the text of the last failure.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn start(&mut self, why: String, now: Instant) {
        self.want = Want::Up;
        match &mut self.phase {
            Phase::Idle | Phase::Done | Phase::Fatal { .. } => self.fresh_start(why),
            Phase::Delay { .. } => self.wait(why),
            Phase::Term { after, .. } | Phase::Kill { after, .. } | Phase::Lost { after, .. } => {
                *after = After::Start;
            }
            Phase::Waiting(_)
            | Phase::Spawning { .. }
            | Phase::Warming { .. }
            | Phase::Up { .. } => {}
        }
        self.prune(now);
    }

    fn stop(&mut self, why: String, now: Instant) {
        self.want = Want::Down;
        match &mut self.phase {
            Phase::Idle => {}
            Phase::Waiting(_) | Phase::Delay { .. } | Phase::Done | Phase::Fatal { .. } => {
                self.enter(Phase::Idle, why);
            }
            Phase::Term { after, .. } | Phase::Kill { after, .. } | Phase::Lost { after, .. } => {
                *after = After::Stop;
            }
            Phase::Spawning { .. } | Phase::Warming { .. } | Phase::Up { .. } => {
                self.terminate(After::Stop, why, now);
            }
        }
    }

    fn kill(&mut self, why: String, now: Instant) {
        self.stop(why, now);
        if let Phase::Term { pid, after, .. } = &self.phase {
            self.phase = Phase::Kill {
                pid: *pid,
                lost_at: now + self.policy.kill_wait,
                after: after.clone(),
            };
            self.effects.push(Effect::Kill);
        }
    }

    fn restart(&mut self, why: String, now: Instant) {
        if self.phase.is_alive() {
            self.want = Want::Up;
            self.terminate(After::Start, why, now);
        } else {
            self.start(why, now);
        }
    }

    fn rebind(&mut self, why: String, now: Instant) {
        match self.phase {
            Phase::Spawning { .. } | Phase::Warming { .. } | Phase::Up { .. } => {
                self.terminate(After::Wait, why, now);
            }
            Phase::Idle
            | Phase::Waiting(_)
            | Phase::Delay { .. }
            | Phase::Term { .. }
            | Phase::Kill { .. }
            | Phase::Lost { .. }
            | Phase::Done
            | Phase::Fatal { .. } => {}
        }
    }

    fn cleared(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Waiting(_)) {
            return;
        }
        self.incarnation += 1;
        let ready_by = now + self.policy.ready_timeout;
        self.phase = Phase::Spawning { ready_by };
        self.effects.push(Effect::Spawn(self.incarnation));
    }

    fn blocked(&mut self, name: String) {
        if let Phase::Waiting(on) = &mut self.phase {
            *on = Some(name);
        }
    }

    fn spawned(&mut self, new_pid: u32, now: Instant) {
        match &mut self.phase {
            Phase::Spawning { ready_by } => {
                let ready_at = match self.policy.readiness {
                    Readiness::Spawned => Some(now),
                    Readiness::Alive(time) => Some(now + time),
                    Readiness::Told => None,
                };
                self.phase = Phase::Warming {
                    pid: new_pid,
                    ready_by: *ready_by,
                    ready_at,
                };
                if self.policy.readiness == Readiness::Spawned {
                    self.up(new_pid, now);
                }
            }
            Phase::Term { pid, .. } | Phase::Kill { pid, .. } | Phase::Lost { pid, .. } => {
                *pid = new_pid;
            }
            Phase::Idle
            | Phase::Waiting(_)
            | Phase::Warming { .. }
            | Phase::Up { .. }
            | Phase::Delay { .. }
            | Phase::Done
            | Phase::Fatal { .. } => {}
        }
    }

    fn ready(&mut self, now: Instant) {
        if let (Phase::Warming { pid, .. }, Readiness::Told) = (&self.phase, self.policy.readiness)
        {
            self.up(*pid, now);
        }
    }

    fn up(&mut self, pid: u32, now: Instant) {
        let stable_at = Some(now + self.policy.backoff.reset_after.duration());
        self.enter(Phase::Up { pid, stable_at }, "ready".to_owned());
    }

    fn leader_exited(&mut self, exit: Exit, now: Instant) {
        let pid = self.phase.pid();
        let was_ready = match self.phase {
            Phase::Up { .. } => true,
            Phase::Spawning { .. } | Phase::Warming { .. } => false,
            // While stopping, the group has the rest of its time.
            Phase::Idle
            | Phase::Waiting(_)
            | Phase::Delay { .. }
            | Phase::Term { .. }
            | Phase::Kill { .. }
            | Phase::Lost { .. }
            | Phase::Done
            | Phase::Fatal { .. } => return,
        };
        let why = format!("{exit}, others of its group remain");
        let after = After::Judge(exit, was_ready);
        let lost_at = now + self.policy.kill_wait;
        self.effects.push(Effect::Kill);
        self.enter(
            Phase::Kill {
                pid,
                lost_at,
                after,
            },
            why,
        );
    }

    fn ended(&mut self, exit: Exit, now: Instant) {
        let after = match &self.phase {
            Phase::Spawning { .. } | Phase::Warming { .. } => After::Judge(exit.clone(), false),
            Phase::Up { .. } => After::Judge(exit.clone(), true),
            Phase::Term { after, .. } | Phase::Kill { after, .. } | Phase::Lost { after, .. } => {
                after.clone()
            }
            Phase::Idle
            | Phase::Waiting(_)
            | Phase::Delay { .. }
            | Phase::Done
            | Phase::Fatal { .. } => return,
        };
        let why = exit.to_string();
        self.last_exit = Some(exit);
        match after {
            After::Stop => self.enter(Phase::Idle, why),
            After::Start => self.fresh_start(why),
            After::Wait => self.wait(why),
            After::Fail(reason) => self.fail(reason, false, now),
            After::Judge(exit, was_ready) => self.judge(&exit, was_ready, now),
            After::GiveUp => self.give_up("restart budget of the group used up".to_owned(), now),
        }
    }

    fn judge(&mut self, exit: &Exit, was_ready: bool, now: Instant) {
        let accepted = matches!(exit, Exit::Code(code) if self.policy.exit_ok.contains(code));
        let over = match self.policy.restart {
            Restart::Always => false,
            Restart::OnFailure => accepted,
            Restart::Never => accepted || was_ready,
        };
        if over {
            return self.enter(Phase::Done, exit.to_string());
        }
        self.trouble = Some(match exit {
            Exit::NotStarted(why) => why.clone(),
            Exit::Panicked(text) => format!("Panicked: {text}"),
            Exit::Failed(why) => format!("Failed: {why}"),
            Exit::Code(_) | Exit::Signal(_) | Exit::Aborted | Exit::Unknown => {
                "Exited too quickly (process log may have details)".to_owned()
            }
        });
        self.fail(exit.to_string(), was_ready, now);
    }

    fn fail(&mut self, reason: String, was_ready: bool, now: Instant) {
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

    fn delay(&mut self, reason: String, now: Instant) {
        let chance = self.chance.random_range(-1.0..=1.0);
        let delay = policy::delay(&self.policy.backoff, self.streak, chance);
        if delay.is_zero() {
            return self.wait(reason);
        }
        let retry_at = now + delay;
        self.enter(Phase::Delay { retry_at }, reason);
    }

    fn give_up(&mut self, reason: String, now: Instant) {
        let retry_at = match self.policy.on_fatal {
            OnFatal::Retry(time) => Some(now + time),
            OnFatal::Keep | OnFatal::Shutdown => None,
        };
        self.enter(Phase::Fatal { retry_at }, reason);
        if self.policy.on_fatal == OnFatal::Shutdown {
            self.effects.push(Effect::EndStack);
        }
    }

    fn elapsed(&mut self, now: Instant) {
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        match self.phase.clone() {
            Phase::Warming {
                pid,
                ready_at: Some(at),
                ..
            } if at <= now => self.up(pid, now),
            Phase::Spawning { .. } | Phase::Warming { .. } => {
                let reason = "ready_timeout".to_owned();
                self.trouble = Some("Not ready in time".to_owned());
                self.terminate(After::Fail(reason.clone()), reason, now);
            }
            Phase::Up { pid, .. } => {
                self.streak = 0;
                self.phase = Phase::Up {
                    pid,
                    stable_at: None,
                };
            }
            Phase::Delay { .. } => self.wait("next attempt".to_owned()),
            Phase::Term { pid, after, .. } => {
                let lost_at = now + self.policy.kill_wait;
                self.phase = Phase::Kill {
                    pid,
                    lost_at,
                    after,
                };
                self.effects.push(Effect::Kill);
            }
            Phase::Kill { pid, after, .. } => {
                self.enter(
                    Phase::Lost { pid, after },
                    "still exists after kill".to_owned(),
                );
            }
            Phase::Fatal { .. } => self.fresh_start("retry of a failed service".to_owned()),
            Phase::Idle | Phase::Waiting(_) | Phase::Lost { .. } | Phase::Done => {}
        }
    }

    fn group_exhausted(&mut self, now: Instant) {
        let why = "restart budget of the group used up".to_owned();
        match &mut self.phase {
            Phase::Waiting(_) | Phase::Delay { .. } => self.give_up(why, now),
            Phase::Spawning { .. } | Phase::Warming { .. } | Phase::Up { .. } => {
                self.terminate(After::GiveUp, why, now);
            }
            Phase::Term { after, .. } | Phase::Kill { after, .. } | Phase::Lost { after, .. } => {
                if self.want == Want::Up {
                    *after = After::GiveUp;
                }
            }
            Phase::Idle | Phase::Done | Phase::Fatal { .. } => {}
        }
    }

    /// Starts with a clean slate: an operator, or the time set for it, says so.
    fn fresh_start(&mut self, why: String) {
        self.streak = 0;
        self.failures.clear();
        self.trouble = None;
        self.wait(why);
    }

    fn wait(&mut self, why: String) {
        self.enter(Phase::Waiting(None), why);
        self.effects.push(Effect::AskClearance);
    }

    fn terminate(&mut self, after: After, why: String, now: Instant) {
        let (pid, kill_at) = (self.phase.pid(), now + self.policy.stop_wait);
        match &mut self.phase {
            Phase::Term { after: old, .. }
            | Phase::Kill { after: old, .. }
            | Phase::Lost { after: old, .. } => *old = after,
            Phase::Idle
            | Phase::Waiting(_)
            | Phase::Spawning { .. }
            | Phase::Warming { .. }
            | Phase::Up { .. }
            | Phase::Delay { .. }
            | Phase::Done
            | Phase::Fatal { .. } => {
                self.effects.push(Effect::Terminate);
                self.enter(
                    Phase::Term {
                        pid,
                        kill_at,
                        after,
                    },
                    why,
                );
            }
        }
    }

    fn enter(&mut self, phase: Phase, reason: String) {
        let (from, to) = (self.phase.state(), phase.state());
        self.phase = phase;
        self.effects.push(Effect::Announce { from, to, reason });
    }

    fn prune(&mut self, now: Instant) {
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

#[cfg(test)]
mod tests;
