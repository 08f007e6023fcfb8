//! The storm: sixty services, children and actors on five levels of dependency, under kills, stops,
//! hangs, panics, missing programs, new configurations and commands, all drawn from a fixed seed.
//!
//! Never do two incarnations of a service live at the same time; no line that was written is lost;
//! when the storm ends everything that is wanted comes up again; in the end nothing is left.
//!
//! `FATHOM_CHAOS_SECONDS=300 cargo test --test chaos -- --nocapture` runs the long version,
//! `FATHOM_CHAOS_SEED=7` another one.
#![allow(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fathom::config::plan::{After, Budget, Plan, ServicePlan, Until};
use fathom::config::{FileSet, Loaded, Report, Reread};
use fathom::stack::{Options, Source, Stack};
use fathom_kernel::{Command, ServiceCx, ServiceError, Size, Span, State};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rig::{actor, ask, command, status};

const LEVELS: usize = 5;
const CHILDREN: usize = 8;
const ACTORS: usize = 4;

/// How long the storm lasts when nobody says otherwise.
const SHORT: Duration = Duration::from_secs(8);

/// Longest time after the storm until all is well: back-offs of half a second, restarts that were
/// ordered in its last moment, five levels.
const CALM: Duration = Duration::from_secs(30);

/// What makes an actor fail.
const WELL: u8 = 0;
const PANICS: u8 = 1;
const FAILS: u8 = 2;
const HANGS: u8 = 3;

/// The stage of a storm.
struct Storm {
    folder: PathBuf,
    /// State of mind of each actor.
    moods: Arc<BTreeMap<String, AtomicU8>>,
    /// Incarnations that met another one.
    doubles: Arc<Mutex<Vec<String>>>,
    /// Counts configurations, which differ.
    version: Arc<AtomicUsize>,
}

