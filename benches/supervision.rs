//! How fast children are started, replaced and stopped, and what that costs, beside the real
//! supervisord when it is there.
//!
//! `cargo bench --bench supervision`; with `SUPERVISORD=/path/to/supervisord` the same is asked of
//! it. Both are asked by XML-RPC on their Unix sockets.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![allow(
    clippy::disallowed_methods,
    reason = "times of two processes are compared"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Children of the larger trees.
const TREES: [usize; 2] = [200, 1000];

/// Kills of which each waits for the replacement.
const KILLS: usize = 50;

/// Stops of all children of which the slowest counts.
const STOPS: usize = 5;

/// Time over which idleness is measured.
const IDLE: Duration = Duration::from_secs(10);

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes this program the child: it writes down that it runs and sleeps.
const CHILD: &str = "--child";

fn main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(CHILD) {
        return be_child(&args.next().unwrap());
    }
    measure("fathom", &fathom);
    match std::env::var_os("SUPERVISORD").map(PathBuf::from) {
        Some(program) => measure("supervisord", &|folder, tree| {
            supervisord(&program, folder, tree)
        }),
        None => println!("supervisord: not measured, SUPERVISORD names no program"),
    }
}

/// Writes the time and its process number at the end of a file.
fn be_child(path: &str) {
    let now = nanos();
    let mut file = fs::File::options().append(true).open(path).unwrap();
    writeln!(file, "{now} {}", std::process::id()).unwrap();
    std::thread::sleep(Duration::from_secs(3600));
}

fn nanos() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_nanos()
}

/// What the children of a tree run.
enum Tree {
    Sleepers(usize),
    /// One that writes down when it runs.
    Writer(PathBuf),
}

impl Tree {
    fn commands(&self) -> Vec<String> {
        match self {
            Self::Sleepers(count) => vec!["sleep 3600".to_owned(); *count],
            Self::Writer(path) => {
                let program = std::env::current_exe().unwrap();
                let (program, path) = (program.display(), path.display());
                vec![format!("{program} {CHILD} {path}")]
            }
        }
    }
}

type Make<'a> = &'a dyn Fn(&Path, &Tree) -> (Command, PathBuf);

fn measure(name: &str, make: Make<'_>) {
    for count in TREES {
        let daemon = Daemon::start(make, &Tree::Sleepers(count), count);
        println!("{name}: {count} children run after {}", ms(daemon.took));
        if count == TREES[0] {
            println!("{name}: {} KiB with {count} children", daemon.rss_kib());
            let before = daemon.cpu_ticks();
            std::thread::sleep(IDLE);
            let ticks = daemon.cpu_ticks() - before;
            let share = ticks as f64 / IDLE.as_secs_f64();
            println!("{name}: idle {share:.2} % of a processor");
            println!(
                "{name}: stop all, slowest of {STOPS}: {}",
                ms(daemon.stops(count))
            );
        }
    }
    let folder = Folder::new();
    let seen = folder.0.join("seen");
    fs::write(&seen, "").unwrap();
    let daemon = Daemon::start(make, &Tree::Writer(seen.clone()), 1);
    let mut times = kills(&seen);
    drop(daemon);
    times.sort();
    let at = |share: usize| ms(times[(times.len() * share / 100).min(times.len() - 1)]);
    println!(
        "{name}: kill to replacement, median {}, p99 {}",
        at(50),
        at(99)
    );
}

/// Kills the writer again and again; returns the times until the next one ran.
fn kills(seen: &Path) -> Vec<Duration> {
    let lines = || -> Vec<(u128, String)> {
        let text = fs::read_to_string(seen).unwrap();
        let whole = text.lines().filter_map(|line| line.split_once(' '));
        let parsed = whole.map(|(at, pid)| (at.parse().unwrap(), pid.to_owned()));
        parsed.collect()
    };
    let mut times = Vec::new();
    for kill in 0..KILLS {
        until(|| lines().len() > kill);
        // It has settled, as one has that failed on another day.
        std::thread::sleep(Duration::from_millis(50));
        let killed = nanos();
        let status = Command::new("kill").args(["-9", &lines()[kill].1]).status();
        assert!(status.unwrap().success());
        until(|| lines().len() > kill + 1);
        let nanos = u64::try_from(lines()[kill + 1].0 - killed).unwrap();
        times.push(Duration::from_nanos(nanos));
    }
    times
}

