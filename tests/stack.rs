//! A whole stack from outside: status, orders, crashes, shutdown.
#![allow(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fathom::actors::Ended;
use fathom::config::plan::{After, Body, Placement, Ready, ServicePlan, Until};
use fathom::stack::{Options, Stack};
use fathom_kernel::{ControlError, Reply, State, Verdict};

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
    let expected = [("g:later", Verdict::Stopped), ("g:first", Verdict::Stopped)];
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
async fn services_that_block_their_own_threads_disturb_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicBool::new(false));
    let blocking = (0..8).map(|n| {
        let free = free.clone();
        let mut service = actor(&format!("blocks{n}"), move |cx| {
            let free = free.clone();
            async move {
                cx.ready();
                // One of them burns a core.
                while !free.load(Ordering::Relaxed) {
                    if n > 0 {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
                Ok(())
            }
        });
        on_own_thread(&mut service);
        service
    });
    let services = blocking.chain([worker("a"), worker("b")]).collect();
    let mut stack = start(folder.path(), services);
    for n in 0..8 {
        until_state(&stack, &format!("blocks{n}"), State::Running).await;
    }
    let outcomes = done(&stack, restart("a")).await;
    assert_eq!(results(&outcomes), [("a", Verdict::Started)]);
    assert_eq!(status(&stack, "b").await.state, State::Running);
    free.store(true, Ordering::Relaxed);
    stack.shutdown().await;
}

#[test]
fn monitors_have_threads_of_their_own_and_what_serves_many_shares_the_pool() {
    let folder = tempfile::tempdir().unwrap();
    let plan = example(folder.path());
    let placement = |name: &str| match &plan.service(name).unwrap().body {
        Body::Kind(body) => body.placement,
        Body::Command(_) => panic!("{name} is a program"),
    };
    assert_eq!(placement("monitoring_process:royfit"), Placement::Thread);
    assert_eq!(placement("simulation:fake_detector"), Placement::Thread);
    assert_eq!(placement("ligiers:ligier"), Placement::Pool);
}

fn on_own_thread(service: &mut ServicePlan) {
    if let Body::Kind(body) = &mut service.body {
        body.placement = Placement::Thread;
    }
}

#[tokio::test]
async fn a_chain_that_ignores_its_end_is_asked_link_by_link_and_gone_within_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let deaf = |name: &str, after: &[&str]| {
        let asked = folder.path().join(name);
        let asked = asked.display();
        let text =
            format!("trap 'echo asked > {asked}' TERM; echo up; while :; do sleep 0.02; done");
        let mut service = script(name, &text);
        service.ready = Ready::Log("up".into());
        service.stop.wait = Duration::from_secs(60);
        service.after = after
            .iter()
            .map(|name| After {
                name: (*name).into(),
                until: Until::Ready,
            })
            .collect();
        service
    };
    let services = vec![deaf("a", &[]), deaf("b", &["a"]), deaf("c", &["b"])];
    let mut plan = plan(folder.path(), services);
    plan.shutdown_limit = Duration::from_secs(2);
    let mut stack = Stack::start(plan, Options::default()).unwrap();
    until_state(&stack, "c", State::Running).await;
    let begun = Instant::now();
    assert_eq!(stack.shutdown().await, Ended::Ordered);
    assert!(begun.elapsed() < Duration::from_secs(4));
    for name in ["a", "b", "c"] {
        assert!(folder.path().join(name).exists(), "{name} was not asked");
    }
}

#[tokio::test]
async fn a_second_supervisor_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = start(folder.path(), vec![worker("w")]);
    let second = Stack::start(plan(folder.path(), vec![worker("w")]), Options::default());
    assert!(matches!(second, Err(fathom::stack::StackError::Locked(..))));
    stack.shutdown().await;
}

/// The example on ports of its own, with two monitors in children of the same binary.
fn example(folder: &std::path::Path) -> fathom::config::plan::Plan {
    let set = [
        "service.ligier.listen=127.0.0.1:0",
        "service.public.listen=127.0.0.1:0",
        "service.webserver.listen=127.0.0.1:0",
        "service.dom_rates.run=process",
        "service.webserver.run=process",
    ];
    let origin = fathom::config::Origin {
        file: "supervisor.toml.example".into(),
        data_dir: Some(folder.to_owned()),
        set: set.map(str::to_owned).into(),
        ..fathom::config::Origin::default()
    };
    let loaded = fathom::config::load(&origin);
    loaded
        .unwrap_or_else(|report| panic!("{}", report.render(false)))
        .plan
}

async fn all_up(stack: &Stack, names: &[String]) {
    for name in names {
        until_state(stack, name, State::Running).await;
    }
}

