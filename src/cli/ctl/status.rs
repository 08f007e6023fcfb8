//! `ctl status`: one line per service, with the columns and exit codes of supervisorctl.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use clap::Args;
use fathom_kernel::{ServiceStatus, StackStatus, State, Timestamp};

use super::CtlError;
use super::session::{Session, no_such};
use crate::control::{Details, Readiness, UsageReport, long_lines, status_lines};

/// Every service shown works, or is about to.
const FINE: u8 = 0;
/// With `--ready`: not ready.
const NOT_READY: u8 = 1;
/// A service is STOPPED, EXITED, FATAL or UNKNOWN.
const NOT_ALL_RUN: u8 = 3;
/// A name is unknown, or there is no supervisor.
const NOTHING_KNOWN: u8 = 4;

/// Time between two looks, for rates.
const MEASURE: Duration = Duration::from_secs(1);
/// With `--watch`, time between two looks when nothing changes.
const WATCH: Duration = Duration::from_secs(2);

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 all shown are STARTING, RUNNING, BACKOFF or STOPPING; 3 at least one is not; 4 unknown
name or no supervisor. With --ready: 0 every service that starts with the stack is ready; 1 not.")]
pub(super) struct Status {
    /// Services to show; all without it.
    targets: Vec<String>,
    /// Show health, restarts, processor, memory, rates, age and drops; takes a second to measure.
    #[arg(short, long)]
    long: bool,
    /// Only tell whether the stack is ready.
    #[arg(long, conflicts_with_all = ["long", "watch"])]
    ready: bool,
    /// Show again whenever something changes.
    #[arg(short, long)]
    watch: bool,
}

impl Status {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let result = if self.ready {
            ready(session).await
        } else if self.watch {
            self.follow(session).await
        } else {
            self.show(session).await
        };
        match result {
            Err(error) if error.is_unreachable() || error.word() == "deaf" => {
                if session.json {
                    session.value(&serde_json::json!({
                        "error": error.word(),
                        "message": error.to_string(),
                    }))?;
                } else {
                    anstream::eprintln!("fathom ctl: {error}");
                }
                Ok(NOTHING_KNOWN)
            }
            result => result,
        }
    }

    async fn show(&self, session: &mut Session) -> Result<u8, CtlError> {
        let before = if self.long {
            Some(Sample::take(session, &self.targets).await?)
        } else {
            None
        };
        if before.is_some() {
            tokio::time::sleep(MEASURE).await;
        }
        let (status, unknown) = session.status(&self.targets).await?;
        for name in &unknown {
            if session.json {
                anstream::eprintln!("{}", no_such(name));
            } else {
                session.line(&no_such(name))?;
            }
        }
        session.suggest(&unknown).await;
        let Some(status) = status else {
            return Ok(NOTHING_KNOWN);
        };
        match before {
            Some(before) => print_long(session, &status, &before).await?,
            None => print(session, &status)?,
        }
        Ok(if unknown.is_empty() {
            exit_code(&status.services)
        } else {
            NOTHING_KNOWN
        })
    }

    async fn follow(&self, session: &mut Session) -> Result<u8, CtlError> {
        let mut changes = session.client.events("life").await?;
        let screen = console::Term::stdout();
        loop {
            if !session.json && std::io::stdout().is_terminal() {
                screen.clear_screen()?;
            }
            let code = self.show(session).await?;
            let changed = tokio::time::timeout(WATCH, changes.next()).await;
            if let Ok(None) = changed {
                return Ok(code);
            }
        }
    }
}

async fn ready(session: &mut Session) -> Result<u8, CtlError> {
    let readiness: Readiness = session.client.readiness().await?;
    if session.json {
        session.value(&readiness)?;
    } else if readiness.ready {
        session.line("ready")?;
    } else {
        for (name, state) in &readiness.waiting {
            session.line(&format!("{name}: {state}"))?;
        }
    }
    Ok(if readiness.ready { FINE } else { NOT_READY })
}

