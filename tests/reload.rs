//! Another configuration for a running stack: what is touched, and what is not.
#![allow(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fathom::config::{Origin, load};
use fathom::control::{Client, ClientError, Place, SOCKET_NAME, UpdateBody};
use fathom::stack::{Options, Source, Stack};
use fathom_kernel::{
    Changes, Command, Consequence, ControlError, Expected, Outcome, Reply, StackStatus, State,
    Verdict, Want,
};
use rig::{ask, done, results, start_of, status, stop, until, until_state};
use tempfile::TempDir;

/// A stack that was made from a file.
struct Bench {
    folder: TempDir,
    stack: Stack,
}

impl Bench {
    fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("supervisor.toml");
        std::fs::write(&file, whole(folder.path(), text)).unwrap();
        let origin = Origin {
            file,
            ..Origin::default()
        };
        let loaded = load(&origin).unwrap_or_else(|report| panic!("{}", report.render(false)));
        let options = Options {
            source: Some(Source {
                files: Arc::new(loaded.files),
                reread: Arc::new(move || load(&origin)),
            }),
            ..Options::default()
        };
        let stack = Stack::start(loaded.plan, options).unwrap();
        Self { folder, stack }
    }

    fn write(&self, text: &str) {
        let file = self.folder.path().join("supervisor.toml");
        std::fs::write(file, whole(self.folder.path(), text)).unwrap();
    }

    /// Writes the file anew and puts it in force.
    async fn update(&self, text: &str) -> Vec<Outcome> {
        self.write(text);
        done(&self.stack, update(&[])).await
    }

    async fn changes(&self) -> Changes {
        match ask(&self.stack, Command::Reread).await.unwrap() {
            Reply::Changes(changes) => changes,
            other => panic!("no changes: {other:?}"),
        }
    }

    async fn all(&self) -> StackStatus {
        let targets = Vec::new();
        match ask(&self.stack, Command::Status { targets }).await.unwrap() {
            Reply::Status(status) => status,
            other => panic!("no status: {other:?}"),
        }
    }

    async fn names(&self) -> Vec<String> {
        let services = self.all().await.services;
        services.into_iter().map(|service| service.name).collect()
    }

    async fn pid(&self, name: &str) -> u32 {
        until_state(&self.stack, name, State::Running).await.pid
    }

    async fn end(mut self) {
        self.stack.shutdown().await;
    }
}

fn whole(folder: &Path, text: &str) -> String {
    let data = folder.join("data");
    format!("[stack]\ndata_dir = \"{}\"\n{text}", data.display())
}

/// A program that is ready when it exists, and what else stands in its table.
fn sleeper(name: &str, more: &str) -> String {
    format!("[service.{name}]\ncommand = \"sleep 1000\"\nready = \"spawn\"\n{more}\n")
}

fn update(targets: &[&str]) -> Command {
    Command::Update {
        targets: targets.iter().map(|&target| target.to_owned()).collect(),
        expected: Expected::default(),
    }
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: every consequence beside the others"
)]
async fn only_what_differs_is_touched() {
    let more = "args = [\"1\"]";
    let bench = Bench::start(
        &[
            sleeper("same", ""),
            sleeper("hot", ""),
            sleeper("cold", ""),
            sleeper("gone", ""),
        ]
        .concat(),
    );
    let mut pids = Vec::new();
    for name in ["same", "hot", "cold", "gone"] {
        pids.push(bench.pid(name).await);
    }
    let text = [
        sleeper("first", "autostart = false"),
        sleeper("same", ""),
        sleeper("hot", "description = \"x\"\nstop = { wait = \"1s\" }"),
        sleeper("cold", more),
        sleeper("new", "after = [\"cold\"]"),
    ]
    .concat();
    bench.write(&text);
    let changes = bench.changes().await;
    assert_eq!((changes.generation, changes.running), (1, 4));
    let found: Vec<_> = changes
        .services
        .iter()
        .map(|change| (change.name.as_str(), change.consequence))
        .collect();
    let expected = [
        ("gone", Consequence::Remove),
        ("first", Consequence::Add),
        ("hot", Consequence::Hot),
        ("cold", Consequence::Restart),
        ("new", Consequence::Add),
    ];
    assert_eq!(found, expected);
    assert_eq!(bench.pid("cold").await, pids[2], "nothing was done yet");

    let outcomes = done(&bench.stack, update(&[])).await;
    let mut found = results(&outcomes);
    found.sort_by_key(|(name, _)| *name);
    let expected = [
        ("cold", Verdict::Started),
        ("first", Verdict::Added),
        ("gone", Verdict::Removed),
        ("hot", Verdict::Updated),
        ("new", Verdict::Started),
    ];
    assert_eq!(found, expected);
    assert_eq!(bench.pid("same").await, pids[0]);
    assert_eq!(bench.pid("hot").await, pids[1]);
    assert_ne!(bench.pid("cold").await, pids[2]);
    assert_eq!(status(&bench.stack, "cold").await.incarnation, 2);
    assert_eq!(status(&bench.stack, "first").await.state, State::Stopped);
    let names = bench.names().await;
    assert_eq!(names, ["cold", "first", "hot", "new", "same"]);
    let gone = format!("/proc/{}", pids[3]);
    assert!(!Path::new(&gone).exists());
    assert!(bench.changes().await.is_empty());
    let config = bench.all().await.config;
    assert_eq!(config.generation, 2);
    assert_eq!(done(&bench.stack, update(&[])).await, []);
    assert_eq!(
        bench.all().await.config.generation,
        2,
        "nothing is another configuration"
    );
    assert_eq!(config.sha256, bench.changes().await.sha256);
    bench.end().await;
}

