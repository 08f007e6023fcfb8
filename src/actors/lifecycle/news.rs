//! What a life makes of news of its incarnation, and of time.

use std::time::Instant;

use fathom_kernel::Exit;

use super::Life;
use crate::actors::phase::{After, Effect, Phase};
use crate::actors::policy::Readiness;

impl Life {
    pub(super) fn cleared(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Waiting(_)) {
            return;
        }
        self.incarnation += 1;
        self.readiness = self.policy.readiness;
        let ready_by = now + self.policy.ready_timeout;
        self.phase = Phase::Spawning { ready_by };
        self.effects.push(Effect::Spawn(self.incarnation));
    }

    pub(super) fn spawned(&mut self, new_pid: u32, now: Instant) {
        match &mut self.phase {
            Phase::Spawning { ready_by } => {
                let ready_at = match self.readiness {
                    Readiness::Spawned => Some(now),
                    Readiness::Alive(time) => Some(now + time),
                    Readiness::Told => None,
                };
                self.phase = Phase::Warming {
                    pid: new_pid,
                    ready_by: *ready_by,
                    ready_at,
                };
                if self.readiness == Readiness::Spawned {
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

    pub(super) fn ready(&mut self, now: Instant) {
        if let (Phase::Warming { pid, .. }, Readiness::Told) = (&self.phase, self.readiness) {
            self.up(*pid, now);
        }
    }

    pub(super) fn up(&mut self, pid: u32, now: Instant) {
        // Whoever is judged by rules must be found well first.
        let stable_at = match self.policy.judged {
            true => None,
            false => self.stable_at(now),
        };
        self.enter(Phase::Up { pid, stable_at }, "ready".to_owned());
    }

    /// Returns when failures are forgotten if the service stays up and well; `None` when there are
    /// none.
    fn stable_at(&self, now: Instant) -> Option<Instant> {
        (self.streak > 0).then(|| now + self.policy.backoff.reset_after.duration())
    }

    pub(super) fn well(&mut self, well: bool, now: Instant) {
        let at = self.stable_at(now);
        if let Phase::Up { stable_at, .. } = &mut self.phase {
            *stable_at = match well {
                true => stable_at.or(at),
                false => None,
            };
        }
    }

    pub(super) fn unhealthy(&mut self, why: String, now: Instant) {
        if matches!(self.phase, Phase::Up { .. }) {
            self.trouble = Some(format!("Unhealthy: {why}"));
            self.terminate(After::Unhealthy(why.clone()), why, now);
        }
    }

    pub(super) fn leader_exited(&mut self, exit: Exit, now: Instant) {
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

    pub(super) fn ended(&mut self, exit: Exit, now: Instant) {
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
            After::Late => {
                let why = "ready_timeout".to_owned();
                self.effects.push(Effect::Incident(Some(why.clone())));
                self.fail(why, false, now);
            }
            After::Unhealthy(reason) => {
                self.effects.push(Effect::Incident(Some(reason.clone())));
                self.fail(reason, true, now);
            }
            After::Judge(exit, was_ready) => self.judge(&exit, was_ready, now),
            After::GiveUp => self.give_up("restart budget of the group used up".to_owned(), now),
        }
    }

    pub(super) fn elapsed(&mut self, now: Instant) {
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
                self.trouble = Some("Not ready in time".to_owned());
                self.terminate(After::Late, "ready_timeout".to_owned(), now);
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
                let why = "unkillable".to_owned();
                self.effects.push(Effect::Incident(Some(why)));
                self.enter(
                    Phase::Lost { pid, after },
                    "still exists after kill".to_owned(),
                );
            }
            Phase::Fatal { .. } => self.fresh_start("retry of a failed service".to_owned()),
            Phase::Idle | Phase::Waiting(_) | Phase::Lost { .. } | Phase::Done => {}
        }
    }
}
