//! Health by data flow, from outside: who is restarted, who is not, and when a service counts as
//! ready or flowing.
#![allow(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fathom::config::plan::{
    After, Body, CheckProbe, CheckRule, FlowRule, FlowSource, HealthAction, Ready, Restart,
    ServicePlan, Until,
};
use fathom::stack::Stack;
use fathom_kernel::{
    Command, Event, Filter, Frame, Health, Limits, ServiceCx, ServiceStatus, State, Tag, Timestamp,
};

use rig::*;

const SECOND: Duration = Duration::from_secs(1);

fn rule(out: &str, input: Option<&str>) -> FlowRule {
    let source = |text: &str| text.parse::<FlowSource>().unwrap();
    FlowRule {
        out: source(out),
        input: input.map(source),
        max_age: 2 * SECOND,
        patience: SECOND,
        grace: SECOND,
        min_rate_hz: None,
        max_queue: None,
        action: HealthAction::Restart,
    }
}

fn check(probe: CheckProbe) -> CheckRule {
    CheckRule {
        probe,
        every: SECOND,
        timeout: SECOND,
        fails: 2,
        ok_after: 1,
        grace: Duration::ZERO,
        action: HealthAction::Restart,
    }
}

fn after(name: &str, until: Until) -> Vec<After> {
    let name = name.into();
    vec![After { name, until }]
}

/// Switches of the services of a test.
#[derive(Clone, Default)]
struct Switches {
    /// The source sends nothing.
    silent: Arc<AtomicBool>,
    /// The readers take nothing out of their queues.
    stuck: Arc<AtomicBool>,
}

impl Switches {
    fn set(switch: &AtomicBool, on: bool) {
        switch.store(on, Ordering::SeqCst);
    }
}

/// Sends a message every 50 ms.
fn source(name: &str, silent: Arc<AtomicBool>) -> ServicePlan {
    actor(name, move |cx: ServiceCx| {
        let silent = silent.clone();
        async move {
            cx.ready();
            while !cx.stop.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if !silent.load(Ordering::SeqCst) {
                    cx.counters.sent(1, 1);
                    cx.bus.publish(Event::Frame(Frame {
                        source: cx.name.clone(),
                        tag: "IO_SUM".parse::<Tag>().unwrap(),
                        received: Timestamp::UNIX_EPOCH,
                        body: b"x"[..].into(),
                    }));
                }
            }
            Ok(())
        }
    })
}

/// Takes messages out of its queue, and works again after a restart.
fn reader(name: &str, stuck: Arc<AtomicBool>) -> ServicePlan {
    let mut plan = actor(name, move |cx: ServiceCx| {
        let stuck = stuck.clone();
        async move {
            let mut events = cx.subscribe(Filter::all_frames(), Limits::default());
            cx.ready();
            let mut batch = std::collections::VecDeque::new();
            while !cx.stop.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if !stuck.load(Ordering::SeqCst) {
                    events.try_batch(&mut batch);
                    cx.counters.received(batch.len() as u64, 0);
                    batch.clear();
                }
            }
            stuck.store(false, Ordering::SeqCst);
            Ok(())
        }
    });
    plan.flow = vec![rule("queue", Some("queue"))];
    plan
}

