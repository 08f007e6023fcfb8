use std::time::Duration;

use fathom_kernel::{Exit, Span, State, Want};

use super::*;
use crate::actors::phase::{Block, Phase};
use crate::actors::policy::Readiness;
use crate::config::plan::{Backoff, Budget, OnFatal, Restart};

pub(super) fn policy() -> Policy {
    Policy {
        restart: Restart::Always,
        exit_ok: vec![0],
        backoff: Backoff::default(),
        budget: Budget::default(),
        on_fatal: OnFatal::Keep,
        awaited: false,
        judged: false,
        readiness: Readiness::Told,
        ready_timeout: secs(30),
        stop_wait: secs(10),
        kill_wait: secs(5),
    }
}

/// A life with a hand on its clock.
pub(super) struct Sim {
    pub(super) life: Life,
    pub(super) now: Instant,
}

impl Sim {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            life: Life::new(policy, 1),
            now: Instant::now(),
        }
    }

    pub(super) fn tell(&mut self, input: Input) -> Vec<Effect> {
        self.life.step(input, self.now)
    }

    pub(super) fn order(&mut self, order: fn(String) -> Input) -> Vec<Effect> {
        self.tell(order("test".to_owned()))
    }

    pub(super) fn pass(&mut self, time: Duration) -> Vec<Effect> {
        self.now += time;
        self.tell(Input::Elapsed)
    }

    pub(super) fn end(&mut self, exit: Exit) -> Vec<Effect> {
        let incarnation = self.life.incarnation();
        self.tell(Input::Ended(incarnation, exit))
    }

    /// Start, clearance, spawn.
    fn spawn(&mut self) {
        self.tell(Input::Cleared);
        let incarnation = self.life.incarnation();
        self.tell(Input::Spawned(incarnation, 7));
    }

    fn run(&mut self) {
        self.order(Input::Start);
        self.spawn();
        self.tell(Input::Ready(self.life.incarnation()));
        assert_eq!(self.life.state(), State::Running);
    }
}

pub(super) fn block(on: &str, fatal: bool) -> Block {
    let on = on.to_owned();
    Block { on, fatal }
}

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_start_waits_for_clearance_then_spawns_and_becomes_ready() {
    let mut sim = Sim::new(policy());
    let effects = sim.order(Input::Start);
    assert_eq!(effects.last(), Some(&Effect::AskClearance));
    assert!(sim.tell(Input::Blocked(block("ligier", false))).is_empty());
    let waiting = Phase::Waiting(Some(block("ligier", false)));
    assert_eq!(sim.life.phase(), &waiting);
    assert_eq!(sim.tell(Input::Cleared), [Effect::Spawn(1)]);
    sim.tell(Input::Spawned(1, 7));
    assert_eq!(sim.life.state(), State::Starting);
    sim.tell(Input::Ready(1));
    assert_eq!(sim.life.state(), State::Running);
}

#[test]
fn readiness_comes_by_existing_or_by_living_long_enough() {
    let mut sim = Sim::new(Policy {
        readiness: Readiness::Spawned,
        ..policy()
    });
    sim.order(Input::Start);
    sim.spawn();
    assert_eq!(sim.life.state(), State::Running);

    let mut sim = Sim::new(Policy {
        readiness: Readiness::Alive(secs(1)),
        ..policy()
    });
    sim.order(Input::Start);
    sim.spawn();
    sim.pass(Duration::from_millis(999));
    assert_eq!(sim.life.state(), State::Starting);
    sim.pass(Duration::from_millis(1));
    assert_eq!(sim.life.state(), State::Running);
}

#[test]
fn a_bad_exit_code_is_told_in_the_words_of_supervisord() {
    let mut sim = Sim::new(policy());
    sim.run();
    sim.tell(Input::Ended(1, Exit::Code(3)));
    assert_eq!(sim.life.trouble(), Some("Bad exit code 3"));
}

#[test]
fn the_first_failure_restarts_at_once_the_next_ones_with_growing_delay() {
    let mut sim = Sim::new(Policy {
        backoff: Backoff {
            jitter: 0.0,
            ..Backoff::default()
        },
        ..policy()
    });
    sim.run();
    let effects = sim.end(Exit::Code(3));
    assert!(effects.contains(&Effect::AskClearance));
    assert_eq!(sim.life.state(), State::Starting);
    sim.spawn();
    sim.end(Exit::Code(3));
    assert_eq!(sim.life.state(), State::Backoff);
    sim.pass(Duration::from_millis(249));
    assert_eq!(sim.life.state(), State::Backoff);
    sim.pass(Duration::from_millis(1));
    assert_eq!(sim.life.state(), State::Starting);
    assert_eq!(sim.life.restarts(), 2);
}