impl Storm {
    fn new(folder: &Path) -> Self {
        for part in ["locks", "counts", "programs"] {
            std::fs::create_dir(folder.join(part)).unwrap();
        }
        let mood = |name| (name, AtomicU8::new(WELL));
        Self {
            folder: folder.to_owned(),
            moods: Arc::new(actors().into_iter().map(mood).collect()),
            doubles: Arc::default(),
            version: Arc::default(),
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Makes the plan of a configuration: each one starts another child anew, changes a policy, and
    /// has a service that no other has.
    fn plan(&self) -> Plan {
        let version = self.version.load(SeqCst);
        let mut services = Vec::new();
        for level in 0..LEVELS {
            for n in 0..CHILDREN {
                let mut child = self.child(&format!("l{level}:c{n}"), n);
                if (level, n) == (version % LEVELS, version % CHILDREN) {
                    child.set_env("CHAOS_VERSION", version);
                }
                services.push(self.placed(child, level, n, version));
            }
            for n in 0..ACTORS {
                let actor = self.actor(&format!("l{level}:a{n}"));
                services.push(self.placed(actor, level, n, version));
            }
        }
        let extra = self.child(&format!("extra:v{version}"), 0);
        services.push(self.placed(extra, 0, 0, version));
        rig::plan(&self.data_dir(), services)
    }

    /// Gives a service its dependencies and a policy without end.
    fn placed(&self, mut plan: ServicePlan, level: usize, n: usize, version: usize) -> ServicePlan {
        for (on, until) in [(n, Until::Ready), (n + 3, Until::Started)] {
            if level > 0 {
                let (level, on) = (level - 1, on % CHILDREN);
                plan.after.push(After {
                    name: format!("l{level}:c{on}").into(),
                    until,
                });
            }
        }
        plan.budget = Budget {
            restarts: 0,
            ..Budget::default()
        };
        plan.backoff.base = Span::from_millis(20 + version as u64 % 3);
        plan.backoff.max = Span::from_millis(500);
        plan.stop.wait = Duration::from_millis(300);
        plan.log.max = Size::from_bytes(20_000);
        plan.log.backups = 10_000;
        plan
    }

    fn child(&self, name: &str, n: usize) -> ServicePlan {
        let file = name.replace(':', "_");
        let program = self.folder.join("programs").join(&file);
        if std::fs::symlink_metadata(&program).is_err() {
            std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &program).unwrap();
        }
        let program = program.to_str().unwrap();
        let words = ["as_a_child", "--exact", "--nocapture"];
        // Some do not listen to SIGTERM.
        let mut argv = match n % 5 {
            4 => vec!["sh", "-c", "trap '' TERM; exec \"$0\" \"$@\"", program],
            _ => vec![program],
        };
        argv.extend(words);
        let mut plan = command(name, &argv);
        plan.set_env("CHAOS_FOLDER", self.folder.display());
        plan.set_env("CHAOS_NAME", &file);
        plan.set_env("CHAOS_STRAY", n % 4 == 1);
        plan
    }

    fn actor(&self, name: &str) -> ServicePlan {
        let (moods, doubles) = (self.moods.clone(), self.doubles.clone());
        let (key, alive) = (name.to_owned(), Arc::new(AtomicUsize::new(0)));
        // Each plan has its own factory, but a live actor belongs to the one it was started from.
        let lives = lives_of(name, alive);
        actor(name, move |cx| {
            let (moods, doubles) = (moods.clone(), doubles.clone());
            act(cx, key.clone(), lives.clone(), moods, doubles)
        })
    }
}

/// Returns the count of live incarnations of an actor, the same for all plans.
fn lives_of(name: &str, fresh: Arc<AtomicUsize>) -> Arc<AtomicUsize> {
    static ALL: Mutex<BTreeMap<String, Arc<AtomicUsize>>> = Mutex::new(BTreeMap::new());
    let mut all = ALL.lock().unwrap();
    all.entry(name.to_owned()).or_insert(fresh).clone()
}

trait SetEnv {
    fn set_env(&mut self, name: &str, value: impl ToString);
}

impl SetEnv for ServicePlan {
    fn set_env(&mut self, name: &str, value: impl ToString) {
        if let fathom::config::plan::Body::Command(body) = &mut self.body {
            body.env.insert(name.to_owned(), value.to_string());
        }
    }
}

/// Lives as its mood says.
async fn act(
    cx: ServiceCx,
    name: String,
    lives: Arc<AtomicUsize>,
    moods: Arc<BTreeMap<String, AtomicU8>>,
    doubles: Arc<Mutex<Vec<String>>>,
) -> Result<(), ServiceError> {
    struct Alive(Arc<AtomicUsize>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    if lives.fetch_add(1, SeqCst) != 0 {
        doubles.lock().unwrap().push(name.clone());
    }
    let _alive = Alive(lives);
    cx.ready();
    loop {
        match moods[&name].swap(WELL, SeqCst) {
            PANICS => panic!("the storm wants it"),
            FAILS => return Err(ServiceError::new("the storm wants it")),
            // Hears no wish to stop any more: only an abort ends it.
            HANGS => std::future::pending::<()>().await,
            _ => {}
        }
        tokio::select! {
            () = cx.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
}

fn actors() -> Vec<String> {
    let all = (0..LEVELS).flat_map(|level| (0..ACTORS).map(move |n| format!("l{level}:a{n}")));
    all.collect()
}

fn children() -> Vec<String> {
    let all = (0..LEVELS).flat_map(|level| (0..CHILDREN).map(move |n| format!("l{level}:c{n}")));
    all.collect()
}

/// Not a test: what the children of the storm run. Each has a lock that no other incarnation may
/// have, and counts its lines in a file after it has written them.
#[test]
fn as_a_child() {
    let Ok(folder) = std::env::var("CHAOS_FOLDER") else {
        return;
    };
    let folder = PathBuf::from(folder);
    let name = std::env::var("CHAOS_NAME").unwrap();
    let role = std::env::var("CHAOS_ROLE").unwrap_or_default();
    let marker = std::env::var("SUITE_SERVICE").unwrap();
    let lock = File::create(folder.join("locks").join(format!("{name}{role}"))).unwrap();
    if lock.try_lock().is_err() {
        let path = folder.join("doubles");
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        writeln!(file, "{marker}{role}").unwrap();
        panic!("another incarnation lives");
    }
    if role == ".stray" {
        // Outlives its parent unless somebody cares.
        return std::thread::sleep(Duration::from_secs(600));
    }
    if std::env::var("CHAOS_STRAY").unwrap() == "true" {
        let mut stray = process::Command::new(std::env::current_exe().unwrap());
        stray
            .args(["as_a_child", "--exact", "--nocapture"])
            .env("CHAOS_ROLE", ".stray")
            .stdout(process::Stdio::null())
            .process_group(0);
        #[expect(
            clippy::zombie_processes,
            reason = "a stray is one for which nobody cares"
        )]
        let _stray = stray.spawn().unwrap();
    }
    let count = folder.join("counts").join(marker.replace('/', "+"));
    let count = File::create(count).unwrap();
    for n in 1_u64.. {
        println!("line {marker} {n}");
        std::os::unix::fs::FileExt::write_all_at(&count, &n.to_le_bytes(), 0).unwrap();
        std::thread::sleep(Duration::from_millis(25));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_leaves_nothing_broken() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let duration = number("FATHOM_CHAOS_SECONDS").map_or(SHORT, Duration::from_secs);
    let seed = number("FATHOM_CHAOS_SEED").unwrap_or(20_261_121);
    let folder = tempfile::tempdir().unwrap();
    let storm = Arc::new(Storm::new(folder.path()));
    let mut stack = begin(&storm);
    all_up(&stack, "before the storm").await;
    let blows = rage(&storm, &stack, duration, seed).await;
    println!("seed {seed}: {blows:?}");
    calm(&storm, &stack).await;
    grow(&storm, &stack).await;
    stack.shutdown().await;
    assert_eq!(*storm.doubles.lock().unwrap(), Vec::<String>::new());
    let doubles = std::fs::read_to_string(folder.path().join("doubles")).unwrap_or_default();
    assert_eq!(doubles, "", "two incarnations lived at the same time");
    assert_eq!(survivors(folder.path()), Vec::<i32>::new());
    let (starts, lines) = check_lines(&storm);
    println!("{starts} starts of children, {lines} lines, none lost");
}

/// Starts the stack with a configuration that can be read anew.
fn begin(storm: &Arc<Storm>) -> Stack {
    let source = storm.clone();
    let reread: Reread = Arc::new(move || {
        Ok(Loaded {
            plan: source.plan(),
            warnings: Report::default(),
            files: FileSet::default(),
        })
    });
    let options = Options {
        source: Some(Source {
            reread,
            files: Arc::default(),
        }),
        ..Options::default()
    };
    Stack::start(storm.plan(), options).unwrap()
}

/// Strikes until the time is over; returns how often in which way.
async fn rage(
    storm: &Storm,
    stack: &Stack,
    duration: Duration,
    seed: u64,
) -> BTreeMap<&'static str, u32> {
    let mut chance = SmallRng::seed_from_u64(seed);
    let mut blows = BTreeMap::new();
    let end = Instant::now() + duration;
    while Instant::now() < end {
        let blow = strike(storm, stack, &mut chance).await;
        *blows.entry(blow).or_default() += 1;
        let pause = Duration::from_millis(chance.random_range(0..40));
        tokio::time::sleep(pause).await;
    }
    blows
}

#[expect(
    clippy::too_many_lines,
    reason = "a table with a few lines for each blow"
)]
async fn strike(storm: &Storm, stack: &Stack, chance: &mut SmallRng) -> &'static str {
    let (children, actors) = (children(), actors());
    let child = children.choose(chance).unwrap();
    let (service, group) = (chance.random_range(0..60), chance.random_range(0..LEVELS));
    let all: Vec<&String> = children.iter().chain(&actors).collect();
    let target = match chance.random_range(0..12) {
        0 => format!("l{group}:*"),
        _ => all[service].clone(),
    };
    let targets = vec![target];
    match chance.random_range(0..100) {
        0..25 => {
            hit(stack, child, Signal::SIGKILL).await;
            "kill"
        }
        25..30 => {
            hit(stack, child, Signal::SIGSEGV).await;
            "fault"
        }
        30..38 => {
            hit(stack, child, Signal::SIGSTOP).await;
            let targets = vec![child.clone()];
            let again = Command::Restart {
                targets,
                wait: false,
            };
            ask(stack, again).await.ok();
            "freeze"
        }
        38..55 => {
            let mood = *[PANICS, FAILS, HANGS].choose(chance).unwrap();
            storm.moods[actors.choose(chance).unwrap()].store(mood, SeqCst);
            "mood"
        }
        55..62 => {
            let program = storm.folder.join("programs").join(child.replace(':', "_"));
            std::fs::remove_file(&program).unwrap();
            hit(stack, child, Signal::SIGKILL).await;
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..150))).await;
            std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &program).unwrap();
            "no program"
        }
        62..70 => {
            ask(
                stack,
                Command::Stop {
                    dependents: false,
                    targets,
                    wait: false,
                },
            )
            .await
            .ok();
            "stop"
        }
        70..85 => {
            let dependencies = chance.random();
            let start = Command::Start {
                targets,
                dependencies,
                wait: false,
            };
            ask(stack, start).await.ok();
            "start"
        }
        85..95 => {
            ask(
                stack,
                Command::Restart {
                    targets,
                    wait: false,
                },
            )
            .await
            .ok();
            "restart"
        }
        _ => {
            storm.version.fetch_add(1, SeqCst);
            update(stack, Duration::from_secs(3)).await;
            "update"
        }
    }
}

