//! What goes wrong with services, and what the supervisor makes of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use std::path::Path;
use std::time::Duration;

use fathom::config::plan::{Budget, ProcessPlan, Ready, Restart, Stderr};
use fathom_kernel::{Command, Reply, Span, State, Verdict};

use rig::*;

fn log(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join("logs").join(name)).unwrap_or_default()
}

#[tokio::test]
async fn a_child_runs_writes_takes_signals_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let text = "trap 'echo usr1' USR1; echo out; echo err >&2; while :; do sleep 0.01; done";
    let mut stack = start(folder.path(), vec![script("talk", text)]);
    let now = until_state(&stack, "talk", State::Running).await;
    assert!(
        now.description
            .starts_with(&format!("pid {}, uptime", now.pid))
    );
    wait_for(|| log(folder.path(), "talk.log") == "out\nerr\n").await;
    let signal = Command::Signal {
        targets: vec!["talk".to_owned()],
        signal: "USR1".to_owned(),
    };
    assert_eq!(
        results(&done(&stack, signal).await),
        [("talk", Verdict::Signalled)]
    );
    wait_for(|| log(folder.path(), "talk.log") == "out\nerr\nusr1\n").await;
    let tail = Command::Tail {
        name: "talk".to_owned(),
        lines: 2,
    };
    let Reply::Lines(lines) = ask(&stack, tail).await.unwrap() else {
        panic!("no lines")
    };
    assert_eq!(lines, ["err", "usr1"]);
    assert_eq!(
        results(&done(&stack, stop("talk")).await),
        [("talk", Verdict::Stopped)]
    );
    assert_eq!(
        status(&stack, "talk").await.last_exit.as_deref(),
        Some("signal:15")
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn standard_error_can_have_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut both = script("both", "echo out; echo err >&2");
    both.log.stderr = Stderr::Separate;
    both.restart = Restart::Never;
    let mut stack = start(folder.path(), vec![both]);
    let now = until_state(&stack, "both", State::Exited).await;
    assert!(now.finished);
    // Output is written before the end is told.
    assert_eq!(log(folder.path(), "both.log"), "out\n");
    assert_eq!(log(folder.path(), "both.stderr.log"), "err\n");
    stack.shutdown().await;
}

