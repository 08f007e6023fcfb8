//! The engine by a fake clock: tables of what flows when, and what is said and done.

use super::*;
use crate::config::plan::{CheckProbe, FlowSource, HealthAction};
use crate::health::{Reading, Stage};

/// A stack of made-up services, judged once a second.
struct Stack {
    engine: Engine,
    start: Instant,
    wall: Timestamp,
    now_s: u64,
    services: Vec<Service>,
}

struct Service {
    name: Arc<str>,
    flow: Vec<FlowRule>,
    check: Vec<CheckRule>,
    upstream: Vec<usize>,
    activity: Activity,
    input: u64,
    out: u64,
    queued: u64,
    /// What the engine asked for, with the second.
    restarts: Vec<(u64, String)>,
    health: Health,
    news: Vec<bool>,
}

fn rule(max_age_s: u64) -> FlowRule {
    FlowRule {
        out: FlowSource::Queue,
        input: Some(FlowSource::Queue),
        max_age: Duration::from_secs(max_age_s),
        patience: Duration::from_secs(max_age_s),
        grace: Duration::from_secs(max_age_s),
        min_rate_hz: None,
        max_queue: None,
        action: HealthAction::Restart,
    }
}

fn check() -> CheckRule {
    CheckRule {
        probe: CheckProbe::Tcp("h:1".to_owned()),
        every: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        fails: 3,
        ok_after: 1,
        grace: Duration::ZERO,
        action: HealthAction::Restart,
    }
}

const UP: Activity = Activity {
    stage: Stage::Up,
    incarnation: 1,
};

impl Stack {
    fn new(names: &[&str], flow: &[FlowRule]) -> Self {
        let service = |name: &&str| Service {
            name: Arc::from(*name),
            flow: flow.to_vec(),
            check: Vec::new(),
            upstream: Vec::new(),
            activity: UP,
            input: 0,
            out: 0,
            queued: 0,
            restarts: Vec::new(),
            health: Health::Unknown,
            news: Vec::new(),
        };
        Self {
            engine: Engine::new(HealthPlan::default()),
            start: Instant::now(),
            wall: Timestamp::UNIX_EPOCH,
            now_s: 0,
            services: names.iter().map(service).collect(),
        }
    }

    fn moment(&self) -> Moment {
        let past = Duration::from_secs(self.now_s);
        Moment {
            mono: self.start + past,
            wall: self.wall.checked_add(past).unwrap(),
        }
    }

    fn judge(&mut self) {
        let at = self.moment();
        let views: Vec<View<'_>> = self
            .services
            .iter()
            .map(|s| View {
                name: &s.name,
                flow: &s.flow,
                check: &s.check,
                upstream: s.upstream.clone(),
                activity: s.activity,
                readings: vec![
                    FlowReading {
                        out: Reading::count(s.out),
                        input: Some(Reading::count(s.input)),
                        queued: Some(s.queued),
                    };
                    s.flow.len()
                ],
                counters: (s.input, 0),
            })
            .collect();
        let judgements = self.engine.tick(at, &views);
        for (service, judgement) in self.services.iter_mut().zip(judgements) {
            service.health = judgement.health;
            service
                .news
                .extend(judgement.news.iter().map(|news| news.stalled));
            if let Some(reason) = judgement.restart {
                service.restarts.push((self.now_s, reason));
            }
        }
    }

    /// Lets seconds pass; `flows` tells of each service whether input and output move.
    fn run(&mut self, seconds: u64, flows: impl Fn(usize) -> (bool, bool)) {
        for _ in 0..seconds {
            self.now_s += 1;
            for (index, service) in self.services.iter_mut().enumerate() {
                let (input, out) = flows(index);
                service.input += u64::from(input);
                service.out += u64::from(out);
            }
            self.judge();
        }
    }

    /// Lets seconds pass, with restarts carried out at once; a service that comes back works.
    fn run_and_obey(&mut self, seconds: u64, broken: &mut [bool]) {
        for _ in 0..seconds {
            let flows = broken.to_vec();
            self.run(1, |i| (true, !flows[i]));
            for (index, service) in self.services.iter_mut().enumerate() {
                if service
                    .restarts
                    .last()
                    .is_some_and(|(at, _)| *at == self.now_s)
                {
                    service.activity.stage = Stage::Busy;
                    broken[index] = false;
                } else if service.activity.stage == Stage::Busy {
                    service.activity.stage = Stage::Up;
                    service.activity.incarnation += 1;
                }
            }
        }
    }