/// Puts the configuration of now in force. It waits for services that the storm may hold down, so it
/// is not waited for to the end.
async fn update(stack: &Stack, patience: Duration) {
    let update = Command::Update {
        targets: Vec::new(),
        expected: Default::default(),
    };
    tokio::time::timeout(patience, ask(stack, update))
        .await
        .ok();
}

async fn hit(stack: &Stack, name: &str, signal: Signal) {
    let pid = status(stack, name).await.pid;
    if pid > 0 {
        // It may have ended meanwhile; its number is not given to another so soon.
        kill(Pid::from_raw(pid.cast_signed()), signal).ok();
    }
}

/// Ends the storm: everything is wanted again.
async fn calm(storm: &Storm, stack: &Stack) {
    storm
        .moods
        .values()
        .for_each(|mood| mood.store(WELL, SeqCst));
    for name in children() {
        hit(stack, &name, Signal::SIGCONT).await;
    }
    update(stack, CALM).await;
    let targets = vec!["all".to_owned()];
    let start = Command::Start {
        targets,
        dependencies: true,
        wait: false,
    };
    ask(stack, start).await.unwrap();
    all_up(stack, "after the storm").await;
}

async fn all_up(stack: &Stack, when: &str) {
    let deadline = Instant::now() + CALM;
    loop {
        let names = children().into_iter().chain(actors());
        let mut down = Vec::new();
        for name in names {
            let now = status(stack, &name).await;
            if now.state != State::Running {
                down.push(format!("{name} {} {}", now.state, now.description));
            }
        }
        if down.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{when}: {down:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until every child has written more: RUNNING is not only a word.
async fn grow(storm: &Storm, stack: &Stack) {
    for name in children() {
        let now = status(stack, &name).await;
        let written = || {
            let files = std::fs::read_dir(storm.folder.join("counts")).unwrap();
            let end = format!("+{name}+{}", now.incarnation);
            let mut files = files.map(|file| file.unwrap().path());
            let mine = files.find(|path| path.to_str().unwrap().ends_with(&end));
            mine.map_or(0, |path| count_in(&path))
        };
        let before = written();
        let deadline = Instant::now() + CALM;
        while written() <= before {
            assert!(
                Instant::now() < deadline,
                "{name} runs and does nothing: {now:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn count_in(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Returns the processes of this storm that still live.
fn survivors(folder: &Path) -> Vec<i32> {
    let mark = format!("CHAOS_FOLDER={}\0", folder.display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .windows(mark.len())
            .any(|part| part == mark.as_bytes())
    })
    .collect()
}

/// Compares the logs of all children with what they counted; returns starts and lines.
fn check_lines(storm: &Storm) -> (usize, u64) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let logs = std::fs::read_dir(storm.data_dir().join("logs")).unwrap();
    let mut files: Vec<(String, u64, PathBuf)> = logs
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let (service, number) = name.split_once(".log").unwrap();
            // Oldest first; the one without a number is the newest.
            let age = number.trim_start_matches('.').parse().unwrap_or(0);
            (service.to_owned(), u64::MAX - age, path.clone())
        })
        .collect();
    files.sort();
    for (_, _, path) in files {
        let text = std::fs::read(&path).unwrap();
        for line in String::from_utf8_lossy(&text).lines() {
            let mut words = line.split(' ');
            if words.next() != Some("line") {
                continue;
            }
            let marker = words.next().unwrap().replace('/', "+");
            let number: u64 = words.next().unwrap().parse().unwrap();
            let last = seen.entry(marker).or_default();
            assert_eq!(
                number,
                *last + 1,
                "lost before: {line} in {}",
                path.display()
            );
            *last = number;
        }
    }
    for file in std::fs::read_dir(storm.folder.join("counts")).unwrap() {
        let file = file.unwrap();
        let marker = file.file_name().into_string().unwrap();
        let (logged, written) = (
            seen.get(&marker).copied().unwrap_or(0),
            count_in(&file.path()),
        );
        assert!(
            logged >= written,
            "{marker}: {written} written, {logged} in the log"
        );
    }
    (seen.len(), seen.values().sum())
}
