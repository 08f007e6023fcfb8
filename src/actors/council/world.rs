//! A world without processes: random trees of groups, lives that fail, orders that arrive late.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use fathom_kernel::{Exit, Want};
use proptest::prelude::*;

use super::*;
use crate::actors::lifecycle::Life;
use crate::actors::observed::{Observed, Window};
use crate::actors::phase::Effect;
use crate::actors::policy::Policy;
use crate::config::{Origin, load};

/// A tree as a configuration file.
#[derive(Debug, Clone)]
struct Tree {
    /// Strategy and budget of each group; each group but the first may be in an earlier one.
    groups: Vec<(usize, u32, Option<usize>)>,
    /// Group and earlier services it waits for.
    services: Vec<(Option<usize>, Vec<usize>)>,
    root: u32,
}

impl Tree {
    fn text(&self) -> String {
        let mut text = format!(
            "[stack]\nbudget = {{ restarts = {}, period = \"5m\" }}\n",
            self.root
        );
        for (at, (strategy, budget, outer)) in self.groups.iter().enumerate() {
            let strategy = ["one_for_one", "rest_for_one", "one_for_all"][*strategy];
            writeln!(text, "[group.g{at}]\nstrategy = \"{strategy}\"").unwrap();
            writeln!(text, "budget = {{ restarts = {budget}, period = \"5m\" }}").unwrap();
            if let Some(outer) = outer.filter(|_| at < 4 && at > 0) {
                writeln!(text, "group = \"g{}\"", outer % at).unwrap();
            }
        }
        for (at, (group, needs)) in self.services.iter().enumerate() {
            writeln!(
                text,
                "[service.s{at}]\ncommand = \"true\"\nready = \"notify\""
            )
            .unwrap();
            if let Some(group) = group.filter(|_| !self.groups.is_empty()) {
                writeln!(text, "group = \"g{}\"", group % self.groups.len()).unwrap();
            }
            if at > 0 {
                let needs: Vec<String> = needs.iter().map(|n| format!("\"s{}\"", n % at)).collect();
                writeln!(text, "after = [{}]", needs.join(", ")).unwrap();
            }
        }
        text
    }
}