/// Asks monitors, of which the first one lives in a child, what a page may ask and what it may not.
async fn only_questions_are_passed_on(stack: &Stack) {
    let question = |name: &str, verb: &str| fathom_kernel::Command::Question {
        name: name.to_owned(),
        verb: verb.to_owned(),
        args: serde_json::json!({ "du": 1, "floor": 1 }),
    };
    let rates = "monitoring_process:dom_rates";
    let answer = ask(stack, question(rates, "history")).await;
    assert!(
        matches!(&answer, Ok(Reply::Answer(history)) if history["floor"] == 1),
        "{answer:?}"
    );
    for (name, verb) in [
        (rates, "reset"),
        ("monitoring_process:rttc", "accept"),
        ("monitoring_process:ztplot", "remove"),
        ("simulation:fake_detector", "fault"),
    ] {
        let refused = ask(stack, question(name, verb)).await;
        let expected =
            matches!(&refused, Err(ControlError::NoSuchQuestion { verb: v, .. }) if v == verb);
        assert!(expected, "{name}: {refused:?}");
    }
    // The page is in a child, too.
    let page = stack.addresses.of("webserver").unwrap();
    let path = format!("http://{page}/api/ask/{rates}/history?du=1&floor=1");
    let served = reqwest::get(path).await.unwrap();
    assert!(served.status().is_success(), "{served:?}");
    let unknown = ask(stack, question("monitoring_process", "history")).await;
    assert!(
        matches!(unknown, Err(ControlError::NoSuchName(_))),
        "{unknown:?}"
    );
    assert_eq!(status(stack, rates).await.questions, ["bad", "history"]);
    // Whatever a kind lists, it knows; without the right arguments it may say so.
    let everything = fathom_kernel::Command::Status {
        targets: Vec::new(),
    };
    let Ok(Reply::Status(all)) = ask(stack, everything).await else {
        panic!("no status")
    };
    for service in all
        .services
        .iter()
        .filter(|now| now.state == State::Running)
    {
        for verb in &service.questions {
            let answer = ask(stack, question(&service.name, verb)).await;
            let unknown =
                matches!(&answer, Err(why) if why.to_string().contains("unknown request"));
            assert!(!unknown, "{} {verb}: {answer:?}", service.name);
        }
    }
}

/// Waits until a page in another process has heard of an output.
async fn served_by(page: std::net::SocketAddr, output: &str) {
    for _ in 0..1000 {
        let served = reqwest::get(format!("http://{page}/api/outputs")).await;
        if served.unwrap().text().await.unwrap().contains(output) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{output} is not served");
}

#[tokio::test]
async fn the_whole_example_runs_restarts_survives_a_crash_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let plan = example(folder.path());
    let started = plan.services.iter().filter(|service| service.autostart);
    let names: Vec<String> = started.map(|service| service.name.to_string()).collect();
    let options = fathom::stack::Options {
        program: Some(env!("CARGO_BIN_EXE_fathom").into()),
        ..Options::default()
    };
    let mut stack = Stack::start(plan, options).unwrap();
    all_up(&stack, &names).await;

    // A monitor in a child gets the detector's messages and hangs up its pictures here.
    let now = until(&stack, "monitoring_process:dom_rates", |now| {
        now.counters.received > 0 && now.counters.outputs > 0
    })
    .await;
    assert!(
        now.pid > 0 && now.description.starts_with("pid "),
        "{now:?}"
    );
    assert!(
        stack
            .board
            .entries()
            .iter()
            .any(|entry| &*entry.service == "monitoring_process:dom_rates")
    );
    // So does a page in a child announce where it listens, and answer questions.
    let page = stack.addresses.of("webserver").unwrap();
    served_by(page, "dom_rates").await;

    let outcomes = done(&stack, restart("monitoring_process:*")).await;
    assert!(
        outcomes.iter().all(|o| o.result == Verdict::Started),
        "{outcomes:?}"
    );
    let child = until_state(&stack, "monitoring_process:dom_rates", State::Running).await;
    assert_eq!(child.incarnation, 2);

    let pid = nix::unistd::Pid::from_raw(child.pid.try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let again = until(&stack, "monitoring_process:dom_rates", |now| {
        now.incarnation == 3 && now.state == State::Running
    })
    .await;
    assert_eq!(again.last_exit.as_deref(), Some("signal:9"));
    only_questions_are_passed_on(&stack).await;
    let reset = fathom_kernel::Command::Request {
        name: "monitoring_process:dom_rates".to_owned(),
        verb: "reset".to_owned(),
        args: serde_json::Value::Null,
    };
    assert!(ask(&stack, reset).await.is_ok());

    let began = std::time::Instant::now();
    assert_eq!(stack.shutdown().await, Ended::Ordered);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(!folder.path().join(fathom::control::SOCKET_NAME).exists());
}
