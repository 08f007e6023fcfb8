//! Groups with real children: who is restarted with whom, budgets of groups and of the stack, rolling
//! restarts, stops with dependents, kills.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use std::path::Path;
use std::time::Duration;

use fathom::actors::Ended;
use fathom::config::plan::{After, Budget, Plan, Ready, ServicePlan, StopPlan, Strategy, Until};
use fathom::stack::{Options, Stack};
use fathom_kernel::{Command, GroupStatus, Reply, Span, StackStatus, State, Verdict};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use rig::*;

/// A child of the group `g` that writes its starts and stops into one file for all.
fn diarist(folder: &Path, name: &str, after: &[&str]) -> ServicePlan {
    let diary = folder.join("diary");
    let (diary, full) = (diary.display(), format!("g:{name}"));
    let text = format!(
        "echo {name} starts >> {diary}; trap 'echo {name} stops >> {diary}; exit 0' TERM; \
         echo up; while :; do sleep 0.01; done"
    );
    let mut service = script(&full, &text);
    service.ready = Ready::Log("^up$".to_owned());
    service.after = after
        .iter()
        .map(|name| After {
            name: format!("g:{name}").into(),
            until: Until::Ready,
        })
        .collect();
    service
}

fn diary(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("diary")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Three children: b waits for a, c for nothing.
fn three(folder: &Path, strategy: Strategy) -> Plan {
    let services = vec![
        diarist(folder, "a", &[]),
        diarist(folder, "c", &[]),
        diarist(folder, "b", &["a"]),
    ];
    let mut plan = plan(folder, services);
    plan.groups[0].strategy = strategy;
    plan
}

fn budget(restarts: u32) -> Option<Budget> {
    let period = Span::from_secs(600);
    Some(Budget { restarts, period })
}

async fn start_all(plan: Plan) -> Stack {
    let names: Vec<String> = plan.services.iter().map(|s| s.name.to_string()).collect();
    let stack = Stack::start(plan, Options::default()).unwrap();
    for name in names {
        until_state(&stack, &name, State::Running).await;
    }
    stack
}

async fn crash(stack: &Stack, name: &str) {
    let pid = status(stack, name).await.pid;
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
}

async fn everything(stack: &Stack) -> StackStatus {
    match ask(stack, Command::Status { targets: vec![] })
        .await
        .unwrap()
    {
        Reply::Status(status) => status,
        other => panic!("no status: {other:?}"),
    }
}

async fn group(stack: &Stack, name: &str) -> GroupStatus {
    let mut groups = everything(stack).await.groups.into_iter();
    groups.find(|group| group.name == name).unwrap()
}

fn position(diary: &[String], line: &str) -> usize {
    diary.iter().position(|known| known == line).unwrap()
}

#[tokio::test]
async fn all_for_one_end_in_reverse_order_and_start_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = start_all(three(folder.path(), Strategy::OneForAll)).await;
    let before = diary(folder.path()).len();
    crash(&stack, "g:c").await;
    for name in ["g:a", "g:b", "g:c"] {
        until(&stack, name, |now| {
            now.incarnation == 2 && now.state == State::Running
        })
        .await;
    }
    let all = diary(folder.path());
    let diary = &all[before..];
    let order = ["b stops", "a stops", "a starts", "b starts"];
    let places = order.map(|line| position(diary, line));
    assert!(places.is_sorted(), "{diary:?}");
    // The one that failed starts with the others, not before they have ended.
    assert!(
        position(diary, "c starts") > position(diary, "a stops"),
        "{diary:?}"
    );
    assert_eq!(diary.len(), 5, "{diary:?}");
    // Who was restarted for the sake of another has not failed.
    assert_eq!(status(&stack, "g:a").await.restarts, 0);
    assert_eq!(status(&stack, "g:c").await.restarts, 1);
    stack.shutdown().await;
}

#[tokio::test]
async fn the_rest_is_those_that_depend_on_the_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = start_all(three(folder.path(), Strategy::RestForOne)).await;
    crash(&stack, "g:b").await;
    until(&stack, "g:b", |now| {
        now.incarnation == 2 && now.state == State::Running
    })
    .await;
    assert_eq!(done(&stack, stop("g:c")).await[0].result, Verdict::Stopped);
    crash(&stack, "g:a").await;
    for name in ["g:a", "g:b"] {
        let again = if name == "g:a" { 2 } else { 3 };
        until(&stack, name, |now| {
            now.incarnation == again && now.state == State::Running
        })
        .await;
    }
    // c has no `after` and stands behind a, but it is down by wish.
    let c = status(&stack, "g:c").await;
    assert_eq!((c.incarnation, c.state), (1, State::Stopped));
    stack.shutdown().await;
}

#[tokio::test]
async fn an_exhausted_group_is_fatal_until_a_member_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = three(folder.path(), Strategy::OneForOne);
    plan.groups[0].budget = budget(1);
    plan.services.push(worker("other"));
    plan.groups.push(fathom::config::plan::GroupPlan {
        name: "other".into(),
        lone: true,
        members: vec!["other".into()],
        budget: None,
        ..plan.groups[0].clone()
    });
    let mut stack = start_all(plan).await;
    crash(&stack, "g:c").await;
    until(&stack, "g:c", |now| {
        now.incarnation == 2 && now.state == State::Running
    })
    .await;
    assert_eq!(group(&stack, "g").await.budget.unwrap().used, 1);
    crash(&stack, "g:c").await;
    for name in ["g:a", "g:b", "g:c"] {
        until_state(&stack, name, State::Fatal).await;
    }
    assert_eq!(group(&stack, "g").await.state, State::Fatal);
    assert_eq!(status(&stack, "other").await.state, State::Running);
    // b needs a, which is started with it.
    let outcomes = done(&stack, start_of("g:b")).await;
    let started = [("g:a", Verdict::Started), ("g:b", Verdict::Started)];
    assert_eq!(results(&outcomes), started);
    crash(&stack, "g:a").await;
    until(&stack, "g:a", |now| {
        now.incarnation == 3 && now.state == State::Running
    })
    .await;
    stack.shutdown().await;
}