fn until(mut what: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < deadline, "it never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn fathom(folder: &Path, tree: &Tree) -> (Command, PathBuf) {
    let data = folder.join("data");
    let mut config = format!("[stack]\ndata_dir = \"{}\"\n[group.many]\n", data.display());
    for (number, line) in tree.commands().iter().enumerate() {
        write!(
            config,
            "[service.n{number:04}]\ngroup = \"many\"\ncommand = \"{line}\"\nready = \"spawn\"\n\
             budget = {{ restarts = 0 }}\nbackoff = {{ base = \"0s\", max = \"0s\" }}\n"
        )
        .unwrap();
    }
    let file = folder.join("supervisor.toml");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fathom"));
    command.arg("up").arg("-c").arg(&file);
    (command, data.join("fathom.sock"))
}

fn supervisord(program: &Path, folder: &Path, tree: &Tree) -> (Command, PathBuf) {
    let at = folder.display();
    let mut config = format!(
        "[unix_http_server]\nfile={at}/sd.sock\n[supervisord]\nlogfile={at}/sd.log\nminfds=8192\n\
         pidfile={at}/sd.pid\nchildlogdir={at}\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
    );
    for (number, line) in tree.commands().iter().enumerate() {
        let name = format!("n{number:04}");
        write!(config, "[program:{name}]\ncommand={line}\nstartsecs=0\n").unwrap();
    }
    let file = folder.join("supervisord.conf");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(program);
    command.arg("-n").arg("-c").arg(&file);
    (command, folder.join("sd.sock"))
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("supervision-{}-{}", std::process::id(), nanos());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A supervisor with its tree.
struct Daemon {
    child: Child,
    socket: PathBuf,
    /// From its start until it reported all children as running.
    took: Duration,
    _folder: Folder,
}

impl Daemon {
    fn start(make: Make<'_>, tree: &Tree, count: usize) -> Self {
        let folder = Folder::new();
        let (mut command, socket) = make(&folder.0, tree);
        let begun = Instant::now();
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = Self {
            child: quiet.spawn().unwrap(),
            socket,
            took: Duration::ZERO,
            _folder: folder,
        };
        until(|| daemon.running() == count);
        daemon.took = begun.elapsed();
        daemon
    }

    fn running(&self) -> usize {
        let said = self.call("getAllProcessInfo").unwrap_or_default();
        said.matches(">RUNNING<").count()
    }

    /// Stops and starts all children; returns the longest stop.
    fn stops(&self, count: usize) -> Duration {
        let stop = |_| {
            let begun = Instant::now();
            self.call("stopAllProcesses").unwrap();
            let took = begun.elapsed();
            assert_eq!(self.running(), 0);
            self.call("startAllProcesses").unwrap();
            until(|| self.running() == count);
            took
        };
        (0..STOPS).map(stop).max().unwrap()
    }

    fn call(&self, method: &str) -> Option<String> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        let body = format!(
            "<?xml version='1.0'?><methodCall><methodName>supervisor.{method}</methodName>\
             <params></params></methodCall>"
        );
        let head = format!(
            "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Itself and its helpers, without the children that it supervises.
    fn processes(&self) -> Vec<u32> {
        let own = self.child.id();
        let tasks = fs::read_dir(format!("/proc/{own}/task")).unwrap();
        let lists = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")));
        let mut all = vec![own];
        for pid in lists.flat_map(|list| {
            let pids: Vec<u32> = list
                .unwrap_or_default()
                .split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect();
            pids
        }) {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if !line.starts_with("sleep") {
                all.push(pid);
            }
        }
        all
    }

    fn rss_kib(&self) -> u64 {
        let of = |pid: u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.map_or(0, |number| number.parse().unwrap())
        };
        self.processes().into_iter().map(of).sum()
    }

    /// Hundredths of a second that were computed.
    fn cpu_ticks(&self) -> u64 {
        let of = |pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields: Vec<&str> = stat
                .rsplit(')')
                .next()
                .unwrap()
                .split_whitespace()
                .collect();
            let field = |at: usize| fields.get(at).map_or(0, |f| f.parse::<u64>().unwrap());
            field(11) + field(12)
        };
        self.processes().into_iter().map(of).sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        // Asked to end in order, so that it takes its children along.
        Command::new("kill").arg(pid).status().unwrap();
        self.child.wait().unwrap();
    }
}
