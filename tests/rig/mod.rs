//! Builds stacks by hand, with services that do as a test says.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each test file uses its part of the rig"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fathom::config::plan::{
    Backoff, Body, Budget, CommandBody, ControlPlan, GroupPlan, HealthPlan, KindBody, Limits,
    LogFormat, LogPlan, OnFatal, OwnLog, Placement, Plan, ProcessPlan, Ready, Restart, Run,
    ServicePlan, StopPlan, Strategy,
};
use fathom::config::{Origin, load};
use fathom::stack::{Options, Stack};
use fathom_kernel::{
    Answer, BoxFuture, Caller, Command, FromConfig, Kind, Outcome, Reply, Service, ServiceCx,
    ServiceError, ServiceStatus, Setup, Size, State, Verdict,
};

/// Starts the stack of a configuration; hosted kinds run in children of the real binary.
pub fn configured(folder: &Path, text: &str) -> Stack {
    let origin = Origin {
        file: folder.join("supervisor.toml"),
        text: Some(text.to_owned()),
        data_dir: Some(folder.join("data")),
        ..Origin::default()
    };
    let loaded = load(&origin).unwrap_or_else(|report| panic!("{}", report.render(false)));
    let options = Options {
        program: Some(env!("CARGO_BIN_EXE_fathom").into()),
        ..Options::default()
    };
    Stack::start(loaded.plan, options).unwrap()
}

/// Does as a test says.
pub struct Puppet(
    Arc<dyn Fn(ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> + Send + Sync>,
);

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub struct NoOptions {}

impl FromConfig<NoOptions> for Puppet {
    fn from_config(_: &NoOptions, _: &Setup) -> Self {
        Self(Arc::new(|_| Box::pin(async { Ok(()) })))
    }
}

impl Service for Puppet {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        (self.0)(cx)
    }
}

pub static PUPPET: Kind = Kind::service::<NoOptions, Puppet>("puppet", "does as a test says");

/// A service of this process that runs a closure.
pub fn actor<F, R>(name: &str, run: F) -> ServicePlan
where
    F: Fn(ServiceCx) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), ServiceError>> + Send + 'static,
{
    let run: Arc<dyn Fn(ServiceCx) -> BoxFuture<'static, _> + Send + Sync> =
        Arc::new(move |cx| Box::pin(run(cx)));
    let body = Body::Kind(KindBody {
        kind: &PUPPET,
        factory: Arc::new(move || Box::new(Puppet(run.clone()))),
        options: String::new(),
        run: Run::Actor,
        placement: Placement::Pool,
    });
    service(name, body, Ready::Notify)
}

/// A service of this process that works until it is stopped.
pub fn worker(name: &str) -> ServicePlan {
    actor(name, |cx| async move {
        cx.ready();
        cx.stop.cancelled().await;
        Ok(())
    })
}

/// A program.
pub fn command(name: &str, argv: &[&str]) -> ServicePlan {
    let body = Body::Command(CommandBody {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        env: std::collections::BTreeMap::new(),
        cwd: None,
        user: None,
    });
    service(name, body, Ready::Spawn)
}

/// A shell script.
pub fn script(name: &str, text: &str) -> ServicePlan {
    command(name, &["sh", "-c", text])
}

fn service(name: &str, body: Body, ready: Ready) -> ServicePlan {
    ServicePlan {
        name: name.into(),
        group: name.split(':').next().unwrap().into(),
        description: String::new(),
        body,
        after: Vec::new(),
        bind: Vec::new(),
        autostart: true,
        restart: Restart::Always,
        exit_ok: vec![0],
        backoff: Backoff::default(),
        budget: Budget::default(),
        on_fatal: OnFatal::Keep,
        ready,
        ready_timeout: Duration::from_secs(10),
        stop: StopPlan {
            signal: nix::sys::signal::Signal::SIGTERM,
            wait: Duration::from_secs(5),
            group: true,
            command: None,
            stdin: None,
        },
        limits: Limits::default(),
        process: ProcessPlan::default(),
        log: LogPlan {
            backups: 3,
            ..LogPlan::default()
        },
        flow: Vec::new(),
        check: Vec::new(),
    }
}

