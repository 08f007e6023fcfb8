//! A kind in a child of its own that crashes or hangs is started again, and its outputs go on; one
//! that has not the memory it needs is given up; its neighbours notice nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

mod rig;

use fathom::actors::Ended;
use fathom::stack::Stack;
use fathom_kernel::{Command, Reply, State};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use rig::*;

const CONFIGURATION: &str = r#"
[detector]
geometry = "orca"
dus = 2

# It has clients, but the data do not come through it.
[service.ligier]
kind = "ligier"
listen = "127.0.0.1:0"

[service.fake_detector]
kind = "fake_detector"

[service.hosted]
kind = "dom_rates"
run = "process"
interval = "100ms"
after = ["ligier", "fake_detector"]
flow = [{ out = "bus:output", in = "tag:IO_SUM", max_age = "1s", grace = "2s" }]
stop = { wait = "200ms" }

[service.cramped]
kind = "dom_rates"
run = "process"
after = ["fake_detector"]
limits = { memory = "32M" }
budget = { restarts = 2, period = "1m" }

[service.neighbour]
kind = "dom_rates"
interval = "100ms"
after = ["fake_detector"]
"#;

/// Waits for the start with this number, and for pictures that it has made.
async fn works(stack: &Stack, incarnation: u64) -> Pid {
    let now = until(stack, "hosted", |now| {
        now.state == State::Running && now.incarnation == incarnation
    })
    .await;
    let version = || {
        let entries = stack.board.entries();
        let hosted = entries.iter().filter(|entry| &*entry.service == "hosted");
        hosted.map(|entry| entry.version).max().unwrap_or(0)
    };
    let before = version();
    wait_for(|| version() > before).await;
    Pid::from_raw(now.pid.try_into().unwrap())
}

/// Returns the report of the last incident of a service.
async fn report(stack: &Stack, name: &str) -> String {
    let id = status(stack, name).await.last_incident.unwrap();
    match ask(stack, Command::Incident { id, text: true }).await {
        Ok(Reply::Lines(lines)) => lines.join("\n"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosted_kind_that_crashes_or_hangs_comes_back_and_one_without_memory_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = configured(folder.path(), CONFIGURATION);
    let pid = works(&stack, 1).await;
    kill(pid, Signal::SIGILL).unwrap();
    let pid = works(&stack, 2).await;
    let why = report(&stack, "hosted").await;
    assert!(why.contains("signal:ILL"), "{why}");

    // Its input goes on, its output does not.
    kill(pid, Signal::SIGSTOP).unwrap();
    works(&stack, 3).await;
    let why = report(&stack, "hosted").await;
    assert!(why.contains("stall:bus:output"), "{why}");

    // What it holds at first is more than it may; the kernel ends it as it begins.
    let cramped = until(&stack, "cramped", |now| now.state == State::Fatal).await;
    assert_eq!(cramped.incarnation, 3);
    let why = report(&stack, "cramped").await;
    assert!(why.contains("signal:SEGV"), "{why}");

    let neighbour = status(&stack, "neighbour").await;
    assert_eq!(
        (neighbour.state, neighbour.incarnation),
        (State::Running, 1)
    );
    assert_eq!(stack.shutdown().await, Ended::Ordered);
}