    fn health(&self) -> Vec<Health> {
        self.services.iter().map(|s| s.health).collect()
    }

    fn restarted_at(&self, index: usize) -> Vec<u64> {
        let restarts = self.services[index].restarts.iter();
        restarts.map(|(at, _)| *at).collect()
    }
}

#[test]
fn health_follows_what_flows() {
    // Input, output, seconds since ready, and what is right then for max_age = 10 s.
    let table = [
        ((true, true), 5, Health::Ok),
        ((true, false), 5, Health::Unknown),
        ((false, false), 5, Health::Unknown),
        ((true, true), 30, Health::Ok),
        ((false, false), 30, Health::Idle),
        ((false, true), 30, Health::Idle),
        ((true, false), 15, Health::Stalled),
    ];
    for (flows, seconds, expected) in table {
        let mut stack = Stack::new(&["a"], &[rule(10)]);
        stack.run(seconds, |_| flows);
        assert_eq!(stack.health(), [expected], "{flows:?} after {seconds} s");
        assert_eq!(stack.restarted_at(0), [0; 0]);
    }
}

#[test]
fn a_service_without_output_is_told_of_then_restarted_with_the_rule_as_reason() {
    let mut stack = Stack::new(&["a"], &[rule(10)]);
    stack.run(20, |_| (true, true));
    stack.run(9, |_| (true, false));
    assert_eq!(stack.services[0].news, [false; 0]);
    stack.run(10, |_| (true, false));
    assert_eq!(
        (stack.health(), &*stack.services[0].news),
        (vec![Health::Stalled], &[true][..])
    );
    assert_eq!(stack.restarted_at(0), [0; 0]);
    stack.run(1, |_| (true, false));
    assert_eq!(stack.services[0].restarts, [(40, "stall:queue".to_owned())]);
    stack.run(1, |_| (true, true));
    assert_eq!(stack.services[0].news, [true, false]);
}

#[test]
fn a_stall_is_told_once_until_something_comes_or_nothing_is_wanted() {
    for (end, expected) in [
        ("flow", &[true, false][..]),
        ("down", &[true, false]),
        ("", &[true]),
    ] {
        let mut stack = Stack::new(&["a"], &[rule(10)]);
        stack.run(25, |_| (true, false));
        // Restarted for it, in vain.
        for incarnation in 2..5 {
            stack.services[0].activity.stage = Stage::Busy;
            stack.run(2, |_| (true, false));
            stack.services[0].activity = Activity {
                stage: Stage::Up,
                incarnation,
            };
            stack.run(25, |_| (true, false));
        }
        match end {
            "flow" => stack.run(2, |_| (true, true)),
            "down" => {
                stack.services[0].activity.stage = Stage::Down;
                stack.run(2, |_| (true, false));
            }
            _ => {}
        }
        assert_eq!(stack.services[0].news, expected, "{end}");
    }
}

#[test]
fn a_stall_ends_with_its_rule() {
    let mut stack = Stack::new(&["a"], &[rule(10)]);
    stack.run(25, |_| (true, false));
    stack.services[0].flow = vec![rule(100)];
    stack.run(1, |_| (true, false));
    assert_eq!(stack.services[0].news, [true, false]);
}

#[test]
fn silent_input_is_no_reason_however_long_and_output_has_all_its_time_when_it_is_back() {
    let mut stack = Stack::new(&["a"], &[rule(10)]);
    stack.run(20, |_| (true, true));
    stack.run(3600, |_| (false, false));
    assert_eq!(stack.health(), [Health::Idle]);
    // Back, and nothing comes out: 10 s until it is stalled, 20 s until it is restarted.
    stack.run(9, |_| (true, false));
    assert_eq!(stack.health(), [Health::Ok]);
    stack.run(2, |_| (true, false));
    assert_eq!(stack.health(), [Health::Stalled]);
    stack.run(10, |_| (true, false));
    assert_eq!(stack.restarted_at(0), [3641]);
}

