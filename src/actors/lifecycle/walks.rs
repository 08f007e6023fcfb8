//! Random walks through a life: whatever comes in whatever order, the rules hold.

use std::time::{Duration, Instant};

use fathom_kernel::{Exit, State, Want};
use proptest::prelude::*;

use super::tests::{Sim, block, policy, secs};
use super::*;
use crate::actors::phase::Phase;
use crate::config::plan::{OnFatal, Restart};

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
    Unhealthy,
    Well(bool),
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
        Just(Move::Unhealthy),
        any::<bool>().prop_map(Move::Well),
    ]
}

fn policies() -> impl Strategy<Value = Policy> {
    let restart = prop_oneof![
        Just(Restart::Always),
        Just(Restart::OnFailure),
        Just(Restart::Never)
    ];
    (restart, any::<bool>(), any::<bool>()).prop_map(|(restart, awaited, judged)| Policy {
        restart,
        awaited,
        judged,
        on_fatal: OnFatal::Retry(secs(20)),
        ..policy()
    })
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
    start: Instant,
    alive: Option<u64>,
    /// Whether the health of the incarnation that is up was last found good.
    well: bool,
    records: Vec<Record>,
    changes: Vec<Change>,
}

impl Walk {
    fn new(policy: Policy) -> Self {
        let sim = Sim::new(policy);
        Self {
            start: sim.now,
            sim,
            alive: None,
            well: false,
            records: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Returns what the life hears of a move; nothing when it is none at this moment.
    fn input(&mut self, step: &Move) -> Option<Input> {
        let current = self.sim.life.incarnation();
        let why = || "test".to_owned();
        Some(match step {
            Move::Order(0) => Input::Start(why()),
            Move::Order(1) => Input::Stop(why()),
            Move::Order(2) => Input::Restart(why()),
            Move::Order(3) => Input::Kill(why()),
            Move::Order(_) => Input::Rebind(why()),
            Move::Clear => Input::Cleared,
            Move::Block => Input::Blocked(block("x", true)),
            Move::Exhaust => Input::GroupExhausted,
            Move::Pass(ms) => {
                self.sim.now += Duration::from_millis((*ms).into());
                Input::Elapsed
            }
            Move::Late(n) => Input::Ended(current.wrapping_sub(1), exit(*n)),
            Move::Spawned if self.alive.is_some() => Input::Spawned(current, 5),
            Move::Ready if self.alive.is_some() => Input::Ready(current),
            Move::Leader if self.alive.is_some() => Input::LeaderExited(current, exit(2)),
            Move::Ended(n) if self.alive.is_some() => {
                self.alive = None;
                Input::Ended(current, exit(*n))
            }
            Move::Unhealthy => Input::Unhealthy(current, why()),
            Move::Well(well) => Input::Well(current, *well),
            Move::Spawned | Move::Ready | Move::Leader | Move::Ended(_) => return None,
        })
    }

    fn make(&mut self, step: Move) -> Result<(), TestCaseError> {
        let Some(input) = self.input(&step) else {
            return Ok(());
        };
        let (was_up, streak) = (self.is_up(), self.sim.life.streak());
        let at_ns = u64::try_from((self.sim.now - self.start).as_nanos()).unwrap();
        self.records.push(Record {
            at_ns,
            input: input.clone(),
        });
        let effects = self.sim.tell(input);
        match (self.is_up(), &step) {
            (true, Move::Well(well)) => self.well = *well,
            (true, _) if !was_up => self.well = !self.sim.life.policy.judged,
            _ => {}
        }
        if was_up && self.is_up() && self.sim.life.streak() < streak {
            prop_assert!(self.well, "failures forgotten while health is bad");
        }
        self.check(&effects, at_ns)
    }

    fn is_up(&self) -> bool {
        matches!(self.sim.life.phase(), Phase::Up { .. })
    }

    fn check(&mut self, effects: &[Effect], at_ns: u64) -> Result<(), TestCaseError> {
        let life = &self.sim.life;
        for effect in effects {
            match effect {
                Effect::Spawn(incarnation) => {
                    prop_assert_eq!(self.alive, None, "two live incarnations");
                    prop_assert_eq!(life.want(), Want::Up, "started against the will");
                    self.alive = Some(*incarnation);
                }
                Effect::Announce { from, to, reason } => self.changes.push(Change {
                    at_ns,
                    incarnation: life.incarnation(),
                    from: *from,
                    to: *to,
                    reason: reason.clone(),
                }),
                Effect::AskClearance
                | Effect::Terminate
                | Effect::Kill
                | Effect::EndStack
                | Effect::Incident(_) => {}
            }
        }
        prop_assert_eq!(self.alive.is_some(), life.phase().is_alive());
        prop_assert!(life.failures.len() <= 11);
        if life.want() == Want::Down {
            prop_assert!(matches!(
                life.state(),
                State::Stopped | State::Stopping | State::Unknown
            ));
        }
        // The longest time in the policy is the minute after which failures are forgotten.
        let longest = self.sim.now + secs(66);
        prop_assert!(life.deadline().is_none_or(|at| at <= longest));
        let moves_by_itself = matches!(
            life.phase(),
            Phase::Spawning { .. }
                | Phase::Warming { .. }
                | Phase::Delay { .. }
                | Phase::Term { .. }
                | Phase::Kill { .. }
                | Phase::Fatal { .. }
        );
        prop_assert!(
            !moves_by_itself || life.deadline().is_some(),
            "stuck for ever"
        );
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn random_walks_keep_the_rules_and_a_stop_wins(
        policy in policies(),
        walk in prop::collection::vec(moves(), 0..200),
        rest in prop::collection::vec(moves(), 0..30),
    ) {
        let mut walker = Walk::new(policy);
        for step in walk {
            walker.make(step)?;
        }
        walker.make(Move::Order(1))?;
        let incarnation = walker.sim.life.incarnation();
        for step in rest {
            // All but an order to start.
            if !matches!(step, Move::Order(0 | 2)) {
                walker.make(step)?;
            }
        }
        prop_assert_eq!(walker.sim.life.incarnation(), incarnation, "a stop did not win");
        walker.make(Move::Ended(0))?;
        prop_assert_eq!(walker.sim.life.state(), State::Stopped);
    }

    #[test]
    fn a_wanted_service_is_always_on_its_way_up(
        policy in policies(),
        walk in prop::collection::vec(moves(), 0..100),
    ) {
        let mut walker = Walk::new(policy);
        for step in walk {
            walker.make(step)?;
        }
        walker.make(Move::Order(0))?;
        // Whatever happened before, a body that behaves runs in the end.
        for _ in 0..6 {
            if matches!(walker.sim.life.state(), State::Stopping | State::Unknown) {
                walker.make(Move::Ended(0))?;
                walker.make(Move::Order(0))?;
            }
            walker.make(Move::Clear)?;
            walker.make(Move::Spawned)?;
            walker.make(Move::Ready)?;
        }
        prop_assert_eq!(walker.sim.life.state(), State::Running);
    }

    #[test]
    fn what_was_recorded_replays_to_the_same_changes(
        policy in policies(),
        walk in prop::collection::vec(moves(), 0..100),
    ) {
        let mut walker = Walk::new(policy.clone());
        for step in walk {
            walker.make(step)?;
        }
        let lines: Vec<String> = walker.records.iter().map(|r| serde_json::to_string(r).unwrap()).collect();
        let policy = serde_json::from_str(&serde_json::to_string(&policy).unwrap()).unwrap();
        let records = lines.iter().map(|line| serde_json::from_str(line).unwrap());
        prop_assert_eq!(replay(policy, 1, records), walker.changes);
    }
}
