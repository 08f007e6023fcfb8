use fathom_kernel::Timestamp;

use super::*;
use crate::actors::kin::Kin;
use crate::actors::observed::Window;
use crate::actors::phase::Block;
use crate::config::plan::Plan;
use crate::config::{Origin, load};

const S: Duration = Duration::from_secs(1);

/// Services that do what a test says, and an order for some of them.
struct Scene {
    plan: Plan,
    dependents: Vec<Vec<usize>>,
    observed: Vec<Observed>,
    order: Order,
    now: Instant,
    told: Vec<usize>,
}

impl Scene {
    fn new(text: &str, goal: Goal, chosen: &[usize]) -> Self {
        let origin = Origin {
            text: Some(text.to_owned()),
            ..Origin::default()
        };
        let plan = match load(&origin) {
            Ok(loaded) => loaded.plan,
            Err(report) => panic!("{}", report.render(false)),
        };
        let now = Instant::now();
        let idle = Window::new(Timestamp::UNIX_EPOCH).look();
        Self {
            dependents: Kin::of(&plan).all_dependents(),
            observed: vec![idle; plan.services.len()],
            order: Order::new(goal, chosen, "test".to_owned(), now),
            plan,
            now,
            told: Vec::new(),
        }
    }

    fn show(&mut self, index: usize, phase: Phase) {
        self.observed[index].phase = phase;
    }

    /// Lets time pass and looks.
    fn after(&mut self, time: Duration) {
        self.now += time;
        let sight = Sight {
            plans: &self.plan.services,
            observed: &self.observed,
            dependents: &self.dependents,
            now: self.now,
        };
        let told = &mut self.told;
        self.order.advance(&sight, &mut |index, _| {
            told.push(index);
            Some(0)
        });
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let outcomes = self.order.outcomes(&self.plan.services).into_iter();
        outcomes.map(|outcome| outcome.result).collect()
    }
}

fn up() -> Phase {
    Phase::Up {
        pid: 1,
        stable_at: None,
    }
}

fn waiting(on: &str) -> Phase {
    let on = on.to_owned();
    Phase::Waiting(Some(Block { on, fatal: false }))
}

fn warming() -> Phase {
    Phase::Warming {
        pid: 1,
        ready_by: Instant::now(),
        ready_at: None,
    }
}

const CHAIN: &str = "
    service.a.command = \"true\"
    service.b = { command = \"true\", after = [\"a\"] }
    service.c = { command = \"true\", after = [\"b\"] }
";

#[test]
fn what_is_needed_over_another_service_ends_later_though_that_one_is_not_chosen() {
    let mut scene = Scene::new(CHAIN, Goal::Down, &[0, 2]);
    (0..3).for_each(|index| scene.show(index, up()));
    scene.after(S);
    assert_eq!(scene.told, [2]);
    scene.show(2, Phase::Idle);
    scene.after(S);
    scene.after(S);
    assert_eq!(scene.told, [2, 0]);
}

#[test]
fn a_wait_for_what_the_same_order_brings_up_takes_as_long_as_that() {
    let mut scene = Scene::new(CHAIN, Goal::Up, &[0, 1]);
    scene.after(S);
    scene.show(0, warming());
    scene.show(1, waiting("a"));
    (0..10).for_each(|_| scene.after(OTHERS_WAIT));
    assert!(!scene.order.is_done());
    // It is up, but not what is waited for, and nobody says when that will be.
    scene.show(0, up());
    scene.after(S);
    assert!(!scene.order.is_done());
    scene.after(OTHERS_WAIT);
    assert_eq!(scene.verdicts(), [Verdict::Started, Verdict::TimedOut]);
}

#[test]
fn a_wait_for_the_end_of_a_job_takes_as_long_as_the_job() {
    let job = CHAIN.replace("[\"a\"]", "[\"a=done\"]");
    let mut scene = Scene::new(&job, Goal::Up, &[0, 1]);
    scene.after(S);
    scene.show(0, up());
    scene.show(1, waiting("a"));
    (0..10).for_each(|_| scene.after(OTHERS_WAIT));
    assert!(!scene.order.is_done());
    scene.show(0, Phase::Done);
    scene.show(1, up());
    scene.after(S);
    assert_eq!(scene.verdicts(), [Verdict::Started, Verdict::Started]);
}

#[test]
fn a_wait_for_what_somebody_else_brings_up_has_a_limit() {
    let mut scene = Scene::new(CHAIN, Goal::Up, &[1]);
    scene.show(0, warming());
    scene.after(S);
    scene.show(1, waiting("a"));
    scene.after(OTHERS_WAIT - 2 * S);
    assert!(!scene.order.is_done());
    scene.after(2 * S);
    assert_eq!(scene.verdicts(), [Verdict::TimedOut]);
}