#[test]
fn a_stable_time_forgets_the_streak_but_not_the_budget() {
    let mut sim = Sim::new(Policy {
        budget: Budget {
            restarts: 2,
            period: secs(300).into(),
        },
        ..policy()
    });
    sim.run();
    for _ in 0..2 {
        sim.pass(secs(60));
        assert_eq!(sim.life.streak(), 0);
        sim.end(Exit::Panicked("boom".to_owned()));
        sim.spawn();
        sim.tell(Input::Ready(sim.life.incarnation()));
    }
    sim.pass(secs(60));
    sim.end(Exit::Code(1));
    assert_eq!(sim.life.state(), State::Fatal);
    assert!(sim.order(Input::Start).contains(&Effect::AskClearance));
}

#[test]
fn failures_older_than_the_window_do_not_count() {
    let mut sim = Sim::new(Policy {
        budget: Budget {
            restarts: 1,
            period: secs(100).into(),
        },
        ..policy()
    });
    sim.run();
    for _ in 0..5 {
        sim.pass(secs(101));
        sim.end(Exit::Code(1));
        assert_eq!(sim.life.state(), State::Starting);
        sim.spawn();
        sim.tell(Input::Ready(sim.life.incarnation()));
    }
}

#[test]
fn a_budget_of_zero_is_without_end() {
    let mut sim = Sim::new(Policy {
        budget: Budget {
            restarts: 0,
            period: secs(100).into(),
        },
        ..policy()
    });
    sim.run();
    for _ in 0..200 {
        sim.end(Exit::Code(1));
        sim.pass(secs(40));
        sim.spawn();
    }
    assert_ne!(sim.life.state(), State::Fatal);
}

#[test]
fn policy_decides_about_clean_and_failed_ends() {
    let cases = [
        (Restart::Always, Exit::Code(0), State::Starting),
        (Restart::OnFailure, Exit::Code(0), State::Exited),
        (Restart::OnFailure, Exit::Code(1), State::Starting),
        (Restart::OnFailure, Exit::Signal(9), State::Starting),
        (Restart::Never, Exit::Code(0), State::Exited),
        (Restart::Never, Exit::Signal(11), State::Exited),
    ];
    for (restart, exit, state) in cases {
        let mut sim = Sim::new(Policy {
            restart,
            ..policy()
        });
        sim.run();
        sim.end(exit.clone());
        assert_eq!(sim.life.state(), state, "{restart:?} {exit}");
    }
}

#[test]
fn a_service_that_never_became_ready_and_is_not_restarted_is_fatal() {
    let mut sim = Sim::new(Policy {
        restart: Restart::Never,
        ..policy()
    });
    sim.order(Input::Start);
    sim.tell(Input::Cleared);
    sim.end(Exit::NotStarted("no such file".to_owned()));
    assert_eq!(sim.life.state(), State::Fatal);
    assert_eq!(sim.life.trouble(), Some("no such file"));
}

#[test]
fn a_late_service_is_stopped_and_counts_as_failed() {
    let mut sim = Sim::new(policy());
    sim.order(Input::Start);
    sim.spawn();
    let effects = sim.pass(secs(30));
    assert_eq!(effects.first(), Some(&Effect::Terminate));
    assert_eq!(sim.life.state(), State::Stopping);
    sim.end(Exit::Code(0));
    assert_eq!(
        (sim.life.state(), sim.life.restarts()),
        (State::Starting, 1)
    );
}

#[test]
fn a_stop_goes_from_term_to_kill_to_lost() {
    let mut sim = Sim::new(policy());
    sim.run();
    let effects = sim.order(Input::Stop);
    assert_eq!(effects.first(), Some(&Effect::Terminate));
    assert_eq!(sim.pass(secs(10)), [Effect::Kill]);
    sim.pass(secs(5));
    assert_eq!(sim.life.state(), State::Unknown);
    sim.order(Input::Start);
    assert_eq!(sim.life.state(), State::Unknown, "never a second one");
    sim.end(Exit::Aborted);
    assert_eq!(sim.life.state(), State::Starting);
}