async fn until_health(stack: &Stack, name: &str, health: Health) -> ServiceStatus {
    until(stack, name, |now| now.health == health).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_source_makes_readers_idle_and_restarts_nobody() {
    let (folder, switches) = (tempfile::tempdir().unwrap(), Switches::default());
    let mut readers: Vec<ServicePlan> = (0..3)
        .map(|n| reader(&format!("g:reader{n}"), switches.stuck.clone()))
        .collect();
    for reader in &mut readers {
        reader.after = after("source", Until::Ready);
    }
    let mut services = vec![source("source", switches.silent.clone())];
    services.extend(readers);
    let mut stack = start(folder.path(), services);
    for n in 0..3 {
        until_health(&stack, &format!("g:reader{n}"), Health::Ok).await;
    }
    Switches::set(&switches.silent, true);
    for n in 0..3 {
        until_health(&stack, &format!("g:reader{n}"), Health::Idle).await;
    }
    // Well past max_age and patience.
    tokio::time::sleep(3 * SECOND).await;
    for n in 0..3 {
        let now = status(&stack, &format!("g:reader{n}")).await;
        assert_eq!((now.health, now.restarts), (Health::Idle, 0));
    }
    Switches::set(&switches.silent, false);
    until_health(&stack, "g:reader0", Health::Ok).await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_stuck_is_restarted_in_time_and_only_it() {
    let (folder, switches) = (tempfile::tempdir().unwrap(), Switches::default());
    let mut stuck = reader("stuck", switches.stuck.clone());
    stuck.after = after("source", Until::Ready);
    let mut fine = reader("fine", Arc::default());
    fine.after = after("source", Until::Ready);
    let services = vec![source("source", switches.silent.clone()), stuck, fine];
    let mut stack = start(folder.path(), services);
    until_health(&stack, "stuck", Health::Ok).await;
    until_health(&stack, "fine", Health::Ok).await;
    Switches::set(&switches.stuck, true);
    let since = Instant::now();
    until_health(&stack, "stuck", Health::Stalled).await;
    let now = until(&stack, "stuck", |now| now.incarnation == 2).await;
    // max_age + patience + 1 s, and as much again for a busy machine.
    let took = since.elapsed();
    assert!(took > 2 * SECOND && took < 5 * SECOND, "{took:?}");
    assert_eq!(now.restarts, 1);
    assert_eq!(now.trouble.as_deref(), Some("Unhealthy: stall:queue"));
    until_health(&stack, "stuck", Health::Ok).await;
    assert_eq!(status(&stack, "fine").await.restarts, 0);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_left_alone_while_their_broker_is_restarted() {
    let (folder, switches) = (tempfile::tempdir().unwrap(), Switches::default());
    let mut reader = reader("reader", switches.stuck.clone());
    reader.after = after("broker", Until::Ready);
    let services = vec![source("broker", Arc::default()), reader];
    let mut stack = start(folder.path(), services);
    until_health(&stack, "reader", Health::Ok).await;
    // Stuck over the whole time in which the broker is away, and shortly after.
    Switches::set(&switches.stuck, true);
    done(&stack, stop("broker")).await;
    tokio::time::sleep(2 * SECOND).await;
    done(&stack, start_of("broker")).await;
    tokio::time::sleep(2 * SECOND).await;
    let now = status(&stack, "reader").await;
    assert_eq!((now.restarts, now.state), (0, State::Running));
    assert_eq!(
        now.watch.suspended.as_deref(),
        Some("broker has only just come back")
    );
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_service_is_not_restarted_until_it_is_released() {
    let (folder, switches) = (tempfile::tempdir().unwrap(), Switches::default());
    let services = vec![
        source("source", Arc::default()),
        reader("reader", switches.stuck.clone()),
    ];
    let mut stack = start(folder.path(), services);
    until_health(&stack, "reader", Health::Ok).await;
    let targets = vec!["reader".to_owned()];
    let time = None;
    done(
        &stack,
        Command::Hold {
            targets: targets.clone(),
            time,
        },
    )
    .await;
    Switches::set(&switches.stuck, true);
    until_health(&stack, "reader", Health::Stalled).await;
    tokio::time::sleep(2 * SECOND).await;
    let now = status(&stack, "reader").await;
    assert_eq!(
        (now.incarnation, now.watch.hold.unwrap().by),
        (1, "test".to_owned())
    );
    done(&stack, Command::Unhold { targets }).await;
    until(&stack, "reader", |now| now.incarnation == 2).await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_broker_tells_whether_a_tag_flows() {
    let (folder, silent) = (tempfile::tempdir().unwrap(), Arc::<AtomicBool>::default());
    // A broker, a client of it that is no service, and a program that shall write when tags flow.
    let text = r#"
        [service.ligier]
        kind = "ligier"
        listen = "127.0.0.1:0"
        [service.writer]
        command = ["sh", "-c", "while sleep 0.2; do echo x; done"]
        ready = "spawn"
        after = ["ligier"]
        flow = [{ in = "tag:IO_SUM", out = "file:nothing", max_age = "2s", patience = "1s", grace = "0s" }]
    "#;
    let mut stack = configured(folder.path(), text);
    until_health(&stack, "writer", Health::Idle).await;
    let address = *stack.addresses.watch().borrow().get("ligier").unwrap();
    let sending = tokio::spawn(send(address, silent.clone()));
    let now = until(&stack, "writer", |now| now.restarts > 0).await;
    assert_eq!(
        now.trouble.as_deref(),
        Some("Unhealthy: stall:file:nothing")
    );
    silent.store(true, Ordering::SeqCst);
    sending.await.unwrap();
    stack.shutdown().await;
}

/// Sends messages with a tag to a broker until told to be silent.
async fn send(address: std::net::SocketAddr, silent: Arc<AtomicBool>) {
    use tokio::io::AsyncWriteExt as _;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (tag, mut frame): (Tag, Vec<u8>) = ("IO_SUM".parse().unwrap(), Vec::new());
    fathom_formats::controlhost::encode_frame(tag, b"x", &mut frame).unwrap();
    while !silent.load(Ordering::SeqCst) {
        stream.write_all(&frame).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_fail_restart_and_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good");
    std::fs::write(&good, "").unwrap();
    let argv = ["test", "-e", good.to_str().unwrap()].map(str::to_owned);
    let mut checked = worker("checked");
    checked.check = vec![check(CheckProbe::Exec(argv.into()))];
    let mut stack = start(folder.path(), vec![checked]);
    until_health(&stack, "checked", Health::Ok).await;
    std::fs::remove_file(&good).unwrap();
    let now = until(&stack, "checked", |now| now.restarts == 1).await;
    assert!(
        now.trouble
            .unwrap()
            .starts_with("Unhealthy: check:exec:test")
    );
    std::fs::write(&good, "").unwrap();
    until_health(&stack, "checked", Health::Ok).await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_stops_its_watchdog_is_restarted() {
    let folder = tempfile::tempdir().unwrap();
    // Says nothing more when the file is gone.
    let text = r#"
        import os, socket, sys, time
        door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        door.connect(os.environ["NOTIFY_SOCKET"])
        door.send(b"READY=1")
        while True:
            time.sleep(0.1)
            if os.path.exists(sys.argv[1]):
                door.send(b"WATCHDOG=1")
    "#;
    let text: String = text
        .lines()
        .map(|line| format!("{}\n", line.get(8..).unwrap_or("")))
        .collect();
    let alive = folder.path().join("alive");
    std::fs::write(&alive, "").unwrap();
    let mut program = command("dog", &["python3", "-c", &text, alive.to_str().unwrap()]);
    program.ready = Ready::Notify;
    program.check = vec![check(CheckProbe::Notify)];
    program.flow = vec![rule("notify", None)];
    let mut stack = start(folder.path(), vec![program]);
    until_health(&stack, "dog", Health::Ok).await;
    std::fs::remove_file(&alive).unwrap();
    until(&stack, "dog", |now| now.restarts == 1).await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_judged_by_what_it_notifies_has_a_socket_for_that() {
    let folder = tempfile::tempdir().unwrap();
    let ask_for_it = "[ -S \"$NOTIFY_SOCKET\" ] && touch $0; sleep 60";
    let [checked, ruled, plain] = ["checked", "ruled", "plain"].map(|name| {
        let said = folder.path().join(name);
        command(name, &["sh", "-c", ask_for_it, said.to_str().unwrap()])
    });
    let services = vec![
        ServicePlan {
            check: vec![check(CheckProbe::Notify)],
            ..checked
        },
        ServicePlan {
            flow: vec![rule("notify", None)],
            ..ruled
        },
        plain,
    ];
    let mut stack = start(folder.path(), services);
    wait_for(|| {
        ["checked", "ruled"]
            .iter()
            .all(|name| folder.path().join(name).exists())
    })
    .await;
    until_state(&stack, "plain", State::Running).await;
    assert!(!folder.path().join("plain").exists());
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_flowing_starts_with_the_first_data() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let text = format!(
        "while sleep 0.1; do [ -e {} ] && echo data; done",
        go.display()
    );
    let mut first = script("first", &text);
    first.flow = vec![rule("log:^data$", None)];
    first.flow[0].action = HealthAction::Warn;
    let mut second = worker("second");
    second.after = after("first", Until::Flowing);
    let mut stack = start(folder.path(), vec![first, second]);
    until_state(&stack, "first", State::Running).await;
    tokio::time::sleep(SECOND).await;
    let now = status(&stack, "second").await;
    assert_eq!(
        (now.state, &*now.description),
        (State::Starting, "waiting for first")
    );
    std::fs::write(go, "").unwrap();
    until_state(&stack, "second", State::Running).await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_by_flow_is_of_this_start_only() {
    let folder = tempfile::tempdir().unwrap();
    let silent = Arc::<AtomicBool>::default();
    let mut talker = source("by_rule", silent.clone());
    talker.ready = Ready::Flow;
    talker.flow = vec![rule("metric:sent", None)];
    let mut plain = source("plain", silent.clone());
    plain.ready = Ready::Flow;
    for plan in [&mut talker, &mut plain] {
        plan.ready_timeout = 3 * SECOND;
        plan.restart = Restart::Never;
    }
    let mut stack = start(folder.path(), vec![talker, plain]);
    until_state(&stack, "by_rule", State::Running).await;
    until_state(&stack, "plain", State::Running).await;
    // Counters go on from start to start; what was sent before says nothing of what is sent now.
    silent.store(true, Ordering::SeqCst);
    tokio::time::sleep(SECOND / 10).await;
    done(&stack, restart("all")).await;
    until_state(&stack, "by_rule", State::Fatal).await;
    until_state(&stack, "plain", State::Fatal).await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_be_ready_works_for_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, file) = (listener.local_addr().unwrap(), folder.path().join("there"));
    let page = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        // Two connections: one by `tcp`, one by `http`; the order is theirs.
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            if stream.read(&mut request).unwrap_or(0) > 0 {
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok();
            }
        }
    });
    let table = [
        ("spawn".to_owned(), "sleep 60".to_owned()),
        ("secs:0.2".to_owned(), "sleep 60".to_owned()),
        (
            "fd:3".to_owned(),
            "sleep 0.1; echo >&3; sleep 60".to_owned(),
        ),
        ("fd:9".to_owned(), "echo >&9; sleep 60".to_owned()),
        (
            "log:^go [0-9]+$".to_owned(),
            "echo stay; echo go 1; sleep 60".to_owned(),
        ),
        (format!("tcp:{address}"), "sleep 60".to_owned()),
        (format!("http:http://{address}/"), "sleep 60".to_owned()),
        (
            format!("exec:test -e {}", file.display()),
            "sleep 60".to_owned(),
        ),
        (
            "file:there".to_owned(),
            "sleep 0.1; touch there; sleep 60".to_owned(),
        ),
    ];
    let services = table.iter().enumerate().map(|(n, (ready, text))| {
        let mut plan = script(&format!("s{n}"), text);
        plan.ready = ready.parse().unwrap();
        if let Body::Command(body) = &mut plan.body {
            body.cwd = Some(folder.path().to_owned());
        }
        plan
    });
    let mut stack = start(folder.path(), services.collect());
    for (n, (ready, _)) in table.iter().enumerate() {
        let now = until_state(&stack, &format!("s{n}"), State::Running).await;
        assert_eq!(now.incarnation, 1, "{ready}");
    }
    page.join().unwrap();
    stack.shutdown().await;
}