#[test]
fn a_full_queue_or_a_low_rate_is_lagging_and_restarts_nobody() {
    let mut crowded = rule(10);
    crowded.max_queue = Some(100);
    let mut stack = Stack::new(&["a"], &[crowded]);
    stack.run(15, |_| (true, true));
    stack.services[0].queued = 101;
    stack.run(60, |_| (true, true));
    assert_eq!(stack.health(), [Health::Lagging]);
    stack.services[0].queued = 100;
    stack.run(1, |_| (true, true));
    assert_eq!(stack.health(), [Health::Ok]);

    for (min_rate_hz, expected) in [(0.5, Health::Ok), (2.0, Health::Lagging)] {
        let mut slow = rule(10);
        slow.min_rate_hz = Some(min_rate_hz);
        let mut stack = Stack::new(&["a"], &[slow]);
        stack.run(30, |_| (true, true));
        assert_eq!(stack.health(), [expected], "{min_rate_hz}");
        assert_eq!(stack.restarted_at(0), [0; 0]);
    }
}

#[test]
fn nobody_is_judged_while_what_it_depends_on_does_not_run_nor_shortly_after() {
    let mut stack = Stack::new(&["ligier", "reader"], &[rule(10)]);
    stack.services[1].upstream = vec![0];
    stack.run(20, |_| (true, true));
    stack.services[0].activity.stage = Stage::Down;
    stack.run(300, |_| (true, false));
    assert_eq!(stack.health(), [Health::Unknown; 2]);
    stack.services[0].activity = Activity {
        stage: Stage::Up,
        incarnation: 2,
    };
    // 30 s to find it again, then max_age and patience, counted from there.
    stack.run(49, |i| (true, i == 0));
    assert_eq!(stack.restarted_at(1), [0; 0]);
    stack.run(2, |i| (true, i == 0));
    assert_eq!(stack.restarted_at(1).len(), 1);
    assert_eq!(stack.restarted_at(0), [0; 0]);
}

#[test]
fn when_several_stall_only_the_root_is_restarted_and_the_others_find_it_again() {
    let mut stack = Stack::new(&["source", "broker", "a", "b", "other"], &[rule(10)]);
    stack.services[1].upstream = vec![0];
    stack.services[2].upstream = vec![1];
    stack.services[3].upstream = vec![2];
    stack.run(20, |_| (true, true));
    let mut broken = [false, true, true, true, false];
    // What comes out of the broker again is enough for the others.
    for _ in 0..120 {
        stack.run_and_obey(1, &mut broken);
        if !broken[1] {
            broken = [false; 5];
        }
    }
    let restarts: Vec<usize> = (0..5).map(|i| stack.restarted_at(i).len()).collect();
    assert_eq!(restarts, [0, 1, 0, 0, 0]);
    assert_eq!(stack.health(), [Health::Ok; 5]);
}

#[test]
fn services_that_stall_by_themselves_are_restarted_one_after_the_other() {
    let mut stack = Stack::new(&["a", "b", "c"], &[rule(5)]);
    stack.run(10, |_| (true, true));
    stack.run_and_obey(30, &mut [true; 3]);
    let at: Vec<u64> = (0..3).flat_map(|i| stack.restarted_at(i)).collect();
    assert_eq!(at.len(), 3, "{at:?}");
    assert!(at[0] < at[1] && at[1] < at[2], "{at:?}");
    let mut pairs = Stack::new(&["a", "b", "c"], &[rule(5)]);
    pairs.engine.set(HealthPlan {
        max_parallel_restarts: std::num::NonZeroU32::new(2).unwrap(),
        ..HealthPlan::default()
    });
    pairs.run(10, |_| (true, true));
    pairs.run_and_obey(30, &mut [true; 3]);
    assert_eq!(pairs.restarted_at(0), pairs.restarted_at(1));
    assert_ne!(pairs.restarted_at(0), pairs.restarted_at(2));
}

#[test]
fn a_jump_of_either_clock_begins_all_ages_anew() {
    const HOUR_S: i64 = 3600;
    for (mono_s, wall_s) in [(0, HOUR_S), (0, -HOUR_S), (HOUR_S, HOUR_S), (4, 4)] {
        let mut stack = Stack::new(&["a"], &[rule(10)]);
        stack.run(20, |_| (true, true));
        stack.run(19, |_| (true, false));
        stack.now_s += u64::try_from(mono_s).unwrap();
        let jump = fathom_kernel::Span::from_secs(wall_s.unsigned_abs()).duration();
        let only_wall = wall_s.signum() != 0 && mono_s == 0;
        stack.wall = match (only_wall, wall_s > 0) {
            (false, _) => stack.wall,
            (true, true) => stack.wall.checked_add(jump).unwrap(),
            (true, false) => stack.wall.checked_sub(jump).unwrap(),
        };
        // One second more would have been the end of its patience.
        stack.run(8, |_| (true, false));
        assert_eq!(stack.restarted_at(0), [0; 0], "{mono_s} {wall_s}");
        assert_eq!(stack.health(), [Health::Ok], "{mono_s} {wall_s}");
        stack.run(13, |_| (true, false));
        assert_eq!(stack.restarted_at(0).len(), 1, "{mono_s} {wall_s}");
    }
}

