//! The brokers, each in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fathom_kernel::{ServiceCx, Setup};
use toml::de::DeTable;

use crate::dialect::Dialect;

/// Argument with which this program starts itself as a broker.
pub(crate) const SERVE: &str = "--serve";

/// A running broker; ends when dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) dialect: Dialect,
    pub(crate) producers: u16,
    pub(crate) subscribers: u16,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

impl Server {
    /// Starts ours, with further options.
    pub(crate) fn ligier(options: &str) -> Self {
        Self::own("ligier", Dialect::ControlHost, options)
    }

    /// Starts a fan-out that copies bytes and knows no messages.
    pub(crate) fn raw() -> Self {
        Self::own("raw TCP", Dialect::Raw, "")
    }

    fn own(name: &'static str, dialect: Dialect, options: &str) -> Self {
        let program = std::env::current_exe().expect("own path");
        let mut child = Command::new(program)
            .args([SERVE, name, options])
            .stdout(Stdio::piped())
            .spawn()
            .expect("start own program");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("port line");
        let port = line.trim().parse().expect("port");
        Self {
            name,
            dialect,
            producers: port,
            subscribers: port,
            child,
        }
    }

    /// Starts the others that this machine has; names those it has not.
    pub(crate) fn peers() -> Vec<Self> {
        let found = [Self::nats(), Self::redis(), Self::zeromq()];
        found.into_iter().filter_map(Result::ok).collect()
    }

    fn nats() -> Result<Self, ()> {
        let port = free_port().to_string();
        let arguments = ["-a", "127.0.0.1", "-p", &port];
        Self::foreign("NATS", Dialect::Nats, "nats-server", &arguments, &port)
    }

    fn redis() -> Result<Self, ()> {
        let port = free_port().to_string();
        let options = "--bind 127.0.0.1 --appendonly no --port";
        let mut arguments: Vec<&str> = options.split(' ').collect();
        arguments.extend([&port, "--save", ""]);
        // As large as a client needs: the default would disconnect one that is slow for a moment.
        arguments.extend(["--client-output-buffer-limit", "pubsub 0 0 0"]);
        Self::foreign("Redis", Dialect::Redis, "redis-server", &arguments, &port)
    }

    fn zeromq() -> Result<Self, ()> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/brokers/zmq_proxy.c");
        let program = std::env::temp_dir().join(format!("zmq_proxy-{}", std::process::id()));
        let built = Command::new("cc")
            .arg("-O2")
            .args([
                source.as_path(),
                Path::new("-o"),
                &program,
                Path::new("-lzmq"),
            ])
            .stderr(Stdio::null())
            .status();
        if !built.is_ok_and(|status| status.success()) {
            eprintln!("skipped: ZeroMQ (no cc, or no libzmq3-dev)");
            return Err(());
        }
        let (from, to) = (free_port().to_string(), free_port().to_string());
        let name = program.to_string_lossy();
        let mut server = Self::foreign("ZeroMQ", Dialect::Zmtp, &name, &[&from, &to], &to)?;
        server.producers = from.parse().expect("own text");
        Ok(server)
    }

    fn foreign(
        name: &'static str,
        dialect: Dialect,
        program: &str,
        arguments: &[&str],
        port: &str,
    ) -> Result<Self, ()> {
        let child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            eprintln!("skipped: {name} (no {program})");
            return Err(());
        };
        let port = port.parse().expect("own text");
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "{name} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self {
            name,
            dialect,
            producers: port,
            subscribers: port,
            child,
        })
    }

    /// Returns the processor time that the broker used until now.
    pub(crate) fn cpu(&self) -> Duration {
        const TICKS_PER_SECOND: u64 = 100;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("proc file system");
        let fields = stat.rsplit(')').next().expect("fields after the name");
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    /// Returns the memory that the broker has [MiB].
    pub(crate) fn memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("proc file system");
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
    listener.local_addr().expect("bound").port()
}

/// Is a broker until killed.
pub(crate) fn serve(name: &str, options: &str) {
    match name {
        "ligier" => serve_ligier(options),
        _ => serve_raw(),
    }
}

fn serve_ligier(options: &str) {
    let text: &'static str = format!("listen = \"127.0.0.1:0\"\n{options}").leak();
    let table = DeTable::parse(text).expect("options");
    let kind = fathom_ligier::KINDS.iter().find(|k| k.name == "ligier");
    let factory = (kind.expect("ours").parse)(table, &Setup::default()).expect("options");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(async {
        let (cx, mut outside) = ServiceCx::alone("ligier", std::env::temp_dir());
        let addresses = cx.addresses.clone();
        let service = tokio::spawn(factory().run(cx));
        outside.ready.wait_for(|ready| *ready).await.expect("ready");
        println!("{}", addresses.of("ligier").expect("announced").port());
        service.await.expect("no panic").expect("no error");
    });
}

fn serve_raw() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
    println!("{}", listener.local_addr().expect("bound").port());
    let subscribers = Arc::new(Mutex::new(Vec::<TcpStream>::new()));
    for stream in listener.incoming() {
        let mut stream = stream.expect("client");
        let mut role = [0];
        stream.read_exact(&mut role).expect("role");
        if role == *b"S" {
            subscribers.lock().expect("no panic").push(stream);
            continue;
        }
        let subscribers = subscribers.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 512 << 10];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                let mut list = subscribers.lock().expect("no panic");
                list.retain_mut(|to| to.write_all(&buffer[..read]).is_ok());
            }
            // The next run has its own subscribers.
            subscribers.lock().expect("no panic").clear();
        });
    }
}