/// A plan of these services, in start order.
pub fn plan(data_dir: &Path, services: Vec<ServicePlan>) -> Plan {
    let mut groups: Vec<GroupPlan> = Vec::new();
    for service in &services {
        match groups.iter_mut().find(|group| group.name == service.group) {
            Some(group) => group.members.push(service.name.clone()),
            None => groups.push(GroupPlan {
                name: service.group.clone(),
                parent: None,
                lone: service.group == service.name,
                description: String::new(),
                strategy: Strategy::OneForOne,
                budget: None,
                members: vec![service.name.clone()],
            }),
        }
    }
    Plan {
        name: "test".to_owned(),
        setup: Setup {
            data_dir: data_dir.to_owned(),
            ..Setup::default()
        },
        detector: None,
        shutdown_limit: Duration::from_secs(20),
        budget: None,
        health: HealthPlan::default(),
        control: ControlPlan {
            listen: None,
            socket_mode: 0o660,
            socket_group: None,
            account: None,
            rpc_open: false,
            token_file: None,
            hosts: Vec::new(),
        },
        log: OwnLog {
            level: "info".to_owned(),
            max: Size::from_mib(10),
            backups: 1,
            format: LogFormat::Text,
        },
        groups,
        services,
        levels: Vec::new(),
    }
}

/// Starts a stack of these services.
pub fn start(data_dir: &Path, services: Vec<ServicePlan>) -> Stack {
    Stack::start(plan(data_dir, services), Options::default()).unwrap()
}

/// Asks a stack.
pub async fn ask(stack: &Stack, command: Command) -> Answer {
    stack
        .control
        .ask(command, Caller::new("test", "test"))
        .await
}

/// Returns the state of one service.
pub async fn status(stack: &Stack, name: &str) -> ServiceStatus {
    let targets = vec![name.to_owned()];
    match ask(stack, Command::Status { targets }).await.unwrap() {
        Reply::Status(mut status) => status.services.remove(0),
        other => panic!("no status: {other:?}"),
    }
}

/// Waits until the state of a service fulfils a condition.
pub async fn until(
    stack: &Stack,
    name: &str,
    what: impl Fn(&ServiceStatus) -> bool,
) -> ServiceStatus {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let now = status(stack, name).await;
        if what(&now) {
            return now;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{name} stays {now:?}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a service is in a state.
pub async fn until_state(stack: &Stack, name: &str, state: State) -> ServiceStatus {
    until(stack, name, |now| now.state == state).await
}

/// Carries out a command that tells what became of each target.
pub async fn done(stack: &Stack, command: Command) -> Vec<Outcome> {
    match ask(stack, command).await.unwrap() {
        Reply::Done(outcomes) => outcomes,
        other => panic!("no outcomes: {other:?}"),
    }
}

/// Returns names and results of outcomes.
pub fn results(outcomes: &[Outcome]) -> Vec<(&str, Verdict)> {
    outcomes
        .iter()
        .map(|o| (o.name.as_str(), o.result))
        .collect()
}

pub fn stop(target: &str) -> Command {
    Command::Stop {
        targets: vec![target.to_owned()],
        dependents: false,
        wait: true,
    }
}

pub fn start_of(target: &str) -> Command {
    Command::Start {
        targets: vec![target.to_owned()],
        dependencies: true,
        wait: true,
    }
}

pub fn restart(target: &str) -> Command {
    Command::Restart {
        targets: vec![target.to_owned()],
        wait: true,
    }
}

/// Tells whether a process exists and is no zombie.
pub fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits until a condition holds.
pub async fn wait_for(mut what: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came");
}