fn plan_of(text: &str) -> Plan {
    let origin = Origin {
        text: Some(text.to_owned()),
        ..Origin::default()
    };
    match load(&origin) {
        Ok(loaded) => loaded.plan,
        Err(report) => panic!("{text}\n{}", report.render(false)),
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let group = (0_usize..3, 0_u32..4, prop::option::of(0_usize..4));
    let needs = prop::collection::vec(0_usize..9, 0..3);
    let service = (prop::option::weighted(0.8, 0_usize..5), needs);
    let groups = prop::collection::vec(group, 0..6);
    let services = prop::collection::vec(service, 1..9);
    (groups, services, 0_u32..3).prop_map(|(groups, services, root)| Tree {
        groups,
        services,
        root,
    })
}

/// One thing that happens; numbers choose a service.
#[derive(Debug, Clone)]
enum Move {
    Look,
    Deliver(usize),
    Go(usize),
    Crash(usize),
    Stop(usize),
    Start(usize),
    Pass(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => Just(Move::Look),
        3 => (0_usize..9).prop_map(Move::Deliver),
        3 => (0_usize..9).prop_map(Move::Go),
        2 => (0_usize..9).prop_map(Move::Crash),
        1 => (0_usize..9).prop_map(Move::Stop),
        1 => (0_usize..9).prop_map(Move::Start),
        1 => (0_u64..20_000).prop_map(Move::Pass),
    ];
    prop::collection::vec(one, 0..150)
}

struct World {
    plan: Plan,
    council: Council,
    lives: Vec<Life>,
    shown: Vec<Observed>,
    sent: Vec<u64>,
    mail: Vec<VecDeque<(u64, Input)>>,
    now: Instant,
    ended: bool,
    /// Whom each service needs, over any way.
    needs: Vec<Vec<usize>>,
    wrong: Vec<String>,
}

impl World {
    fn new(plan: Plan) -> Self {
        let count = plan.services.len();
        let lives = plan
            .services
            .iter()
            .map(|s| Life::new(Policy::of(s, false), 1));
        let place = |name: &str| plan.services.iter().position(|s| *s.name == *name).unwrap();
        let mut needs: Vec<Vec<usize>> = Vec::new();
        // Services stand in start order, so what they need is known already.
        for service in &plan.services {
            let direct: Vec<usize> = service.after.iter().map(|a| place(&a.name)).collect();
            let indirect: Vec<usize> = direct.iter().flat_map(|&n| needs[n].clone()).collect();
            needs.push([direct, indirect].concat());
        }
        let shown = Window::new(fathom_kernel::Timestamp::UNIX_EPOCH).look();
        Self {
            council: Council::new(&plan),
            lives: lives.collect(),
            shown: vec![shown; count],
            sent: vec![0; count],
            mail: vec![VecDeque::new(); count],
            now: Instant::now(),
            ended: false,
            needs,
            wrong: Vec::new(),
            plan,
        }
    }

    fn hear(&mut self, index: usize, input: Input) {
        let life = &mut self.lives[index];
        for effect in life.step(input, self.now) {
            if let Effect::Spawn(_) = effect {
                let wanted = life.want() == Want::Up;
                let before = &self.shown[index].phase;
                if !wanted || before.is_alive() {
                    self.wrong.push(format!("{index} was started wrongly"));
                }
            }
        }
        let shown = &mut self.shown[index];
        shown.phase = life.phase().clone();
        shown.want = life.want();
        shown.incarnation = life.incarnation();
        shown.restarts = life.restarts();
    }

    fn tell(&mut self, index: usize, input: Input) {
        self.sent[index] += 1;
        self.mail[index].push_back((self.sent[index], input));
    }

    fn deliver(&mut self, index: usize) {
        if let Some((number, input)) = self.mail[index].pop_front() {
            self.shown[index].order = number;
            self.hear(index, input);
        }
    }

    fn look(&mut self) {
        let (shown, sent) = (self.shown.clone(), self.sent.clone());
        let mut told = Vec::new();
        let view = View {
            observed: &shown,
            sent: &sent,
        };
        let mut council = std::mem::take(&mut self.council);
        self.ended |= council.decide(&self.plan, view, self.now, &mut |index, input| {
            told.push((index, input));
            Some(sent[index] + 1)
        });
        self.council = council;
        for (index, input) in told {
            self.judge(index, &input);
            self.tell(index, input);
        }
    }

    /// Checks that starts and stops keep the order of dependencies.
    fn judge(&mut self, index: usize, input: &Input) {
        let is_up = |of: usize| matches!(self.shown[of].phase, Phase::Up { .. });
        // What could not be killed is given up.
        let ended = |of: usize| {
            let phase = &self.shown[of].phase;
            !phase.is_alive() || matches!(phase, Phase::Lost { .. })
        };
        let services = &self.plan.services;
        let fine = match input {
            Input::Cleared => {
                let after = services[index].after.iter();
                let place = |name: &str| services.iter().position(|s| *s.name == *name).unwrap();
                after.map(|a| place(&a.name)).all(is_up)
            }
            Input::Rebind(_) | Input::GroupExhausted if self.shown[index].phase.is_alive() => (0
                ..services.len())
                .filter(|&other| self.needs[other].contains(&index))
                .filter(|&other| services[other].group == services[index].group)
                .all(|other| ended(other) || self.shown[other].want == Want::Down),
            _ => true,
        };
        if !fine {
            self.wrong
                .push(format!("{input:?} for {index} was too early"));
        }
    }

    /// The body of a service does what is expected of it.
    fn go(&mut self, index: usize) {
        let incarnation = self.lives[index].incarnation();
        match self.shown[index].phase {
            Phase::Spawning { .. } => self.hear(index, Input::Spawned(incarnation, 7)),
            Phase::Warming { .. } => self.hear(index, Input::Ready(incarnation)),
            Phase::Term { .. } | Phase::Kill { .. } | Phase::Lost { .. } => {
                self.hear(index, Input::Ended(incarnation, Exit::Code(0)));
            }
            _ => {}
        }
    }

    fn crash(&mut self, index: usize) {
        let incarnation = self.lives[index].incarnation();
        if self.shown[index].phase.is_alive() {
            self.hear(index, Input::Ended(incarnation, Exit::Code(1)));
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for index in 0..self.lives.len() {
            self.hear(index, Input::Elapsed);
        }
    }

    fn make(&mut self, step: &Move) {
        let count = self.lives.len();
        match step {
            Move::Look => self.look(),
            Move::Deliver(n) => self.deliver(n % count),
            Move::Go(n) => self.go(n % count),
            Move::Crash(n) => self.crash(n % count),
            Move::Stop(n) => self.tell(n % count, Input::Stop("test".to_owned())),
            Move::Start(n) => self.tell(n % count, Input::Start("test".to_owned())),
            Move::Pass(ms) => self.pass(Duration::from_millis(*ms)),
        }
    }

    /// Everybody does what is expected for a while.
    fn calm(&mut self) {
        for _ in 0..200 {
            for index in 0..self.lives.len() {
                while !self.mail[index].is_empty() {
                    self.deliver(index);
                }
                self.go(index);
            }
            self.pass(Duration::from_millis(500));
            self.look();
        }
    }

    fn start_all(&mut self) {
        for index in 0..self.lives.len() {
            self.tell(index, Input::Start("test".to_owned()));
        }
    }

    fn phases(&self) -> String {
        format!(
            "{:#?}",
            self.shown.iter().map(|s| &s.phase).collect::<Vec<_>>()
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn starts_and_stops_keep_the_order_and_after_the_storm_everything_runs(
        tree in trees(),
        storm in moves(),
    ) {
        let mut world = World::new(plan_of(&tree.text()));
        world.start_all();
        world.calm();
        for step in &storm {
            world.make(step);
        }
        world.calm();
        for (index, shown) in world.shown.iter().enumerate() {
            if shown.want == Want::Down {
                prop_assert_eq!(&shown.phase, &Phase::Idle, "{} was started against the will", index);
            }
        }
        world.start_all();
        world.calm();
        prop_assert!(world.wrong.is_empty(), "{:?}", world.wrong);
        let all_up = world.shown.iter().all(|shown| matches!(shown.phase, Phase::Up { .. }));
        prop_assert!(all_up, "{}", world.phases());
        prop_assert!(world.council.is_quiet());
        prop_assert!(tree.root > 0 || !world.ended, "no budget cannot be used up");
    }

    #[test]
    fn what_always_fails_comes_to_an_end(tree in trees()) {
        let mut world = World::new(plan_of(&tree.text()));
        world.start_all();
        for _ in 0..2_000 {
            world.calm_but_failing();
            if world.ended || world.is_at_rest() {
                break;
            }
        }
        prop_assert!(world.wrong.is_empty(), "{:?}", world.wrong);
        prop_assert!(world.ended || world.is_at_rest(), "{}", world.phases());
    }
}

impl World {
    /// One round in which whatever is up fails.
    fn calm_but_failing(&mut self) {
        for index in 0..self.lives.len() {
            while !self.mail[index].is_empty() {
                self.deliver(index);
            }
            match self.shown[index].phase {
                Phase::Up { .. } => self.crash(index),
                _ => self.go(index),
            }
        }
        self.pass(Duration::from_millis(500));
        self.look();
    }

    /// Tells whether nothing will happen any more: all have failed for good, or wait for one that
    /// has.
    fn is_at_rest(&self) -> bool {
        let rests = |index: usize| match &self.shown[index].phase {
            Phase::Fatal { .. } => true,
            Phase::Waiting(Some(_)) => self.needs[index]
                .iter()
                .any(|&need| matches!(self.shown[need].phase, Phase::Fatal { .. })),
            _ => false,
        };
        (0..self.lives.len()).all(rests)
    }
}

/// Starts all services of a file and lets them settle.
fn running(text: &str) -> World {
    let mut world = World::new(plan_of(text));
    world.start_all();
    world.calm();
    assert!(world.council.is_quiet());
    world
}

impl World {
    fn place(&self, name: &str) -> usize {
        self.plan
            .services
            .iter()
            .position(|s| *s.name == *name)
            .unwrap()
    }

    /// Lets one fail and everybody go on; returns who was started anew, by short name.
    fn restarted_with(&mut self, name: &str) -> Vec<String> {
        let before: Vec<u64> = self.shown.iter().map(|shown| shown.incarnation).collect();
        self.crash(self.place(name));
        self.calm();
        let services = self.plan.services.iter().zip(&self.shown).zip(before);
        let anew = services.filter(|((_, shown), before)| shown.incarnation > *before);
        let mut names: Vec<String> = anew
            .map(|((service, _), _)| service.name.rsplit(':').next().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    fn state(&self, name: &str) -> fathom_kernel::State {
        self.shown[self.place(name)].phase.state()
    }
}

const CHAIN: &str = r#"
    [group.outer]
    strategy = "STRATEGY"
    [group.inner]
    group = "outer"
    [service.a]
    group = "outer"
    command = "true"
    [service.b]
    group = "outer"
    command = "true"
    after = ["other"]
    [service.c]
    group = "outer"
    command = "true"
    [service.d]
    group = "inner"
    command = "true"
    after = ["b"]
    [service.other]
    command = "true"
"#;

#[test]
fn a_strategy_says_who_is_restarted_with_whom() {
    let chain = |strategy: &str| running(&CHAIN.replace("STRATEGY", strategy));
    let mut world = chain("one_for_one");
    assert_eq!(world.restarted_with("outer:b"), ["b"]);
    let mut world = chain("one_for_all");
    assert_eq!(world.restarted_with("outer:b"), ["a", "b", "c", "d"]);
    assert_eq!(world.restarted_with("outer.inner:d"), ["d"]);
    let mut world = chain("rest_for_one");
    // c has no `after`, so it depends on what is declared before it.
    assert_eq!(world.restarted_with("outer:b"), ["b", "c", "d"]);
    assert_eq!(world.restarted_with("outer:a"), ["a", "c"]);
    assert_eq!(world.restarted_with("outer:c"), ["c"]);
    assert!(world.wrong.is_empty(), "{:?}", world.wrong);
}

#[test]
fn a_member_that_is_down_by_wish_is_left_alone() {
    let mut world = running(&CHAIN.replace("STRATEGY", "one_for_all"));
    world.tell(world.place("outer:c"), Input::Stop("test".to_owned()));
    world.calm();
    assert_eq!(world.restarted_with("outer:a"), ["a", "b", "d"]);
    assert_eq!(world.state("outer:c"), fathom_kernel::State::Stopped);
}

#[test]
fn an_exhausted_group_is_fatal_counts_once_outside_and_returns_with_a_start() {
    use fathom_kernel::State::{Fatal, Running};
    let budgets = r#"
        [stack]
        budget = { restarts = 1, period = "1h" }
        [group.outer]
        budget = { restarts = 1, period = "1h" }
        [group.inner]
        group = "outer"
        budget = { restarts = 1, period = "1h" }
        [service.a]
        group = "inner"
        command = "true"
        [service.b]
        group = "inner"
        command = "true"
        [service.c]
        group = "outer"
        command = "true"
        [service.lone]
        command = "true"
        restart = "never"
    "#;
    let mut world = running(budgets);
    world.restarted_with("outer.inner:a");
    assert_eq!(world.state("outer.inner:b"), Running);
    assert!(world.restarted_with("outer.inner:a").is_empty());
    let states = ["outer.inner:a", "outer.inner:b", "outer:c"].map(|name| world.state(name));
    assert_eq!(states, [Fatal, Fatal, Running]);
    assert!(world.council.groups().is_fatal("outer.inner"));
    // A start of a member gives the group a fresh budget.
    world.tell(
        world.place("outer.inner:b"),
        Input::Start("test".to_owned()),
    );
    world.calm();
    assert!(!world.council.groups().is_fatal("outer.inner"));
    assert_eq!(world.restarted_with("outer.inner:b"), ["b"]);
    // The second group that fails within the outer one is too much for that.
    assert!(world.restarted_with("outer.inner:b").is_empty());
    assert_eq!(world.state("outer:c"), Fatal);
    assert!(
        !world.ended,
        "one failure is within the budget of the stack"
    );
    let lone = world.place("lone");
    world.tell(lone, Input::Start("test".to_owned()));
    world.calm();
    let incarnation = world.lives[lone].incarnation();
    world.tell(lone, Input::Restart("test".to_owned()));
    world.deliver(lone);
    world.go(lone);
    world.look();
    world.deliver(lone);
    assert!(world.lives[lone].incarnation() > incarnation);
    // It ends before it is ready: FATAL, as a group of its own.
    world.crash(lone);
    world.look();
    assert!(world.ended);
}