#[tokio::test]
async fn a_hot_way_to_stop_counts_for_what_runs_already() {
    let text = |signal| {
        format!(
            "[service.a]\ncommand = [\"sh\", \"-c\", \"trap '' TERM; trap 'exit 7' INT; echo on; \
             while :; do sleep 0.05; done\"]\nready = \"log:on\"\n\
             stop = {{ signal = \"{signal}\", wait = \"20s\" }}\n"
        )
    };
    let bench = Bench::start(&text("TERM"));
    let pid = bench.pid("a").await;
    let outcomes = bench.update(&text("INT")).await;
    assert_eq!(results(&outcomes), [("a", Verdict::Updated)]);
    assert_eq!(bench.pid("a").await, pid);
    done(&bench.stack, stop("a")).await;
    let now = status(&bench.stack, "a").await;
    assert_eq!(now.last_exit.as_deref(), Some("exit:7"));
    bench.end().await;
}

#[tokio::test]
async fn an_update_while_a_service_waits_for_its_next_attempt_keeps_it_waiting_or_tries_at_once() {
    let text = |command: &str, more: &str| {
        format!(
            "[service.a]\ncommand = \"{command}\"\nready = \"spawn\"\n\
             backoff = {{ first = \"1h\", base = \"1h\", max = \"1h\" }}\n{more}\n"
        )
    };
    let bench = Bench::start(&text("false", ""));
    let before = until_state(&bench.stack, "a", State::Backoff).await;
    let outcomes = bench.update(&text("false", "description = \"x\"")).await;
    assert_eq!(results(&outcomes), [("a", Verdict::Updated)]);
    let now = status(&bench.stack, "a").await;
    assert_eq!((now.state, now.since), (State::Backoff, before.since));
    let outcomes = bench.update(&text("sleep 1000", "")).await;
    assert_eq!(results(&outcomes), [("a", Verdict::Started)]);
    assert_eq!(status(&bench.stack, "a").await.state, State::Running);
    bench.end().await;
}

#[tokio::test]
async fn what_an_operator_stopped_stays_stopped() {
    let bench = Bench::start(&sleeper("a", ""));
    bench.pid("a").await;
    done(&bench.stack, stop("a")).await;
    let outcomes = bench.update(&sleeper("a", "args = [\"1\"]")).await;
    assert_eq!(results(&outcomes), [("a", Verdict::Updated)]);
    let now = status(&bench.stack, "a").await;
    assert_eq!((now.state, now.want), (State::Stopped, Want::Down));
    done(&bench.stack, start_of("a")).await;
    let pid = bench.pid("a").await;
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(line, "sleep\x001000\x001\0");
    bench.end().await;
}

