//! Progress on standard error while several services start or stop: a bar on a terminal, lines
//! elsewhere. What it shows are the life events themselves.

use std::collections::HashSet;
use std::future::Future;
use std::io::IsTerminal as _;
use std::time::Duration;

use fathom_kernel::{LifeChange, State};
use indicatif::{ProgressBar, ProgressStyle};

use super::CtlError;
use super::outcomes::Action;
use super::session::Session;
use crate::control::Signals;

/// Shows how far an action is.
pub(super) struct Progress {
    shown: Option<Shown>,
}

struct Shown {
    events: Signals,
    wanted: HashSet<String>,
    reached: HashSet<String>,
    goal: State,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to listen; shows nothing for a single service, a signal, or JSON.
    pub(super) async fn begin(
        session: &mut Session,
        action: &Action,
        targets: &[String],
    ) -> Result<Self, CtlError> {
        let goal = match action {
            Action::Start { .. } | Action::Restart { .. } | Action::Roll { .. } => State::Running,
            Action::Stop { .. } | Action::Kill { .. } => State::Stopped,
            Action::Signal { .. }
            | Action::Hold { .. }
            | Action::Unhold
            | Action::ClearLogs
            | Action::RotateLogs => {
                return Ok(Self { shown: None });
            }
        };
        if session.json {
            return Ok(Self { shown: None });
        }
        let (status, _) = session.status(targets).await?;
        let services = status.map(|status| status.services).unwrap_or_default();
        let restarts = matches!(action, Action::Restart { .. } | Action::Roll { .. });
        let wanted: HashSet<String> = services
            .into_iter()
            .filter(|service| restarts || service.state != goal)
            .map(|service| service.name)
            .collect();
        if wanted.len() < 2 {
            return Ok(Self { shown: None });
        }
        let bar = std::io::stderr().is_terminal().then(|| bar(wanted.len()));
        Ok(Self {
            shown: Some(Shown {
                events: session.client.events("life").await?,
                wanted,
                reached: HashSet::new(),
                goal,
                bar,
            }),
        })
    }

    /// Runs the action and shows progress until it is done.
    pub(super) async fn beside<T>(&mut self, action: impl Future<Output = T>) -> T {
        let Some(shown) = &mut self.shown else {
            return action.await;
        };
        tokio::select! {
            done = action => done,
            never = shown.watch() => match never {},
        }
    }

    /// Takes the bar away.
    pub(super) fn end(self) {
        if let Some(bar) = self.shown.and_then(|shown| shown.bar) {
            bar.finish_and_clear();
        }
    }
}

impl Shown {
    async fn watch(&mut self) -> std::convert::Infallible {
        while let Some(event) = self.events.next().await {
            if let Ok(life) = serde_json::from_str::<LifeChange>(&event.data) {
                self.show(&life);
            }
        }
        std::future::pending().await
    }

    fn show(&mut self, life: &LifeChange) {
        if !self.wanted.contains(&life.service) {
            return;
        }
        if life.to == self.goal {
            self.reached.insert(life.service.clone());
        }
        let (done, all) = (self.reached.len(), self.wanted.len());
        match &self.bar {
            Some(bar) => {
                bar.set_position(done as u64);
                bar.set_message(format!("{} {}", life.service, life.to));
            }
            None => anstream::eprintln!("[{done}/{all}] {} {}", life.service, life.to),
        }
    }
}

fn bar(length: usize) -> ProgressBar {
    let bar = ProgressBar::new(length as u64);
    let style = ProgressStyle::with_template("{spinner} [{pos}/{len}] {bar:30} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
