//! Failures leave reports and events behind, and what lives heard makes them live the same again.
#![allow(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::path::Path;
use std::time::Duration;

use fathom::chronicle::{Entry, Reader, Subject, What, replay_all};
use fathom::config::plan::{After, Restart, ServicePlan, Until};
use fathom::incidents::Incident;
use fathom::stack::{EVENTS_NAME, LIVES_NAME, Stack};
use fathom_kernel::{Command, ControlError, Reply, ServiceError, Span, State};
use rig::{actor, ask, restart, script, start, status, stop, until, until_state, worker};

/// Returns the last report on a service.
async fn last_incident(stack: &Stack, name: &str) -> Incident {
    let id = status(stack, name).await.last_incident.unwrap();
    // The keeper knows the number before the report is written.
    let asked = async {
        loop {
            let command = Command::Incident { id, text: false };
            if let Ok(Reply::Answer(value)) = ask(stack, command).await {
                return serde_json::from_value(value).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked)
        .await
        .unwrap()
}

fn events(data_dir: &Path) -> Vec<Entry> {
    let mut reader = Reader::new(&data_dir.join(EVENTS_NAME), 0);
    reader.read(usize::MAX).unwrap()
}

fn quick(mut service: ServicePlan, restarts: u32) -> ServicePlan {
    service.budget.restarts = restarts;
    service.backoff.base = Span::from_millis(20);
    service.backoff.max = Span::from_millis(50);
    service
}

#[tokio::test]
async fn a_crash_leaves_a_report_with_last_words_figures_and_what_followed() {
    let folder = tempfile::tempdir().unwrap();
    let mut crash = script(
        "crash",
        "echo first; echo last words; echo oops >&2; kill -SEGV $$",
    );
    crash.after = vec![After {
        name: "upstream".into(),
        until: Until::Ready,
    }];
    crash.bind = vec!["bound".into()];
    let services = vec![worker("upstream"), worker("bound"), quick(crash, 1)];
    let mut stack = start(folder.path(), services);
    until_state(&stack, "crash", State::Fatal).await;
    let incident = last_incident(&stack, "crash").await;
    assert!(
        incident.reason.starts_with("signal:SEGV"),
        "{}",
        incident.reason
    );
    assert_eq!((incident.incarnation, incident.streak), (2, 2));
    assert_eq!(incident.next, "given up, waits for an operator");
    let words: Vec<&str> = incident.stdout.iter().map(|l| l.line.as_str()).collect();
    assert!(
        words.ends_with(&["first", "last words", "oops"]),
        "{words:?}"
    );
    // The shell takes less than we do, who had counted for it until its exec.
    assert_eq!(incident.spent.unwrap().max_rss_bytes, None);
    assert!(incident.uptime_s.is_some_and(|uptime_s| uptime_s < 20.0));
    let upstream = incident.dependencies.iter();
    let upstream: Vec<_> = upstream.map(|d| (d.name.as_str(), d.state)).collect();
    let running = Some(State::Running);
    assert_eq!(upstream, [("bound", running), ("upstream", running)]);
    assert!(!incident.events.is_empty());
    let command = Command::Incidents {
        name: "crash".to_owned(),
        count: 10,
    };
    let Ok(Reply::Answer(heads)) = ask(&stack, command).await else {
        panic!("no list");
    };
    assert_eq!(heads.as_array().unwrap().len(), 2);
    let of_nobody = Command::Incidents {
        name: "nosuch".to_owned(),
        count: 10,
    };
    let answer = ask(&stack, of_nobody).await;
    assert!(matches!(answer, Err(ControlError::NoSuchName(name)) if name == "nosuch"));
    stack.shutdown().await;
}

#[tokio::test]
async fn each_way_to_fail_has_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut late = script("late", "sleep 60");
    late.ready = fathom::config::plan::Ready::Notify;
    late.ready_timeout = Duration::from_millis(50);
    let mut once = script("once", "exit 3");
    once.restart = Restart::Never;
    let services = vec![
        quick(actor("panics", |_| async { panic!("boom") }), 1),
        quick(
            actor("fails", |_| async { Err(ServiceError::new("no light")) }),
            1,
        ),
        quick(rig::command("missing", &["/does/not/exist"]), 1),
        quick(late, 1),
        once,
    ];
    let mut stack = start(folder.path(), services);
    let table = [
        ("panics", "panic", Some("boom")),
        ("fails", "error", Some("no light")),
        (
            "missing",
            "spawn:ENOENT",
            Some("can't find command '/does/not/exist'"),
        ),
        ("late", "ready_timeout", None),
        ("once", "exit:3", None),
    ];
    for (name, reason, detail) in table {
        until(&stack, name, |now| {
            matches!(now.state, State::Fatal | State::Exited) && now.last_incident.is_some()
        })
        .await;
        let incident = last_incident(&stack, name).await;
        assert_eq!(incident.reason, reason, "{name}");
        assert_eq!(incident.detail.as_deref(), detail, "{name}");
    }
    stack.shutdown().await;
    let incidents = events(folder.path());
    let incidents = incidents
        .iter()
        .filter(|e| e.what.subject() == Subject::Incident);
    assert_eq!(incidents.count(), 2 + 2 + 2 + 2 + 1);
}

#[tokio::test]
async fn commands_and_their_outcomes_stand_in_the_event_log_without_gaps() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut stack = start(folder.path(), vec![worker("w")]);
        until_state(&stack, "w", State::Running).await;
        ask(&stack, restart("w")).await.unwrap();
        ask(&stack, stop("nobody")).await.unwrap_err();
        stack.shutdown().await;
    }
    let events = events(folder.path());
    let numbers: Vec<u64> = events.iter().map(|entry| entry.sequence).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let boots = events.iter().filter(|e| e.what.subject() == Subject::Boot);
    assert_eq!(boots.count(), 2);
    let said: Vec<String> = events.iter().map(|entry| entry.what.to_string()).collect();
    let taken = "restart w (wait=true) by test via test".to_owned();
    let at = said.iter().position(|text| *text == taken).unwrap();
    let number = events[at].sequence;
    assert!(
        said.contains(&format!("of command {number}: w started")),
        "{said:#?}"
    );
    let refused = said.iter().find(|text| text.contains("refused")).unwrap();
    assert!(
        refused.contains("no such service or group: nobody"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_lives_heard_makes_them_live_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut stubborn = script("stubborn", "trap '' TERM; while :; do sleep 0.05; done");
    stubborn.stop.wait = Duration::from_millis(100);
    let mut late = script("late", "sleep 60");
    late.ready = fathom::config::plan::Ready::Notify;
    late.ready_timeout = Duration::from_millis(60);
    let mut follower = worker("follower");
    follower.after = vec![After {
        name: "flaps".into(),
        until: Until::Ready,
    }];
    follower.bind = vec!["flaps".into()];
    // Two runs on the same files: each has lives of its own.
    for _ in 0..2 {
        let services = vec![
            quick(script("flaps", "sleep 0.03; exit 4"), 6),
            follower.clone(),
            quick(actor("panics", |_| async { panic!("boom") }), 3),
            quick(late.clone(), 2),
            stubborn.clone(),
            worker("calm"),
        ];
        let mut stack = start(folder.path(), services);
        until_state(&stack, "stubborn", State::Running).await;
        ask(&stack, restart("calm")).await.unwrap();
        ask(&stack, stop("stubborn")).await.unwrap();
        for name in ["flaps", "panics", "late"] {
            until_state(&stack, name, State::Fatal).await;
        }
        ask(&stack, rig::start_of("panics")).await.unwrap();
        stack.shutdown().await;
    }
    let (events, lives) = (
        folder.path().join(EVENTS_NAME),
        folder.path().join(LIVES_NAME),
    );
    let replayed = replay_all(&events, &lives).unwrap();
    assert_eq!(replayed.len(), 2 * 6);
    for life in replayed {
        assert!(life.told.len() >= 2, "{life:#?}");
        assert!(life.agrees(), "{life:#?}");
    }
}

#[tokio::test]
async fn a_life_that_was_told_otherwise_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = start(folder.path(), vec![worker("w")]);
    until_state(&stack, "w", State::Running).await;
    stack.shutdown().await;
    let (events, lives) = (
        folder.path().join(EVENTS_NAME),
        folder.path().join(LIVES_NAME),
    );
    let file = std::fs::read_dir(&events)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text = std::fs::read_to_string(&file).unwrap();
    let forged = text.replace("\"to\":\"STOPPED\"", "\"to\":\"EXITED\"");
    assert_ne!(text, forged);
    std::fs::write(&file, forged).unwrap();
    let replayed = replay_all(&events, &lives).unwrap();
    assert!(replayed[0].difference().is_some());
}

#[test]
fn an_event_knows_its_sort() {
    let what = What::Gap(fathom::chronicle::Gap { missed: 1 });
    assert_eq!(what.subject(), Subject::Gap);
}