#[tokio::test]
async fn a_service_that_moves_to_another_group_goes_on_running() {
    let text = |group: &str| {
        format!(
            "[group.g]\n[group.h]\n[service.a]\ncommand = [\"sh\", \"-c\", \"echo said; exec sleep 1000\"]\n\
             ready = \"log:said\"\ngroup = \"{group}\"\n{}",
            sleeper("b", &format!("after = [\"{group}:a\"]"))
        )
    };
    let bench = Bench::start(&text("g"));
    let (a, b) = (bench.pid("g:a").await, bench.pid("b").await);
    let outcomes = bench.update(&text("h")).await;
    let mut found = results(&outcomes);
    found.sort_by_key(|(name, _)| *name);
    assert_eq!(found, [("b", Verdict::Updated), ("h:a", Verdict::Updated)]);
    assert_eq!(bench.names().await, ["b", "h:a"]);
    assert_eq!((bench.pid("h:a").await, bench.pid("b").await), (a, b));
    let tail = Command::Tail {
        name: "h:a".to_owned(),
        lines: 9,
    };
    match ask(&bench.stack, tail).await.unwrap() {
        Reply::Lines(lines) => assert_eq!(lines, ["said"]),
        other => panic!("no lines: {other:?}"),
    }
    done(&bench.stack, stop("h")).await;
    assert_eq!(status(&bench.stack, "h:a").await.state, State::Stopped);
    bench.end().await;
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_says_where_it_is_wrong() {
    let bench = Bench::start(&sleeper("a", ""));
    let pid = bench.pid("a").await;
    bench.write(&format!(
        "{}[service.b]\ncomand = \"true\"\n",
        sleeper("a", "nice = 3")
    ));
    for command in [Command::Reread, update(&[]), Command::Reload { wait: true }] {
        let Err(ControlError::BadConfig(faults)) = ask(&bench.stack, command).await else {
            panic!("it was taken");
        };
        let places: Vec<String> = faults.iter().filter_map(|fault| fault.at.clone()).collect();
        assert!(
            places.iter().any(|at| at.ends_with("supervisor.toml:7:1")),
            "{places:?}"
        );
    }
    let now = status(&bench.stack, "a").await;
    assert_eq!((now.pid, now.incarnation), (pid, 1));
    assert_eq!(bench.all().await.config.generation, 1);
    bench.end().await;
}

#[tokio::test]
async fn a_data_folder_cannot_change_while_it_is_used() {
    let bench = Bench::start(&sleeper("a", ""));
    let file = bench.folder.path().join("supervisor.toml");
    std::fs::write(
        file,
        format!("[stack]\ndata_dir = \"/nowhere\"\n{}", sleeper("a", "")),
    )
    .unwrap();
    let refused = ask(&bench.stack, update(&[])).await;
    assert!(
        matches!(refused, Err(ControlError::BadConfig(_))),
        "{refused:?}"
    );
    // Who does not wait for the end of a reload hears as well that it does not begin.
    let refused = ask(&bench.stack, Command::Reload { wait: false }).await;
    assert!(
        matches!(refused, Err(ControlError::BadConfig(_))),
        "{refused:?}"
    );
    bench.end().await;
}

#[tokio::test]
async fn an_update_of_some_leaves_the_others_for_later() {
    let bench = Bench::start(&[sleeper("a", ""), sleeper("b", "")].concat());
    let (a, b) = (bench.pid("a").await, bench.pid("b").await);
    let text = [
        sleeper("a", "nice = 1"),
        sleeper("b", "nice = 1"),
        sleeper("c", "after = [\"d\"]"),
    ];
    bench.write(&[text.concat(), sleeper("d", "")].concat());
    let outcomes = done(&bench.stack, update(&["a"])).await;
    assert_eq!(results(&outcomes), [("a", Verdict::Started)]);
    assert_ne!(bench.pid("a").await, a);
    assert_eq!(bench.pid("b").await, b);
    let refused = ask(&bench.stack, update(&["c"])).await;
    let text = "c waits for d, which would not be there: update it as well";
    assert_eq!(refused.unwrap_err(), ControlError::Refused(text.to_owned()));
    let unknown = ask(&bench.stack, update(&["x"])).await;
    assert_eq!(
        unknown.unwrap_err(),
        ControlError::NoSuchName("x".to_owned())
    );
    let outcomes = done(&bench.stack, update(&["c", "d"])).await;
    assert_eq!(
        results(&outcomes),
        [("d", Verdict::Started), ("c", Verdict::Started)]
    );
    assert_eq!(bench.changes().await.services.len(), 1);
    bench.end().await;
}

#[tokio::test]
async fn a_plan_that_was_shown_for_another_generation_is_refused() {
    let bench = Bench::start(&sleeper("a", ""));
    let pid = bench.pid("a").await;
    bench.write(&sleeper("a", "nice = 1"));
    let shown = bench.changes().await;
    let socket = bench.stack.data_dir.join("fathom.sock");
    let client = Client::new(Place::Socket(socket), None).unwrap();
    let body = |generation, sha256: &str| UpdateBody {
        generation: Some(generation),
        sha256: Some(sha256.to_owned()),
        targets: Vec::new(),
    };
    for wrong in [body(2, &shown.sha256), body(1, "0")] {
        match client.update(&wrong).await {
            Err(ClientError::Problem(problem)) => assert_eq!(problem.error, "stale"),
            other => panic!("not refused: {other:?}"),
        }
    }
    assert_eq!(bench.pid("a").await, pid);
    let before = client.status(&[]).await.unwrap().config;
    assert_eq!((before.generation, before.differs), (1, Some(true)));
    client.update(&body(1, &shown.sha256)).await.unwrap();
    assert_ne!(bench.pid("a").await, pid);
    let after = client.status(&[]).await.unwrap().config;
    assert_eq!((after.generation, after.differs), (2, Some(false)));
    bench.end().await;
}

#[tokio::test]
async fn groups_come_and_go_one_by_one() {
    let group = |more: &str| {
        let members = [
            sleeper("x", "group = \"g\""),
            sleeper("y", "group = \"g\"\nafter = [\"g:x\"]"),
        ];
        format!("[group.g]\n{}{}{more}", members.concat(), sleeper("a", ""))
    };
    let bench = Bench::start(&group(""));
    let x = bench.pid("g:x").await;
    let add = || Command::Add {
        group: "g".to_owned(),
    };
    let remove = || Command::Remove {
        group: "g".to_owned(),
    };
    let error = |answer: fathom_kernel::Answer| answer.unwrap_err();
    let g = || "g".to_owned();
    assert_eq!(
        error(ask(&bench.stack, add()).await),
        ControlError::AlreadyAdded(g())
    );
    assert_eq!(
        error(ask(&bench.stack, remove()).await),
        ControlError::StillRunning(g())
    );
    let nosuch = Command::Remove {
        group: "nosuch".to_owned(),
    };
    let unknown = ControlError::NoSuchName("nosuch".to_owned());
    assert_eq!(error(ask(&bench.stack, nosuch).await), unknown);

    // As supervisorctl updates a group: read, stop, remove, add.
    bench.write(&group("").replace("[service.x]", "[service.x]\nnice = 1"));
    let summary = bench.changes().await.by_group();
    assert_eq!((summary.changed, summary.added.len()), (vec![g()], 0));
    done(&bench.stack, stop("g")).await;
    let outcomes = done(&bench.stack, remove()).await;
    assert_eq!(
        results(&outcomes),
        [("g:x", Verdict::Removed), ("g:y", Verdict::Removed)]
    );
    assert_eq!(bench.names().await, ["a"]);
    match ask(&bench.stack, Command::Available).await.unwrap() {
        Reply::Available(list) => {
            let list: Vec<_> = list
                .iter()
                .map(|s| (s.name.as_str(), s.in_use, s.depth))
                .collect();
            assert_eq!(list, [("a", true, 0), ("g:x", false, 0), ("g:y", false, 1)]);
        }
        other => panic!("no list: {other:?}"),
    }
    let outcomes = done(&bench.stack, add()).await;
    assert_eq!(
        results(&outcomes),
        [("g:x", Verdict::Added), ("g:y", Verdict::Added)]
    );
    assert_ne!(bench.pid("g:x").await, x);
    bench.pid("g:y").await;
    assert!(bench.changes().await.is_empty());
    bench.end().await;
}

#[tokio::test]
async fn supervisords_clients_see_the_values_of_what_was_read_and_is_not_in_force() {
    let bench = Bench::start(&sleeper("a", ""));
    bench.write(&[sleeper("a", ""), sleeper("b", "exit_ok = [7]")].concat());
    bench.changes().await;
    let socket = bench.stack.data_dir.join(SOCKET_NAME);
    let client = reqwest::Client::builder().unix_socket(socket).build();
    let call = "<methodCall><methodName>supervisor.getAllConfigInfo</methodName></methodCall>";
    let answer = client
        .unwrap()
        .post("http://x/RPC2")
        .body(call)
        .send()
        .await;
    let text = answer.unwrap().text().await.unwrap();
    let (_, b) = text.split_at(text.rfind("<name>autostart</name>").unwrap());
    for value in [
        "<string>sleep 1000</string>",
        "<int>7</int>",
        "<string>b</string>",
    ] {
        assert!(b.contains(value), "{value} in {b}");
    }
    bench.end().await;
}

/// Asks a stack while the test goes on.
fn beside(stack: &Stack, command: Command) -> tokio::task::JoinHandle<fathom_kernel::Answer> {
    let control = stack.control.clone();
    let caller = fathom_kernel::Caller::new("test", "test");
    tokio::spawn(async move { control.ask(command, caller).await })
}

#[tokio::test]
async fn commands_for_what_is_being_changed_are_refused_and_others_go_on() {
    // It takes its time to end, until it is allowed to.
    let slow = |folder: &Path, more: &str| {
        let go = folder.join("go");
        format!(
            "[service.slow]\ncommand = [\"sh\", \"-c\", \"trap 'while [ ! -e {} ]; do sleep 0.02; done; \
             exit 0' TERM; echo on; while :; do sleep 0.02; done\"]\nready = \"log:on\"\n\
             stop = {{ wait = \"60s\", group = false }}\n{more}\n",
            go.display()
        )
    };
    let place = tempfile::tempdir().unwrap();
    let late =
        "[service.late]\ncommand = \"sleep 1000\"\nautostart = false\nready = \"file:late\"\n";
    let bench = Bench::start(&[slow(place.path(), ""), sleeper("z", ""), late.to_owned()].concat());
    bench.pid("slow").await;
    // An order that is under way when the services change their places.
    let waiting = beside(&bench.stack, start_of("late"));
    until_state(&bench.stack, "late", State::Starting).await;
    bench.write(
        &[
            sleeper("aa", ""),
            slow(place.path(), "nice = 1"),
            late.to_owned(),
        ]
        .concat(),
    );
    let updating = beside(&bench.stack, update(&[]));
    until_state(&bench.stack, "slow", State::Stopping).await;
    let roll = Command::Roll {
        targets: vec!["slow".to_owned()],
        by_level: false,
    };
    // The last one also for who does not wait for its end.
    let reload = Command::Reload { wait: false };
    for command in [start_of("slow"), roll, update(&[]), reload] {
        let refused = ask(&bench.stack, command).await;
        assert!(matches!(refused, Err(ControlError::Busy(_))), "{refused:?}");
    }
    std::fs::write(place.path().join("go"), "").unwrap();
    let Reply::Done(outcomes) = updating.await.unwrap().unwrap() else {
        panic!("no outcomes");
    };
    let mut found = results(&outcomes);
    found.sort_by_key(|(name, _)| *name);
    let expected = [
        ("aa", Verdict::Started),
        ("slow", Verdict::Started),
        ("z", Verdict::Removed),
    ];
    assert_eq!(found, expected);
    assert!(!waiting.is_finished());
    std::fs::write(bench.folder.path().join("late"), "").unwrap();
    let Reply::Done(outcomes) = waiting.await.unwrap().unwrap() else {
        panic!("no outcomes");
    };
    assert_eq!(results(&outcomes), [("late", Verdict::Started)]);
    bench.end().await;
}

#[tokio::test]
async fn a_reload_stops_everything_and_starts_with_the_files_as_they_are() {
    let bench = Bench::start(&[sleeper("a", ""), sleeper("b", "autostart = false")].concat());
    let a = bench.pid("a").await;
    done(&bench.stack, start_of("b")).await;
    bench.write(
        &[
            sleeper("a", ""),
            sleeper("b", "autostart = false"),
            sleeper("c", ""),
        ]
        .concat(),
    );
    let outcomes = done(&bench.stack, Command::Reload { wait: true }).await;
    let mut found = results(&outcomes);
    found.sort_by_key(|(name, _)| *name);
    assert_eq!(found, [("a", Verdict::Started), ("c", Verdict::Started)]);
    assert_ne!(bench.pid("a").await, a);
    assert_eq!(status(&bench.stack, "b").await.state, State::Stopped);
    assert_eq!(bench.all().await.config.generation, 2);
    bench.end().await;
}

#[tokio::test]
async fn a_stack_without_files_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = rig::start(folder.path(), vec![rig::worker("a")]);
    until_state(&stack, "a", State::Running).await;
    for command in [Command::Reread, update(&[])] {
        let refused = ask(&stack, command).await.unwrap_err();
        assert!(matches!(refused, ControlError::Refused(_)), "{refused:?}");
    }
    // Refused for good, not only for now: nothing is left under way.
    done(&stack, stop("a")).await;
    stack.shutdown().await;
}

