//! How often a client can ask for the state of 200 services over one connection, beside the real
//! supervisord when it is there.
//!
//! `cargo bench --bench rpc`; with `SUPERVISORD=/path/to/supervisord` the same is asked of it.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Services of the tree.
const SERVICES: usize = 200;

/// Time that is measured.
const MEASURE: Duration = Duration::from_secs(3);

/// Time for all services to run.
const PATIENCE: Duration = Duration::from_secs(60);

const CALL: &str = "<?xml version='1.0'?>\n<methodCall>\n\
                    <methodName>supervisor.getAllProcessInfo</methodName>\n<params>\n</params>\n\
                    </methodCall>\n";

fn main() {
    println!("getAllProcessInfo of {SERVICES} services, one client, one connection");
    let fathom = Daemon::fathom();
    fathom.measure("fathom");
    match std::env::var_os("SUPERVISORD") {
        Some(program) => Daemon::supervisord(Path::new(&program)).measure("supervisord"),
        None => println!("supervisord: not measured, SUPERVISORD names no program"),
    }
}

/// A supervisor with its tree.
struct Daemon {
    child: Child,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Daemon {
    fn fathom() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut config = format!("[stack]\ndata_dir = \"{}\"\n[group.many]\n", data.display());
        for number in 0..SERVICES {
            let service =
                format!("[service.n{number:03}]\ngroup = \"many\"\ncommand = \"sleep 1000\"\n");
            config.push_str(&service);
        }
        let file = folder.path().join("supervisor.toml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fathom"));
        command.arg("up").arg("-c").arg(&file);
        Self::start(command, data.join("fathom.sock"), folder)
    }

    fn supervisord(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let mut config = format!(
            "[unix_http_server]\nfile={at}/sd.sock\n[supervisord]\nlogfile={at}/sd.log\n\
             pidfile={at}/sd.pid\nchildlogdir={at}\n[rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        );
        let mut names = String::new();
        for number in 0..SERVICES {
            writeln!(config, "[program:n{number:03}]\ncommand=sleep 1000").unwrap();
            write!(names, "{}n{number:03}", if number == 0 { "" } else { "," }).unwrap();
        }
        writeln!(config, "[group:many]\nprograms={names}").unwrap();
        let file = folder.path().join("supervisord.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program);
        command.arg("-n").arg("-c").arg(&file);
        let socket = folder.path().join("sd.sock");
        Self::start(command, socket, folder)
    }

    fn start(mut command: Command, socket: PathBuf, folder: tempfile::TempDir) -> Self {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = Self {
            child: quiet.spawn().unwrap(),
            socket,
            _folder: folder,
        };
        let deadline = Instant::now() + PATIENCE;
        while daemon.running() < SERVICES {
            assert!(Instant::now() < deadline, "the services do not run");
            std::thread::sleep(Duration::from_millis(100));
        }
        daemon
    }

    fn running(&self) -> usize {
        let Ok(stream) = UnixStream::connect(&self.socket) else {
            return 0;
        };
        let mut body = Vec::new();
        Client::new(stream).ask(&mut body);
        String::from_utf8_lossy(&body).matches("RUNNING").count()
    }

    fn measure(&self, name: &str) {
        let mut client = Client::new(UnixStream::connect(&self.socket).unwrap());
        let mut body = Vec::new();
        let mut times = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < MEASURE {
            let asked = Instant::now();
            client.ask(&mut body);
            times.push(asked.elapsed());
        }
        let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
        times.sort();
        let ms = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e3;
        println!(
            "{name}: {rate:.0} per s, median {:.2} ms, p99 {:.2} ms, {} bytes each",
            ms(50),
            ms(99),
            body.len(),
        );
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

/// A client that only counts the bytes of an answer, so that it takes as little time as possible.
struct Client(BufReader<UnixStream>);

impl Client {
    fn new(stream: UnixStream) -> Self {
        Self(BufReader::with_capacity(1 << 16, stream))
    }

    fn ask(&mut self, body: &mut Vec<u8>) {
        let request = format!(
            "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n\
             Content-Length: {}\r\n\r\n{CALL}",
            CALL.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap();
                }
                _ if line == "\r\n" => break,
                _ => {}
            }
        }
        body.resize(length, 0);
        self.0.read_exact(body).unwrap();
    }
}