#[test]
fn a_stop_wins_over_a_pending_restart() {
    let mut sim = Sim::new(policy());
    sim.run();
    sim.end(Exit::Code(1));
    sim.spawn();
    sim.end(Exit::Code(1));
    assert_eq!(sim.life.state(), State::Backoff);
    sim.order(Input::Stop);
    assert!(sim.pass(secs(3600)).is_empty());
    assert!(sim.tell(Input::Cleared).is_empty());
    assert_eq!(sim.life.state(), State::Stopped);
}

#[test]
fn a_start_while_stopping_is_remembered_until_a_stop_takes_it_back() {
    let mut sim = Sim::new(policy());
    sim.run();
    sim.order(Input::Stop);
    sim.order(Input::Start);
    sim.order(Input::Stop);
    sim.end(Exit::Code(0));
    assert_eq!(sim.life.state(), State::Stopped);

    sim.run();
    sim.order(Input::Restart);
    assert_eq!(sim.life.state(), State::Stopping);
    sim.end(Exit::Code(0));
    assert_eq!(
        (sim.life.state(), sim.life.restarts()),
        (State::Starting, 0)
    );
}

#[test]
fn news_of_an_older_incarnation_is_ignored() {
    let mut sim = Sim::new(policy());
    sim.run();
    sim.end(Exit::Code(1));
    sim.spawn();
    assert_eq!(sim.life.incarnation(), 2);
    assert!(sim.tell(Input::Ended(1, Exit::Code(9))).is_empty());
    assert!(sim.tell(Input::Ready(1)).is_empty());
    assert_eq!(sim.life.state(), State::Starting);
}

#[test]
fn a_crash_that_leaves_others_behind_kills_them_before_the_restart() {
    let mut sim = Sim::new(policy());
    sim.run();
    let effects = sim.tell(Input::LeaderExited(1, Exit::Signal(11)));
    assert_eq!(effects.first(), Some(&Effect::Kill));
    assert_eq!(sim.life.state(), State::Stopping);
    sim.end(Exit::Signal(11));
    assert_eq!(
        (sim.life.state(), sim.life.restarts()),
        (State::Starting, 1)
    );
}

#[test]
fn a_bound_service_ends_and_waits_without_counting_a_failure() {
    let mut sim = Sim::new(policy());
    sim.run();
    sim.order(Input::Rebind);
    sim.end(Exit::Code(0));
    assert_eq!(sim.life.phase(), &Phase::Waiting(None));
    assert_eq!((sim.life.restarts(), sim.life.want()), (0, Want::Up));
}

#[test]
fn what_is_fatal_can_be_tried_again_or_end_the_stack() {
    let with = |on_fatal| Policy {
        restart: Restart::Never,
        on_fatal,
        ..policy()
    };
    let mut sim = Sim::new(with(OnFatal::Retry(secs(300))));
    sim.order(Input::Start);
    sim.spawn();
    sim.end(Exit::Code(1));
    assert_eq!(sim.life.state(), State::Fatal);
    sim.pass(secs(300));
    assert_eq!(sim.life.state(), State::Starting);

    let mut sim = Sim::new(with(OnFatal::Shutdown));
    sim.order(Input::Start);
    sim.spawn();
    assert!(sim.end(Exit::Code(1)).contains(&Effect::EndStack));
}

#[test]
fn an_exhausted_group_takes_its_wanted_members_down() {
    let mut sim = Sim::new(policy());
    sim.run();
    assert_eq!(
        sim.tell(Input::GroupExhausted).first(),
        Some(&Effect::Terminate)
    );
    sim.end(Exit::Code(0));
    assert_eq!(sim.life.state(), State::Fatal);

    let mut idle = Sim::new(policy());
    assert!(idle.tell(Input::GroupExhausted).is_empty());
}

#[test]
fn a_dependency_that_is_fatal_is_announced_once() {
    let mut sim = Sim::new(policy());
    sim.order(Input::Start);
    sim.tell(Input::Blocked(block("ligier", false)));
    let announced = [Effect::Announce {
        from: State::Starting,
        to: State::Starting,
        reason: "blocked: ligier is FATAL".to_owned(),
    }];
    assert_eq!(sim.tell(Input::Blocked(block("ligier", true))), announced);
    assert!(sim.tell(Input::Blocked(block("ligier", true))).is_empty());
    assert_eq!(sim.tell(Input::Cleared), [Effect::Spawn(1)]);
}