#[test]
fn a_held_service_is_shown_as_it_is_and_left_alone_until_its_time_is_over() {
    let mut stack = Stack::new(&["a"], &[rule(10)]);
    stack.run(15, |_| (true, true));
    let (name, at) = (stack.services[0].name.clone(), stack.moment());
    let minute = Some(Duration::from_secs(60));
    stack.engine.hold(&name, "me".to_owned(), minute, at);
    stack.run(59, |_| (true, false));
    let (health, watch) = stack.engine.status("a", stack.moment().mono);
    assert_eq!(
        (health, watch.suspended.as_deref()),
        (Health::Stalled, Some("held by me"))
    );
    assert_eq!(
        watch.hold.unwrap().until,
        at.wall.checked_add(Duration::from_secs(60)).ok()
    );
    assert_eq!(stack.restarted_at(0), [0; 0]);
    // Afterwards it has all its time again.
    stack.run(20, |_| (true, false));
    assert_eq!(stack.restarted_at(0), [0; 0]);
    stack.run(1, |_| (true, false));
    assert_eq!(stack.restarted_at(0), [95]);

    let at = stack.moment();
    stack.engine.hold(&name, "me".to_owned(), None, at);
    assert!(stack.engine.release("a"));
    assert!(!stack.engine.release("a"));
}

#[test]
fn failed_checks_restart_and_those_of_an_older_start_do_not_count() {
    let mut stack = Stack::new(&["a"], &[]);
    stack.services[0].check = vec![check()];
    stack.run(1, |_| (true, true));
    let result = |incarnation, found: Result<(), String>| CheckResult {
        service: "a".into(),
        index: 0,
        incarnation,
        found,
    };
    let fail = |stack: &mut Stack, incarnation| {
        let now = stack.moment().mono;
        let refused = Err("refused".to_owned());
        stack.engine.checked(&result(incarnation, refused), now);
        stack.run(1, |_| (true, true));
    };
    fail(&mut stack, 1);
    fail(&mut stack, 1);
    fail(&mut stack, 0);
    assert_eq!(stack.restarted_at(0), [0; 0]);
    fail(&mut stack, 1);
    assert_eq!(stack.health(), [Health::Failing]);
    assert_eq!(
        stack.services[0].restarts,
        [(5, "check:tcp:h:1".to_owned())]
    );
    let (_, watch) = stack.engine.status("a", stack.moment().mono);
    assert_eq!(watch.rules[0].trouble.as_deref(), Some("refused"));
}

#[test]
fn a_service_flows_once_this_start_of_it_has_produced_something() {
    let mut stack = Stack::new(&["a"], &[rule(10)]);
    stack.run(3, |_| (true, true));
    assert!(stack.engine.is_flowing("a") && stack.engine.is_seen("a"));
    stack.services[0].activity.incarnation = 2;
    stack.run(3, |_| (true, false));
    assert!(!stack.engine.is_flowing("a") && !stack.engine.is_seen("a"));
    stack.run(1, |_| (true, true));
    assert!(stack.engine.is_flowing("a"));
    stack.run(30, |_| (false, false));
    assert!(!stack.engine.is_flowing("a"), "it is idle");
    stack.services[0].flow.clear();
    stack.run(1, |_| (false, false));
    assert!(stack.engine.is_flowing("a"), "no rule is left");
}

#[test]
fn rules_that_only_warn_restart_nobody_and_a_done_dependency_is_no_reason_to_wait() {
    let mut warn = rule(5);
    warn.action = HealthAction::Warn;
    let mut stack = Stack::new(&["job", "a", "b"], &[rule(5)]);
    stack.services[0].activity.stage = Stage::Done;
    stack.services[1].upstream = vec![0];
    stack.services[2].flow = vec![warn];
    stack.run(30, |_| (true, false));
    assert!(!stack.restarted_at(1).is_empty());
    assert_eq!(stack.restarted_at(2), [0; 0]);
    assert_eq!(stack.services[2].news, [true]);
}
