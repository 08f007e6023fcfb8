//! The supervisor as a process of its own: its death, its lock, its signals, and what it leaves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::time::Duration;

use fathom::control::{Client, Place};
use fathom_kernel::{LogLine, ServiceStatus, State, Timestamp};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use rig::*;

/// A supervisor in a process of its own; killed when dropped.
struct Daemon {
    process: std::process::Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn start(services: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("supervisor.toml");
        std::fs::write(&config, services).unwrap();
        let process = Self::up(folder.path(), args);
        Self { process, folder }
    }

    fn up(folder: &Path, args: &[&str]) -> std::process::Child {
        Self::command(folder, args).spawn().unwrap()
    }

    fn command(folder: &Path, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fathom"));
        command
            .args(["up", "--config"])
            .arg(folder.join("supervisor.toml"))
            .arg("--data")
            .arg(folder.join("data"))
            .args(args)
            .current_dir(folder)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        command
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().try_into().unwrap());
        kill(pid, signal).unwrap();
    }

    /// Returns the exit code, once there is one.
    async fn code(&mut self) -> Option<i32> {
        wait_for(|| self.process.try_wait().unwrap().is_some()).await;
        self.process.wait().unwrap().code()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Kills the supervisor and starts another one on the same folder.
    fn replace(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = Self::up(self.folder.path(), &[]);
    }

    fn client(&self) -> Client {
        let socket = self.folder.path().join("data/fathom.sock");
        Client::new(Place::Socket(socket), None).unwrap()
    }

    /// Returns the services when all of them fulfil a condition.
    async fn until_all(&self, what: impl Fn(&ServiceStatus) -> bool) -> Vec<ServiceStatus> {
        let client = self.client();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let said = client.status(&[]).await;
            if let Ok(status) = &said
                && status.services.iter().all(&what)
            {
                return status.services.clone();
            }
            assert!(std::time::Instant::now() < deadline, "{said:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns the numbers of its children with a word in their command line.
    fn children(&self, word: &str) -> Vec<Pid> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let lists = tasks.flatten().map(|task| task.path().join("children"));
        let lists = lists.map(|list| std::fs::read_to_string(list).unwrap_or_default());
        let pids: Vec<String> = lists
            .flat_map(|list| {
                list.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        let has = |pid: &&String| {
            let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            words.is_ok_and(|words| words.contains(word))
        };
        let pids = pids.iter().filter(has);
        pids.map(|pid| Pid::from_raw(pid.parse().unwrap()))
            .collect()
    }

    /// Returns all that is in the event log.
    fn events(&self) -> String {
        let files = std::fs::read_dir(self.folder.path().join("data/events")).unwrap();
        let texts = files
            .flatten()
            .map(|file| std::fs::read_to_string(file.path()));
        texts.map(Result::unwrap_or_default).collect()
    }

    fn has_socket(&self) -> bool {
        self.folder.path().join("data/fathom.sock").exists()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A child that ignores TERM, with a grandchild in its group and one that left it.
const STUBBORN: &str = r#"
[service.stubborn]
command = ["sh", "-c", "trap '' TERM; sleep 300 & echo $! > pids; setsid sleep 300 & echo $! >> pids; echo $$ >> pids; while :; do sleep 0.1; done"]
"#;

#[tokio::test]
async fn nothing_survives_when_the_supervisor_is_killed() {
    let mut daemon = Daemon::start(STUBBORN, &[]);
    wait_for(|| daemon.read("pids").lines().count() == 3 && daemon.has_socket()).await;
    let pids = daemon.read("pids");
    assert!(pids.lines().all(lives), "{pids}");
    daemon.process.kill().unwrap();
    daemon.process.wait().unwrap();
    wait_for(|| !pids.lines().any(lives) && !daemon.has_socket()).await;
}

#[tokio::test]
async fn who_hides_from_its_service_does_not_outlive_the_supervisor() {
    let mut daemon = Daemon::start(
        r#"
[service.hider]
command = ["sh", "-c", "setsid env -i sh -c 'echo $$ > pids; sleep 300 & echo $! >> pids; wait' & exec sleep 300"]
"#,
        &[],
    );
    wait_for(|| daemon.read("pids").lines().count() == 2 && daemon.has_socket()).await;
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.code().await, Some(0));
    let pids = daemon.read("pids");
    assert!(!pids.lines().any(lives), "{pids}");
}

/// Ten services that write their numbers down, and whether an elder of theirs still lives.
fn ten(more: &str) -> String {
    // Zombies, which wait for their new parent, do not live.
    let script = "for p in $(cat pids); do \
        grep -qs \"^State:.[^Z]\" /proc/$p/status && echo $p >> doubles; done; \
        sleep 0.05; echo $$ >> pids; exec sleep 300";
    let services = (0..10).map(|n| {
        format!(
            "[service.s{n}]\ncommand = [\"sh\", \"-c\", '{script}']\nready = \"spawn\"\n{more}\n"
        )
    });
    services.collect()
}

#[tokio::test]
async fn children_of_a_killed_supervisor_are_gone_before_the_next_one_starts_any() {
    let mut daemon = Daemon::start(&ten(""), &[]);
    let written = |daemon: &Daemon| daemon.read("pids").lines().count();
    wait_for(|| written(&daemon) == 10).await;
    let first = daemon.read("pids");
    std::fs::write(daemon.folder.path().join("doubles"), "").unwrap();
    daemon.replace();
    wait_for(|| written(&daemon) == 20).await;
    assert!(!first.lines().any(lives));
    let living = daemon.read("pids");
    assert_eq!(living.lines().filter(|pid| lives(pid)).count(), 10);
    let elder: Vec<&str> = first.lines().collect();
    let doubles = daemon.read("doubles");
    assert!(
        !doubles.lines().any(|pid| elder.contains(&pid)),
        "{doubles}"
    );
}

#[tokio::test]
async fn what_ignores_the_death_of_its_supervisor_is_ended_by_the_next_one() {
    let mut daemon = Daemon::start(STUBBORN, &[]);
    wait_for(|| daemon.read("pids").lines().count() == 3 && daemon.has_socket()).await;
    let pids = daemon.read("pids");
    // A guardian that cannot help.
    let guardians = daemon.children("guard");
    for guardian in &guardians {
        kill(*guardian, Signal::SIGSTOP).unwrap();
    }
    daemon.process.kill().unwrap();
    daemon.process.wait().unwrap();
    assert!(pids.lines().all(lives), "{pids}");
    std::fs::remove_file(daemon.folder.path().join("pids")).unwrap();
    daemon.process = Daemon::up(daemon.folder.path(), &[]);
    wait_for(|| daemon.read("pids").lines().count() == 3).await;
    assert!(!pids.lines().any(lives), "{pids}");
    let events = daemon.events();
    assert!(events.contains("orphan_removed"), "{events}");
    for guardian in guardians {
        kill(guardian, Signal::SIGKILL).unwrap();
    }
}

#[tokio::test]
async fn what_was_said_under_an_earlier_supervisor_is_shown_by_the_next_one() {
    let mut daemon = Daemon::start(
        r#"
[service.talk]
command = ["sh", "-c", "echo I am $SUITE_SERVICE; exec sleep 300"]
log = { format = "ts" }
"#,
        &[],
    );
    let before = Timestamp::now();
    daemon.until_all(|now| now.state == State::Running).await;
    let first = daemon.client().last_lines("talk", 10).await.unwrap().lines;
    assert_eq!((first.len(), first[0].incarnation), (1, 1));
    daemon.replace();
    daemon.until_all(|now| now.state == State::Running).await;
    wait_for(|| daemon.read("data/logs/talk.log").lines().count() == 2).await;
    let client = daemon.client();
    let all = client.lines_since("talk", before).await.unwrap();
    assert!(!all.cut);
    // To the millisecond, as it stands in the log.
    let at = |line: &LogLine| (line.at.as_millisecond(), line.line.clone());
    assert_eq!((all.lines.len(), at(&all.lines[0])), (2, at(&first[0])));
    let last = client.lines_since("talk", all.lines[1].at).await.unwrap();
    assert_eq!(last.lines.len(), 1);
    let tail = client.tail("talk", 2).await.unwrap();
    assert!(
        tail[0].starts_with("I am ") && tail[0] != tail[1],
        "{tail:?}"
    );
    let own = client.lines_since("", before).await.unwrap().lines;
    let starts = own
        .iter()
        .filter(|line| line.line.contains("socket is open"));
    assert!(starts.count() == 2 && own[0].at >= before, "{own:?}");
}

#[tokio::test]
async fn adopted_children_go_on_under_the_next_supervisor() {
    let script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done";
    let services: String = (0..10)
        .map(|n| {
            format!(
                "[service.s{n}]\ncommand = [\"sh\", \"-c\", '{script}']\nready = \"spawn\"\n\
                 on_daemon_death = \"adopt\"\nbackoff = {{ first = \"1s\" }}\n"
            )
        })
        .collect();
    let mut daemon = Daemon::start(&services, &[]);
    let runs = |s: &ServiceStatus| s.state == State::Running && s.pid != 0;
    let pids = |all: &[ServiceStatus]| all.iter().map(|s| s.pid).collect::<Vec<_>>();
    let first = pids(&daemon.until_all(runs).await);
    daemon.replace();
    let now = daemon.until_all(runs).await;
    assert_eq!(pids(&now), first);
    assert!(first.iter().all(|pid| lives(&pid.to_string())));
    let before = daemon.read("data/logs/s3.log").lines().count();
    wait_for(|| daemon.read("data/logs/s3.log").lines().count() > before + 10).await;
    let text = daemon.read("data/logs/s3.log");
    let numbers: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
    // What was read and not yet written when the supervisor was killed is lost; nothing else is.
    let last = numbers.last().unwrap();
    assert!(last - numbers.len() <= 2, "{} of {last}", numbers.len());
    // How it ended is not known, that it ended is.
    kill(
        Pid::from_raw(now[3].pid.try_into().unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    let unknown = |s: &ServiceStatus| s.name != "s3" || s.last_exit.as_deref() == Some("unknown");
    daemon.until_all(unknown).await;
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.code().await, Some(0));
    assert!(!first.iter().any(|pid| lives(&pid.to_string())));
    let left = std::fs::read_dir(daemon.folder.path().join("data/run")).unwrap();
    let left: Vec<_> = left.flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["processes"]);
}

/// Sets a limit of another process, by the program that util-linux has for it.
fn limit(pid: u32, what: &str) -> bool {
    let owner = std::fs::metadata(format!("/proc/{pid}")).unwrap();
    let mut command = std::process::Command::new("prlimit");
    // Asked for by its own user: root may not everywhere.
    command.uid(std::os::unix::fs::MetadataExt::uid(&owner));
    let done = command.args(["--pid", &pid.to_string(), what]).status();
    done.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn without_a_free_descriptor_a_start_fails_and_is_tried_again() {
    let services = "[service.a]\ncommand = \"sleep 300\"\nready = \"spawn\"\n\
        backoff = { first = \"50ms\", base = \"50ms\", max = \"100ms\" }\nbudget = { restarts = 0 }\n";
    let daemon = Daemon::start(services, &[]);
    let runs = |s: &ServiceStatus| s.state == State::Running;
    let first = daemon.until_all(runs).await[0].pid;
    // Lower numbers than these are taken for good from its start on: it can open nothing more.
    if !limit(daemon.process.id(), "--nofile=8:") {
        return;
    }
    kill(Pid::from_raw(first.try_into().unwrap()), Signal::SIGKILL).unwrap();
    wait_for(|| {
        daemon
            .read("data/logs/fathom.log")
            .contains("Too many open files")
    })
    .await;
    assert!(daemon.read("data/logs/fathom.log").contains("to=BACKOFF"));
    assert!(limit(daemon.process.id(), "--nofile=1024:"));
    let again = |s: &ServiceStatus| s.state == State::Running && s.pid != first;
    daemon.until_all(again).await;
}

/// A user of nobody, whose processes alone count against its limit.
const NOBODY: u32 = 61_234;

#[tokio::test]
async fn without_a_free_process_a_start_fails_and_is_tried_again() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can become the user whose processes are limited");
        return;
    }
    let services = "[service.a]\ncommand = \"sleep 300\"\nready = \"spawn\"\n\
        backoff = { first = \"50ms\", base = \"50ms\", max = \"100ms\" }\nbudget = { restarts = 0 }\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("supervisor.toml"), services).unwrap();
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = Daemon::command(folder.path(), &[]);
    let process = command.uid(NOBODY).spawn().unwrap();
    let daemon = Daemon { process, folder };
    let runs = |s: &ServiceStatus| s.state == State::Running;
    let first = daemon.until_all(runs).await[0].pid;
    // As many as it has: one can end, none can begin.
    assert!(limit(daemon.process.id(), "--nproc=1:"));
    kill(Pid::from_raw(first.try_into().unwrap()), Signal::SIGKILL).unwrap();
    let log = || daemon.read("data/logs/fathom.log");
    wait_for(|| log().contains("Resource temporarily unavailable")).await;
    assert!(log().contains("to=BACKOFF"));
    assert!(limit(daemon.process.id(), "--nproc=1000:"));
    let again = |s: &ServiceStatus| s.state == State::Running && s.pid != first;
    daemon.until_all(again).await;
}

#[tokio::test]
async fn a_gigabyte_without_a_line_end_takes_little_memory() {
    let services = "[service.endless]\nrestart = \"never\"\n\
        command = [\"sh\", \"-c\", \"head -c 1073741824 /dev/zero | tr '\\\\0' x\"]\n\
        log.max = \"64MiB\"\nlog.backups = 1\n";
    let daemon = Daemon::start(services, &[]);
    let ended = daemon.until_all(|s| s.state == State::Exited).await;
    assert_eq!(ended[0].last_exit.as_deref(), Some("exit:0"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.process.id())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let most = most.unwrap().trim().trim_end_matches(" kB");
    let most: u64 = most.parse().unwrap();
    assert!(most < 200_000, "{most} kB");
    let kept = std::fs::read(daemon.folder.path().join("data/logs/endless.log")).unwrap();
    assert!(!kept.is_empty() && kept.iter().all(|byte| b"x\n".contains(byte)));
}

/// A small disk of its own; gone when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        let options = format!("size={size}");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]);
        mount.arg(folder.path()).stderr(std::process::Stdio::null());
        mount
            .status()
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut umount = std::process::Command::new("umount");
        umount.arg("-l").arg(self.0.path()).status().ok();
    }
}

#[tokio::test]
async fn a_disk_that_was_full_has_every_line_when_there_is_room_again() {
    let Some(disk) = Disk::of("8m") else {
        println!("skipped: this user cannot mount a disk");
        return;
    };
    // Something else fills the disk, but for the place of some pages.
    let services = "[service.writer]\nready = \"spawn\"\ncommand = [\"sh\", \"-c\", \
        \"while [ ! -e go ]; do sleep 0.05; done; seq 1 200000; touch done; exec sleep 300\"]\n";
    let mut daemon = Daemon::start(services, &[]);
    daemon.until_all(|s| s.state == State::Running).await;
    let logs = daemon.folder.path().join("data/logs");
    let small = disk.0.path().join("writer.log");
    std::fs::write(&small, "").unwrap();
    std::fs::remove_file(logs.join("writer.log")).ok();
    std::os::unix::fs::symlink(&small, logs.join("writer.log")).unwrap();
    let blocker = disk.0.path().join("blocker");
    std::fs::write(&blocker, vec![0; (8 << 20) - (256 << 10)]).unwrap();
    std::fs::write(daemon.folder.path().join("go"), "").unwrap();
    wait_for(|| small.metadata().unwrap().len() >= 200 << 10).await;
    daemon
        .until_all(|s| s.state == State::Running && s.incarnation == 1)
        .await;
    std::fs::remove_file(&blocker).unwrap();
    let all: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    wait_for(|| std::fs::read_to_string(&small).unwrap() == all).await;
    assert!(daemon.folder.path().join("done").exists());
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.code().await, Some(0));
}

#[tokio::test]
async fn an_init_passes_signals_on_and_ends_with_the_status_of_the_supervisor() {
    let services = "[service.child]\ncommand = \"sleep 300\"\n";
    let mut daemon = Daemon::start(services, &["--init"]);
    wait_for(|| daemon.has_socket()).await;
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.code().await, Some(0));
    assert!(!daemon.has_socket());
}

#[tokio::test]
async fn a_second_daemon_on_the_same_folder_ends_with_3() {
    let services = "[service.child]\ncommand = \"sleep 300\"\n";
    let daemon = Daemon::start(services, &[]);
    wait_for(|| daemon.has_socket()).await;
    let config = daemon.folder.path().join("supervisor.toml");
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_fathom"))
        .args(["up", "--config"])
        .arg(config)
        .arg("--data")
        .arg(daemon.folder.path().join("data"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(3));
    let said = String::from_utf8(second.stderr).unwrap();
    let holder = format!("(pid {})", daemon.process.id());
    assert!(said.contains(&holder), "{said}");
    assert!(daemon.has_socket());
}

#[tokio::test]
async fn an_essential_service_ends_the_stack_with_1() {
    let services = "[service.essential]\ncommand = \"false\"\non_fatal = \"shutdown\"\n\
        restart = \"never\"\nready = \"secs:5\"\n";
    let mut daemon = Daemon::start(services, &[]);
    assert_eq!(daemon.code().await, Some(1));
    assert!(!daemon.has_socket());
}
