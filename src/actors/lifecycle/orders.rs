//! What a life makes of orders: from operators, from what it depends on, from its group.

use std::time::{Duration, Instant};

use fathom_kernel::Want;

use super::Life;
use crate::actors::phase::{After, Block, Effect, Phase};
use crate::actors::policy::{self, Policy};
use crate::config::plan::OnFatal;

impl Life {
    pub(super) fn start(&mut self, why: String, now: Instant) {
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

    pub(super) fn stop(&mut self, why: String, now: Instant) {
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

    pub(super) fn kill(&mut self, why: String, now: Instant) {
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

    /// Goes by another policy. Deadlines that are set follow it; the next attempt only comes sooner,
    /// and what makes an incarnation ready was settled when it was started.
    pub(super) fn amend(&mut self, policy: Policy, now: Instant) {
        let old = std::mem::replace(&mut self.policy, policy);
        let new = &self.policy;
        match &mut self.phase {
            Phase::Spawning { ready_by } | Phase::Warming { ready_by, .. } => {
                *ready_by = moved(*ready_by, old.ready_timeout, new.ready_timeout);
            }
            Phase::Delay { retry_at } if old.backoff != new.backoff => {
                let delay = policy::delay(&new.backoff, self.streak, 0.0);
                *retry_at = (now + delay).min(*retry_at);
            }
            Phase::Term { kill_at, .. } => {
                *kill_at = moved(*kill_at, old.stop_wait, new.stop_wait);
            }
            Phase::Fatal { retry_at } if old.on_fatal != new.on_fatal => {
                *retry_at = match new.on_fatal {
                    OnFatal::Retry(time) => Some(now + time),
                    OnFatal::Keep | OnFatal::Shutdown => None,
                };
            }
            Phase::Idle
            | Phase::Waiting(_)
            | Phase::Up { .. }
            | Phase::Delay { .. }
            | Phase::Kill { .. }
            | Phase::Lost { .. }
            | Phase::Done
            | Phase::Fatal { .. } => {}
        }
        self.prune(now);
    }

    pub(super) fn restart(&mut self, why: String, now: Instant) {
        if self.phase.is_alive() {
            self.want = Want::Up;
            self.terminate(After::Start, why, now);
        } else {
            self.start(why, now);
        }
    }

    pub(super) fn rebind(&mut self, why: String, now: Instant) {
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

    pub(super) fn blocked(&mut self, block: Block) {
        let Phase::Waiting(old) = &self.phase else {
            return;
        };
        let known = old
            .as_ref()
            .is_some_and(|old| old.fatal && old.on == block.on);
        let reason = format!("blocked: {} is FATAL", block.on);
        let fatal = block.fatal;
        self.phase = Phase::Waiting(Some(block));
        if fatal && !known {
            let state = self.phase.state();
            self.effects.push(Effect::Announce {
                from: state,
                to: state,
                reason,
            });
        }
    }

    pub(super) fn group_exhausted(&mut self, now: Instant) {
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

    pub(super) fn terminate(&mut self, after: After, why: String, now: Instant) {
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
}

/// Returns a deadline as if it had been set with another time.
fn moved(deadline: Instant, old: Duration, new: Duration) -> Instant {
    deadline
        .checked_sub(old)
        .map_or(deadline, |begun| begun + new)
}
