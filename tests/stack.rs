//! A whole stack from outside: status, orders, crashes, shutdown.

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fathom::actors::Ended;
use fathom::config::plan::{After, Until};
use fathom_kernel::{ControlError, State, Verdict};

use rig::*;

#[tokio::test]
async fn services_start_stop_and_restart_on_command() {
    let folder = tempfile::tempdir().unwrap();
    let mut later = worker("g:later");
    later.after = vec![After {
        name: "g:first".into(),
        until: Until::Ready,
    }];
    let mut stack = start(folder.path(), vec![worker("g:first"), later, worker("web")]);
    until_state(&stack, "g:later", State::Running).await;
    until_state(&stack, "web", State::Running).await;
    assert!(
        status(&stack, "web")
            .await
            .description
            .starts_with("actor, uptime 0:00:0")
    );

    let outcomes = done(&stack, stop("g")).await;
    let expected = [("g:first", Verdict::Stopped), ("g:later", Verdict::Stopped)];
    assert_eq!(results(&outcomes), expected);
    assert_eq!(
        results(&done(&stack, stop("g:*")).await)[0].1,
        Verdict::NotRunning
    );

    // A start of the dependent starts what it needs.
    let outcomes = done(&stack, start_of("g:later")).await;
    let expected = [("g:first", Verdict::Started), ("g:later", Verdict::Started)];
    assert_eq!(results(&outcomes), expected);
    let outcomes = done(&stack, start_of("g:later")).await;
    assert_eq!(results(&outcomes), [("g:later", Verdict::AlreadyStarted)]);

    let outcomes = done(&stack, restart("all")).await;
    assert!(
        outcomes.iter().all(|o| o.result == Verdict::Started),
        "{outcomes:?}"
    );
    assert_eq!(status(&stack, "web").await.incarnation, 2);
    let error = ask(&stack, stop("nobody")).await.unwrap_err();
    assert_eq!(error, ControlError::NoSuchName("nobody".to_owned()));
    assert_eq!(stack.shutdown().await, Ended::Ordered);
}

#[tokio::test]
async fn a_panic_restarts_only_the_service_that_panicked() {
    let folder = tempfile::tempdir().unwrap();
    let starts = Arc::new(AtomicU32::new(0));
    let count = starts.clone();
    let fragile = actor("fragile", move |cx| {
        let start = count.fetch_add(1, Ordering::SeqCst);
        async move {
            cx.ready();
            assert!(start > 0, "first start fails");
            cx.stop.cancelled().await;
            Ok(())
        }
    });
    let mut stack = start(folder.path(), vec![fragile, worker("neighbour")]);
    let now = until(&stack, "fragile", |now| {
        now.state == State::Running && now.incarnation == 2
    })
    .await;
    assert_eq!(
        (now.restarts, now.last_exit.as_deref()),
        (1, Some("panic: first start fails"))
    );
    assert_eq!(
        until_state(&stack, "neighbour", State::Running)
            .await
            .incarnation,
        1
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn a_service_that_ignores_its_stop_is_aborted() {
    let folder = tempfile::tempdir().unwrap();
    let mut deaf = actor("deaf", |cx| async move {
        cx.ready();
        std::future::pending().await
    });
    deaf.stop.wait = Duration::from_millis(100);
    let mut stack = start(folder.path(), vec![deaf]);
    until_state(&stack, "deaf", State::Running).await;
    assert_eq!(
        results(&done(&stack, stop("deaf")).await),
        [("deaf", Verdict::Stopped)]
    );
    assert_eq!(
        status(&stack, "deaf").await.last_exit.as_deref(),
        Some("aborted")
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn a_bound_service_ends_with_the_other_and_comes_back_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bound = worker("bound");
    bound.bind = vec!["base".into()];
    let mut stack = start(folder.path(), vec![worker("base"), bound]);
    until_state(&stack, "bound", State::Running).await;
    done(&stack, restart("base")).await;
    let now = until(&stack, "bound", |now| {
        now.incarnation == 2 && now.state == State::Running
    })
    .await;
    assert_eq!(now.restarts, 0);
    done(&stack, stop("base")).await;
    let now = until(&stack, "bound", |now| {
        !now.description.is_empty() && now.state == State::Starting
    })
    .await;
    assert_eq!(now.description, "waiting for base");
    stack.shutdown().await;
}

#[tokio::test]
async fn a_second_supervisor_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = start(folder.path(), vec![worker("w")]);
    let second = fathom::stack::Stack::start(
        plan(folder.path(), vec![worker("w")]),
        fathom::stack::Options::default(),
    );
    assert!(matches!(second, Err(fathom::stack::StackError::Locked(_))));
    stack.shutdown().await;
}
