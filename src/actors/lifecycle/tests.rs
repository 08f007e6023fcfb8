use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::plan::{Backoff, Budget};

fn policy() -> Policy {
    Policy {
        restart: Restart::Always,
        exit_ok: vec![0],
        backoff: Backoff::default(),
        budget: Budget::default(),
        on_fatal: OnFatal::Keep,
        readiness: Readiness::Told,
        ready_timeout: secs(30),
        stop_wait: secs(10),
        kill_wait: secs(5),
    }
}

/// A life with a hand on its clock.
struct Sim {
    life: Life,
    now: Instant,
}

impl Sim {
    fn new(policy: Policy) -> Self {
        Self {
            life: Life::new(policy, 1),
            now: Instant::now(),
        }
    }

    fn tell(&mut self, input: Input) -> Vec<Effect> {
        self.life.step(input, self.now)
    }

    fn order(&mut self, order: fn(String) -> Input) -> Vec<Effect> {
        self.tell(order("test".to_owned()))
    }

    fn pass(&mut self, time: Duration) -> Vec<Effect> {
        self.now += time;
        self.tell(Input::Elapsed)
    }

    fn end(&mut self, exit: Exit) -> Vec<Effect> {
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

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_start_waits_for_clearance_then_spawns_and_becomes_ready() {
    let mut sim = Sim::new(policy());
    let effects = sim.order(Input::Start);
    assert_eq!(effects.last(), Some(&Effect::AskClearance));
    sim.tell(Input::Blocked("ligier".to_owned()));
    assert_eq!(sim.life.phase(), &Phase::Waiting(Some("ligier".to_owned())));
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

/// One thing a random walk may do; bodies answer as a process would.
#[derive(Debug, Clone)]
enum Move {
    Order(u8),
    Clear,
    Block,
    Spawned,
    Ready,
    Leader,
    Ended(u8),
    Late(u8),
    Pass(u32),
    Exhaust,
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        (0_u8..5).prop_map(Move::Order),
        Just(Move::Clear),
        Just(Move::Clear),
        Just(Move::Block),
        Just(Move::Spawned),
        Just(Move::Ready),
        Just(Move::Leader),
        (0_u8..5).prop_map(Move::Ended),
        (0_u8..5).prop_map(Move::Late),
        (0_u32..40_000).prop_map(Move::Pass),
        Just(Move::Exhaust),
    ]
}

fn exit(n: u8) -> Exit {
    match n {
        0 => Exit::Code(0),
        1 => Exit::Code(3),
        2 => Exit::Signal(9),
        3 => Exit::NotStarted("ENOENT".to_owned()),
        _ => Exit::Panicked("boom".to_owned()),
    }
}

/// The walk with the bodies that exist according to the effects.
struct Walk {
    sim: Sim,
    alive: Option<u64>,
}

impl Walk {
    fn make(&mut self, step: Move) -> Result<(), TestCaseError> {
        let current = self.sim.life.incarnation();
        let effects = match step {
            Move::Order(0) => self.sim.order(Input::Start),
            Move::Order(1) => self.sim.order(Input::Stop),
            Move::Order(2) => self.sim.order(Input::Restart),
            Move::Order(3) => self.sim.order(Input::Kill),
            Move::Order(_) => self.sim.order(Input::Rebind),
            Move::Clear => self.sim.tell(Input::Cleared),
            Move::Block => self.sim.tell(Input::Blocked("x".to_owned())),
            Move::Exhaust => self.sim.tell(Input::GroupExhausted),
            Move::Pass(ms) => self.sim.pass(Duration::from_millis(ms.into())),
            Move::Late(n) => self
                .sim
                .tell(Input::Ended(current.wrapping_sub(1), exit(n))),
            Move::Spawned if self.alive.is_some() => self.sim.tell(Input::Spawned(current, 5)),
            Move::Ready if self.alive.is_some() => self.sim.tell(Input::Ready(current)),
            Move::Leader if self.alive.is_some() => {
                self.sim.tell(Input::LeaderExited(current, exit(2)))
            }
            Move::Ended(n) if self.alive.is_some() => {
                self.alive = None;
                self.sim.end(exit(n))
            }
            Move::Spawned | Move::Ready | Move::Leader | Move::Ended(_) => Vec::new(),
        };
        self.check(&effects)
    }

    fn check(&mut self, effects: &[Effect]) -> Result<(), TestCaseError> {
        for effect in effects {
            if let Effect::Spawn(incarnation) = effect {
                prop_assert_eq!(self.alive, None, "two live incarnations");
                prop_assert_eq!(self.sim.life.want(), Want::Up, "started against the will");
                self.alive = Some(*incarnation);
            }
        }
        prop_assert_eq!(self.alive.is_some(), self.sim.life.phase().is_alive());
        prop_assert!(self.sim.life.failures.len() <= 11);
        if self.sim.life.want() == Want::Down {
            prop_assert!(matches!(
                self.sim.life.state(),
                State::Stopped | State::Stopping | State::Unknown
            ));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn random_walks_keep_the_rules(walk in prop::collection::vec(moves(), 0..200), never in any::<bool>()) {
        let restart = if never { Restart::OnFailure } else { Restart::Always };
        let policy = Policy { restart, on_fatal: OnFatal::Retry(secs(20)), ..policy() };
        let mut walker = Walk { sim: Sim::new(policy), alive: None };
        for step in walk {
            walker.make(step)?;
        }
        walker.make(Move::Order(1))?;
        walker.make(Move::Ended(0))?;
        prop_assert_eq!(walker.sim.life.state(), State::Stopped);
        for _ in 0..5 {
            walker.make(Move::Pass(40_000))?;
            walker.make(Move::Clear)?;
        }
        prop_assert_eq!(walker.sim.life.state(), State::Stopped);
    }

    #[test]
    fn a_wanted_service_is_always_on_its_way_up(walk in prop::collection::vec(moves(), 0..100)) {
        let policy = Policy { on_fatal: OnFatal::Retry(secs(20)), ..policy() };
        let mut walker = Walk { sim: Sim::new(policy), alive: None };
        for step in walk {
            walker.make(step)?;
        }
        walker.make(Move::Order(0))?;
        // Whatever happened before, a body that behaves runs in the end.
        for _ in 0..6 {
            if walker.sim.life.state() == State::Stopping || walker.sim.life.state() == State::Unknown {
                walker.make(Move::Ended(0))?;
            }
            walker.make(Move::Clear)?;
            walker.make(Move::Spawned)?;
            walker.make(Move::Ready)?;
        }
        prop_assert_eq!(walker.sim.life.state(), State::Running);
    }
}
