//! `ctl wait`: until services reached a state.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use fathom_kernel::{Health, ServiceStatus, Span, State, Want};

use super::CtlError;
use super::session::Session;

/// Exit code when the time is over.
const LATE: u8 = 1;
/// Exit code when a service ended instead.
const ENDED: u8 = 7;

/// Time between two looks without an event: changes of health are none.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `wait`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 reached; 1 not in time; 7 a service is FATAL or EXITED instead."
)]
pub(super) struct Wait {
    /// What to wait for: `NAME=ready`, `NAME=started`, `NAME=flowing` (ready and its data flows),
    /// `NAME=done` or `NAME=stopped`; several must all be reached.
    #[arg(required = true, value_name = "NAME=STATE")]
    goals: Vec<Goal>,
    /// Longest time to wait, such as `30s` or `5m`.
    #[arg(short, long, default_value = "60s")]
    timeout: Span,
}

/// A service, group or `all`, and what it shall reach.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Goal {
    target: String,
    until: Until,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Started,
    Ready,
    Flowing,
    Done,
    Stopped,
}

/// How far a service is from its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Reached,
    OnItsWay,
    Ended,
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (target, until) = text.rsplit_once('=').unwrap_or((text, "ready"));
        let until = match until {
            "started" => Until::Started,
            "ready" => Until::Ready,
            "flowing" => Until::Flowing,
            "done" => Until::Done,
            "stopped" => Until::Stopped,
            other => {
                return Err(format!(
                    "no state {other:?}; there are started, ready, flowing, done, stopped"
                ));
            }
        };
        Ok(Self {
            target: target.to_owned(),
            until,
        })
    }
}

impl Wait {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let waiting = tokio::time::timeout(self.timeout.duration(), self.reach(session));
        let outcome = waiting.await;
        let (code, word) = match outcome {
            Ok(Ok(Progress::Reached)) => (0, "reached"),
            Ok(Ok(_)) => (ENDED, "ended"),
            Ok(Err(error)) => return Err(error),
            Err(_) => (LATE, "timeout"),
        };
        if session.json {
            session.value(&serde_json::json!({ "result": word }))?;
        } else if code != 0 {
            let (status, _) = session.status(&self.targets()).await?;
            for service in status.map(|s| s.services).unwrap_or_default() {
                let (state, why) = (service.state, service.description);
                anstream::eprintln!("{}: {word}, {state} {why}", service.name);
            }
        }
        Ok(code)
    }

    fn targets(&self) -> Vec<String> {
        self.goals.iter().map(|goal| goal.target.clone()).collect()
    }

    async fn reach(&self, session: &Session) -> Result<Progress, CtlError> {
        // Listen first and look then, so that no change falls in between.
        let mut changes = session.client.events("life").await?;
        loop {
            let progress = self.look(session).await?;
            if progress != Progress::OnItsWay {
                return Ok(progress);
            }
            match tokio::time::timeout(LOOK_EVERY, changes.next()).await {
                Ok(Some(_)) | Err(_) => {}
                // The supervisor is going; the next look says how it went.
                Ok(None) => changes = session.client.events("life").await?,
            }
        }
    }

    async fn look(&self, session: &Session) -> Result<Progress, CtlError> {
        let mut worst = Progress::Reached;
        for goal in &self.goals {
            let status = session
                .client
                .status(std::slice::from_ref(&goal.target))
                .await?;
            let alone = status.services.len() == 1;
            let services = status.services.iter();
            let progress = services
                .filter(|service| alone || goal.until.concerns(service))
                .map(|service| goal.until.judge(service))
                .max();
            worst = worst.max(progress.unwrap_or(Progress::Reached));
        }
        Ok(worst)
    }
}

impl Until {
    /// Tells whether a service among several counts: what nobody wants up need not come up.
    fn concerns(self, service: &ServiceStatus) -> bool {
        match self {
            Self::Started | Self::Ready | Self::Flowing | Self::Done => service.want == Want::Up,
            Self::Stopped => true,
        }
    }

    fn judge(self, service: &ServiceStatus) -> Progress {
        use Progress::{Ended, OnItsWay, Reached};
        match (self, service.state) {
            (Self::Ready | Self::Started, State::Running) => Reached,
            (Self::Flowing, State::Running) if service.health == Health::Ok => Reached,
            (Self::Started, State::Starting) if service.pid != 0 => Reached,
            (Self::Ready | Self::Flowing | Self::Started, State::Exited | State::Fatal) => Ended,
            (Self::Done, State::Exited) if service.finished => Reached,
            (Self::Done, State::Exited | State::Fatal) => Ended,
            (Self::Stopped, State::Stopped | State::Exited | State::Fatal) => Reached,
            (
                Self::Ready | Self::Flowing | Self::Started | Self::Done | Self::Stopped,
                State::Stopped
                | State::Starting
                | State::Running
                | State::Backoff
                | State::Stopping
                | State::Unknown,
            ) => OnItsWay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_a_name_and_a_state() {
        let goal: Goal = "a:b=done".parse().expect("a goal");
        assert_eq!((goal.target.as_str(), goal.until), ("a:b", Until::Done));
        assert_eq!("a".parse::<Goal>().expect("a goal").until, Until::Ready);
        assert!("a=green".parse::<Goal>().is_err());
    }
}