#[tokio::test]
async fn a_child_that_ignores_its_stop_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut deaf = script(
        "deaf",
        "trap '' TERM; echo up; while :; do sleep 0.05; done",
    );
    deaf.ready = Ready::Log("^up$".to_owned());
    deaf.stop.wait = Duration::from_millis(200);
    let mut stack = start(folder.path(), vec![deaf]);
    until_state(&stack, "deaf", State::Running).await;
    assert_eq!(
        results(&done(&stack, stop("deaf")).await),
        [("deaf", Verdict::Stopped)]
    );
    assert_eq!(
        status(&stack, "deaf").await.last_exit.as_deref(),
        Some("signal:9")
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn a_flapping_child_backs_off_and_becomes_fatal() {
    let folder = tempfile::tempdir().unwrap();
    let mut flapping = script("flapping", "exit 3");
    flapping.ready = Ready::Secs(Duration::from_secs(1));
    flapping.backoff.base = Span::from_millis(50);
    flapping.budget = Budget {
        restarts: 3,
        period: Span::from_secs(60),
    };
    let mut stack = start(folder.path(), vec![flapping]);
    let now = until_state(&stack, "flapping", State::Backoff).await;
    let text = "Exited too quickly (process log may have details), retry in 1s (attempt ";
    assert!(now.description.starts_with(text), "{}", now.description);
    let now = until_state(&stack, "flapping", State::Fatal).await;
    assert_eq!((now.incarnation, now.restarts), (4, 3));
    assert_eq!(now.last_exit.as_deref(), Some("exit:3"));
    assert_eq!(
        now.description,
        "Exited too quickly (process log may have details)"
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn a_missing_program_is_told_apart_from_one_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mut missing = command("missing", &["/no/such/program"]);
    let file = folder.path().join("no-program");
    std::fs::write(&file, "").unwrap();
    let mut plain = command("plain", &[file.to_str().unwrap()]);
    let mut failing = script("failing", "exit 1");
    for service in [&mut missing, &mut plain, &mut failing] {
        service.autostart = false;
        service.ready = Ready::Secs(Duration::from_secs(1));
    }
    let mut stack = start(folder.path(), vec![missing, plain, failing]);
    let mut outcomes = done(&stack, start_of("all")).await;
    let expected = [
        ("failing", Verdict::AbnormalTermination),
        ("missing", Verdict::SpawnError),
        ("plain", Verdict::SpawnError),
    ];
    // Each at its own time.
    outcomes.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(results(&outcomes), expected);
    assert_eq!(outcomes[1].message, "can't find command '/no/such/program'");
    assert!(
        outcomes[2].message.ends_with("is not executable"),
        "{outcomes:?}"
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn grandchildren_are_not_left_over_by_a_crash_or_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    // One stays in the group, one leaves it.
    let text = format!(
        "sleep 300 & echo $! > {0}; setsid sleep 300 & echo $! >> {0}; echo up; wait",
        pids.display()
    );
    let mut parent = script("parent", &text);
    parent.ready = Ready::Log("^up$".to_owned());
    let mut stack = start(folder.path(), vec![parent]);
    let now = until_state(&stack, "parent", State::Running).await;
    let first = std::fs::read_to_string(&pids).unwrap();
    assert!(
        first.lines().count() == 2 && first.lines().all(lives),
        "{first}"
    );
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(now.pid.try_into().unwrap()),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    until(&stack, "parent", |now| {
        now.incarnation == 2 && now.state == State::Running
    })
    .await;
    assert!(!first.lines().any(lives), "left over by the crash: {first}");
    let second = std::fs::read_to_string(&pids).unwrap();
    done(&stack, stop("parent")).await;
    assert!(
        !second.lines().any(lives),
        "left over by the stop: {second}"
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn who_left_the_group_is_asked_to_end_before_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let text = format!(
        "setsid sh -c \"trap 'echo bye >> {0}; exit' TERM; echo up; while :; do sleep 0.01; done\" &
         setsid sh -c \"trap '' TERM; echo \\$\\$ > {0}; exec sleep 300\" & sleep 300",
        notes.display()
    );
    let mut parent = script("parent", &text);
    parent.ready = Ready::Log("^up$".to_owned());
    parent.stop.wait = Duration::from_millis(500);
    let mut stack = start(folder.path(), vec![parent]);
    until_state(&stack, "parent", State::Running).await;
    let written = || std::fs::read_to_string(&notes).unwrap_or_default();
    wait_for(|| !written().is_empty()).await;
    done(&stack, stop("parent")).await;
    let written = written();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.get(1), Some(&"bye"), "{written:?}");
    assert!(!lives(lines[0]), "it does not end when it is asked");
    stack.shutdown().await;
}

#[tokio::test]
async fn much_output_is_kept_to_the_last_byte() {
    const BYTES: usize = 100 << 20;
    let folder = tempfile::tempdir().unwrap();
    let text = format!("seq -f '%099.0f' 10000000 | head -c {BYTES}");
    let mut noisy = script("noisy", &text);
    noisy.restart = Restart::Never;
    noisy.log.max = fathom_kernel::Size::from_mib(30);
    noisy.log.backups = 10;
    let mut stack = start(folder.path(), vec![noisy]);
    until(&stack, "noisy", |now| now.state == State::Exited).await;
    stack.shutdown().await;
    let mut all = Vec::with_capacity(BYTES);
    for number in (1..=10).rev() {
        let path = folder.path().join(format!("logs/noisy.log.{number}"));
        if let Ok(mut part) = std::fs::read(path) {
            assert_eq!(part.last(), Some(&b'\n'));
            all.append(&mut part);
        }
    }
    all.append(&mut std::fs::read(folder.path().join("logs/noisy.log")).unwrap());
    assert_eq!(all.len(), BYTES);
    for (number, line) in all.split(|byte| *byte == b'\n').enumerate().step_by(1000) {
        let expected = format!("{:099}", number + 1);
        assert!(expected.as_bytes().starts_with(line), "line {number}");
    }
}

#[tokio::test]
async fn a_full_disk_costs_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    // Takes nothing: every write ends with "no space left on device".
    std::os::unix::fs::symlink("/dev/full", logs.join("writer.log")).unwrap();
    let writer = script(
        "writer",
        "echo first; sleep 0.2; echo second; exec sleep 300",
    );
    let mut stack = start(folder.path(), vec![writer]);
    until_state(&stack, "writer", State::Running).await;
    let tail = Command::Tail {
        name: "writer".to_owned(),
        lines: 2,
    };
    loop {
        match ask(&stack, tail.clone()).await {
            Ok(Reply::Lines(lines)) if lines == ["first", "second"] => break,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    assert_eq!(status(&stack, "writer").await.incarnation, 1);
    std::fs::remove_file(logs.join("writer.log")).unwrap();
    wait_for(|| log(folder.path(), "writer.log") == "first\nsecond\n").await;
    stack.shutdown().await;
}

#[tokio::test]
async fn readiness_comes_by_notification_or_descriptor() {
    let folder = tempfile::tempdir().unwrap();
    let python = "import os, socket, time\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        s.sendto(b'STATUS=on its way\\nREADY=1', os.environ['NOTIFY_SOCKET'])\n\
        time.sleep(300)";
    let mut notifies = command("notifies", &["python3", "-c", python]);
    notifies.ready = Ready::Notify;
    let mut pipe = script("pipe", "echo >&7; sleep 300");
    pipe.ready = Ready::Fd(7);
    let mut stack = start(folder.path(), vec![notifies, pipe]);
    until_state(&stack, "pipe", State::Running).await;
    until_state(&stack, "notifies", State::Running).await;
    stack.shutdown().await;
}

#[tokio::test]
async fn a_child_can_be_ended_by_a_word_or_by_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let mut reads = script("reads", "trap '' TERM; read word; echo got $word; exit 5");
    reads.stop.stdin = Some("quit\n".to_owned());
    let words = |text: &str| ["sh", "-c", text].map(str::to_owned).to_vec();
    let deaf = "trap '' TERM; trap 'exit 6' USR1; while :; do sleep 0.02; done";
    let mut called = script("called", deaf);
    called.stop.command = Some(words("kill -USR1 $MAINPID"));
    // A program that fails is followed by the signal.
    let mut uncalled = script(
        "uncalled",
        "trap 'exit 7' TERM; while :; do sleep 0.02; done",
    );
    uncalled.stop.command = Some(words("exit 1"));
    let mut stack = start(folder.path(), vec![reads, called, uncalled]);
    for name in ["reads", "called", "uncalled"] {
        until_state(&stack, name, State::Running).await;
    }
    // Until the traps are set.
    tokio::time::sleep(Duration::from_millis(300)).await;
    done(&stack, stop("all")).await;
    for (name, exit) in [
        ("reads", "exit:5"),
        ("called", "exit:6"),
        ("uncalled", "exit:7"),
    ] {
        assert_eq!(status(&stack, name).await.last_exit.as_deref(), Some(exit));
    }
    assert_eq!(log(folder.path(), "reads.log"), "got quit\n");
    stack.shutdown().await;
}

#[tokio::test]
async fn a_process_gets_what_is_set_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "ulimit -n; ulimit -t; umask; cut -d' ' -f19 /proc/self/stat; \
        cat /proc/self/oom_score_adj; cut -d' ' -f6 /proc/$$/stat; echo $$; \
        ls /proc/self/fd | wc -l; echo $SUPERVISOR_PROCESS_NAME $SUPERVISOR_GROUP_NAME; \
        echo $SUPERVISOR_SERVER_URL";
    let mut set = script("g:set", text);
    set.restart = Restart::Never;
    set.limits.nofile = Some(77);
    set.limits.cpu = Some(Span::from_secs(33));
    set.process = ProcessPlan {
        nice: Some(7),
        oom_score_adj: Some(321),
        umask: Some(0o27),
        session: true,
        ..ProcessPlan::default()
    };
    let mut stack = start(folder.path(), vec![set]);
    until_state(&stack, "g:set", State::Exited).await;
    let said = log(folder.path(), "g:set.log");
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said[..5], ["77", "33", "0027", "7", "321"], "{said:?}");
    assert_eq!(said[5], said[6], "it leads its session");
    // Standard input, output and error, and the folder being listed.
    assert_eq!(said[7].trim(), "4");
    assert_eq!(said[8], "set g");
    assert!(said[9].starts_with("unix:///") && said[9].ends_with("/fathom.sock"));
    stack.shutdown().await;
}

#[tokio::test]
async fn a_user_without_permission_is_a_failed_start() {
    let folder = tempfile::tempdir().unwrap();
    let as_user = |name: &str, user: &str| {
        let mut service = command(name, &["sleep", "300"]);
        if let fathom::config::plan::Body::Command(body) = &mut service.body {
            body.user = Some(user.to_owned());
        }
        service.restart = Restart::Never;
        service
    };
    let mut closed = as_user("closed", "nobody");
    if let fathom::config::plan::Body::Command(body) = &mut closed.body {
        // Only its owner may enter.
        let hidden = folder.path().join("hidden");
        std::fs::create_dir(&hidden).unwrap();
        std::fs::copy("/bin/sleep", hidden.join("sleep")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&hidden, mode).unwrap();
        body.argv[0] = hidden.join("sleep").display().to_string();
    }
    let mut stack = start(
        folder.path(),
        vec![as_user("no-one", "no-such-user"), closed],
    );
    for name in ["no-one", "closed"] {
        let now = until_state(&stack, name, State::Fatal).await;
        let exit = now.last_exit.unwrap();
        assert!(exit.starts_with("spawn:"), "{exit}");
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn a_child_that_closes_its_output_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let quiet = script("quiet", "echo last; exec >&- 2>&-; exec sleep 300");
    let mut stack = start(folder.path(), vec![quiet]);
    wait_for(|| log(folder.path(), "quiet.log") == "last\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let now = status(&stack, "quiet").await;
    assert_eq!((now.state, now.incarnation), (State::Running, 1));
    assert_eq!(
        results(&done(&stack, stop("quiet")).await),
        [("quiet", Verdict::Stopped)]
    );
    stack.shutdown().await;
}