/// `fathom up` in a process of its own.
struct Daemon {
    child: std::process::Child,
    socket: PathBuf,
}

impl Daemon {
    fn start(folder: &Path) -> Self {
        let mut child = Program::new(assert_cmd::cargo::cargo_bin!("fathom"))
            .args(["up", "-c", "supervisor.toml"])
            .current_dir(folder)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let socket = folder.join("data/fathom.sock");
        let line = out
            .lines()
            .map_while(Result::ok)
            .find(|l| l.contains("commands at"));
        assert!(line.is_some(), "it does not come up");
        Self { child, socket }
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    fn client(&self) -> Client {
        Client::new(Place::Socket(self.socket.clone()), None).unwrap()
    }

    async fn until(&self, what: impl Fn(&StackStatus) -> bool) -> StackStatus {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let now = self.client().status(&[]).await.unwrap();
            if what(&now) {
                return now;
            }
            assert!(tokio::time::Instant::now() < deadline, "stays {now:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn sighup_during_a_start_puts_the_new_files_in_force_and_sigusr2_opens_logs_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("supervisor.toml");
    let late = "[service.late]\ncommand = [\"sh\", \"-c\", \"while :; do echo tick; sleep 0.02; done\"]\n\
                ready = \"file:late\"\n";
    std::fs::write(&file, whole(folder.path(), late)).unwrap();
    let daemon = Daemon::start(folder.path());
    let state = |now: &StackStatus, name: &str| {
        let found = now.services.iter().find(|service| service.name == name);
        found.map(|service| (service.state, service.pid))
    };
    let now = daemon
        .until(|now| now.services.iter().any(|s| s.pid > 0))
        .await;
    let before = state(&now, "late").unwrap();
    assert_eq!(before.0, State::Starting);
    let text = [late, &sleeper("next", "after = [\"late\"]")].concat();
    std::fs::write(&file, whole(folder.path(), &text)).unwrap();
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    let now = daemon.until(|now| state(now, "next").is_some()).await;
    assert_eq!(
        state(&now, "late").unwrap(),
        before,
        "it goes on with its start"
    );
    assert_eq!(now.config.generation, 2);
    std::fs::write(folder.path().join("late"), "").unwrap();
    let running = |now: &StackStatus, name| state(now, name).is_some_and(|s| s.0 == State::Running);
    daemon
        .until(|now| running(now, "late") && running(now, "next"))
        .await;

    let log = folder.path().join("data/logs/late.log");
    let moved = log.with_extension("moved");
    std::fs::rename(&log, &moved).unwrap();
    daemon.signal(nix::sys::signal::Signal::SIGUSR2);
    daemon.until(|_| log.exists()).await;
}

#[tokio::test]
async fn state_that_nobody_touches_survives_many_updates() {
    let bench = Bench::start(&sleeper("a", ""));
    let first = until(&bench.stack, "a", |now| now.state == State::Running).await;
    for round in 0..20 {
        let extra = sleeper(&format!("x{round}"), "autostart = false");
        bench.update(&[extra, sleeper("a", "")].concat()).await;
    }
    let now = status(&bench.stack, "a").await;
    assert_eq!(
        (now.pid, now.incarnation, now.since),
        (first.pid, 1, first.since)
    );
    assert_eq!(bench.all().await.config.generation, 21);
    bench.end().await;
}