fn print(session: &mut Session, status: &StackStatus) -> Result<(), CtlError> {
    if session.json {
        return session.value(status);
    }
    for line in status_lines(&status.services) {
        session.line(&line)?;
    }
    hint(status);
    Ok(())
}

/// Says when the files have something else than what runs.
fn hint(status: &StackStatus) {
    if status.config.differs == Some(true) {
        anstream::eprintln!(
            "the configuration files differ from what runs (generation {}): see `fathom ctl diff`",
            status.config.generation
        );
    }
}

fn exit_code(services: &[ServiceStatus]) -> u8 {
    let lives = |service: &ServiceStatus| match service.state {
        State::Starting | State::Running | State::Backoff | State::Stopping => true,
        State::Stopped | State::Exited | State::Fatal | State::Unknown => false,
    };
    if services.iter().all(lives) {
        FINE
    } else {
        NOT_ALL_RUN
    }
}

/// Counters at one moment, to be subtracted from later ones.
struct Sample {
    at: Instant,
    messages: HashMap<String, (u64, u64)>,
    /// Processor time of the services that are up (s).
    cpu_s: HashMap<String, f64>,
    /// That of the supervisor.
    own_cpu_s: f64,
}

impl Sample {
    async fn take(session: &mut Session, targets: &[String]) -> Result<Self, CtlError> {
        let (status, _) = session.status(targets).await?;
        let services = status.map(|status| status.services).unwrap_or_default();
        let usage = session.client.usage().await?;
        let cpu_s = services
            .iter()
            .filter_map(|service| Some((service.name.clone(), usage.cpu_s(service)?)));
        Ok(Self {
            at: Instant::now(),
            cpu_s: cpu_s.collect(),
            messages: services
                .into_iter()
                .map(|s| (s.name, (s.counters.received, s.counters.sent)))
                .collect(),
            own_cpu_s: usage.supervisor.cpu_s,
        })
    }

    /// Returns rates and usage of a service between this sample and now.
    fn details(&self, service: &ServiceStatus, usage: &UsageReport, span_s: f64) -> Details {
        let (received, sent) = self
            .messages
            .get(&service.name)
            .copied()
            .unwrap_or_default();
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / span_s;
        let then_s = self.cpu_s.get(&service.name);
        Details {
            usage: usage.services.get(&service.name).copied(),
            cpu_percent: usage
                .cpu_s(service)
                .zip(then_s)
                .map(|(now_s, then_s)| share_percent(*then_s, now_s, span_s)),
            rate_hz: (
                rate(service.counters.received, received),
                rate(service.counters.sent, sent),
            ),
        }
    }
}

/// Returns the share of one processor (%) between two samples of the time used (s).
fn share_percent(then_s: f64, now_s: f64, span_s: f64) -> f64 {
    (now_s - then_s).max(0.0) / span_s * 100.0
}

async fn print_long(
    session: &mut Session,
    status: &StackStatus,
    before: &Sample,
) -> Result<(), CtlError> {
    let usage = session.client.usage().await?;
    let span_s = before.at.elapsed().as_secs_f64();
    let details = |service: &ServiceStatus| before.details(service, &usage, span_s);
    if session.json {
        return session.value(&serde_json::json!({ "status": status, "usage": usage }));
    }
    let own = usage.supervisor;
    let cpu = share_percent(before.own_cpu_s, own.cpu_s, span_s);
    session.line(&format!(
        "{} {}, pid {}, {} threads, {cpu:.1} % CPU, {:.1} MiB",
        status.stack,
        status.version,
        status.pid,
        own.threads,
        own.rss_bytes as f64 / f64::from(1 << 20),
    ))?;
    for line in long_lines(&status.services, details, Timestamp::now()) {
        session.line(&line)?;
    }
    hint(status);
    Ok(())
}