#[tokio::test]
async fn the_stack_ends_when_too_many_groups_have_failed() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = three(folder.path(), Strategy::OneForAll);
    plan.groups[0].budget = budget(1);
    plan.budget = budget(1);
    let mut stack = start_all(plan).await;
    for incarnation in [2, 3] {
        crash(&stack, "g:a").await;
        if incarnation == 3 {
            // Others may still be ending: who starts them now means it.
            until_state(&stack, "g:b", State::Fatal).await;
            done(&stack, start_of("g")).await;
        }
        until(&stack, "g:b", |now| {
            now.incarnation == incarnation && now.state == State::Running
        })
        .await;
    }
    assert_eq!(everything(&stack).await.budget.unwrap().used, 1);
    crash(&stack, "g:a").await;
    until(&stack, "g:b", |now| {
        now.incarnation == 4 && now.state == State::Running
    })
    .await;
    crash(&stack, "g:a").await;
    assert_eq!(stack.wait().await, Ended::Exhausted);
    assert_eq!(
        diary(folder.path())
            .iter()
            .filter(|l| *l == "b stops")
            .count(),
        4
    );
}

#[tokio::test]
async fn a_rolling_restart_goes_one_by_one_and_ends_at_the_first_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = three(folder.path(), Strategy::OneForOne);
    let broken = folder.path().join("broken");
    let mut last = diarist(folder.path(), "d", &["b"]);
    let text = format!("test ! -e {} && exec sleep 100", broken.display());
    let mut fails = script("g:e", &text);
    fails.ready = Ready::Secs(Duration::from_millis(50));
    fails.after = last.after.clone();
    last.after[0].name = "g:e".into();
    for service in [fails, last] {
        plan.groups[0].members.push(service.name.clone());
        plan.services.push(service);
    }
    let mut stack = start_all(plan).await;
    done(&stack, stop("g:c")).await;
    let before = diary(folder.path()).len();
    let roll = |by_level| Command::Roll {
        targets: vec!["g".to_owned()],
        by_level,
    };
    use Verdict::{AbnormalTermination, Started, Untouched};
    let rolled = |e, d| {
        [
            ("g:a", Started),
            ("g:c", Untouched),
            ("g:b", Started),
            ("g:e", e),
            ("g:d", d),
        ]
    };
    let outcomes = done(&stack, roll(false)).await;
    assert_eq!(results(&outcomes), rolled(Started, Started));
    let lines = [
        "a stops", "a starts", "b stops", "b starts", "d stops", "d starts",
    ];
    assert_eq!(diary(folder.path())[before..], lines);
    let outcomes = done(&stack, roll(true)).await;
    let mut by_level = rolled(Started, Started);
    // Of one level; it is left alone at once.
    by_level.swap(0, 1);
    assert_eq!(results(&outcomes), by_level);

    std::fs::write(&broken, "").unwrap();
    let incarnation = status(&stack, "g:d").await.incarnation;
    let outcomes = done(&stack, roll(false)).await;
    assert_eq!(results(&outcomes), rolled(AbnormalTermination, Untouched));
    assert_eq!(outcomes[4].message, "g:e failed");
    let d = status(&stack, "g:d").await;
    assert_eq!((d.incarnation, d.state), (incarnation, State::Running));
    stack.shutdown().await;
}

#[tokio::test]
async fn a_stop_takes_dependents_along_and_a_kill_takes_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = three(folder.path(), Strategy::OneForOne);
    let deaf = script("g:d", "trap '' TERM; echo up; while :; do sleep 0.01; done");
    let deaf = ServicePlan {
        ready: Ready::Log("^up$".to_owned()),
        stop: StopPlan {
            wait: Duration::from_secs(600),
            ..deaf.stop
        },
        ..deaf
    };
    plan.groups[0].members.push(deaf.name.clone());
    plan.services.push(deaf);
    let mut stack = start_all(plan).await;
    let with_dependents = Command::Stop {
        targets: vec!["g:a".to_owned()],
        dependents: true,
        wait: true,
    };
    let outcomes = done(&stack, with_dependents).await;
    // In the order in which they ended.
    let stopped = [("g:b", Verdict::Stopped), ("g:a", Verdict::Stopped)];
    assert_eq!(results(&outcomes), stopped);
    let diary = diary(folder.path());
    assert!(position(&diary, "b stops") < position(&diary, "a stops"));
    assert_eq!(status(&stack, "g:c").await.state, State::Running);
    let killed = Command::Kill {
        targets: vec!["g:d".to_owned()],
        wait: true,
    };
    assert_eq!(
        results(&done(&stack, killed).await),
        [("g:d", Verdict::Stopped)]
    );
    let d = status(&stack, "g:d").await;
    assert_eq!(
        (d.last_exit.as_deref(), d.state),
        (Some("signal:9"), State::Stopped)
    );
    stack.shutdown().await;
}