#[test]
fn a_clean_end_before_it_was_ready_is_success_only_for_what_is_there_to_be_done() {
    let cases = [
        (Restart::OnFailure, true, State::Exited),
        (Restart::OnFailure, false, State::Starting),
        (Restart::Always, true, State::Starting),
        (Restart::Never, false, State::Exited),
    ];
    for (restart, awaited, state) in cases {
        let mut sim = Sim::new(Policy {
            restart,
            awaited,
            ..policy()
        });
        sim.order(Input::Start);
        sim.spawn();
        sim.end(Exit::Code(0));
        assert_eq!(sim.life.state(), state, "{restart:?} {awaited}");
    }
}

#[test]
fn bad_health_ends_the_incarnation_and_counts_as_a_failure() {
    let mut sim = Sim::new(policy());
    sim.run();
    let effects = sim.tell(Input::Unhealthy(1, "stall:plots".to_owned()));
    assert_eq!(effects.first(), Some(&Effect::Terminate));
    assert_eq!(sim.life.state(), State::Stopping);
    sim.end(Exit::Code(0));
    assert_eq!(
        (sim.life.state(), sim.life.restarts(), sim.life.streak()),
        (State::Starting, 1, 1)
    );
    assert!(sim.tell(Input::Unhealthy(1, "late".to_owned())).is_empty());
}

#[test]
fn failures_are_forgotten_only_while_health_is_good() {
    let mut sim = Sim::new(policy());
    sim.run();
    sim.end(Exit::Code(1));
    sim.spawn();
    sim.tell(Input::Ready(2));
    sim.pass(secs(59));
    sim.tell(Input::Well(2, false));
    assert_eq!(sim.life.deadline(), None);
    sim.pass(secs(600));
    assert_eq!(sim.life.streak(), 1);
    sim.tell(Input::Well(2, true));
    sim.pass(secs(59));
    assert_eq!(sim.life.streak(), 1);
    sim.pass(secs(1));
    assert_eq!(sim.life.streak(), 0);

    let mut judged = Sim::new(Policy {
        judged: true,
        ..policy()
    });
    judged.run();
    judged.end(Exit::Code(1));
    judged.spawn();
    judged.tell(Input::Ready(2));
    judged.pass(secs(600));
    assert_eq!(judged.life.streak(), 1, "too early to say how it does");
}

#[test]
fn a_start_skips_the_delay_and_the_attempt_counts() {
    let mut sim = Sim::new(policy());
    sim.run();
    sim.end(Exit::Code(1));
    sim.spawn();
    sim.end(Exit::Code(1));
    assert_eq!(sim.life.state(), State::Backoff);
    let effects = sim.order(Input::Start);
    assert!(effects.contains(&Effect::AskClearance));
    assert_eq!((sim.life.streak(), sim.life.failures.len()), (2, 2));
}

#[test]
fn another_policy_moves_the_deadlines_that_are_set() {
    let amend = |change: fn(&mut Policy)| {
        let mut policy = policy();
        change(&mut policy);
        Input::Amend(Box::new(policy))
    };
    let mut sim = Sim::new(policy());
    sim.order(Input::Start);
    sim.spawn();
    sim.pass(secs(5));
    sim.tell(amend(|policy| policy.ready_timeout = secs(8)));
    assert_eq!(sim.life.deadline(), Some(sim.now + secs(3)));
    sim.pass(secs(3));
    assert!(matches!(sim.life.phase(), Phase::Term { .. }));
    sim.tell(amend(|policy| policy.stop_wait = secs(60)));
    assert_eq!(sim.life.deadline(), Some(sim.now + secs(60)));

    // A longer delay is for the next time.
    sim.tell(amend(|policy| policy.backoff.first = Span::from_secs(20)));
    sim.end(Exit::Code(1));
    assert_eq!(sim.life.deadline(), Some(sim.now + secs(20)));
    sim.tell(amend(|policy| policy.backoff.first = Span::from_secs(90)));
    assert_eq!(sim.life.deadline(), Some(sim.now + secs(20)));
    sim.tell(amend(|policy| policy.backoff.first = Span::from_secs(1)));
    assert_eq!(sim.life.deadline(), Some(sim.now + secs(1)));
}
