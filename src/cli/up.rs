//! `fathom up`: runs a stack in the foreground.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anstream::{eprintln, println};
use clap::Args;
use fathom_kernel::{Caller, Command, Reply, State};

use super::config_args::{ConfigArgs, print_report};
use super::{EXIT_CONFIG, EXIT_ERROR};
use crate::actors::Ended;
use crate::body;
use crate::config::plan::{Body, Plan};
use crate::control::{SOCKET_NAME, ServeError};
use crate::init;
use crate::stack::{Options, Source, Stack, StackError};
use crate::telemetry::{self, Telemetry};

/// Exit code when another supervisor works on the same data folder.
const EXIT_LOCKED: u8 = 3;

/// Exit code when the supervisor itself failed.
const EXIT_INTERNAL: u8 = 70;

/// Our own program, also after its file was replaced.
const PROGRAM: &str = "/proc/self/exe";

/// Time between two looks whether everything runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Arguments of `fathom up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Configuration to run
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        env = "FATHOM_CONFIG",
        default_value = "supervisor.toml"
    )]
    file: PathBuf,

    #[command(flatten)]
    config: ConfigArgs,

    /// Reap orphans and pass signals on, as the first process of a container does by itself
    #[arg(long)]
    init: bool,
}

impl Up {
    /// Runs the stack until it ends.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        if init::is_needed(self.init) {
            return init::run();
        }
        init::listen_again()?;
        match self.config.load(self.file.clone()) {
            Ok(loaded) => {
                print_report(&loaded.warnings);
                let source = self.config.source(self.file, loaded.files);
                run_stack(loaded.plan, source, true)
            }
            Err(report) => {
                print_report(&report);
                Ok(ExitCode::from(EXIT_CONFIG))
            }
        }
    }
}

/// Runs a stack in the foreground; `talkative` shows its records on standard error.
pub(super) fn run_stack(plan: Plan, source: Source, talkative: bool) -> anyhow::Result<ExitCode> {
    let data_dir = plan.setup.data_dir.clone();
    let logging = telemetry::Options {
        stderr: talkative,
        ..telemetry::Options::of(&plan.log, &data_dir)
    };
    let telemetry = Telemetry::install(&logging)?;
    body::raise_own();
    let options = Options {
        signals: true,
        log_drops: telemetry.drop_counters(),
        own_log: telemetry.file(),
        program: Some(PROGRAM.into()),
        source: Some(source),
        guarded: true,
    };
    let words = Words::of(&plan);
    let began = Instant::now();
    let mut stack = match Stack::start(plan, options) {
        Ok(stack) => stack,
        Err(error) => {
            let code = exit_code_of(&error);
            eprintln!("fathom: {:#}", anyhow::Error::from(error));
            return Ok(ExitCode::from(code));
        }
    };
    println!("fathom: data in {}", data_dir.display());
    println!(
        "fathom: commands at {}",
        data_dir.join(SOCKET_NAME).display()
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let how = runtime.block_on(async {
        let (mut narrator, control) = (words, stack.control.clone());
        let mut addresses = stack.addresses.watch();
        let mut ended = std::pin::pin!(stack.wait());
        loop {
            // All branches are cancel-safe: states that stay, and a sleep.
            tokio::select! {
                how = &mut ended => break how,
                Ok(()) = addresses.changed() => narrator.addresses(&addresses.borrow_and_update()),
                () = tokio::time::sleep(LOOK_EVERY), if !narrator.all_up => {
                    let status = Command::Status { targets: Vec::new() };
                    if let Ok(Reply::Status(now)) = control.ask(status, Caller::new("fathom", "up")).await {
                        narrator.states(now.services.iter().filter(|s| s.autostart).map(|s| s.state), began);
                    }
                }
            }
        }
    });
    drop(telemetry);
    Ok(exit_code(&how, &data_dir))
}

fn exit_code_of(error: &StackError) -> u8 {
    match error {
        StackError::Locked(..) | StackError::Control(ServeError::InUse(_)) => EXIT_LOCKED,
        StackError::DataDir { .. } | StackError::Control(_) => EXIT_ERROR,
        StackError::Threads(_) | StackError::EndedEarly => EXIT_INTERNAL,
    }
}

fn exit_code(how: &Ended, data_dir: &Path) -> ExitCode {
    match how {
        Ended::Ordered => {
            println!("fathom: everything has ended");
            ExitCode::SUCCESS
        }
        Ended::Essential(name) => {
            eprintln!("fathom: ended with {name}, which failed for good");
            ExitCode::from(EXIT_ERROR)
        }
        Ended::Exhausted => {
            eprintln!(
                "fathom: ended because more groups failed for good than `[stack] budget` allows"
            );
            ExitCode::from(EXIT_ERROR)
        }
        Ended::Deaf => {
            let log = data_dir.join("logs").join("fathom.log");
            eprintln!("fathom: the supervisor failed, see {}", log.display());
            ExitCode::from(EXIT_INTERNAL)
        }
    }
}

/// Tells people on the terminal where to look.
struct Words {
    webservers: BTreeSet<String>,
    told: BTreeMap<String, SocketAddr>,
    all_up: bool,
}

impl Words {
    fn of(plan: &Plan) -> Self {
        let is_web =
            |body: &Body| matches!(body, Body::Kind(kind) if kind.kind.name == "webserver");
        let webservers = plan.services.iter().filter(|s| is_web(&s.body));
        Self {
            webservers: webservers.map(|s| s.name.to_string()).collect(),
            told: BTreeMap::new(),
            all_up: false,
        }
    }

    fn addresses(&mut self, list: &BTreeMap<String, SocketAddr>) {
        for (name, address) in list {
            if self.told.insert(name.clone(), *address) == Some(*address) {
                continue;
            }
            if self.webservers.contains(name) {
                println!("fathom: web page at http://{address}/");
            } else {
                println!("fathom: {name} listens on {address}");
            }
        }
    }

    fn states(&mut self, mut states: impl Iterator<Item = State>, began: Instant) {
        self.all_up = states.all(|state| matches!(state, State::Running | State::Exited));
        if self.all_up {
            let seconds = began.elapsed().as_secs_f64();
            println!("fathom: every service runs after {seconds:.1} s; Ctrl-C ends them");
        }
    }
}
